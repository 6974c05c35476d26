"""Pictures as PDF, one page each, or as SVG: text stays text, maps stay pixels. By matplotlib, without pyplot.

Imported for these formats only: matplotlib takes longer to import than a grid takes to draw.
"""

from collections.abc import Iterable
from typing import Any, BinaryIO

import matplotlib
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from .picture import Box, Picture, Pixels, Text
from .picture_text import font_of_size, text_length

__all__ = ["write_pdf", "write_svg"]

_DPI = 96
"""Pixels per inch: CSS's own."""
_POINT = 72 / _DPI
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "font.family": "DejaVu Sans",
    "svg.hashsalt": "layerprobe",
}


def write_pdf(pictures: Iterable[Picture], stream: BinaryIO, made_by: str) -> None:
    """Write one page for each picture."""
    # Without a date, the same picture is the same file.
    metadata = {"Creator": made_by, "CreationDate": None}
    with matplotlib.rc_context(_SETTINGS), PdfPages(stream, metadata=metadata) as pages:
        for picture in pictures:
            pages.savefig(_figure(picture))


def write_svg(picture: Picture, stream: BinaryIO, made_by: str) -> None:
    """Write one picture."""
    with matplotlib.rc_context(_SETTINGS):
        _figure(picture).savefig(stream, format="svg", metadata={"Creator": made_by, "Date": None})


def _figure(picture: Picture) -> Figure:
    figure = Figure(figsize=(picture.width / _DPI, picture.height / _DPI), dpi=_DPI)
    axes: Any = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_autoscale_on(False)
    for order, part in enumerate(picture.parts):
        if isinstance(part, Pixels):
            # In the size of their place: many viewers blur what they enlarge themselves.
            extent = (part.x, part.x + part.width, part.y + part.height, part.y)
            axes.imshow(part.image(), extent=extent, interpolation="none", aspect="auto", zorder=order)
        elif isinstance(part, Text):
            text = part.text.lstrip(" ")  # browsers leave out the spaces that a text begins with
            indent = part.text[: len(part.text) - len(text)]
            axes.text(
                part.x + text_length(font_of_size(part.size, bold=part.bold), indent),
                part.y,
                text,
                fontsize=part.size * _POINT,
                fontweight="bold" if part.bold else "normal",
                color=part.ink,
                va="baseline",
                parse_math=False,
                zorder=order,
            )
        else:
            axes.add_patch(_rectangle(part, order))
    axes.set_xlim(0, picture.width)
    axes.set_ylim(picture.height, 0)
    return figure


def _rectangle(box: Box, order: int) -> Rectangle:
    # A frame is a line of one pixel, whose middle is half a pixel within.
    line = 0 if box.filled else 1
    return Rectangle(
        (box.x + line / 2, box.y + line / 2),
        box.width - line,
        box.height - line,
        facecolor=box.ink if box.filled else "none",
        edgecolor=box.ink,
        linewidth=line * _POINT,
        zorder=order,
    )
