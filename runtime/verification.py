"""artifact -> report: each runner's outputs against the float64 truth. How the report is shown is `report_table.py`."""

import contextlib
import ctypes
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version

from pydantic import BaseModel

from .artifact import Artifact
from .comparison import OutputComparison, Verdict, compare_output
from .device_facts import Facts
from .errors import RunnerUnavailable, first_line
from .manifest import Manifest
from .reference import Reference
from .runners import DEFAULT_RUNNERS, RUNNERS, Runner, open_runner, why_unavailable
from .settings import DEFAULT_SETTINGS, Settings

__all__ = [
    "Report",
    "RunnerReport",
    "choose_runners",
    "describe_environment",
    "none_left",
    "open_or_leave_out",
    "verify",
]


class RunnerReport(BaseModel):
    """What came of one runner. Its verdict is that of the first output, in the order of execution, that fails."""

    name: str
    verdict: Verdict
    first_drifting: str | None
    """The first output, in the order of execution, that doesn't pass."""
    providers: list[str]
    misplaced: list[str]
    """Compute nodes that ran elsewhere than asked."""
    facts: Facts = {}
    """What may explain a drift, as the runtime tells it: versions, device, precision, settings."""
    outputs: list[OutputComparison]


class Report(BaseModel):
    """What `verify --json` writes."""

    format_version: int = 1
    environment: dict[str, str | int]
    runners: list[RunnerReport]
    left_out: dict[str, str] = {}
    """Runners that can't work here, or not with this model, each with the reason."""

    @property
    def passed(self) -> bool:
        """Whether every runner passed; a report without runners proves nothing and does not pass."""
        return bool(self.runners) and all(runner.verdict == "pass" for runner in self.runners)


def choose_runners(names: Sequence[str] = ()) -> tuple[list[str], dict[str, str]]:
    """Return the runners to use, in the order of `RUNNERS`, and those left out, each with the reason.

    Args:
        names: runners asked for by name, each of which is then used or an error; `all` means those that work on this
            machine, and none, those of `DEFAULT_RUNNERS` that do.

    Raises:
        UsageError: there is no runner of that name.
    """
    for name in names:
        if name != "all":
            why_unavailable(name)
    if names and "all" not in names:
        # In one order: ONNX Runtime after PyTorch peaks 300 MB higher on a ResNet-152, as PyTorch keeps what it freed.
        return [name for name in RUNNERS if name in names], {}
    reasons = {name: why_unavailable(name) for name in (RUNNERS if names else DEFAULT_RUNNERS)}
    return [name for name, why in reasons.items() if why is None], {name: why for name, why in reasons.items() if why}


def open_or_leave_out(
    artifact: Artifact,
    name: str,
    asked: Sequence[str],
    left_out: dict[str, str],
    settings: Settings = DEFAULT_SETTINGS,
) -> Runner | None:
    """Return the runner, opened; or None where it can't run this very model, after noting the reason in `left_out`.

    Raises:
        RunnerUnavailable: it can't, and was asked for by name.
    """
    try:
        return open_runner(artifact, name, settings)
    except RunnerUnavailable as error:
        if name in asked:
            raise
        left_out[name] = first_line(error)
        return None


def none_left(left_out: dict[str, str]) -> RunnerUnavailable:
    """Return the error that tells why no runner at all can run the model."""
    return RunnerUnavailable("No runner can run this: " + "; ".join(left_out.values()))


def verify(
    artifact: Artifact,
    runners: Sequence[str] = (),
    *,
    settings: Settings = DEFAULT_SETTINGS,
    allow_fallback: bool = False,
    on_phase: Callable[[str], None] = lambda phase: None,  # noqa: ARG005
) -> Report:
    """Run the recorded input in each runner and judge every output.

    Args:
        artifact: what `open_artifact` gave.
        runners: names, as in `RUNNERS`, or `all`; by default those of `DEFAULT_RUNNERS` that work on this machine.
        settings: how to run.
        allow_fallback: let a runner pass some of whose compute nodes ran elsewhere than asked.
        on_phase: called with the name of each phase as it starts.

    Raises:
        UsageError: there is no runner of that name.
        RunnerUnavailable: a runner asked for by name can't work here, or none can.
        ArtifactError: a file of the artifact is missing, altered or invalid.
    """
    reference = artifact.reference()
    chosen, left_out = choose_runners(runners)
    reports = []
    for name in chosen:
        on_phase(f"running {name}")
        runner = open_or_leave_out(artifact, name, runners, left_out, settings)
        if runner is None:
            continue
        reports.append(_judge(artifact.manifest, reference, runner, allow_fallback))
        # Before the next one is opened: the weights of two would be in memory at once.
        del runner
        _hand_memory_back()
    if not reports:
        raise none_left(left_out)
    return Report(environment=describe_environment(artifact), runners=reports, left_out=left_out)


def _judge(manifest: Manifest, reference: Reference, runner: Runner, allow_fallback: bool) -> RunnerReport:
    arrays = runner.run(reference.inputs)
    dtypes = {output.name: output.dtype for output in manifest.outputs}
    outputs = [compare_output(name, truth, arrays.get(name), dtypes[name]) for name, truth in reference.truths.items()]
    failed = [output for output in outputs if output.verdict != "pass"]
    misplaced = runner.misplaced and not allow_fallback
    verdict: Verdict = failed[0].verdict if failed else "placement" if misplaced else "pass"
    return RunnerReport(
        name=runner.name,
        verdict=verdict,
        first_drifting=failed[0].name if failed else None,
        providers=runner.providers,
        misplaced=runner.misplaced,
        facts=runner.facts,
        outputs=outputs,
    )


def _hand_memory_back() -> None:
    """Give the system what was freed: glibc keeps most of it, and the next runner's memory would come on top."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # a libc without it
            ctypes.CDLL(None).malloc_trim(0)


def describe_environment(artifact: Artifact) -> dict[str, str | int]:
    """Return what may explain a difference: versions, machine, and when."""
    facts: dict[str, str | int] = {
        "model": artifact.manifest.model,
        "exported_with_torch": artifact.manifest.versions.torch,
        "opset": artifact.manifest.versions.opset,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpu_count": os.cpu_count() or 0,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    for package in ("layerprobe", "numpy", "onnxruntime-gpu", "onnxruntime", "torch"):
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            continue
    return facts
