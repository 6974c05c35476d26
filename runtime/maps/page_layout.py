"""The layout of a picture of tiles: pages, columns, the tiles' size. All lengths are in pixels.

It handles sizes and text, not values; drawing is in `feature_grid.py`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..artifact.errors import UsageError
from .picture_text import break_name, font_of_size, wrap

__all__ = ["MARGIN", "MOST_TILES", "GridLayout", "fit", "lay_out", "page_count", "page_range"]

MOST_TILES = 48
"""Per page: seven rows of seven, about 2,000 x 2,700 pixels. On a much larger page, the names are legible only when
the screen shows just a corner of it."""
MARGIN = 32
_FOUR_A_ROW = 24  # tiles
_GUTTER, _ROW_GAP = 24, 26
_LONGEST_SIDE = 16_383  # WebP's own limit, the lowest of the three formats'
_SIDES = range(224, 289)
_SMALLEST_SIDE = 112  # less leaves no room for a title
_THINNEST = 8  # otherwise a 1 x 512 map would be a hairline
_LEAST_WIDTH = 480  # of the picture: holds the footer's legend


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
    text: int
    """Font size of the names; the other text is one smaller."""
    header: int
    notes: list[str]
    """The footer's lines."""

    @property
    def line(self) -> int:
        """From one baseline to the next."""
        return round(self.text * 1.35)

    @property
    def _row_height(self) -> int:
        return (self.name_lines + 2) * self.line + 6 + self.map_height + _ROW_GAP

    @property
    def notes_top(self) -> int:
        """Where the footer begins."""
        return MARGIN + self.header + self.rows * self._row_height

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture."""
        width = 2 * MARGIN + self.columns * (self.side + _GUTTER) - _GUTTER
        return max(width, _LEAST_WIDTH), self.notes_top + (len(self.notes) + 1) * self.line + 8 + MARGIN

    def name_lines_of(self, name: str) -> list[str]:
        """A tile's name in one line or two, as wide as the tile at most."""
        return break_name(name, font_of_size(self.text, bold=True), self.side)

    def corner(self, index: int) -> tuple[int, int]:
        """The upper left corner of a tile, its titles included."""
        row, column = divmod(index, self.columns)
        return MARGIN + column * (self.side + _GUTTER), MARGIN + self.header + row * self._row_height


def page_count(tiles: int) -> int:
    """How many pages the tiles take."""
    return -(-tiles // MOST_TILES)


def page_range(tiles: int, page: int) -> range:
    """The indices of the tiles on a page (from 1 on); pages differ by at most one tile: 97 are 49 and 48.

    Raises:
        UsageError: there is no such page.
    """
    pages = page_count(tiles)
    if not 1 <= page <= pages:
        there = "is 1 page" if pages == 1 else f"are {pages} pages: choose 1 to {pages}"
        raise UsageError(f"Page {page} was requested; there {there}.")
    least, longer = divmod(tiles, pages)
    start = (page - 1) * least + min(page - 1, longer)
    return range(start, start + least + (page <= longer))


def lay_out(
    shapes: Sequence[tuple[int, ...]],
    columns: int | None,
    *,
    names: Sequence[str],
    has_title: bool,
    notes: Sequence[str],
) -> GridLayout:
    """The layout with the largest tiles, from the preferred side down, that keeps the picture within its limits.

    Args:
        shapes: each tile's map, H W.
        columns: tiles per row; None means 4, and for more than 24 tiles enough to keep the page from being a strip.
        names: the text above each tile.
        has_title: whether a line is kept free above the tiles.
        notes: the footer's sentences.

    Raises:
        UsageError: with this many columns no size fits.
    """
    tiles = len(shapes)
    if columns is None:
        columns = 4 if tiles <= _FOUR_A_ROW else math.ceil(math.sqrt(tiles / 1.2))
    columns = min(columns, tiles)
    different = set(shapes)
    for side in range(_preferred_side(different), _SMALLEST_SIDE - 1, -4):
        text = min(max(round(side / 15), 11), 17)
        name_font = font_of_size(text, bold=True)
        footer_width = max(columns * (side + _GUTTER) - _GUTTER, _LEAST_WIDTH - 2 * MARGIN)
        layout = GridLayout(
            side=side,
            columns=columns,
            rows=-(-tiles // columns),
            map_height=max(fit(shape, side)[1] for shape in different),
            name_lines=max(len(break_name(name, name_font, side)) for name in names),
            text=text,
            header=2 * text + 10 if has_title else 0,
            notes=wrap(notes, font_of_size(text - 1), footer_width),
        )
        if max(layout.size) <= _LONGEST_SIDE:
            return layout
    raise UsageError(
        f"{tiles} tiles in rows of {columns} are too many to stay legible in one picture (at most "
        f"{_LONGEST_SIDE:,} pixels per side). Choose more columns, or fewer outputs (--columns, --outputs)."
    )


def fit(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    """Width and height at which a map of `shape` (H W) fills a square of `side`."""
    height, width = (max(round(n * side / max(shape)), _THINNEST) for n in shape)
    return width, height


def _preferred_side(shapes: set[tuple[int, ...]]) -> int:
    """The side at which most maps are scaled by an integer factor, so that their pixels are equally large."""
    longest = {max(shape) for shape in shapes}
    return max(_SIDES, key=lambda side: (sum(side % n == 0 or n % side == 0 for n in longest), -abs(side - 256)))
