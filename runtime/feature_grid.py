"""One picture of a run: each output's mean over its channels as a coloured tile, in the order of execution.

Colouring the values is `colour_maps.py`, saving the picture `picture_saving.py`; the arrays come from a runner.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from .colour_maps import colour_map_image, colour_table, not_finite_colour, value_range
from .errors import UsageError
from .manifest import OutputEntry
from .picture_text import draw_line, font_of_size, shorten_front, text_length, wrap

__all__ = ["channel_mean", "draw_grid"]

_CHANNEL_AXIS = {"NCHW": 1, "NHWC": 3}
"""The layouts that have a height and a width, each with the axis that is averaged."""
# All lengths are in pixels.
_LONGEST_SIDE = 16_383  # WebP's own limit, the lowest of the three formats'
_SIDES = range(224, 289)
_SMALLEST_SIDE = 112  # less leaves no room for a title
_THINNEST = 8  # a 1 x 512 map would else be a hairline
_LEAST_WIDTH = 480  # of the picture: holds the footer's legend
_MARGIN, _GUTTER, _ROW_GAP = 32, 24, 26
_SWATCH = 12
_PAPER, _FRAME, _INK, _SOFT_INK = "#ffffff", "#d4d4d4", "#1c1c1c", "#666666"


@dataclass(frozen=True)
class _Tile:
    titles: tuple[str, str, str]
    """The name; label and shape; the range of values."""
    colours: NDArray[np.uint8]
    """H W 3"""
    all_finite: bool


@dataclass(frozen=True)
class _Plan:
    """Where everything stands."""

    side: int
    columns: int
    rows: int
    map_height: int
    """The highest map's; all rows are as high."""
    text: int
    """Font size of the names; the other text is one smaller."""
    header: int
    notes: list[str]

    @property
    def line(self) -> int:
        return round(self.text * 1.35)

    @property
    def row_height(self) -> int:
        return 3 * self.line + 6 + self.map_height + _ROW_GAP

    @property
    def notes_top(self) -> int:
        return _MARGIN + self.header + self.rows * self.row_height

    @property
    def size(self) -> tuple[int, int]:
        width = 2 * _MARGIN + self.columns * (self.side + _GUTTER) - _GUTTER
        return max(width, _LEAST_WIDTH), self.notes_top + (len(self.notes) + 1) * self.line + 8 + _MARGIN


def channel_mean(array: NDArray[Any], layout: str) -> NDArray[np.float64]:
    """The mean over the channels of the batch's first image: N C H W (or N H W C) to H W, in float64.

    Raises:
        UsageError: `layout` has no height and width, or the array doesn't have its four axes or is empty.
    """
    if layout not in _CHANNEL_AXIS or array.ndim != len(layout) or not array.size:
        known = " and ".join(_CHANNEL_AXIS)
        raise UsageError(f"An array of shape {array.shape} as {layout} has no map to average; {known} arrays have.")
    with np.errstate(all="ignore"):  # inf - inf is a NaN, and the picture shows it
        return np.asarray(array[:1].mean(axis=_CHANNEL_AXIS[layout], dtype=np.float64)[0])


def draw_grid(
    arrays: Mapping[str, NDArray[Any]],
    outputs: Sequence[OutputEntry],
    *,
    cmap: str = "viridis",
    columns: int = 4,
    title: str | None = None,
) -> Image.Image:
    """Draw the first image's map of each output that has a height and a width, `columns` tiles a row.

    Args:
        arrays: output name to array, N C H W or N H W C as the output's layout says.
        outputs: what is drawn, in this order; those without two spatial axes are only named, in the footer.
        cmap: the name of one of matplotlib's colour maps.
        columns: tiles in a row.
        title: a line above the grid.

    Raises:
        UsageError: an unknown colour map, a missing array, nothing to draw, or too many outputs for one picture.
    """
    if columns < 1:
        raise UsageError(f"A grid of {columns} columns was asked for; it needs at least 1.")
    table = colour_table(cmap)
    tiles, left_out = _make_tiles(arrays, outputs, table)
    plan = _make_plan(tiles, columns, bool(title), _notes(cmap, left_out))
    image = Image.new("RGB", plan.size, _PAPER)
    if title:
        font = font_of_size(plan.text + 4, bold=True)
        text = shorten_front(title, font, image.width - 2 * _MARGIN)
        draw_line(image, (_MARGIN, _MARGIN + plan.text), text, font, _INK)
    for index, tile in enumerate(tiles):
        row, column = divmod(index, plan.columns)
        x, y = _MARGIN + column * (plan.side + _GUTTER), _MARGIN + plan.header + row * plan.row_height
        _draw_tile(image, tile, plan, (x, y))
    _draw_footer(image, plan, table, all(tile.all_finite for tile in tiles))
    return image


def _make_tiles(
    arrays: Mapping[str, NDArray[Any]], outputs: Sequence[OutputEntry], table: NDArray[np.uint8]
) -> tuple[list[_Tile], list[str]]:
    """The tiles, and the names of the outputs that have no map."""
    tiles, left_out = [], []
    for output in outputs:
        if output.layout not in _CHANNEL_AXIS:
            left_out.append(output.name)
            continue
        if output.name not in arrays:
            near = ", ".join(difflib.get_close_matches(output.name, list(arrays))) or "none"
            raise UsageError(f"No array for output {output.name!r} among the {len(arrays)} given; near names: {near}.")
        array = arrays[output.name]
        try:
            values = channel_mean(array, output.layout)
        except UsageError as error:
            raise UsageError(f"Output {output.name!r} can't be drawn. {error}") from error
        channels = array.shape[_CHANNEL_AXIS[output.layout]]
        shape = f"{channels} × {values.shape[0]} × {values.shape[1]}"
        titles = (output.name, f"{output.label} · {shape}", _range_text(values))
        tiles.append(_Tile(titles, colour_map_image(values, table), bool(np.isfinite(values).all())))
    if not tiles:
        raise UsageError(f"Nothing to draw: none of the {len(outputs)} outputs has a height and a width.")
    return tiles, left_out


def _range_text(values: NDArray[np.float64]) -> str:
    """`−0.25 to 1.5 · 12 not finite`, with as many digits as it takes to tell the two ends apart."""
    parts = []
    ends = value_range(values)
    if ends is not None:
        low, high = ends[0] + 0.0, ends[1] + 0.0  # not "-0"
        texts = ((f"{low:.{digits}g}", f"{high:.{digits}g}") for digits in range(4, 18))
        first, last = next((pair for pair in texts if pair[0] != pair[1]), (f"{low:.4g}", ""))
        parts.append(f"{first} to {last}" if last else f"constant {first}")
    not_finite = values.size - np.count_nonzero(np.isfinite(values))
    if not_finite:
        parts.append(f"{not_finite} not finite")
    return " · ".join(parts).replace("-", "−")


def _notes(cmap: str, left_out: Sequence[str]) -> list[str]:
    """The footer's sentences."""
    notes = [
        "Each tile is one output's mean over its channels, in the order of execution, "
        f"coloured from its own lowest to its own highest value ({cmap})."
    ]
    if left_out:
        shown = left_out if len(left_out) <= 12 else left_out[:10]
        names = ", ".join(shown) + (f" and {len(left_out) - 10} more" if len(shown) < len(left_out) else "")
        outputs, are = ("output", "is") if len(left_out) == 1 else ("outputs", "are")
        notes.append(f"{len(left_out)} {outputs} without height and width {are} left out: {names}")
    return notes


def _make_plan(tiles: Sequence[_Tile], columns: int, has_title: bool, notes: Sequence[str]) -> _Plan:
    """The largest tiles, from the preferred side down, with which the picture stays within its limits."""
    columns = min(columns, len(tiles))
    shapes = {tile.colours.shape[:2] for tile in tiles}
    for side in range(_preferred_side(shapes), _SMALLEST_SIDE - 1, -4):
        text = min(max(round(side / 17.5), 11), 15)
        plan = _Plan(
            side=side,
            columns=columns,
            rows=-(-len(tiles) // columns),
            map_height=max(_fit(shape, side)[1] for shape in shapes),
            text=text,
            header=2 * text + 10 if has_title else 0,
            notes=wrap(
                notes, font_of_size(text - 1), max(columns * (side + _GUTTER) - _GUTTER, _LEAST_WIDTH - 2 * _MARGIN)
            ),
        )
        if max(plan.size) <= _LONGEST_SIDE:
            return plan
    raise UsageError(
        f"{len(tiles)} tiles in rows of {columns} are too many to stay legible in one picture (at most "
        f"{_LONGEST_SIDE:,} pixels a side). Select fewer outputs with --outputs."
    )


def _preferred_side(shapes: set[tuple[int, int]]) -> int:
    """The side at which most maps are enlarged or reduced by a whole factor, so that their pixels are of one size."""
    longest = {max(shape) for shape in shapes}
    return max(_SIDES, key=lambda side: (sum(side % n == 0 or n % side == 0 for n in longest), -abs(side - 256)))


def _fit(shape: tuple[int, int], side: int) -> tuple[int, int]:
    """Width and height at which a map of `shape` (H W) fills a square of `side`."""
    height, width = (max(round(n * side / max(shape)), _THINNEST) for n in shape)
    return width, height


def _draw_tile(image: Image.Image, tile: _Tile, plan: _Plan, corner: tuple[int, int]) -> None:
    x, y = corner
    fonts = font_of_size(plan.text, bold=True), font_of_size(plan.text - 1), font_of_size(plan.text - 1)
    for text, font, ink in zip(tile.titles, fonts, (_INK, _SOFT_INK, _SOFT_INK), strict=True):
        draw_line(image, (x, y + plan.text), shorten_front(text, font, plan.side), font, ink)
        y += plan.line
    y += 6
    width, height = _fit(tile.colours.shape[:2], plan.side)
    enlarged = max(tile.colours.shape[:2]) <= plan.side
    resampling = Image.Resampling.NEAREST if enlarged else Image.Resampling.LANCZOS
    ImageDraw.Draw(image).rectangle((x - 1, y - 1, x + width, y + height), outline=_FRAME)
    image.paste(Image.fromarray(tile.colours).resize((width, height), resampling), (x, y))


def _draw_footer(image: Image.Image, plan: _Plan, table: NDArray[np.uint8], all_finite: bool) -> None:
    font = font_of_size(plan.text - 1)
    legend: list[str | Image.Image] = ["lowest", _swatch(table, 12 * _SWATCH), "highest     "]
    if not all_finite:
        legend += [_swatch(not_finite_colour(table)[None], _SWATCH), "not finite"]
    x, baseline = _MARGIN, plan.notes_top + plan.text
    for part in legend:
        if isinstance(part, str):
            draw_line(image, (x, baseline), part, font, _SOFT_INK)
            x += round(text_length(font, part)) + 8
        else:
            image.paste(part, (x, baseline - _SWATCH + 1))
            x += part.width + 8
    for index, note in enumerate(plan.notes, start=1):
        draw_line(image, (_MARGIN, baseline + index * plan.line + 4), note, font, _SOFT_INK)


def _swatch(colours: NDArray[np.uint8], width: int) -> Image.Image:
    return Image.fromarray(colours[None]).resize((width, _SWATCH), Image.Resampling.NEAREST)
