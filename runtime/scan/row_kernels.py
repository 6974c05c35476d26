"""The loop over every element of float32, compiled by numba: a row is read from memory once, and then from the cache.

Without numba, NumPy gives the same (`row_moments.py`), up to the last bits of the sums, in several times the time.
It is imported by `compiled` there, which returns None where numba isn't installed.

Measured on a core of an EPYC 9004, of rows of 112 x 112: 0.16 ns an element.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..artifact.tensor_summary import sample_places
from .channel_moments import CANCELS, Counts, Floats

__all__ = ["count_buckets", "keys_of", "reduce_rows"]

_SUMS = {"reassoc", "contract"}
"""What lets the compiler add up in several lanes. Not that there is no NaN: a sum must show it."""
_ALL_BUT_SIGN = np.int32(0x7FFFFFFF)
_INFINITE = np.int32(0x7F800000)
"""The key of infinity; that of the negative one is its complement."""


def keys_of(values: NDArray[np.floating[Any]]) -> NDArray[np.int32]:
    """Return for float32 numbers the integers that are ordered as they are; +0 and -0 are 0 and -1."""
    bits = values.astype(np.float32).view(np.int32)
    return bits ^ ((bits >> 31) & _ALL_BUT_SIGN)


def _values_of(keys: NDArray[np.int32]) -> NDArray[np.float32]:
    """Return the numbers of these keys; no zero has a sign."""
    return (keys ^ ((keys >> 31) & _ALL_BUT_SIGN)).view(np.float32) + np.float32(0)


@njit(nogil=True, cache=True, fastmath=_SUMS)
def _row(values: Any, bits: Any) -> Any:
    """Return sum, sum of squares, the keys of the least and the largest element, and the zeros."""
    total, squared, zeros = 0.0, 0.0, np.int32(0)
    low, high = _INFINITE, np.int32(~_INFINITE)
    for index in range(values.size):
        wide = np.float64(values[index])
        total += wide
        squared += wide * wide
        # int32 throughout: numba's own choice, int64, would halve the number of lanes.
        key = np.int32(bits[index] ^ ((bits[index] >> np.int32(31)) & _ALL_BUT_SIGN))
        low = np.int32(min(low, key))
        high = np.int32(max(high, key))
        zeros = np.int32(zeros + np.int32(values[index] == np.float32(0)))
    return total, squared, low, high, zeros


@njit(nogil=True, cache=True)
def _at(bits: Any, key: Any) -> Any:
    """Return how many elements have the key; 0 for the keys of a zero, which are counted anyway."""
    if key in (0, -1):
        return 0
    wanted, count = np.int32(key ^ ((key >> np.int32(31)) & _ALL_BUT_SIGN)), np.int32(0)
    for index in range(bits.size):
        count = np.int32(count + np.int32(bits[index] == wanted))
    return count


@njit(nogil=True, cache=True)
def _reduce(
    values: Any,
    bits: Any,
    known: Any,
    sums: Any,
    keys: Any,
    counts: Any,
    again: Any,
    places: Any,
    starts: Any,
    buckets: Any,
) -> None:
    size = values.shape[2]
    for image in range(values.shape[0]):
        for channel in range(values.shape[1]):
            own = bits[image, channel]
            total, squared, low, high, zeros = _row(values[image, channel], own)
            squares = max(squared - total * total / max(size, 1), 0.0)
            sums[0, image, channel], sums[1, image, channel] = total, squares
            cancels = size > 1 and total * total > CANCELS * size * squares and squared != 0.0
            again[image, channel] = cancels or not np.isfinite(squared)
            keys[0, image, channel], keys[1, image, channel] = low, high
            counts[0, image, channel] = zeros
            counts[1, image, channel] = _at(own, low) if low <= known[0, channel] else 0
            counts[2, image, channel] = _at(own, high) if high >= known[1, channel] else 0
            for index in range(starts[channel], starts[channel + 1]):
                buckets[image, index] = (own[places[index] - channel * size] >> np.int32(16)) & 0xFFFF


def reduce_rows(
    values: NDArray[np.float32],
    known: NDArray[np.int32],
    limit: int,
    sums: Floats,
    extremes: Floats,
    counts: Counts,
    again: NDArray[np.bool_],
) -> NDArray[np.uint16]:
    """Reduce each row of N C K, and return the upper 16 bits of a sample of an image's elements, N S.

    Args:
        values: of one output.
        known: 2 C, the keys of the least and the largest elements so far.
        limit: elements of an image whose upper bits are returned, at most: S.
        sums: 2 N C; the sums are written into it, and the sums of the squared distances from the mean.
        extremes: 2 N C; likewise the least and the largest element.
        counts: 3 N C; likewise the zeros, and the elements that equal each extreme, if that is not 0 and not within
            what is known.
        again: N C; likewise whether a row has to be reduced in two passes: it is not finite throughout, or its squared
            mean is so much larger than its variance that too few digits of that are left.
    """
    images, channels, size = values.shape
    places = sample_places(channels * size, limit)
    keys = np.empty((2, images, channels), np.int32)
    buckets = np.empty((images, len(places)), np.uint16)
    starts = _starts(channels, size, places.size)
    _reduce(values, values.view(np.int32), known, sums, keys, counts, again, places, starts, buckets)
    extremes[...] = _values_of(keys)
    return buckets


@lru_cache(maxsize=256)
def _starts(channels: int, size: int, limit: int) -> NDArray[np.int64]:
    """Return the first place of the sample in each channel, C + 1. Cached: it takes as long as a small tensor."""
    return np.searchsorted(sample_places(channels * size, limit), np.arange(channels + 1) * size)


@njit(nogil=True, cache=True)
def count_buckets(buckets: Any, counts: Any) -> None:
    """Add to each count how often its place is in `buckets`."""
    for index in range(buckets.size):
        counts[buckets[index]] += 1
