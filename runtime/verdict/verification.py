"""artifact -> report: each runner runs the recorded inputs, and is judged by the float64 truth.

This is the order of the steps; `judge.py` judges, `report.py` is the report. The first recorded input is judged
operation by operation. With the others a runner's tensors are compared with the truth; only where one fails is that
input judged operation by operation, too, since that takes ten times as long.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from numpy.typing import NDArray

from ..artifact.errors import ExecutionError, LayerprobeError, RunnerUnavailable, UsageError, first_line
from ..artifact.folder import Artifact, open_artifact
from ..artifact.manifest import ONNX_FILE
from ..float64.graph import Float64Graph
from ..runners.base import Runner
from ..runners.machine import describe_environment
from ..runners.peak_memory import hand_memory_back
from ..runners.registry import RUNNERS, choose_runners, none_left, open_or_leave_out, open_runner
from ..runners.settings import DEFAULT_SETTINGS, Settings
from .drift import FILE_RUNNER
from .drift_maps import DriftMaps
from .given_inputs import reference_of_file
from .headline import headline
from .judge import Judge, RunnerFacts, with_unprobed
from .report import InputReport, Report, RunnerReport, Unopened
from .unprobed import mended_by_probing, prevented_by_probing

__all__ = ["verify"]

_Arrays = Mapping[str, NDArray[Any]]


def verify(
    artifact: Artifact | str | Path,
    runners: Sequence[str] = (),
    *,
    inputs: Mapping[str, Mapping[str, NDArray[Any]]] = MappingProxyType({}),
    settings: Settings = DEFAULT_SETTINGS,
    allow_fallback: bool = False,
    maps: DriftMaps | None = None,
    on_phase: Callable[[str], None] = lambda phase: None,  # noqa: ARG005
) -> Report:
    """Run the recorded inputs in each runner, judge every output, and find where its error was introduced.

    A runner that can't be opened doesn't stop the others: it is listed in the report's `unopened`, or in `left_out` if
    it was not requested by name and the machine lacks something.

    Args:
        artifact: what `open_artifact` returned, or takes.
        runners: names, as in `RUNNERS`; `onnx-float64` for the ONNX file itself; or `all`. By default `onnx-float64`
            and those of `DEFAULT_RUNNERS` that work on this machine.
        inputs: by a name of your choice, what to run instead of the recorded inputs: arrays by the names of the model's
            inputs. The model's truth for them is not known, so the ONNX file in float64 stands for it.
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
    verification = _Verification(
        open_artifact(artifact), runners, left_out, inputs, settings, allow_fallback, maps, on_phase
    )
    for name in chosen:
        verification.judge_runner(name)
        # Before the next one is opened: otherwise the weights of both would be in memory at once.
        hand_memory_back()
    if not runners or not {"all", FILE_RUNNER}.isdisjoint(runners):
        # Last, though first in the report: what a runner computes of the file tells which inputs are worth a walk.
        verification.judge_file()
    return verification.report()


class _Verification:
    """One call of `verify`: what was requested, and the results so far."""

    def __init__(
        self,
        artifact: Artifact,
        requested: Sequence[str],
        left_out: dict[str, str],
        inputs: Mapping[str, _Arrays],
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
        manifest = artifact.manifest
        in_16_bits = not {"float16", "bfloat16"}.isdisjoint(manifest.dtypes)
        graph = Float64Graph(
            artifact.file(ONNX_FILE), manifest.output_names, rounds=not in_16_bits, averaged=artifact.is_averaged
        )
        on_phase("evaluating the ONNX file in float64")
        references = [reference_of_file(artifact, graph, *each) for each in inputs.items()] or artifact.references()
        self._judges = [Judge(artifact, graph, reference) for reference in references]
        self._truth_is_file = bool(inputs)
        self._to_walk: set[Judge] | None = None
        """The recorded inputs with which a runner of the ONNX file is off the truth; None if none has run."""
        # Before a runtime takes its memory.
        self._judges[0].evaluate_file()

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
            untried=self._untried(),
        )

    def _untried(self) -> dict[str, list[str]]:
        """Return, by output, what none of the recorded inputs exercises."""
        references = [judge.reference for judge in self._judges]
        found = {}
        for output in self._artifact.manifest.outputs:
            words = frozenset.intersection(*(each.untried.get(output.name, frozenset()) for each in references))
            zero = frozenset.intersection(*(each.zero_channels.get(output.name, frozenset()) for each in references))
            if zero:
                words |= {f"{len(zero)} of {output.shape[output.layout.index('C')]} channels are always 0"}
            if words:
                found[output.name] = sorted(words)
        return found

    def judge_file(self) -> None:
        """Judge the ONNX file itself: on the first recorded input, and on those with which a runner of it is off."""
        first, *others = self._judges
        if self._truth_is_file:
            self._leave_file_out("for an input that was not recorded it stands for the model")
            return
        report = None
        for judge in (first, *(each for each in others if self._to_walk is None or each in self._to_walk)):
            self._on_phase(f"evaluating the ONNX file in float64 on {judge.reference.name}")
            reason = judge.why_file_unknown
            if reason is not None and judge is first:
                self._leave_file_out(reason)
                return
            found = judge.report_of_file()
            report = found if report is None else report.joined(found)
        if report is not None:
            self._reports.insert(0, report)

    def _leave_file_out(self, reason: str) -> None:
        if FILE_RUNNER in self._requested:
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
        facts, first = self._facts_of(runner), self._judges[0]
        alike = [judge for judge in self._judges[1:] if judge.input_shapes == first.input_shapes]
        glances = {judge: _glance(judge, runner) for judge in alike}
        try:
            arrays = runner.run(first.reference.inputs)
        except ExecutionError as error:
            if "all" in self._requested and name not in self._requested:
                self._left_out[name] = first_line(error)
            else:
                self._reports.append(first.report_of_failure(facts, first_line(error)))
            return
        del runner
        hand_memory_back()
        self._on_phase(f"splitting the error of {name}")
        report = first.report_of(facts, arrays)
        if self._maps is not None:
            self._on_phase(f"drawing the drift of {name}")
            self._maps.add(name, first.graph, first.reference, arrays, first.wrong_in_file)
        results = self._results_of(arrays)
        del arrays
        hand_memory_back()
        # Another batch or size is tried with the results only, which is quick.
        unprobed = self._run_unprobed(name, [judge for judge in self._judges if judge not in alike])
        report = self._with_unprobed(report, results, *unprobed.pop(first))
        for judge, (alone, failure) in unprobed.items():
            glances[judge] = None if failure else judge.glance(alone)
        self._reports.append(self._judge_others(report, facts, glances, unprobed))

    def _judge_others(
        self,
        report: RunnerReport,
        facts: RunnerFacts,
        glances: Mapping[Judge, InputReport | None],
        unprobed: Mapping[Judge, "_Unprobed"],
    ) -> RunnerReport:
        """Return a runner's report on the first input, joined with those on the others, of which each had a glance."""
        suspects = {
            judge for judge, glance in glances.items() if glance is None or glance.verdict.fails or self._truth_is_file
        }
        if facts.reads_onnx:
            self._to_walk = (self._to_walk or set()) | suspects
        for judge, glance in glances.items():
            if judge not in suspects and glance:
                report = report.joined(glance)
            elif not report.verdict.fails:
                self._on_phase(f"splitting the error of {facts.name} on {judge.reference.name}")
                report = report.joined(self._judge_closely(judge, facts, *unprobed.get(judge, (None, None))))
                hand_memory_back()
        return report

    def _judge_closely(
        self, judge: Judge, facts: RunnerFacts, alone: _Arrays | None, error: str | None
    ) -> RunnerReport:
        """Judge a runner operation by operation on an input that isn't the first.

        Args:
            judge: of that input.
            facts: of the runner.
            alone: the unprobed model's results for it, if it was run.
            error: why it couldn't be run.
        """
        try:
            arrays = open_runner(self._artifact, facts.name, self._settings).run(judge.reference.inputs)
        except (ExecutionError, RunnerUnavailable) as failure:
            return judge.report_of_failure(facts, first_line(failure))
        report = judge.report_of(facts, arrays)
        if alone is None:
            return report
        return with_unprobed(report, judge.report_of_unprobed(self._results_of(arrays), alone, None, error))

    def _facts_of(self, runner: Runner) -> RunnerFacts:
        return RunnerFacts(
            name=runner.name,
            providers=runner.providers,
            misplaced=runner.misplaced,
            facts=runner.facts,
            reads_onnx=runner.file == ONNX_FILE,
            allow_fallback=self._allow_fallback,
        )

    def _results_of(self, arrays: _Arrays) -> dict[str, NDArray[Any]]:
        # Copied, or the memory of all outputs that a runtime returned together would be held.
        return {name: arrays[name].copy() for name in self._artifact.manifest.result_names if name in arrays}

    def _with_unprobed(self, report: RunnerReport, results: _Arrays, alone: _Arrays, error: str | None) -> RunnerReport:
        """Compare the results of the same model with its own results as its only outputs with the probe's."""
        name, judge = report.name, self._judges[0]
        prevented = prevented_by_probing(self._artifact, name, self._settings)
        unprobed = judge.report_of_unprobed(results, alone, prevented, error)
        mended = None
        if report.first_failing is None and error is None and not judge.results_pass(alone):
            self._on_phase(f"locating the error of {name} unprobed")
            mended = mended_by_probing(
                self._artifact.manifest.output_names,
                lambda outputs: judge.results_pass(self._run_unprobed(name, [judge], outputs)[judge][0]),
            )
        return with_unprobed(report, unprobed, mended)

    def _run_unprobed(
        self, name: str, judges: Sequence[Judge], watched: Sequence[str] = ()
    ) -> dict[Judge, "_Unprobed"]:
        """Return the model's own results on some recorded inputs, with only them and `watched` as outputs."""
        self._on_phase(f"running {name} unprobed")
        manifest = self._artifact.manifest
        wanted = [output for output in manifest.output_names if output in {*manifest.result_names, *watched}]
        found: dict[Judge, _Unprobed] = {}
        try:
            runner = open_runner(self._artifact, name, self._settings, wanted)
        except (ExecutionError, RunnerUnavailable) as error:  # it could open the probe, so this is its own fault
            return dict.fromkeys(judges, ({}, first_line(error)))
        for judge in judges:
            try:
                found[judge] = self._results_of(runner.run(judge.reference.inputs)), None
            except (ExecutionError, RunnerUnavailable) as error:
                found[judge] = {}, first_line(error)
        del runner
        hand_memory_back()
        return found


_Unprobed = tuple[_Arrays, str | None]
"""The unprobed model's results, and why it could not be run."""


def _glance(judge: Judge, runner: Runner) -> InputReport | None:
    """Compare what a runner returns for an input with the truth; None if it fails."""
    try:
        return judge.glance(runner.run(judge.reference.inputs))
    except ExecutionError:
        return None
