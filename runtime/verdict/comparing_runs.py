"""Two recorded runs -> report: the same comparison as `verification.py`, between two machines, runners or exports.

Neither the model nor an artifact is needed. There is no truth either: the first run takes its place, so a drift means
that the two differ, not which one is right.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import UsageError
from ..artifact.manifest import Output
from ..artifact.reference import Truth
from ..runs.recorded_run import RecordedRun
from .blame import find_culprit
from .drift import OutputComparison, compare_output, passing_verdict
from .headline import first_names, operation_words, unproven_words
from .report import Report, RunnerReport
from .verdict_kinds import Verdict

__all__ = ["compare_runs"]


def compare_runs(expected: RecordedRun, result: RecordedRun) -> Report:
    """Judge every output that both runs recorded.

    The drift is in multiples of the noise floor recorded in the artifact, as in `verify`: two correct float32 runtimes
    differ by 1 to 4 of them.

    Raises:
        UsageError: the runs are of different models or inputs, or share no output.
        ArtifactError: a file was altered while it was read.
    """
    _refuse_strangers(expected, result)
    names = [name for name in expected if name in result]
    if not names:
        raise UsageError(f"{expected.file} and {result.file} have no output in common.\nRecord the same --outputs.")
    dtypes = {output.name: output.dtype for output in result.record.outputs}
    floors = {**expected.record.noise_floors, **result.record.noise_floors}
    outputs, unknown = [], []
    for name in names:
        one = expected[name]
        found = _compare(name, one, result[name], floors.get(name, 0.0), dtypes[name])
        outputs.append(found)
        if not found.failed and _is_nan(one).any():
            unknown.append(name)
    failed = [output for output in outputs if output.failed]
    facts = [output for output in result.record.outputs if output.name in set(names)]
    runner = RunnerReport(
        name=f"{result.record.runner} against {expected.record.runner}",
        verdict=failed[0].verdict if failed else passing_verdict(outputs),
        first_failing=failed[0].name if failed else None,
        culprit=find_culprit(outputs, {}, None),
        providers=result.record.providers,
        misplaced=[],
        facts=result.record.facts | {f"expected: {key}": value for key, value in expected.record.facts.items()},
        outputs=outputs,
    )
    environment = result.record.environment | {
        f"expected: {key}": value
        for key, value in expected.record.environment.items()
        if result.record.environment.get(key) != value
    }
    headline = " ".join([_finding(runner, facts), *_caveats(expected, result, unknown)])
    return Report(headline=headline, environment=environment, outputs=tuple(facts), runners=[runner])


def _finding(runner: RunnerReport, facts: Sequence[Output]) -> str:
    """Return the result in a sentence; neither of two runs is the truth, so neither is to blame."""
    by_name = {output.name: output for output in facts}
    if not runner.culprit:
        worst = max(runner.outputs, key=lambda output: output.drift or 0.0)
        agree = f"The runs agree, but {unproven_words(runner.unproven)}" if runner.unproven else "The runs agree."
        return (
            f"{agree} {operation_words(by_name[worst.name])} differs the most: {worst.drift:.3g} times "
            "float32's own error."
        )
    found = next(output for output in runner.outputs if output.name == runner.culprit.output)
    operation = operation_words(by_name[found.name])
    if found.drift is None:
        return f"{operation} {found.verdict.words} in at least one run, so the runs can't be compared there."
    return f"{operation} is the first that drifts: {found.drift:.3g} times float32's own error."


def _caveats(expected: RecordedRun, result: RecordedRun, unknown: Sequence[str]) -> Iterator[str]:
    if unknown:
        yield f"Both runs are NaN at the same places of {first_names(unknown)}, where nothing was compared."
    for one, other in ((expected, result), (result, expected)):
        alone = [name for name in one if name not in other]
        if alone:
            yield (
                f"Not compared, as only {one.file.name} has {'it' if len(alone) == 1 else 'them'}: "
                f"{first_names(alone)}. Runtimes fuse differently when other outputs are requested, so the last digits "
                "may differ."
            )
    weights = [run.record.weights for run in (expected, result)]
    if None not in weights and weights[0] != weights[1]:
        yield "The two models have different weights."


def _refuse_strangers(expected: RecordedRun, result: RecordedRun) -> None:
    one, other = ([output.name for output in run.record.outputs] for run in (expected, result))
    if one != other:
        alone = sorted(set(one) ^ set(other)) or [a for a, b in zip(one, other, strict=True) if a != b]
        raise UsageError(
            f"{expected.file} is a run of {expected.record.model}, {result.file} of {result.record.model}, and their "
            f"outputs differ: {', '.join(alone[:3])}{', ...' if len(alone) > 3 else ''}.\n"
            "Compare two runs of the same model."
        )
    if expected.inputs != result.inputs:
        raise UsageError(
            f"{expected.file} and {result.file} were given different inputs (compared bit by bit).\n"
            "Give both runs the same images in the same order; if the machines decode them differently, use "
            "`layerprobe run --recorded-input`."
        )


def _compare(
    name: str, expected: NDArray[Any], result: NDArray[Any], noise_floor: float, dtype: str
) -> OutputComparison:
    # Both tensors are whole: NaN and infinity are compared everywhere, not only in the sample.
    differ = expected.shape == result.shape and not np.array_equal(np.isfinite(expected), np.isfinite(result))
    # Two that are NaN throughout are alike, and nothing was compared.
    if differ or (expected.size and _is_nan(expected).all()):
        return OutputComparison(name=name, verdict=Verdict.NONFINITE)
    return compare_output(name, Truth.of(expected, noise_floor), result, dtype)


def _is_nan(array: NDArray[Any]) -> NDArray[np.bool_]:
    return np.asarray(np.isnan(array) if array.dtype.kind == "f" else np.zeros((), np.bool_))
