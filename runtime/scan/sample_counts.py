"""Which elements the histograms count, and counting them: for each output, and for each of its channels.

Of each image's channel, evenly placed elements are taken, as `sample_places` does: 16, or as many as make 4,096 of the
output. Counting all 8 million elements of a ResNet-18's outputs would take longer than all other statistics together.

A channel's counts are half a kilobyte, which has left the cache when the next image comes: so the samples of 16 images
are gathered first. Measured on a MobileNetV2, of an image: 2.4 ms, and 4.3 to 5 ms if each batch is counted at once.
"""

from collections.abc import Sequence
from functools import lru_cache
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from ..artifact.tensor_summary import sample_places
from .channel_histogram import ChannelHistograms, Tables, Tops, raised
from .compiled_loops import compiled
from .value_histogram import BINS, BUCKETS, CENTRE, INFINITE, NO_TOP, NOT_FINITE, magnitudes

__all__ = ["SampleCounts", "Samples", "sampled", "sampled_places"]

OF_OUTPUT = 4_096
"""Elements of an output that are counted in each image, if it has so many."""
OF_CHANNEL = 16
"""The same of each of its channels, at least."""
_TOGETHER = 16
"""Images whose samples are counted together."""
_NARROW = 64
"""Elements of a channel and image up to which it is counted in 16 bits."""

Samples = Sequence[NDArray[np.uint16]]
"""For each output the upper 16 bits of its samples, as float32: C N S."""


@lru_cache(maxsize=1024)
def sampled_places(channels: int, size: int) -> NDArray[np.int64]:
    """Return the places, in a channel of `size` elements, of those that are counted."""
    return sample_places(size, samples_of(channels))


def samples_of(channels: int) -> int:
    """Return how many elements of each of an output's channels are counted in an image, at most."""
    return max(OF_CHANNEL, -(-OF_OUTPUT // max(channels, 1)))


def sampled(values: NDArray[np.generic]) -> NDArray[np.uint16]:
    """Return the samples, C N S, of an output, N C K, whose elements are rounded to float32."""
    places = sampled_places(*values.shape[1:])
    with np.errstate(over="ignore", invalid="ignore"):
        taken = np.ascontiguousarray(values.take(places, axis=2).swapaxes(0, 1), np.float32)
    return (taken.view(np.uint32) >> np.uint32(16)).astype(np.uint16)


class SampleCounts:
    """What is counted so far. Batches may be added by several threads: the order makes no difference."""

    def __init__(self, channels: Sequence[int]) -> None:
        """Take the numbers of the outputs' channels."""
        self._lock, self._waiting = Lock(), list[Samples]()
        self._counts = np.zeros((len(channels), BUCKETS), np.int64)
        self._of_outputs = [_OfOutput(size, counts) for size, counts in zip(channels, self._counts, strict=True)]

    def add(self, samples: Samples) -> None:
        """Add a batch's samples."""
        with self._lock:
            self._waiting.append(samples)
            if sum(each[0].shape[1] for each in self._waiting) < _TOGETHER:
                return
            taken, self._waiting = self._waiting, []
        self._count(taken)

    def _count(self, taken: Sequence[Samples]) -> None:
        for index, output in enumerate(self._of_outputs):
            output.count([samples[index] for samples in taken])

    def results(self) -> tuple[NDArray[np.int64], ChannelHistograms]:
        """Return the histogram of each output, O x 65,536, and those of all channels; once, after the last batch."""
        self._count(self._waiting)
        for buckets in INFINITE:
            self._counts[:, buckets] = 0
        found = self._counts, ChannelHistograms.joined([each.histograms() for each in self._of_outputs])
        # They take as much as all that is merged with them.
        del self._counts, self._of_outputs, self._waiting
        return found


class _OfOutput:
    """The counts of one output's channels, and of all of them together."""

    def __init__(self, channels: int, counts: NDArray[np.int64]) -> None:
        """Take the number of channels, and where the output's values are counted."""
        self._lock, self._counts = Lock(), counts
        most = samples_of(channels)
        # Half the memory, where a shard of usual size fits.
        self._kind = np.uint16 if most <= _NARROW else np.uint32
        self._room = int(np.iinfo(self._kind).max) // most
        self._images = 0
        self._tops = np.full(channels, NO_TOP, np.int32)
        self._tables = np.zeros((channels, BINS), self._kind)
        self._earlier: ChannelHistograms | None = None

    def count(self, given: Sequence[NDArray[np.uint16]]) -> None:
        """Count samples, C N S each."""
        kernels = compiled()
        with self._lock:
            for whole in given:
                for begin in range(0, whole.shape[1], self._room):
                    samples = whole[:, begin : begin + self._room]
                    if self._images + samples.shape[1] > self._room:
                        self._earlier = self.histograms()
                        self._tops, self._images = np.full_like(self._tops, NO_TOP), 0
                        self._tables = np.zeros_like(self._tables)
                    self._images += samples.shape[1]
                    count = kernels.count_samples if kernels is not None else _count_samples
                    count(np.ascontiguousarray(samples), self._counts, self._tops, self._tables)

    def histograms(self) -> ChannelHistograms:
        """Return what is counted of the channels."""
        self._tables[:, 0] = 0
        found = ChannelHistograms.of(self._tops, self._tables)
        return self._earlier.merged(found) if self._earlier is not None else found


def _count_samples(samples: NDArray[np.uint16], counts: NDArray[np.int64], tops: Tops, tables: Tables) -> None:
    """Do in NumPy what `count_samples` does."""
    counts += np.bincount(samples.reshape(-1), minlength=BUCKETS)
    sizes = magnitudes(samples)
    finite = sizes < NOT_FINITE
    highest = np.maximum(tops, np.where(finite, sizes, NO_TOP).max(axis=(1, 2), initial=NO_TOP))
    tables[...] = raised(tables, tops, highest)
    tops[...] = highest
    base = np.maximum(highest - CENTRE + 1, 0)
    away = np.maximum(sizes - base[:, None, None], 0)
    places = CENTRE + np.where(samples >> 15, -away, away) + np.arange(len(tops))[:, None, None] * BINS
    tables += np.bincount(places[finite], minlength=tables.size).reshape(tables.shape).astype(tables.dtype)
