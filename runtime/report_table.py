"""A verification report as a table for the terminal."""

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from .comparison import PASSING_DRIFT, OutputComparison
from .manifest import Manifest
from .verification import Report, RunnerReport

__all__ = ["report_table"]


def report_table(report: Report, manifest: Manifest) -> RenderableType:
    """Return a row for each output with its drift in each runner, and a closing line for each runner."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("output")
    table.add_column("label")
    table.add_column("shape", no_wrap=True)
    for runner in report.runners:
        table.add_column(runner.name, justify="right", no_wrap=True)
    for index, output in enumerate(manifest.outputs):
        cells = [_cell(runner.outputs[index]) for runner in report.runners]
        table.add_row(escape(output.name), escape(output.label), " x ".join(map(str, output.shape)), *cells)
    return Group(
        table,
        Text(f"Drift in multiples of eager float32's own error; up to {PASSING_DRIFT:g} passes.", style="dim"),
        *(_summary(runner) for runner in report.runners),
    )


def _cell(output: OutputComparison) -> Text:
    if output.drift is None:
        return Text(output.verdict, style="bold red")
    return Text(f"{output.drift:.3g}", style="bold red" if output.verdict != "pass" else "")


def _summary(runner: RunnerReport) -> Text:
    compared = [output for output in runner.outputs if output.drift is not None]
    worst = max(compared, key=lambda output: output.drift or 0.0, default=None)
    at_most = f"; largest drift {worst.drift:.3g}, at {worst.name}" if worst else ""
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
