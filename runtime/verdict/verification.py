"""artifact -> report: each runner runs the recorded input, and is judged by the float64 truth.

This is the order of the steps; `judge.py` judges, `report.py` is the report.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ..artifact.errors import ExecutionError, LayerprobeError, RunnerUnavailable, UsageError, first_line
from ..artifact.folder import Artifact, open_artifact
from ..artifact.manifest import ONNX_FILE
from ..runners.base import Runner
from ..runners.machine import describe_environment
from ..runners.peak_memory import hand_memory_back
from ..runners.registry import RUNNERS, choose_runners, none_left, open_or_leave_out, open_runner
from ..runners.settings import DEFAULT_SETTINGS, Settings
from .drift import FILE_RUNNER
from .drift_maps import DriftMaps
from .headline import headline
from .judge import Judge, RunnerFacts, with_unprobed
from .report import Report, RunnerReport, Unopened
from .unprobed import mended_by_probing, prevented_by_probing

__all__ = ["verify"]


def verify(
    artifact: Artifact | str | Path,
    runners: Sequence[str] = (),
    *,
    settings: Settings = DEFAULT_SETTINGS,
    allow_fallback: bool = False,
    maps: DriftMaps | None = None,
    on_phase: Callable[[str], None] = lambda phase: None,  # noqa: ARG005
) -> Report:
    """Run the recorded input in each runner, judge every output, and find where its error was introduced.

    A runner that can't be opened doesn't stop the others: it is listed in the report's `unopened`, or in `left_out` if
    it was not requested by name and the machine lacks something.

    Args:
        artifact: what `open_artifact` returned, or takes.
        runners: names, as in `RUNNERS`; `onnx-float64` for the ONNX file itself; or `all`. By default `onnx-float64`
            and those of `DEFAULT_RUNNERS` that work on this machine.
        settings: how to run.
        allow_fallback: let a runner pass some of whose compute nodes ran elsewhere than requested.
        maps: collects the averaged maps of each runner, if given.
        on_phase: called with the name of each phase as it starts.

    Raises:
        UsageError: there is no runner of that name.
        RunnerUnavailable: no runner can work here.
        ArtifactError: a file that all runners need, or the only runner's, is missing, altered or invalid.
    """
    requested = [name for name in runners if name != FILE_RUNNER]
    for name in requested:
        if name not in (*RUNNERS, "all"):
            raise UsageError(f"There is no runner {name!r}. The runners: {', '.join((FILE_RUNNER, *RUNNERS))}, or all.")
    chosen, left_out = choose_runners(requested) if requested or not runners else ([], {})
    verification = _Verification(open_artifact(artifact), runners, left_out, settings, allow_fallback, maps, on_phase)
    if not runners or not {"all", FILE_RUNNER}.isdisjoint(runners):
        verification.judge_file()
    for name in chosen:
        verification.judge_runner(name)
        # Before the next one is opened: otherwise the weights of both would be in memory at once.
        hand_memory_back()
    return verification.report()


class _Verification:
    """One call of `verify`: what was requested, and the results so far."""

    def __init__(
        self,
        artifact: Artifact,
        requested: Sequence[str],
        left_out: dict[str, str],
        settings: Settings,
        allow_fallback: bool,
        maps: DriftMaps | None,
        on_phase: Callable[[str], None],
    ) -> None:
        self._artifact, self._requested, self._left_out = artifact, requested, left_out
        self._settings, self._allow_fallback = settings, allow_fallback
        self._maps, self._on_phase = maps, on_phase
        self._reports: list[RunnerReport] = []
        self._errors: dict[str, LayerprobeError] = {}
        on_phase("evaluating the ONNX file in float64")
        self._judge = Judge(artifact)

    def report(self) -> Report:
        """Return the report.

        Raises:
            LayerprobeError: no runner could be opened.
        """
        if not self._reports:
            raise next(iter(self._errors.values()), None) or none_left(self._left_out)
        unopened = {
            name: Unopened(reason=" ".join(str(error).split()), exit_code=error.exit_code)
            for name, error in self._errors.items()
        }
        outputs, results = self._artifact.manifest.outputs, self._artifact.manifest.result_names
        return Report(
            headline=headline(self._reports, outputs, results, unopened),
            environment=describe_environment(self._artifact),
            outputs=outputs,
            results=results,
            runners=self._reports,
            left_out=self._left_out,
            unopened=unopened,
        )

    def judge_file(self) -> None:
        """Judge the ONNX file itself."""
        reason = self._judge.why_file_unknown
        if reason is None:
            self._reports.append(self._judge.report_of_file())
        elif FILE_RUNNER in self._requested:
            self._errors[FILE_RUNNER] = RunnerUnavailable(f"{FILE_RUNNER} was requested, but {reason}.")
        else:
            self._left_out[FILE_RUNNER] = reason

    def judge_runner(self, name: str) -> None:
        """Judge a runner, and the same model in it without the probe's outputs."""
        self._on_phase(f"running {name}")
        try:
            runner = open_or_leave_out(self._artifact, name, self._requested, self._left_out, self._settings)
        except UsageError:
            raise
        except LayerprobeError as error:
            self._errors[name] = error
            return
        if runner is None:
            return
        facts = self._facts_of(runner)
        try:
            arrays = runner.run(self._judge.reference.inputs)
        except ExecutionError as error:
            if "all" in self._requested and name not in self._requested:
                self._left_out[name] = first_line(error)
            else:
                self._reports.append(self._judge.report_of_failure(facts, first_line(error)))
            return
        del runner
        hand_memory_back()
        self._on_phase(f"splitting the error of {name}")
        report = self._judge.report_of(facts, arrays)
        if self._maps is not None:
            self._on_phase(f"drawing the drift of {name}")
            self._maps.add(name, self._judge.graph, self._judge.reference, arrays)
        results = {result: arrays[result].copy() for result in self._artifact.manifest.result_names if result in arrays}
        del arrays
        hand_memory_back()
        self._reports.append(self._with_unprobed(report, results))

    def _facts_of(self, runner: Runner) -> RunnerFacts:
        return RunnerFacts(
            name=runner.name,
            providers=runner.providers,
            misplaced=runner.misplaced,
            facts=runner.facts,
            reads_onnx=runner.file == ONNX_FILE,
            allow_fallback=self._allow_fallback,
        )

    def _with_unprobed(self, report: RunnerReport, results: dict[str, NDArray[Any]]) -> RunnerReport:
        """Run the same model with its own results as its only outputs, and compare them with the probe's `results`."""
        name, judge = report.name, self._judge
        self._on_phase(f"running {name} unprobed")
        alone, error = self._run_unprobed(name)
        prevented = prevented_by_probing(self._artifact, name, self._settings)
        unprobed = judge.report_of_unprobed(results, alone, prevented, error)
        mended = None
        if report.first_failing is None and error is None and not judge.results_pass(alone):
            self._on_phase(f"locating the error of {name} unprobed")
            mended = mended_by_probing(
                self._artifact.manifest.output_names,
                lambda outputs: judge.results_pass(self._run_unprobed(name, outputs)[0]),
            )
        return with_unprobed(report, unprobed, mended)

    def _run_unprobed(self, name: str, watched: Sequence[str] = ()) -> tuple[dict[str, NDArray[Any]], str | None]:
        """Return the model's own results with only them and `watched` as outputs, or why that fails."""
        manifest = self._artifact.manifest
        results = manifest.result_names
        wanted = [output for output in manifest.output_names if output in {*results, *watched}]
        try:
            # Not bound to a name, so that the runner and its weights are freed once it has run.
            arrays = open_runner(self._artifact, name, self._settings, wanted).run(self._judge.reference.inputs)
        except (ExecutionError, RunnerUnavailable) as error:  # it could open the probe, so this is its own fault
            return {}, first_line(error)
        found = {result: arrays[result] for result in results if result in arrays}
        del arrays
        hand_memory_back()
        return found, None
