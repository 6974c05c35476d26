"""The page of a scan: one HTML file with a row for each layer: its numbers, its histogram, its dead channels.

It needs nothing else: no network, no script. The numbers in full are in the Parquet files beside it.
"""

import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..artifact.file_replacement import replace_file
from ..artifact.folder import Artifact
from ..scan.channel_moments import ChannelMoments
from ..scan.differences import BEYOND_NOISE, BEYOND_USUAL, OutputDifference
from ..scan.scanned_outputs import ScannedOutput
from ..scan.scanning import ScanResult, broken_images, broken_words
from ..scan.statistics_tables import dead_and_saturated
from ..scan.value_histogram import bucket_edges, quantiles
from .html_text import multiple, safe

__all__ = ["write_scan_page"]

_TEMPLATE = Path(__file__).with_name("scan.html")
_MARK = "layerprobe scan"
_WIDTH, _HEIGHT = 220, 40
"""Of a row's picture, in pixels."""
_BINS = 55
_STRIP = 6
"""The height of the strip of channels below the histogram."""
_LISTED = 200
"""Broken images on the page; all are in the table."""


def write_scan_page(artifact: Artifact, found: ScanResult, folder: Path, *, by: str) -> Path:
    """Write `report.html` into the scan's folder, and return its path.

    Args:
        artifact: that was scanned.
        found: what was found.
        folder: the scan's.
        by: what ran it, in words.

    Raises:
        OutputError: it can't be written.
    """
    file = folder / "report.html"
    with replace_file(file, _MARK) as stream:
        stream.write(_page(artifact, found, folder, by).encode())
    return file


def _page(artifact: Artifact, found: ScanResult, folder: Path, by: str) -> str:
    title = artifact.manifest.title
    read = found.images - found.broken
    parts = {
        "title": safe(f"{title}: {read:,} images"),
        "kicker": f"{safe(title)} · {_MARK} · {safe(by)}",
        "headline": safe(f"{_headline(found)}{_against(found)}"),
        "notes": safe(_notes(found)),
        "how": (
            "Each row is one output, over all elements of all images. The picture shows how often which value occurs, "
            "from the 0.1 % to the 99.9 % quantile, with heights by their square root; the line is 0. Below it are the "
            "channels in their order: grey, dead (yellow: zero in every element of every image), saturated (red: at an "
            "end of the range, other than 0, in at least half of the elements)."
        ),
        "rows": "\n".join(_rows(found)),
        "comparison": _comparison(found),
        "broken": _broken(found, folder),
    }
    # In one pass, so that inserted text is not searched again.
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _TEMPLATE.read_text(encoding="utf-8"))


def _headline(found: ScanResult) -> str:
    images = f"{found.images - found.broken:,} images, {len(found.outputs)} outputs"
    moments = found.statistics.moments
    odd = [
        each.output.name
        for each in found.outputs
        if moments.nan[each.begin : each.end].any() or moments.infinite[each.begin : each.end].any()
    ]
    if odd:
        return f"{images}: NaN or infinite values, first in {odd[0]}"
    dead, _ = dead_and_saturated(moments)
    channels = f"{len(dead):,} channels"
    return f"{images}: all values are finite; {int(dead.sum()):,} of {channels} are dead"


def _against(found: ScanResult) -> str:
    """Return the end of the headline that says where another model starts to differ on most images."""
    if found.comparison is None:
        return ""
    first = max(found.comparison.outputs, key=lambda each: each.images_starting)
    if not first.images_starting:
        return f"; none differs beyond the usual from {found.comparison.other}"
    which = f"from {found.comparison.other} beyond the usual, from {first.output} on"
    return f"; {first.images_starting:,} images differ {which}"


def _notes(found: ScanResult) -> str:
    notes = [f"{name} is left out: {why}." for name, why in found.left_out.items()]
    if found.broken:
        notes.insert(0, f"{broken_words(found)}; see below.")
    return " ".join(notes)


def _rows(found: ScanResult) -> Iterator[str]:
    for index, each in enumerate(found.outputs):
        moments = found.statistics.moments.part(each.begin, each.end)
        yield _row(each, moments, found.statistics.outputs.of_output(index), found)


def _row(output: ScannedOutput, moments: ChannelMoments, counts: NDArray[np.int64], found: ScanResult) -> str:
    whole = moments.pooled()
    dead, saturated = dead_and_saturated(moments)
    low, high = float(whole.low[0]), float(whole.high[0])
    shares = quantiles(counts, low, high)
    count = int(whole.count[0])
    deviation = float(np.sqrt(whole.squares[0] / max(count, 1)))
    odd = int(whole.nan[0] + whole.infinite[0])
    mean, least, lower, middle, upper, most = (
        _number(each if count else None)
        for each in (float(whole.mean[0]), low, shares[0.001], shares[0.5], shares[0.999], high)
    )
    first, last = (safe(found.paths(int(each[0]))) if count else "" for each in (whole.low_image, whole.high_image))
    numbers = [
        _cell(mean, f"± {_number(deviation)}" if count else ""),
        _cell(least, first),
        *map(_cell, (lower, middle, upper)),
        _cell(most, last),
        _cell(f"{whole.zeros[0] / max(count, 1):.1%}"),
        _cell(f"{output.channels:,}"),
    ]
    return (
        f'<tr><th>{safe(output.output.name)}<div class="under">{safe(output.output.label)}</div></th>'
        f"<td>{_picture(counts, shares, dead, saturated, safe(output.output.name))}</td>{''.join(numbers)}"
        f"{_count(int(dead.sum()))}{_count(int(saturated.sum()))}{_count(odd)}</tr>"
    )


def _cell(number: str, under: str = "") -> str:
    below = f'<div class="under">{under}</div>' if under else ""
    return f'<td class="number">{number}{below}</td>'


def _number(value: float | None) -> str:
    return multiple(value, 3).replace("-", "−")


def _count(count: int) -> str:
    return f'<td class="number{" bad" if count else ""}">{count:,}</td>'


def _picture(
    counts: NDArray[np.int64],
    shares: dict[float, float],
    dead: NDArray[np.bool_],
    saturated: NDArray[np.bool_],
    name: str,
) -> str:
    """Return the histogram between two quantiles, and a strip of the channels, as SVG."""
    low, high = shares[0.001], shares[0.999]
    parts = []
    base = _HEIGHT - _STRIP - 2
    if low < high:
        heights = np.sqrt(_spread(counts, np.linspace(low, high, _BINS + 1)))
        step, top = _WIDTH / _BINS, heights.max() or 1.0
        path = "".join(
            f"M{place * step:.1f} {base}v{-base * height / top:.1f}h{step - 0.5:.1f}V{base}z"
            for place, height in enumerate(heights)
            if height
        )
        parts.append(f'<path class="bars" d="{path}"/>')
        if low < 0 < high:
            zero = -low / (high - low) * _WIDTH
            parts.append(f'<line class="zero" x1="{zero:.1f}" x2="{zero:.1f}" y1="0" y2="{base}"/>')
    parts.append(f'<line class="base" x1="0" x2="{_WIDTH}" y1="{base}" y2="{base}"/>')
    parts.append(f'<rect class="alive" x="0" y="{_HEIGHT - _STRIP}" width="{_WIDTH}" height="{_STRIP}"/>')
    for kind, marked in (("dead", dead), ("saturated", saturated)):
        parts.append(_strip(kind, marked))
    return f'<svg role="img" aria-label="values of {name}" width="{_WIDTH}" height="{_HEIGHT}">{"".join(parts)}</svg>'


def _strip(kind: str, marked: NDArray[np.bool_]) -> str:
    width = _WIDTH / max(len(marked), 1)
    # At least a pixel wide: one dead channel of 2048 is to be seen.
    path = "".join(
        f"M{place * width:.1f} {_HEIGHT - _STRIP}h{max(width, 1):.1f}v{_STRIP}h{-max(width, 1):.1f}z"
        for place in np.flatnonzero(marked)
    )
    return f'<path class="{kind}" d="{path}"/>' if path else ""


def _spread(counts: NDArray[np.int64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how many elements lie between neighbouring edges, if those of a bucket are spread evenly in it."""
    buckets = np.flatnonzero(counts)
    low, high = bucket_edges(buckets)
    order = np.argsort(low, kind="stable")
    low, high, number = low[order], high[order], counts[buckets][order].astype(np.float64)
    reached = np.cumsum(number)
    places = np.stack([low, high], axis=1).reshape(-1)
    values = np.stack([reached - number, reached], axis=1).reshape(-1)
    below = np.interp(edges, places, values, left=0.0)
    below[0] = 0.0 if edges[0] <= low[0] else below[0]
    return np.diff(below)


def _comparison(found: ScanResult) -> str:
    if found.comparison is None:
        return ""
    comparison = found.comparison
    top = "".join(
        f" The top class of {safe(name)} is the same on {same:,} of {count:,} images."
        for name, (same, count) in comparison.top.items()
        if count
    )
    beyond = f"{BEYOND_NOISE:g}" if comparison.is_exact else f"{BEYOND_USUAL:g} times their median over the images"
    rows = "".join(_difference(each, found.paths) for each in comparison.outputs)
    worst = "".join(
        f'<tr><th>{safe(found.paths(each.number))}</th><td>{safe(each.output)}</td><td class="number">'
        f"{_number(each.drift)}</td></tr>"
        for each in comparison.worst
    )
    judged = ' and judged in <a href="worst.html">worst.html</a>' if comparison.is_judged else ""
    return (
        f'<h2>Against {safe(comparison.other)}</h2><p class="soft">The largest error of each image, relative to its '
        f"largest element, in multiples of float32's noise floor of that output; and on how many images that is more "
        f"than {beyond}. It starts where that is so of none of the outputs before.{top}</p>"
        '<div class="scroll"><table><thead><tr><th>output</th><th class="number">median</th>'
        '<th class="number">largest</th><th>on image</th><th class="number">images beyond</th>'
        '<th class="number">starts here</th><th>most on image</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
        f'<p class="soft">The images that differ most are kept in worst/{judged}.</p>'
        '<div class="scroll"><table><thead><tr><th>image</th><th>at output</th><th class="number">times noise</th></tr>'
        f"</thead><tbody>{worst}</tbody></table></div>"
    )


def _difference(each: OutputDifference, path_of: Callable[[int], str]) -> str:
    start = safe(path_of(each.worst_start.number)) if each.worst_start is not None else ""
    largest = safe(path_of(each.max_number)) if each.max_number >= 0 else ""
    return (
        f'<tr><th>{safe(each.output)}</th><td class="number">{_number(each.median_drift)}</td>'
        f'<td class="number">{_number(each.max_drift)}</td><td class="images">{largest}</td>'
        f'<td class="number">{each.images_over:,}</td>{_count(each.images_starting)}'
        f'<td class="images">{start}</td></tr>'
    )


def _broken(found: ScanResult, folder: Path) -> str:
    if not found.broken:
        return ""
    rows = [
        f"<tr><td>{safe(image)}</td><td>{safe(reason.partition(chr(10))[0])}</td></tr>"
        for image, reason in islice(broken_images(folder), _LISTED)
    ]
    more = f" The first {_LISTED} of {found.broken:,}:" if found.broken > _LISTED else ""
    return (
        f'<h2>Images that can\'t be read</h2><p class="soft">They are in images/*.parquet, with the reason.{more}</p>'
        f'<div class="scroll"><table><thead><tr><th>image</th><th>reason</th></tr></thead><tbody>'
        f"{''.join(rows)}</tbody></table></div>"
    )
