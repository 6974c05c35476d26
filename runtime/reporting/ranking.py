"""The order in which every form of a report lists the outputs: the culprit first, what inherits its error below."""

import math

from ..artifact.manifest import Output
from ..verdict.drift import OutputComparison
from ..verdict.headline import severity
from ..verdict.report import Report, RunnerReport
from ..verdict.verdict_kinds import Verdict

__all__ = ["ranked"]

_CULPRIT, _FAILED, _INHERITED, _UNPROVEN, _SOUND = range(5)


def ranked(report: Report) -> list[Output]:
    """Return the outputs: culprits, others that fail, those that inherit an error, unproven ones, and what passes.

    In each group the worst is first: culprits as in the headline, what fails by the error that it introduced, the
    others by their drift; what couldn't be measured is worst, in the order of execution.
    """
    places = {output.name: (_SOUND, 0.0) for output in report.outputs}
    for runner in report.runners:
        for found in runner.outputs:
            if found.name in places:
                places[found.name] = min(places[found.name], _place(runner, found))
    return sorted(report.outputs, key=lambda output: places[output.name])


def _place(runner: RunnerReport, found: OutputComparison) -> tuple[int, float]:
    """Return what to sort by: the group, and minus the size of the error."""
    if runner.is_culprit(found.name):
        return _CULPRIT, -severity(runner)
    measure = found.introduced if found.failed and found.introduced is not None else found.drift
    group = {Verdict.INHERITED: _INHERITED, Verdict.UNPROVEN: _UNPROVEN, Verdict.PASS: _SOUND}
    unmeasured = measure is None or math.isnan(measure)
    return group.get(found.verdict, _FAILED), -math.inf if unmeasured or measure is None else -measure
