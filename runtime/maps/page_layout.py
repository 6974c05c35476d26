"""The layout of a picture of tiles: the tiles' size, the lines above and below them. Lengths are in pixels.

It handles sizes and text, not values; drawing is in `feature_grid.py`, rows and columns are in `tile_places.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..artifact.errors import UsageError
from .grid_style import DEFAULT_STYLE, GridStyle
from .picture_text import break_name, font_of_size, text_length, wrap
from .tile_places import (
    GUTTER,
    LEGIBLE_LETTERS,
    MARGIN,
    OUTPUT_PAGE,
    ROW_GAP,
    PageKind,
    arranged,
    fit,
    in_rows,
    preferred_side,
    sides_of,
)

__all__ = ["BAR_HEIGHT", "GridLayout", "lay_out", "least_width"]

_GAP = 6
"""Between a map and the text above or below it."""
_PROSE_PART = 54
"""Of a page's width, how large its sentences are."""
BAR_HEIGHT = 8
"""Of a colour bar, with the space below it."""
_LONGEST_SIDE = 16_383  # WebP's own limit, the lowest of the raster formats'
_SMALLEST_SIDE = 112  # less leaves no room for a title
_LEAST_WIDTH, _USUAL_WIDTH = 480, 624
"""Of the picture: holds the footer's legend; and its sentences in a few lines, where no width is asked for."""


@dataclass(frozen=True)
class GridLayout:
    """The measures of one page."""

    side: int
    columns: int
    rows: int
    map_height: int
    """Of the tallest map; all rows have this height."""
    name_lines: int
    """How many lines the longest name takes, at most two."""
    details: int
    """How many lines the tiles have below the name."""
    sections: bool
    """Whether a line above each row names the blocks."""
    text: int
    """Font size; most text is one smaller."""
    name_text: int
    """Of the names."""
    prose: int
    """Of the title and the sentences."""
    header: int
    lead: list[str]
    """The lines below the title that say what is seen."""
    caption: list[str]
    """The lines below these."""
    notes: list[str]
    """The footer's lines."""
    places: Sequence[tuple[int, int]]
    """Row and column of each tile."""
    least_width: int
    """Of the picture."""
    legend: bool
    """Whether a line above the notes explains colours."""
    short_rows: bool = False
    """Whether the tiles below the first row have one line of text alone."""
    notes_beside: bool = False
    """Whether the notes are below the first tile, beside the rows that have none there."""

    @property
    def line(self) -> int:
        """From one baseline to the next."""
        return round(self.text * 1.35)

    @property
    def prose_line(self) -> int:
        """From one baseline of sentences to the next."""
        return round(self.prose * 1.35)

    @property
    def section_height(self) -> int:
        """Of the line with the blocks' names."""
        return self.line + 8 if self.sections else 0

    @property
    def titles_height(self) -> int:
        """Of the lines between the blocks' names and the map."""
        return (self.name_lines + self.details) * self.line + _GAP

    def is_short(self, index: int) -> bool:
        """Whether a tile has one line of text alone."""
        return self.short_rows and self.places[index][0] > 0

    def height_above(self, index: int) -> int:
        """Of what is above a tile's map."""
        return self._height_above_row(self.places[index][0])

    def _height_above_row(self, row: int) -> int:
        return self.line + _GAP if self.short_rows and row else self.section_height + self.titles_height

    def _top(self, row: int) -> int:
        """Of a row, below the header."""
        below = self.map_height + _GAP + BAR_HEIGHT + self.line + ROW_GAP
        return MARGIN + self.header + sum(self._height_above_row(each) + below for each in range(row))

    @property
    def grid_width(self) -> int:
        """Of the tiles without the margins."""
        return self.span(self.columns)

    @property
    def notes_top(self) -> int:
        """Where the footer begins."""
        return self._top(1) if self.notes_beside else self._top(self.rows) + _GAP

    @property
    def notes_text(self) -> int:
        """Font size of the notes; they are one smaller."""
        return self.text - 2 if self.notes_beside else self.prose

    @property
    def notes_line(self) -> int:
        """From one baseline of the notes to the next."""
        return round(self.notes_text * 1.35)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture."""
        below = 0 if self.notes_beside else _GAP + (len(self.notes) + self.legend) * self.prose_line
        return max(self.grid_width + 2 * MARGIN, self.least_width), self._top(self.rows) + below + MARGIN

    def name_lines_of(self, name: str) -> list[str]:
        """A tile's name in one line or two, as wide as the tile at most."""
        return break_name(name, font_of_size(self.name_text, bold=True), self.side)

    def span(self, columns: int) -> int:
        """The width of so many tiles beside one another."""
        return columns * (self.side + GUTTER) - GUTTER

    def corner(self, index: int) -> tuple[int, int]:
        """The upper left corner of a tile, its titles included."""
        row, column = self.places[index]
        return MARGIN + column * (self.side + GUTTER), self._top(row)


def lay_out(
    shapes: Sequence[tuple[int, ...]],
    kind: PageKind = OUTPUT_PAGE,
    style: GridStyle = DEFAULT_STYLE,
    *,
    names: Sequence[str],
    notes: Sequence[str],
    lead: Sequence[str] = (),
    caption: Sequence[str] = (),
    groups: Sequence[int] = (),
    has_title: bool = False,
    details: int = 1,
    sections: bool = False,
    heads: bool = False,
    legend: bool = False,
    per_row: int | None = None,
) -> GridLayout:
    """The layout with the largest tiles, from the preferred side down, that keeps the picture within its limits.

    Args:
        shapes: each tile's map, H W.
        kind: what its pages may have.
        style: has the columns, the width and the font size that are asked for.
        names: the text above each tile.
        notes: the footer's sentences.
        lead: the sentences below the title that say what is seen.
        caption: the sentences below these.
        groups: how many tiles, one after the other, belong together: they stay in one row if possible.
        has_title: whether a line is kept free above the tiles.
        details: how many lines the tiles have below the name.
        sections: whether each row has a line for the blocks' names.
        heads: whether a line is kept free below the title for the columns' names.
        legend: whether a line is kept free above the notes for what explains colours.
        per_row: how many of the named tiles each row has, where all below the first have one line of text alone.

    Raises:
        UsageError: with this many columns, or in this width, no size fits.
    """
    tiles, different = len(shapes), set(shapes)
    part = 12
    columns, places = (
        in_rows(tiles - len(names), len(names), per_row)
        if per_row
        else arranged(tiles, groups, kind, different, style, lines=(3 + details if details else 2) + 1.5 * sections)
    )
    least = min(style.width, _LEAST_WIDTH) if style.width else _USUAL_WIDTH
    if style.width is None:
        legible = LEGIBLE_LETTERS * (style.font_size or 0)
        sides = range(max(preferred_side(different, sides_of(kind, columns)), legible), _SMALLEST_SIDE - 1, -4)
    else:
        side = (style.width - 2 * MARGIN + GUTTER) // columns - GUTTER
        sides = range(side, max(side, _SMALLEST_SIDE) - 1, -1)
    for side in sides:
        text = style.font_size or min(max(round(side / part), 11), kind.largest_text)
        name_text = _name_size(names, text, side)
        name_font = font_of_size(name_text, bold=True)
        footer_width = max(columns * (side + GUTTER) - GUTTER, least - 2 * MARGIN)
        prose = text
        if kind.large_prose and not style.font_size:
            prose = min(max(text, round(footer_width / _PROSE_PART)), kind.largest_text)
        first = wrap(lead, font_of_size(prose), footer_width)
        under_title = wrap(caption, font_of_size(prose - 1), footer_width)
        layout = GridLayout(
            side=side,
            columns=columns,
            rows=places[-1][0] + 1 if places else 0,
            map_height=max(fit(shape, side)[1] for shape in different),
            name_lines=max(len(break_name(name, name_font, side)) for name in names),
            details=details,
            sections=sections,
            text=text,
            name_text=name_text,
            prose=prose,
            header=(2 * prose + 16) * has_title
            + _lines_height([*first, *under_title], prose)
            + (2 * text + 10) * heads,
            lead=first,
            caption=under_title,
            places=places,
            least_width=least,
            legend=legend,
            short_rows=per_row is not None,
            notes=wrap(notes, font_of_size(prose - 1), footer_width),
        )
        if per_row and tiles > len(names) and not legend:
            layout = _with_notes_beside(layout, notes)
        if max(layout.size) <= _LONGEST_SIDE:
            return layout
    within = f" within {style.width:,} pixels" if style.width else ""
    raise UsageError(
        f"{tiles} tiles in rows of {columns} are too many to stay legible in one picture{within} (at most "
        f"{_LONGEST_SIDE:,} pixels per side). Choose other columns, or fewer outputs (--columns, --outputs)."
    )


def _with_notes_beside(layout: GridLayout, notes: Sequence[str]) -> GridLayout:
    """Return the layout with its notes below the first tile, which has a column of its own, if they have room there."""
    beside = replace(layout, notes_beside=True)
    beside = replace(beside, notes=wrap(notes, font_of_size(beside.notes_text - 1), layout.side))
    room = layout.size[1] - MARGIN - (len(layout.notes) * layout.prose_line) - beside.notes_top
    return beside if len(beside.notes) * beside.notes_line <= room else layout


def least_width(columns: int) -> int:
    """The width that a picture needs for so many columns."""
    return columns * (_SMALLEST_SIDE + GUTTER) - GUTTER + 2 * MARGIN


def _name_size(names: Sequence[str], text: int, side: int) -> int:
    """Some names a little too long for one line make all smaller; longer ones get a second line."""
    sizes = range(text, max(text - 4, 10), -1)
    fits = (size for size in sizes if all(text_length(font_of_size(size, bold=True), each) <= side for each in names))
    whole = next(fits, 0)
    return whole or next((size for size in sizes if _breaks_well(names, size, side)), text)


def _breaks_well(names: Sequence[str], size: int, side: int) -> bool:
    """Whether no name is broken within a word."""
    lines = (break_name(each, font_of_size(size, bold=True), side) for each in names)
    return all(len(each) == 1 or not each[0][-1:].isalnum() for each in lines)


def _lines_height(lines: Sequence[str], text: int) -> int:
    return len(lines) * round(text * 1.35) + text if lines else 0
