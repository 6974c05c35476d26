"""The report of a verification or comparison, as data: the contract of `verify --json`. `reporting/` shows it."""

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, computed_field

from ..artifact.by_name import load
from ..artifact.manifest import Candidate, Output
from ..artifact.showing import listing
from ..artifact.versioned_json import Line, Paragraph
from ..runners.machine import Facts
from .drift import OutputComparison
from .ort_fusions import Fusion
from .verdict_kinds import Verdict

__all__ = [
    "Cause",
    "Culprit",
    "GivenReport",
    "GoalReport",
    "InputReport",
    "LargestError",
    "Reached",
    "Report",
    "RunnerReport",
    "Unopened",
    "UnprobedReport",
]


Cause = Literal["export", "runtime", "unknown"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Culprit(_Part):
    """The operation for which a runner fails: of those that fail, the one that introduced the largest error."""

    output: Line
    cause: Cause
    """`export`: the ONNX file itself differs from the model. `runtime`: the file is right."""
    introduced: float | None
    """As of its output; None where it can't be measured."""
    or_one_of: list[Line] = []
    """Operations before it that are not outputs of the artifact, so the error may be theirs."""
    accumulated: bool = False
    """No operation introduced more than it may; this result of the model drifts all the same."""
    only_unprobed: bool = False
    """The probe is right; where this output isn't requested, a fusion across it makes the model's results wrong.
    `introduced` is then the error of the first wrong result."""
    differences: list[Line] = []
    """Where the ONNX file is at fault: how its nodes there differ from those that were exported, each as the end of a
    sentence: `its epsilon is 1e-05, the model's 0.001`."""


class LargestError(_Part):
    """The largest error that an operation introduced in a runner, whether or not it may be that large."""

    output: Line
    introduced: float


class UnprobedReport(_Part):
    """The same model with only its own results as outputs, which a runtime may fuse freely."""

    outputs: list[OutputComparison]
    """The model's results against the float64 truth."""
    difference: float | None
    """The largest difference between probed and unprobed results, in multiples of the noise floor."""
    prevented: list[Fusion] | None
    """Fusions that happen here and not in the probe; None where the runtime doesn't report them."""
    prevented_unknown: Paragraph | None = None
    """Why they can't be named, in a runtime that reports them."""
    error: Paragraph | None = None
    """Why the runner could not run the model without the probe's outputs, if it couldn't; its results are missing."""


class InputReport(_Part):
    """One of the recorded inputs in one runner."""

    name: Line
    """`noise`, `strong noise`, `a photo`, `a batch of 3`, ..."""
    shapes: list[tuple[int, ...]]
    """Of the model's inputs, in order."""
    verdict: Verdict = Verdict.PASS
    drift: float | None = None
    """The largest of those outputs that were compared: all, or the model's results where batch or size are others and
    that passes."""
    output: Line | None = None
    """The output that has it."""


class GivenReport(_Part):
    """What a file of tensors has, that was judged like a runner."""

    absent: list[Line]
    """The outputs that it lacks."""
    sampled: list[Line] = []
    """Outputs of which it has the sample only."""
    reordered: dict[Line, tuple[int, ...]] = {}
    """By output, the shape that it has there, where that is another layout."""
    unknown: list[Line] = []
    """Its tensors that are neither outputs nor inputs of the model."""


class RunnerReport(_Part):
    """The result of one runner. Its verdict is that of the first output, in the order of execution, that fails."""

    name: Line
    verdict: Verdict
    first_failing: Line | None
    """The first output, in the order of execution, that doesn't pass."""
    culprit: Culprit | None
    """None if the runner passes, and where no operation is to blame: it can't run the model, or ran it elsewhere."""
    providers: list[Line]
    misplaced: list[Line]
    """Compute nodes that ran elsewhere than requested."""
    facts: Facts
    """What may explain a drift: versions, device, settings, as the runtime reports them."""
    outputs: list[OutputComparison]
    """For the recorded input `recorded_input`."""
    result: OutputComparison | None = None
    """Of the results that the model itself returns, the one that drifts most: whether what errs matters."""
    recorded_input: Line = ""
    """The first one, or if that passes the first that fails."""
    inputs: list[InputReport] = []
    """Each of the recorded inputs that was judged."""
    unprobed: UnprobedReport | None = None
    given: GivenReport | None = None
    """Of a file of tensors; None of a runner that ran here."""
    error: Paragraph | None = None
    """Why it failed to run the model, if it did; every output is then missing."""
    other_kinds: dict[Line, Paragraph] = {}
    """Of the file of a candidate in lower precision: outputs whose weights are of another kind of number than most, in
    words. That fails nothing."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def largest_error(self) -> LargestError | None:
        """Where the largest error that could be measured was introduced; None where none could."""
        measured = ((each.name, each.introduced) for each in self.outputs)
        known = {name: error for name, error in measured if error is not None and math.isfinite(error)}
        worst = max(known, key=known.__getitem__, default=None)
        return None if worst is None else LargestError(output=worst, introduced=known[worst])

    @property
    def unproven(self) -> list[str]:
        """The outputs of which nothing is proven, with and without the probe's outputs."""
        outputs = [*self.outputs, *(self.unprobed.outputs if self.unprobed else ())]
        return list(dict.fromkeys(each.name for each in outputs if each.verdict is Verdict.UNPROVEN))

    def is_culprit(self, output: str) -> bool:
        """Return whether this output's operation is the culprit."""
        return self.culprit is not None and self.culprit.output == output

    def inherited_from(self, output: str) -> list[str]:
        """Return the outputs from which a wrong output may have its error: those before it that fail."""
        names = [each.name for each in self.outputs]
        before = self.outputs[: names.index(output)] if output in names else self.outputs
        return [each.name for each in before if each.failed]

    def joined(self, other: "RunnerReport | InputReport") -> "RunnerReport":
        """Return the report on one more recorded input: that of the first input that fails, with all inputs listed."""
        inputs = [*self.inputs, *(other.inputs if isinstance(other, RunnerReport) else [other])]
        shown = other if isinstance(other, RunnerReport) and other.verdict.fails and not self.verdict.fails else self
        return shown.model_copy(update={"inputs": inputs, "unprobed": shown.unprobed or self.unprobed})


class Reached(_Part):
    """What a result has of what `--goal` asks for."""

    runner: Line
    result: Line
    value: float
    """In the goal's unit; infinite where there is no error."""


class GoalReport(_Part):
    """Whether the results reach what `--goal` asks for."""

    goal: Line
    """`30.0 dB`, `top1 0.99`."""
    least: float
    reached: list[Reached]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def passed(self) -> bool:
        """Whether there is a result, and none is under the goal."""
        return bool(self.reached) and all(each.value >= self.least for each in self.reached)


class Unopened(_Part):
    """Why a runner could not be opened."""

    reason: Paragraph
    exit_code: int
    """The exit code of the command line if nothing else failed: 3 for an invalid file, 4 for a missing runtime."""


class Report(_Part):
    """What `verify --json` writes."""

    format_version: Literal[1] = 1
    headline: Paragraph
    environment: dict[Line, Line | int]
    outputs: tuple[Output, ...]
    """As the manifest lists them, so that a report can be read without the artifact."""
    results: list[Line] = []
    """Which of them the model itself returns; none where that isn't known."""
    runners: list[RunnerReport]
    left_out: dict[Line, Paragraph] = {}
    """Runners that can't work here, or not with this model, or would run a program that isn't trusted, each with the
    reason."""
    unopened: dict[Line, Unopened] = {}
    """Runners that were requested, or whose file the artifact has, and that could not be opened."""
    goal: GoalReport | None = None
    """Of `--goal`; None where none was given."""
    candidate: Candidate | None = None
    """What was found of the source in a file that is judged against another model."""
    untried: dict[Line, list[Line]] = {}
    """By output, what no recorded input exercises: a fault there would not show."""

    undefined: list[Line] = []
    """The model's results that are NaN or infinite throughout, in float64, on each recorded input: of these nothing was
    compared, and the verification fails."""

    def __repr__(self) -> str:
        return listing(self.headline, [f"{runner.name}: {runner.verdict}" for runner in self.runners])

    __str__ = __repr__

    def _repr_html_(self) -> str:
        shown: str = load("runtime.notebook.report_frame:report_html")(self)
        return shown

    @property
    def proven(self) -> bool:
        """Whether nothing is unproven in any runner."""
        return not any(runner.unproven for runner in self.runners)

    @property
    def passed(self) -> bool:
        """Whether every runner could be opened and passed, and a goal is met. Nothing is proven without runners, nor of
        a result without a finite value.
        """
        reached = self.goal is None or self.goal.passed
        failed = any(runner.verdict.fails for runner in self.runners)
        return bool(self.runners) and not self.unopened and not self.undefined and not failed and reached
