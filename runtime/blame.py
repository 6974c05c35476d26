"""Which operation is to blame for a runner's error, and whether the export or the runtime is, in data and in words."""

from collections.abc import Collection, Mapping, Sequence

from .comparison import OutputComparison
from .reporting.report import Cause, Culprit, OutputFacts, RunnerReport

__all__ = ["find_culprit", "headline"]


def find_culprit(outputs: Sequence[OutputComparison], faulty: Collection[str]) -> Culprit | None:
    """Return the operation that brought in the most.

    What can't be measured is worse than what can: of NaN and infinity, a missing output or a wrong shape the first is
    taken, in whose inputs there were none.

    Args:
        outputs: a runner's, in the order of execution.
        faulty: outputs at which the ONNX file itself goes wrong; none for a runner that doesn't read that file.
    """
    unmeasured = [output for output in outputs if output.drift is None]
    told = [output for output in outputs if output.introduced is not None]
    failed = [output for output in outputs if output.failed]
    if unmeasured:
        worst = unmeasured[0]
    elif told:
        worst = max(told, key=lambda output: output.introduced or 0.0)
    elif failed:
        worst = failed[0]
    else:
        return None
    known = worst.introduced is not None or worst.verdict == "nonfinite"
    cause: Cause = "export" if worst.name in faulty else "runtime" if known else "unknown"
    return Culprit(output=worst.name, cause=cause, introduced=worst.introduced)


def headline(runners: Sequence[RunnerReport], outputs: Sequence[OutputFacts]) -> str:
    """Return the report's first line: which operation brought in the most, in which runner, and whose fault it is."""
    facts = {output.name: output for output in outputs}
    failed = [runner for runner in runners if runner.verdict != "pass"]
    for runner in failed:
        if runner.error:
            return f"{runner.name} can't run the model: {runner.error}"
    blamed = [runner for runner in failed or runners if runner.culprit]
    if not blamed:
        return f"{failed[0].name} fails: {failed[0].verdict}." if failed else "Nothing was compared."
    worst = max(blamed, key=_severity)
    what = _what_it_did(worst, facts)
    if not failed:
        return f"All pass. {what}"
    others = [runner.name for runner in failed if runner is not worst]
    also = f" {', '.join(others)} {'fails' if len(others) == 1 else 'fail'}, too." if others else ""
    return f"{what}{_whose_fault(worst)}{also}"


def _severity(runner: RunnerReport) -> float:
    assert runner.culprit
    return float("inf") if runner.culprit.introduced is None else runner.culprit.introduced


def _what_it_did(runner: RunnerReport, facts: Mapping[str, OutputFacts]) -> str:
    assert runner.culprit
    output = facts[runner.culprit.output]
    operation = f"{output.label} {output.name}" + (f" ({output.source})" if output.source else "")
    found = next(each for each in runner.outputs if each.name == output.name)
    if found.verdict == "nonfinite":
        return f"{operation} made NaN or infinity in {runner.name}."
    if found.drift is None:
        wrong = {"missing": "is missing", "shape": "has another shape or type"}[found.verdict]
        return f"{operation} {wrong} in {runner.name}."
    if runner.culprit.introduced is None:
        return f"{operation} is the first that drifts in {runner.name}: {found.drift:.3g} times float32's own error."
    return (
        f"{operation} brought in the most in {runner.name}: {runner.culprit.introduced:.3g} times float32's own error."
    )


def _whose_fault(runner: RunnerReport) -> str:
    assert runner.culprit
    if runner.culprit.cause == "export":
        return " The ONNX file is at fault: in float64, too, it says something else than the model."
    if runner.culprit.cause == "runtime":
        return " The runtime is at fault, or its settings: what it was given there was right."
    return ""
