"""The layout of a picture of tiles: columns, the tiles' size, the lines above and below them. Lengths are in pixels.

It handles sizes and text, not values; drawing is in `feature_grid.py`, which tiles a page holds is in `sections.py`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from ..artifact.errors import UsageError
from .grid_style import DEFAULT_STYLE, GridStyle
from .picture_text import break_name, font_of_size, text_length, wrap

__all__ = [
    "BAR_HEIGHT",
    "CHANNEL_PAGE",
    "COMPARISON_PAGE",
    "MARGIN",
    "OUTPUT_PAGE",
    "GridLayout",
    "PageKind",
    "fit",
    "lay_out",
    "least_width",
]

MARGIN = 32
_GUTTER, _ROW_GAP = 24, 22
_GAP = 6
"""Between a map and the text above or below it."""
BAR_HEIGHT = 8
"""Of a colour bar, with the space below it."""
_LONGEST_SIDE = 16_383  # WebP's own limit, the lowest of the raster formats'
_SMALLEST_SIDE = 112  # less leaves no room for a title
_LEGIBLE_SIDE, _LEGIBLE_LETTERS = 144, 12  # pixels, and font sizes: what most layers' shapes take
_THINNEST = 8  # otherwise a 1 x 512 map would be a hairline
_LEAST_WIDTH, _USUAL_WIDTH = 480, 624
"""Of the picture: holds the footer's legend; and its sentences in a few lines, where no width is asked for."""
_ONE_ROW = 4  # tiles
_SPLIT = 0.6
"""What a group in two rows costs, of a row that stays empty."""
_ASPECT = 1.15
"""Width to height that a page comes near to: of a screen, and of paper."""


@dataclass(frozen=True)
class PageKind:
    """What a page of one kind of tiles may have."""

    most_tiles: int
    most_columns: int
    sides: range
    """Of a tile, where that is free."""


OUTPUT_PAGE = PageKind(48, 8, range(224, 289))
"""Six rows of eight, about 2,200 x 2,300 pixels. On a much larger page, the names are legible only when the screen
shows just a corner of it."""
CHANNEL_PAGE = PageKind(100, 12, range(160, 225))
"""The channels of one output, which have short names."""
COMPARISON_PAGE = PageKind(8, 8, range(224, 289))
"""Runs side by side, where `most_tiles` are rows: of two and their difference, about 800 x 2,900 pixels."""


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
    header: int
    caption: list[str]
    """The lines below the title."""
    notes: list[str]
    """The footer's lines."""
    places: Sequence[tuple[int, int]]
    """Row and column of each tile."""
    least_width: int
    """Of the picture."""

    @property
    def line(self) -> int:
        """From one baseline to the next."""
        return round(self.text * 1.35)

    @property
    def section_height(self) -> int:
        """Of the line with the blocks' names."""
        return self.line + 8 if self.sections else 0

    @property
    def titles_height(self) -> int:
        """Of the lines between the blocks' names and the map."""
        return (self.name_lines + self.details) * self.line + _GAP

    @property
    def _row_height(self) -> int:
        return self.section_height + self.titles_height + self.map_height + _GAP + BAR_HEIGHT + self.line + _ROW_GAP

    @property
    def grid_width(self) -> int:
        """Of the tiles without the margins."""
        return self.span(self.columns)

    @property
    def notes_top(self) -> int:
        """Where the footer begins."""
        return MARGIN + self.header + self.rows * self._row_height + _GAP

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture."""
        height = self.notes_top + (len(self.notes) + 1) * self.line + 8 + MARGIN
        return max(self.grid_width + 2 * MARGIN, self.least_width), height

    def name_lines_of(self, name: str) -> list[str]:
        """A tile's name in one line or two, as wide as the tile at most."""
        return break_name(name, font_of_size(self.name_text, bold=True), self.side)

    def span(self, columns: int) -> int:
        """The width of so many tiles beside one another."""
        return columns * (self.side + _GUTTER) - _GUTTER

    def corner(self, index: int) -> tuple[int, int]:
        """The upper left corner of a tile, its titles included."""
        row, column = self.places[index]
        return MARGIN + column * (self.side + _GUTTER), MARGIN + self.header + row * self._row_height


def lay_out(
    shapes: Sequence[tuple[int, ...]],
    kind: PageKind = OUTPUT_PAGE,
    style: GridStyle = DEFAULT_STYLE,
    *,
    names: Sequence[str],
    notes: Sequence[str],
    caption: Sequence[str] = (),
    groups: Sequence[int] = (),
    has_title: bool = False,
    details: int = 1,
    sections: bool = False,
    heads: bool = False,
) -> GridLayout:
    """The layout with the largest tiles, from the preferred side down, that keeps the picture within its limits.

    Args:
        shapes: each tile's map, H W.
        kind: what its pages may have.
        style: has the columns, the width and the font size that are asked for.
        names: the text above each tile.
        notes: the footer's sentences.
        caption: the sentences below the title.
        groups: how many tiles, one after the other, belong together: they stay in one row if possible.
        has_title: whether a line is kept free above the tiles.
        details: how many lines the tiles have below the name.
        sections: whether each row has a line for the blocks' names.
        heads: whether a line is kept free below the title for the columns' names.

    Raises:
        UsageError: with this many columns, or in this width, no size fits.
    """
    tiles, different = len(shapes), set(shapes)
    part = 12
    columns, places = _arranged(
        tiles, groups, kind, different, style, lines=(3 + details if details else 2) + 1.5 * sections
    )
    least = _LEAST_WIDTH if style.width else _USUAL_WIDTH
    if style.width is None:
        sides = range(_preferred_side(different, kind.sides), _SMALLEST_SIDE - 1, -4)
    else:
        side = (style.width - 2 * MARGIN + _GUTTER) // columns - _GUTTER
        sides = range(side, max(side, _SMALLEST_SIDE) - 1, -1)
    for side in sides:
        text = style.font_size or min(max(round(side / part), 11), 19)
        name_text = _name_size(names, text, side)
        name_font = font_of_size(name_text, bold=True)
        footer_width = max(columns * (side + _GUTTER) - _GUTTER, least - 2 * MARGIN)
        under_title = wrap(caption, font_of_size(text - 1), footer_width)
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
            header=(2 * text + 16) * has_title + _lines_height(under_title, text) + (2 * text + 10) * heads,
            caption=under_title,
            places=places,
            least_width=least,
            notes=wrap(notes, font_of_size(text - 1), footer_width),
        )
        if max(layout.size) <= _LONGEST_SIDE:
            return layout
    within = f" within {style.width:,} pixels" if style.width else ""
    raise UsageError(
        f"{tiles} tiles in rows of {columns} are too many to stay legible in one picture{within} (at most "
        f"{_LONGEST_SIDE:,} pixels per side). Choose other columns, or fewer outputs (--columns, --outputs)."
    )


def least_width(columns: int) -> int:
    """The width that a picture needs for so many columns."""
    return columns * (_SMALLEST_SIDE + _GUTTER) - _GUTTER + 2 * MARGIN


def fit(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    """Width and height at which a map of `shape` (H W) fills a square of `side`."""
    height, width = (max(round(n * side / max(shape)), _THINNEST) for n in shape)
    return width, height


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


def _arranged(
    tiles: int,
    groups: Sequence[int],
    kind: PageKind,
    shapes: set[tuple[int, ...]],
    style: GridStyle,
    lines: float,
) -> tuple[int, list[tuple[int, int]]]:
    """How many columns make a page neither a strip nor end in a row that is nearly empty, and each tile's place."""
    regular = [1] * tiles
    if style.columns:
        columns = min(style.columns, tiles)
        whole, filled = _places(groups or regular, columns), _places(regular, columns)
        return columns, whole if whole[-1][0] == filled[-1][0] else filled
    most = min(kind.most_columns, tiles)
    if style.width is not None:
        least = max(_LEGIBLE_SIDE, _LEGIBLE_LETTERS * (style.font_size or 0))
        most = max(min(most, (style.width - 2 * MARGIN + _GUTTER) // (least + _GUTTER)), 1)
    if tiles <= _ONE_ROW:
        return most, _places(regular, most)
    side = _preferred_side(shapes, kind.sides)
    row = max(fit(shape, side)[1] for shape in shapes) + lines * side / 15 * 1.35 + _ROW_GAP

    def cost(found: tuple[int, list[tuple[int, int]]]) -> float:
        columns, places = found
        rows, last = places[-1][0] + 1, places[-1][1] + 1
        empty = 1 - last / columns
        gaps = rows - tiles / columns - empty
        strip = abs(math.log(columns * (side + _GUTTER) / (rows * row * _ASPECT)))
        return 1.2 * strip + 1.5 * empty + (empty > 0.65) + 6 * gaps + _SPLIT * _splits(groups, places)

    ways = [regular, groups] if groups else [regular]
    return min(((columns, _places(way, columns)) for columns in range(1, most + 1) for way in ways), key=cost)


def _places(groups: Sequence[int], columns: int) -> list[tuple[int, int]]:
    """Row and column of each tile; a group that a row could hold isn't split."""
    found: list[tuple[int, int]] = []
    row, column = 0, 0
    for tiles in groups:
        if column + tiles > columns >= tiles:
            row, column = row + 1, 0
        for _ in range(tiles):
            if column == columns:
                row, column = row + 1, 0
            found.append((row, column))
            column += 1
    return found


def _splits(groups: Sequence[int], places: Sequence[tuple[int, int]]) -> int:
    """How many rows go on with the group of the one before."""
    starts = {*accumulate(groups)}
    return sum(column == 0 and index > 0 and index not in starts for index, (_, column) in enumerate(places))


def _preferred_side(shapes: set[tuple[int, ...]], sides: range) -> int:
    """The side at which most maps are scaled by an integer factor, so that their pixels are equally large."""
    longest = {max(shape) for shape in shapes}
    middle = (sides[0] + sides[-1]) / 2
    return max(sides, key=lambda side: (sum(side % n == 0 or n % side == 0 for n in longest), -abs(side - middle)))
