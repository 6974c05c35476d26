"""Stages of a model, by the sizes of its maps: their names, of a U-Net those of its two halves; what each returns; and
poolings, which only make what is before them smaller.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby, pairwise
from math import prod

from .blocks import numbered_paths
from .feature_maps import FeatureMap

__all__ = ["landmarks", "with_stages", "without_poolings"]

_MOVES = re.compile(
    r"(permute|transpose|reshape|view|flatten|identity|dropout|contiguous|layer_?norm(2d)?)(\.\w+)?(_\d+)?",
    re.IGNORECASE,
)
"""Operations that change no picture: what is before them has the better name."""
_FEWEST = 3
"""Blocks of one size, of which more have a first, a middle and a last one."""


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


def landmarks(maps: Sequence[FeatureMap]) -> set[str]:
    """Return the names of what is drawn although it looks like others: the last of each stage, which is what it
    returns; where there is one size, the first, the middle and the last block.
    """
    maps = [each for each in maps if not _MOVES.fullmatch(_what(each))] or maps
    ends = {one.name for one, other in pairwise(maps) if one.values.shape != other.values.shape}
    numbered = numbered_paths(each.path for each in maps)
    blocks = [each for each in maps if each.path in numbered]
    if not ends and len(blocks) > _FEWEST:
        return {blocks[at].name for at in (0, (len(blocks) - 1) // 2, -1)}
    return ends | {each.name for each in maps[-1:]}


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
