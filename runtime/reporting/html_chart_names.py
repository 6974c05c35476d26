"""The names of outputs along the axis of the HTML report's chart: as many as there is room for, the culprit's first."""

import math
from collections.abc import Iterator

from ..verdict.report import Report
from .html_text import safe

__all__ = ["axis_names", "names_height"]

_ROOMY, _NARROW = 80, 24
"""So many names fit beside one another, each a line of text high, on a page of 1200 pixels and on one of 500."""
_LONGEST = 32
"""Characters of a name; of a longer one the end tells it apart from its neighbours. The whole name shows on hover."""
_CHARACTER = 6.8
"""Pixels of a character of average width, at a text size of 12."""
_CAPTION = 34


def names_height(report: Report) -> int:
    """Return how many pixels the names and the axis' caption take."""
    longest = max((len(_short(report.outputs[index].name)) for index, _ in _chosen(report)), default=0)
    return math.ceil(longest * _CHARACTER) + _CAPTION


def axis_names(report: Report, top: int) -> Iterator[str]:
    """Yield the names, upright below the plot, which ends at `top` pixels, and the caption."""
    count = max(len(report.outputs), 1)
    for index, kind in _chosen(report):
        x, name = (index + 0.5) / count * 100, report.outputs[index].name
        yield f'<line class="grid" x1="{x:.3f}%" x2="{x:.3f}%" y1="{top}" y2="{top + 5}" />'
        yield (
            f'<svg class="{kind}" x="{x:.3f}%" y="{top + 9}" overflow="visible">'
            f'<text transform="rotate(-90)" dy=".32em" text-anchor="end">{safe(_short(name))}</text></svg>'
        )
    bottom = top + names_height(report) - 6
    yield f'<text x="50%" y="{bottom}" text-anchor="middle">{count} outputs, in the order of execution</text>'


def _chosen(report: Report) -> list[tuple[int, str]]:
    """Return the numbers of the outputs that are named, each with its class: `roomy` ones only where there is room."""
    count = len(report.outputs)
    roomy = max(1, math.ceil(count / _ROOMY))
    narrow = roomy * max(1, math.ceil(count / roomy / _NARROW))
    names = [output.name for output in report.outputs]
    blamed = sorted(names.index(runner.culprit.output) for runner in report.runners if runner.culprit)
    culprits: list[int] = []
    for index in blamed:
        if not culprits or index - culprits[-1] >= narrow:
            culprits.append(index)
    chosen = []
    for index in range(count):
        away = min((abs(index - culprit) for culprit in culprits), default=count)
        if away == 0:
            chosen.append((index, "name culprit"))
        elif index % narrow == 0 and away >= narrow:
            chosen.append((index, "name"))
        elif index % roomy == 0 and away >= roomy:
            chosen.append((index, "name roomy"))
    return chosen


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"…{name[1 - _LONGEST :]}"
