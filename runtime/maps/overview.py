"""What an overview leaves out beside what shows nothing: neighbours that hardly differ, and most of what is weak.

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

__all__ = ["are_weak", "badged", "differing", "strongest_and_last", "with_branches", "with_counts"]

_WEAK = 1e-4
"""Of what the strongest map varies by: what varies less is mostly chance, or rounding of what was computed before."""
_SIMILAR = 0.97
"""Pearson's correlation of two neighbours of one size, from which on the second tells nothing new."""


def badged(map_: FeatureMap, badge: str) -> FeatureMap:
    """Return a map with one more badge."""
    return replace(map_, badges=(*map_.badges, badge))


def are_weak(maps: Sequence[FeatureMap]) -> list[bool]:
    """Return which maps hardly vary beside the strongest."""
    spans = [high - low for low, high in (value_range(each.values) or (0.0, 0.0) for each in maps)]
    return [span < _WEAK * max(spans) for span in spans]


def differing(maps: Sequence[FeatureMap]) -> tuple[list[FeatureMap], list[str]]:
    """Return the maps without those that hardly differ from the last one that is kept, and the others' names.

    A map that is kept says on itself how many it stands for, too.
    """
    kept: list[FeatureMap] = []
    alike: list[list[str]] = []
    for each in maps:
        if kept and _correlation(kept[-1].values, each.values) >= _SIMILAR:
            alike[-1].append(each.name)
        else:
            kept.append(each)
            alike.append([])
    return (
        [badged(each, f"+{len(names)} ≈") if names else each for each, names in zip(kept, alike, strict=True)],
        [name for names in alike for name in names],
    )


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
    return [
        badged(each, BRANCH)
        if not each.is_weak and any(_within(each.path, block) and each.path != block for block in blocks)
        else each
        for each in maps
    ]


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


def _correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return Pearson's correlation of two maps; 0 where they differ in size, or one isn't finite or is constant."""
    if one.shape != other.shape or not (np.isfinite(one).all() and np.isfinite(other).all()):
        return 0.0
    with np.errstate(all="ignore"):
        x, y = one - one.mean(), other - other.mean()
        norm = float(np.linalg.norm(x)) * float(np.linalg.norm(y))
        return float(np.vdot(x, y)) / norm if norm and np.isfinite(norm) else 0.0
