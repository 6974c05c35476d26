"""What is written above a tile: a map's name, its operation and size, its share of variance, what is unusual.

How it is drawn is in `tile.py`; what is said above several tiles is in `sections.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from .feature_maps import BRANCH, WEAK, FeatureMap, size_text
from .sections import Section

__all__ = ["Tile", "tiles_of"]


@dataclass(frozen=True)
class Tile:
    """A map, and what is written above it."""

    map: FeatureMap
    name: str
    lines: Sequence[str]
    """Below its name: the operation and the size; what is unusual."""

    @property
    def without_name(self) -> "Tile":
        """The same beside one of the same output, which says its name already."""
        return Tile(self.map, "", [self.map.part, *self.lines[1:]] if self.lines else [])


def tiles_of(maps: Sequence[FeatureMap], sections: Sequence[Section], *, flat: Sequence[bool]) -> list[Tile]:
    """The maps with their texts, less what is said above several of them."""
    around: Sequence[Section | None] = [section for section in sections for _ in range(section.count)]
    each = zip(maps, around or [None] * len(maps), flat, strict=True)
    return [_tile(map_, section, flat=is_so) for map_, section, is_so in each]


def _tile(map_: FeatureMap, section: Section | None, *, flat: bool) -> Tile:
    if not map_.size and map_.operation:  # a class, and what shows it
        return Tile(map_, map_.name, [map_.operation])
    size = (
        map_.part
        if map_.part
        else f"mean of {map_.size[0]} ch"
        if map_.is_mean_of_few and section
        else _size(map_, section)
    )
    lines = _joined(map_.operation, size, BRANCH * (BRANCH in map_.badges)), _joined(*map_.remarks)
    *above, last = [each for each in lines if each] or [""]
    mark = WEAK * (flat or map_.is_weak or map_.is_low)
    return Tile(map_, map_.name, [each for each in (*above, _joined(last, mark)) if each])


def _size(map_: FeatureMap, section: Section | None) -> str:
    """What the section doesn't say of a map's size."""
    if section is None:
        return size_text(map_.size)
    return "" if section.channels and not section.stage else f"{map_.size[0]} ch"


def _joined(*parts: str) -> str:
    return " · ".join(filter(None, parts))
