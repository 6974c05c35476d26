"""Pools for onnx's evaluator, axis by axis: the maximum over a window is that of its rows' maxima.

onnx's own visit each window in a Python loop, and its GlobalMaxPool is right for two spatial axes only.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx.reference.op_run import OpRun

from .windows import Windows

__all__ = ["AveragePool", "GlobalLpPool", "GlobalMaxPool", "LpPool", "MaxPool", "MaxUnpool"]

Array = NDArray[Any]


class MaxPool(OpRun):
    """N C *spatial; padding is never the maximum."""

    def _run(
        self,
        x: Array,
        auto_pad: str | None = None,
        ceil_mode: int | None = 0,
        dilations: Sequence[int] | None = None,
        kernel_shape: Sequence[int] = (),
        pads: Sequence[int] | None = None,
        storage_order: int | None = 0,
        strides: Sequence[int] | None = None,
    ) -> tuple[Array, ...]:
        windows = _windows(x.shape[2:], kernel_shape, strides, dilations, pads, auto_pad, ceil_mode)
        lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
        padded = windows.padded(x, lowest)
        if len(self.output) == 1:
            return (_reduce(np.maximum, padded, windows),)
        axes = x.shape[2:][::-1] if storage_order else x.shape[2:]
        places = np.arange(math.prod(x.shape)).reshape(*x.shape[:2], *axes)
        if storage_order:  # the first spatial axis runs fastest
            places = places.transpose(0, 1, *range(x.ndim - 1, 1, -1))
        return _largest_and_where(padded, windows.padded(places, -1), windows)


class AveragePool(OpRun):
    """N C *spatial; padding counts in the divisor only with `count_include_pad`."""

    def _run(
        self,
        x: Array,
        auto_pad: str | None = None,
        ceil_mode: int | None = 0,
        count_include_pad: int | None = 0,
        dilations: Sequence[int] | None = None,
        kernel_shape: Sequence[int] = (),
        pads: Sequence[int] | None = None,
        strides: Sequence[int] | None = None,
    ) -> tuple[Array]:
        windows = _windows(x.shape[2:], kernel_shape, strides, dilations, pads, auto_pad, ceil_mode)
        out = _reduce(np.add, windows.padded(x, 0), windows)
        for axis in range(x.ndim - 2):
            counts = _count(windows, axis, bool(count_include_pad))
            out /= counts.reshape(-1, *(1,) * (x.ndim - 3 - axis))
        return (out,)


class LpPool(OpRun):
    """N C *spatial; onnx's own counts the padding out of the mean from which it computes the sum."""

    def _run(
        self,
        x: Array,
        auto_pad: str | None = None,
        ceil_mode: int | None = 0,
        dilations: Sequence[int] | None = None,
        kernel_shape: Sequence[int] = (),
        p: int = 2,
        pads: Sequence[int] | None = None,
        strides: Sequence[int] | None = None,
    ) -> tuple[Array]:
        windows = _windows(x.shape[2:], kernel_shape, strides, dilations, pads, auto_pad, ceil_mode)
        return (_reduce(np.add, windows.padded(np.abs(x) ** p, 0), windows) ** (1 / p),)


class GlobalLpPool(OpRun):
    """N C *spatial to N C 1 ...; onnx has none."""

    def _run(self, x: Array, p: int = 2) -> tuple[Array]:
        return (np.sum(np.abs(x) ** p, axis=tuple(range(2, x.ndim)), keepdims=True) ** (1 / p),)


class GlobalMaxPool(OpRun):
    """N C *spatial to N C 1 ...."""

    def _run(self, x: Array) -> tuple[Array]:
        return (np.max(x, axis=tuple(range(2, x.ndim)), keepdims=True),)


class MaxUnpool(OpRun):
    """N C *spatial to the larger tensor that MaxPool took, in which its indices count, and zeros elsewhere.

    By onnx's own, they count in the tensor that kernel, strides and pads lead to, even where `output_shape` has another
    size: then no index of a MaxPool that left a row over would be right. ONNX Runtime takes them as it is done here.
    """

    def _run(
        self,
        x: Array,
        indices: Array,
        output_shape: Array | None = None,
        kernel_shape: Sequence[int] = (),
        pads: Sequence[int] | None = None,
        strides: Sequence[int] | None = None,
    ) -> tuple[Array]:
        axes = len(kernel_shape)
        strides, pads = strides or (1,) * axes, pads or (0,) * (2 * axes)
        shape = [
            *x.shape[:2],
            *((x.shape[2 + i] - 1) * strides[i] - pads[i] - pads[axes + i] + kernel_shape[i] for i in range(axes)),
        ]
        out = np.zeros(shape if output_shape is None else output_shape.tolist(), x.dtype)
        out.reshape(-1)[indices.reshape(-1)] = x.reshape(-1)
        return (out,)


def _windows(*given: Any) -> Windows:
    """Return the windows of a pool, whose pads are smaller than its kernel, as every runtime demands.

    Raises:
        ValueError: they are not, or the attributes contradict one another.
    """
    windows = Windows.of(*given)
    for kernel, dilation, *pads in zip(windows.kernel, windows.dilations, windows.before, windows.after, strict=True):
        if max(pads) > (kernel - 1) * dilation:
            raise ValueError(f"pads of {list(windows.before + windows.after)} are not smaller than the kernel")
    return windows


def _reduce(function: np.ufunc, padded: Array, windows: Windows) -> Array:
    for axis in range(len(windows.kernel)):
        ahead = (slice(None),) * (2 + axis)
        total: Array = padded[(*ahead, windows.tap(axis, 0))].copy()
        for position in range(1, windows.kernel[axis]):
            function(total, padded[(*ahead, windows.tap(axis, position))], out=total)
        padded = total
    return padded


def _largest_and_where(padded: Array, places: Array, windows: Windows) -> tuple[Array, Array]:
    """Return the maxima and where each occurs first, as a position in the whole flattened tensor."""
    everything = (slice(None), slice(None))
    taps = iter(windows.taps())
    first = (*everything, *next(taps)[1])
    largest, where = padded[first].copy(), places[first].copy()
    for _, under in taps:
        found, place = padded[(*everything, *under)], places[(*everything, *under)]
        better = (found > largest) | ((where < 0) & (place >= 0))
        np.copyto(largest, found, where=better)
        np.copyto(where, place, where=better)
    return largest, where


def _count(windows: Windows, axis: int, include_padding: bool) -> Array:
    """Return how many elements each window has along an axis; what ceil_mode adds beyond the padding never counts."""
    begins = np.arange(windows.out[axis]) * windows.strides[axis] - windows.before[axis]
    places = begins[:, None] + np.arange(windows.kernel[axis]) * windows.dilations[axis]
    low, high = (-windows.before[axis], windows.after[axis]) if include_padding else (0, 0)
    inside = (places >= low) & (places < windows.size[axis] + high)
    counts: Array = inside.sum(axis=1, dtype=np.float64)
    return counts
