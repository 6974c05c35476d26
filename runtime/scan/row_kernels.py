"""The loop over every element of float32, compiled by numba: a row is read from memory once, and then from the cache.

Without numba, NumPy gives the same (`row_moments.py`), up to the last bits of the sums, in several times the time.
It is imported by `compiled` there, which returns None where numba isn't installed.

Measured on a core of an EPYC 9004, of rows of 112 x 112: 0.16 ns an element.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .channel_moments import CANCELS, Counts, Floats
from .value_histogram import CENTRE, NOT_FINITE

__all__ = ["count_samples", "fold_rows", "keys_of", "merge_moments", "raise_tables", "reduce_rows", "values_of"]

_SUMS = {"reassoc", "contract"}
"""What lets the compiler add up in several lanes. Not that there is no NaN: a sum must show it."""
_ALL_BUT_SIGN = np.int32(0x7FFFFFFF)
_INFINITE = np.int32(0x7F800000)
"""The key of infinity; that of the negative one is its complement."""


def keys_of(values: NDArray[np.floating[Any]]) -> NDArray[np.int32]:
    """Return for float32 numbers the integers that are ordered as they are; +0 and -0 are 0 and -1."""
    bits = values.astype(np.float32).view(np.int32)
    return bits ^ ((bits >> 31) & _ALL_BUT_SIGN)


def values_of(keys: NDArray[np.int32]) -> NDArray[np.float32]:
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
    values: Any, bits: Any, known: Any, places: Any, sums: Any, keys: Any, counts: Any, again: Any, samples: Any
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
            for index in range(places.size):
                samples[channel, image, index] = (own[places[index]] >> np.int32(16)) & 0xFFFF


def reduce_rows(
    values: NDArray[np.float32],
    known: NDArray[np.int32],
    places: NDArray[np.int64],
    sums: Floats,
    keys: NDArray[np.int32],
    counts: Counts,
    again: NDArray[np.bool_],
) -> NDArray[np.uint16]:
    """Reduce each row of N C K, and return the upper 16 bits of the elements at S places of each, C N S.

    Args:
        values: of one output.
        known: 2 C, the keys of the least and the largest elements so far.
        places: S, in a row.
        sums: 2 N C; the sums are written into it, and the sums of the squared distances from the mean.
        keys: 2 N C; likewise those of the least and the largest element.
        counts: 3 N C; likewise the zeros, and the elements that equal each extreme, if that is not 0 and not within
            what is known.
        again: N C; likewise whether a row has to be reduced in two passes: it is not finite throughout, or its squared
            mean is so much larger than its variance that too few digits of that are left.
    """
    samples = np.empty((values.shape[1], len(values), len(places)), np.uint16)
    _reduce(values, values.view(np.int32), known, places, sums, keys, counts, again, samples)
    return samples


@njit(nogil=True, cache=True)
def count_samples(samples: Any, counts: Any, tops: Any, tables: Any) -> None:
    """Count an output's samples.

    Args:
        samples: C N S, the upper 16 bits of float32 numbers.
        counts: 65,536, of each of these; they are added to it.
        tops: C, the largest magnitude of each channel; raised where one is larger.
        tables: C x 256, as of `ChannelHistograms`; added to, with what isn't finite in place 0.
    """
    places = np.empty(samples.shape[1] * samples.shape[2], np.uint8)
    for channel in range(len(tops)):
        own, table = samples[channel].reshape(-1), tables[channel]
        top = _largest(own)
        if top > tops[channel]:
            _raise(table, _smallest(top) - _smallest(tops[channel]))
            tops[channel] = top
        _place(own, np.int32(_smallest(tops[channel])), places)
        for index in range(own.size):
            table[places[index]] += 1
            counts[own[index]] += 1


@njit(nogil=True, cache=True)
def _largest(samples: Any) -> Any:
    """Return the largest magnitude that is finite, -1 for none."""
    top = np.int32(-1)
    for index in range(samples.size):
        size = np.int32((np.int32(samples[index]) & np.int32(0x7FFF)) >> np.int32(3))
        top = np.int32(max(top, size if size < np.int32(NOT_FINITE) else np.int32(-1)))
    return top


@njit(nogil=True, cache=True)
def _smallest(top: Any) -> Any:
    return max(top - CENTRE + 1, 0)


@njit(nogil=True, cache=True)
def _place(samples: Any, base: Any, places: Any) -> None:
    """Write the places of samples in a table whose small numbers are at most of the magnitude `base`."""
    for index in range(samples.size):
        bits = np.int32(samples[index])
        size = np.int32((bits & np.int32(0x7FFF)) >> np.int32(3))
        away = np.int32(max(np.int32(size - base), np.int32(0)))
        signed = np.int32(away if bits < np.int32(0x8000) else -away)
        places[index] = np.uint8(np.int32(CENTRE) + signed if size < np.int32(NOT_FINITE) else np.int32(0))


@njit(nogil=True, cache=True)
def _raise(table: Any, steps: Any) -> None:
    """Move the counts of a table for a larger largest magnitude."""
    if steps == 0:
        return
    for away in range(1, CENTRE):
        for sign in (-1, 1):
            count = table[CENTRE + sign * away]
            table[CENTRE + sign * away] = 0
            table[CENTRE + sign * max(away - steps, 0)] += count


@njit(nogil=True, cache=True)
def raise_tables(tables: Any, tops: Any, higher: Any) -> None:
    """Do what `channel_histogram.raised` says, in place."""
    for channel in range(len(tables)):
        _raise(tables[channel], _smallest(higher[channel]) - _smallest(tops[channel]))


@njit(nogil=True, cache=True)
def fold_rows(rows: Any, images: Any, whole: Any, wide: Any) -> None:
    """Reduce the rows of a batch to its channels, as `moments_of` does.

    Args:
        rows: the fields of `Rows`.
        images: N, the images' numbers.
        whole: the integers of `ChannelMoments`, as of `INTEGERS`, P each; written.
        wide: likewise the others, as of `FLOATS`.
    """
    count, nan, infinite, sums, extremes, counts = rows
    numbers, zeros, at_low, at_high, odd, endless, low_image, high_image = whole
    means, squares, lows, highs = wide
    for channel in range(count.shape[1]):
        low, high = np.inf, -np.inf
        of_low, of_high, zero, bad, boundless = 0, 0, 0, 0, 0
        number, total, first, last = 0, 0.0, -1, -1
        for image in range(count.shape[0]):
            number += count[image, channel]
            total += sums[0, image, channel]
            zero += counts[0, image, channel]
            bad += nan[image, channel]
            boundless += infinite[image, channel]
            least, most = extremes[0, image, channel], extremes[1, image, channel]
            if least < low:
                low, of_low, first = least, 0, images[image]
            if most > high:
                high, of_high, last = most, 0, images[image]
            of_low += counts[1, image, channel] if least == low else 0
            of_high += counts[2, image, channel] if most == high else 0
        mean, square = total / max(number, 1), 0.0
        for image in range(count.shape[0]):
            own = count[image, channel]
            apart = sums[0, image, channel] / max(own, 1) - mean
            square += sums[1, image, channel] + own * (apart * apart)
        means[channel], squares[channel], lows[channel], highs[channel] = mean, square, low, high
        numbers[channel], zeros[channel], odd[channel], endless[channel] = number, zero, bad, boundless
        at_low[channel], at_high[channel] = zero if low == 0 else of_low, zero if high == 0 else of_high
        low_image[channel], high_image[channel] = first, last


@njit(nogil=True, cache=True)
def merge_moments(whole: Any, wide: Any, later_whole: Any, later_wide: Any) -> None:
    """Merge later statistics into these, as `ChannelMoments.merged` does, to the last bit; arguments as above."""
    numbers, zeros, at_low, at_high, odd, endless, low_image, high_image = whole
    means, squares, lows, highs = wide
    later_numbers, later_zeros, later_at_low, later_at_high, later_odd, later_endless, later_first, later_last = (
        later_whole
    )
    later_means, later_squares, later_lows, later_highs = later_wide
    for place in range(len(numbers)):
        number = numbers[place] + later_numbers[place]
        share = later_numbers[place] / max(number, 1)
        apart = later_means[place] - means[place]
        squares[place] = squares[place] + later_squares[place] + apart * apart * (numbers[place] * share)
        means[place] = later_means[place] if numbers[place] == 0 else means[place] + apart * share
        numbers[place] = number
        zeros[place] += later_zeros[place]
        odd[place] += later_odd[place]
        endless[place] += later_endless[place]
        if later_lows[place] < lows[place]:
            lows[place], at_low[place] = later_lows[place], later_at_low[place]
            low_image[place] = later_first[place]
        elif later_lows[place] == lows[place]:
            at_low[place] += later_at_low[place]
            low_image[place] = _first(low_image[place], later_first[place])
        if later_highs[place] > highs[place]:
            highs[place], at_high[place] = later_highs[place], later_at_high[place]
            high_image[place] = later_last[place]
        elif later_highs[place] == highs[place]:
            at_high[place] += later_at_high[place]
            high_image[place] = _first(high_image[place], later_last[place])


@njit(nogil=True, cache=True)
def _first(image: Any, other: Any) -> Any:
    """Return the lower number of an image; -1 is none."""
    return other if image < 0 or 0 <= other < image else image
