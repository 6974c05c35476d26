"""The maps of an overview made fewer: what looks alike, noise, checkerboards, and most of what is weak.

What shows nothing at all is found in `feature_maps.py`, how two maps are compared in `likeness.py`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np
from numpy.typing import NDArray

from ..artifact.manifest import Output
from .blocks import branch_names, within
from .feature_maps import BRANCH, WEAK, FeatureMap, badged
from .likeness import are_weak, blurred, is_checkerboard, is_noise

__all__ = [
    "MOST_SHOWN",
    "Differing",
    "Room",
    "differing",
    "means_say_little",
    "strongest_and_last",
    "with_branches",
    "without_checkerboards",
]

MOST_SHOWN = 11
"""Maps of an overview: with the photo, 12 tiles, whose text is read also on paper."""

_SIMILAR, _ALIKE_AT_A_GLANCE = 0.97, (0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6)
"""Pearson's correlation of two maps of one size, a little blurred, from which on the second tells nothing new: where
all have room; and in an overview, the first by which few enough are left."""
_STRICTER, _FEWEST = (0.93, 0.95, 0.97, 0.98, 0.99), 4
"""The same where fewer are left."""
_RAGGED = (7, 11)
"""Tiles that no even rows hold."""
_TOO_MANY = 0.2
"""Of the maps, whose mean is noise: it is no picture of this model."""


@dataclass(frozen=True)
class Differing:
    """The maps of which none looks like another."""

    maps: list[FeatureMap]
    twins: dict[str, str]
    """Of those that aren't among them: the name of the one that stands for it, too."""
    noise: frozenset[str]
    """Those of these that look alike only in being noise."""


def means_say_little(maps: Sequence[FeatureMap]) -> bool:
    """Return whether the mean over the channels shows nothing in one of the maps, or noise in too many."""
    shown = [each for each in maps if each.left_out is None]
    noise = sum(is_noise(each.values) for each in shown)
    return any(each.reduction != "mean" for each in shown) or noise > _TOO_MANY * len(shown)


@dataclass(frozen=True)
class Room:
    """What a page of an overview has room for."""

    taken: int = 0
    """By other tiles, as the photo."""
    columns: int | None = None
    """That are asked for."""

    def less(self, tiles: int) -> "Room":
        """Return what is left beside so many more tiles."""
        return Room(self.taken + tiles, self.columns)

    def is_filled_by(self, tiles: int) -> bool:
        """Return whether so many tiles fill all rows."""
        whole = self.taken + tiles
        return whole % self.columns == 0 if self.columns else whole not in _RAGGED


def differing(maps: Sequence[FeatureMap], room: Room | None = None, stay: Collection[str] = ()) -> Differing:
    """Return the maps without those that look like another of their size among their neighbours.

    Args:
        maps: in the order of execution.
        room: of an overview, for which looking alike at a glance is enough. One more fills its last row, if that
            differs somewhat.
        stay: the names of those to keep although they look like an earlier one, in place of which the last of them is.
    """
    few = room is not None
    limits = _ALIKE_AT_A_GLANCE if few else (_SIMILAR,)
    pictures = [blurred(each.values) for each in maps]
    noise = [few and is_noise(each.values) for each in maps]
    for limit in limits:
        twins = _twins(maps, pictures, noise, limit)
        if twins.count(None) <= MOST_SHOWN:
            break
    for limit in _STRICTER:
        more = _twins(maps, pictures, noise, limit)
        if twins.count(None) >= min(_FEWEST, len(maps)) or more.count(None) > MOST_SHOWN:
            break
        twins = more
    if room:
        twins = _led_by(stay, maps, twins)
        if not room.is_filled_by(twins.count(None)):
            one = _least_alike(maps, pictures, [None if noise[at] else twin for at, twin in enumerate(twins)])
            twins = [None if index == one else twin for index, twin in enumerate(twins)]
    return Differing(
        maps=[each for each, twin in zip(maps, twins, strict=True) if twin is None],
        twins={each.name: maps[twin].name for each, twin in zip(maps, twins, strict=True) if twin is not None},
        noise=frozenset(each.name for each, is_so in zip(maps, noise, strict=True) if is_so),
    )


def _twins(
    maps: Sequence[FeatureMap], pictures: Sequence[NDArray[np.float64]], noise: Sequence[bool], limit: float
) -> list[int | None]:
    """Return for each map the index of the one that stands for it, too, if one does."""
    twins: list[int | None] = []
    kept: list[int] = []
    for index, map_ in enumerate(maps):
        if index and maps[index - 1].values.shape != map_.values.shape:
            kept = []
        alike = (
            each
            for each in reversed(kept)
            if (noise[each] and noise[index]) or _agreement(maps, pictures, each, index) >= limit
        )
        twin = next(alike, None)
        twins.append(twin)
        if twin is None:
            kept.append(index)
    return twins


def _agreement(maps: Sequence[FeatureMap], pictures: Sequence[NDArray[np.float64]], one: int, other: int) -> float:
    found = float(np.vdot(pictures[one], pictures[other]))
    return abs(found) if maps[one].share is not None else found  # a component has no sign


def _least_alike(
    maps: Sequence[FeatureMap], pictures: Sequence[NDArray[np.float64]], twins: Sequence[int | None]
) -> int | None:
    """Return which of the maps that have a twin is least like any that is drawn of its size; None if all are so."""
    kept = [index for index, twin in enumerate(twins) if twin is None]
    found = {
        index: max(
            _agreement(maps, pictures, each, index)
            for each in kept
            if maps[each].values.shape == maps[index].values.shape
        )
        for index, twin in enumerate(twins)
        if twin is not None
    }
    least = min(found, key=lambda index: found[index], default=None)
    return least if least is not None and found[least] < _SIMILAR else None


def without_checkerboards(maps: Sequence[FeatureMap]) -> tuple[list[FeatureMap], list[str]]:
    """Return the maps without checkerboards, as of a fresh transposed convolution, that a map of the same size follows,
    and the others' names.
    """
    left = [
        each.name
        for each, after in pairwise(maps)
        if each.values.shape == after.values.shape and is_checkerboard(each.values)
    ]
    return [each for each in maps if each.name not in left], left


def _led_by(stay: Collection[str], maps: Sequence[FeatureMap], twins: Sequence[int | None]) -> list[int | None]:
    """Return the twins, with what stays in place of the earlier map that stood for it."""
    marks = [index for index, each in enumerate(maps) if each.name in stay]
    led = {twins[mark]: mark for mark in marks if twins[mark] is not None and twins[mark] not in marks}
    return [
        None if index in marks else led.get(index if twin is None else twin, twin) for index, twin in enumerate(twins)
    ]


def strongest_and_last(maps: Sequence[FeatureMap]) -> tuple[list[FeatureMap], list[str]]:
    """Return the maps without those that are weak, and the others' names. The last of a stage stays if all of it is
    weak, and the last of all.
    """
    kept: list[FeatureMap] = []
    marked = [badged(each, WEAK) if is_weak else each for each, is_weak in zip(maps, are_weak(maps), strict=True)]
    for _, run in groupby(marked, key=lambda each: each.values.shape):
        stage = list(run)
        kept += [each for each in stage if not each.is_weak or each is marked[-1]] or stage[-1:]
    names = {each.name for each in kept}
    return kept, [each.name for each in maps if each.name not in names]


def with_branches(
    maps: Sequence[FeatureMap],
    repeats: Collection[tuple[FeatureMap, FeatureMap]],
    outputs: Sequence[Output],
    sums: Collection[str] = (),
) -> list[FeatureMap]:
    """Return the maps, those that aren't weak marked which are a branch of a block.

    Args:
        maps: that are drawn.
        repeats: what looks like one of them, and that one: a block's sum that looks like what the block was given.
        outputs: of which these are, in the order of execution.
        sums: the blocks that are known to return something else than what their last module does.
    """
    blocks = {each.path for each, twin in repeats if each.path and not within(twin.path, each.path)} | {*sums}
    branches = branch_names(outputs, blocks)
    return [badged(each, BRANCH) if not each.is_weak and each.name in branches else each for each in maps]
