"""What an overview leaves out beside what shows nothing: what looks alike, noise, and most of what is weak.

What shows nothing at all is found in `feature_maps.py`; which blocks an overview is of, in `runs/photo_pages.py`.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from .colour_maps import value_range
from .feature_maps import BRANCH, WEAK, FeatureMap
from .sections import blocks_of

__all__ = [
    "MOST_SHOWN",
    "are_weak",
    "badged",
    "differing",
    "means_say_little",
    "strongest_and_last",
    "with_branches",
    "with_counts",
]

MOST_SHOWN = 15
"""Maps of an overview: with the photo, 16 tiles, whose text is read also on paper."""

_WEAK = 1e-4
"""Of what the strongest map varies by: what varies less is mostly chance, or rounding of what was computed before."""
_SIMILAR, _ALIKE_AT_A_GLANCE = 0.97, (0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6)
"""Pearson's correlation of two maps of one size, a little blurred, from which on the second tells nothing new: where
all have room; and in an overview, the first by which few enough are left."""
_STRICTER = (0.93, 0.95, 0.97, 0.98, 0.99)
"""The same where hardly any are left."""
_FEWEST = 7
_CHANCE = 0.4
"""The correlation of neighbouring pixels, below which a map looks like noise."""
_LEAST_SIDE = 7
"""Pixels of a map, in which neighbours can be told from chance."""
_TOO_MANY = 0.2
"""Of the maps, whose mean is noise: it is no picture of this model."""
_BLURRED = 28
"""Pixels: a larger map is averaged down to about as many, a smaller one over 3 x 3."""


def badged(map_: FeatureMap, badge: str) -> FeatureMap:
    """Return a map with one more badge."""
    return replace(map_, badges=(*map_.badges, badge))


def are_weak(maps: Sequence[FeatureMap]) -> list[bool]:
    """Return which maps hardly vary beside the strongest."""
    spans = [high - low for low, high in (value_range(each.values) or (0.0, 0.0) for each in maps)]
    return [span < _WEAK * max(spans) for span in spans]


def means_say_little(maps: Sequence[FeatureMap]) -> bool:
    """Return whether the mean over the channels shows nothing in one of the maps, or noise in too many."""
    shown = [each for each in maps if each.left_out is None]
    noise = sum(_is_noise(each.values) for each in shown)
    return any(each.reduction != "mean" for each in shown) or noise > _TOO_MANY * len(shown)


def differing(maps: Sequence[FeatureMap], *, few: bool = False) -> tuple[list[FeatureMap], list[str], list[str]]:
    """Return the maps without those that look like an earlier one among their neighbours of one size, the names of
    those, and of those that are noise, like an earlier one.

    A map that is kept says on itself how many it stands for, too.

    Args:
        maps: in the order of execution.
        few: whether what looks alike at a glance is enough. Of many maps it always is.
    """
    few = few or len(maps) > MOST_SHOWN
    limits = _ALIKE_AT_A_GLANCE if few else (_SIMILAR,)
    pictures = [_blurred(each.values) for each in maps]
    noise = [few and _is_noise(each.values) for each in maps]
    for limit in limits:
        twins = _twins(maps, pictures, noise, limit)
        if twins.count(None) <= MOST_SHOWN:
            break
    for limit in _STRICTER:
        more = _twins(maps, pictures, noise, limit)
        if twins.count(None) >= min(_FEWEST, len(maps)) or more.count(None) > MOST_SHOWN:
            break
        twins = more
    alike: dict[int, int] = {}
    for twin in twins:
        if twin is not None:
            alike[twin] = alike.get(twin, 0) + 1
    kept = [
        badged(each, f"+{alike[index]} ≈") if index in alike else each
        for index, (each, twin) in enumerate(zip(maps, twins, strict=True))
        if twin is None
    ]
    left = [(each.name, is_noise) for each, is_noise, twin in zip(maps, noise, twins, strict=True) if twin is not None]
    return kept, [name for name, is_noise in left if not is_noise], [name for name, is_noise in left if is_noise]


def _twins(
    maps: Sequence[FeatureMap], pictures: Sequence[NDArray[np.float64]], noise: Sequence[bool], limit: float
) -> list[int | None]:
    """Return for each map the index of the one that stands for it, too, if one does."""
    twins: list[int | None] = []
    kept: list[int] = []
    for index, map_ in enumerate(maps):
        if index and maps[index - 1].values.shape != map_.values.shape:
            kept = []
        twin = next(
            (
                each
                for each in reversed(kept)
                if (noise[each] and noise[index]) or float(np.vdot(pictures[each], pictures[index])) >= limit
            ),
            None,
        )
        twins.append(twin)
        if twin is None:
            kept.append(index)
    return twins


def strongest_and_last(maps: Sequence[FeatureMap]) -> tuple[list[FeatureMap], list[str]]:
    """Return the maps without those that are weak, of which the last of each block stays, and the others' names."""
    weak = are_weak(maps)
    blocks = blocks_of([each.path for each in maps])
    followed = [
        later and block != "" and block == after
        for (block, after), later in zip(pairwise([*blocks, ""]), [*weak[1:], False], strict=True)
    ]
    kept = [
        badged(each, WEAK) if is_weak else each
        for each, is_weak, is_followed in zip(maps, weak, followed, strict=True)
        if not (is_weak and is_followed)
    ]
    names = {each.name for each in kept}
    return kept, [each.name for each in maps if each.name not in names]


def with_branches(maps: Sequence[FeatureMap], repeats: Collection[tuple[FeatureMap, FeatureMap]]) -> list[FeatureMap]:
    """Return the maps, those that aren't weak marked where their block's sum isn't drawn, as it looks like what the
    block was given.

    Args:
        maps: that are drawn.
        repeats: what looks like one of them, and that one.
    """
    blocks = {each.path for each, twin in repeats if each.path and not _within(twin.path, each.path)}

    def marked(map_: FeatureMap) -> FeatureMap:
        around = [block for block in blocks if _within(map_.path, block) and map_.path != block]
        if map_.is_weak or not around:
            return map_
        block = max(around, key=len).rpartition(".")[2]
        return badged(
            replace(map_, block=f"block {block} · branch" if block.isdecimal() else f"{block} · branch"), BRANCH
        )

    return [marked(each) for each in maps]


def with_counts(maps: Sequence[FeatureMap], whole: Collection[str], order: Sequence[str]) -> list[FeatureMap]:
    """Return the maps of an overview, each with how many of the whole there are since the one before it.

    Args:
        maps: of the overview.
        whole: the names of all maps that say something.
        order: the names of all outputs, in the order of execution.
    """
    ends = dict(zip(order, accumulate(name in whole for name in order), strict=True))
    return [
        replace(each, stands_for=max(end - before, 1))
        for each, (before, end) in zip(maps, pairwise([0, *(ends[each.name] for each in maps)]), strict=True)
    ]


def _within(path: str, block: str) -> bool:
    return path == block or path.startswith(f"{block}.")


def _blurred(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a smaller or smoother map, so scaled that the product of two is their correlation; 0 if there is none."""
    if not np.isfinite(values).all():
        return np.zeros(1)
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


def _is_noise(values: NDArray[np.float64]) -> bool:
    """Return whether neighbouring pixels have little to do with one another."""
    if min(values.shape) < _LEAST_SIDE or not np.isfinite(values).all():
        return False
    with np.errstate(all="ignore"):
        centred = values - values.mean()
        power = float((centred**2).mean())
        along = float((centred[:, 1:] * centred[:, :-1]).mean() + (centred[1:] * centred[:-1]).mean()) / 2
        return bool(abs(along) < _CHANCE * power)  # a checkerboard is none
