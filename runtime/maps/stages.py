"""Stages of a model, by the sizes of its maps: numbered, and of one that goes down and up again its two halves."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby, pairwise
from math import prod

from .feature_maps import FeatureMap

__all__ = ["with_stages"]


def with_stages(maps: Sequence[FeatureMap]) -> list[FeatureMap]:
    """Return the maps, each with the name of its stage: the neighbours of one height and width.

    Where the maps become smaller and then as large as before, as in a U-Net, the stages are of its encoder and decoder.
    """
    runs = [list(group) for _, group in groupby(maps, key=lambda each: each.size[1:])]
    names = _names([prod(each[0].size[1:]) for each in runs])
    return [replace(each, stage=name) for run, name in zip(runs, names, strict=True) for each in run]


def _names(areas: Sequence[int]) -> list[str]:
    """Return the name of each stage, by its number of pixels."""
    if len(areas) < 2:
        return ["one size throughout"]
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
