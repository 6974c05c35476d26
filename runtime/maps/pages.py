"""What all pages of a picture have in common: how many there are, the title above, the legend and sentences below.

What is between them is up to `map_page.py` and `comparison_page.py`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .colour_maps import not_finite_colour
from .colour_scales import ColourScale, range_text
from .component_colours import hue_key, table_of_scale
from .grid_style import GridStyle
from .page_layout import GridLayout
from .picture import Picture, Pixels, Text
from .picture_text import font_of_size, text_length
from .sections import page_ranges, requested_page
from .tile import INK, SOFT_INK, draw_fitted
from .tile_places import MARGIN, PageKind

__all__ = ["Pages", "draw_footer"]

_SWATCH = 12
_PART = " · "
"""Between the parts of a title."""
_NEXT = "  "
"""Between two scales of a legend."""


@dataclass(frozen=True)
class Pages(ABC):
    """All pages of a picture, at least one."""

    style: GridStyle
    kind: PageKind
    shared: bool
    """Whether all maps have one scale."""
    title: str | None
    opening: Sequence[str]
    """The caption: what a tile is."""
    closing: Sequence[str]
    """The footer's last sentences: what is left out."""
    lead: str = field(default="", kw_only=True)
    """What is seen, in a sentence, which stands first."""

    @property
    def said(self) -> Sequence[str]:
        """What is worth knowing of them and not said in a picture."""
        return ()

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._ranges)

    def pictures(self) -> Iterator[Picture]:
        """Draw one page after the other."""
        return (self.picture(number) for number in range(1, self.count + 1))

    def picture(self, page: int) -> Picture:
        """Draw one page, from 1 on.

        Raises:
            UsageError: there is no such page, or no such colour map, or the picture would be too large.
        """
        shown = self._ranges[requested_page(page, self.count)]
        title, notes = self.title, list[str]()
        if self.count > 1:
            of_all = f"{shown.start + 1} to {shown.stop} of {self._ranges[-1].stop}"
            notes = [f"Page {page} of {self.count}: {self._entries} {of_all}."]
            title = f"{title} · page {page} of {self.count}" if title else None
        layout = self._layout(slice(shown.start, shown.stop), notes, has_title=bool(title))
        picture = Picture(*layout.size, page=page, pages=self.count, facts=tuple(self.said))
        if title:
            _draw_title(picture, layout, title)
        self._draw(picture, layout, slice(shown.start, shown.stop))
        return picture

    @cached_property
    def _ranges(self) -> list[range]:
        return page_ranges(self._paths, self.kind.most_tiles)

    @property
    @abstractmethod
    def _entries(self) -> str:
        """What a page has several of, in the footer's words: tiles, rows."""

    @property
    @abstractmethod
    def _paths(self) -> list[str]:
        """The module of each entry, in order, by which a page ends where a block does."""

    @abstractmethod
    def _layout(self, shown: slice, notes: Sequence[str], *, has_title: bool) -> GridLayout:
        """Lay out a page of some entries, with these last sentences in its footer; without a title, there is no caption
        either, and what it says is in the footer.
        """

    @abstractmethod
    def _draw(self, picture: Picture, layout: GridLayout, shown: slice) -> None:
        """Draw what is below the title."""


def _draw_title(picture: Picture, layout: GridLayout, title: str) -> None:
    """Add the title, of which the first part, the model, stands out."""
    width = picture.width - 2 * MARGIN
    x, baseline = MARGIN, MARGIN + layout.prose
    first, *others = title.split(_PART)
    rest = "".join(f"{_PART}{each}" for each in others)
    for size in range(layout.prose + 5, max(layout.prose // 2, 9), -1):
        bold = text_length(font_of_size(size, bold=True), first)
        if bold + text_length(font_of_size(size - 2), rest) <= width:
            picture.parts.append(Text(x, baseline, first, size, INK, bold=True))
            if rest:
                picture.parts.append(Text(x + round(bold), baseline, rest, size - 2, SOFT_INK))
            return
    draw_fitted(picture, (x, baseline), title, layout.prose, width, INK, bold=True)


@dataclass(frozen=True)
class _Patch:
    """Colours between the words of a legend."""

    colours: NDArray[np.uint8]
    """H W 3."""
    width: int = _SWATCH
    height: int = _SWATCH


def _legend(scales: Sequence[ColourScale], not_finite: Sequence[str], line: int, *, hued: bool) -> list[str | _Patch]:
    """Return what explains colours: a bar for each scale, what isn't finite, hues, as far as there are any.

    `line` is how high a patch may be.
    """
    parts: list[list[str | _Patch]] = []
    for scale in scales:
        low, high = range_text(scale)
        parts.append([low, _Patch(table_of_scale(scale.cmap)[None], 12 * _SWATCH), high])
    if not_finite:
        marks = [_Patch(not_finite_colour(table_of_scale(cmap))[None, None]) for cmap in not_finite]
        parts.append([*marks, "not finite"])
    if hued:
        parts.append([_Patch(hue_key(), line, line), "hue: PC2 and PC3"])
    return [each for index, part in enumerate(parts) for each in ([_NEXT, *part] if index else part)]


def draw_footer(
    picture: Picture,
    layout: GridLayout,
    scales: Sequence[ColourScale],
    not_finite: Iterable[str] = (),
    *,
    hued: bool = False,
) -> None:
    """Add the caption below the title, the legend, as far as the tiles don't have one each, and the sentences below it.

    Args:
        picture: to add it to.
        layout: has the sentences.
        scales: what all tiles share.
        not_finite: the colour maps of those with values that aren't finite.
        hued: whether there are tiles with hues.
    """
    styles = [(layout.prose, INK)] * len(layout.lead) + [(layout.prose - 1, SOFT_INK if layout.lead else INK)] * len(
        layout.caption
    )
    for index, (line, (letters, ink)) in enumerate(zip([*layout.lead, *layout.caption], styles, strict=True), 1):
        below = MARGIN + layout.prose + 8 + index * layout.prose_line
        picture.parts.append(Text(MARGIN, below, line, letters, ink))
    size = layout.notes_text - 1
    legend = _legend(scales, sorted(set(not_finite)), layout.notes_line - 2, hued=hued)
    x, baseline = MARGIN, layout.notes_top + layout.notes_text
    for part in legend:
        if isinstance(part, str):
            picture.parts.append(Text(x, baseline, part, size, SOFT_INK))
            x += round(text_length(font_of_size(size), part)) + 8
        else:
            picture.parts.append(Pixels(x, baseline - part.height + 1, part.width, part.height, part.colours))
            x += part.width + 8
    first = 1 if legend else 0
    for index, note in enumerate(layout.notes):
        picture.parts.append(Text(MARGIN, baseline + (index + first) * layout.notes_line, note, size, SOFT_INK))
