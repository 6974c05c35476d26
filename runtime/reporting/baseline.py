"""What got worse since an earlier report of the same model, so that `verify` can fail on that alone."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ..artifact.errors import UsageError
from ..artifact.manifest import Output
from ..verdict.drift import PASSING_ERROR, OutputComparison
from ..verdict.headline import first_names
from ..verdict.report import Report, RunnerReport

__all__ = ["GROWTH", "Finding", "not_compared", "refuse_another_model", "worse_than"]

GROWTH = 2.0
"""A drift that grew by less is noise: another thread count, or another of cuDNN's algorithms, is enough."""


@dataclass(frozen=True)
class Finding:
    """One thing that got worse, or that was not compared."""

    runner: str
    output: str | None
    """None where it is the runner as a whole."""
    why: str
    """A few words to read: `drift 3.1 -> 420`."""

    def __str__(self) -> str:
        return f"{self.runner}: {self.output}: {self.why}" if self.output else f"{self.runner}: {self.why}"


def worse_than(report: Report, baseline: Report) -> list[Finding]:
    """Return what is worse in `report` than it was in `baseline`, runner by runner, in the order of execution.

    - An output fails, and its error is more than `GROWTH` times what it was; whether it passed before makes no
      difference, so a drift that fluctuates around the limit raises no alarm.
    - An output can't be measured (NaN or infinity, missing, another shape), and could be before.
    - A runner can't run the model, and could before.
    - A compute node runs elsewhere than requested, and did not before.

    What passes is never worse, nor is what was not run now (`not_compared`). What is not in the baseline, such as a new
    runner, is judged by itself: worse if it fails.

    Raises:
        UsageError: the two reports are not of the same model and outputs.
    """
    refuse_another_model(str(report.environment.get("model", "")), report.outputs, baseline)
    before = {runner.name: runner for runner in baseline.runners}
    return [found for runner in report.runners for found in _worse_runner(runner, before.get(runner.name))]


def not_compared(report: Report, baseline: Report) -> list[Finding]:
    """Return what the baseline has and `report` has not: runners that were not run, and outputs that are not there."""
    now, found = {runner.name: runner for runner in report.runners}, []
    for before in baseline.runners:
        if before.name not in now:
            why = report.left_out.get(before.name)
            if before.name not in report.unopened:  # which is reported by itself
                found.append(Finding(before.name, None, f"left out now: {why}" if why else "not run now"))
            continue
        names = {output.name for output in now[before.name].outputs}
        gone = [output.name for output in before.outputs if output.name not in names]
        if gone:
            what = f"{len(gone)} outputs are not there now ({first_names(gone)})"
            found.append(Finding(before.name, None, what if len(gone) > 1 else f"{gone[0]} is not there now"))
    return found


def _worse_runner(runner: RunnerReport, before: RunnerReport | None) -> Iterator[Finding]:
    if runner.error:
        if before is None or not before.error:
            yield Finding(runner.name, None, f"can't run the model: {runner.error}")
        return
    yield from _worse_outputs(runner.name, runner.outputs, before.outputs if before else ())
    if runner.unprobed:
        earlier = before.unprobed.outputs if before and before.unprobed else ()
        yield from _worse_outputs(f"{runner.name}, unprobed", runner.unprobed.outputs, earlier)
    new = [node for node in runner.misplaced if before is None or node not in before.misplaced]
    if new and runner.verdict.fails:
        yield Finding(runner.name, None, f"runs elsewhere than requested: {', '.join(new)}")


def _worse_outputs(
    runner: str, outputs: Iterable[OutputComparison], before: Iterable[OutputComparison]
) -> Iterator[Finding]:
    earlier = {output.name: output for output in before}
    for output in outputs:
        why = _why_worse(output, earlier.get(output.name))
        if why:
            yield Finding(runner, output.name, why)


def _why_worse(now: OutputComparison, before: OutputComparison | None) -> str | None:
    if not now.failed:
        return None
    # What an operation introduced tells more than its drift, where it is known in both and is what fails.
    by_share = (now.introduced or 0.0) > PASSING_ERROR and (before is None or before.introduced is not None)
    name: Literal["introduced", "drift"] = "introduced" if by_share else "drift"
    value: float | None = getattr(now, name)
    found = now.verdict if value is None else f"{name} {value:.3g}"
    if before is None:
        return f"{found}, not in the baseline"
    earlier: float | None = getattr(before, name)
    # What couldn't be measured before can't have got worse.
    if earlier is None or (value is not None and value <= GROWTH * earlier):
        return None
    return f"{name} {earlier:.3g} -> {found.removeprefix(f'{name} ')}"


def refuse_another_model(model: str, outputs: Sequence[Output], baseline: Report) -> None:
    """Refuse a baseline that is not of this model; outputs that only one of both has are no obstacle.

    Raises:
        UsageError: it is not.
    """
    other = str(baseline.environment.get("model", ""))
    if other != model:
        raise UsageError(
            f"The baseline is a report of {other or 'no model'}, not of {model or 'no model'}.\n"
            "Give a report of the same model."
        )
    now, before = _described(outputs), _described(baseline.outputs)
    common = [name for name in now if name in before]
    different = next((name for name in common if now[name] != before[name]), None)
    if common and different is None:
        return
    what = f"{different} has another shape or type there" if different else "it has none of these outputs"
    raise UsageError(
        f"The baseline is of another export of {model}: {what}.\n"
        "Write a new baseline: layerprobe verify ARTIFACT --json F."
    )


def _described(outputs: Iterable[Output]) -> Mapping[str, tuple[tuple[int | str, ...], str]]:
    return {output.name: (tuple(output.shape), output.dtype) for output in outputs}
