"""The subcommands that give verdicts: verify and compare. Their report forms are in `reporting/forms.py`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from .artifact.cli_options import InputFilesOption, InputSizeOption, QuietOption, parse_size
from .artifact.errors import UsageError
from .artifact.plain_text import say
from .cli_options import (
    ArtifactArgument,
    RunnersOption,
    TrustOption,
    refuse_unused_backend,
    takes_reports,
    takes_settings,
)
from .overwrite_check import refuse_unwritable
from .terminal import phases, print_left_out, print_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .artifact.folder import Artifact
    from .runners.settings import Settings
    from .verdict.file_values import RightValues
    from .verdict.report import Report

__all__ = ["compare", "verify"]

_AllOption = Annotated[bool, typer.Option("--all", help="Print every output, in the order of execution.")]
_BaselineOption = Annotated[
    Path | None, typer.Option("--baseline", metavar="F", help="Earlier --json report: fail only on what got worse.")
]
_StrictOption = Annotated[
    bool, typer.Option("--strict-baseline", help="Fail on what the baseline has and was not run now, too.")
]


@takes_settings(live_model=True)
@takes_reports()
def verify(
    artifact: ArtifactArgument,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="What an ONNX file that layerprobe didn't write is judged against: a PyTorch model as for export, "
            "another ONNX file, or an artifact.",
        ),
    ] = None,
    runner: RunnersOption = None,
    given: InputFilesOption = None,
    tensors: Annotated[
        list[Path] | None,
        typer.Option(
            "--tensors",
            metavar="F",
            help="A .safetensors file with outputs that another runtime, language or device computed, to be judged "
            "like a runner's. May be repeated.",
        ),
    ] = None,
    input_size: InputSizeOption = None,
    goal: Annotated[
        str | None,
        typer.Option(
            metavar="G",
            help="With --against: what the results have to reach, '30 dB' of signal to noise, or 'top1 0.99' of the "
            "images with the same first class.",
        ),
    ] = None,
    trust: TrustOption = False,
    allow_fallback: Annotated[
        bool,
        typer.Option(
            "--allow-fallback", help="Report compute nodes that ran on another provider than requested, but pass."
        ),
    ] = False,
    everything: _AllOption = False,
    *,
    reports: Mapping[str, Path],
    baseline: _BaselineOption = None,
    strict_baseline: _StrictOption = False,
    settings: "Settings",
    quiet: QuietOption = False,
) -> None:
    """Verify each output of each runner, and name what is wrong.

    The reference is the model computed in float64; the runner onnx-float64 is the ONNX file itself in float64. A file
    that layerprobe didn't write is judged --against its source, whose tensors are found in it by their values; without,
    each runner is judged by what the file means in float64. What ran elsewhere is judged by its --tensors.
    Exit code 0 if all pass, 1 if not.

    The runners torchscript, torch-export and eager run programs, which can do whatever you can: only by their names, or
    with --trust. In a .pt2 file pickles and compiled code are refused; still, it may call any function of PyTorch.

    Example: layerprobe verify resnet18 --html report.html

    Example: layerprobe verify resnet18 --tensors phone.safetensors

    Example: layerprobe verify theirs.onnx --against net.py:make --weights best.pt --input photo.jpg

    Example: layerprobe verify int8.onnx --against float.onnx --input photos --goal '30 dB'
    """
    from .artifact.manifest import AVERAGED_FILES, ONNX_FILE
    from .reporting.baseline import refuse_another_model
    from .reporting.forms import FORMS, write_forms
    from .runners.registry import UNTRUSTED
    from .verdict.drift_maps import DriftMaps
    from .verdict.goal import parse_goal
    from .verdict.verification import verify as verify_artifact

    wanted = parse_goal(goal) if goal is not None else None
    if wanted and not against:
        raise typer.BadParameter("--goal is for --against MODEL: without a source there is nothing to be near to")
    _refuse_places(reports, artifact, baseline, tensors or [])
    earlier = _earlier(baseline, strict_baseline)
    live_model = settings.model or settings.weights or settings.seed is not None
    if live_model and not against and "eager" not in (runner or ()) and not (trust and "all" in (runner or ())):
        raise typer.BadParameter("--model, --weights and --seed are for the live model: add --runner eager")
    refuse_unused_backend(settings, runner or ())
    size = parse_size(input_size, channels=True)
    with phases(quiet) as on_phase, _subject(artifact, against, given or [], size, settings, on_phase) as subject:
        opened, manifest = subject.artifact, subject.artifact.manifest
        if earlier:
            refuse_another_model(manifest.model, manifest.outputs, earlier)
        maps = DriftMaps(manifest.outputs) if any(FORMS[name].wants_maps for name in reports) else None
        report = verify_artifact(
            opened,
            runner or [],
            inputs=subject.inputs,
            tensors=tensors or [],
            settings=subject.settings,
            # What this command has just made of the user's own model is no stranger's.
            trust=trust or subject.made_here,
            allow_fallback=allow_fallback,
            maps=maps,
            right_values=subject.right_values,
            goal=wanted,
            on_phase=on_phase,
        )
    # The programs among them are in the first line.
    print_left_out({name: why for name, why in report.left_out.items() if why != UNTRUSTED}, quiet)
    maps_file = AVERAGED_FILES[ONNX_FILE]
    if not quiet and not opened.is_averaged and maps_file in manifest.files:
        say(f"The averaged probe is verified separately: layerprobe verify {opened.path / maps_file}", err=True)
    write_forms(report, reports, maps)
    _show(report, everything, earlier, strict=strict_baseline)


@takes_reports(of_runs=True)
def compare(
    expected: Annotated[Path, typer.Argument(metavar="A", help="A file of `layerprobe run`, assumed to be right.")],
    result: Annotated[Path, typer.Argument(metavar="B", help="Another run of the same model on the same input.")],
    everything: _AllOption = False,
    *,
    reports: Mapping[str, Path],
    baseline: _BaselineOption = None,
    strict_baseline: _StrictOption = False,
    quiet: QuietOption = False,
) -> None:
    """Compare two recorded runs, without the model.

    For example from two machines or two runners. Exit code 0 if all outputs agree, 1 if not.

    Example: layerprobe compare laptop.safetensors server.safetensors
    """
    from .reporting.baseline import refuse_another_model
    from .reporting.forms import write_forms
    from .runs.recorded_run import open_run
    from .verdict.comparing_runs import compare_runs

    _refuse_places(reports, expected, baseline, [result])
    earlier = _earlier(baseline, strict_baseline)
    with phases(quiet) as on_phase:
        on_phase("comparing the runs")
        report = compare_runs(open_run(expected), open_run(result))
    if earlier:
        refuse_another_model(str(report.environment.get("model", "")), report.outputs, earlier)
    write_forms(report, reports)
    _show(report, everything, earlier, strict=strict_baseline)


class _Subject(NamedTuple):
    """What is verified."""

    artifact: "Artifact"
    settings: "Settings"
    made_here: bool
    """Whether the artifact was made by this command, of a model that the user named."""
    inputs: Mapping[str, Mapping[str, "NDArray[Any]"]] = MappingProxyType({})
    """To run in place of the recorded ones."""
    right_values: "RightValues | None" = None


@contextmanager
def _subject(
    file: Path,
    against: str | None,
    given: Sequence[Path],
    size: tuple[int, ...],
    settings: "Settings",
    on_phase: Callable[[str], None],
) -> Iterator[_Subject]:
    """Yield what is verified: an artifact, an ONNX file by itself, or one against its source."""
    from .artifact.onnx_file import is_onnx
    from .model_source import is_artifact, opened_candidate, opened_source
    from .runs.input_files import read_inputs

    if against is None:
        with opened_source(str(file), given, on_phase, size=size) as opened:
            manifest = opened.manifest
            made_here = not is_artifact(str(file))
            # An artifact that was made here has the given inputs recorded.
            files = [] if made_here else given
            inputs = read_inputs(files, manifest.inputs, manifest.preprocessing, manifest.model)
            yield _Subject(opened, settings, made_here, inputs)
        return
    if not is_onnx(file):
        raise typer.BadParameter(f"--against is for an ONNX file, and {file} is none")
    options: dict[str, Any] = {"size": size, "weights": settings.weights, "seed": settings.seed or 0}
    with opened_candidate(file, against, given, on_phase, **options) as (opened, right_values):
        yield _Subject(opened, replace(settings, weights=None, seed=None), made_here=True, right_values=right_values)


def _refuse_places(
    reports: Mapping[str, Path], artifact: Path, baseline: Path | None, inputs: Sequence[Path] = ()
) -> None:
    """Refuse reports that would replace an input, a file of the user's or each other, before the work is done."""
    from .artifact.file_reading import real_path
    from .artifact.file_replacement import is_stream
    from .reporting.forms import FORMS

    for name, file in reports.items():
        # Only a new JSON report may replace the baseline that it is compared with.
        kept = [baseline] if baseline and name != "json" else []
        refuse_unwritable(file, FORMS[name].mark, artifact, [*inputs, *kept])
    files = [file for file in reports.values() if not is_stream(file)]
    for number, file in enumerate(files):
        if real_path(file) in set(map(real_path, files[:number])):
            raise UsageError(f"{file} was given twice: give each report its own file.")


def _earlier(baseline: Path | None, strict: bool) -> "Report | None":
    from .reporting.json_report import load_report

    if strict and not baseline:
        raise typer.BadParameter("--strict-baseline is for --baseline F, an earlier --json report")
    return load_report(baseline) if baseline else None


def _show(report: "Report", everything: bool, earlier: "Report | None", *, strict: bool) -> None:
    """Print the report, and exit with its code."""
    from .reporting.table import report_table

    print_table(report_table(report, everything=everything))
    failed = (
        any(runner.verdict.fails for runner in report.runners) if earlier is None else _worse(report, earlier, strict)
    )
    undefined = set(report.undefined) - set(earlier.undefined if earlier else ())
    if failed or undefined or (report.goal and not report.goal.passed):
        raise typer.Exit(1)
    known = earlier.unopened if earlier else {}
    codes = [why.exit_code for name, why in report.unopened.items() if name not in known]
    if codes:
        raise typer.Exit(max(codes))


def _worse(report: "Report", earlier: "Report", strict: bool) -> bool:
    """Print what is worse than in the baseline, and what was not compared; return whether that fails."""
    from .reporting.baseline import not_compared, worse_than

    worse, absent = worse_than(report, earlier), not_compared(report, earlier)
    for each in worse:
        say(f"worse than the baseline: {each}")
    for each in absent:
        say(f"not compared with the baseline: {each}")
    if not worse:
        say("Nothing is worse than in the baseline.")
    if absent and not strict:
        say("What was not compared fails with --strict-baseline only.")
    return bool(worse or (strict and absent))
