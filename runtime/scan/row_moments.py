"""A batch of all outputs -> count, mean, variance, range, zeros and NaN of each image and channel, and of each channel.

Everything is computed in float64 from the float32 elements, outside of the model's graph. Reductions inside it, as
nodes of their own, were measured on a ResNet-18 (CPU time of an image, ONNX Runtime 1.31): the probe alone takes 43 ms,
with ReduceMin and ReduceMax of all outputs 44, with float32 sums, whose digits don't suffice, 53, with `Cast` to
float64 and its sums 56.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .channel_moments import ChannelMoments, Counts, Floats

__all__ = ["Rows", "moments_of", "reduced_by", "reduced_rows", "row_kernels"]

_BLOCK = 65_536
"""Elements that are reduced at once: half a megabyte in float64, which stays in the second-level cache."""
_CANCELS = 256.0
"""How much larger than the variance a squared mean may be, before the sum of squares has lost too many digits."""


@cache
def row_kernels() -> ModuleType | None:
    """Return the compiled loops, or None if numba isn't installed."""
    try:
        from . import row_kernels as found
    except ImportError:  # also of a numba that is older than NumPy
        return None
    return found


def reduced_by() -> str:
    """Return what computes the sums, on which their last bits depend."""
    if row_kernels() is None:
        return f"NumPy {np.__version__}"
    import numba

    return f"numba {numba.__version__}"


@dataclass(frozen=True)
class Rows:
    """The statistics of each image and channel of a batch; each field is N P, as of `ChannelMoments`."""

    count: Counts
    total: Floats
    squares: Floats
    low: Floats
    high: Floats
    zeros: Counts
    nan: Counts
    infinite: Counts

    @property
    def means(self) -> Floats:
        """The mean of each image and channel, N P; 0 where nothing is finite."""
        return self.total / np.maximum(self.count, 1)

    def part(self, begin: int, end: int) -> "Rows":
        """Return the statistics of some of the channels, which share their memory."""
        return Rows(**{each.name: getattr(self, each.name)[:, begin:end] for each in fields(self)})


def reduced_rows(outputs: Sequence[NDArray[Any]]) -> Rows:
    """Reduce the outputs of a batch, N C K each, to the statistics of each image and channel, output after output.

    Args:
        outputs: real numbers or booleans, contiguous: K elements of each channel in each image.
    """
    images, channels = len(outputs[0]), [values.shape[1] for values in outputs]
    size = images, sum(channels)
    rows = Rows(
        count=np.empty(size, np.int64),
        total=np.empty(size),
        squares=np.empty(size),
        low=np.empty(size),
        high=np.empty(size),
        zeros=np.zeros(size, np.int64),
        nan=np.zeros(size, np.int64),
        infinite=np.zeros(size, np.int64),
    )
    ends = np.cumsum(channels)
    parts = [rows.part(int(end) - count, int(end)) for end, count in zip(ends, channels, strict=True)]
    kernels = row_kernels()
    # Invalid: infinity less infinity, in rows that are then reduced once more without it.
    with np.errstate(all="ignore"):
        for values, part in zip(outputs, parts, strict=True):
            part.count[...] = values.shape[2]
            if kernels is not None and values.dtype == np.float32:
                kernels.reduce_rows(values, part.total, part.squares, part.low, part.high, part.zeros)
            else:
                _reduce_blocks(values, part)
        squared = rows.squares.copy()
        # float32's squares don't overflow float64: a sum of them is finite exactly if all elements are.
        rows.squares[...] = np.maximum(squared - np.square(rows.total) / np.maximum(rows.count, 1), 0.0)
        cancels = np.square(rows.total) > _CANCELS * rows.count * rows.squares
        again = ~np.isfinite(squared) | (cancels & (rows.count > 1) & (squared != 0))
        for image, place in np.argwhere(again):
            index = int(np.searchsorted(ends, place, "right"))
            channel = place - (ends[index] - channels[index])
            _reduce_row(outputs[index][image, channel], parts[index], (image, channel))
    return rows


def _reduce_blocks(values: NDArray[Any], part: Rows) -> None:
    """Write the sums, in `squares` those of squares, the range and the zeros of N C K."""
    images, channels, each = values.shape
    flat = values.reshape(images * channels, each)
    found: dict[str, NDArray[Any]] = {
        name: np.zeros(len(flat)) for name in ("total", "squares", "low", "high", "zeros")
    }
    step = max(1, _BLOCK // max(each, 1))
    wide = np.empty((min(step, len(flat)), each))
    for begin in range(0, len(flat), step):
        block, place = flat[begin : begin + step], slice(begin, begin + step)
        held = wide[: len(block)]
        np.copyto(held, block)
        if each == 1:
            found["total"][place], found["squares"][place] = held[:, 0], np.square(held[:, 0])
        else:
            found["total"][place], found["squares"][place] = held.sum(axis=1), np.vecdot(held, held)
        if each:
            # A zero is added so that no zero has a sign.
            found["low"][place], found["high"][place] = held.min(axis=1) + 0.0, held.max(axis=1) + 0.0
        else:
            found["low"][place], found["high"][place] = np.inf, -np.inf
        zero = block == 0
        if zero.any():
            # Counted by summing float32: exact up to 2**24 elements, and four times as fast as integers.
            found["zeros"][place] = zero.sum(axis=1) if each >= 2**24 else zero.astype(np.float32).sum(axis=1)
    for name, numbers in found.items():
        getattr(part, name)[...] = numbers.reshape(images, channels)


def _reduce_row(row: NDArray[Any], part: Rows, place: tuple[int, int]) -> None:
    """Reduce one row in two passes, over its finite elements."""
    wide = row.astype(np.float64)
    finite = wide[np.isfinite(wide)]
    part.count[place] = finite.size
    part.nan[place] = np.isnan(wide).sum()
    part.infinite[place] = wide.size - finite.size - part.nan[place]
    part.total[place] = finite.sum()
    if finite.size:
        part.low[place], part.high[place] = finite.min() + 0.0, finite.max() + 0.0
        away = finite - part.total[place] / finite.size
        # What the mean itself lacks in its last digits is taken out again.
        part.squares[place] = np.vecdot(away, away) - np.square(away.sum()) / finite.size
    else:
        part.low[place], part.high[place], part.squares[place] = np.inf, -np.inf, 0.0


def moments_of(rows: Rows, outputs: Sequence[NDArray[Any]], images: Counts, known: ChannelMoments) -> ChannelMoments:
    """Return the statistics of each channel over a batch.

    Args:
        rows: of the batch.
        outputs: the batch, from which elements at the extremes are counted.
        images: the number of each image.
        known: of what came before, some of it or all: where that is more extreme, nothing needs to be counted.
    """
    count = rows.count.sum(axis=0)
    mean = rows.total.sum(axis=0) / np.maximum(count, 1)
    found = ChannelMoments(
        count=count,
        mean=mean,
        squares=(rows.squares + rows.count * np.square(rows.means - mean)).sum(axis=0),
        low=rows.low.min(axis=0),
        high=rows.high.max(axis=0),
        zeros=rows.zeros.sum(axis=0),
        at_low=np.zeros_like(count),
        at_high=np.zeros_like(count),
        nan=rows.nan.sum(axis=0),
        infinite=rows.infinite.sum(axis=0),
        low_image=np.where(count > 0, images[rows.low.argmin(axis=0)], -1),
        high_image=np.where(count > 0, images[rows.high.argmax(axis=0)], -1),
    )
    # NaN equals nothing: there, nothing is counted.
    low = np.where((found.low > known.low) | (found.low == 0), np.nan, found.low)
    high = np.where((found.high < known.high) | (found.high == 0), np.nan, found.high)
    _count_extremes(rows, outputs, low, high, found)
    return replace(
        found,
        at_low=np.where(found.low == 0, found.zeros, found.at_low),
        at_high=np.where(found.high == 0, found.zeros, found.at_high),
    )


def _count_extremes(
    rows: Rows, outputs: Sequence[NDArray[Any]], low: Floats, high: Floats, found: ChannelMoments
) -> None:
    """Write into `at_low` and `at_high`; only images that reach an extreme are looked through."""
    kernels = row_kernels()
    begin = 0
    for values in outputs:
        place = slice(begin, begin := begin + values.shape[1])
        sides = (
            (rows.low[:, place], low[place], found.at_low[place]),
            (rows.high[:, place], high[place], found.at_high[place]),
        )
        if kernels is not None and values.dtype == np.float32:
            (lows, least, at_low), (highs, most, at_high) = sides
            kernels.count_equal(values, lows, highs, least, most, at_low, at_high)
            continue
        for extremes, extreme, counts in sides:
            images, channels = np.nonzero(extremes == extreme)
            reached = (values[images, channels] == extreme[channels, None]).sum(axis=1)
            counts += np.bincount(channels, reached, minlength=values.shape[1]).astype(np.int64)
