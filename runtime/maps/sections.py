"""Neighbours that belong together, by the paths of their modules: the blocks of a model, and where a page may end.

How large a tile is, and where it is on its page, is in `tile_places.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from ..artifact.errors import UsageError
from .feature_maps import FeatureMap, size_text

__all__ = ["Section", "page_ranges", "requested_page", "sections_of"]

_SLACK = 0.4
"""Of a page's tiles, by which it may be shorter or longer to end where a block ends."""


@dataclass(frozen=True)
class Section:
    """Some neighbours of one height and width, and what all of them have, so that it is said once."""

    name: str
    """`56 × 56`, or what else they are."""
    within: str
    """The module that holds them; empty if there is none, or one alone, whose name says it."""
    channels: int | None
    """Of each; None where they differ."""
    count: int
    stage: str = ""
    """What it is called in an overview, whose tiles say the channels themselves."""

    @property
    def beside(self) -> str:
        """What is said after its name."""
        return self.stage or " · ".join(filter(None, (f"{self.channels} ch" if self.channels else "", self.within)))


def sections_of(maps: Sequence[FeatureMap]) -> list[Section]:
    """Return the sections of maps, which hold all of them; none where they would say nothing.

    A section is what follows one another at one height and width: a stage of the model.
    """
    if not all(each.size for each in maps):
        return []
    found = [_section(list(group)) for _, group in groupby(maps, key=lambda each: each.size[1:])]
    if maps and maps[0].stage:
        return found
    several = len(found) < len(maps)
    telling = len(found) > 1 or found[0].within
    return found if several and telling else []


def page_ranges(paths: Sequence[str], most: int) -> list[range]:
    """Return the tiles of each page: as few pages as possible, of about as many tiles, that end where a block ends.

    Args:
        paths: the module of each tile.
        most: tiles on a page.
    """
    tiles = len(paths)
    shared = [_shared(one, other) for one, other in pairwise(paths)]
    least = min(shared, default=0)
    found, start = [], 0
    for left in range(-(-tiles // most), 0, -1):
        even = -(-(tiles - start) // left)
        # What is left must fit the pages that are left.
        shortest = max(tiles - start - (left - 1) * most, round(even * (1 - _SLACK)), 1)
        longest = min(most, round(even * (1 + _SLACK)), tiles - start - (left - 1))
        depths = {size: shared[start + size - 1] - least for size in range(shortest, longest + 1)} if left > 1 else {}
        size = min(depths, key=lambda size: _cost(size, even, depths[size]), default=even)
        found.append(range(start, start + size))
        start += size
    return found


def requested_page(page: int, pages: int) -> int:
    """Return the index of a page.

    Raises:
        UsageError: there is no such page.
    """
    if not 1 <= page <= pages:
        there = "is 1 page" if pages == 1 else f"are {pages} pages: choose 1 to {pages}"
        raise UsageError(f"Page {page} was requested; there {there}.")
    return page - 1


def _cost(size: int, even: int, depth: int) -> float:
    """Of a page that ends `depth` blocks deep: each costs as much as 0.4 of a page."""
    return abs(size - even) / even + _SLACK * min(depth, 4)


def _shared(one: str, other: str) -> int:
    """How many blocks, one in the other, hold both."""
    count = 0
    for mine, theirs in zip(one.split("."), other.split("."), strict=False):
        if mine != theirs or not mine:
            break
        count += 1
    return count


def _section(maps: Sequence[FeatureMap]) -> Section:
    channels = {each.size[0] for each in maps}
    return Section(
        name=size_text(maps[0].size[1:]),
        within=_common([each.path for each in maps]) if len(maps) > 1 else "",
        channels=channels.pop() if len(channels) == 1 else None,
        count=len(maps),
        stage=maps[0].stage,
    )


def _common(paths: Sequence[str]) -> str:
    """Return the module around all paths: `layer1`; with the first and last of its parts if it holds more, too."""
    parts = [path.split(".") for path in paths]
    depth = 0
    while all(len(each) > depth and each[depth] == parts[0][depth] for each in parts):
        depth += 1
    around, last = parts[0][:depth], (parts[0][depth : depth + 1], parts[-1][depth : depth + 1])
    if all(each and each[0].isdecimal() for each in last):
        return ".".join([*around, f"{last[0][0]}–{last[1][0]}"])
    return ".".join(around)
