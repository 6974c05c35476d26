"""The first line of a report: who is wrong, the file or the runtime, and whether the model's results feel it.

Finding the culprit is in `blame.py`; here it is put into words.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from ..artifact.manifest import Candidate, Output
from .drift import FILE_RUNNER, OutputComparison, passing_drift
from .goal import goal_words
from .report import Culprit, GoalReport, RunnerReport, Unopened
from .verdict_kinds import Verdict

__all__ = [
    "first_names",
    "headline",
    "operation_words",
    "result_words",
    "severity",
    "undefined_words",
    "unproven_words",
]


def headline(
    runners: Sequence[RunnerReport],
    outputs: Sequence[Output],
    unopened: Mapping[str, Unopened] = MappingProxyType({}),
    candidate: Candidate | None = None,
    goal: GoalReport | None = None,
    programs: Sequence[str] = (),
    undefined: Sequence[str] = (),
    partly_nan: Sequence[str] = (),
) -> str:
    """Return the headline.

    Args:
        runners: as judged.
        outputs: of the artifact.
        unopened: the runners that could not be opened.
        candidate: what is known of a file that is judged against another model.
        goal: whether its results reach what they have to.
        programs: runners that were left out because they run programs.
        undefined: the model's results that have no finite value.
        partly_nan: the model's results that are NaN in part.
    """
    words = _headline(runners, outputs, unopened, undefined, partly_nan)
    if candidate:
        words = words.replace(", introduced", f"{_fused_words(runners, candidate)} introduced", 1)
    if candidate and candidate.precision != "float32":
        for end in (": ", "."):
            words = words.replace(f"in {FILE_RUNNER}{end}", f"in the file's {candidate.precision}{end}")
        # Where the steps or the range are at fault, that says it.
        words = words.replace("evaluated in float64, it still differs from the model; ", "")
        words = words.replace("times what its arithmetic may lose", "times what its bits explain", 1)
        words = words.replace("times float32's own error", "times the file's own error")
    if candidate and candidate.lacks:
        words += f" The file doesn't compute the model's {first_names(candidate.lacks)}."
    if candidate and candidate.returns:
        words += f" The file returns what the model does not compute: {first_names(candidate.returns)}."
    words = f"{words} The file wants {candidate.given}." if candidate and candidate.given else words
    if programs:
        are = "which runs a program" if len(programs) == 1 else "which run programs"
        words += f" Not run without --trust: {', '.join(programs)}, {are}."
    if goal is None:
        return words
    # What makes it fail comes first.
    fails = any(runner.verdict.fails for runner in runners)
    return f"{words} {goal_words(goal)}" if goal.passed or fails else f"{goal_words(goal)} {words}"


def _fused_words(runners: Sequence[RunnerReport], candidate: Candidate) -> str:
    """Return which operations of the source the one that is named includes in the file, as they may be at fault."""
    blamed = [runner for runner in runners if runner.verdict.fails and runner.culprit]
    culprit = max(blamed, key=severity).culprit if blamed else None
    fused = [name for name, into in candidate.fused.items() if culprit and into == culprit.output]
    return f" with {first_names(fused)} in it," if fused else ","


def undefined_words(names: Sequence[str]) -> str:
    """Return that nothing can be proven of results without a finite value, as a sentence."""
    results = f"result {names[0]} is" if len(names) == 1 else f"results {first_names(names)} are"
    return (
        f"The model's {results} NaN or infinite throughout, in float64, on each input: nothing was compared there, "
        "which fails. Look for NaN in its weights, or give an input of its domain: --input."
    )


def _partly_nan_words(names: Sequence[str]) -> str:
    """Return that results are NaN in the model itself, after a sentence; nothing if none is."""
    if not names:
        return ""
    results = f"result {names[0]} is" if len(names) == 1 else f"results {first_names(names)} are"
    return f" The model's {results} NaN in part, in float64, on each input: there, NaN is right."


def _headline(
    runners: Sequence[RunnerReport],
    outputs: Sequence[Output],
    unopened: Mapping[str, Unopened],
    undefined: Sequence[str],
    partly_nan: Sequence[str],
) -> str:
    facts = {output.name: output for output in outputs}
    failed = [runner for runner in runners if runner.verdict.fails]
    blamed = [runner for runner in failed if runner.culprit]
    # Where the file is wrong, that is why a runtime can't run it.
    for runner in failed if all(each.name != FILE_RUNNER for each in blamed) else ():
        if runner.error:
            return (
                f"{runner.name} can't run the model{_on_input(runner)}: {runner.error}{_not_in_float64(runner, facts)}"
            )
        if runner.culprit is None and runner.unprobed and runner.unprobed.error:
            return f"{runner.name} can't run the model without the probe's outputs: {runner.unprobed.error}"
    if blamed:
        worst = max(blamed, key=severity)
        return (
            f"{_culprit_words(worst, facts)}{_whose_fault(worst)}{_other_faults(worst, runners)}"
            f"{_felt(worst, failed)}{_also(worst, failed)}"
            f"{_shown_by(worst)}"
        )
    if failed:
        return _without_culprit(failed[0])
    if undefined:
        return undefined_words(undefined)
    passing = f"{_passing(runners, unopened)}{_partly_nan_words(partly_nan)}"
    return f"{passing}{_largest_error(runners, facts)}" if runners else "Nothing was compared."


def operation_words(output: Output) -> str:
    """Return an operation as a reader knows it: `Conv2d conv1 (net.py:7)`, and how a candidate's file calls it."""
    words = f"{output.label} {output.name}" + (f" ({output.source})" if output.source else "")
    return f"{words}, in the file {output.computed_by}," if output.computed_by else words


def severity(runner: RunnerReport) -> float:
    """Return how large an error a runner's culprit introduced: infinite if that can't be measured, -1 without one."""
    if runner.culprit is None:
        return -1.0
    return float("inf") if runner.culprit.introduced is None else runner.culprit.introduced


def first_names(names: Iterable[str]) -> str:
    """Return the first three names, and dots for more."""
    listed = list(names)
    return ", ".join(listed[:3]) + (", ..." if len(listed) > 3 else "")


def unproven_words(names: Sequence[str]) -> str:
    """Return why nothing is proven for some outputs, as the end of a sentence."""
    return f"nothing is proven for {first_names(names)}: float32 itself is over 1 % off float64 there, or infinite."


def _on_input(runner: RunnerReport) -> str:
    """Return the recorded input, if the first one passes."""
    return (
        "" if runner.inputs[:1] and runner.inputs[0].name == runner.recorded_input else f" on {runner.recorded_input}"
    )


def _shown_by(runner: RunnerReport) -> str:
    on_input = _on_input(runner)
    return f" It shows{on_input}; on {runner.inputs[0].name} all is right." if on_input and runner.inputs else ""


def _not_in_float64(runner: RunnerReport, facts: Mapping[str, Output]) -> str:
    if runner.culprit is None:
        return ""
    operation = operation_words(facts[runner.culprit.output])
    return f" The ONNX file is at fault at {operation}, which can't be computed in float64 either."


def _passing(runners: Iterable[RunnerReport], unopened: Mapping[str, Unopened]) -> str:
    parts = [f"{name} can't be opened: {why.reason}" for name, why in list(unopened.items())[:1]]
    unproven = list(dict.fromkeys(name for runner in runners for name in runner.unproven))
    if unproven:
        parts.append(f"Nothing fails, but {unproven_words(unproven)}")
    else:
        parts.append("The other runners pass." if unopened else "All pass.")
    return " ".join(parts)


def _largest_error(runners: Iterable[RunnerReport], facts: Mapping[str, Output]) -> str:
    found = [(error, runner.name) for runner in runners if (error := runner.largest_error) and error.introduced]
    if not found:
        return ""
    error, name = max(found, key=lambda each: each[0].introduced)
    return f" {_introduced(operation_words(facts[error.output]), name, error.introduced)}"


def _introduced(operation: str, runner: str, error: float) -> str:
    return f"{operation} introduced the largest error in {runner}: {_factor(error)} times what its arithmetic may lose."


def _without_culprit(runner: RunnerReport) -> str:
    if runner.verdict is not Verdict.PLACEMENT:
        return f"{runner.name} fails: {runner.verdict}."
    nodes = f"{len(runner.misplaced)} compute {'node' if len(runner.misplaced) == 1 else 'nodes'}"
    return (
        f"{runner.name} ran {nodes} elsewhere than requested ({first_names(runner.misplaced)}); every output passes. "
        "--allow-fallback lets that pass."
    )


def _culprit_words(runner: RunnerReport, facts: Mapping[str, Output]) -> str:
    assert runner.culprit
    output = facts[runner.culprit.output]
    operation = operation_words(output)
    if runner.culprit.only_unprobed:
        return _unprobed_words(runner, runner.culprit, operation)
    found = next(each for each in runner.outputs if each.name == output.name)
    if runner.culprit.accumulated:
        off = f"is {_times(found.drift)} off" if found.drift is not None else found.verdict.words
        return f"No operation errs by itself in {runner.name}, but what each may lose adds up: {operation} {off}."
    if runner.culprit.or_one_of:
        where = "in the file" if runner.given else "an output"
        operation += f", or an operation before it that is not {where} ({first_names(runner.culprit.or_one_of)}),"
    if runner.culprit.introduced is not None:
        return _introduced(operation, runner.name, runner.culprit.introduced)
    if found.drift is None:
        return f"{operation} {found.verdict.words} in {runner.name}."
    return f"{operation} is the first that drifts in {runner.name}: {_times(found.drift)}."


def _unprobed_words(runner: RunnerReport, culprit: Culprit, operation: str) -> str:
    result = runner.first_failing
    off = runner.verdict.words if culprit.introduced is None else f"is off by {_times(culprit.introduced)}"
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
        differences = "".join(f"; {each}" for each in runner.culprit.differences[:3])
        return f" The ONNX file is at fault: evaluated in float64, it still differs from the model{differences}."
    if runner.culprit.cause == "runtime":
        return " The runtime is at fault, or its settings: that operation's inputs were right."
    if runner.culprit.introduced is not None:
        return " That operation's inputs were right: the runner's own file, the runtime or its settings are at fault."
    return ""


def _other_faults(worst: RunnerReport, runners: Sequence[RunnerReport]) -> str:
    """Return the other operations at which the file is at fault."""
    file = next((each for each in runners if each.name == FILE_RUNNER), None)
    if file is None or worst.culprit is None or worst.culprit.cause != "export":
        return ""
    own = [each.name for each in file.outputs if each.failed and each.verdict is not Verdict.INHERITED]
    others = [name for name in own if name != worst.culprit.output]
    return f" It is at fault at {first_names(others)}, too." if others else ""


def _felt(worst: RunnerReport, failed: Sequence[RunnerReport]) -> str:
    """Return whether the model's results feel what the culprit does; nothing where its own sentence says so."""
    assert worst.culprit
    if worst.culprit.accumulated or worst.culprit.only_unprobed:
        return ""
    # A runtime's results are measured by float32's own error, the file's in float64 are not.
    same = [each for each in (worst, *failed) if each.is_culprit(worst.culprit.output)]
    runner = min(same, key=lambda each: each.name == FILE_RUNNER)
    if runner.result is None:
        return ""
    drift = runner.result.drift
    passes = drift is not None and drift <= passing_drift(runner.name)
    what = " The model's results pass all the same:" if passes else " The result"
    return f"{what} {runner.result.name} {result_words(runner.result, runner.name)}."


def result_words(result: OutputComparison, runner: str) -> str:
    """Return how far a result of the model is off in a runner, as the end of a sentence."""
    if result.drift is None:
        return result.verdict.words
    if runner == FILE_RUNNER:
        return f"is off by {result.relative_to_scale:.3g} of its largest value in float64"
    return f"is off by {_times(result.drift)}, of {passing_drift(runner):g} that pass"


def _also(worst: RunnerReport, failed: Iterable[RunnerReport]) -> str:
    assert worst.culprit
    others = []
    for runner in failed:
        elsewhere = runner.culprit.output if runner.culprit else worst.culprit.output
        if runner is not worst:
            others.append(runner.name if worst.is_culprit(elsewhere) else f"{runner.name} (at {elsewhere})")
    return f" {', '.join(others)} {'fails' if len(others) == 1 else 'fail'}, too." if others else ""


def _times(drift: float) -> str:
    return f"{_factor(drift)} times float32's own error"


def _factor(error: float) -> str:
    return f"{error:.3g}" if error < _SAYS_NOTHING else "more than a billion"


_SAYS_NOTHING = 1e9
"""From this many times on, how many says nothing: hardly any error is permitted there."""
