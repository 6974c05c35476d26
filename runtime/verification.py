"""artifact -> report: each runner's outputs against the float64 truth, and where their errors come from.

How one output is judged is `comparison.py`, how its error is split `error_origin.py`, who is to blame `blame.py`; the
report is `report.py`.
"""

import contextlib
import ctypes
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from .artifact import Artifact
from .blame import find_culprit, headline
from .comparison import OutputComparison, Verdict, compare_output, drift_unit
from .environment import describe_environment
from .error_origin import FileValues, evaluate_file, shares_of_error
from .errors import RunnerUnavailable, first_line
from .float64_graph import Float64Graph
from .manifest import ONNX_FILE
from .reference import Reference
from .report import Report, RunnerReport, UnprobedReport, facts_of
from .runners import RUNNERS, Runner, open_runner, why_unavailable
from .settings import Settings

__all__ = ["FILE_RUNNER", "choose_runners", "none_left", "open_or_leave_out", "verify"]

FILE_RUNNER = "onnx-float64"
"""Not a runtime: what the ONNX file itself says, evaluated in float64. It tells a fault of the export from the rest."""


def choose_runners(names: Sequence[str] = ()) -> tuple[list[str], dict[str, str]]:
    """Return the runners to use, in the order of `RUNNERS`, and those left out, each with the reason.

    Args:
        names: runners asked for by name, each of which is then used or an error; `all`, or none, means those that
            work on this machine.

    Raises:
        UsageError: there is no runner of that name.
    """
    for name in names:
        if name != "all":
            why_unavailable(name)
    if names and "all" not in names:
        # In one order: ONNX Runtime after PyTorch peaks 300 MB higher on a ResNet-152, as PyTorch keeps what it freed.
        return [name for name in RUNNERS if name in names], {}
    reasons = {name: why_unavailable(name) for name in RUNNERS}
    return [name for name, why in reasons.items() if why is None], {name: why for name, why in reasons.items() if why}


def open_or_leave_out(
    artifact: Artifact, name: str, settings: Settings, asked: Sequence[str], left_out: dict[str, str]
) -> Runner | None:
    """Return the runner, opened; or None where it can't run this very model, after noting the reason in `left_out`.

    Raises:
        RunnerUnavailable: it can't, and was asked for by name.
    """
    try:
        return open_runner(artifact, name, settings)
    except RunnerUnavailable as error:
        if name in asked:
            raise
        left_out[name] = first_line(error)
        return None


def none_left(left_out: dict[str, str]) -> RunnerUnavailable:
    """Return the error that tells why no runner at all can run the model."""
    return RunnerUnavailable("No runner can run this: " + "; ".join(left_out.values()))


def verify(
    artifact: Artifact,
    runners: Sequence[str] = (),
    *,
    settings: Settings = Settings(),  # noqa: B008 - frozen
    allow_fallback: bool = False,
    maps: DriftMaps | None = None,
    on_phase: Callable[[str], None] = lambda phase: None,  # noqa: ARG005
) -> Report:
    """Run the recorded input in each runner, judge every output, and find what brought its error in.

    Args:
        artifact: what `open_artifact` gave.
        runners: names, as in `RUNNERS`, or `onnx-float64`; by default those that work on this machine.
        settings: what may be set of the runtimes.
        allow_fallback: let compute nodes on another provider than asked pass; they are told all the same.
        maps: collects the averaged maps of each runner, if they are wanted.
        on_phase: called with the name of each phase as it starts.

    Raises:
        UsageError: there is no runner of that name.
        RunnerUnavailable: a runner asked for by name can't work here, or none can.
        ArtifactError: a file of the artifact is missing, altered or invalid.
    """
    asked = [name for name in runners if name != FILE_RUNNER]
    chosen, left_out = choose_runners(asked) if asked or not runners else ([], {})
    on_phase("evaluating the ONNX file in float64")
    judge = _Judge(artifact)
    reports = []
    if not runners or {"all", FILE_RUNNER}.intersection(runners):
        if judge.why_file_unknown is None:
            reports.append(judge.report_of_file())
        elif FILE_RUNNER in runners:
            raise RunnerUnavailable(f"{FILE_RUNNER} was asked for, but {judge.why_file_unknown}.")
        else:
            left_out[FILE_RUNNER] = judge.why_file_unknown
    for name in chosen:
        on_phase(f"running {name}")
        runner = open_or_leave_out(artifact, name, settings, runners, left_out)
        if runner is None:
            continue
        arrays = runner.run(judge.reference.inputs)
        account = _Account(runner.name, runner.providers, runner.facts, [] if allow_fallback else runner.misplaced)
        # Before anything else is opened: the weights of two would be in memory at once.
        del runner
        _hand_memory_back()
        on_phase(f"splitting the error of {name}")
        reports.append(judge.report_of(account, arrays))
        if maps is not None:
            maps.add(name, judge.graph, judge.reference, arrays)
        del arrays
        _hand_memory_back()
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
