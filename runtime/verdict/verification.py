"""artifact -> report: each runner runs the recorded input, and is judged by the float64 truth.

This is the order of things. What a runner is judged by is `judge.py`, the report `reporting/report.py`.
"""

from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray

from ..artifact.errors import ExecutionError, RunnerUnavailable, UsageError, first_line
from ..artifact.folder import Artifact
from ..artifact.manifest import ONNX_FILE
from ..runners.choice import choose_runners, none_left, open_or_leave_out
from ..runners.machine import describe_environment
from ..runners.memory import hand_memory_back
from ..runners.registry import RUNNERS, open_runner
from ..runners.settings import DEFAULT_SETTINGS, Settings
from .blame import headline
from .drift_maps import DriftMaps
from .judge import Account, Judge, with_unprobed
from .output_verdict import FILE_RUNNER
from .report import Report, RunnerReport, facts_of
from .unprobed import mended_by_probing, prevented_by_probing

__all__ = ["verify"]


def verify(
    artifact: Artifact,
    runners: Sequence[str] = (),
    *,
    settings: Settings = DEFAULT_SETTINGS,
    allow_fallback: bool = False,
    maps: DriftMaps | None = None,
    on_phase: Callable[[str], None] = lambda phase: None,  # noqa: ARG005
) -> Report:
    """Run the recorded input in each runner, judge every output, and find what brought its error in.

    Args:
        artifact: what `open_artifact` gave.
        runners: names, as in `RUNNERS`; `onnx-float64` for what the ONNX file itself says; or `all`. By default
            `onnx-float64` and those of `DEFAULT_RUNNERS` that work on this machine.
        settings: how to run.
        allow_fallback: let a runner pass some of whose compute nodes ran elsewhere than asked.
        maps: collects the averaged maps of each runner, if they are wanted.
        on_phase: called with the name of each phase as it starts.

    Raises:
        UsageError: there is no runner of that name.
        RunnerUnavailable: a runner asked for by name can't work here, or none can.
        ArtifactError: a file of the artifact is missing, altered or invalid.
    """
    asked = [name for name in runners if name != FILE_RUNNER]
    for name in asked:
        if name not in (*RUNNERS, "all"):
            raise UsageError(f"There is no runner {name!r}. There are: {', '.join((FILE_RUNNER, *RUNNERS))}, and all.")
    chosen, left_out = choose_runners(asked) if asked or not runners else ([], {})
    on_phase("evaluating the ONNX file in float64")
    judge = Judge(artifact)
    file_wanted = not runners or not {"all", FILE_RUNNER}.isdisjoint(runners)
    reports = _of_file(judge, runners, left_out) if file_wanted else []
    for name in chosen:
        report = _of_runner(artifact, name, judge, settings, runners, left_out, allow_fallback, maps, on_phase)
        reports += [report] if report else []
        # Before the next one is opened: the weights of two would be in memory at once.
        hand_memory_back()
    if not reports:
        raise none_left(left_out)
    facts = [facts_of(output) for output in artifact.manifest.outputs]
    return Report(
        headline=headline(reports, facts),
        environment=describe_environment(artifact),
        outputs=facts,
        runners=reports,
        left_out=left_out,
    )


def _of_file(judge: Judge, asked: Sequence[str], left_out: dict[str, str]) -> list[RunnerReport]:
    reason = judge.why_file_unknown
    if reason is None:
        return [judge.report_of_file()]
    if FILE_RUNNER in asked:
        raise RunnerUnavailable(f"{FILE_RUNNER} was asked for, but {reason}.")
    left_out[FILE_RUNNER] = reason
    return []


def _of_runner(
    artifact: Artifact,
    name: str,
    judge: Judge,
    settings: Settings,
    asked: Sequence[str],
    left_out: dict[str, str],
    allow_fallback: bool,
    maps: DriftMaps | None,
    on_phase: Callable[[str], None],
) -> RunnerReport | None:
    on_phase(f"running {name}")
    runner = open_or_leave_out(artifact, name, asked, left_out, settings)
    if runner is None:
        return None
    account = Account(
        name=runner.name,
        providers=runner.providers,
        misplaced=runner.misplaced,
        facts=runner.facts,
        reads_onnx=runner.file == ONNX_FILE,
        allow_fallback=allow_fallback,
    )
    try:
        arrays = runner.run(judge.reference.inputs)
    except ExecutionError as error:
        if "all" not in asked or name in asked:
            return judge.report_of_failure(account, first_line(error))
        left_out[name] = first_line(error)
        return None
    del runner
    hand_memory_back()
    on_phase(f"splitting the error of {name}")
    report = judge.report_of(account, arrays)
    if maps is not None:
        on_phase(f"drawing the drift of {name}")
        maps.add(name, judge.graph, judge.reference, arrays)
    results = {result: arrays[result].copy() for result in artifact.manifest.result_names if result in arrays}
    del arrays
    hand_memory_back()
    return _with_unprobed(report, artifact, judge, settings, results, on_phase)


def _with_unprobed(
    report: RunnerReport,
    artifact: Artifact,
    judge: Judge,
    settings: Settings,
    results: dict[str, NDArray[Any]],
    on_phase: Callable[[str], None],
) -> RunnerReport:
    """Run the same model with its own results as its only outputs, and compare them with the probe's `results`."""
    name = report.name
    on_phase(f"running {name} unprobed")
    alone, error = _results(artifact, name, judge, settings)
    unprobed = judge.report_of_unprobed(results, alone, prevented_by_probing(artifact, name, settings), error)
    mended = None
    if report.first_drifting is None and error is None and not judge.results_pass(alone):
        on_phase(f"looking for what {name} computes wrongly unprobed")

        def is_right(outputs: Sequence[str]) -> bool:
            found, _ = _results(artifact, name, judge, settings, outputs)
            return judge.results_pass(found)

        mended = mended_by_probing(artifact.manifest.output_names, is_right)
    return with_unprobed(report, unprobed, mended)


def _results(
    artifact: Artifact, name: str, judge: Judge, settings: Settings, watched: Sequence[str] = ()
) -> tuple[dict[str, NDArray[Any]], str | None]:
    """Return the model's own results where only they are computed, and what is watched; or why that fails."""
    results = artifact.manifest.result_names
    wanted = [output for output in artifact.manifest.output_names if output in {*results, *watched}]
    try:
        # Not held by a name here, so that it is gone with its weights when it has run.
        arrays = open_runner(artifact, name, settings, wanted).run(judge.reference.inputs)
    except (ExecutionError, RunnerUnavailable) as error:  # it opened the probe, so this is its own fault
        return {}, first_line(error)
    found = {result: arrays[result] for result in results if result in arrays}
    del arrays
    hand_memory_back()
    return found, None
