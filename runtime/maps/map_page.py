"""Maps to pictures: the pages, and on each a title, the tiles with their texts and colour bars, and the footer.

Which maps, and what is said of them, is up to `feature_grid.py` and `channel_grid.py`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import UsageError
from .colour_maps import colour_table, not_finite_colour
from .colour_scales import ColourScale, own_scale, range_text, scales_of
from .feature_maps import FeatureMap
from .footer import photo_notes, scale_notes
from .grid_style import GridStyle
from .page_layout import MARGIN, GridLayout, PageKind, lay_out
from .photo import Photo
from .picture import Box, Picture, Pixels, Text
from .picture_text import font_of_size, shorten_front, text_length
from .sections import page_ranges, requested_page, sections_of
from .tile import INK, SOFT_INK, cmap_of, draw_fitted, draw_map, draw_photo, draw_range, not_finite

__all__ = ["MapPages"]

_SWATCH = 12
_RULE = "#8fa3b5"


@dataclass(frozen=True)
class MapPages:
    """All pages of some maps, at least one."""

    maps: Sequence[FeatureMap]
    style: GridStyle
    kind: PageKind
    shared: bool
    """Whether all tiles have one scale."""
    title: str | None
    opening: Sequence[str]
    """The footer's first sentences: what a tile is."""
    closing: Sequence[str]
    """The footer's last sentences: what is left out."""
    photo: Photo | None = None
    """What the maps are of: the first tile of each page."""

    def __post_init__(self) -> None:
        """Check that there is a photo where the maps are to lie over it."""
        if self.style.overlay and self.photo is None:
            raise UsageError("Maps can be laid over a photo only if there is one: give photo=.")

    @cached_property
    def _ranges(self) -> list[range]:
        return page_ranges([each.path for each in self.maps], self.kind.most_tiles)

    @cached_property
    def _scales(self) -> list[ColourScale | None]:
        return scales_of([each.values for each in self.maps], self.style, shared=self.shared)

    @cached_property
    def _sections(self) -> list[str]:
        return sections_of([each.path for each in self.maps])

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._ranges)

    def pictures(self) -> Iterator[Picture]:
        """Draw one page after the other."""
        return (self.picture(number) for number in range(1, len(self._ranges) + 1))

    def picture(self, page: int) -> Picture:
        """Draw one page, from 1 on.

        Raises:
            UsageError: there is no such page, or no such colour map, or the picture would be too large.
        """
        shown = self._ranges[requested_page(page, len(self._ranges))]
        maps = self.maps[shown.start : shown.stop]
        scales = self._scales[shown.start : shown.stop]
        sections = self._sections[shown.start : shown.stop]
        photo, whole = self.photo, self.style.overlay
        notes = [
            *self.opening,
            *scale_notes(scales, self.style, shared=self.shared),
            *photo_notes(photo, overlay=whole),
            *self.closing,
        ]
        title, pages = self.title, len(self._ranges)
        if pages > 1:
            notes.append(f"Page {page} of {pages}: tiles {shown.start + 1} to {shown.stop} of {len(self.maps)}.")
            title = f"{title} · page {page} of {pages}" if title else None
        first = [(photo.pixels if whole else photo.seen).shape[:2]] if photo else []
        layout = lay_out(
            first + [first[0] if whole else each.values.shape for each in maps],
            self.kind,
            self.style,
            names=[each.name for each in maps],
            notes=notes,
            has_title=bool(title),
            details=any(each.detail for each in maps),
            sections=any(sections),
        )
        picture = Picture(*layout.size, page=page, pages=pages)
        if title:
            place, width = (MARGIN, MARGIN + layout.text), picture.width - 2 * MARGIN
            draw_fitted(picture, place, title, layout.text + 4, width, INK, bold=True)
        if photo:
            _draw_photo(picture, layout, photo, whole=whole)
        _draw_sections(picture, layout, [""] * len(first) + sections)
        over = photo if whole else None
        for index, (map_, scale) in enumerate(zip(maps, scales, strict=True), len(first)):
            _draw_tile(picture, layout, index, map_, scale, bar=not self.shared, over=over)
        self._draw_footer(picture, layout, maps, scales)
        return picture

    def _draw_footer(
        self,
        picture: Picture,
        layout: GridLayout,
        maps: Sequence[FeatureMap],
        scales: Sequence[ColourScale | None],
    ) -> None:
        """Add the legend, as far as the tiles don't have one each, and the sentences below it."""
        scale = self._scales[0]
        table = colour_table(cmap_of(scale))
        size = layout.text - 1
        low, high = range_text(scale) if scale else ("", "")
        legend: list[str | NDArray[np.uint8]] = [low, table, high] if self.shared and scale else []
        drawn = zip(maps, scales, strict=True)
        marked = {cmap_of(its) for each, its in drawn if not_finite(each.values)}
        legend += [not_finite_colour(colour_table(cmap))[None] for cmap in sorted(marked)]
        legend += ["not finite"] if marked else []
        x, baseline = MARGIN, layout.notes_top + layout.text
        for part in legend:
            if isinstance(part, str):
                picture.parts.append(Text(x, baseline, part, size, SOFT_INK))
                x += round(text_length(font_of_size(size), part)) + 8
            else:
                width = _SWATCH if len(part) == 1 else 12 * _SWATCH
                picture.parts.append(Pixels(x, baseline - _SWATCH + 1, width, _SWATCH, part[None]))
                x += width + 8
        first = 1 if legend else 0
        for index, note in enumerate(layout.notes):
            picture.parts.append(Text(MARGIN, baseline + (index + first) * layout.line, note, size, SOFT_INK))


def _draw_sections(picture: Picture, layout: GridLayout, sections: Sequence[str]) -> None:
    """Add a rule above the tiles of each block, and its name where it begins, and where its next row does."""
    size = layout.text - 2
    for row in range(0, len(sections), layout.columns):
        places = range(row, min(row + layout.columns, len(sections)))
        for block, tiles in groupby(places, key=lambda index: sections[index]):
            if block:
                first, *others = tiles
                x, y = layout.corner(first)
                width = layout.corner((others or [first])[-1])[0] + layout.side - x
                picture.parts.append(Box(x, y, width, 2, _RULE))
                text = shorten_front(block, font_of_size(size, bold=True), width)
                picture.parts.append(Text(x, y + 4 + size, text, size, _RULE, bold=True))


def _draw_photo(picture: Picture, layout: GridLayout, photo: Photo, *, whole: bool) -> None:
    """Add the first tile: the photo, with its name on one line and its size where maps have theirs."""
    x, y = layout.corner(0)
    y += layout.section_height + layout.titles_height
    above = layout.line if layout.details else 0
    baseline = y - layout.titles_height + layout.name_lines * layout.line - layout.line + layout.text
    draw_fitted(picture, (x, baseline), photo.name, layout.text, layout.side, INK, bold=True)
    height = draw_photo(picture, (x, y), layout.side, photo, whole=whole)
    size = layout.text - (1 if above else 2)
    place = (x, baseline + above) if above else (x, y + height + 6 + size)
    draw_fitted(picture, place, photo.detail, size, layout.side)


def _draw_tile(
    picture: Picture,
    layout: GridLayout,
    index: int,
    map_: FeatureMap,
    scale: ColourScale | None,
    *,
    bar: bool,
    over: Photo | None,
) -> None:
    x, y = layout.corner(index)
    y += layout.section_height
    lines = layout.name_lines_of(map_.name)
    baseline = y + (layout.name_lines - len(lines)) * layout.line + layout.text  # so that the lines end at the map
    for line in lines:
        picture.parts.append(Text(x, baseline, line, layout.text, INK, bold=True))
        baseline += layout.line
    if map_.detail:
        draw_fitted(picture, (x, baseline), map_.detail, layout.text - 1, layout.side)
    y += layout.titles_height
    below = y + draw_map(picture, (x, y), layout.side, map_.values, scale, over) + 6
    # Without a bar the scale is in the footer, and the tile says what is its own.
    ends = scale if bar else own_scale(map_.values)
    draw_range(picture, (x, below), layout.side, layout.text - 2, ends, bar=bar, bad=not_finite(map_.values))
