"""The subcommands that give verdicts: verify and compare. The forms of their report are files of their own."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .artifact.errors import UsageError
from .cli import (
    RUNNER_NAMES,
    ConvolutionSearch,
    ConvolutionSearchOption,
    GraphOptimization,
    GraphOptimizationOption,
    QuietOption,
    Tf32Option,
    ThreadsOption,
    phases,
    print_table,
    refuse_unwritable,
    tell_left_out,
    write_text,
)

if TYPE_CHECKING:
    from .verdict.drift_maps import DriftMaps
    from .verdict.report import Report

__all__ = ["compare", "verify"]

_RunnersOption = Annotated[
    list[str] | None,
    typer.Option("--runner", metavar="R", help=f"onnx-float64 (what the ONNX file itself says), {RUNNER_NAMES}"),
]
_JsonOption = Annotated[Path | None, typer.Option("--json", metavar="F", help="Write the report for machines.")]
_JunitOption = Annotated[Path | None, typer.Option("--junit", metavar="F", help="Write it as JUnit XML, for CI.")]
_HtmlOption = Annotated[Path | None, typer.Option("--html", metavar="F", help="Write it as one page, with pictures.")]
_ExplorerOption = Annotated[
    Path | None,
    typer.Option("--model-explorer", metavar="F", help="Write Model Explorer's node data, for model.onnx."),
]
_AllOption = Annotated[bool, typer.Option("--all", help="Show every output, in the order of execution.")]
_BaselineOption = Annotated[
    Path | None, typer.Option("--baseline", metavar="F", help="An earlier --json: fail only on what got worse.")
]


def verify(
    artifact: Annotated[Path, typer.Argument(metavar="ARTIFACT", help="A folder that `layerprobe export` made.")],
    runner: _RunnersOption = None,
    json: _JsonOption = None,
    junit: _JunitOption = None,
    html: _HtmlOption = None,
    model_explorer: _ExplorerOption = None,
    baseline: _BaselineOption = None,
    everything: _AllOption = False,
    graph_optimization: GraphOptimizationOption = GraphOptimization.ALL,
    tf32: Tf32Option = False,
    threads: ThreadsOption = None,
    convolution_search: ConvolutionSearchOption = ConvolutionSearch.EXHAUSTIVE,
    allow_fallback: Annotated[
        bool,
        typer.Option("--allow-fallback", help="Compute nodes elsewhere than asked are told, and pass."),
    ] = False,
    model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="For --runner eager: the live model, as export takes it.")
    ] = None,
    weights: Annotated[Path | None, typer.Option(metavar="F", help="For --runner eager: its weights.")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**63 - 1, help="For --runner eager: of its fresh weights.")
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Prove each output of each runner, and name what is wrong.

    Against what the model computes in float64. Exit code 0 if all pass, 1 if not.
    """
    from .artifact.folder import open_artifact
    from .artifact.manifest import AVERAGED_FILES, ONNX_FILE
    from .reporting.baseline import refuse_another_model
    from .reporting.loading import load_report
    from .runners.settings import Settings
    from .verdict.drift_maps import DriftMaps
    from .verdict.report import facts_of
    from .verdict.verification import verify as verify_artifact

    _refuse_places(json, [junit, html, model_explorer], artifact, baseline)
    earlier = load_report(baseline) if baseline else None
    opened = open_artifact(artifact)
    if earlier:
        refuse_another_model(opened.manifest.model, list(map(facts_of, opened.manifest.outputs)), earlier)
    if not {"eager", "all"}.intersection(runner or ()) and (model or weights or seed is not None):
        raise typer.BadParameter("--model, --weights and --seed are for the live model: add --runner eager")
    settings = Settings(
        graph_optimization=graph_optimization.value,
        tf32=tf32,
        threads=threads,
        convolution_search=convolution_search.value,
        model=model,
        weights=weights,
        seed=seed,
    )
    maps = DriftMaps(opened.manifest.outputs) if html else None
    with phases(quiet) as on_phase:
        report = verify_artifact(
            opened, runner or [], settings=settings, allow_fallback=allow_fallback, maps=maps, on_phase=on_phase
        )
    tell_left_out(report.left_out, quiet)
    maps_file = AVERAGED_FILES[ONNX_FILE]
    if not quiet and not opened.is_averaged and maps_file in opened.manifest.files:
        typer.echo(f"The averaged probe is verified by itself: layerprobe verify {opened.path / maps_file}", err=True)
    _write(report, json, junit, html, model_explorer, maps)
    _show(report, everything, earlier)


def compare(
    expected: Annotated[Path, typer.Argument(metavar="A", help="What `layerprobe run` wrote; taken for right.")],
    result: Annotated[Path, typer.Argument(metavar="B", help="Another run of the same model on the same input.")],
    json: _JsonOption = None,
    junit: _JunitOption = None,
    html: _HtmlOption = None,
    baseline: _BaselineOption = None,
    everything: _AllOption = False,
) -> None:
    """Compare two recorded runs, without the model.

    Of two machines, say, or two runners. Exit code 0 if all outputs agree, 1 if not.
    """
    from .reporting.baseline import refuse_another_model
    from .reporting.loading import load_report
    from .runs.recorded_run import open_run
    from .verdict.comparing_runs import compare_runs

    _refuse_places(json, [junit, html], expected, baseline, [result])
    earlier = load_report(baseline) if baseline else None
    report = compare_runs(open_run(expected), open_run(result))
    if earlier:
        refuse_another_model(str(report.environment["model"]), report.outputs, earlier)
    _write(report, json, junit, html, None, None)
    _show(report, everything, earlier)


def _refuse_places(
    json: Path | None, others: Sequence[Path | None], artifact: Path, baseline: Path | None, inputs: Sequence[Path] = ()
) -> None:
    """Refuse reports that would take the place of an input or of one another, before the work is done."""
    # A new JSON report alone may take the place of the baseline that it is compared with.
    refuse_unwritable(json, artifact, inputs)
    for file in others:
        refuse_unwritable(file, artifact, [*inputs, *([baseline] if baseline else [])])
    files = [file for file in (json, *others) if file and (file.is_file() or not file.exists())]
    for number, file in enumerate(files):
        if file.resolve() in {earlier.resolve() for earlier in files[:number]}:
            raise UsageError(f"{file} is asked for twice: give each form of the report a file of its own.")


def _write(
    report: "Report",
    json: Path | None,
    junit: Path | None,
    html: Path | None,
    explorer: Path | None,
    maps: "DriftMaps | None",
) -> None:
    from .reporting.html_page import html_page
    from .reporting.junit import junit_xml
    from .reporting.model_explorer import model_explorer_json

    forms: list[tuple[Path | None, Callable[[], str]]] = [
        (json, lambda: report.model_dump_json(indent=1) + "\n"),
        (junit, lambda: junit_xml(report)),
        (html, lambda: html_page(report, maps)),
        (explorer, lambda: model_explorer_json(report, _most_telling(report))),
    ]
    for file, text in forms:
        if file:
            write_text(file, text())


def _most_telling(report: "Report") -> str:
    """Return the runner that Model Explorer shows: the first that fails, or else the first that is a runtime."""
    order = sorted(report.runners, key=lambda runner: (runner.verdict == "pass", runner.name == "onnx-float64"))
    return order[0].name


def _show(report: "Report", everything: bool, earlier: "Report | None") -> None:
    """Print the report, and end with the exit code."""
    from .reporting.baseline import worse_than
    from .reporting.table import report_table

    print_table(report_table(report, everything=everything))
    if earlier is None:
        failed = not report.passed
    else:
        worse = worse_than(report, earlier)
        for each in worse:
            typer.echo(f"worse than the baseline: {each}")
        if not worse:
            typer.echo("Nothing got worse than in the baseline.")
        failed = bool(worse)
    if failed:
        raise typer.Exit(1)
