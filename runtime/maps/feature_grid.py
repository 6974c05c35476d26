"""One picture of a run: each output's mean over its channels as a coloured tile, in the order of execution.

The mean is taken in `channel_mean.py` and coloured in `colour_maps.py`; pages and sizes are in `page_layout.py`,
saving the picture in `picture_saving.py`. The arrays come from a runner.
"""

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ..artifact.errors import UsageError
from ..artifact.manifest import Dimension, Output
from .channel_mean import channel_axis, channel_mean, constant_if_rounding, repeats, rounding_of_mean
from .colour_maps import colour_map_image, colour_table, not_finite_colour, value_range
from .page_layout import MARGIN, GridLayout, fit, lay_out, page_count, page_range
from .picture_text import draw_line, font_of_size, shorten_front, text_length

__all__ = ["count_pages", "draw_grid", "outputs_on_page"]

_SWATCH = 12  # pixels
_PAPER, _FRAME, _INK, _SOFT_INK = "#ffffff", "#d4d4d4", "#1c1c1c", "#666666"


@dataclass(frozen=True)
class _Tile:
    titles: tuple[str, str, str]
    """The name; label and shape; the range of values."""
    colours: NDArray[np.uint8]
    """H W 3"""
    all_finite: bool
    is_rounding: bool
    """Whether the values differ only by rounding."""


def count_pages(outputs: Sequence[Output], *, aliases: bool = False) -> int:
    """How many pages `draw_grid` needs for these outputs; 0 if none of them has a height and a width."""
    return page_count(len(_drawable(outputs, aliases)))


def outputs_on_page(outputs: Sequence[Output], page: int = 1, *, aliases: bool = False) -> list[Output]:
    """Return the outputs that `draw_grid` draws on a page, and whose arrays it needs.

    Raises:
        UsageError: none of them has a height and a width, or the page doesn't exist.
    """
    drawable, shown = _page(outputs, page, aliases)
    return drawable[shown.start : shown.stop]


def draw_grid(
    arrays: Mapping[str, NDArray[Any]],
    outputs: Sequence[Output],
    *,
    cmap: str = "viridis",
    columns: int | None = None,
    page: int = 1,
    title: str | None = None,
    aliases: bool = False,
    averaged: Mapping[str, float] | None = None,
) -> Image.Image:
    """Draw the first image's map of each output that has a height and a width.

    Args:
        arrays: output name to array, in the output's layout. Only those of the page are read.
        outputs: the outputs to draw, in this order. Token sequences are folded back to their patches; outputs without
            height and width are only named in the footer.
        cmap: the name of a matplotlib colour map.
        columns: tiles per row; None means 4, and up to 7 on pages of more than 24 tiles.
        page: which of the `count_pages(outputs)` pages, from 1 on.
        title: a line above the grid.
        aliases: whether to draw also outputs whose map repeats another's: dropout in eval mode, a permuted view.
            Otherwise the footer only counts them.
        averaged: required if the arrays are an averaged probe's maps, N 1 H W, of `outputs`: by output, how far a map
            may be off by rounding (`Reference.largest_noise`), where that is known.

    Raises:
        UsageError: an unknown colour map or page, a missing array or one that contradicts its output, nothing to
            draw, or so few columns that the picture would be too long.
    """
    if columns is not None and columns < 1:
        raise UsageError(f"A grid of {columns} columns was requested; it needs at least 1.")
    table = colour_table(cmap)
    drawable, shown = _page(outputs, page, aliases)
    tiles = [_make_tile(arrays, output, table, averaged) for output in drawable[shown.start : shown.stop]]
    notes = [
        "Each tile is one output's mean over its channels, in the order of execution, "
        f"coloured from its own lowest to its own highest value ({cmap}).",
        *_token_notes(drawable),
        *_left_out_notes([output.name for output in outputs if not output.has_map]),
        *_repeat_notes(sum(output.has_map for output in outputs) - len(drawable)),
    ]
    if any(tile.is_rounding for tile in tiles):
        notes.insert(1, "A map that varies only by rounding is drawn as constant.")
    pages = page_count(len(drawable))
    if pages > 1:
        notes.append(f"Page {page} of {pages}: tiles {shown.start + 1} to {shown.stop} of {len(drawable)}.")
        title = f"{title} · page {page} of {pages}" if title else None
    layout = lay_out(
        [tile.colours.shape[:2] for tile in tiles],
        columns,
        names=[tile.titles[0] for tile in tiles],
        has_title=bool(title),
        notes=notes,
    )
    image = Image.new("RGB", layout.size, _PAPER)
    if title:
        font = font_of_size(layout.text + 4, bold=True)
        text = shorten_front(title, font, image.width - 2 * MARGIN)
        draw_line(image, (MARGIN, MARGIN + layout.text), text, font, _INK)
    for index, tile in enumerate(tiles):
        _draw_tile(image, tile, layout, layout.corner(index))
    _draw_footer(image, layout, table, all(tile.all_finite for tile in tiles))
    return image


def _page(outputs: Sequence[Output], page: int, aliases: bool) -> tuple[list[Output], range]:
    """Return all drawable outputs, and the range of those on the page."""
    drawable = _drawable(outputs, aliases)
    if not drawable:
        raise UsageError(f"Nothing to draw: none of the {len(outputs)} outputs has a height and a width.")
    return drawable, page_range(len(drawable), page)


def _drawable(outputs: Sequence[Output], aliases: bool) -> list[Output]:
    left_out = set() if aliases else repeats(outputs)
    return [output for output in outputs if output.has_map and output.name not in left_out]


def _make_tile(
    arrays: Mapping[str, NDArray[Any]],
    output: Output,
    table: NDArray[np.uint8],
    averaged: Mapping[str, float] | None,
) -> _Tile:
    if output.name not in arrays:
        near = ", ".join(difflib.get_close_matches(output.name, list(arrays))) or "none"
        raise UsageError(f"No array for output {output.name!r} among the {len(arrays)} given; near names: {near}.")
    array = arrays[output.name]
    try:
        if averaged is None:
            values = channel_mean(array, output.layout, output.tokens)
            channels: Dimension = array.shape[channel_axis(output.layout)]
        else:
            values = channel_mean(array, "NCHW")
            channels = output.shape[channel_axis(output.layout)]
    except UsageError as error:
        raise UsageError(f"Output {output.name!r} can't be drawn. {error}") from error
    shape = f"{channels} × {values.shape[0]} × {values.shape[1]}"
    extra = _extra_tokens(output)
    if extra:
        shape += f" + {extra} {'token' if extra == 1 else 'tokens'}"
    rounding = rounding_of_mean(array, output) if averaged is None else averaged.get(output.name, 0.0)
    constant = constant_if_rounding(values, rounding)
    range_text = _range_text(values) if constant is None else f"{_range_text(constant)} up to rounding"
    colours = colour_map_image(values if constant is None else constant, table)
    titles = (output.name, f"{output.label} · {shape}", range_text)
    return _Tile(titles, colours, bool(np.isfinite(values).all()), constant is not None)


def _extra_tokens(output: Output) -> int:
    """The number of tokens that are not patches, which the map leaves out."""
    return output.tokens.before + output.tokens.after if output.layout == "NLC" and output.tokens else 0


def _range_text(values: NDArray[np.float64]) -> str:
    """`−0.25 to 1.5 · 12 not finite`, with as many digits as distinguish the two ends."""
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


def _token_notes(outputs: Sequence[Output]) -> list[str]:
    """The footer's line about token sequences."""
    counts = Counter(_extra_tokens(output) for output in outputs if output.layout == "NLC")
    if not counts:
        return []
    counted = [
        f"{extra} in each of {count} outputs" if count > 1 else f"{extra} in 1 output"
        for extra, count in sorted(counts.items())
        if extra
    ]
    left_out = f"; tokens that are not patches are left out: {', '.join(counted)}" if counted else ""
    return [f"Token sequences are laid out as their grid of patches{left_out}."]


def _left_out_notes(left_out: Sequence[str]) -> list[str]:
    """The footer's line about outputs without a map."""
    if not left_out:
        return []
    shown = left_out if len(left_out) <= 12 else left_out[:10]
    names = ", ".join(shown) + (f" and {len(left_out) - 10} more" if len(shown) < len(left_out) else "")
    outputs, are = ("output", "is") if len(left_out) == 1 else ("outputs", "are")
    return [f"{len(left_out)} {outputs} without height and width {are} left out: {names}"]


def _repeat_notes(count: int) -> list[str]:
    """The footer's line about outputs that are left out because they would repeat another tile."""
    if not count:
        return []
    what = (
        "output that only repeats another one's map is" if count == 1 else "outputs that only repeat another's map are"
    )
    return [f"{count} {what} left out (dropout and views; --aliases draws them)."]


def _draw_tile(image: Image.Image, tile: _Tile, layout: GridLayout, corner: tuple[int, int]) -> None:
    x, y = corner
    name, *details = tile.titles
    lines = layout.name_lines_of(name)
    y += (layout.name_lines - len(lines)) * layout.line  # so that the lines end at the map
    for line in lines:
        draw_line(image, (x, y + layout.text), line, font_of_size(layout.text, bold=True), _INK)
        y += layout.line
    fonts = _font_that_holds(details[0], layout), font_of_size(layout.text - 1)
    for text, font in zip(details, fonts, strict=True):
        draw_line(image, (x, y + layout.text), shorten_front(text, font, layout.side), font, _SOFT_INK)
        y += layout.line
    y += 6
    width, height = fit(tile.colours.shape[:2], layout.side)
    enlarged = max(tile.colours.shape[:2]) <= layout.side
    resampling = Image.Resampling.NEAREST if enlarged else Image.Resampling.LANCZOS
    ImageDraw.Draw(image).rectangle((x - 1, y - 1, x + width, y + height), outline=_FRAME)
    image.paste(Image.fromarray(tile.colours).resize((width, height), resampling), (x, y))


def _font_that_holds(text: str, layout: GridLayout) -> ImageFont.FreeTypeFont:
    """The small font, or a slightly smaller one: `LayerNorm · 1024 × 16 × 16 + 5 tokens` is wider than many tiles."""
    fonts = [font_of_size(size) for size in range(layout.text - 1, max(layout.text - 6, 9), -1)]
    return next((font for font in fonts if text_length(font, text) <= layout.side), fonts[-1])


def _draw_footer(image: Image.Image, layout: GridLayout, table: NDArray[np.uint8], all_finite: bool) -> None:
    font = font_of_size(layout.text - 1)
    legend: list[str | Image.Image] = ["lowest", _swatch(table, 12 * _SWATCH), "highest     "]
    if not all_finite:
        legend += [_swatch(not_finite_colour(table)[None], _SWATCH), "not finite"]
    x, baseline = MARGIN, layout.notes_top + layout.text
    for part in legend:
        if isinstance(part, str):
            draw_line(image, (x, baseline), part, font, _SOFT_INK)
            x += round(text_length(font, part)) + 8
        else:
            image.paste(part, (x, baseline - _SWATCH + 1))
            x += part.width + 8
    for index, note in enumerate(layout.notes, start=1):
        draw_line(image, (MARGIN, baseline + index * layout.line + 4), note, font, _SOFT_INK)


def _swatch(colours: NDArray[np.uint8], width: int) -> Image.Image:
    return Image.fromarray(colours[None]).resize((width, _SWATCH), Image.Resampling.NEAREST)
