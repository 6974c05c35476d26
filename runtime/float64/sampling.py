"""GridSample, AffineGrid and DeformConv for onnx's evaluator, whose own go pixel by pixel.

Its first two round coordinates to float32, too, and its DeformConv fails on maps of one row or column.
"""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx.reference.op_run import OpRun

__all__ = ["AffineGrid", "DeformConv", "GridSample"]

Array = NDArray[Any]

_MODES = {"linear": "linear", "bilinear": "linear", "nearest": "nearest", "cubic": "cubic", "bicubic": "cubic"}
"""The names in opsets 16 and 20."""


class AffineGrid(OpRun):
    """theta (N 2 3, or N 3 4) to a grid of coordinates from -1 to 1, the last spatial axis first."""

    def _run(self, theta: Array, size: Array, align_corners: int = 0) -> tuple[Array]:
        lengths = [int(length) for length in size[2:]]
        axes = []
        for length in lengths:
            places = np.arange(length, dtype=np.float64)
            axes.append(2 * places / max(1, length - 1) - 1 if align_corners else (2 * places + 1) / length - 1)
        if align_corners:
            axes = [np.zeros(1) if len(places) == 1 else places for places in axes]
        grid = np.meshgrid(*axes, indexing="ij")[::-1]
        homogeneous = np.stack([*grid, np.ones(lengths)], axis=-1).reshape(-1, len(lengths) + 1)
        out = homogeneous @ theta.transpose(0, 2, 1)
        return (out.reshape(len(theta), *lengths, len(lengths)),)


class GridSample(OpRun):
    """N C *spatial at the places of the grid N *out axes, as PyTorch's `grid_sample` defines it."""

    def _run(
        self,
        x: Array,
        grid: Array,
        mode: str = "linear",
        padding_mode: str = "zeros",
        align_corners: int = 0,
    ) -> tuple[Array]:
        if mode not in _MODES or padding_mode not in ("zeros", "border", "reflection"):
            raise ValueError(f"mode={mode} with padding_mode={padding_mode} is not known")
        lengths = x.shape[2:]
        if grid.shape[-1] != len(lengths) or len(grid) != len(x):
            raise ValueError(f"a grid {grid.shape} does not fit a tensor {x.shape}")
        mode = _MODES[mode]
        # By axis of x: the indices that are read (N *out), each with its weight.
        taps = []
        for axis, length in enumerate(lengths):
            place = grid[..., len(lengths) - 1 - axis]
            place = (place + 1) / 2 * (length - 1) if align_corners else ((place + 1) * length - 1) / 2
            if mode != "cubic":
                place = _inside(place, length, padding_mode, bool(align_corners))
            taps.append(
                [
                    _read(index, weight, length, padding_mode, bool(align_corners))
                    for index, weight in _taps(place, mode)
                ]
            )
        batch = np.arange(len(x)).reshape(-1, *(1,) * (grid.ndim - 2))
        channels_last = np.moveaxis(x, 1, -1)
        out = np.zeros((len(x), *grid.shape[1:-1], x.shape[1]), x.dtype)
        for chosen in product(*taps):
            weight = np.prod([each for _, each in chosen], axis=0)
            out += channels_last[(batch, *(index for index, _ in chosen))] * weight[..., None]
        return (np.ascontiguousarray(np.moveaxis(out, -1, 1)),)


class DeformConv(OpRun):
    """N C H W, each tap of the kernel read at its place plus an offset, by bilinear interpolation; zeros outside."""

    def _run(
        self,
        x: Array,
        w: Array,
        offset: Array,
        b: Array | None = None,
        mask: Array | None = None,
        dilations: Sequence[int] | None = None,
        group: int = 1,
        kernel_shape: Sequence[int] | None = None,
        offset_group: int = 1,
        pads: Sequence[int] | None = None,
        strides: Sequence[int] | None = None,
    ) -> tuple[Array]:
        kernel, count = tuple(w.shape[2:]), len(x)
        if x.ndim != 4 or x.shape[1] != w.shape[1] * group or tuple(kernel_shape or kernel) != kernel:
            raise ValueError(f"weights {w.shape} in {group} groups don't fit a tensor {x.shape}")
        out_size = offset.shape[2:]
        # N, offset group, *tap, row or column, *out: what is added to a tap's place.
        offset = offset.reshape(count, offset_group, *kernel, 2, *out_size)
        mask = None if mask is None else mask.reshape(count, offset_group, *kernel, *out_size)
        starts = [
            (np.arange(length) * step - before).reshape(shape)
            for length, step, before, shape in zip(
                out_size, strides or (1, 1), (pads or (0, 0))[:2], ((-1, 1), (1, -1)), strict=True
            )
        ]
        image, part = np.arange(count).reshape(-1, 1, 1, 1), np.arange(offset_group).reshape(-1, 1, 1)
        channels_last = np.moveaxis(x.reshape(count, offset_group, -1, *x.shape[2:]), 2, -1)
        out = np.zeros((count, group, len(w) // group, *out_size), np.result_type(x, w))
        for tap in np.ndindex(kernel):
            places = [
                start + index * dilation + offset[:, :, *tap, axis]
                for axis, (start, index, dilation) in enumerate(zip(starts, tap, dilations or (1, 1), strict=True))
            ]
            read = [
                [_read(index, weight, length, "zeros", align_corners=False) for index, weight in _taps(place, "linear")]
                for place, length in zip(places, x.shape[2:], strict=True)
            ]
            values = sum(
                channels_last[image, part, row, column] * (of_row * of_column)[..., None]
                for (row, of_row), (column, of_column) in product(*read)
            )
            if mask is not None:
                values = values * mask[:, :, *tap, ..., None]
            channels = np.moveaxis(values, -1, 2).reshape(count, group, -1, *out_size)
            weights = w[:, :, *tap].reshape(group, -1, w.shape[1])
            out += np.einsum("goc,ngchw->ngohw", weights, channels, optimize=True)
        out = out.reshape(count, len(w), *out_size)
        return (out if b is None else out + b.reshape(-1, 1, 1),)


def _taps(place: Array, mode: str) -> list[tuple[Array, Array]]:
    """Return the indices around each place and their weights."""
    if mode == "nearest":
        return [(np.rint(place), np.ones_like(place))]
    below = np.floor(place)
    ratio = place - below
    if mode == "linear":
        return [(below, 1 - ratio), (below + 1, ratio)]
    return [(below + step, _cubic(np.abs(ratio - step))) for step in (-1, 0, 1, 2)]


def _cubic(distance: Array) -> Array:
    """Keys' cubic convolution with a = -0.75."""
    a = -0.75
    near = ((a + 2) * distance - (a + 3)) * distance * distance + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))


def _read(index: Array, weight: Array, length: int, padding_mode: str, align_corners: bool) -> tuple[Array, Array]:
    """Return an index inside the tensor, with a weight of 0 where zeros pad it."""
    if padding_mode == "zeros":
        weight = np.where((index >= 0) & (index < length), weight, 0.0)
    else:
        index = _inside(index, length, padding_mode, align_corners)
    return np.clip(np.nan_to_num(index), 0, length - 1).astype(np.intp), weight


def _inside(place: Array, length: int, padding_mode: str, align_corners: bool) -> Array:
    if padding_mode == "border":
        return np.clip(place, 0, length - 1)
    if padding_mode == "reflection":
        low, high = (0.0, length - 1.0) if align_corners else (-0.5, length - 0.5)
        if low == high:
            return np.zeros_like(place)
        span = high - low
        along = np.mod(place - low, 2 * span)
        return np.clip(low + np.minimum(along, 2 * span - along), 0, length - 1)
    return place
