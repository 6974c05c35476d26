"""Resize and Upsample for onnx's evaluator, axis by axis: each new element as a weighted sum of a few old ones.

onnx's own gathers all of them at once, and before onnx 1.23 it goes element by element.
"""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx.reference.op_run import OpRun

__all__ = ["Resize", "ResizeByScales", "UpsampleByAttribute"]

Array = NDArray[Any]

_NEAREST: dict[str, Callable[[Array], Array]] = {
    "round_prefer_floor": lambda place: np.ceil(place - 0.5),
    "round_prefer_ceil": lambda place: np.floor(place + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


_OFFSETS = {
    "asymmetric": (0.0, 0.0),
    "half_pixel": (0.5, -0.5),
    "half_pixel_symmetric": (0.5, -0.5),
    "pytorch_half_pixel": (0.5, -0.5),
    "tf_half_pixel_for_nn": (0.5, 0.0),
}
"""What is added to a new place before it is divided by the scale, and after."""


class Resize(OpRun):
    """Any tensor to other sizes along `axes`: since opset 11."""

    def _run(
        self,
        x: Array,
        roi: Array | None = None,
        scales: Array | None = None,
        sizes: Array | None = None,
        antialias: int | None = 0,
        axes: Sequence[int] | None = None,
        coordinate_transformation_mode: str = "half_pixel",
        cubic_coeff_a: float = -0.75,
        exclude_outside: int = 0,
        extrapolation_value: float = 0.0,
        keep_aspect_ratio_policy: str | None = "stretch",
        mode: str = "nearest",
        nearest_mode: str = "round_prefer_floor",
    ) -> tuple[Array]:
        chosen = range(x.ndim) if axes is None else [axis % x.ndim for axis in axes]
        targets = _targets([x.shape[axis] for axis in chosen], scales, sizes, keep_aspect_ratio_policy or "stretch")
        crops = [(0.0, 1.0)] * len(chosen)
        if coordinate_transformation_mode == "tf_crop_and_resize":
            if roi is None or len(roi) != 2 * len(chosen):
                raise ValueError("tf_crop_and_resize takes where each axis begins and ends")
            crops = list(zip(*np.split(roi, 2), strict=True))
        given = x.dtype
        if given.kind in "iu" and mode == "linear" and not antialias:
            x = x.astype(np.float64)
        outside = []
        for axis, target, crop in zip(chosen, targets, crops, strict=True):
            length, (size, scale) = x.shape[axis], target
            if size == length and math.isclose(scale, 1) and crop == (0, 1):
                continue
            place = _places(size, scale, length, coordinate_transformation_mode, crop)
            if coordinate_transformation_mode == "tf_crop_and_resize":
                outside.append((axis, (place < 0) | (place > length - 1)))
            cubic = float(cubic_coeff_a) if mode == "cubic" else None
            shrunk = min(float(scale), 1.0) if antialias else 1.0
            x = _resized(x, axis, place, mode, _NEAREST[nearest_mode], shrunk, cubic, bool(exclude_outside))
        for axis, beyond in outside:
            x[(slice(None),) * axis + (beyond,)] = extrapolation_value
        return (x if x.dtype == given else _cut_off(x).astype(given),)


def _cut_off(x: Array) -> Array:
    """Return whole numbers for interpolated integers, nearer to 0: ONNX says nothing, ONNX Runtime converts them so.

    An integer that float64's own rounding has moved is what it was.
    """
    whole = np.rint(x)
    return np.where(np.abs(x - whole) < _OF_ROUNDING, whole, np.trunc(x))


_OF_ROUNDING = 1e-6


class ResizeByScales(OpRun):
    """Resize of opset 10 and Upsample, whose rounding no definition gives: as ONNX Runtime does it."""

    def _run(self, x: Array, scales: Array, mode: str = "nearest") -> tuple[Array]:
        return (_by_scales(x, scales.tolist(), mode),)


class UpsampleByAttribute(OpRun):
    """Upsample before opset 9."""

    def _run(self, x: Array, scales: Sequence[float], mode: str = "nearest") -> tuple[Array]:
        return (_by_scales(x, [float(scale) for scale in scales], mode),)


def _by_scales(x: Array, scales: Sequence[float], mode: str) -> Array:
    targets = _targets(x.shape, np.asarray(scales), None, "stretch")
    for axis, (size, scale) in enumerate(targets):
        if size != x.shape[axis] or not math.isclose(scale, 1):
            place = _places(size, scale, x.shape[axis], "asymmetric", (0, 1))
            x = _resized(x, axis, place, mode, np.ceil if scale < 1 else np.floor, 1.0, None, False)
    return x


def _targets(
    lengths: Sequence[int], scales: Array | None, sizes: Array | None, policy: str
) -> list[tuple[int, Fraction]]:
    """Return the new size of each axis, and by how much it grows."""
    by_size = sizes is not None and sizes.size > 0
    given = sizes if by_size else scales
    if given is None or len(given) != len(lengths):
        raise ValueError("Resize takes either a scale or a size for each axis")
    if not by_size:
        meant = [_as_meant(scale) for scale in given.tolist()]
        pairs = zip(lengths, given.tolist(), meant, strict=True)
        return [(math.floor(scale * length), fraction) for length, scale, fraction in pairs]
    wanted = [Fraction(size, length) for size, length in zip(given.tolist(), lengths, strict=True)]
    if policy == "stretch":
        return list(zip(given.tolist(), wanted, strict=True))
    if policy not in ("not_larger", "not_smaller"):
        raise ValueError(f"keep_aspect_ratio_policy={policy} is not known")
    common = min(wanted) if policy == "not_larger" else max(wanted)
    # Halves are rounded up.
    return [(math.floor(common * length + Fraction(1, 2)), common) for length in lengths]


def _as_meant(scale: float) -> Fraction:
    """Return the ratio of small integers that a scale was before ONNX rounded it to float32.

    With 1.6, element 8 comes from 5; with the float32 next to 1.6, from just below 5, which `floor` turns into 4.
    Runtimes compute in float32, where that is rounded away again.
    """
    meant = Fraction(scale).limit_denominator(1000)
    return meant if np.float32(float(meant)) == scale else Fraction(scale)


def _places(size: int, scale: Fraction, length: int, mode: str, crop: tuple[float, float]) -> Array:
    """Return where each of `size` new elements lies among the `length` old ones."""
    new = np.arange(size, dtype=np.float64)
    if mode == "tf_crop_and_resize":
        begin, end = (float(each) * (length - 1) for each in crop)
        return begin + new * (end - begin) / (size - 1) if size > 1 else np.array([(begin + end) / 2])
    if mode == "align_corners":
        # By the new size as it is; onnx's own evaluator takes it before it is rounded, which misses the last element.
        return new * (length - 1) / max(1, size - 1)
    if mode == "pytorch_half_pixel" and size == 1:
        return np.zeros(1)
    if mode not in _OFFSETS:
        raise NotImplementedError(f"Resize with coordinate_transformation_mode={mode}")
    before, after = _OFFSETS[mode]
    if mode == "half_pixel_symmetric":
        after += length / 2 * (1 - size / float(scale * length))
    return (new + before) * scale.denominator / scale.numerator + after


def _resized(
    x: Array,
    axis: int,
    place: Array,
    mode: str,
    nearest: Callable[[Array], Array],
    shrunk: float,
    cubic: float | None,
    exclude_outside: bool,
) -> Array:
    if mode == "nearest":
        return _sum_of_taps(x, axis, [(nearest(place), None)])
    if mode not in ("linear", "cubic"):
        raise ValueError(f"mode={mode} is not known")
    if x.dtype.kind != "f":
        raise NotImplementedError(f"Resize of {x.dtype} with mode={mode}")
    taps = _taps(place, shrunk, cubic)
    return _sum_of_taps(x, axis, _normalised(taps, x.shape[axis] if exclude_outside else None))


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
