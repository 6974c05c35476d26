"""Judges all runners of an artifact by the float64 truth and by the ONNX file evaluated in float64."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from ..artifact.folder import Artifact
from ..artifact.manifest import ONNX_FILE
from ..artifact.reference import Reference, sample
from ..float64.graph import Float64Graph
from ..runners.machine import Facts
from .blame import find_culprit
from .drift import FILE_RUNNER, ErrorShare, OutputComparison, compare_output, drift_unit, largest_error
from .error_shares import FileValues, evaluate_file, shares_of_error
from .ort_fusions import Fusion
from .report import Culprit, RunnerReport, UnprobedReport
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
    """Judges the runners of one artifact, one after the other.

    Attributes:
        reference: the recorded input and the truth.
        graph: the ONNX file, to be evaluated in float64.
    """

    def __init__(self, artifact: Artifact) -> None:
        """Read the reference, and evaluate the ONNX file.

        Raises:
            ArtifactError: a file of the artifact is missing, altered or invalid.
        """
        self.reference: Reference = artifact.reference()
        manifest = artifact.manifest
        in_16_bits = not {"float16", "bfloat16"}.isdisjoint(manifest.dtypes)
        self.graph = Float64Graph(artifact.file(ONNX_FILE), manifest.output_names, rounds=not in_16_bits)
        self._dtypes = {output.name: output.dtype for output in artifact.manifest.outputs}
        self._results = artifact.manifest.result_names
        self._file: FileValues = evaluate_file(self.graph, self.reference, self._dtypes)

    @property
    def why_file_unknown(self) -> str | None:
        """Why the file can't be judged as a whole, if it can't."""
        return next((f"{name} can't be evaluated: {why}" for name, why in self._file.unknown.items()), None)

    def report_of_file(self) -> RunnerReport:
        """Report on the ONNX file itself: all of its error is introduced at its faults."""
        shares = {}
        for found in self._file.comparisons:
            drift = math.inf if found.drift is None else found.drift
            shares[found.name] = ErrorShare(drift, 0.0) if found.name in self._file.faults else ErrorShare(0.0, drift)
        return self._report(RunnerFacts(FILE_RUNNER, ["NumPy"]), self._file.comparisons, shares)

    def report_of(self, runner: RunnerFacts, arrays: Mapping[str, NDArray[Any]]) -> RunnerReport:
        """Report on a runner that returned `arrays` for the recorded input."""
        outputs = self._compare(arrays, self._dtypes)
        shares = dict(shares_of_error(self.graph, self.reference, self._file, arrays, self._dtypes, outputs))
        return self._report(runner, outputs, shares)

    def report_of_failure(self, runner: RunnerFacts, error: str) -> RunnerReport:
        """Report on a runner that failed to run the model: every output is missing."""
        outputs = self._compare({}, self._dtypes)
        return self._report(runner, outputs, {}).model_copy(update={"culprit": None, "error": error})

    def results_pass(self, arrays: Mapping[str, NDArray[Any]]) -> bool:
        """Return whether the model's own results pass."""
        return not any(output.failed for output in self._compare(arrays, self._results))

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
            largest_error(sample(arrays[name]), sample(probed[name])) / drift_unit(self.reference.truths[name], dtype)
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

    def _compare(self, arrays: Mapping[str, NDArray[Any]], names: Collection[str]) -> list[OutputComparison]:
        return [
            compare_output(name, self.reference.truths[name], arrays.get(name), self._dtypes[name]) for name in names
        ]

    def _report(
        self, runner: RunnerFacts, outputs: list[OutputComparison], shares: Mapping[str, ErrorShare]
    ) -> RunnerReport:
        failed = [output for output in outputs if output.failed]
        misplaced = runner.misplaced and not runner.allow_fallback
        verdict = failed[0].verdict if failed else Verdict.PLACEMENT if misplaced else Verdict.PASS
        return RunnerReport(
            name=runner.name,
            verdict=verdict,
            first_failing=failed[0].name if failed else None,
            culprit=find_culprit(
                outputs, shares, self._file.faults if runner.reads_onnx else None, self.graph.unexported_operations
            ),
            providers=list(runner.providers),
            misplaced=list(runner.misplaced),
            facts=dict(runner.facts),
            outputs=[_with_share(output, shares.get(output.name)) for output in outputs],
        )


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


def _with_share(found: OutputComparison, share: ErrorShare | None) -> OutputComparison:
    measured = share and math.isfinite(share.introduced) and math.isfinite(share.inherited)
    return found.model_copy(update=vars(share)) if share and measured else found
