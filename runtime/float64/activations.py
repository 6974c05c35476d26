"""Activations for onnx's evaluator, whose own round to float32: the error function, a sixth, the numbers of SELU."""

import math
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx.reference.op_run import OpRun

__all__ = ["Erf", "Gelu", "HardSwish", "Selu"]

Array = NDArray[Any]

_BLOCK = 1 << 14
"""Elements that go through several steps together: 128 KB per array, which stay in the processor's cache."""


_SELU = (1.6732632423543772, 1.0507009873554805)


class Erf(OpRun):
    """The error function."""

    def _run(self, x: Array) -> tuple[Array]:
        return (_by_block(x, _erf),)


class Gelu(OpRun):
    """Exact, or by tanh."""

    def _run(self, x: Array, approximate: str = "none") -> tuple[Array]:
        if approximate not in ("none", "tanh"):
            raise ValueError(f"approximate={approximate} is not known")
        return (_by_block(x, _gelu if approximate == "none" else _gelu_by_tanh),)


class HardSwish(OpRun):
    """x times a sixth of ReLU6 of x + 3."""

    def _run(self, x: Array) -> tuple[Array]:
        return (x * (np.clip(x + 3, 0, 6) / 6),)


class Selu(OpRun):
    """With the numbers of Klambauer et al. (2017), of which ONNX's own are float32's nearest."""

    def _run(self, x: Array, alpha: float = _SELU[0], gamma: float = _SELU[1]) -> tuple[Array]:
        alpha, gamma = (
            exact if np.float32(given) == np.float32(exact) else given
            for given, exact in zip((alpha, gamma), _SELU, strict=True)
        )
        return (gamma * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))),)


def _by_block(x: Array, function: Any) -> Array:
    flat, out = x.reshape(-1), np.empty(x.size)
    for begin in range(0, x.size, _BLOCK):
        out[begin : begin + _BLOCK] = function(flat[begin : begin + _BLOCK])
    return out.reshape(x.shape)


def _gelu(x: Array) -> Array:
    out: Array = 0.5 * x * (1 + _erf(x * math.sqrt(0.5)))
    return out


def _gelu_by_tanh(x: Array) -> Array:
    out: Array = 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return out


_ERF_STEP = 1 / 512
_ERF_END = 6.0
"""From here on erf is 1 in float64."""


@cache
def _erf_table() -> Array:
    """Return the coefficients of erf's Taylor series, the constant first, at places one step apart."""
    places = np.arange(0, _ERF_END + _ERF_STEP, _ERF_STEP)
    slope = 2 / math.sqrt(math.pi) * np.exp(-places * places)
    return np.stack(
        [
            [math.erf(place) for place in places],
            slope,
            slope * -places,
            slope * (4 * places**2 - 2) / 6,
            slope * (12 * places - 8 * places**3) / 24,
        ]
    )


def _erf(x: Array) -> Array:
    """Return erf, to 1e-15: half a step from the nearest place, the first omitted term is at most 1e-16."""
    table = _erf_table()
    size = np.minimum(np.abs(x), _ERF_END)
    # NaN stays NaN at any place.
    place = np.nan_to_num(np.rint(size * (1 / _ERF_STEP))).astype(np.intp)
    distance = size - place * _ERF_STEP
    result = table[4].take(place)
    for power in (3, 2, 1, 0):
        result *= distance
        result += table[power].take(place)
    out: Array = np.copysign(result, x)
    return out
