"""A report as a table for the terminal: the headline, the worst outputs, and a closing line for each runner."""

from collections.abc import Mapping, Sequence

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from ..artifact.manifest import Output
from ..artifact.showing import shape_words
from ..verdict.drift import FILE_PASSING_DRIFT, FILE_RUNNER, PASSING_ERROR
from ..verdict.headline import first_names, result_words
from ..verdict.low_precision import worst_segments
from ..verdict.report import Report, RunnerReport, UnprobedReport
from ..verdict.verdict_kinds import Verdict
from .outcome_words import candidate_words, given_words, inputs_words, mark, outcome, untried_words
from .ranking import ranked

__all__ = ["WORST_SHOWN", "report_table"]

WORST_SHOWN = 10
"""Outputs in the table, unless all are requested."""


def report_table(report: Report, *, everything: bool = False) -> RenderableType:
    """Return a row for each of the worst outputs, the culprit first, or for all of them, in the order of execution.

    A cell holds the drift and, behind the bar, the part that the operation itself introduced.
    """
    rows = list(report.outputs) if everything else ranked(report)[:WORST_SHOWN]
    facts = {
        "output": [output.name for output in rows],
        "label": [output.label for output in rows],
        "shape": [shape_words(output.shape) for output in rows],
    }
    runners = [runner.name for runner in report.runners]
    cells = [[_cell(runner, output.name) for runner in report.runners] for output in rows]
    # In a narrow terminal only the name and the numbers stay: they show where and how much.
    tables = [_table({key: facts[key] for key in list(facts)[:kept]}, runners, cells) for kept in (3, 2, 1)]
    left = len(report.outputs) - len(rows)
    return Group(
        Text(report.headline, style=f"bold {_colour(report)}"),
        *([Text(candidate_words(report.candidate, len(report.outputs)))] if report.candidate else []),
        Text(),
        _WidestThatFits(tables),
        Text(
            "drift, in multiples of float32's own error | introduced by the operation itself, in multiples of "
            f"what its arithmetic may lose; up to {PASSING_ERROR:g} passes"
            + (f", in {FILE_RUNNER} up to {FILE_PASSING_DRIFT:g}." if FILE_RUNNER in runners else ".")
            + (f"\nThe {len(rows)} worst of {len(report.outputs)} outputs; --all shows the others." if left else ""),
            style="dim",
        ),
        *(line for runner in report.runners for line in _summary(runner, report.outputs)),
        *_lost_by_bits(report),
        *(Text(f"{name}: can't be opened: {why.reason}", style="bold red") for name, why in report.unopened.items()),
        *([Text(untried_words(report.untried), style="yellow")] if report.untried else []),
    )


def _table(facts: Mapping[str, Sequence[str]], runners: Sequence[str], cells: Sequence[Sequence[Text]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in facts:
        table.add_column(name, overflow="fold")
    for name in runners:
        table.add_column(name, justify="right", overflow="fold")
    for texts, numbers in zip(zip(*facts.values(), strict=True), cells, strict=True):
        table.add_row(*map(escape, texts), *numbers)
    return table


class _WidestThatFits:
    """The first of some tables that fits the terminal, or the last, with its cells wrapped."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self._tables = tables

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = options.max_width
        unbounded = options.update(max_width=100_000)
        fitting = (table for table in self._tables if Measurement.get(console, unbounded, table).maximum <= room)
        yield next(fitting, self._tables[-1])


def _colour(report: Report) -> str:
    if not report.passed:
        return "red"
    return "green" if report.proven else "yellow"


def _cell(runner: RunnerReport, name: str) -> Text:
    output = next((output for output in runner.outputs if output.name == name), None)
    if output is None:
        return Text("-", style="dim")
    bad = output.failed or runner.is_culprit(name)
    own = "" if output.introduced is None else f" | {output.introduced:.3g}"
    word = mark(runner, output)
    if output.drift is None and output.failed:
        # Only the verdict says what is wrong with it.
        word = f"{output.verdict}, {word}" if word != output.verdict else word
    numbers = "" if output.drift is None else f"{output.drift:.3g}{own} "
    return Text(f"{numbers}{word}".rstrip(), style="bold red" if bad else "yellow" if word else "")


def _lost_by_bits(report: Report) -> list[Text]:
    """Return the segments of a file in lower precision that lose most, in decibels."""
    file = next((runner for runner in report.runners if runner.name == FILE_RUNNER), None)
    if report.candidate is None or report.candidate.precision == "float32" or file is None:
        return []
    lost = ", ".join(f"{output.name} {output.sqnr_db:.1f} dB" for output in worst_segments(file.outputs, 5))
    others = [f"{name} ({words})" for name, words in file.other_kinds.items()]
    return [
        Text(
            f"The file computes in {report.candidate.precision}: in {FILE_RUNNER} the numbers are what each operation "
            f"loses by itself, in multiples of what its bits explain. The lowest signal-to-noise ratios: {lost}.",
            style="dim",
        ),
        *(
            [Text(f"Weights of another kind than the others': {first_names(others)}.", style="yellow")]
            if others
            else []
        ),
    ]


def _summary(runner: RunnerReport, outputs: Sequence[Output]) -> list[Text]:
    lines = [_verdict(runner, outputs)]
    if runner.result and not runner.error:
        words = result_words(runner.result, runner.name)
        lines.append(Text(f"  the result {runner.result.name} {words}", style="dim"))
    if len(runner.inputs) > 1:
        lines.append(Text(f"  {inputs_words(runner)}", style="dim"))
    lines += [Text(f"  {words}", style="dim") for words in given_words(runner.given)] if runner.given else []
    if runner.misplaced:
        more = ", ..." if len(runner.misplaced) > 3 else ""
        lines.append(
            Text(f"  {len(runner.misplaced)} nodes ran elsewhere: {', '.join(runner.misplaced[:3])}{more}", "yellow")
        )
    if runner.unprobed:
        lines.append(_unprobed(runner.unprobed))
    return lines


def _verdict(runner: RunnerReport, outputs: Sequence[Output]) -> Text:
    if runner.error:
        return Text(f"{runner.name}: {runner.error}", style="bold red")
    compared = [output for output in runner.outputs if output.drift is not None]
    worst = max(compared, key=lambda output: output.drift or 0.0, default=None)
    # Beside a NaN the largest drift of what could be compared would only mislead.
    measured = worst is not None and len(compared) == len(runner.outputs)
    at_most = f"; largest drift {worst.drift:.3g}, at {worst.name}" if worst and measured else ""
    text = outcome(runner, len(runner.outputs) == len(outputs))
    colour = "bold red" if runner.verdict.fails else "green" if runner.verdict is Verdict.PASS else "yellow"
    return Text(f"{runner.name}: {text}{at_most}", style=colour)


def _unprobed(unprobed: UnprobedReport) -> Text:
    if unprobed.error:
        return Text(f"  without the probe's outputs it can't run: {unprobed.error}", style="bold red")
    parts = []
    if unprobed.difference is not None:
        parts.append(f"unprobed, its results differ by {unprobed.difference:.3g} times float32's own error")
    if unprobed.prevented is not None:
        counts: dict[str, int] = {}
        for fusion in unprobed.prevented:
            pattern = " + ".join(fusion.operations)
            counts[pattern] = counts.get(pattern, 0) + 1
        most = ", ".join(f"{count} of {pattern}" for pattern, count in sorted(counts.items(), key=lambda c: -c[1])[:4])
        parts.append(f"probing prevents {len(unprobed.prevented)} fusions" + (f": {most}" if most else ""))
    if unprobed.prevented_unknown is not None:
        parts.append(f"the fusions that probing prevents can't be named ({unprobed.prevented_unknown})")
    failed = [output.name for output in unprobed.outputs if output.failed]
    parts += [f"unprobed, {', '.join(failed)} {'fails' if len(failed) == 1 else 'fail'}"] if failed else []
    return Text(f"  {'; '.join(parts)}", style="bold red" if failed else "dim")
