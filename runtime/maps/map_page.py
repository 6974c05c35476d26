"""Maps to pages of tiles: the names of blocks, the photo, and each map with its texts and colour bar.

Which maps, and what is said of them, is up to `feature_grid.py` and `channel_grid.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate

from ..artifact.errors import UsageError
from .colour_scales import ColourScale, around_zero, is_flat, own_scale, scales_of, strengths_of
from .component_colours import HUED
from .feature_maps import FeatureMap
from .footer import clip_notes, inner_scale_notes, photo_notes, scale_notes, weak_notes
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
    draw_strength,
    not_finite,
)
from .tile_places import most_columns
from .tile_texts import Tile, tiles_of

__all__ = ["MapPages"]

_PHOTO = Section("input", "", None, 1)


@dataclass(frozen=True)
class MapPages(Pages):
    """All pages of some maps."""

    maps: Sequence[FeatureMap]
    photo: Photo | None = None
    """What the maps are of: the first tile of each page."""
    brief: bool = False
    """Whether it is an overview: the footer and the numbers are short, and no edge takes a map's colours."""
    per_row: int | None = None
    """How many maps a row has, where each row is of the same outputs as the first: their second components, their third
    ones. If so many columns have room, and no other number of them is asked for.
    """
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
    def _rows_of(self) -> int | None:
        """The maps of a row, as above; None where rows are as there is room."""
        wanted = (self.per_row or 0) + (self.photo is not None)
        has_room = self.style.columns in (None, wanted) and most_columns(wanted, self.style) == wanted
        return self.per_row if has_room else None

    def _sections(self, maps: Sequence[FeatureMap]) -> list[Section]:
        """The sections of some maps; where all rows are of the same, those of the first."""
        return sections_of(maps[: self._rows_of])

    @cached_property
    def scales(self) -> list[ColourScale | None]:
        """Of each map; None where no value is finite."""
        found = scales_of([each.values for each in self.maps], self.style, shared=self.shared, inner=self._is_inner)
        return [self._coloured(each, scale) for each, scale in zip(self.maps, found, strict=True)]

    def _coloured(self, map_: FeatureMap, scale: ColourScale | None) -> ColourScale | None:
        """The scale of a map with the colours of principal components; in an overview, these are around 0, the mean
        over the image, and pale in what says little.
        """
        if map_.hues and scale:
            return replace(scale, cmap=HUED)
        style = self.style
        chosen = not self.brief or self.shared or style.overlay or style.cmap or style.symmetric is not None
        found = around_zero(scale) if map_.is_component and not chosen else scale
        pale = self._is_flat(map_, found) or (map_.is_weak and self._is_inner)
        return replace(found, pale=True) if found and pale else found

    def _is_flat(self, map_: FeatureMap, scale: ColourScale | None) -> bool:
        """Whether a tile is said to be nearly constant."""
        return self._is_inner and is_flat(scale) and not not_finite(map_.values)

    @cached_property
    def _flat(self) -> list[bool]:
        """Which tiles are said to be so."""
        return [self._is_flat(each, scale) for each, scale in zip(self.maps, self.scales, strict=True)]

    @cached_property
    def _strengths(self) -> list[float] | None:
        """How wide the range of each tile is beside the others, where that differs much."""
        return strengths_of(self.scales) if self._is_inner else None

    @property
    def _is_inner(self) -> bool:
        """Whether no edge and no lone pixel takes a map's colours."""
        return self.brief and not self.shared and self.style.clip is None and not self.style.symmetric

    def _layout(self, shown: slice, notes: Sequence[str], *, has_title: bool) -> GridLayout:
        photo, whole, maps = self.photo, self.style.overlay, self.maps[shown]
        first = [photo.shape(whole)] if photo else []
        sections = self._sections(maps)
        tiles = tiles_of(maps, sections, flat=self._flat[shown])
        notes = [
            *([] if has_title else filter(None, [self.lead, *self.opening])),
            *(
                inner_scale_notes(self.scales[shown])
                if self._is_inner
                else scale_notes(self.scales[shown], self.style, shared=self.shared)
            ),
            *([] if self._is_inner else clip_notes(self.scales[shown], self.style, marks=not self.brief)),
            *weak_notes(maps, self._strengths, flat=any(self._flat[shown])),
            *photo_notes([photo] if photo and (whole or not self.brief) else [], overlay=whole),
            *self.closing,
            *notes,
        ]
        return lay_out(
            first + [first[0] if whole else each.values.shape for each in maps],
            self.kind,
            self.style,
            names=[each.name for each in tiles],
            notes=[" ".join(notes)] if self.brief else notes,
            lead=[self.lead] if has_title and self.lead else (),
            caption=self.opening if has_title else (),
            groups=[1] * len(first) + [each.count for each in sections] if sections else (),
            has_title=has_title,
            details=max(len(each.lines) for each in tiles[: self._rows_of]),
            sections=bool(sections),
            legend=self.shared or any(each.hues or not_finite(each.values) for each in maps),
            per_row=self._rows_of,
        )

    def _draw(self, picture: Picture, layout: GridLayout, shown: slice) -> None:
        photo, whole, maps = self.photo, self.style.overlay, self.maps[shown]
        first = 1 if photo else 0
        sections = self._sections(maps)
        if photo:
            _draw_photo(picture, layout, photo, whole=whole)
        if sections:
            _draw_sections(picture, layout, [_PHOTO] * first + sections)
        scales, said = self.scales[shown], ("", -1)
        tiles = tiles_of(maps, sections, flat=self._flat[shown])
        for index, (tile, scale) in enumerate(zip(tiles, scales, strict=True), first):
            here = tile.name, layout.places[index][0]
            _draw_tile(
                picture,
                layout,
                index,
                tile.without_name if self.brief and here == said else tile,
                scale,
                bar=not self.shared,
                over=photo if whole else None,
                brief=self.brief,
                strength=self._strengths[shown][index - first] if self._strengths else None,
            )
            said = here
        marked = [cmap_of(its) for map_, its in zip(maps, scales, strict=True) if not_finite(map_.values)]
        shared = self.scales[0]
        hued = any(each.hues for each in maps)
        draw_footer(picture, layout, [shared] if self.shared and shared else [], marked, hued=hued)


def _draw_sections(picture: Picture, layout: GridLayout, sections: Sequence[Section]) -> None:
    """Add a rule above the tiles of each section, and its name where it begins, and where its next row does."""
    starts = accumulate((each.count for each in sections), initial=0)
    for section, start in zip(sections, starts, strict=False):
        tiles = range(start, start + section.count)
        for row in sorted({layout.places[tile][0] for tile in tiles}):
            here = [tile for tile in tiles if layout.places[tile][0] == row]
            x, y = layout.corner(here[0])
            draw_heading(
                picture,
                (x, y),
                section.stage or section.name,
                layout.text - 1,
                layout.corner(here[-1])[0] + layout.side - x,
                beside=section.name if section.stage else section.beside,
            )


def _draw_photo(picture: Picture, layout: GridLayout, photo: Photo, *, whole: bool) -> None:
    """Add the first tile: the photo, with its name on one line and its size where maps have theirs."""
    x, y = layout.corner(0)
    y += layout.height_above(0)
    above = layout.line if layout.details else 0
    baseline = y - layout.titles_height + (layout.name_lines - 1) * layout.line + layout.text
    draw_name(picture, (x, baseline), photo.name, layout.text, layout.side, bold=not layout.sections)
    height = draw_photo(picture, (x, y), layout.side, photo, whole=whole)
    size = layout.text - 1
    place = (x, baseline + above) if above else (x, y + height + 6 + size)
    draw_fitted(picture, place, photo.detail, size, layout.side)


def _draw_texts(picture: Picture, layout: GridLayout, index: int, tile: Tile, strength: float | None) -> None:
    """Add what is above a tile's map, less what the tile in the first row says; at its end how wide the range is."""
    x, y = layout.corner(index)
    lines, details = ([], tile.lines[-1:]) if layout.is_short(index) else (layout.name_lines_of(tile.name), tile.lines)
    above = 0 if layout.is_short(index) else layout.section_height + (layout.name_lines - len(lines)) * layout.line
    baseline = y + above + layout.text  # so that the names end at one height
    for line in lines:
        if line:
            picture.parts.append(Text(x, baseline, line, layout.name_text, INK, bold=not layout.sections))
        baseline += layout.line
    size = layout.text - 1
    before, last = details[:-1], details[-1:]
    end = baseline + len(before) * layout.line
    bar = 0 if strength is None else draw_strength(picture, (x + layout.side, end), size, strength)
    draw_details(picture, (x, baseline), before, size, layout.line, layout.side)
    draw_details(picture, (x, end), last, size, layout.line, layout.side - bar)


def _draw_tile(
    picture: Picture,
    layout: GridLayout,
    index: int,
    tile: Tile,
    scale: ColourScale | None,
    *,
    bar: bool,
    over: Photo | None,
    brief: bool,
    strength: float | None,
) -> None:
    map_ = tile.map
    x, y = layout.corner(index)
    _draw_texts(picture, layout, index, tile, strength)
    y += layout.height_above(index)
    width, height = draw_map(picture, (x, y), layout.side, map_.values, scale, over, map_.hues)
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
        brief=brief,
        most=layout.side,
    )
