"""Maps to pages of tiles: the names of blocks, the photo, and each map with its texts and colour bar.

Which maps, and what is said of them, is up to `feature_grid.py` and `channel_grid.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from ..artifact.errors import UsageError
from .colour_scales import ColourScale, own_scale, scales_of
from .feature_maps import BRANCH, WEAK, FeatureMap, size_text
from .footer import clip_notes, photo_notes, scale_notes
from .page_layout import GridLayout, lay_out
from .pages import Pages, draw_footer
from .photo import Photo
from .picture import Picture, Text
from .sections import Section, sections_of
from .tile import (
    INK,
    cmap_of,
    draw_details,
    draw_fitted,
    draw_heading,
    draw_map,
    draw_name,
    draw_photo,
    draw_range,
    not_finite,
)

__all__ = ["MapPages"]

_PHOTO = Section("input", "", None, 1)


@dataclass(frozen=True)
class _Tile:
    """A map, and what is written above it."""

    map: FeatureMap
    name: str
    lines: Sequence[str]
    """Below its name: the operation and the size; what is unusual."""


@dataclass(frozen=True)
class MapPages(Pages):
    """All pages of some maps."""

    maps: Sequence[FeatureMap]
    photo: Photo | None = None
    """What the maps are of: the first tile of each page."""
    brief: bool = False
    """Whether it is an overview: the footer and the numbers are short, and no edge takes a map's colours."""
    facts: Sequence[str] = ()
    """What is worth knowing of the picture and not said in it: names of what is left out, and options."""

    def __post_init__(self) -> None:
        """Check that there is a photo where the maps are to lie over it."""
        if self.style.overlay and self.photo is None:
            raise UsageError("Maps can be laid over a photo only if there is one: give photo=.")

    @property
    def said(self) -> Sequence[str]:
        """As above."""
        return self.facts

    @property
    def _entries(self) -> str:
        return "tiles"

    @property
    def _paths(self) -> list[str]:
        return [each.path for each in self.maps]

    @cached_property
    def _scales(self) -> list[ColourScale | None]:
        return scales_of([each.values for each in self.maps], self.style, shared=self.shared, inner=self.brief)

    def _layout(self, shown: slice, notes: Sequence[str], *, has_title: bool) -> GridLayout:
        photo, whole, maps = self.photo, self.style.overlay, self.maps[shown]
        first = [photo.shape(whole)] if photo else []
        sections = sections_of(maps)
        tiles = _tiles(maps, sections)
        return lay_out(
            first + [first[0] if whole else each.values.shape for each in maps],
            self.kind,
            self.style,
            names=[each.name for each in tiles],
            notes=[
                *([] if has_title else self.opening),
                *scale_notes(self._scales[shown], self.style, shared=self.shared),
                *clip_notes(self._scales[shown], self.style, inner=self.brief),
                *photo_notes([photo] if photo and (whole or not self.brief) else [], overlay=whole),
                *self.closing,
                *notes,
            ],
            caption=self.opening if has_title else (),
            groups=[1] * len(first) + [each.count for each in sections] if sections else (),
            has_title=has_title,
            details=max(len(each.lines) for each in tiles),
            sections=bool(sections),
        )

    def _draw(self, picture: Picture, layout: GridLayout, shown: slice) -> None:
        photo, whole, maps = self.photo, self.style.overlay, self.maps[shown]
        first = 1 if photo else 0
        sections = sections_of(maps)
        if photo:
            _draw_photo(picture, layout, photo, whole=whole)
        if sections:
            _draw_sections(picture, layout, [_PHOTO] * first + sections)
        scales = self._scales[shown]
        for index, (tile, scale) in enumerate(zip(_tiles(maps, sections), scales, strict=True), first):
            _draw_tile(
                picture,
                layout,
                index,
                tile,
                scale,
                bar=not self.shared,
                over=photo if whole else None,
                brief=self.brief,
            )
        marked = [cmap_of(its) for map_, its in zip(maps, scales, strict=True) if not_finite(map_.values)]
        shared = self._scales[0]
        draw_footer(picture, layout, [shared] if self.shared and shared else [], marked)


def _tiles(maps: Sequence[FeatureMap], sections: Sequence[Section]) -> list[_Tile]:
    """The maps with their texts, less what is said above several of them."""
    around: Sequence[Section | None] = [section for section in sections for _ in range(section.count)]
    return [_tile(map_, section) for map_, section in zip(maps, around or [None] * len(maps), strict=True)]


def _tile(map_: FeatureMap, section: Section | None) -> _Tile:
    if not map_.size and map_.operation:  # a class, and what shows it
        return _Tile(map_, map_.name, [map_.operation])
    said = section.badges if section else ()
    kind = [each for each in map_.badges if each in (WEAK, BRANCH) and each not in said]
    size = (
        map_.part
        if map_.part and map_.share is None
        else f"mean of {map_.size[0]} channels"
        if map_.is_mean_of_few and section
        else _size(map_, section)
    )
    lines = _joined(map_.operation, size, *kind), _joined(*map_.remarks)
    return _Tile(map_, map_.name, [each for each in lines if each])


def _size(map_: FeatureMap, section: Section | None) -> str:
    """What the section doesn't say of a map's size."""
    if section is None:
        return size_text(map_.size)
    return "" if section.channels and not section.stage else f"{map_.size[0]} ch"


def _joined(*parts: str) -> str:
    return " · ".join(filter(None, parts))


def _draw_sections(picture: Picture, layout: GridLayout, sections: Sequence[Section]) -> None:
    """Add a rule above the tiles of each section, and its name where it begins, and where its next row does."""
    starts = accumulate((each.count for each in sections), initial=0)
    for section, start in zip(sections, starts, strict=False):
        tiles = range(start, start + section.count)
        said = _said_of(section)  # once, in the first row that has room
        for row in sorted({layout.places[tile][0] for tile in tiles}):
            here = [tile for tile in tiles if layout.places[tile][0] == row]
            x, y = layout.corner(here[0])
            done = draw_heading(
                picture,
                (x, y),
                section.name,
                layout.text - 1,
                layout.corner(here[-1])[0] + layout.side - x,
                beside=section.beside,
                at_end=said,
                is_weak=WEAK in section.badges,
            )
            said = () if done else said


def _said_of(section: Section) -> Sequence[str]:
    """What is worth saying of a section at its end."""
    return [badge for badge in (WEAK, BRANCH) if badge in section.badges]


def _draw_photo(picture: Picture, layout: GridLayout, photo: Photo, *, whole: bool) -> None:
    """Add the first tile: the photo, with its name on one line and its size where maps have theirs."""
    x, y = layout.corner(0)
    y += layout.section_height + layout.titles_height
    above = layout.line if layout.details else 0
    baseline = y - layout.titles_height + (layout.name_lines - 1) * layout.line + layout.text
    draw_name(picture, (x, baseline), photo.name, layout.text, layout.side)
    height = draw_photo(picture, (x, y), layout.side, photo, whole=whole)
    size = layout.text - 1
    place = (x, baseline + above) if above else (x, y + height + 6 + size)
    draw_fitted(picture, place, photo.detail, size, layout.side)


def _draw_tile(
    picture: Picture,
    layout: GridLayout,
    index: int,
    tile: _Tile,
    scale: ColourScale | None,
    *,
    bar: bool,
    over: Photo | None,
    brief: bool,
) -> None:
    map_ = tile.map
    x, y = layout.corner(index)
    y += layout.section_height
    lines = layout.name_lines_of(tile.name)
    baseline = y + (layout.name_lines - len(lines)) * layout.line + layout.text  # so that the names end at one height
    for line in lines:
        picture.parts.append(Text(x, baseline, line, layout.name_text, INK, bold=True))
        baseline += layout.line
    draw_details(picture, (x, baseline), tile.lines, layout.text - 1, layout.line, layout.side)
    y += layout.titles_height
    width, height = draw_map(picture, (x, y), layout.side, map_.values, scale, over, faint=map_.is_weak)
    # Without a bar the scale is in the footer, and the tile says what is its own.
    ends = scale if bar else own_scale(map_.values)
    room = max(width, layout.side // 2)  # the numbers stay below a narrow map
    draw_range(
        picture,
        (x, y + height + 6),
        room,
        layout.text - 1,
        ends,
        bar=bar,
        bad=not_finite(map_.values),
        faint=map_.is_weak,
        brief=brief,
    )
