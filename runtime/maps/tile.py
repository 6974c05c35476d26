"""One tile: its pixels in a frame, and below them its colour bar with its ends; lines of text that fit.

Where a tile is on its page is up to `page_layout.py`, which tiles there are to `map_page.py` and `comparison_page.py`.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .colour_maps import colour_map_image, finite_values
from .colour_scales import SEQUENTIAL, ColourScale, range_text
from .component_colours import component_image, table_of_scale
from .feature_maps import BRANCH, FLAT_MAP, FRAMED, WEAK
from .page_layout import BAR_HEIGHT
from .photo import Photo, photo_with_map
from .picture import Box, Picture, Pixels, Text
from .picture_text import font_of_size, shorten_front, text_length
from .principal_components import Hues
from .tile_places import fit

__all__ = [
    "INK",
    "SOFT_INK",
    "cmap_of",
    "draw_details",
    "draw_fitted",
    "draw_heading",
    "draw_map",
    "draw_name",
    "draw_photo",
    "draw_range",
    "draw_strength",
    "not_finite",
]

INK, SOFT_INK, _FRAME, _RULE = "#1c1c1c", "#444444", "#d4d4d4", "#33628c"
_REMARKS = {WEAK: "#b3540a", FLAT_MAP: "#b3540a", BRANCH: "#33628c", FRAMED: "#33628c"}
_PALE = 0.4
"""How far pale colours are from white, of what others are."""
_BAR, _BETWEEN = 5, 12
"""The height of a colour bar, which is as wide as its map, so that all are alike; and the least space between its
numbers."""

Place = tuple[int, int]
"""x and y of the upper left corner."""


def draw_map(
    picture: Picture,
    place: Place,
    side: int,
    values: NDArray[np.float64],
    scale: ColourScale | None,
    over: Photo | None = None,
    hues: Hues | None = None,
) -> tuple[int, int]:
    """Add a map, alone or over its photo, as large as a square of `side` holds. Returns its width and height."""
    ends, cmap = (scale.low, scale.high) if scale else None, cmap_of(scale)
    if hues and ends:
        return _framed(picture, place, fit(values.shape, side), component_image(values, hues.plane, ends))
    if over is None:
        return _framed(picture, place, fit(values.shape, side), colour_map_image(values, _table(scale), ends))
    width, height = fit(over.shape(whole=True), side)
    return _framed(picture, place, (width, height), photo_with_map(over, (height, width), values, ends=ends, cmap=cmap))


def draw_photo(picture: Picture, place: Place, side: int, photo: Photo, *, whole: bool) -> int:
    """Add what the model saw of a photo, or the whole with that outlined. Returns its height."""
    width, height = fit(photo.shape(whole), side)
    pixels = photo_with_map(photo, (height, width)) if whole else photo.seen
    return _framed(picture, place, (width, height), pixels)[1]


def draw_range(
    picture: Picture,
    place: Place,
    width: int,
    size: int,
    scale: ColourScale | None,
    *,
    bar: bool = True,
    bad: int = 0,
    brief: bool = False,
    most: int = 0,
) -> None:
    """Add the colour bar of a map, and below it its ends.

    Args:
        picture: to add it to.
        place: below the map.
        width: of the line.
        size: of the text.
        scale: of the map; None where no value is finite.
        bar: whether there is room for a bar, and it isn't in the footer.
        bad: how many values aren't finite.
        brief: whether it isn't said what is clipped.
        most: the width of the tile, which numbers may take where they are wider than a narrow map's bar.
    """
    x, y = place
    beyond = f" · {bad} not finite" if bad else ""
    if scale is None:
        texts = ("", beyond.removeprefix(" · "))
    elif scale.lowest == scale.highest:
        texts = "", f"constant {range_text(scale)[0]}{beyond}"
    else:
        font = font_of_size(size)
        for fewer in (brief, True):
            low, high = range_text(scale, short=fewer, marks=not brief)
            texts = low, high + beyond
            left, right = (text_length(font, text) for text in texts)
            if left + right + _BETWEEN <= width:
                break
        if bar and left + right + _BETWEEN <= width:
            picture.parts.append(Pixels(x, y, width, _BAR, _table(scale)[None]))
            baseline = y + BAR_HEIGHT + size
            if brief:
                _draw_zero(picture, (x, y), width, scale, size, room=(left + _BETWEEN, width - right - _BETWEEN))
            picture.parts.append(Text(x, baseline, texts[0], size, SOFT_INK))
            picture.parts.append(Text(x + width - round(right), baseline, texts[1], size, SOFT_INK))
            return
    draw_fitted(picture, (x, y + size), " to ".join(filter(None, texts)), size, max(width, most))


def _draw_zero(
    picture: Picture, place: Place, width: int, scale: ColourScale, size: int, *, room: tuple[float, float]
) -> None:
    """Mark where 0 is on a colour bar whose ends are on either side of it; say so if there is room between them."""
    if not scale.low < 0 < scale.high:
        return
    (x, y), half = place, text_length(font_of_size(size), "0") / 2
    at = width / (1 - scale.high / scale.low)
    picture.parts.append(Box(x + round(at) - 1, y + _BAR, 2, 3, SOFT_INK))
    if room[0] <= at - half and at + half <= room[1]:
        picture.parts.append(Text(x + round(at - half), y + BAR_HEIGHT + size, "0", size, SOFT_INK))


def draw_strength(picture: Picture, place: Place, size: int, part: float) -> int:
    """Add a bar that ends at a place on a baseline, of which so large a part is filled. Returns how much of the line it
    takes.
    """
    width, height = 2 * size, round(0.45 * size)
    x, y = place[0] - width, place[1] - height
    picture.parts.append(Box(x, y, width, height, _FRAME))
    if round(width * part):
        picture.parts.append(Box(x, y, round(width * part), height, _RULE))
    return width + size // 2


def draw_name(picture: Picture, place: Place, text: str, size: int, width: int, *, bold: bool = True) -> None:
    """Add a name that begins at a baseline, cut in front to fit, where its end says the most."""
    picture.parts.append(Text(*place, shorten_front(text, font_of_size(size, bold=bold), width), size, INK, bold=bold))


def draw_fitted(
    picture: Picture, place: Place, text: str, size: int, width: int, ink: str = SOFT_INK, *, bold: bool = False
) -> None:
    """Add a line of text that begins at a baseline: smaller by a few pixels at most, and cut in front, to fit."""
    found = _fitting(text, size, width, bold=bold)
    fitted = shorten_front(text, font_of_size(found, bold=bold), width)
    picture.parts.append(Text(*place, fitted, found, ink, bold=bold))


def _fitting(text: str, size: int, width: int, *, bold: bool = False) -> int:
    """Return the size at which a text fits, or else the smallest."""
    smallest = min(size, max(size - 6, 10))
    sizes = range(size, smallest, -1)
    return next((each for each in sizes if text_length(font_of_size(each, bold=bold), text) <= width), smallest)


def draw_heading(picture: Picture, place: Place, text: str, size: int, width: int, *, beside: str = "") -> None:
    """Add a rule above several tiles, and below it what they belong to.

    Args:
        picture: to add it to.
        place: of the rule.
        text: the name, in bold; cut in front to fit.
        size: of the text.
        width: of the rule.
        beside: what all have, after the name, if there is room.
    """
    x, y = place
    picture.parts.append(Box(x, y, width, 2, _RULE))
    bold, regular, baseline = font_of_size(size, bold=True), font_of_size(size), y + 5 + size
    fitted = shorten_front(text, bold, width)
    if fitted:
        picture.parts.append(Text(x, baseline, fitted, size, _RULE, bold=True))
    gap = size // 2
    taken = text_length(bold, fitted) + gap if fitted else 0.0
    if beside and taken + text_length(regular, beside) <= width:
        picture.parts.append(Text(x + round(taken), baseline, beside, size, SOFT_INK))


def draw_details(picture: Picture, place: Place, lines: Sequence[str], size: int, line: int, width: int) -> None:
    """Add what is said below a name, a line each; the word that is unusual stands out by its colour."""
    x, baseline = place
    for index, text in enumerate(lines):
        before, word, after = _remark(text)
        at, letters = baseline + index * line, _fitting(text, size, width)
        font = font_of_size(letters)
        if not word or text_length(font, text) > width:
            draw_fitted(picture, (x, at), text, size, width)
            continue
        start = float(x)
        for part, ink in ((before, SOFT_INK), (word, _REMARKS.get(word, SOFT_INK)), (after, SOFT_INK)):
            if part.strip():
                picture.parts.append(Text(round(start), at, part.rstrip(), letters, ink))
            start += text_length(font, part)


def _remark(text: str) -> tuple[str, str, str]:
    """Return what is before the first remark of a line, the remark, and what is after it."""
    word = next((each for each in text.split(" · ") if each in _REMARKS), "")
    return text.partition(word) if word else (text, "", "")


def not_finite(values: NDArray[np.float64]) -> int:
    """Return how many values are NaN or infinite."""
    return values.size - finite_values(values).size


def _table(scale: ColourScale | None) -> NDArray[np.uint8]:
    """Return the colours of a scale from its lowest to its highest value, levels x 3 (RGB)."""
    table = table_of_scale(cmap_of(scale))
    return (255 - (255 - table.astype(float)) * _PALE).round().astype(np.uint8) if scale and scale.pale else table


def cmap_of(scale: ColourScale | None) -> str:
    """Return the colour map of a scale, also of none."""
    return scale.cmap if scale else SEQUENTIAL


def _framed(picture: Picture, place: Place, size: tuple[int, int], pixels: NDArray[np.uint8]) -> tuple[int, int]:
    (x, y), (width, height) = place, size
    picture.parts.append(Box(x - 1, y - 1, width + 2, height + 2, _FRAME, filled=False))
    picture.parts.append(Pixels(x, y, width, height, pixels))
    return size
