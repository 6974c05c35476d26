"""Judges all runners of an artifact by the float64 truth and by the ONNX file evaluated in float64."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.folder import Artifact
from ..artifact.reference import Reference
from ..float64.graph import Float64Graph
from ..runners.machine import Facts
from .beside import Beside
from .blame import find_culprit
from .drift import (
    FILE_PASSING_DRIFT,
    FILE_RUNNER,
    PASSING_ERROR,
    OutputComparison,
    compare_output,
    drift_unit,
    largest_error,
    passing_verdict,
)
from .error_shares import ErrorShare, accumulated_losses, shares_of_error
from .file_values import FileValues, RightValues, evaluate_file
from .low_precision import evaluate_low_precision
from .missing_tensors import PartialRun
from .node_differences import node_differences
from .ort_fusions import Fusion
from .report import Culprit, InputReport, RunnerReport, UnprobedReport
from .verdict_kinds import Verdict

__all__ = ["Judge", "RunnerFacts", "with_unprobed"]


@dataclass(frozen=True)
class RunnerFacts:
    """What a runner reports about itself."""

    name: str
    providers: Sequence[str]
    misplaced: Sequence[str] = ()
    facts: Facts = field(default_factory=dict)
    allow_fallback: bool = False
    """Whether it passes where some compute nodes ran elsewhere than requested."""
    reads_onnx: bool = True
    """Whether it executes model.onnx, so that a fault of that file is also its own."""


class Judge:
    """Judges the runners of one artifact on one recorded input, one after the other.

    Attributes:
        reference: the recorded input and the truth.
        graph: the ONNX file, to be evaluated in float64.
    """

    def __init__(
        self,
        artifact: Artifact,
        graph: Float64Graph,
        reference: Reference,
        *,
        right_values: RightValues | None = None,
        reports_file: bool = True,
    ) -> None:
        """Take an artifact, its ONNX file and one of its recorded inputs.

        Args:
            artifact: the artifact.
            graph: its ONNX file.
            reference: one of its recorded inputs.
            right_values: of the model that a candidate was made of.
            reports_file: whether the file is reported on, too.
        """
        self.reference, self.graph = reference, graph
        self._right_values, self._reports_file = right_values, reports_file
        self._differences = partial(node_differences, artifact)
        manifest = artifact.manifest
        self._precision = manifest.candidate.precision if manifest.candidate else "float32"
        self._dtypes = {output.name: output.dtype for output in manifest.outputs}
        self._results = manifest.result_names
        self._losses: dict[str, NDArray[np.float64]] = {}
        self._evaluated = self._evaluate_file

    @cached_property
    def _file(self) -> FileValues:
        return self._evaluated()

    def evaluate_file(self, beside: Beside) -> None:
        """Evaluate the ONNX file not when it is first needed: beside the first runner, or else before it."""
        self._evaluated = beside.start(self._evaluate_file)
        if not beside.has_thread:
            _ = self._file

    def _differences_at(self, output: str) -> list[str]:
        """Return what is wrong with the file at an output, each as the end of a sentence."""
        # Of fewer bits, every constant differs.
        return self._file.words.get(output, []) if self._in_fewer_bits else self._differences(output)

    def _evaluate_file(self) -> FileValues:
        right, name = self._right_values, self.reference.name
        if right is not None and self._in_fewer_bits:
            return evaluate_low_precision(self.graph, self.reference, self._dtypes, right)
        one_by_one = right.one_by_one(name) if right else None
        return evaluate_file(self.graph, self.reference, self._dtypes, one_by_one, measured=self._reports_file)

    @property
    def _in_fewer_bits(self) -> bool:
        return self._precision != "float32"

    @property
    def input_shapes(self) -> list[tuple[int, ...]]:
        """The shapes of the recorded input."""
        return [array.shape for array in self.reference.inputs.values()]

    @property
    def wrong_in_file(self) -> set[str]:
        """The outputs at which the ONNX file differs from the model."""
        return {each.name for each in self._file.comparisons if each.failed}

    @property
    def why_file_unknown(self) -> str | None:
        """Why the file can't be judged: it can't be evaluated as a whole, and what could be has no fault."""
        if self._file.faults:
            return None
        return next((f"{name} can't be evaluated: {why}" for name, why in self._file.unknown.items()), None)

    def report_of_file(self) -> RunnerReport:
        """Report on the ONNX file itself: all of its error is introduced at its faults."""
        shares = {}
        for found in self._file.comparisons:
            drift = math.inf if found.drift is None else found.drift
            shares[found.name] = ErrorShare(drift, 0.0) if found.name in self._file.faults else ErrorShare(0.0, drift)
        outputs = _settled(self._file.comparisons, shares, self._results, FILE_PASSING_DRIFT)
        report = self._report(RunnerFacts(FILE_RUNNER, ["NumPy"]), outputs, shares, FILE_PASSING_DRIFT)
        # Computed from right values, the results of a candidate tell nothing of what comes before them.
        felt = {"result": None} if self._right_values is not None else {}
        return report.model_copy(update={"other_kinds": self._file.other_kinds, **felt})

    def report_of(
        self, runner: RunnerFacts, arrays: Mapping[str, NDArray[Any]], part: PartialRun | None = None
    ) -> RunnerReport:
        """Report on a runner that returned `arrays` for the recorded input; `part` as of `shares_of_error`."""
        outputs, shares, losses = [], {}, {}
        for split in shares_of_error(
            self.graph, self.reference, self._file, arrays, self._dtypes, part, low_precision=self._in_fewer_bits
        ):
            name = split.comparison.name
            outputs.append(split.comparison)
            if split.share is not None:
                shares[name] = split.share
            if split.loss is not None and name in self._results:
                losses[name] = split.loss
        # The unprobed model's results may lose as much.
        self._losses = losses
        settled = _settled(outputs, shares, self._results, PASSING_ERROR)
        if any(each.failed for each in settled) and not _at_fault(outputs, shares, PASSING_ERROR):
            # Results drift, by no operation's fault: perhaps as far as right operations may together.
            for name, moved in accumulated_losses(self.graph, self.reference, self._results).items():
                losses[name] = np.maximum(losses.get(name, np.zeros(())), moved)
            again = {each.name: each for each in self._compare(arrays, self._results, part.samples if part else {})}
            outputs = [again.get(each.name, each) for each in outputs]
            settled = _settled(outputs, shares, self._results, PASSING_ERROR)
        return self._report(runner, settled, shares, absent=part.absent_before if part else {})

    def report_of_failure(self, runner: RunnerFacts, error: str) -> RunnerReport:
        """Report on a runner that failed to run the model: every output is missing."""
        outputs = self._compare({}, self._dtypes)
        # The first operation that float64 can't compute either is the cause.
        first = next(iter(self._file.unknown), None) if runner.reads_onnx else None
        culprit = first and Culprit(output=first, cause="export", introduced=None)
        return self._report(runner, outputs, {}).model_copy(update={"culprit": culprit, "error": error})

    def results_pass(self, arrays: Mapping[str, NDArray[Any]]) -> bool:
        """Return whether the model's own results pass."""
        return not any(output.failed for output in self._compare(arrays, self._results))

    def glance(self, arrays: Mapping[str, NDArray[Any]]) -> InputReport:
        """Compare what a runner returned with the truth, without asking where its error comes from.

        It takes no walk in float64. What passes is right; what fails need not be wrong (`report_of` tells).

        Args:
            arrays: all outputs of the probe, or the model's results only.
        """
        return self.summary(self._compare(arrays, [name for name in self._dtypes if name in arrays] or self._results))

    def summary(self, outputs: Sequence[OutputComparison]) -> InputReport:
        """Return the report on the recorded input for these comparisons."""
        failed = [output for output in outputs if output.failed]
        worst = max(failed or outputs, key=_size_of_drift, default=None)
        found = InputReport(name=self.reference.name, shapes=self.input_shapes)
        if worst is None:
            return found
        verdict = worst.verdict if failed else Verdict.PASS
        return found.model_copy(update={"verdict": verdict, "drift": worst.drift, "output": worst.name})

    def report_of_unprobed(
        self,
        probed: Mapping[str, NDArray[Any]],
        arrays: Mapping[str, NDArray[Any]],
        prevented: list[Fusion] | str | None,
        error: str | None = None,
    ) -> UnprobedReport:
        """Judge the same model with its own results as its only outputs.

        Args:
            probed: the probe's results.
            arrays: the unprobed model's.
            prevented: the fusions that probing prevents, or why they can't be named; None where the runtime doesn't
                report them.
            error: why the unprobed model could not be run, if it couldn't.
        """
        differences = [
            largest_error(arrays[name], probed[name]) / drift_unit(self.reference.truths[name], dtype)
            for name, dtype in self._dtypes.items()
            if name in probed and name in arrays and arrays[name].shape == probed[name].shape
        ]
        return UnprobedReport(
            outputs=self._compare(arrays, self._results),
            difference=max(differences, default=None),
            prevented=None if isinstance(prevented, str) else prevented,
            prevented_unknown=prevented if isinstance(prevented, str) else None,
            error=error,
        )

    def _compare(
        self,
        arrays: Mapping[str, NDArray[Any]],
        names: Collection[str],
        samples: Mapping[str, NDArray[Any]] = MappingProxyType({}),
    ) -> list[OutputComparison]:
        truths = self.reference.truths
        return [
            compare_output(
                name,
                truths[name].of_sample() if name in samples else truths[name],
                arrays.get(name, samples.get(name)),
                self._dtypes[name],
                loss=self._losses.get(name),
                low_precision=self._in_fewer_bits,
            )
            for name in names
        ]

    def _report(
        self,
        runner: RunnerFacts,
        outputs: list[OutputComparison],
        shares: Mapping[str, ErrorShare],
        passing_error: float = PASSING_ERROR,
        absent: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> RunnerReport:
        failed = [output for output in outputs if output.failed]
        # A fault of the file at what isn't there shows at the next output that is.
        passed_over = [name for name, before in absent.items() if not self._file.faults.keys().isdisjoint(before)]
        faults = {**dict.fromkeys(passed_over, math.inf), **self._file.faults}
        misplaced = runner.misplaced and not runner.allow_fallback
        verdict = failed[0].verdict if failed else Verdict.PLACEMENT if misplaced else passing_verdict(outputs)
        shown = [_with_share(output, shares.get(output.name)) for output in outputs]
        results = [output for output in shown if output.name in self._results]
        return RunnerReport(
            name=runner.name,
            verdict=verdict,
            first_failing=failed[0].name if failed else None,
            culprit=find_culprit(
                outputs,
                shares,
                faults if runner.reads_onnx else None,
                {**self.graph.unexported_operations, **absent},
                passing_error,
                self._differences_at,
            ),
            providers=list(runner.providers),
            misplaced=list(runner.misplaced),
            facts=dict(runner.facts),
            outputs=shown,
            result=max(results, key=_size_of_drift, default=None),
            recorded_input=self.reference.name,
            inputs=[self.summary(outputs)],
        )


def _size_of_drift(output: OutputComparison) -> float:
    return math.inf if output.drift is None else output.drift


def with_unprobed(report: RunnerReport, unprobed: UnprobedReport, mended: str | None = None) -> RunnerReport:
    """Return a runner's report with that of the unprobed model, which counts where the probe has not failed.

    Args:
        report: of the probe.
        unprobed: of the model without the probe's outputs.
        mended: the output that makes its results right when requested, if one was searched for.
    """
    failed = [output for output in unprobed.outputs if output.failed]
    if failed and report.first_failing is None:
        first = failed[0]
        culprit = None
        if not unprobed.error:
            culprit = Culprit(output=mended or first.name, cause="runtime", introduced=first.drift, only_unprobed=True)
        found = {"verdict": first.verdict, "first_failing": first.name, "culprit": culprit}
        report = report.model_copy(update=found)
    return report.model_copy(update={"unprobed": unprobed})


def _settled(
    outputs: Sequence[OutputComparison],
    shares: Mapping[str, ErrorShare],
    results: Collection[str],
    passing_error: float,
) -> list[OutputComparison]:
    """Return a runner's outputs with the verdicts that follow from their shares.

    What introduced more than `passing_error` fails, as does what is wrong and can't be split. What is wrong but
    introduced little inherits it. Where nothing is at fault, errors that each operation may make add up: that fails a
    result of the model, and no output on the way.
    """
    at_fault = _at_fault(outputs, shares, passing_error)

    def verdict(output: OutputComparison) -> Verdict:
        if output.name in at_fault:
            return output.verdict if output.failed else Verdict.DRIFT
        if output.failed and at_fault:
            return Verdict.INHERITED
        proven = output.name in shares and output.name not in results
        return Verdict.PASS if proven and output.verdict in (Verdict.DRIFT, Verdict.UNPROVEN) else output.verdict

    return [output.model_copy(update={"verdict": verdict(output)}) for output in outputs]


def _at_fault(outputs: Sequence[OutputComparison], shares: Mapping[str, ErrorShare], passing_error: float) -> set[str]:
    """Return the outputs that introduced more than they may, or are wrong and can't be split."""
    return {
        output.name
        for output in outputs
        if (shares[output.name].introduced > passing_error if output.name in shares else output.failed)
    }


def _with_share(found: OutputComparison, share: ErrorShare | None) -> OutputComparison:
    measured = share and math.isfinite(share.introduced) and math.isfinite(share.inherited)
    return found.model_copy(update=vars(share)) if share and measured else found
