"""Count, mean, variance, range, zeros and NaN of each channel, and merging them. A batch's are in `row_moments.py`."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CANCELS", "FLOATS", "INTEGERS", "ChannelMoments", "Counts", "Floats"]

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

CANCELS = 256.0
"""How much larger than the variance a squared mean may be, before a sum of squares has lost too many digits."""

INTEGERS = ("count", "zeros", "at_low", "at_high", "nan", "infinite", "low_image", "high_image")
FLOATS = ("mean", "squares", "low", "high")
"""The fields of `ChannelMoments` by type, in the order in which the compiled loops take them."""


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

    @classmethod
    def empty(cls, channels: int) -> "ChannelMoments":
        """Return statistics that are still to be written."""
        whole: dict[str, Any] = {name: np.empty(channels, np.int64) for name in INTEGERS}
        return cls(**whole | {name: np.empty(channels) for name in FLOATS})

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

    def by_type(self) -> tuple[tuple[Counts, ...], tuple[Floats, ...]]:
        """Return the fields of `INTEGERS`, and those of `FLOATS`."""
        whole, wide = (tuple(getattr(self, name) for name in names) for names in (INTEGERS, FLOATS))
        return whole, wide

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
