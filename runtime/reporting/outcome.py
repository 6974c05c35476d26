"""The result of a runner, and of one output in it, in a few words: the same in every form of a report."""

from collections import Counter

from ..verdict.drift import OutputComparison
from ..verdict.report import RunnerReport
from ..verdict.verdict_kinds import Verdict

__all__ = ["mark", "outcome"]


def mark(runner: RunnerReport, found: OutputComparison) -> str:
    """Return the word for an output in a runner: `culprit`, or its verdict; nothing where it passes."""
    if runner.culprit and runner.is_culprit(found.name):
        return "culprit, unprobed" if runner.culprit.only_unprobed else "culprit"
    return "" if found.verdict is Verdict.PASS else str(found.verdict)


def outcome(runner: RunnerReport, of_all: bool = True) -> str:
    """Return how many outputs pass or fail.

    Args:
        runner: as judged.
        of_all: whether it has all outputs of the report.
    """
    count, verdicts = len(runner.outputs), Counter(output.verdict for output in runner.outputs)
    failed = sum(output.failed for output in runner.outputs)
    all_of = f"{'all' if of_all else 'the'} {count} outputs pass"
    if failed:
        text = f"{failed} of {count} outputs {'fails' if failed == 1 else 'fail'}"
        victims = verdicts[Verdict.INHERITED]
        inherit = f"; {victims} {'inherits' if victims == 1 else 'inherit'} an error" if victims else ""
        return f"{text}; the first is {runner.first_failing} ({runner.verdict}){inherit}"
    if runner.verdict is Verdict.PLACEMENT:
        nodes = f"{len(runner.misplaced)} nodes ran on another provider than requested"
        return f"placement: {nodes}; --allow-fallback lets that pass"
    if runner.verdict.fails:
        return f"{all_of}, but {runner.first_failing} fails in the unprobed model ({runner.verdict})"
    if verdicts[Verdict.UNPROVEN]:
        return f"{verdicts[Verdict.PASS]} of {count} outputs pass, {verdicts[Verdict.UNPROVEN]} can't be proven"
    return all_of
