"""A verification report as a table for the terminal."""

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from .comparison import PASSING_DRIFT, OutputComparison
from .manifest import Manifest
from .verification import Report, RunnerReport

__all__ = ["report_table"]

_NOISE = 0.01
"""A noise floor above this, times the 16 that pass, is a sixth of the tensor's scale."""


def report_table(report: Report, manifest: Manifest) -> RenderableType:
    """Return a row for each output with its drift in each runner, and a closing line for each runner."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("output")
    table.add_column("label")
    table.add_column("shape", no_wrap=True)
    for runner in report.runners:
        table.add_column(runner.name, justify="right", no_wrap=True)
    columns = [runner.outputs for runner in report.runners]
    for output, *judged in zip(manifest.outputs, *columns, strict=True):
        shape = " x ".join(map(str, output.shape)) or "a number"
        table.add_row(escape(output.name), escape(output.label), shape, *map(_cell, judged))
    return Group(
        table,
        Text(f"Drift in multiples of eager float32's own error; up to {PASSING_DRIFT:g} passes.", style="dim"),
        *_warn_of_noise(report),
        *(_summary(runner) for runner in report.runners),
    )


def _warn_of_noise(report: Report) -> list[Text]:
    """Name the outputs whose noise floor is so high that a wrong result would pass as well."""
    noisy = {
        output.name
        for runner in report.runners
        for output in runner.outputs
        if output.drift and output.relative_to_scale and output.relative_to_scale / output.drift > _NOISE
    }
    if not noisy:
        return []
    names = ", ".join(sorted(noisy)[:3]) + (", ..." if len(noisy) > 3 else "")
    return [Text(f"Nothing is proven of {names}: eager float32 is off by over {_NOISE:.0%} itself.", style="yellow")]


def _cell(output: OutputComparison) -> Text:
    if output.drift is None:
        return Text(output.verdict, style="bold red")
    if output.verdict != "pass":
        return Text(f"{output.drift:.3g} {output.verdict}", style="bold red")
    return Text(f"{output.drift:.3g}")


def _summary(runner: RunnerReport) -> Text:
    compared = [output for output in runner.outputs if output.drift is not None]
    worst = max(compared, key=lambda output: output.drift or 0.0, default=None)
    # Beside a NaN the largest drift of what could be compared would only mislead.
    at_most = f"; largest drift {worst.drift:.3g}, at {worst.name}" if worst and runner.verdict != "nonfinite" else ""
    if runner.verdict == "pass":
        return Text(f"{runner.name}: all {len(runner.outputs)} outputs pass{at_most}", style="green")
    failed = sum(output.verdict != "pass" for output in runner.outputs)
    if runner.verdict == "placement":
        return Text(
            f"{runner.name}: placement: {len(runner.misplaced)} nodes ran on the CPU, first {runner.misplaced[0]}",
            style="bold red",
        )
    return Text(
        f"{runner.name}: {failed} of {len(runner.outputs)} outputs fail; the first is {runner.first_drifting} "
        f"({runner.verdict}){at_most}",
        style="bold red",
    )
