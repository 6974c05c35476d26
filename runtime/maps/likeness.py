"""How maps look to the eye: which are alike, which are noise, a checkerboard, or hardly vary; the sign of components.

What follows from it for an overview is up to `thinning.py`.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .colour_maps import finite_values, value_range
from .feature_maps import FeatureMap

__all__ = [
    "FAINT",
    "LEAST_OUTLINED",
    "aligned",
    "are_weak",
    "blurred",
    "correlation",
    "is_checkerboard",
    "is_framed",
    "is_noise",
    "middle_correlation",
    "outlines_correlation",
    "steadiness",
    "with_turned_hues",
]

FAINT = 1e-4
"""Of what the strongest map varies by: what varies less is mostly chance, or rounding of what was computed before."""
_OUTLIERS = 0.01
"""Of the strongest map's pixels, at either end: one pixel of a million would make all others weak."""
_CHANCE = 0.4
"""The correlation of neighbouring pixels, below which a map looks like noise."""
_PERIODIC = 0.2
"""Of a map's variance, by which its pixels agree more with the second next than with the next: a checkerboard."""
_LEAST_SIDE = 7
"""Pixels of a map, in which neighbours can be told from chance."""
_BLURRED = 28
"""Pixels: a larger map is averaged down to about as many, a smaller one over 3 x 3."""
_RIM = 14
"""Of a map's side, one pixel for so many, what is computed from padding."""
LEAST_OUTLINED = 28
"""The least side of a map in which outlines can be seen."""

_MANY, _VERY_ALIKE = 8, 0.95
"""Maps of one size, and their least correlation with the last, from which on they hardly change."""
_JUMP, _ONE_SIGN, _SIDES = 0.4, 0.9, 3
"""Of a map's standard deviation, by which the pixels of a frame differ from those beside them; how much more of them
have one sign than the other; on how many sides, at least."""


def are_weak(maps: Sequence[FeatureMap]) -> list[bool]:
    """Return which maps hardly vary beside the strongest, whose outliers don't count; none that isn't finite."""
    spans = [high - low for low, high in (value_range(each.values) or (0.0, 0.0) for each in maps)]
    strongest = 0.0
    if min(spans) >= FAINT * max(spans):
        return [False] * len(maps)  # of nearly all pages, in no time
    for span, each in sorted(zip(spans, maps, strict=True), key=lambda pair: -pair[0]):
        if span <= strongest:
            break
        strongest = max(strongest, _inner_span(each.values))
    faint = FAINT * strongest
    return [span < faint and bool(np.isfinite(each.values).all()) for span, each in zip(spans, maps, strict=True)]


def _inner_span(values: NDArray[np.float64]) -> float:
    """Return the range of a map's finite values without 1 % of them, at least one, at either end."""
    finite = finite_values(values)
    count = math.ceil(finite.size * _OUTLIERS)
    if 2 * count >= finite.size:
        return 0.0
    ends = np.partition(finite, (count, finite.size - 1 - count))
    return float(ends[finite.size - 1 - count] - ends[count])


def blurred(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a smaller or smoother map, so scaled that the product of two is their correlation; 0 if there is none."""
    if not np.isfinite(values).all():
        values = np.zeros_like(values)
    step = max(values.shape) // _BLURRED
    if step > 1:
        height, width = (max(side // step, 1) * step if side >= step else side for side in values.shape)
        rows = np.add.reduceat(values[:height, :width], np.arange(0, height, step), axis=0)
        small = np.add.reduceat(rows, np.arange(0, width, step), axis=1)
    else:
        padded = np.pad(values, 1, mode="edge")
        rows = padded[:-2] + padded[1:-1] + padded[2:]
        small = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    with np.errstate(all="ignore"):
        centred = small - small.mean()
        norm = float(np.linalg.norm(centred))
        return centred / norm if norm and np.isfinite(norm) else np.zeros_like(centred)


def is_noise(values: NDArray[np.float64]) -> bool:
    """Return whether neighbouring pixels have little to do with one another."""
    if min(values.shape) < _LEAST_SIDE or not np.isfinite(values).all():
        return False
    with np.errstate(all="ignore"):
        centred = values - values.mean()
        power = float((centred**2).mean())
        along = float((centred[:, 1:] * centred[:, :-1]).mean() + (centred[1:] * centred[:-1]).mean()) / 2
        return bool(abs(along) < _CHANCE * power)  # a checkerboard is none


def is_checkerboard(values: NDArray[np.float64]) -> bool:
    """Return whether pixels are more like the second next than the next, as with a stride of two."""
    if min(values.shape) < 2 * _LEAST_SIDE or not np.isfinite(values).all():
        return False
    inner = values[2:-2, 2:-2]  # the padding's edge is no part of it
    centred = inner - inner.mean()
    next_, second = (
        float((centred[:, step:] * centred[:, :-step]).mean() + (centred[step:] * centred[:-step]).mean()) / 2
        for step in (1, 2)
    )
    return second - next_ > _PERIODIC * float((centred**2).mean())


def is_framed(map_: FeatureMap) -> bool:
    """Return whether in a map of few pixels those along most sides are all brighter, or all darker, than those beside
    them: computed from padding.
    """
    values = map_.values
    if max(values.shape) > LEAST_OUTLINED or min(values.shape) < _LEAST_SIDE or not np.isfinite(values).all():
        return False
    steps = [(turned[0] - turned[1])[1:-1] for turned in (np.rot90(values, quarter) for quarter in range(4))]
    jump = _JUMP * float(values.std())
    framed = [abs(np.sign(each).mean()) >= _ONE_SIGN and abs(each.mean()) >= jump > 0 for each in steps]
    return framed.count(True) >= _SIDES


def aligned(maps: Sequence[FeatureMap], photo: NDArray[np.float64] | None) -> list[FeatureMap]:
    """Return the maps, those that are principal components with the sign by which they look most like the same one of
    the tensor before.

    Args:
        maps: one after the other.
        photo: its brightness, H W, which stands before the first components, if there is one. Before the first of the
            second ones stands what is bright in the middle: with the photo's brightness they have little in common.
    """
    found: list[FeatureMap] = []
    before: dict[str, NDArray[np.float64]] = {}
    for each in maps:
        other = before.get(each.part, _bright_middle(each.values.shape) if each.is_further_component else photo)
        turned = each.is_component and other is not None and _agreement(other, _filled(each.values)) < 0
        found.append(replace(each, values=-each.values) if turned else each)
        if np.isfinite(each.values).any():
            before[each.part] = _filled(found[-1].values)
    return found


def _filled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a map with the mean in place of what isn't finite; 0 if nothing is."""
    finite = np.isfinite(values)
    return values if finite.all() else np.where(finite, values, values[finite].mean() if finite.any() else 0.0)


def middle_correlation(values: NDArray[np.float64]) -> float:
    """Return Pearson's correlation of a map with one that is brightest in its middle, both without the rim, which is
    computed from padding; 0 if there is none, as of a map that is all rim.
    """
    rim = -(-min(values.shape) // _RIM)
    if min(values.shape) <= 2 * rim:
        return 0.0
    return correlation(*(each[rim:-rim, rim:-rim] for each in (_bright_middle(values.shape), values)))


def _bright_middle(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return a map that is brightest in its middle, where most photos have what they are of."""
    height, width = (1 - np.abs(np.linspace(-1, 1, side + 2)[1:-1]) for side in shape)
    return np.asarray(np.minimum.outer(height, width))


def steadiness(maps: Sequence[FeatureMap]) -> float | None:
    """Return the least correlation of many maps of one size with the last, whatever its sign, if they hardly change."""
    if len(maps) < _MANY or len({each.size[1:] for each in maps}) > 1:
        return None
    last = blurred(maps[-1].values)
    least = min(abs(float(np.vdot(blurred(each.values), last))) for each in maps)
    return least if least >= _VERY_ALIKE else None


def with_turned_hues(maps: Sequence[FeatureMap]) -> list[FeatureMap]:
    """Return the maps with their hues turned, which is free, to look most like those before; never to the photo's: a
    model that knows nothing of colours would seem to see skin and sky.
    """
    found: list[FeatureMap] = []
    before: NDArray[np.float64] | None = None
    for each in maps:
        hues = each.hues
        if hues:
            hues = hues if before is None else replace(hues, plane=_turned(hues.plane, before))
            before = hues.plane
        found.append(replace(each, hues=hues))
    return found


def _turned(plane: NDArray[np.float64], before: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return hues, H W 2, turned or mirrored so that they agree best with others: Procrustes's problem in a plane."""
    sides = _sides(before, plane)
    mine, theirs = ([_averaged(each[..., axis], sides) for axis in (0, 1)] for each in (plane, before))
    (a, b), (c, d) = ([float(np.vdot(their - their.mean(), each)) for each in mine] for their in theirs)
    turn, mirror = np.hypot(a + d, c - b), np.hypot(a - d, b + c)
    if not np.isfinite(turn + mirror) or not turn + mirror:
        return plane
    sign = 1.0 if turn >= mirror else -1.0
    cos, sin = (a + sign * d) / max(turn, mirror), (c - sign * b) / max(turn, mirror)
    return np.asarray(plane @ np.array([[cos, -sign * sin], [sin, sign * cos]]).T)


def _agreement(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return the covariance of two maps, whose sign says whether they are bright in the same places."""
    first, second = _centred(one, other)
    agreement = float(np.vdot(first, second))
    return agreement if np.isfinite(agreement) else 0.0


def correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return Pearson's correlation of two maps, averaged down to the size of the smaller one and to 28 pixels at most;
    0 if there is none.
    """
    first, second = _centred(one, other)
    with np.errstate(all="ignore"):
        found = float(np.vdot(first, second) / (np.linalg.norm(first) * np.linalg.norm(second)))
    return found if np.isfinite(found) else 0.0


def outlines_correlation(photo: NDArray[np.float64], map_: NDArray[np.float64]) -> float | None:
    """Return how much a map changes where a photo, H W 3, does, whatever the sign: Pearson's correlation of the square
    roots of their slopes, so that a few edges aren't all, without the rim; both averaged down as by `correlation`. None
    of a map that is too small to show any.
    """
    sides = _sides(photo, map_)
    if min(sides) < LEAST_OUTLINED:
        return None
    rim = -(-min(sides) // _RIM)
    colours = [_coarse(photo[..., channel], sides) for channel in range(photo.shape[2])]
    with np.errstate(all="ignore"):  # what isn't finite is like nothing
        steep = (_steepness(each)[rim:-rim, rim:-rim] for each in (colours, [_coarse(map_, sides)]))
        return correlation(*steep)


def _steepness(parts: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    squares = [slope**2 for each in parts for slope in np.gradient(each)]
    return np.asarray(np.sum(squares, axis=0) ** 0.25)


def _sides(one: NDArray[np.float64], other: NDArray[np.float64]) -> list[int]:
    return [min(*pair, _BLURRED) for pair in zip(one.shape[:2], other.shape[:2], strict=True)]


def _centred(one: NDArray[np.float64], other: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return two maps averaged down to one size, less their means."""
    sides = _sides(one, other)
    with np.errstate(all="ignore"):  # what isn't finite is like nothing
        coarse = [_coarse(each, sides) for each in (one, other)]
        return [each - each.mean() for each in coarse]


def _coarse(values: NDArray[np.float64], sides: Sequence[int]) -> NDArray[np.float64]:
    """Return a map averaged down to so many rows and columns, scaled so that no square overflows."""
    return _averaged(values / (float(np.abs(values).max()) or 1.0), sides)


def _averaged(values: NDArray[np.float64], sides: Sequence[int]) -> NDArray[np.float64]:
    for axis, side in enumerate(sides):
        edges = np.linspace(0, values.shape[axis], side + 1).round().astype(int)
        sums = np.add.reduceat(values, edges[:-1], axis=axis)
        values = sums / np.expand_dims(np.diff(edges), 1 - axis)
    return values
