"""What is written above a tile: a map's name, its operation and size, its share of variance, what is unusual.

How it is drawn is in `tile.py`; what is said above several tiles is in `sections.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

from .feature_maps import BRANCH, FLAT_MAP, FRAMED, WEAK, FeatureMap, size_text
from .likeness import is_framed
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
    """The maps with their texts, less what is said above several of them.

    Args:
        maps: in the order of drawing.
        sections: of all, or of the first row alone, if the others are of the same outputs.
        flat: which are said to be nearly flat.
    """
    around: Sequence[Section | None] = [section for section in sections for _ in range(section.count)]
    each = zip(maps, cycle(around or [None]), flat, strict=False)
    return [_tile(map_, section, flat=is_so) for map_, section, is_so in each]


def _tile(map_: FeatureMap, section: Section | None, *, flat: bool) -> Tile:
    if not map_.size and map_.operation:  # a class, and what shows it
        return Tile(map_, map_.name, [map_.operation])
    size = (
        map_.part
        if map_.part and map_.share is None
        else f"mean of {map_.size[0]} ch"
        if map_.is_mean_of_few and section
        else _size(map_, section)
    )
    lines = [_joined(map_.operation, size, BRANCH * (BRANCH in map_.badges)), _joined(*map_.remarks)]
    if not (map_.operation or map_.hues or map_.is_further_component):
        lines = [_joined(*lines)]
    *above, last = [each for each in lines if each] or [""]
    marks = {FLAT_MAP: flat, WEAK: map_.is_weak, FRAMED: section is not None and is_framed(map_)}
    mark = next((each for each, is_so in marks.items() if is_so), "")
    return Tile(map_, map_.name, [each for each in (*above, _joined(last, mark)) if each])


def _size(map_: FeatureMap, section: Section | None) -> str:
    """What the section doesn't say of a map's size."""
    if section is None:
        return size_text(map_.size)
    return "" if section.channels and not section.stage else f"{map_.size[0]} ch"


def _joined(*parts: str) -> str:
    return " · ".join(filter(None, parts))
