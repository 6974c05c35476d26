"""The values of each channel, counted in up to 255 buckets that end at its largest: merged exactly, with quantiles.

A bucket holds numbers of one sign, one power of two, and of it one of 16 equal parts: eight of `value_histogram.py`'s.
Of each sign there are 127, from that of the channel's largest magnitude downwards, and all that is smaller is in one
more, with 0. This is DDSketch that collapses its smallest buckets (Masson, Rim and Lee, VLDB 2019): where they end
depends on the largest magnitude alone, so in whichever order counts are added up, they are the same.

A quantile is off by at most 1/32 of itself, or by 1/234 of the channel's largest magnitude (2^-7.875), or by 2^-130.
A shard's take half a kilobyte a channel, 9 MB of a ResNet-18; a full histogram for each would take 9 GB.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .compiled_loops import compiled
from .value_histogram import BINS, CENTRE, NO_TOP, NOT_FINITE, QUANTILES

__all__ = ["ChannelHistograms", "Tables", "Tops", "raised"]

_BLOCK = 512
"""Channels that are computed at once: a megabyte of counts."""

Tops = NDArray[np.int32]
Tables = NDArray[np.integer[Any]]


def raised(tables: Tables, tops: Tops, higher: Tops) -> NDArray[np.int64]:
    """Return counts as they are for largest magnitudes that are as large, or larger.

    Args:
        tables: C x 256.
        tops: C, the largest magnitudes that they are for.
        higher: C, those wanted.
    """
    kernels = compiled()
    if kernels is not None:
        found = tables.astype(np.int64)
        kernels.raise_tables(found, tops, higher)
        return found
    away = np.arange(BINS) - CENTRE
    steps = _small(higher) - _small(tops)
    moved = np.sign(away) * np.maximum(np.abs(away) - steps[:, None], 0) + CENTRE
    found = np.zeros(tables.size, np.int64)
    np.add.at(found, (moved + np.arange(len(tables))[:, None] * BINS).reshape(-1), tables.reshape(-1))
    return found.reshape(tables.shape)


def _small(tops: Tops) -> Tops:
    """Return the largest magnitude that counts as small, of each channel."""
    return np.maximum(tops - CENTRE + 1, 0)


@dataclass(frozen=True)
class ChannelHistograms:
    """The histograms of P channels."""

    tops: Tops
    """P: the largest magnitude, as of `magnitudes`, that is counted; -1 if none is."""
    tables: Tables
    """P x 256: the counts, in integers of as few bytes as hold the largest."""

    @classmethod
    def none(cls, channels: int) -> "ChannelHistograms":
        """Return the histograms of nothing."""
        return cls(np.full(channels, NO_TOP, np.int32), np.zeros((channels, BINS), np.uint16))

    @classmethod
    def of(cls, tops: Tops, tables: Tables) -> "ChannelHistograms":
        """Return the histograms of these counts, which are copied if they need fewer bytes."""
        return cls(tops, tables.astype(_narrowest(tables), copy=False))

    @classmethod
    def joined(cls, parts: "Sequence[ChannelHistograms]") -> "ChannelHistograms":
        """Return the channels of all parts, one after another."""
        return cls(np.concatenate([each.tops for each in parts]), np.concatenate([each.tables for each in parts]))

    def part(self, begin: int, end: int) -> "ChannelHistograms":
        """Return those of some of the channels, which share their memory."""
        return ChannelHistograms(self.tops[begin:end], self.tables[begin:end])

    def merged(self, later: "ChannelHistograms") -> "ChannelHistograms":
        """Return the counts of both."""
        tops = np.maximum(self.tops, later.tops)
        tables: Tables = np.empty((len(tops), BINS), np.uint16)
        for begin in range(0, len(tops), _BLOCK):
            place = slice(begin, begin + _BLOCK)
            both, other = (raised(each.tables[place], each.tops[place], tops[place]) for each in (self, later))
            both += other
            # Wider from the first block on that needs it: a copy of each would be gigabytes of a very large model.
            tables = tables.astype(np.result_type(tables.dtype, _narrowest(both)), copy=False)
            tables[place] = both
        return ChannelHistograms(tops, tables)

    def totals(self) -> NDArray[np.int64]:
        """Return how many elements are counted in each channel, P."""
        return np.asarray(self.tables.sum(axis=1, dtype=np.int64))

    def quantiles(self, low: NDArray[np.float64], high: NDArray[np.float64]) -> dict[float, NDArray[np.float64]]:
        """Return for each of `QUANTILES` a value that at least that share of each channel's elements doesn't exceed, P.

        Args:
            low: P, the smallest element of each channel, which no quantile falls below.
            high: P, the largest.
        """
        found = np.full((len(QUANTILES), len(self.tops)), np.nan)
        for begin in range(0, len(self.tops), _BLOCK):
            place = slice(begin, begin + _BLOCK)
            found[:, place] = self.part(begin, begin + _BLOCK)._quantiles(low[place], high[place])
        return dict(zip(QUANTILES, found, strict=True))

    def _quantiles(self, low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
        # Added up over all channels, so that one search finds the bucket of every rank.
        reached, totals = np.cumsum(self.tables, dtype=np.int64), self.totals()
        before = np.cumsum(totals) - totals
        ranks = np.maximum(np.ceil(np.outer(totals, QUANTILES)).astype(np.int64), 1)
        places = np.searchsorted(reached, before[:, None] + ranks) - np.arange(len(totals))[:, None] * BINS
        small = _small(self.tops)[:, None]
        below, above = (_lower_edges(places + step, small).astype(np.float64) for step in (0, 1))
        middle = np.where(places == CENTRE, 0.0, below / 2 + above / 2)
        return np.where(totals[:, None] > 0, np.clip(middle, low[:, None], high[:, None]), np.nan).T

    def stretches(self) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
        """Return the buckets of each channel between its first and its last that aren't empty, as numpy.histogram does.

        Returns:
            How many there are of each channel, P; the edges, one more of each channel that has any; and the counts.
        """
        parts = [self.part(begin, begin + _BLOCK)._stretches() for begin in range(0, len(self.tops), _BLOCK)]
        sizes, edges, counts = map(np.concatenate, zip(*parts, strict=True))
        return sizes, edges, counts

    def _stretches(self) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
        filled = self.tables != 0
        known = filled.any(axis=1)
        first, last = filled.argmax(axis=1)[:, None], BINS - filled[:, ::-1].argmax(axis=1)[:, None]
        edges = _lower_edges(np.arange(BINS + 1, dtype=np.int32), _small(self.tops)[:, None])
        place = np.arange(BINS + 1)
        within = known[:, None] & (place >= first) & (place <= last)
        counts = self.tables[within[:, :-1] & (place[:-1] < last)].astype(np.int64)
        return np.where(known, (last - first)[:, 0], 0), edges[within], counts


def _narrowest(tables: Tables) -> type[np.integer[Any]]:
    """Return the type of the fewest bytes that holds these counts."""
    most = int(tables.max(initial=0))
    kinds: tuple[type[np.integer[Any]], ...] = (np.uint16, np.uint32, np.int64)
    return next(kind for kind in kinds if most <= np.iinfo(kind).max)


def _lower_edges(places: NDArray[np.integer[Any]], small: Tops) -> NDArray[np.float32]:
    """Return the lower edges of buckets, each of which is the upper edge of the one before, in channels in which the
    magnitudes `small` are the largest small ones.
    """
    away = places - CENTRE
    # Place 0, which is never filled, may lie behind the last one.
    edges = _EDGES.take(small + np.where(away > 0, away, 1 - away), mode="clip")
    return np.where(away > 0, edges, -edges)


_EDGES = np.minimum(
    (np.arange(NOT_FINITE + 1, dtype=np.uint32) << np.uint32(19)).view(np.float32), np.finfo(np.float32).max
)
"""The smallest number of each magnitude; behind the last one, the largest number of all."""
