"""The histogram of each output without its empty buckets, merged exactly: a hundredth of all 65,536 of each."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .value_histogram import BUCKETS

__all__ = ["OutputHistograms"]

_Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class OutputHistograms:
    """The filled buckets of O outputs, B of them."""

    places: _Numbers
    """B, ascending: 65,536 times the output's index, and the bucket, as of `buckets_of`."""
    counts: _Numbers
    """B: the elements in each."""

    @classmethod
    def of(cls, counts: _Numbers) -> "OutputHistograms":
        """Take the counts of all buckets, O x 65,536."""
        places = np.flatnonzero(counts)
        return cls(places, counts.reshape(-1)[places])

    @classmethod
    def none(cls) -> "OutputHistograms":
        """Return the histograms of nothing."""
        return cls(np.zeros(0, np.int64), np.zeros(0, np.int64))

    def merged(self, later: "OutputHistograms") -> "OutputHistograms":
        """Return the counts of both."""
        places = np.union1d(self.places, later.places)
        counts = np.zeros(len(places), np.int64)
        for each in (self, later):
            counts[np.searchsorted(places, each.places)] += each.counts
        return OutputHistograms(places, counts)

    def of_output(self, index: int) -> _Numbers:
        """Return the counts of all buckets of one output, 65,536."""
        begin, end = np.searchsorted(self.places, (index * BUCKETS, (index + 1) * BUCKETS))
        found = np.zeros(BUCKETS, np.int64)
        found[self.places[begin:end] - index * BUCKETS] = self.counts[begin:end]
        return found
