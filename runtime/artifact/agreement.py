"""Whether two tensors hold the same values, in whatever order of axes."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .tensor_summary import sample_places

__all__ = ["Alignment", "Tensor", "best_alignment"]

_SAMPLED = 4096
_MOST_AXES = 5
"""Up to so many are tried in every order."""
_CHANNELS_LAST = {3: ((0, 2, 1),), 4: ((0, 2, 3, 1), (0, 3, 1, 2)), 5: ((0, 2, 3, 4, 1), (0, 4, 1, 2, 3))}
"""Orders that are tried before a reshape, too, as where channels that come last are flattened."""


@dataclass(frozen=True)
class Alignment:
    """How a source's tensor is turned into a candidate's: its axes are reordered, then it is reshaped."""

    order: tuple[int, ...] | None
    """None where the axes stay."""
    shape: tuple[int, ...] | None
    """Of the candidate's tensor, with -1 for the batch where that is the first axis of both; None where the source's,
    reordered, has that shape."""

    def apply(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return a source's tensor in the candidate's layout.

        Raises:
            ValueError: it is of another batch or size, for which the shape isn't known.
        """
        ordered = array if self.order is None else array.transpose(self.order)
        return ordered if self.shape is None else ordered.reshape(self.shape)

    def undo(self, array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        """Return a candidate's tensor in the source's layout, of this shape."""
        if self.order is None:
            return array.reshape(shape)
        back = sorted(range(len(shape)), key=self.order.__getitem__)
        return array.reshape([shape[axis] for axis in self.order]).transpose(back)

    @property
    def moves_channels(self) -> bool:
        """Whether the candidate has the channels last and the source has not, or the other way round."""
        return self.order is not None and self.order in _CHANNELS_LAST.get(len(self.order), ())


class Tensor:
    """A tensor with what is asked of it again and again."""

    def __init__(self, array: NDArray[Any]) -> None:
        """Take a tensor of numbers."""
        # Two models' tensors are in memory together.
        with np.errstate(all="ignore"):  # what overflows is not finite, and equals nothing
            self.array: NDArray[Any] = array.astype(np.float32) if array.dtype == np.float64 else array
            self.size, self.shape = array.size, array.shape
            # Whole, since the order of the elements isn't known yet.
            wide = array.astype(np.float64, copy=False).reshape(-1)
            self.infinities: tuple[int, ...] = ()
            total = wide.sum()
            if not np.isfinite(total):  # as a mask's scores, of which the others say what they are
                counted = (np.isposinf(wide), np.isneginf(wide), np.isnan(wide))
                self.infinities = tuple(int(each.sum()) for each in counted)
                wide = wide[np.isfinite(wide)]
                total = wide.sum()
            self.mean = float(total / wide.size) if wide.size else 0.0
            self.spread = float(np.sqrt(np.mean(np.square(wide)))) if wide.size else 0.0
        self.finite = bool(np.isfinite(self.spread)) and (wide.size > 0 or not array.size)

    @property
    def deviation(self) -> float:
        """How far the values are from their mean."""
        return float(np.sqrt(max(self.spread**2 - self.mean**2, 0.0)))

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """Positions of the elements that are compared."""
        return sample_places(self.size, _SAMPLED)

    @cached_property
    def sample(self) -> NDArray[np.float64]:
        """The elements at `places`."""
        return self.array.reshape(-1)[self.places].astype(np.float64)

    def sampled_only(self) -> "Tensor":
        """Return the tensor without its elements, but for the sample."""
        _ = self.sample
        self.array = self.array.reshape(-1)[:0]
        return self

    def may_equal(self, other: "Tensor", tolerance: float) -> bool:
        """Return whether mean and size of the values allow that both hold the same."""
        allowed = tolerance * max(self.spread, other.spread)
        return (
            self.finite
            and other.finite
            and self.infinities == other.infinities
            and abs(self.spread - other.spread) <= allowed
            and abs(self.mean - other.mean) <= allowed
        )


def best_alignment(
    value: Tensor, source: Tensor, *, by_angle: bool = False, usual: Collection[tuple[int, ...] | None] = ()
) -> tuple[float, Alignment] | None:
    """Return how far a candidate's tensor is from a source's, at best, and how they are aligned then.

    Args:
        value: the candidate's.
        source: the source's.
        by_angle: the distance is 1 less the cosine of their angle, whatever the sign, in which a fault may leave two
            tensors near. Else it is the root mean square of the difference, by that of the source. Both in a sample.
        usual: the only orders of axes that are tried, if any of them is possible.

    Returns:
        None if their shapes can't be those of the same values.
    """
    if value.size != source.size or not value.size:
        return None
    best: tuple[float, Alignment] | None = None
    measure = _angle if by_angle else _difference
    orders = list(_orders(value.shape, source.shape))
    for order in [each for each in orders if each in usual] or orders:
        with np.errstate(all="ignore"):
            distance = measure(value.sample, _sampled(source, order, value.places), source.spread)
        clearly = 1.0 if best is None or value.shape != source.shape else _CLEARLY
        if not np.isnan(distance) and (best is None or clearly * distance < best[0]):
            best = distance, Alignment(order, _reshaped(value.shape, source.shape, order))
            if distance <= _NO_DISTANCE:
                break
    return best


def _difference(one: NDArray[np.float64], other: NDArray[np.float64], spread: float) -> float:
    distance = float(np.sqrt(np.mean(np.square(one - other))))
    if not np.isfinite(distance):  # as nearly never
        known = np.isfinite(one) & np.isfinite(other)
        if not known.any() or not np.array_equal(one[~known], other[~known], equal_nan=True):
            return float("inf")
        distance = float(np.sqrt(np.mean(np.square(one[known] - other[known]))))
    return distance / max(spread, _TINY)


def _angle(one: NDArray[np.float64], other: NDArray[np.float64], _: float) -> float:
    lengths = float(np.sqrt(np.sum(one * one)) * np.sqrt(np.sum(other * other)))
    return 1 - abs(float(np.sum(one * other))) / max(lengths, _TINY)


_CLEARLY = 8.0
"""Times as near as in the source's own order another one has to be, if both have the same shape: of tiny maps that a
fault has moved, rows and columns fit in either order."""
_NO_DISTANCE = 1e-12
_TINY = float(np.finfo(np.float32).tiny)


def _reshaped(shape: tuple[int, ...], source: tuple[int, ...], order: tuple[int, ...] | None) -> tuple[int, ...] | None:
    if shape == (source if order is None else tuple(source[axis] for axis in order)):
        return None
    return (-1, *shape[1:]) if shape and source and shape[0] == source[0] else shape


def _orders(shape: tuple[int, ...], source: tuple[int, ...]) -> Iterator[tuple[int, ...] | None]:
    """Yield the orders of the source's axes that may give a tensor of this shape, the most likely first."""
    yield None
    rank = len(source)
    seen: set[tuple[int, ...] | None] = set()
    for order in _CHANNELS_LAST.get(rank, ()):
        seen.add(_moved(order, source))
        if seen != {None}:
            yield order
    longer = tuple(size for size in shape if size != 1)
    if 2 <= rank <= _MOST_AXES:
        for order in permutations(range(rank)):
            moved = _moved(order, source)
            if moved not in seen and tuple(source[axis] for axis in order if source[axis] != 1) == longer:
                seen.add(moved)
                yield order


def _moved(order: tuple[int, ...], source: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the order of the axes that are longer than 1; None if it is as before."""
    moved = tuple(axis for axis in order if source[axis] != 1)
    return moved if list(moved) != sorted(moved) else None


def _sampled(source: Tensor, order: tuple[int, ...] | None, places: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the elements at some places of the reordered tensor, flat, without reordering all of it."""
    if order is None:
        return source.array.reshape(-1)[places].astype(np.float64)
    moved = tuple(source.shape[axis] for axis in order)
    indices = np.unravel_index(places, moved)
    by_axis = dict(zip(order, indices, strict=True))
    flat = np.ravel_multi_index([by_axis[axis] for axis in range(len(order))], source.shape)
    assert prod(moved) == source.size
    return source.array.reshape(-1)[flat].astype(np.float64)
