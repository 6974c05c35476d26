"""Tensors by name -> a table for a notebook: a thumbnail of each, its shape and range, and how its values spread."""

import base64
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..artifact.manifest import Output
from ..artifact.showing import shape_words
from ..artifact.tensors import as_array
from ..maps.colour_maps import colour_map_image, colour_table
from ..maps.map_reading import read_map
from ..reporting.html_text import safe
from .html_table import html_table
from .statistics import table

__all__ = ["tensors_html"]

_MOST = 200
"""Tensors that are shown: a thumbnail takes a few kilobytes."""
_SIDE = 48  # pixels
_BINS, _WIDTH, _HEIGHT = 24, 72, 20


def tensors_html(tensors: Mapping[str, Any], outputs: Sequence[Output]) -> str:
    """Return the tensors as HTML, a row each.

    Args:
        tensors: arrays of NumPy or tensors of PyTorch, by name.
        outputs: the descriptions of those that have one.
    """
    known = {each.name: each for each in outputs}
    shown = dict(list(tensors.items())[:_MOST])
    rows = []
    for facts in table(shown, outputs):
        name = facts["output"]
        array, output = as_array(shown[name]), known.get(name)
        low, high = facts["min"], facts["max"]
        rows.append(
            [
                _thumbnail(array, output),
                safe(name),
                safe(facts["label"] or ""),
                safe(shape_words(facts["shape"])),
                "" if low is None else f"{low:.4g} … {high:.4g}",
                _sparkline(array, low, high),
                _remarks(facts),
            ]
        )
    more = f"; the first {_MOST} are shown" if len(tensors) > _MOST else ""
    return html_table(
        f"Tensors: {len(tensors)}{more}", ["map", "output", "operation", "shape", "range", "values", ""], rows
    )


def _thumbnail(array: NDArray[Any], output: Output | None) -> str:
    """Return the first image's map as a picture, the one that a grid would show."""
    if output is None or not output.has_map or array.ndim != len(output.layout) or not array.size:
        return ""
    values = read_map({output.name: array}, output).values
    picture = Image.fromarray(colour_map_image(values, colour_table("viridis")))
    factor = _SIDE / max(picture.size)
    size = max(1, round(picture.width * factor)), max(1, round(picture.height * factor))
    # A small map stays a map of squares.
    picture = picture.resize(size, Image.Resampling.NEAREST if factor > 1 else Image.Resampling.BOX)
    stream = BytesIO()
    picture.save(stream, "PNG")
    data = base64.b64encode(stream.getvalue()).decode()
    return f'<img src="data:image/png;base64,{data}" width="{size[0]}" height="{size[1]}" alt="">'


def _sparkline(array: NDArray[Any], low: float | None, high: float | None) -> str:
    """Return how often values occur from the lowest to the highest, as a line."""
    if low is None or high is None or low == high:
        return ""
    values = np.abs(array) if array.dtype.kind == "c" else array.astype(np.float64, copy=False)
    # Halved, because the range itself may be larger than the largest float64.
    counts, _ = np.histogram(values[np.isfinite(values)] / 2, bins=_BINS, range=(low / 2, high / 2))
    heights = _HEIGHT - 1 - np.sqrt(counts / counts.max()) * (_HEIGHT - 2)
    points = " ".join(f"{x * _WIDTH / (_BINS - 1):.1f},{y:.1f}" for x, y in enumerate(heights))
    return (
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-label="histogram">'
        f'<polyline points="{points}" fill="none" stroke="currentColor"/></svg>'
    )


def _remarks(facts: Mapping[str, Any]) -> str:
    remarks = [f"{facts[kind]} {word}" for kind, word in (("nan", "NaN"), ("infinite", "infinite")) if facts[kind]]
    if facts["dead_channels"]:
        remarks.append(f"{facts['dead_channels']} of {facts['channels']} channels are 0")
    return safe(", ".join(remarks))
