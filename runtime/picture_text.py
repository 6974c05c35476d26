"""Text that fits a place in a picture: the font, one line cut to a width, sentences broken into lines."""

import bisect
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont

__all__ = ["font_of_size", "shorten_front", "wrap"]


@lru_cache(maxsize=32)
def font_of_size(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which has × and −, from matplotlib's own data; `size` in pixels."""
    # Found without importing matplotlib, which would take longer than drawing the picture.
    package = find_spec("matplotlib")
    assert package is not None
    assert package.origin is not None
    folder = Path(package.origin).parent / "mpl-data" / "fonts" / "ttf"
    path = folder / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


def shorten_front(text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    """`text` on one line, or `…` and as much of its end, the most specific part of a name, as `width` pixels hold."""
    text = " ".join(text.split())
    if font.getlength(text) <= width:
        return text
    starts = range(1, len(text) + 1)
    first = bisect.bisect_left(starts, True, key=lambda start: font.getlength("…" + text[start:]) <= width)
    return "…" + text[first + 1 :]


def wrap(sentences: Sequence[str], font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    """The sentences, each begun on a line of its own, in lines of at most `width` pixels."""
    lines = []
    # Widths of words add up in this font, and measuring a line anew for each of its words would take most of the time
    # of a whole picture.
    space = font.getlength(" ")
    for sentence in sentences:
        line: list[str] = []
        filled = 0.0
        for word in sentence.split():
            length = font.getlength(word)
            if line and filled + space + length > width:
                lines.append(" ".join(line))
                line, filled = [], 0.0
            filled += length + (space if line else 0)
            line.append(shorten_front(word, font, width))
        lines.append(" ".join(line))
    return lines
