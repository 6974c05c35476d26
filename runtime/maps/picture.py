"""A picture as a list of what is in it: pixels, lines of text, boxes. Lengths are in pixels, from the upper left.

What it shows is up to `feature_grid.py`. Here it becomes an image; `vector_file.py` writes it as PDF or SVG.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ..artifact.by_name import load
from .picture_text import draw_line, font_of_size

__all__ = ["Box", "Picture", "Pixels", "Text"]

_PAPER = "#ffffff"
_SAVE = "runtime.maps.picture_saving:save_picture"


@dataclass(frozen=True)
class Pixels:
    """An array of colours, H W 3, in a place of another size: enlarged with crisp pixels, made smaller smoothly."""

    x: int
    y: int
    width: int
    height: int
    colours: NDArray[np.uint8]

    def image(self) -> Image.Image:
        """Return it in the size of its place."""
        rows, columns = self.colours.shape[:2]
        enlarged = columns <= self.width and rows <= self.height
        resampling = Image.Resampling.NEAREST if enlarged else Image.Resampling.LANCZOS
        return Image.fromarray(self.colours).resize((self.width, self.height), resampling)


@dataclass(frozen=True)
class Text:
    """One line of text; `y` is its baseline."""

    x: int
    y: int
    text: str
    size: int
    ink: str
    bold: bool = False


@dataclass(frozen=True)
class Box:
    """A filled rectangle, or the frame of one."""

    x: int
    y: int
    width: int
    height: int
    ink: str
    filled: bool = True


@dataclass
class Picture:
    """One page. `save` writes it; `image()` returns it as Pillow's, and a notebook shows it."""

    width: int
    height: int
    page: int = 1
    pages: int = 1
    parts: list[Pixels | Text | Box] = field(default_factory=list)
    """In the order of drawing."""
    facts: Sequence[str] = ()
    """What is worth knowing of it and not said in it: the names of outputs that are left out, and why."""

    def image(self) -> Image.Image:
        """Return the picture as an image in RGB."""
        image = Image.new("RGB", (self.width, self.height), _PAPER)
        draw = ImageDraw.Draw(image)
        for part in self.parts:
            if isinstance(part, Pixels):
                image.paste(part.image(), (part.x, part.y))
            elif isinstance(part, Text):
                draw_line(image, (part.x, part.y), part.text, font_of_size(part.size, bold=part.bold), part.ink)
            else:
                corners = (part.x, part.y, part.x + part.width - 1, part.y + part.height - 1)
                draw.rectangle(corners, fill=part.ink if part.filled else None, outline=part.ink)
        return image

    def save(self, path: str | Path) -> None:
        """Write it, in the format of the suffix: see `save_picture`.

        Raises:
            UsageError, OutputError: as of `save_picture`.
        """
        load(_SAVE)(self, path)

    def __repr__(self) -> str:
        return f"Picture of {self.width} x {self.height} px, page {self.page} of {self.pages}: save(FILE) writes it"

    def _repr_png_(self) -> bytes:
        stream = io.BytesIO()
        self.image().save(stream, format="PNG")
        return stream.getvalue()
