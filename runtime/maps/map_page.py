"""Maps to pictures: the pages, and on each a title, the tiles with their texts and colour bars, and the footer.

Which maps, and what is said of them, is up to `feature_grid.py` and `channel_grid.py`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from .colour_maps import colour_map_image, colour_table, finite_values, not_finite_colour
from .colour_scales import SEQUENTIAL, ColourScale, own_scale, range_text, scales_of
from .feature_maps import FeatureMap
from .footer import scale_notes
from .grid_style import GridStyle
from .page_layout import MARGIN, GridLayout, PageKind, fit, lay_out
from .picture import Box, Picture, Pixels, Text
from .picture_text import font_of_size, shorten_front, text_length
from .sections import page_ranges, requested_page, sections_of

__all__ = ["MapPages"]

_SWATCH = 12
_BAR = 6
"""The height of a tile's colour bar."""
_LEAST_BAR = 16
_BAR_GAP = 6
_FRAME, _RULE, _INK, _SOFT_INK = "#d4d4d4", "#8fa3b5", "#1c1c1c", "#666666"


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
        notes = [*self.opening, *scale_notes(scales, self.style, shared=self.shared), *self.closing]
        title, pages = self.title, len(self._ranges)
        if pages > 1:
            notes.append(f"Page {page} of {pages}: tiles {shown.start + 1} to {shown.stop} of {len(self.maps)}.")
            title = f"{title} · page {page} of {pages}" if title else None
        layout = lay_out(
            [each.values.shape for each in maps],
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
            size, text = _fitted(title, layout.text + 4, picture.width - 2 * MARGIN, bold=True)
            picture.parts.append(Text(MARGIN, MARGIN + layout.text, text, size, _INK, bold=True))
        _draw_sections(picture, layout, sections)
        for index, (map_, scale) in enumerate(zip(maps, scales, strict=True)):
            _draw_tile(picture, layout, index, map_, scale, bar=not self.shared)
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
        table = colour_table(_cmap_of(scale))
        size = layout.text - 1
        low, high = range_text(scale) if scale else ("", "")
        legend: list[str | NDArray[np.uint8]] = [low, table, high] if self.shared and scale else []
        drawn = zip(maps, scales, strict=True)
        not_finite = {_cmap_of(its) for each, its in drawn if finite_values(each.values).size < each.values.size}
        legend += [not_finite_colour(colour_table(cmap))[None] for cmap in sorted(not_finite)]
        legend += ["not finite"] if not_finite else []
        x, baseline = MARGIN, layout.notes_top + layout.text
        for part in legend:
            if isinstance(part, str):
                picture.parts.append(Text(x, baseline, part, size, _SOFT_INK))
                x += round(text_length(font_of_size(size), part)) + 8
            else:
                width = _SWATCH if len(part) == 1 else 12 * _SWATCH
                picture.parts.append(Pixels(x, baseline - _SWATCH + 1, width, _SWATCH, part[None]))
                x += width + 8
        first = 1 if legend else 0
        for index, note in enumerate(layout.notes):
            picture.parts.append(Text(MARGIN, baseline + (index + first) * layout.line, note, size, _SOFT_INK))


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


def _draw_tile(
    picture: Picture, layout: GridLayout, index: int, map_: FeatureMap, scale: ColourScale | None, *, bar: bool
) -> None:
    x, y = layout.corner(index)
    y += layout.section_height
    lines = layout.name_lines_of(map_.name)
    baseline = y + (layout.name_lines - len(lines)) * layout.line + layout.text  # so that the lines end at the map
    for line in lines:
        picture.parts.append(Text(x, baseline, line, layout.text, _INK, bold=True))
        baseline += layout.line
    if map_.detail:
        size, text = _fitted(map_.detail, layout.text - 1, layout.side)
        picture.parts.append(Text(x, baseline, text, size, _SOFT_INK))
    width, height = fit(map_.values.shape, layout.side)
    y += layout.titles_height
    table = colour_table(_cmap_of(scale))
    ends = (scale.low, scale.high) if scale else None
    picture.parts.append(Box(x - 1, y - 1, width + 2, height + 2, _FRAME, filled=False))
    picture.parts.append(Pixels(x, y, width, height, colour_map_image(map_.values, table, ends)))
    below = y + height + 6
    _draw_range(picture, layout, (x, below), map_, scale, table if bar else None)


def _draw_range(
    picture: Picture,
    layout: GridLayout,
    place: tuple[int, int],
    map_: FeatureMap,
    scale: ColourScale | None,
    table: NDArray[np.uint8] | None,
) -> None:
    """Add the ends of a tile's colours, with the colour bar between them if there is a table."""
    (x, y), size = place, layout.text - 2
    bad = map_.values.size - finite_values(map_.values).size
    beyond = f" · {bad} not finite" if bad else ""
    if table is None:  # the scale is in the footer, and the tile says what is its own
        scale = own_scale(map_.values)
    if scale is None:
        texts = ("", beyond.removeprefix(" · "))
    elif scale.lowest == scale.highest:
        texts = "", f"constant {range_text(scale)[0]}{beyond}"
    else:
        low, high = range_text(scale)
        texts = low, high + beyond
    font = font_of_size(size)
    left, right = (text_length(font, text) for text in texts)
    room = layout.side - round(left + right) - 2 * _BAR_GAP
    if texts[0] and table is not None and room >= _LEAST_BAR:
        picture.parts.append(Text(x, y + size, texts[0], size, _SOFT_INK))
        picture.parts.append(Text(x + layout.side - round(right), y + size, texts[1], size, _SOFT_INK))
        bar = x + round(left) + _BAR_GAP
        picture.parts.append(Pixels(bar, y + size - _BAR - 1, room, _BAR, table[None]))
        return
    size, text = _fitted(" to ".join(filter(None, texts)), size, layout.side)
    picture.parts.append(Text(x, y + size, text, size, _SOFT_INK))


def _cmap_of(scale: ColourScale | None) -> str:
    return scale.cmap if scale else SEQUENTIAL


def _fitted(text: str, size: int, width: int, *, bold: bool = False) -> tuple[int, str]:
    """Return the size at which a line fits, smaller by a few pixels at most, and as much of its end as then fits."""
    smallest = min(size, max(size - 4, 10))
    sizes = range(size, smallest - 1, -1)
    found = next((each for each in sizes if text_length(font_of_size(each, bold=bold), text) <= width), smallest)
    return found, shorten_front(text, font_of_size(found, bold=bold), width)
