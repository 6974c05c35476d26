"""artifact -> report: each runner runs the recorded inputs, and is judged by the float64 truth.

This is the order of the steps; `runner_trial.py` runs, `judge.py` judges, `report.py` is the report. The first
recorded input is judged operation by operation. With the others a runner's tensors are compared with the truth; only
where one fails is that input judged operation by operation, too, since that takes ten times as long.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import ExecutionError, LayerprobeError, RunnerUnavailable, UsageError, first_line
from ..artifact.folder import Artifact, open_artifact
from ..artifact.manifest import ONNX_FILE
from ..float64.graph import Float64Graph
from ..runners.machine import describe_environment
from ..runners.peak_memory import hand_memory_back
from ..runners.registry import RUNNERS, UNTRUSTED, choose_runners, none_left, open_or_leave_out
from ..runners.settings import DEFAULT_SETTINGS, Settings
from ..runs.tensor_file import TensorFile
from .beside import Beside
from .drift import FILE_RUNNER
from .drift_maps import DriftMaps
from .file_values import RightValues
from .given_inputs import reference_of_file
from .goal import Goal, judge_goal
from .headline import headline
from .judge import Judge
from .report import GoalReport, Report, RunnerReport, Unopened
from .runner_trial import RunnerTrial
from .tensor_trial import judge_tensors

__all__ = ["verify"]

_Arrays = Mapping[str, NDArray[Any]]


def verify(
    artifact: Artifact | str | Path,
    runners: Sequence[str] = (),
    *,
    inputs: Mapping[str, Mapping[str, NDArray[Any]]] = MappingProxyType({}),
    settings: Settings = DEFAULT_SETTINGS,
    tensors: Sequence[str | Path] = (),
    trust: bool = False,
    allow_fallback: bool = False,
    maps: DriftMaps | None = None,
    right_values: RightValues | None = None,
    goal: Goal | None = None,
    on_phase: Callable[[str], None] = lambda phase: None,  # noqa: ARG005
    on_input: Callable[[RunnerReport], None] | None = None,
) -> Report:
    """Run the recorded inputs in each runner, judge every output, and find where its error was introduced.

    A runner that can't be opened doesn't stop the others: it is listed in the report's `unopened`, or in `left_out` if
    it was not requested by name and the machine lacks something. TorchScript, torch.export's file and the live model
    are programs, which can do whatever you can: not requested by name, they are left out unless `trust` is set.

    Args:
        artifact: what `open_artifact` returned, or takes.
        runners: names, as in `RUNNERS`; `onnx-float64` for the ONNX file itself; or `all`. By default `onnx-float64`
            and those of `DEFAULT_RUNNERS` that work on this machine and that `trust` allows; with `tensors`,
            `onnx-float64` alone.
        inputs: by a name of your choice, what to run instead of the recorded inputs: arrays by the names of the model's
            inputs. The model's truth for them is not known, so the ONNX file in float64 stands for it.
        settings: how to run.
        tensors: safetensors files with what ran elsewhere: each is judged like a runner, under the file's name.
        trust: also run the artifact's programs where they are not requested by name: for an artifact of your own.
        allow_fallback: let a runner pass some of whose compute nodes ran elsewhere than requested.
        maps: collects the averaged maps of each runner, if given.
        right_values: of the model that a candidate was made of. With it every fault of the file is found, and not only
            the first on each way.
        goal: what the results have to reach, with `right_values`.
        on_phase: called with the name of each phase as it starts.
        on_input: called with the report on each runner and input that were judged operation by operation; if it is
            given, each is, also after one has failed.

    Raises:
        UsageError: there is no runner of that name, or nothing of which a goal speaks.
        RunnerUnavailable: no runner can work here.
        InputError: a file of tensors can't be read, has none of the outputs, or is of another input.
        ArtifactError: a file that all runners need, or the only runner's, is missing, altered or invalid.
    """
    requested = [name for name in runners if name != FILE_RUNNER]
    for name in requested:
        if name not in (*RUNNERS, "all"):
            raise UsageError(f"There is no runner {name!r}. The runners: {', '.join((FILE_RUNNER, *RUNNERS))}, or all.")
    by_default = not runners and not tensors
    chosen, left_out = choose_runners(requested) if requested or by_default else ([], {})
    verification = _Verification(
        open_artifact(artifact),
        runners,
        left_out,
        inputs,
        settings,
        maps,
        right_values,
        goal,
        on_phase,
        on_input,
        trust=trust,
        allow_fallback=allow_fallback,
    )
    try:
        verification.judge_tensors([Path(file) for file in tensors])
        for name in chosen:
            verification.judge_runner(name)
            # Before the next one is opened: otherwise the weights of both would be in memory at once.
            hand_memory_back()
        if verification.reports_file:
            # Last, though first in the report: what a runner computes of the file tells which inputs are worth a walk.
            verification.judge_file()
        return verification.report()
    finally:
        verification.beside.close()


class _Verification:
    """One call of `verify`: what was requested, and the results so far."""

    def __init__(
        self,
        artifact: Artifact,
        requested: Sequence[str],
        left_out: dict[str, str],
        inputs: Mapping[str, _Arrays],
        settings: Settings,
        maps: DriftMaps | None,
        right_values: RightValues | None,
        goal: Goal | None,
        on_phase: Callable[[str], None],
        on_input: Callable[[RunnerReport], None] | None,
        *,
        trust: bool,
        allow_fallback: bool,
    ) -> None:
        self._artifact, self._requested, self._left_out = artifact, requested, left_out
        # The file is evaluated, and errors are split, beside what the runtimes do.
        self._settings = replace(settings, spins=False)
        self._trust, self._allow_fallback = trust, allow_fallback
        self._maps, self._on_phase, self._on_input = maps, on_phase, on_input
        self._right_values, self._goal = right_values, goal
        self._reports: list[RunnerReport] = []
        self._errors: dict[str, LayerprobeError] = {}
        manifest = artifact.manifest
        in_16_bits = not {"float16", "bfloat16"}.isdisjoint(manifest.dtypes)
        file = artifact.file(ONNX_FILE)
        graph = Float64Graph(
            file,
            manifest.output_names,
            rounds=not in_16_bits,
            averaged=artifact.is_averaged,
            real_values=manifest.candidate is not None,
        )
        on_phase("evaluating the ONNX file in float64")
        references = [reference_of_file(artifact, graph, *each) for each in inputs.items()] or artifact.references()
        # What a file in fewer bits means is what its runners are judged by, so none of them shows that it is wrong.
        in_fewer_bits = manifest.candidate is not None and manifest.candidate.precision != "float32"
        self.reports_file = not requested or in_fewer_bits or not {"all", FILE_RUNNER}.isdisjoint(requested)
        self._judges = [
            Judge(
                artifact,
                graph,
                each,
                right_values=right_values,
                reports_file=self.reports_file,
            )
            for each in references
        ]
        self._truth_is_file = bool(inputs)
        self._is_the_model = manifest.capture == "onnx" and manifest.candidate is None
        self._to_walk: set[Judge] | None = None
        """The recorded inputs with which a runner of the ONNX file is off the truth; None if none has run."""
        weights = sum(part.stat().st_size for part in (file, Path(f"{file}.data")) if part.is_file())
        self.beside = Beside(weights + references[0].elements * np.dtype(np.float32).itemsize)
        # While the first runner is opened and runs, or before it takes its memory.
        self._judges[0].evaluate_file(self.beside)

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
        goal, programs = self._judge_goal(), [name for name, why in self._left_out.items() if why == UNTRUSTED]
        undefined = self._undefined(results)
        return Report(
            headline=headline(
                self._reports,
                outputs,
                unopened,
                self._artifact.manifest.candidate,
                goal,
                programs,
                undefined,
                [name for name in self._holding_nan(results) if name not in undefined],
            ),
            environment=describe_environment(self._artifact),
            outputs=outputs,
            results=results,
            runners=self._reports,
            left_out=self._left_out,
            unopened=unopened,
            untried=self._untried(),
            undefined=undefined,
            goal=goal,
            candidate=self._artifact.manifest.candidate,
        )

    def _judge_goal(self) -> GoalReport | None:
        if self._goal is None or self._right_values is None:
            return None
        self._on_phase("computing the results from end to end")
        manifest = self._artifact.manifest
        results = [output for output in manifest.outputs if output.name in manifest.result_names]
        references, graph = [judge.reference for judge in self._judges], self._judges[0].graph
        return judge_goal(self._goal, graph, references, results, self._right_values.of, self._reports)

    def _undefined(self, results: Sequence[str]) -> list[str]:
        """Return the results that have no finite value for any of the inputs."""
        samples = {name: self._samples(name) for name in results}
        return [name for name, of in samples.items() if all(each.size and not np.isfinite(each).any() for each in of)]

    def _holding_nan(self, results: Sequence[str]) -> list[str]:
        """Return the results that are NaN somewhere for each of the inputs."""
        return [name for name in results if all(np.isnan(each).any() for each in self._samples(name))]

    def _samples(self, name: str) -> list[NDArray[np.float64]]:
        return [judge.reference.truths[name].sample for judge in self._judges]

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
        if self._is_the_model and FILE_RUNNER not in self._requested:
            self._leave_file_out("the model is an ONNX file, which the other runners are judged by")
            return
        report = None
        every = self._to_walk is None or self._on_input is not None
        for judge in (first, *(each for each in others if every or each in (self._to_walk or ()))):
            self._on_phase(f"evaluating the ONNX file in float64 on {judge.reference.name}")
            reason = judge.why_file_unknown
            if reason is not None and judge is first:
                self._leave_file_out(reason)
                return
            found = judge.report_of_file()
            if self._on_input:
                self._on_input(found)
            report = found if report is None else report.joined(found)
        if report is not None:
            self._reports.insert(0, report)

    def _leave_file_out(self, reason: str) -> None:
        if FILE_RUNNER in self._requested:
            self._errors[FILE_RUNNER] = RunnerUnavailable(f"{FILE_RUNNER} was requested, but {reason}.")
        else:
            self._left_out[FILE_RUNNER] = reason

    def judge_tensors(self, files: Sequence[Path]) -> None:
        """Judge files of tensors, each as a runner."""
        for file in files:
            self._on_phase(f"judging {file.name}")
            alone = sum(each.name == file.name for each in files) == 1
            name = file.name if alone else str(file)
            report, judge = judge_tensors(TensorFile(file), name, self._artifact.manifest, self._judges, self._maps)
            self._reports.append(report)
            # An error that the file shares shows with that input.
            self._to_walk = (self._to_walk or set()) | ({judge} if report.verdict.fails else set())

    def judge_runner(self, name: str) -> None:
        """Judge a runner, and the same model in it without the probe's outputs."""
        self._on_phase(f"running {name}")
        try:
            runner = open_or_leave_out(
                self._artifact, name, self._requested, self._left_out, self._settings, trust=self._trust
            )
        except UsageError:
            raise
        except LayerprobeError as error:
            self._errors[name] = error
            return
        if runner is None:
            return
        trial = RunnerTrial(
            self._artifact,
            self._judges,
            runner,
            self._settings,
            maps=self._maps,
            allow_fallback=self._allow_fallback,
            all_closely=self._truth_is_file,
            beside=self.beside,
            on_phase=self._on_phase,
            on_input=self._on_input,
        )
        del runner
        try:
            self._reports.append(trial.report())
        except ExecutionError as error:
            if "all" in self._requested and name not in self._requested:
                self._left_out[name] = first_line(error)
            else:
                self._reports.append(trial.report_of_failure(error))
        if trial.facts.reads_onnx:
            self._to_walk = (self._to_walk or set()) | trial.suspects
