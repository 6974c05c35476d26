"""The result of a runner, and of one output in it, in a few words: the same in every form of a report."""

from collections import Counter
from collections.abc import Mapping, Sequence

from ..artifact.manifest import Candidate
from ..verdict.drift import OutputComparison
from ..verdict.headline import first_names
from ..verdict.report import GivenReport, RunnerReport
from ..verdict.verdict_kinds import Verdict

__all__ = ["candidate_words", "given_words", "inputs_words", "mark", "outcome", "untried_words"]


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
    of_all = of_all and not (runner.given and runner.given.absent)
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


def inputs_words(runner: RunnerReport) -> str:
    """Return the recorded inputs that a runner was given, with the verdict where it isn't a pass."""
    words = [
        each.name + (f" ({each.verdict} at {each.output})" if each.verdict.fails else "") for each in runner.inputs
    ]
    shown = f"; the numbers are of {runner.recorded_input}" if runner.recorded_input else ""
    return f"given {', '.join(words)}{shown}"


def given_words(given: GivenReport) -> list[str]:
    """Return what a file of tensors has and lacks, in a line for each."""
    kinds = (
        ("not in the file", given.absent),
        ("only a sample of", given.sampled),
        ("in another layout", [f"{name} as {' x '.join(map(str, shape))}" for name, shape in given.reordered.items()]),
        ("no output of the model", given.unknown),
    )
    return [f"{what}: {len(names)} ({first_names(names)})" for what, names in kinds if names]


def untried_words(untried: Mapping[str, Sequence[str]]) -> str:
    """Return what no recorded input exercises, as a sentence."""
    count = f"{len(untried)} {'operation is' if len(untried) == 1 else 'operations are'}"
    return (
        f"{count} not tried in full by any recorded input, so a fault there would not show: "
        + "; ".join(f"{name} ({', '.join(words)})" for name, words in list(untried.items())[:3])
        + ("; ..." if len(untried) > 3 else "")
        + ". --input FILE tries another input."
    )


def candidate_words(candidate: Candidate, outputs: int) -> str:
    """Return what was found of the source in a candidate, in a few sentences.

    Args:
        candidate: what is known of it.
        outputs: how many outputs the candidate has, all of which are the source's.
    """
    total = outputs + len(candidate.fused) + len(candidate.unmatched)
    sentences = [f"{outputs} of the {total} outputs of {candidate.source} are computed in the file"]
    examples = [f"{name} in {into}" for name, into in candidate.fused.items()]
    for names, one, several in (
        (examples, "is fused or removed", "are fused or removed"),
        (candidate.unmatched, "was not found", "were not found"),
        (candidate.extra, "tensor is in the file only", "tensors are in the file only"),
    ):
        if names:
            sentences.append(f"{len(names)} {one if len(names) == 1 else several} ({first_names(names)})")
    given = f" The file wants {candidate.given}, and was given that." if candidate.given else ""
    return f"{'; '.join(sentences)}.{given}"
