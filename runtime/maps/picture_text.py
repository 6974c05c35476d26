"""Text that fits a place in a picture: the font, one line cut to a width, sentences broken into lines."""

import bisect
import re
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

__all__ = ["break_name", "draw_line", "font_of_size", "shorten_front", "text_length", "wrap"]


@lru_cache(maxsize=32)
def font_of_size(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which has × and −, from matplotlib's own data; `size` in pixels."""
    # Located without importing matplotlib, which would take longer than drawing the picture.
    package = find_spec("matplotlib")
    assert package is not None
    assert package.origin is not None
    folder = Path(package.origin).parent / "mpl-data" / "fonts" / "ttf"
    path = folder / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


# Most of a picture's text recurs in the next one of the same model, and measuring and rendering it takes most of a
# picture's time: both are cached.
@lru_cache(maxsize=4096)
def text_length(font: ImageFont.FreeTypeFont, text: str) -> float:
    """The width of `text` in pixels."""
    return font.getlength(text)


@lru_cache(maxsize=4096)
def _rendered(font: ImageFont.FreeTypeFont, text: str) -> tuple[Image.Image, int, int]:
    """The text as a mask, and the offset of its upper left corner from the start of the baseline."""
    left, top, right, bottom = (round(edge) for edge in font.getbbox(text, anchor="ls"))
    mask = Image.new("L", (max(right - left, 1), max(bottom - top, 1)))
    ImageDraw.Draw(mask).text((-left, -top), text, 255, font, anchor="ls")
    return mask, left, top


def draw_line(image: Image.Image, start: tuple[int, int], text: str, font: ImageFont.FreeTypeFont, ink: str) -> None:
    """Draw one line of text, its baseline beginning at `start` (x, y)."""
    mask, left, top = _rendered(font, text)
    image.paste(ink, (start[0] + left, start[1] + top), mask)


def shorten_front(text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    """`text` on one line, or `…` and as much of its end, the most specific part of a name, as `width` pixels hold."""
    text = " ".join(text.split())
    if text_length(font, text) <= width:
        return text
    starts = range(1, len(text) + 1)
    first = bisect.bisect_left(starts, True, key=lambda start: font.getlength("…" + text[start:]) <= width)
    return "…" + text[first + 1 :]


def break_name(name: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    """A name in one line or two, broken after a dot, or else an underscore, if possible. One too long for two lines is
    cut in the middle, because its start names the block and its end the layer.
    """
    name = " ".join(name.split())
    if text_length(font, name) <= width:
        return [name]
    lengths = range(1, len(name) + 1)
    fitting = max(bisect.bisect_right(lengths, width, key=lambda end: font.getlength(name[:end])), 1)
    # A break too early would leave the second line too little room.
    ends = (name.rfind(mark, 0, fitting) + 1 for mark in "._")
    end = next((each for each in ends if each * 2 >= fitting and font.getlength(name[each:]) <= width), fitting)
    return [name[:end], shorten_front(name[end:], font, width)]


def wrap(sentences: Sequence[str], font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    """The sentences, each starting a new line, in lines of at most `width` pixels."""
    lines = []
    # The widths of words add up in this font, and remeasuring a line for each of its words would take most of a
    # picture's time.
    space = text_length(font, " ")
    for sentence in sentences:
        line: list[str] = []
        filled = 0.0
        for word in re.split(r"[ \n]+", sentence.strip()):  # a no-break space stays in its word
            length = text_length(font, word)
            if line and filled + space + length > width:
                lines.append(" ".join(line))
                line, filled = [], 0.0
            filled += length + (space if line else 0)
            line.append(shorten_front(word, font, width))
        lines.append(" ".join(line))
    return lines
