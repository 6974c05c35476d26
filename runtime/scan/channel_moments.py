"""A batch of one output -> count, mean, variance, range, zeros and NaN of each channel, and merging them.

Everything is computed in float64 from the float32 elements, outside of the model's graph. Reductions inside it, as
nodes of their own, were measured on a ResNet-18 (CPU time of an image, ONNX Runtime 1.31): the probe alone takes 43 ms,
with ReduceMin and ReduceMax of all outputs 44, with float32 sums, whose digits don't suffice, 53, with `Cast` to
float64 and its sums 56; here all of it together takes 8, since a block stays in the cache for every reduction.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ChannelMoments", "Rows", "moments_of", "reduced_rows"]

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

_BLOCK = 65_536
"""Elements that are reduced at once: half a megabyte in float64, which stays in the second-level cache."""
_CANCELS = 256.0
"""How much larger than the variance a squared mean may be, before the sum of squares has lost too many digits."""


@dataclass(frozen=True)
class ChannelMoments:
    """The statistics of P channels; each field has one element for each. NaN and infinite elements are in `nan` and
    `infinite` alone.
    """

    count: Counts
    """Finite elements."""
    mean: Floats
    squares: Floats
    """The sum of the squared distances from the mean: divided by `count`, the variance."""
    low: Floats
    """The smallest element; infinity where `count` is 0."""
    high: Floats
    zeros: Counts
    at_low: Counts
    """Elements that equal `low` exactly."""
    at_high: Counts
    nan: Counts
    infinite: Counts
    low_image: Counts
    """The number of the first image that holds `low`; -1 where `count` is 0."""
    high_image: Counts

    @classmethod
    def none(cls, channels: int) -> "ChannelMoments":
        """Return the statistics of nothing: what merging starts from."""
        whole = {each.name: np.zeros(channels, np.int64) for each in fields(cls)}
        return cls(
            **whole
            | {name: np.full(channels, -1, np.int64) for name in ("low_image", "high_image")}
            | {"mean": np.zeros(channels), "squares": np.zeros(channels)}
            | {"low": np.full(channels, np.inf), "high": np.full(channels, -np.inf)}
        )

    def merged(self, later: "ChannelMoments") -> "ChannelMoments":
        """Return the statistics of both: the formula of Chan, Golub and LeVeque (1979); of images that are equally
        extreme, the one with the lower number.
        """
        count = self.count + later.count
        share = later.count / np.maximum(count, 1)
        apart = later.mean - self.mean
        low, at_low, low_image = _extreme(self, later, "low", later.low < self.low)
        high, at_high, high_image = _extreme(self, later, "high", later.high > self.high)
        return ChannelMoments(
            count=count,
            # Where one of them has no elements, the other stays as it is, to the last bit.
            mean=np.where(self.count == 0, later.mean, self.mean + apart * share),
            squares=self.squares + later.squares + np.square(apart) * (self.count * share),
            low=low,
            high=high,
            zeros=self.zeros + later.zeros,
            at_low=at_low,
            at_high=at_high,
            nan=self.nan + later.nan,
            infinite=self.infinite + later.infinite,
            low_image=low_image,
            high_image=high_image,
        )

    def part(self, begin: int, end: int) -> "ChannelMoments":
        """Return the statistics of some of the channels."""
        return ChannelMoments(**{each.name: getattr(self, each.name)[begin:end] for each in fields(self)})

    def pooled(self) -> "ChannelMoments":
        """Return the statistics of all channels together, as of one: merged by halves, in a fixed order."""
        found = self
        while len(found.count) > 1:
            half = len(found.count) // 2
            rest = [found.part(2 * half, 2 * half + 1)] if len(found.count) % 2 else []
            found = self.joined([found.part(0, half).merged(found.part(half, 2 * half)), *rest])
        return found

    @classmethod
    def joined(cls, parts: "list[ChannelMoments]") -> "ChannelMoments":
        """Return the channels of all parts, one after another."""
        return cls(**{each.name: np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(cls)})


def _extreme(
    earlier: ChannelMoments, later: ChannelMoments, name: str, beyond: NDArray[np.bool_]
) -> tuple[Floats, Counts, Counts]:
    one, other = getattr(earlier, name), getattr(later, name)
    at_one, at_other = getattr(earlier, f"at_{name}"), getattr(later, f"at_{name}")
    image, other_image = getattr(earlier, f"{name}_image"), getattr(later, f"{name}_image")
    first = np.where(image < 0, other_image, np.where(other_image < 0, image, np.minimum(image, other_image)))
    same = one == other
    return (
        np.where(beyond, other, one),
        np.where(same, at_one + at_other, np.where(beyond, at_other, at_one)),
        np.where(same, first, np.where(beyond, other_image, image)),
    )


@dataclass(frozen=True)
class Rows:
    """The statistics of each image and channel of a batch; each field is N C, as of `ChannelMoments`."""

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
        """The mean of each image and channel, N C; 0 where nothing is finite."""
        return self.total / np.maximum(self.count, 1)


def reduced_rows(values: NDArray[Any]) -> Rows:
    """Reduce N C K to the statistics of each image and channel.

    Args:
        values: real numbers or booleans, contiguous: K elements of each channel in each image.
    """
    images, channels, each = values.shape
    flat = values.reshape(images * channels, each)
    rows = Rows(
        count=np.full(len(flat), each, np.int64),
        total=np.empty(len(flat)),
        squares=np.empty(len(flat)),
        low=np.empty(len(flat)),
        high=np.empty(len(flat)),
        zeros=np.zeros(len(flat), np.int64),
        nan=np.zeros(len(flat), np.int64),
        infinite=np.zeros(len(flat), np.int64),
    )
    step = max(1, _BLOCK // max(each, 1))
    wide = np.empty((min(step, len(flat)), each))
    # Invalid: infinity less infinity, in rows that are then reduced once more without it.
    with np.errstate(all="ignore"):
        for begin in range(0, len(flat), step):
            block = flat[begin : begin + step]
            _reduce_block(block, wide[: len(block)], rows, slice(begin, begin + step))
    return Rows(**{name.name: getattr(rows, name.name).reshape(images, channels) for name in fields(Rows)})


def _reduce_block(block: NDArray[Any], wide: Floats, rows: Rows, place: slice) -> None:
    """Reduce some rows; `wide` is memory for them in float64."""
    np.copyto(wide, block)
    each = block.shape[1]
    if each == 1:
        total, squared = wide[:, 0], np.square(wide[:, 0])
    else:
        total, squared = wide.sum(axis=1), np.vecdot(wide, wide)
    squares = np.maximum(squared - np.square(total) / max(each, 1), 0.0)
    rows.total[place], rows.squares[place] = total, squares
    low, high = (block.min(axis=1), block.max(axis=1)) if each else (np.inf, -np.inf)
    rows.low[place], rows.high[place] = low, high
    zero = block == 0
    if zero.any():
        # Counted by summing float32: exact up to 2**24 elements, and four times as fast as integers.
        rows.zeros[place] = zero.sum(axis=1) if each >= 2**24 else zero.astype(np.float32).sum(axis=1)
    # float32's squares don't overflow float64: a sum of them is finite exactly if all elements are.
    odd = ~np.isfinite(squared)
    cancels = np.square(total) > _CANCELS * max(each, 1) * squares
    for index in np.flatnonzero(odd | (cancels & (each > 1) & (squared != 0))):
        _reduce_row(wide[index], rows, place.start + int(index))


def _reduce_row(row: Floats, rows: Rows, index: int) -> None:
    """Reduce one row in two passes, over its finite elements."""
    finite = row[np.isfinite(row)]
    rows.count[index] = finite.size
    rows.nan[index] = np.isnan(row).sum()
    rows.infinite[index] = row.size - finite.size - rows.nan[index]
    rows.total[index] = finite.sum()
    if finite.size:
        rows.low[index], rows.high[index] = finite.min(), finite.max()
        away = finite - rows.total[index] / finite.size
        # What the mean itself lacks in its last digits is taken out again.
        rows.squares[index] = np.vecdot(away, away) - np.square(away.sum()) / finite.size
    else:
        rows.low[index], rows.high[index], rows.squares[index] = np.inf, -np.inf, 0.0


def moments_of(rows: Rows, values: NDArray[Any], images: Counts, known: ChannelMoments) -> ChannelMoments:
    """Return the statistics of each channel over a batch.

    Args:
        rows: of the batch.
        values: the batch, N C K, from which elements at the extremes are counted.
        images: the number of each image.
        known: of what came before: where that is more extreme, nothing needs to be counted.
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
    reached = np.where((found.low > known.low) | (found.low == 0), np.nan, found.low)
    at_low = np.where(found.low == 0, found.zeros, _equal(values, rows.low, reached))
    reached = np.where((found.high < known.high) | (found.high == 0), np.nan, found.high)
    at_high = np.where(found.high == 0, found.zeros, _equal(values, rows.high, reached))
    return replace(found, at_low=at_low, at_high=at_high)


def _equal(values: NDArray[Any], extremes: Floats, extreme: Floats) -> Counts:
    """Count, for each channel, the elements that equal the extreme; only images that reach it are looked through."""
    images, channels = np.nonzero(extremes == extreme)
    reached = (values[images, channels] == extreme[channels, None]).sum(axis=1)
    return np.bincount(channels, reached, minlength=values.shape[1]).astype(np.int64)
