"""What verification and comparison report, as data: the contract of `verify --json`. How it is shown is elsewhere."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from ..artifact.manifest import OutputEntry
from ..runners.machine import Facts
from .ort_fusions import Fusion
from .output_verdict import OutputComparison, Verdict

__all__ = ["Cause", "Culprit", "OutputFacts", "Report", "RunnerReport", "UnprobedReport", "facts_of"]


Cause = Literal["export", "runtime", "unknown"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class OutputFacts(_Part):
    """What the manifest says of an output, so that a report can be read without the artifact."""

    name: str
    label: str
    operation: str
    module_path: str
    source: str | None
    """`file.py:12`"""
    shape: list[int | str]
    dtype: str
    layout: str


class Culprit(_Part):
    """The operation that brought in the largest error of a runner, whether or not it failed."""

    output: str
    cause: Cause
    """`export`: the ONNX file already says something else than the model. `runtime`: the file is right."""
    introduced: float | None
    or_one_of: list[str] = []
    """Operations before it that are no outputs of the artifact, so that they can't be told from it."""
    only_unprobed: bool = False
    """The probe is right; where this isn't asked for, the model's results are wrong, by a fusion across it.
    `introduced` is then what the first of them is off by."""


class UnprobedReport(_Part):
    """What came of the same model with only its own results as outputs, which a runtime may fuse as it likes."""

    outputs: list[OutputComparison]
    """The model's results against the float64 truth."""
    difference: float | None
    """The largest difference between probed and unprobed results, in multiples of the noise floor."""
    prevented: list[Fusion] | None
    """Fusions that happen here and not in the probe; None where the runtime doesn't tell."""
    error: str | None = None
    """Why the runner could not run the model without the probe's outputs, if it couldn't: its results are missing."""


class RunnerReport(_Part):
    """What came of one runner. Its verdict is that of the first output, in the order of execution, that fails."""

    name: str
    verdict: Verdict
    first_drifting: str | None
    """The first output, in the order of execution, that doesn't pass."""
    culprit: Culprit | None
    providers: list[str]
    misplaced: list[str]
    """Compute nodes that ran elsewhere than asked."""
    facts: Facts
    """What may explain a drift: versions, device, settings, as the runtime tells them."""
    outputs: list[OutputComparison]
    unprobed: UnprobedReport | None = None
    error: str | None = None
    """Why it failed to run the model, if it did: then no output is there."""


class Report(_Part):
    """What `verify --json` writes."""

    format_version: Literal[1] = 1
    headline: str
    environment: dict[str, str | int]
    outputs: list[OutputFacts]
    runners: list[RunnerReport]
    left_out: dict[str, str] = {}
    """Runners that can't work here, or not with this model, each with the reason."""

    @property
    def passed(self) -> bool:
        """Whether every runner passed; a report without runners proves nothing and does not pass."""
        return bool(self.runners) and all(runner.verdict == "pass" for runner in self.runners)


def facts_of(output: OutputEntry) -> OutputFacts:
    """Return what a report says of an output that isn't a result."""
    source = f"{output.source_file}:{output.source_line}" if output.source_file else None
    return OutputFacts(source=source, **output.model_dump(include=set(OutputFacts.model_fields) - {"source"}))
