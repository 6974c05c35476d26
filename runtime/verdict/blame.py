"""Which operation is to blame for a runner's error, and whether the export or the runtime is: as data and in words."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from ..artifact.manifest import Output
from .drift import PASSING_DRIFT, PASSING_ERROR, OutputComparison
from .error_shares import ErrorShare
from .report import Cause, Culprit, RunnerReport, Unopened
from .verdict_kinds import Verdict

__all__ = ["find_culprit", "headline", "operation_words"]


def find_culprit(
    outputs: Sequence[OutputComparison],
    shares: Mapping[str, ErrorShare],
    faults: Mapping[str, float] | None,
    unexported_operations: Mapping[str, Sequence[str]] = MappingProxyType({}),
    passing_error: float = PASSING_ERROR,
) -> Culprit | None:
    """Return the operation that introduced the largest error, or the result in which permitted errors added up.

    NaN or infinity, a missing output and a wrong shape are worse than any error that can be measured; of these the
    first is taken. A failed output whose share is unknown is blamed if no other introduced enough to fail.

    Args:
        outputs: a runner's, in the order of execution.
        shares: of the error, by output, where they are known.
        faults: outputs at which the ONNX file itself is wrong, each with its largest error there; None for a runner
            that reads another file, which was not evaluated.
        unexported_operations: by output, operations before it that are not outputs and may be to blame as well.
        passing_error: the largest error that an operation may introduce.
    """

    def severity(output: OutputComparison) -> float:
        if output.name in shares:
            return shares[output.name].introduced
        return math.inf if output.drift is None else PASSING_DRIFT

    failed = [each for each in outputs if each.failed]
    if failed and all(each.name in shares and shares[each.name].introduced <= passing_error for each in failed):
        furthest = max(failed, key=lambda output: math.inf if output.drift is None else output.drift)
        introduced = shares[furthest.name].introduced
        return Culprit(output=furthest.name, cause="unknown", introduced=introduced, accumulated=True)
    worst = max((each for each in outputs if each.failed or each.name in shares), key=severity, default=None)
    if worst is None:
        return None
    introduced = shares[worst.name].introduced if worst.name in shares else math.inf
    # Where the file is only a little wrong and the runner far more, the runtime is at fault.
    cause: Cause = "runtime" if worst.name in shares and faults is not None else "unknown"
    error = math.inf if worst.max_abs is None else worst.max_abs
    if faults and worst.name in faults and 2 * faults[worst.name] >= error:
        cause = "export"
    return Culprit(
        output=worst.name,
        cause=cause,
        introduced=introduced if math.isfinite(introduced) else None,
        or_one_of=list(unexported_operations.get(worst.name, ())),
    )


def headline(
    runners: Sequence[RunnerReport],
    outputs: Sequence[Output],
    unopened: Mapping[str, Unopened] = MappingProxyType({}),
) -> str:
    """Return the headline: which operation introduced the largest error, in which runner, and whose fault it is."""
    facts = {output.name: output for output in outputs}
    failed = [runner for runner in runners if runner.verdict is not Verdict.PASS]
    for runner in failed:
        if runner.error:
            return f"{runner.name} can't run the model: {runner.error}"
        if runner.culprit is None and runner.unprobed and runner.unprobed.error:
            return f"{runner.name} can't run the model without the probe's outputs: {runner.unprobed.error}"
    blamed = [runner for runner in failed or runners if runner.culprit]
    if not blamed:
        return f"{failed[0].name} fails: {failed[0].verdict}." if failed else "Nothing was compared."
    worst = max(blamed, key=_severity)
    what = _culprit_words(worst, facts)
    if not failed and unopened:
        name, why = next(iter(unopened.items()))
        return f"{name} can't be opened: {why.reason} The other runners pass. {what}"
    if not failed:
        return f"All pass. {what}"
    others = [runner.name for runner in failed if runner is not worst]
    also = f" {', '.join(others)} {'fails' if len(others) == 1 else 'fail'}, too." if others else ""
    return f"{what}{_whose_fault(worst)}{also}"


def operation_words(output: Output) -> str:
    """Return an operation as a reader knows it: `Conv2d conv1 (net.py:7)`."""
    return f"{output.label} {output.name}" + (f" ({output.source})" if output.source else "")


def _severity(runner: RunnerReport) -> float:
    assert runner.culprit
    return float("inf") if runner.culprit.introduced is None else runner.culprit.introduced


def _culprit_words(runner: RunnerReport, facts: Mapping[str, Output]) -> str:
    assert runner.culprit
    output = facts[runner.culprit.output]
    operation = operation_words(output)
    if runner.culprit.only_unprobed:
        return _unprobed_words(runner, runner.culprit, operation)
    found = next(each for each in runner.outputs if each.name == output.name)
    if runner.culprit.accumulated:
        off = f"is {found.drift:.3g} times float32's own error off" if found.drift is not None else found.verdict.words
        return f"No operation errs by itself in {runner.name}, but what each may lose adds up: {operation} {off}."
    others = runner.culprit.or_one_of
    if others:
        names = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
        operation += f", or an operation before it that is not an output ({names}),"
    if runner.culprit.introduced is None and found.drift is None:
        return f"{operation} {found.verdict.words} in {runner.name}."
    if runner.culprit.introduced is None:
        return f"{operation} is the first that drifts in {runner.name}: {found.drift:.3g} times float32's own error."
    return (
        f"{operation} introduced the largest error in {runner.name}: {runner.culprit.introduced:.3g} times what its "
        "arithmetic may lose."
    )


def _unprobed_words(runner: RunnerReport, culprit: Culprit, operation: str) -> str:
    result = runner.first_failing
    off = runner.verdict.words
    if culprit.introduced is not None:
        off = f"is off by {culprit.introduced:.3g} times float32's own error"
    if culprit.output == result:
        return f"{operation} {off} in {runner.name} unprobed; with every output it is right."
    return (
        f"{runner.name} computes wrong results where {operation} isn't requested: unprobed, {result} {off}; with every "
        "output it is right."
    )


def _whose_fault(runner: RunnerReport) -> str:
    assert runner.culprit
    if runner.culprit.accumulated:
        return ""
    if runner.culprit.only_unprobed:
        return " The runtime is at fault, or its settings: it fuses wrongly where only the results are requested."
    if runner.culprit.cause == "export":
        return " The ONNX file is at fault: evaluated in float64, it still differs from the model."
    if runner.culprit.cause == "runtime":
        return " The runtime is at fault, or its settings: that operation's inputs were right."
    if runner.culprit.introduced is not None:
        return " That operation's inputs were right: the runner's own file, the runtime or its settings are at fault."
    return ""
