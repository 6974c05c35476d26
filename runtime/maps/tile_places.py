"""Where tiles are on a page: how many columns it has, and each tile's row and column; how large a map is in its tile.

Lengths are in pixels. The lines of text around the tiles are in `page_layout.py`, which tiles a page holds is in
`sections.py`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from .grid_style import GridStyle

__all__ = [
    "CHANNEL_PAGE",
    "COMPARISON_PAGE",
    "GUTTER",
    "LEGIBLE_LETTERS",
    "MARGIN",
    "OUTPUT_PAGE",
    "OVERVIEW_PAGE",
    "ROW_GAP",
    "PageKind",
    "arranged",
    "fit",
    "in_rows",
    "most_columns",
    "preferred_side",
    "sides_of",
]

MARGIN = 32
GUTTER, ROW_GAP = 24, 22
_LEGIBLE_SIDE, LEGIBLE_LETTERS = 144, 12  # pixels, and font sizes: what most layers' shapes take
_THINNEST = 8  # otherwise a 1 x 512 map would be a hairline
_ONE_ROW = 5  # tiles
_FEW_COLUMNS = 3
_SPLIT = 0.3
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
    sides_of_few: range | None = None
    """The same with up to three columns."""
    largest_text: int = 19
    """Font size."""
    large_prose: bool = False
    """Whether the sentences grow with the page, so that they are read also where that is made small."""


OUTPUT_PAGE = PageKind(48, 8, range(224, 289))
"""Six rows of eight, about 2,200 x 2,300 pixels. On a much larger page, the names are legible only when the screen
shows just a corner of it."""
OVERVIEW_PAGE = PageKind(48, 8, range(224, 289), range(320, 353), largest_text=25, large_prose=True)
"""The most telling maps, which are large where they are few: with three columns of 336 pixels, text is 5 points in a
paper's column of 85 mm."""
CHANNEL_PAGE = PageKind(100, 12, range(160, 225))
"""The channels of one output, which have short names."""
COMPARISON_PAGE = PageKind(8, 8, range(224, 289))
"""Runs side by side, where `most_tiles` are rows: of two and their difference, about 800 x 2,900 pixels."""


def fit(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    """Width and height at which a map of `shape` (H W) fills a square of `side`."""
    height, width = (max(round(n * side / max(shape)), _THINNEST) for n in shape)
    return width, height


def sides_of(kind: PageKind, columns: int) -> range:
    """Return how large a tile may be, where that is free."""
    return kind.sides_of_few if kind.sides_of_few and columns <= _FEW_COLUMNS else kind.sides


def most_columns(wanted: int, style: GridStyle) -> int:
    """Return how many of the columns a page has room for whose width and letters are asked for."""
    if style.width is None:
        return wanted
    least = max(_LEGIBLE_SIDE, LEGIBLE_LETTERS * (style.font_size or 0))
    return max(min(wanted, (style.width - 2 * MARGIN + GUTTER) // (least + GUTTER)), 1)


def in_rows(first: int, rest: int, per_row: int) -> tuple[int, list[tuple[int, int]]]:
    """Return the columns and places of some first tiles, each in a column of its own, and of the rest beside them in
    rows of so many.
    """
    beside = [(index // per_row, first + index % per_row) for index in range(rest)]
    return first + per_row, [*((0, column) for column in range(first)), *beside]


def arranged(
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
    most = most_columns(min(kind.most_columns, tiles), style)
    if tiles <= _ONE_ROW:
        return most, _places(regular, most)
    side = preferred_side(shapes, kind.sides)
    row = max(fit(shape, side)[1] for shape in shapes) + lines * side / 15 * 1.35 + ROW_GAP

    def cost(found: tuple[int, list[tuple[int, int]]]) -> float:
        columns, places = found
        rows, last = places[-1][0] + 1, places[-1][1] + 1
        empty = 1 - last / columns
        gaps = rows - tiles / columns - empty
        strip = abs(math.log(columns * (side + GUTTER) / (rows * row * _ASPECT)))
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


def preferred_side(shapes: set[tuple[int, ...]], sides: range) -> int:
    """The side at which most maps are scaled by an integer factor, so that their pixels are equally large."""
    longest = {max(shape) for shape in shapes}
    middle = (sides[0] + sides[-1]) / 2
    return max(sides, key=lambda side: (sum(side % n == 0 or n % side == 0 for n in longest), -abs(side - middle)))
