"""The error by depth as an inline SVG chart, for the HTML report: what each runner introduced and what it inherited.

x is the order of execution, y the error in multiples of float32's own, on a logarithmic scale. x is in percent of the
page's width and y in pixels, so that the chart fills any width and its text keeps its size.
"""

import math
from collections.abc import Iterator, Sequence

from ..verdict.drift import PASSING_DRIFT, OutputComparison
from ..verdict.report import Report, RunnerReport
from .html_chart_names import axis_names, names_height
from .html_text import multiple, safe

__all__ = ["COLOURS", "chart_legend", "error_chart"]

COLOURS = 7
"""So many can be distinguished by colour-blind readers, too; the page's style sheet names them `c0` to `c6`."""

_HEIGHT = 326
"""Of the plot, in pixels."""
_UNITS = 1000
"""Of the width, in which the lines are drawn; they are stretched to the chart's."""
_MARKED = 150
"""Up to this many outputs, each has a dot; beyond, only those that fail."""
_FLOOR = 1e-3


class _Axes:
    """Where an output and an error lie on the chart."""

    def __init__(self, report: Report) -> None:
        measures = [
            value
            for runner in report.runners
            for output in runner.outputs
            for value in (output.introduced, output.inherited, output.drift)
            if value and math.isfinite(value)
        ]
        self.count = max(len(report.outputs), 1)
        self.low = math.floor(math.log10(max(min(measures, default=0.1), _FLOOR)))
        self.high = math.ceil(math.log10(max(*measures, 10 * PASSING_DRIFT, 0.0)))

    def x(self, index: int, width: float = 100.0) -> float:
        return (index + 0.5) / self.count * width

    def y(self, value: float) -> float:
        place = (math.log10(max(value, 10.0**self.low)) - self.low) / (self.high - self.low)
        return _HEIGHT - place * _HEIGHT


def error_chart(report: Report) -> str:
    """Return the `<svg>`: a line for each runner and part, the limit, and a column for each output with its values.

    A column is a link to the output's row, `#o` and its number. An output whose error wasn't split is drawn with its
    whole drift, dotted. The axis has the names of as many outputs as there is room for, the culprit's first.
    """
    axes = _Axes(report)
    positions = {output.name: index for index, output in enumerate(report.outputs)}
    lines = [
        f'<svg id="chart" height="{_HEIGHT + names_height(report)}" role="group" tabindex="0" '
        'aria-label="Error by depth. Left and right step through the outputs, Enter jumps to the row.">',
        *_grid(axes),
        *axis_names(report, _HEIGHT),
    ]
    for number, runner in enumerate(report.runners):
        lines.append(f'<g data-runner="{number}" class="c{number % COLOURS}">')
        lines += _series(axes, positions, runner)
        lines.append("</g>")
    lines += [*_limit(axes), f'<line id="cursor" y1="0" y2="{_HEIGHT}" />', *_columns(axes, report)]
    return "\n".join([*lines, "</svg>"])


def chart_legend(report: Report) -> str:
    """Return a box for each runner and part, to show and hide it, and what the marks mean that the chart has."""
    boxes = [
        (f'g[data-runner="{number}"]', f"c{number % COLOURS}", "", runner.name)
        for number, runner in enumerate(report.runners)
    ]
    boxes += [(".introduced, .dot", "", "", "introduced"), (".inherited", "", "dashed", "inherited")]
    outputs = [output for runner in report.runners for output in runner.outputs]
    if any(output.introduced is None for output in outputs if output.drift is not None):
        boxes.append((".drift", "", "dotted", "whole drift, where its parts are unknown"))
    labels = [
        f'<label class="{colour}"><input type="checkbox" checked data-series="{safe(series)}"> '
        f'<i class="{line}"></i> {safe(name)}</label>'
        for series, colour, line, name in boxes
    ]
    return "".join([*labels, *(f"<span>{mark}</span>" for mark in _marks(report))])


def _marks(report: Report) -> Iterator[str]:
    """Yield what the marks mean that the chart has."""
    found = [(runner.is_culprit(output.name), output) for runner in report.runners for output in runner.outputs]
    measured = [(culprit, output) for culprit, output in found if _height(output) is not None]
    if any(output.failed and not culprit for culprit, output in measured):
        yield '<i class="ring"></i> ring: fails'
    if any(culprit for culprit, _ in measured):
        yield '<i class="ring culprit"></i> large ring: culprit'
    if any(output.failed and _height(output) is None for _, output in found):
        yield "✕ at the top: can't be measured"


def _height(output: OutputComparison) -> float | None:
    """Return the error at which an output's dot is drawn; None where it has none."""
    error = output.drift if output.introduced is None else output.introduced
    return None if error is None or not math.isfinite(error) else error


def _grid(axes: _Axes) -> Iterator[str]:
    every = max(1, math.ceil((axes.high - axes.low) / 8))
    for power in range(axes.low, axes.high + 1, every):
        y = axes.y(10.0**power)
        yield f'<line class="grid" x1="0" x2="100%" y1="{y:.1f}" y2="{y:.1f}" />'
        less = "≤ " if power == axes.low else ""  # 0 is drawn there, too
        yield f'<text x="-6" y="{y + 4:.1f}" text-anchor="end">{less}{multiple(10.0**power)}</text>'


def _limit(axes: _Axes) -> Iterator[str]:
    y = axes.y(PASSING_DRIFT)
    yield f'<line class="limit" x1="0" x2="100%" y1="{y:.1f}" y2="{y:.1f}" />'
    yield f'<text class="limit" x="6" y="{y - 5:.1f}">drift up to {PASSING_DRIFT:g} passes</text>'


def _series(axes: _Axes, positions: dict[str, int], runner: RunnerReport) -> Iterator[str]:
    outputs: list[OutputComparison | None] = [None] * axes.count
    for found in runner.outputs:
        if found.name in positions:
            outputs[positions[found.name]] = found
    introduced = [output.introduced if output else None for output in outputs]
    whole = [output.drift if output and output.introduced is None else None for output in outputs]
    inherited = [output.inherited if output else None for output in outputs]
    yield f'<svg viewBox="0 0 {_UNITS} {_HEIGHT}" width="100%" height="{_HEIGHT}" preserveAspectRatio="none">'
    for kind, values in (("drift", whole), ("inherited", inherited), ("introduced", introduced)):
        yield _path(axes, kind, values)
    yield "</svg>"
    for index, output in enumerate(outputs):
        if output is not None:
            yield _dot(axes, index, _height(output), output.failed, runner.is_culprit(output.name))


def _dot(axes: _Axes, index: int, value: float | None, failed: bool, culprit: bool) -> str:
    x = f"{axes.x(index):.3f}%"
    if value is None:
        return f'<text class="unmeasured" x="{x}" y="11" text-anchor="middle">✕</text>' if failed else ""
    if not (failed or culprit) and axes.count > _MARKED:
        return ""
    kind, radius = ("dot failed culprit", 6) if culprit else ("dot failed", 3.5) if failed else ("dot", 2)
    return f'<circle class="{kind}" cx="{x}" cy="{axes.y(value):.1f}" r="{radius}" />'


def _path(axes: _Axes, kind: str, values: Sequence[float | None]) -> str:
    """Return a line with gaps where nothing is known; a lone value is a short stroke."""
    parts, drawn = [], False
    for index, value in enumerate(values):
        if value is None or not math.isfinite(value):
            drawn = False
            continue
        place = f"{axes.x(index, _UNITS):.2f},{axes.y(value):.1f}"
        parts.append(f"{'L' if drawn else 'M'}{place}{'' if drawn else 'h.1'}")
        drawn = True
    return f'<path class="{kind}" d="{"".join(parts)}" />' if parts else ""


def _columns(axes: _Axes, report: Report) -> Iterator[str]:
    found = [{output.name: output for output in runner.outputs} for runner in report.runners]
    width = 100 / axes.count
    for index, output in enumerate(report.outputs):
        lines = [f"{index + 1} · {output.name} · {output.label}"]
        lines += [
            f"{runner.name}: {_values(outputs[output.name])}"
            for runner, outputs in zip(report.runners, found, strict=True)
            if output.name in outputs
        ]
        yield (
            f'<a class="column" href="#o{index}" tabindex="-1"><rect x="{index * width:.3f}%" y="0" '
            f'width="{width:.3f}%" height="{_HEIGHT}" /><title>{safe(chr(10).join(lines))}</title></a>'
        )


def _values(output: OutputComparison) -> str:
    if output.drift is None:
        return output.verdict
    parts = f"introduced {multiple(output.introduced)}, inherited {multiple(output.inherited)}"
    return f"{output.verdict}, drift {multiple(output.drift)}" + ("" if output.introduced is None else f"; {parts}")
