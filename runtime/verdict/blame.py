"""Which operation is to blame for a runner's failure, and whether the export or the runtime is, as data."""

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from .drift import PASSING_DRIFT, PASSING_ERROR, OutputComparison
from .error_shares import ErrorShare
from .report import Cause, Culprit

__all__ = ["find_culprit"]


def find_culprit(
    outputs: Sequence[OutputComparison],
    shares: Mapping[str, ErrorShare],
    faults: Mapping[str, float] | None,
    unexported_operations: Mapping[str, Sequence[str]] = MappingProxyType({}),
    passing_error: float = PASSING_ERROR,
    differences: Callable[[str], list[str]] = lambda output: [],  # noqa: ARG005
) -> Culprit | None:
    """Return the failed operation that introduced the largest error, or the result in which permitted errors added up.

    None where nothing failed.

    NaN or infinity, a missing output and a wrong shape are worse than any error that can be measured; of these the
    first is taken. A failed output whose share is unknown is blamed if no other introduced enough to fail.

    Args:
        outputs: a runner's, in the order of execution.
        shares: of the error, by output, where they are known.
        faults: outputs at which the ONNX file itself is wrong, each with its largest error there; None for a runner
            that reads another file, which was not evaluated.
        unexported_operations: by output, operations before it that are not outputs and may be to blame as well.
        passing_error: the largest error that an operation may introduce.
        differences: what the file's nodes of an output have otherwise than when they were exported; only called where
            the file is at fault.
    """

    def severity(output: OutputComparison) -> float:
        if output.name in shares:
            return shares[output.name].introduced
        return math.inf if output.drift is None else PASSING_DRIFT

    failed = [each for each in outputs if each.failed]
    if not failed:
        return None
    if all(each.name in shares and shares[each.name].introduced <= passing_error for each in failed):
        furthest = max(failed, key=lambda output: math.inf if output.drift is None else output.drift)
        introduced = shares[furthest.name].introduced
        return Culprit(output=furthest.name, cause="unknown", introduced=introduced, accumulated=True)
    worst = max(failed, key=severity)
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
        differences=differences(worst.name) if cause == "export" else [],
    )
