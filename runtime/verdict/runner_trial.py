"""One runner on all recorded inputs: with the probe's outputs and without, at a glance and operation by operation.

Which runners there are, and the report on all of them, is `verification.py`; judging one input is `judge.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from numpy.typing import NDArray

from ..artifact.errors import ExecutionError, RunnerUnavailable, first_line
from ..artifact.folder import Artifact
from ..artifact.manifest import ONNX_FILE
from ..runners.base import Runner
from ..runners.peak_memory import hand_memory_back
from ..runners.registry import open_runner
from ..runners.settings import Settings
from .beside import Beside
from .drift_maps import DriftMaps
from .judge import Judge, RunnerFacts, with_unprobed
from .ort_fusions import Fusion
from .report import InputReport, RunnerReport
from .unprobed import mended_by_probing, prevented_by_probing

__all__ = ["RunnerTrial"]

_Arrays = Mapping[str, NDArray[Any]]
_Unprobed = tuple[_Arrays, str | None]
"""The unprobed model's results, and why it could not be run."""


_MANY_ELEMENTS = 2**27
"""Half a gigabyte of float32: the tensors of a larger batch or size would take too much memory beside the first's."""


class RunnerTrial:
    """One runner, and what it returns for the recorded inputs.

    Attributes:
        facts: what the runner reports about itself.
        suspects: the inputs other than the first for which it is off the truth.
    """

    def __init__(
        self,
        artifact: Artifact,
        judges: Sequence[Judge],
        runner: Runner,
        settings: Settings,
        *,
        maps: DriftMaps | None,
        allow_fallback: bool,
        all_closely: bool,
        beside: Beside,
        on_phase: Callable[[str], None],
        on_input: Callable[[RunnerReport], None] | None = None,
    ) -> None:
        """Take an open runner, which is closed as soon as it has run.

        Args:
            artifact: what it was opened on.
            judges: of each recorded input.
            runner: the runner.
            settings: how it was opened.
            maps: collects its averaged maps, if given: of the input that the report is on.
            allow_fallback: let it pass where some of its compute nodes ran elsewhere than requested.
            all_closely: whether every input is judged operation by operation, and not those alone that are off.
            beside: runs the unprobed model while this thread splits the error.
            on_phase: called with the name of each phase as it starts.
            on_input: called with the report on each input that was judged operation by operation; if it is given, each
                is, also after one has failed.
        """
        self._artifact, self._settings, self._maps = artifact, settings, maps
        self._first, *self._others = judges
        self._on_input = on_input
        self._all_closely = all_closely or on_input is not None
        self._beside, self._on_phase = beside, on_phase
        self._runner: Runner | None = runner
        self.suspects: set[Judge] = set()
        self.facts = RunnerFacts(
            name=runner.name,
            providers=runner.providers,
            misplaced=runner.misplaced,
            facts=runner.facts,
            reads_onnx=runner.file == ONNX_FILE,
            allow_fallback=allow_fallback,
        )

    def report(self) -> RunnerReport:
        """Run all inputs and judge the runner; to be called once.

        Raises:
            ExecutionError: it can't run the first input.
        """
        runner, name, first = self._runner, self.facts.name, self._first
        assert runner
        self._runner = None
        alike = [judge for judge in self._others if judge.input_shapes == first.input_shapes]
        quick = [judge for judge in self._others if judge in alike or judge.reference.elements <= _MANY_ELEMENTS]
        glances = {judge: _glance(judge, runner) for judge in quick}
        arrays = runner.run(first.reference.inputs)
        # Its weights, and then its tensors, would come on top of what the next step needs.
        del runner
        hand_memory_back()
        self._on_phase(f"splitting the error of {name}, and running it unprobed")
        # Another batch or size is tried unprobed as well, or where its tensors are too large only so.
        tried = [first, *(judge for judge in self._others if judge not in alike)]
        running = self._beside.start(partial(self._run_unprobed, tried))
        naming = self._beside.start(partial(prevented_by_probing, self._artifact, name, self._settings))
        report = first.report_of(self.facts, arrays)
        if self._on_input:
            self._on_input(report)
        self._draw(first, arrays)
        results = self._results_of(arrays)
        del arrays
        hand_memory_back()
        unprobed = running()
        report = self._with_unprobed(report, results, *unprobed.pop(first), naming())
        for judge, (alone, failure) in unprobed.items():
            of_results = judge.glance(alone)
            probed = glances.get(judge, of_results)
            glances[judge] = None if failure or probed is None or probed.verdict.fails else of_results
        return self._with_others(report, glances, unprobed)

    def report_of_failure(self, error: ExecutionError) -> RunnerReport:
        """Report that the runner can't run the first input."""
        return self._first.report_of_failure(self.facts, first_line(error))

    def _with_others(
        self,
        report: RunnerReport,
        glances: Mapping[Judge, InputReport | None],
        unprobed: Mapping[Judge, _Unprobed],
    ) -> RunnerReport:
        """Return the report on the first input, joined with those on the others, of which each had a glance."""
        for judge, glance in glances.items():
            if glance and not glance.verdict.fails and not self._all_closely:
                report = report.joined(glance)
                continue
            self.suspects.add(judge)
            if not report.verdict.fails or self._on_input:
                self._on_phase(f"splitting the error of {self.facts.name} on {judge.reference.name}")
                closely = self._judge_closely(judge, *unprobed.get(judge, (None, None)))
                if self._on_input:
                    self._on_input(closely)
                report = report.joined(closely)
                hand_memory_back()
        return report

    def _judge_closely(self, judge: Judge, alone: _Arrays | None, error: str | None) -> RunnerReport:
        """Judge the runner operation by operation on an input that isn't the first.

        Args:
            judge: of that input.
            alone: the unprobed model's results for it, if it was run.
            error: why it couldn't be run.
        """
        try:
            arrays = open_runner(self._artifact, self.facts.name, self._settings).run(judge.reference.inputs)
        except (ExecutionError, RunnerUnavailable) as failure:
            return judge.report_of_failure(self.facts, first_line(failure))
        report = judge.report_of(self.facts, arrays)
        if report.verdict.fails:  # then it is shown instead of the report on the first input
            self._draw(judge, arrays)
        if alone is None:
            return report
        return with_unprobed(report, judge.report_of_unprobed(self._results_of(arrays), alone, None, error))

    def _draw(self, judge: Judge, arrays: _Arrays) -> None:
        if self._maps is not None:
            self._on_phase(f"drawing the drift of {self.facts.name}")
            self._maps.add(self.facts.name, judge.graph, judge.reference, arrays, judge.wrong_in_file)

    def _results_of(self, arrays: _Arrays) -> dict[str, NDArray[Any]]:
        # Copied, or the memory of all outputs that a runtime returned together would be held.
        return {name: arrays[name].copy() for name in self._artifact.manifest.result_names if name in arrays}

    def _with_unprobed(
        self,
        report: RunnerReport,
        results: _Arrays,
        alone: _Arrays,
        error: str | None,
        prevented: list[Fusion] | str | None,
    ) -> RunnerReport:
        """Compare the results of the same model with its own results as its only outputs with the probe's."""
        name, judge = report.name, self._first
        unprobed = judge.report_of_unprobed(results, alone, prevented, error)
        mended = None
        if report.first_failing is None and error is None and not judge.results_pass(alone):
            self._on_phase(f"locating the error of {name} unprobed")
            mended = mended_by_probing(
                self._artifact.manifest.output_names,
                lambda outputs: judge.results_pass(self._run_unprobed([judge], outputs)[judge][0]),
            )
        return with_unprobed(report, unprobed, mended)

    def _run_unprobed(self, judges: Sequence[Judge], watched: Sequence[str] = ()) -> dict[Judge, _Unprobed]:
        """Return the model's own results on some recorded inputs, with only them and `watched` as outputs."""
        name, manifest = self.facts.name, self._artifact.manifest
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


def _glance(judge: Judge, runner: Runner) -> InputReport | None:
    """Compare what a runner returns for an input with the truth; None if it fails."""
    try:
        return judge.glance(runner.run(judge.reference.inputs))
    except ExecutionError:
        return None
