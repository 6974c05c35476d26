"""The error by depth as an inline SVG chart, for the HTML report: what each runner introduced and what it inherited.

x is the order of execution, y the error in multiples of float32's own, on a logarithmic scale.
"""

import math
from collections.abc import Iterator, Sequence

from ..verdict.drift import PASSING_DRIFT, OutputComparison
from ..verdict.report import Report, RunnerReport
from .html_text import multiple, safe

__all__ = ["COLOURS", "error_chart"]

COLOURS = 7
"""So many can be distinguished by colour-blind readers, too; the page's style sheet names them `c0` to `c6`."""

_WIDTH, _HEIGHT = 1000, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 12, 14, 40
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
        self.count = len(report.outputs)
        self.low = math.floor(math.log10(max(min(measures, default=0.1), _FLOOR)))
        self.high = math.ceil(math.log10(max(*measures, 10 * PASSING_DRIFT, 0.0)))

    @property
    def step(self) -> float:
        return (_WIDTH - _LEFT - _RIGHT) / max(self.count, 1)

    def x(self, index: int) -> float:
        return _LEFT + (index + 0.5) * self.step

    def y(self, value: float) -> float:
        place = (math.log10(max(value, 10.0**self.low)) - self.low) / (self.high - self.low)
        return _HEIGHT - _BOTTOM - place * (_HEIGHT - _BOTTOM - _TOP)


def error_chart(report: Report) -> str:
    """Return the `<svg>`: a line for each runner and part, the limit, and a column for each output with its values.

    A column is a link to the output's row, `#o` and its number. An output whose error wasn't split is drawn with its
    whole drift, dotted.
    """
    axes = _Axes(report)
    positions = {output.name: index for index, output in enumerate(report.outputs)}
    lines = [
        f'<svg id="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="group" tabindex="0" '
        'aria-label="Error by depth. Left and right step through the outputs, Enter jumps to the row.">',
        *_grid(axes),
    ]
    for number, runner in enumerate(report.runners):
        lines.append(f'<g data-runner="{number}" class="c{number % COLOURS}">')
        lines += _series(axes, positions, runner)
        lines.append("</g>")
    return "\n".join([*lines, '<line id="cursor" y1="14" y2="340" />', *_columns(axes, report), "</svg>"])


def _grid(axes: _Axes) -> Iterator[str]:
    every = max(1, math.ceil((axes.high - axes.low) / 8))
    for power in range(axes.low, axes.high + 1, every):
        y = axes.y(10.0**power)
        yield f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" />'
        less = "≤ " if power == axes.low else ""  # 0 is drawn there, too
        yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{less}{multiple(10.0**power)}</text>'
    for index in range(0, axes.count, max(1, math.ceil(axes.count / 12))):
        yield f'<text x="{axes.x(index):.1f}" y="{_HEIGHT - 23}" text-anchor="middle">{index + 1}</text>'
    yield f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 6}" text-anchor="middle">outputs, in the order of execution</text>'
    limit = axes.y(PASSING_DRIFT)
    yield f'<line class="limit" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{limit:.1f}" y2="{limit:.1f}" />'
    yield (f'<text class="limit" x="{_LEFT + 6}" y="{limit - 5:.1f}">drift up to {PASSING_DRIFT:g} passes</text>')


def _series(axes: _Axes, positions: dict[str, int], runner: RunnerReport) -> Iterator[str]:
    outputs: list[OutputComparison | None] = [None] * axes.count
    for found in runner.outputs:
        if found.name in positions:
            outputs[positions[found.name]] = found
    whole = [output.drift if output and output.introduced is None else None for output in outputs]
    yield _path(axes, "drift", whole)
    yield _path(axes, "inherited", [output.inherited if output else None for output in outputs])
    introduced = [output.introduced if output else None for output in outputs]
    yield _path(axes, "introduced", introduced)
    for index, output in enumerate(outputs):
        value = introduced[index] if introduced[index] is not None else whole[index]
        if output is None:
            continue
        failed = output.failed
        if value is None or not math.isfinite(value):
            x = axes.x(index)
            yield f'<path class="unmeasured" d="M{x - 4:.1f},{_TOP}l8,8m0,-8l-8,8" />' if failed else ""
        elif failed or axes.count <= _MARKED:
            kind, radius = ("dot failed", 3) if failed else ("dot", 2)
            yield f'<circle class="{kind}" cx="{axes.x(index):.1f}" cy="{axes.y(value):.1f}" r="{radius}" />'


def _path(axes: _Axes, kind: str, values: Sequence[float | None]) -> str:
    """Return a line with gaps where nothing is known; a lone value is a short stroke."""
    parts, drawn = [], False
    for index, value in enumerate(values):
        if value is None or not math.isfinite(value):
            drawn = False
            continue
        parts.append(f"{'L' if drawn else 'M'}{axes.x(index):.1f},{axes.y(value):.1f}{'' if drawn else 'h.1'}")
        drawn = True
    return f'<path class="{kind}" d="{"".join(parts)}" />' if parts else ""


def _columns(axes: _Axes, report: Report) -> Iterator[str]:
    found = [{output.name: output for output in runner.outputs} for runner in report.runners]
    for index, output in enumerate(report.outputs):
        lines = [f"{index + 1} · {output.name} · {output.label}"]
        lines += [
            f"{runner.name}: {_values(outputs[output.name])}"
            for runner, outputs in zip(report.runners, found, strict=True)
            if output.name in outputs
        ]
        x = axes.x(index) - axes.step / 2
        yield (
            f'<a class="column" href="#o{index}" tabindex="-1"><rect x="{x:.2f}" y="{_TOP}" width="{axes.step:.2f}" '
            f'height="{_HEIGHT - _BOTTOM - _TOP}" /><title>{safe(chr(10).join(lines))}</title></a>'
        )


def _values(output: OutputComparison) -> str:
    if output.drift is None:
        return output.verdict
    parts = f"introduced {multiple(output.introduced)}, inherited {multiple(output.inherited)}"
    return f"{output.verdict}, drift {multiple(output.drift)}" + ("" if output.introduced is None else f"; {parts}")
