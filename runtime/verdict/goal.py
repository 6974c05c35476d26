"""What a candidate's results have to reach, `verify --goal`: a table of kinds, each measured over the recorded inputs.

A file in fewer bits can be right and still not good enough: each segment loses what its bits explain, and all together
lose too much.
"""

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import UsageError
from ..artifact.manifest import Output
from ..artifact.reference import Reference
from ..float64.graph import Float64Graph, Unknown
from .drift import FILE_RUNNER, decibels
from .report import GoalReport, Reached, RunnerReport

__all__ = ["Goal", "goal_words", "judge_goal", "parse_goal"]

Array = NDArray[Any]
_Results = Mapping[str, tuple[Array, Array, int]]
"""By result: the file's, the source's, and the axis of the classes."""


class _Kind(NamedTuple):
    pattern: str
    measure: Callable[[Array, Array, int], tuple[float, float]]
    """Returns what is added up over the inputs: a part and its whole."""
    reached: Callable[[float, float], float]
    shown: str


def _powers(result: Array, right: Array, axis: int) -> tuple[float, float]:  # noqa: ARG001 - whatever the axes are
    return float(np.sum(np.square(result - right))), float(np.sum(np.square(right)))


def _decibels(lost: float, signal: float) -> float:
    if not lost:
        return math.inf
    found = decibels(signal, lost) if math.isfinite(lost) else None
    return -math.inf if found is None else found


def _agreeing(result: Array, right: Array, axis: int) -> tuple[float, float]:
    same = np.argmax(result, axis) == np.argmax(right, axis)
    return float(np.sum(same)), float(same.size)


_KINDS: Mapping[str, _Kind] = {
    "dB": _Kind(r"(?P<least>\d+(\.\d+)?)\s*dB", _powers, _decibels, "{:.1f} dB"),
    "top1": _Kind(r"top1\s+(?P<least>[01](\.\d+)?)", _agreeing, lambda same, all_: same / all_, "top1 {:.4g}"),
}
"""To add one, add its row."""


@dataclass(frozen=True)
class Goal:
    """The least that a result may reach."""

    kind: str
    least: float

    def __str__(self) -> str:
        return _KINDS[self.kind].shown.format(self.least)


def parse_goal(text: str) -> Goal:
    """Return a goal: `30 dB` of signal to noise, or `top1 0.99`, the share of images with the same first class.

    Raises:
        UsageError: it is neither.
    """
    for name, kind in _KINDS.items():
        found = re.fullmatch(kind.pattern, text.strip(), re.IGNORECASE)
        if found and (name == "dB" or float(found["least"]) <= 1):
            return Goal(name, float(found["least"]))
    raise UsageError(f"--goal {text!r} is no goal. Goals are '30 dB' (signal to noise of each result) and 'top1 0.99'.")


def judge_goal(
    goal: Goal,
    graph: Float64Graph,
    references: Sequence[Reference],
    outputs: Sequence[Output],
    right_values: Callable[[str, Collection[str]], Mapping[str, Array]],
    runners: Sequence[RunnerReport],
) -> GoalReport:
    """Return what each result reaches: of the file from end to end in float64, over all inputs, and of each runner.

    Args:
        goal: what is wanted.
        graph: the file.
        references: the recorded inputs.
        outputs: the model's results.
        right_values: returns the source's whole tensors, by a recorded input's name and the outputs' names.
        runners: as judged; only decibels are known of them, on one recorded input.

    Raises:
        UsageError: a result has no classes to compare.
    """
    kind = _KINDS[goal.kind]
    names = [output.name for output in outputs]
    if goal.kind == "top1" and not any("C" in output.layout for output in outputs):
        raise UsageError(f"--goal '{goal}' compares classes, and {', '.join(names)} has no axis of classes.")
    sums = {output.name: np.zeros(2) for output in outputs if goal.kind == "dB" or "C" in output.layout}
    unknown: dict[str, str] = {}
    axes = {output.name: max(output.layout.find("C"), 0) for output in outputs}
    for reference in references:
        right = right_values(reference.name, names)
        for name, value in graph.walk(reference.inputs):
            if isinstance(value, Unknown) and name in sums:
                unknown[name] = value.reason
            elif name in sums:
                sums[name] += kind.measure(np.asarray(value, np.float64), right[name], axes[name])
    reached = [
        Reached(
            runner=FILE_RUNNER, result=name, value=-math.inf if name in unknown else kind.reached(*map(float, each))
        )
        for name, each in sums.items()
    ]
    if goal.kind == "dB":
        reached += _of_runners(runners, names)
    return GoalReport(goal=str(goal), least=goal.least, reached=reached)


def _of_runners(runners: Sequence[RunnerReport], names: Collection[str]) -> Iterator[Reached]:
    for runner in runners:
        for found in runner.outputs if runner.name != FILE_RUNNER else ():
            if found.name in names and found.max_abs is not None:
                value = math.inf if found.sqnr_db is None else found.sqnr_db
                yield Reached(runner=runner.name, result=found.name, value=value)


def goal_words(report: GoalReport) -> str:
    """Return in a sentence whether the goal is met, with what is nearest to it or furthest below."""
    worst = min(report.reached, key=lambda each: each.value)
    kind = next(each for name, each in _KINDS.items() if report.goal.startswith(name) or report.goal.endswith(name))
    value = "has no error" if worst.value == math.inf else f"reaches {kind.shown.format(worst.value)}"
    if not math.isfinite(worst.value) and worst.value < 0:
        value = "is not a number, or can't be computed"
    how = "met" if report.passed else "not met"
    return f"The goal of {report.goal} is {how}: {worst.result} {value} in {worst.runner}."
