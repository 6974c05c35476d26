"""A batch of all outputs -> count, mean, variance, range, zeros and NaN of each image and channel, and of each channel.

Everything is computed in float64 from the float32 elements, outside of the model's graph. Reductions inside it, as
nodes of their own, were measured on a ResNet-18 (CPU time of an image, ONNX Runtime 1.31): the probe alone takes 43 ms,
with ReduceMin and ReduceMax of all outputs 44, with float32 sums, whose digits don't suffice, 53, with `Cast` to
float64 and its sums 56.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from threading import local
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .channel_moments import CANCELS, ChannelMoments, Counts, Floats
from .compiled_loops import compiled
from .sample_counts import Samples, sampled, sampled_places

__all__ = ["Rows", "added", "moments_of", "reduced_rows"]

_OF_THREAD = local()
_BLOCK = 65_536
"""Elements that are reduced at once: half a megabyte in float64, which stays in the second-level cache."""


@dataclass(frozen=True)
class Rows:
    """The statistics of each image and channel of a batch."""

    count: Counts
    """N P, as of `ChannelMoments`."""
    nan: Counts
    """N P"""
    infinite: Counts
    """N P"""
    sums: Floats
    """2 N P: the sum of the finite elements, and that of their squared distances from their mean."""
    extremes: Floats
    """2 N P: the least and the largest."""
    counts: Counts
    """3 N P: zeros; elements that equal the least, and the largest, if that isn't 0 and not within what is known."""

    @property
    def means(self) -> Floats:
        """The mean of each image and channel, N P; 0 where nothing is finite."""
        return np.asarray(self.sums[0] / np.maximum(self.count, 1))

    def part(self, begin: int, end: int) -> "Rows":
        """Return the statistics of some of the channels, which share their memory."""
        return Rows(**{each.name: getattr(self, each.name)[..., begin:end] for each in fields(self)})


def reduced_rows(outputs: Sequence[NDArray[Any]], known: ChannelMoments) -> tuple[Rows, Samples]:
    """Reduce the outputs of a batch to the statistics of each image and channel, output after output.

    Args:
        outputs: N C K each, contiguous, of real numbers or booleans: K elements of each channel in each image.
        known: of images before, some or all: extremes that lie within theirs aren't counted.

    Returns:
        The statistics, which this thread's next batch overwrites; and of each output the elements that the histograms
        count.
    """
    images, channels = len(outputs[0]), [values.shape[1] for values in outputs]
    size, ends = (images, sum(channels)), np.cumsum(channels)
    rows = _rows_in_place(size)
    rows.count[...] = np.repeat([values.shape[2] for values in outputs], channels)
    rows.nan[...] = rows.infinite[...] = 0
    again, samples = np.empty(size, np.bool_), []
    kernels = compiled()
    # Invalid: infinity less infinity, in rows that are then reduced once more without it.
    with np.errstate(all="ignore"):
        limits = np.stack([known.low, known.high])
        keys = np.empty((2, *size), np.int32)
        known_keys = kernels.keys_of(limits) if kernels is not None else keys
        by_numpy = []
        for values, end in zip(outputs, ends.tolist(), strict=True):
            place = slice(end - values.shape[1], end)
            if kernels is not None and values.dtype == np.float32:
                at = sampled_places(*values.shape[1:])
                of_rows = rows.sums[..., place], keys[..., place], rows.counts[..., place], again[..., place]
                samples.append(kernels.reduce_rows(values, known_keys[:, place], at, *of_rows))
            else:
                samples.append(sampled(values))
                by_numpy.append((values, place))
        if kernels is not None:
            rows.extremes[...] = kernels.values_of(keys)
        for values, place in by_numpy:
            again[:, place] = _reduce_blocks(values, limits[:, place], rows.part(place.start, place.stop))
        for image, channel in np.argwhere(again):
            index = int(np.searchsorted(ends, channel, "right"))
            _reduce_row(outputs[index][image, channel - ends[index]], rows, image, channel)
    return rows, samples


def _rows_in_place(size: tuple[int, int]) -> Rows:
    """Return this thread's arrays, N P, of anything: in fresh ones, page faults took 1 ms of a MobileNetV2's image."""
    rows: Rows | None = getattr(_OF_THREAD, "rows", None)
    if rows is None or rows.count.shape != size:
        whole, wide = np.empty((6, *size), np.int64), np.empty((4, *size))
        rows = Rows(whole[0], whole[1], whole[2], wide[:2], wide[2:], whole[3:])
        _OF_THREAD.rows = rows
    return rows


def _reduce_blocks(values: NDArray[Any], known: Floats, part: Rows) -> NDArray[np.bool_]:
    """Do in NumPy what `reduce_rows` does, for any real numbers."""
    images, channels, each = values.shape
    flat = values.reshape(images * channels, each)
    sums, extremes = np.empty((2, len(flat))), np.empty((2, len(flat)))
    counts = np.zeros((3, len(flat)), np.int64)
    least, most = np.tile(known, images)
    step = max(1, _BLOCK // max(each, 1))
    wide = np.empty((min(step, len(flat)), each))
    for begin in range(0, len(flat), step):
        block, place = flat[begin : begin + step], slice(begin, begin + step)
        held = wide[: len(block)]
        np.copyto(held, block)
        sums[0, place] = held.sum(axis=1) if each != 1 else held[:, 0]
        sums[1, place] = np.vecdot(held, held) if each != 1 else np.square(held[:, 0])
        # A zero is added so that no zero has a sign.
        extremes[0, place] = held.min(axis=1, initial=np.inf) + 0.0
        extremes[1, place] = held.max(axis=1, initial=-np.inf) + 0.0
        zero = block == 0
        if zero.any():
            # Counted by summing float32: exact up to 2**24 elements, and four times as fast as integers.
            counts[0, place] = zero.sum(axis=1) if each >= 2**24 else zero.astype(np.float32).sum(axis=1)
        for side, beyond in ((0, extremes[0, place] <= least[place]), (1, extremes[1, place] >= most[place])):
            found = np.flatnonzero(beyond & (extremes[side, place] != 0))
            counts[side + 1, begin + found] = (held[found] == extremes[side, begin + found, None]).sum(axis=1)
    squared = sums[1].copy()
    sums[1] = np.maximum(squared - np.square(sums[0]) / max(each, 1), 0.0)
    cancels = (each > 1) & (np.square(sums[0]) > CANCELS * each * sums[1]) & (squared != 0)
    for name, numbers in (("sums", sums), ("extremes", extremes), ("counts", counts)):
        getattr(part, name)[...] = numbers.reshape(-1, images, channels)
    # float32's squares don't overflow float64: a sum of them is finite exactly if all elements are.
    return np.reshape(cancels | ~np.isfinite(squared), (images, channels))


def _reduce_row(row: NDArray[Any], part: Rows, image: int, channel: int) -> None:
    """Reduce one row in two passes, over its finite elements."""
    place = image, channel
    wide = row.astype(np.float64)
    finite = wide[np.isfinite(wide)]
    part.count[place] = finite.size
    part.nan[place] = np.isnan(wide).sum()
    part.infinite[place] = wide.size - finite.size - part.nan[place]
    total = finite.sum()
    low, high = (finite.min() + 0.0, finite.max() + 0.0) if finite.size else (np.inf, -np.inf)
    part.extremes[:, image, channel] = low, high
    part.counts[1:, image, channel] = (finite == low).sum() * (low != 0), (finite == high).sum() * (high != 0)
    away = finite - total / max(finite.size, 1)
    # What the mean itself lacks in its last digits is taken out again.
    part.sums[:, image, channel] = total, np.vecdot(away, away) - np.square(away.sum()) / max(finite.size, 1)


def moments_of(rows: Rows, images: Counts) -> ChannelMoments:
    """Return the statistics of each channel over a batch; `images` are the numbers of its images."""
    kernels = compiled()
    if kernels is not None:
        found = ChannelMoments.empty(rows.count.shape[1])
        kernels.fold_rows(tuple(getattr(rows, each.name) for each in fields(rows)), images, *found.by_type())
        return found
    count, (low, high) = rows.count.sum(axis=0), (rows.extremes[0].min(axis=0), rows.extremes[1].max(axis=0))
    mean = rows.sums[0].sum(axis=0) / np.maximum(count, 1)
    zeros = rows.counts[0].sum(axis=0)
    reached = rows.extremes == np.stack([low, high])[:, None]
    at_low, at_high = (rows.counts[1:] * reached).sum(axis=1)
    return ChannelMoments(
        count=count,
        mean=mean,
        squares=(rows.sums[1] + rows.count * np.square(rows.means - mean)).sum(axis=0),
        low=low,
        high=high,
        zeros=zeros,
        at_low=np.where(low == 0, zeros, at_low),
        at_high=np.where(high == 0, zeros, at_high),
        nan=rows.nan.sum(axis=0),
        infinite=rows.infinite.sum(axis=0),
        low_image=np.where(count > 0, images[rows.extremes[0].argmin(axis=0)], -1),
        high_image=np.where(count > 0, images[rows.extremes[1].argmax(axis=0)], -1),
    )


def added(known: ChannelMoments, batch: ChannelMoments) -> ChannelMoments:
    """Return the statistics of both, for which those that are known may be changed in place."""
    kernels = compiled()
    if kernels is None:
        return known.merged(batch)
    kernels.merge_moments(*known.by_type(), *batch.by_type())
    return known
