"""Resize for onnx's evaluator, axis by axis, as a weighted sum of the few elements that make up each new one.

onnx's own gathers all of them at once, and before onnx 1.23 it goes element by element.
"""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx.reference.op_run import OpRun

__all__ = ["Resize"]

Array = NDArray[Any]

_NEAREST: dict[str, Callable[[Array], Array]] = {
    "round_prefer_floor": lambda place: np.ceil(place - 0.5),
    "round_prefer_ceil": lambda place: np.floor(place + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


class Resize(OpRun):
    """Any tensor to other sizes along `axes`."""

    def _run(
        self,
        x: Array,
        roi: Array | None = None,  # noqa: ARG002 - of tf_crop_and_resize
        scales: Array | None = None,
        sizes: Array | None = None,
        antialias: int | None = 0,
        axes: Sequence[int] | None = None,
        coordinate_transformation_mode: str = "half_pixel",
        cubic_coeff_a: float = -0.75,
        exclude_outside: int = 0,
        extrapolation_value: float = 0.0,  # noqa: ARG002 - of tf_crop_and_resize
        keep_aspect_ratio_policy: str | None = "stretch",
        mode: str = "nearest",
        nearest_mode: str = "round_prefer_floor",
    ) -> tuple[Array]:
        if keep_aspect_ratio_policy not in (None, "stretch"):
            raise NotImplementedError(f"Resize with keep_aspect_ratio_policy={keep_aspect_ratio_policy}")
        if mode != "nearest" and x.dtype.kind != "f":
            raise NotImplementedError(f"Resize of {x.dtype} with mode={mode}")
        chosen = range(x.ndim) if axes is None else [axis % x.ndim for axis in axes]
        given = sizes if sizes is not None and sizes.size else scales
        if given is None or len(given) != len(chosen):
            raise ValueError("Resize takes either a scale or a size for each axis")
        for axis, wanted in zip(chosen, given.tolist(), strict=True):
            length = x.shape[axis]
            size = wanted if given is sizes else math.floor(wanted * length)
            scale = Fraction(wanted, length) if given is sizes else _as_meant(wanted)
            if size == length and math.isclose(scale, 1):
                continue
            place = _places(size, scale, length, coordinate_transformation_mode)
            if mode == "nearest":
                taps = [(_NEAREST[nearest_mode](place), None)]
            elif mode in ("linear", "cubic"):
                shrunk = min(float(scale), 1.0) if antialias else 1.0
                taps = _taps(place, shrunk, float(cubic_coeff_a) if mode == "cubic" else None)
                taps = _normalised(taps, length if exclude_outside else None)
            else:
                raise ValueError(f"mode={mode} is not known")
            x = _sum_of_taps(x, axis, taps)
        return (x,)


def _as_meant(scale: float) -> Fraction:
    """Return the ratio of small integers that a scale was before ONNX rounded it to float32.

    With 1.6, element 8 comes from 5; with the float32 next to 1.6, from just below 5, which `floor` turns into 4.
    Runtimes compute in float32, where that is rounded away again.
    """
    meant = Fraction(scale).limit_denominator(1000)
    return meant if np.float32(float(meant)) == scale else Fraction(scale)


def _places(size: int, scale: Fraction, length: int, mode: str) -> Array:
    """Return where each of `size` new elements lies among the `length` old ones."""
    new = np.arange(size, dtype=np.float64)
    if mode == "align_corners":
        return new * (length - 1) / (size - 1) if size > 1 else np.zeros(1)
    if mode == "asymmetric":
        return new * scale.denominator / scale.numerator
    if mode == "half_pixel" or (mode == "pytorch_half_pixel" and size > 1):
        return (new + 0.5) * scale.denominator / scale.numerator - 0.5
    if mode == "pytorch_half_pixel":
        return np.zeros(1)
    if mode == "half_pixel_symmetric":
        offset = length / 2 * (1 - size / float(scale * length))
        return offset + (new + 0.5) * scale.denominator / scale.numerator - 0.5
    raise NotImplementedError(f"Resize with coordinate_transformation_mode={mode}")


def _taps(place: Array, shrunk: float, cubic: float | None) -> list[tuple[Array, Any]]:
    """Return the indices around each place and their weights; with antialiasing, more of them the more it shrinks."""
    reach = math.ceil((1 if cubic is None else 2) / shrunk)
    below = np.floor(place)
    taps = []
    for step in range(1 - reach, 1 + reach):
        distance = np.abs(below + step - place) * shrunk
        taps.append((below + step, np.maximum(0, 1 - distance) if cubic is None else _cubic(distance, cubic)))
    return taps


def _cubic(distance: Array, a: float) -> Array:
    """Keys' cubic convolution."""
    near = ((a + 2) * distance - (a + 3)) * distance * distance + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))


def _normalised(taps: list[tuple[Array, Any]], within: int | None) -> list[tuple[Array, Any]]:
    """Return the taps with weights that add up to 1, and are 0 for indices outside of `within`."""
    if within is not None:
        taps = [(index, np.where((index >= 0) & (index < within), weight, 0)) for index, weight in taps]
    total = sum(weight for _, weight in taps)
    return [(index, weight / total) for index, weight in taps]


def _sum_of_taps(x: Array, axis: int, taps: list[tuple[Array, Any]]) -> Array:
    out: Array | None = None
    for index, weight in taps:
        # Beyond the ends, the outermost element is repeated.
        inside = np.clip(index, 0, x.shape[axis] - 1).astype(np.intp)
        term = x.take(inside, axis=axis)
        if weight is not None:
            term *= weight.reshape(-1, *(1,) * (x.ndim - 1 - axis))
        out = term if out is None else np.add(out, term, out=out)
    assert out is not None
    return out
