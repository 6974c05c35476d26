"""Replacements for operators that onnx's evaluator computes too slowly, in float32 only, or wrongly.

Each is a class named like its operator, as `ReferenceEvaluator(new_ops=...)` takes them. Its docstring has the reason.
"""

import math
from functools import cache
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx.reference.op_run import OpRun
from onnx.reference.ops import op_non_max_suppression
from onnx.reference.ops._quant_utils import reshape_input

from .convolutions import Conv, ConvTranspose
from .indexing import GatherElements, GatherND, ScatterElements, ScatterND
from .loops import Loop, Scan
from .pools import AveragePool, MaxPool
from .resizing import Resize
from .sampling import AffineGrid, DeformConv, GridSample

__all__ = ["OPERATORS", "WIDENING"]

Array = NDArray[Any]

_BLOCK = 1 << 14
"""Elements that go through several steps together: 128 KB per array, which stay in the processor's cache."""
_PADDING = ("constant", "reflect", "edge", "wrap")
"""ONNX's padding modes, which have the same names in NumPy."""
_WIDENED = 1 << 18
"""Elements of a float32 matrix that are widened at a time: 2 MB."""


class Gemm(OpRun):
    """Widens a matrix piece by piece: the largest one of a VGG would take 800 MB."""

    def _run(
        self,
        a: Array,
        b: Array,
        c: Array | None = None,
        alpha: float = 1.0,
        beta: float = 1.0,
        transA: int = 0,  # noqa: N803 - ONNX's name
        transB: int = 0,  # noqa: N803
    ) -> tuple[Array]:
        out = _matrix_product(a.T if transA else a, b.T if transB else b)
        out *= float(alpha)
        if c is not None:
            out += c if beta == 1 else c * float(beta)
        return (out,)


class MatMul(OpRun):
    """Widens as `Gemm` does."""

    def _run(self, a: Array, b: Array) -> tuple[Array]:
        return (_matrix_product(a, b),)


def _matrix_product(a: Array, b: Array) -> Array:
    if a.dtype.kind in "iu":
        return np.asarray(np.matmul(a, b))
    if a.dtype == b.dtype == np.float32:  # not a value of the graph, which are float64: its natural scale
        return np.asarray(np.matmul(a, b))
    a = a.astype(np.float64, copy=False)
    if b.dtype == np.float64 or b.ndim != 2:
        return np.asarray(np.matmul(a, b.astype(np.float64, copy=False)))
    out = np.empty((*a.shape[:-1], b.shape[1]))
    columns = max(1, _WIDENED // max(1, len(b)))
    for begin in range(0, b.shape[1], columns):
        some = slice(begin, begin + columns)
        # Transposed back and forth, so that the copy has the matrix's memory layout.
        out[..., some] = np.matmul(a, b.T[some].astype(np.float64).T)
    return out


class BatchNormalization(OpRun):
    """With one new array in place of onnx's five."""

    def _run(
        self,
        x: Array,
        scale: Array,
        bias: Array,
        mean: Array,
        var: Array,
        epsilon: float = 1e-5,
        momentum: float = 0.9,  # noqa: ARG002 - of training
        training_mode: int = 0,
    ) -> tuple[Array]:
        if training_mode:
            raise NotImplementedError("BatchNormalization with training_mode=1")
        axes = (-1, *(1,) * (x.ndim - 2))
        y = x - mean.reshape(axes)
        y *= (scale / np.sqrt(var + float(epsilon))).reshape(axes)
        y += bias.reshape(axes)
        return (y,)


class LRN(OpRun):
    """onnx 1.23 mistakes the batch size for the number of channels."""

    def _run(self, x: Array, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0, size: int = 1) -> tuple[Array]:
        channels, before = x.shape[1], (size - 1) // 2
        padded = np.zeros((len(x), channels + size - 1, *x.shape[2:]), x.dtype)
        np.square(x, out=padded[:, before : before + channels])
        total = padded[:, :channels].copy()
        for begin in range(1, size):
            total += padded[:, begin : begin + channels]
        return (x / (float(bias) + float(alpha) / size * total) ** float(beta),)


class LogSoftmax(OpRun):
    """onnx's own takes the logarithm of a softmax that underflowed to 0."""

    def _run(self, x: Array, axis: int = -1) -> tuple[Array]:
        y = x - np.max(x, axis=axis, keepdims=True)
        y -= np.log(np.sum(np.exp(y), axis=axis, keepdims=True))
        return (y,)


class NonMaxSuppression(op_non_max_suppression.NonMaxSuppression):
    """onnx's takes no scalars for its limits, only lists of one, and needs all of them."""

    def _run(self, boxes: Array, scores: Array, *limits: Array | None, center_point_box: int = 0) -> tuple[Array]:
        most, overlap, least = (
            np.array([default]) if limit is None else np.reshape(limit, 1)
            for limit, default in zip_longest(limits, (0, 0.0, -np.inf))
        )
        chosen: tuple[Array] = super()._run(boxes, scores, most, overlap, least, center_point_box)  # type: ignore[no-untyped-call]
        return chosen


class Pad(OpRun):
    """onnx's own rejects negative pads, which crop."""

    def _run(
        self,
        x: Array,
        pads: Array,
        value: Array | None = None,
        axes: Array | None = None,
        mode: Any = "constant",
    ) -> tuple[Array]:
        chosen = range(x.ndim) if axes is None else [int(axis) % x.ndim for axis in axes]
        if len(pads) != 2 * len(chosen) or mode not in _PADDING:
            raise ValueError(f"pads {pads.tolist()} with mode={mode} don't fit a tensor {x.shape}")
        widths = [(0, 0)] * x.ndim
        for axis, before, after in zip(chosen, *np.split(pads, 2), strict=True):
            length = x.shape[axis]
            inside = slice(max(0, -int(before)), length - max(0, -int(after)))
            x = x[(slice(None),) * axis + (inside,)]
            widths[axis] = (max(0, int(before)), max(0, int(after)))
        if mode != "constant":
            return (np.pad(x, widths, mode=mode),)
        return (np.pad(x, widths, constant_values=0 if value is None else value.item()),)


class DequantizeLinear(OpRun):
    """onnx's has none before opset 19, and rounds integers of 32 bits to float32."""

    def _run(
        self,
        x: Array,
        scale: Array,
        zero_point: Array | None = None,
        axis: int = 1,
        block_size: int = 0,
        output_dtype: int | None = None,  # noqa: ARG002 - all are float64
    ) -> tuple[Array]:
        wide = x.astype(np.float64)
        if zero_point is not None:
            wide -= reshape_input(zero_point.astype(np.float64), x.shape, axis, block_size)
        return (wide * reshape_input(scale, x.shape, axis, block_size),)


class Erf(OpRun):
    """onnx's own returns float32, element by element."""

    def _run(self, x: Array) -> tuple[Array]:
        return (_by_block(x, _erf),)


class Gelu(OpRun):
    """onnx's own uses its `Erf`."""

    def _run(self, x: Array, approximate: str = "none") -> tuple[Array]:
        if approximate not in ("none", "tanh"):
            raise ValueError(f"approximate={approximate} is not known")
        return (_by_block(x, _gelu if approximate == "none" else _gelu_by_tanh),)


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


OPERATORS: list[type[OpRun]] = [
    AffineGrid,
    AveragePool,
    BatchNormalization,
    Conv,
    ConvTranspose,
    DeformConv,
    DequantizeLinear,
    Erf,
    GatherElements,
    GatherND,
    Gelu,
    Gemm,
    GridSample,
    LRN,
    LogSoftmax,
    Loop,
    MatMul,
    MaxPool,
    NonMaxSuppression,
    Pad,
    Resize,
    Scan,
    ScatterElements,
    ScatterND,
]
"""By the ONNX specification from opset 11 on."""
WIDENING = frozenset({"Gemm", "MatMul"})
"""Those that take float32 matrices and widen them themselves."""
