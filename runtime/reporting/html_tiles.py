"""The drift tiles of the HTML report: each output's averaged map in float64 and in a runner, and their difference.

`verdict/drift_maps.py` makes the maps; here they become small pictures inside the page.
"""

import base64
import io
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..artifact.manifest import Output
from ..maps.colour_maps import colour_table, not_finite_colour
from ..verdict.drift_maps import MAX_SIDE, AveragedMap, OutputMaps, RunnerMaps, shrink
from ..verdict.report import Report
from .html_text import multiple, output_badge, safe

__all__ = ["BUDGET_BYTES", "DIFFERENCE", "VALUES", "drift_tiles", "gradient"]

VALUES, DIFFERENCE = "viridis", "inferno"
BUDGET_BYTES = 6_000_000
"""Of all pictures together: a page of 10 MB opens at once, one of 100 does not."""
_LEVELS = 64
"""Colours of a picture; more can't be distinguished in one, and each takes 3 bytes of its palette."""
_SIDES = (MAX_SIDE, 112, 96, 80, 64, 56, 48, 40, 32, 28, 24, 20, 16, 12, 8)
_OVERHEAD_BYTES = 450
"""Of a picture, whatever its size: headers, palette, markup."""

Range = tuple[float, float]


def drift_tiles(report: Report, tiles: Sequence[OutputMaps]) -> str:
    """Return a `<figure>` for each output with a map, in the order of execution, each with every runner's maps.

    The reference's range sets the colours of the reference and of every candidate: the same colour is the same value,
    and values outside take the colour of the nearer end. The difference is drawn from 0 to float32's own error, or to
    the largest of that output in any runner if that is more: small errors are dark, large ones stand out.
    """
    side = _side_for(tiles)
    facts = {output.name: (index, output) for index, output in enumerate(report.outputs)}
    numbers = {runner.name: number for number, runner in enumerate(report.runners)}
    badges = {
        runner.name: {each.name: output_badge(runner, each) for each in runner.outputs} for runner in report.runners
    }
    several = len({tile.recorded_input for tile in tiles}) > 1
    figures = []
    for tile in tiles:
        # A map of one pixel shows nothing that its numbers don't.
        if tile.output.name not in facts or tile.size[1:] == (1, 1):
            continue
        index, output = facts[tile.output.name]
        largest = max(1.0, *(_top(maps.error) for maps in tile.runners.values()))
        parts = [_caption(index, output, tile, several), '<div class="maps">', _reference(tile, side)]
        for name, maps in tile.runners.items():
            parts.append(f'<div class="run" data-runner="{numbers.get(name, 0)}">')
            scale = tile.reference.range if tile.reference else maps.candidate.range
            label = f"{safe(name)} {badges.get(name, {}).get(tile.output.name, '')}"
            parts += _pair(tile, label, maps, scale, largest, side)
            parts.append("</div>")
        figures.append("".join([*parts, "</div></figure>"]))
    return "\n".join(figures)


def gradient(name: str) -> str:
    """Return a colour map as a CSS gradient, from lowest to highest."""
    table = colour_table(name)
    stops = table[np.linspace(0, len(table) - 1, 9).astype(int)]
    return f"linear-gradient(90deg, {', '.join('#' + bytes(stop).hex() for stop in stops)})"


def _side_for(tiles: Iterable[OutputMaps]) -> int:
    """Return how many pixels a side of the pictures may have, so that they all stay in the budget."""
    sizes = [
        part.values.shape
        for tile in tiles
        for part in (tile.reference, *(each for maps in tile.runners.values() for each in (maps.candidate, maps.error)))
        if part is not None
    ]
    for side in _SIDES:
        # A pixel takes one byte at most; base64 makes four of three.
        pixels = sum(min(height, side) * min(width, side) for height, width in sizes)
        if pixels * 4 / 3 + _OVERHEAD_BYTES * len(sizes) <= BUDGET_BYTES:
            return side
    return _SIDES[-1]


def _caption(index: int, output: Output, tile: OutputMaps, several: bool) -> str:
    channels, height, width = tile.size
    given = f" · {safe(tile.recorded_input)}" if several else ""
    return (
        f'<figure><figcaption><a href="#o{index}">{safe(output.name)}</a>'
        f"<span>{safe(output.label)} · {channels} × {height} × {width}{given}</span></figcaption>"
    )


def _reference(tile: OutputMaps, side: int) -> str:
    if tile.reference is None:
        return '<div class="ref">no float64 value</div>'
    kind = "float64" if tile.kind == "truth" else "float64, ONNX file"
    picture = _picture(shrink(tile.reference.values, side), tile.reference.range, VALUES, tile.size, f"{kind} map")
    return f'<div class="ref">{picture}<span>{kind}<br>{_range_text(tile.reference)}</span></div>'


def _pair(
    tile: OutputMaps, label: str, maps: RunnerMaps, scale: Range | None, largest: float, side: int
) -> Iterable[str]:
    candidate = _picture(shrink(maps.candidate.values, side), scale, VALUES, tile.size, "map of the runner")
    yield f"<div>{candidate}<span>{label}<br>{_range_text(maps.candidate)}</span></div>"
    if maps.error is None:
        yield "<div>no difference: nothing to compare with</div>"
        return
    top = _top(maps.error)
    values = shrink(maps.error.values, side, "largest")
    difference = _picture(values, (0.0, largest), DIFFERENCE, tile.size, "difference")
    extent = "not finite" if maps.error.range is None else f"up to {multiple(top)} ×{_not_finite(maps.error)}"
    yield f"<div>{difference}<span>difference {extent}<br>scale 0 to {multiple(largest)} ×</span></div>"


def _top(part: AveragedMap | None) -> float:
    return part.range[1] if part and part.range else 0.0


def _range_text(part: AveragedMap) -> str:
    if part.range is None:
        return "not finite"
    low, high = part.range[0] + 0.0, part.range[1] + 0.0  # not "-0"
    text = f"{low:.4g} to {high:.4g}" if low < high else f"constant {low:.4g}"
    return text.replace("-", "−") + _not_finite(part)


def _not_finite(part: AveragedMap) -> str:
    return "" if np.isfinite(part.values).all() else ", and not finite"


def _picture(
    values: NDArray[np.float32], scale: Range | None, table_name: str, size: tuple[int, int, int], alt: str
) -> str:
    # Width and height of the whole map give the shape even where the picture has fewer pixels.
    return (
        f'<img loading="lazy" decoding="async" alt="{safe(alt)}" width="{size[2]}" height="{size[1]}" '
        f'src="data:image/png;base64,{base64.b64encode(_png(values, scale, table_name)).decode()}">'
    )


def _png(values: NDArray[np.float32], scale: Range | None, table_name: str) -> bytes:
    table = colour_table(table_name)
    palette = table[np.linspace(0, len(table) - 1, _LEVELS).astype(int)]
    finite = np.isfinite(values)
    low, high = scale or (0.0, 0.0)
    # Halved, because the range itself may be larger than the largest float64; halving is exact.
    wide = np.where(finite, values.astype(np.float64), low)
    places = (wide / 2 - low / 2) / ((high / 2 - low / 2) or 1.0)
    indices = np.where(finite, np.clip(places * _LEVELS, 0, _LEVELS - 1), _LEVELS).astype(np.uint8)
    image = Image.fromarray(indices).convert("L")
    image.putpalette(np.vstack([palette, not_finite_colour(table)]).astype(np.uint8).tobytes())
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=False, compress_level=9)
    return stream.getvalue()
