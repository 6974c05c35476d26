"""What detectors do with rectangles, for onnx's evaluator: RoiAlign, MaxRoiPool and NonMaxSuppression.

onnx's own RoiAlign goes pixel by pixel, and takes opset 16's default in older files; its NonMaxSuppression goes pair by
pair, and fails where thresholds are omitted; it has no MaxRoiPool.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx.reference.op_run import OpRun

__all__ = ["MaxRoiPool", "NonMaxSuppression", "RoiAlign"]

Array = NDArray[Any]

_MOST_SAMPLES = 1 << 16
"""Along an axis of a rectangle, so that a broken one doesn't take all memory."""
_MODES: dict[str, Callable[..., Array]] = {"avg": np.mean, "max": np.max}


class RoiAlign(OpRun):
    """N C H W, rectangles R 4 (x1 y1 x2 y2), and of which image each is, to R C h w: the mean or maximum of samples.

    The maximum is that of the four weighted pixels of all samples, not of the interpolated values: so do ONNX's
    definition, its own evaluator and ONNX Runtime.
    """

    def _run(
        self,
        x: Array,
        rois: Array,
        batch_indices: Array,
        mode: str = "avg",
        output_height: int = 1,
        output_width: int = 1,
        sampling_ratio: int = 0,
        spatial_scale: float = 1.0,
        coordinate_transformation_mode: str = "output_half_pixel",
    ) -> tuple[Array]:
        half_pixel = coordinate_transformation_mode == "half_pixel"
        if mode not in _MODES or not (half_pixel or coordinate_transformation_mode == "output_half_pixel"):
            raise ValueError(f"mode={mode} with {coordinate_transformation_mode} is not known")
        sizes = output_height, output_width
        out = np.empty((len(rois), x.shape[1], *sizes), x.dtype)
        for roi, image, result in zip(rois, batch_indices.tolist(), out, strict=True):
            left, top, right, bottom = roi * float(spatial_scale) - (0.5 if half_pixel else 0.0)
            rows, columns = (
                _samples(*axis, sampling_ratio, half_pixel)
                for axis in zip((top, left), (bottom, right), sizes, x.shape[2:], strict=True)
            )
            # A rectangle without area has no samples.
            result[:] = _sampled(x[image], rows, columns, mode) if rows[1] and columns[1] else 0
        return (out,)


_Samples = tuple[list[tuple[Array, Array]], int]


def _samples(begin: float, end: float, bins: int, length: int, ratio: int, half_pixel: bool) -> _Samples:
    """Return the two indices and weights of each sample along an axis, bins * samples, and the samples per bin."""
    span = end - begin if half_pixel else max(end - begin, 1.0)  # a malformed rectangle has size 1
    count = ratio if ratio > 0 else max(0, math.ceil(span / bins))
    if count * bins > _MOST_SAMPLES:
        raise ValueError(f"a rectangle of {span:g} elements takes {count * bins} samples along an axis")
    place = begin + (np.arange(bins)[:, None] + (np.arange(count) + 0.5) / max(count, 1)) * (span / bins)
    place = place.reshape(-1)
    inside = (place >= -1) & (place <= length)
    place = np.clip(place, 0, length - 1)
    low = np.floor(place).astype(np.intp)
    high = np.minimum(low + 1, length - 1)
    return [(low, (1 - (place - low)) * inside), (high, (place - low) * inside)], count


def _sampled(image: Array, rows: _Samples, columns: _Samples, mode: str) -> Array:
    """Return C h w of an image C H W."""
    parts = [
        image[:, row[:, None], column] * (of_row[:, None] * of_column)
        for row, of_row in rows[0]
        for column, of_column in columns[0]
    ]
    value = sum(parts[1:], parts[0]) if mode == "avg" else np.maximum.reduce(parts)
    samples = value.reshape(len(image), -1, rows[1], value.shape[2] // columns[1], columns[1])
    return _MODES[mode](samples, axis=(2, 4))


class MaxRoiPool(OpRun):
    """N C H W and rectangles R 5 (image x1 y1 x2 y2, ends included) to R C h w, as Fast R-CNN defines it."""

    def _run(self, x: Array, rois: Array, pooled_shape: Sequence[int], spatial_scale: float = 1.0) -> tuple[Array]:
        out = np.zeros((len(rois), x.shape[1], *pooled_shape), x.dtype)
        for (image, *roi), result in zip(rois, out, strict=True):
            left, top, right, bottom = (math.floor(each * float(spatial_scale) + 0.5) for each in roi)
            rows = _bins(top, bottom, pooled_shape[0], x.shape[2])
            columns = _bins(left, right, pooled_shape[1], x.shape[3])
            for place in np.ndindex(*pooled_shape):
                under = x[int(image), :, rows[place[0]], columns[place[1]]]
                if under.size:
                    result[(slice(None), *place)] = under.max(axis=(1, 2))
        return (out,)


def _bins(begin: int, end: int, bins: int, length: int) -> list[slice]:
    size = max(end - begin + 1, 1) / bins
    edges = [(math.floor(each * size), math.ceil((each + 1) * size)) for each in range(bins)]
    return [slice(*(min(max(edge + begin, 0), length) for edge in pair)) for pair in edges]


class NonMaxSuppression(OpRun):
    """Rectangles N B 4 with scores N classes B to the best that overlap no better one: K 3 (image, class, index)."""

    def _run(
        self,
        boxes: Array,
        scores: Array,
        most: Array | None = None,
        overlap: Array | None = None,
        least: Array | None = None,
        center_point_box: int = 0,
    ) -> tuple[Array]:
        count = 0 if most is None else int(most.item())
        limit = 0.0 if overlap is None else float(overlap.item())
        chosen = []
        for image, (corners, by_class) in enumerate(zip(_corners(boxes, center_point_box), scores, strict=True)):
            for class_, score in enumerate(by_class):
                order = np.argsort(-score, kind="stable")
                order = order if least is None else order[score[order] > least.item()]
                chosen += [(image, class_, index) for index in _kept(corners, order, count, limit)]
        return (np.array(chosen, np.int64).reshape(-1, 3),)


def _corners(boxes: Array, centered: int) -> Array:
    """Return the lower and the upper corners, N B 2 2."""
    first, second = boxes[..., :2], boxes[..., 2:]
    if centered:
        return np.stack([first - second / 2, first + second / 2], axis=-2)
    return np.stack([np.minimum(first, second), np.maximum(first, second)], axis=-2)


def _kept(corners: Array, order: Array, count: int, limit: float) -> list[int]:
    kept: list[int] = []
    areas = np.prod(corners[:, 1] - corners[:, 0], axis=-1)
    while order.size and len(kept) < count:
        best, order = int(order[0]), order[1:]
        kept.append(best)
        low, high = np.maximum(corners[order, 0], corners[best, 0]), np.minimum(corners[order, 1], corners[best, 1])
        common = np.prod(np.maximum(high - low, 0), axis=-1)
        # As a product, so that rectangles without area overlap none.
        order = order[~((common > limit * (areas[order] + areas[best] - common)) & (common > 0))]
    return kept
