"""Stages of a model, by the sizes of its maps: their names, of a U-Net those of its two halves; what each returns; and
poolings, which only make what is before them smaller.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby, pairwise
from math import prod

from .blocks import within
from .feature_maps import FeatureMap

__all__ = ["last_of_sizes", "with_stages", "without_poolings"]

_MOVES = re.compile(
    r"(permute|transpose|reshape|view|flatten|identity|dropout|contiguous)(\.\w+)?(_\d+)?", re.IGNORECASE
)
"""Operations that change no value: what is before them has the better name."""


def with_stages(maps: Sequence[FeatureMap], blocks: int = 0) -> list[FeatureMap]:
    """Return the maps, each with the name of its stage: the neighbours of one height and width.

    If all are of one size, that is the number of blocks, if known.

    Where the maps become smaller and then as large as before, as in a U-Net, the stages are of its encoder and decoder.
    """
    runs = [list(group) for _, group in groupby(maps, key=lambda each: each.size[1:])]
    names = _names([prod(each[0].size[1:]) for each in runs], blocks)
    return [replace(each, stage=name) for run, name in zip(runs, names, strict=True) for each in run]


def _names(areas: Sequence[int], blocks: int) -> list[str]:
    """Return the name of each stage, by its number of pixels."""
    if len(areas) < 2:
        return [f"{blocks} blocks" if blocks > 1 else "one size"]
    lowest = areas.index(min(areas))
    down, up = areas[: lowest + 1], areas[lowest:]
    falls = all(one > other for one, other in pairwise(down))
    rises = len(up) > 2 and all(one < other for one, other in pairwise(up))
    if not (falls and rises and len(down) > 2):
        return [f"stage {number}" for number in range(1, len(areas) + 1)]
    return [
        *(f"encoder {number}" for number in range(1, lowest + 1)),
        "bottleneck",
        *(f"decoder {number}" for number in range(1, len(areas) - lowest)),
    ]


def last_of_sizes(maps: Sequence[FeatureMap]) -> set[str]:
    """Return the names of what each stage returns: of the last before the size changes, and of the last of all.

    What only prepares the change, as the norm before a strided convolution in one module with it, is not the last.
    """
    found = set()
    maps = [each for each in maps if not _MOVES.fullmatch(_what(each))] or maps
    for index, map_ in enumerate(maps):
        following = maps[index + 1] if index + 1 < len(maps) else None
        if following and following.values.shape == map_.values.shape:
            continue
        around = map_.path.rpartition(".")[0]
        before = maps[index - 1] if index else None
        prepares = (
            before
            and following
            and around
            and before.values.shape == map_.values.shape
            and within(following.path, around)
            and not within(before.path, around)
        )
        found.add(before.name if before and prepares else map_.name)
    return found


def _is_pooling(map_: FeatureMap) -> bool:
    return "pool" in _what(map_).lower()


def _what(map_: FeatureMap) -> str:
    """Return the operation, which may be said by the name alone."""
    return map_.operation or map_.name.rpartition(".")[2]


def without_poolings(maps: Sequence[FeatureMap]) -> tuple[list[FeatureMap], list[str]]:
    """Return the maps without poolings, if there are others, and the others' names: the picture is that of the map
    before, made smaller.
    """
    kept = [each for each in maps if not _is_pooling(each)] or list(maps)
    return kept, [each.name for each in maps if each not in kept]
