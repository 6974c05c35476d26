"""How long an artifact takes to run: the probe in each runner, and the plain model beside it."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from .artifact import Artifact
from .device_facts import Facts
from .environment import describe_environment
from .errors import UsageError
from .runner_choice import choose_runners, none_left, open_or_leave_out
from .runners import open_runner
from .settings import DEFAULT_SETTINGS, Settings

__all__ = ["BenchmarkReport", "Timing", "benchmark"]

_WARM_UP = 5


class Timing(BaseModel):
    """Latency of one way to run the model, over all repeats."""

    name: str
    """A runner's name, or `onnx-cpu, plain`: the model without the probe's extra outputs."""
    batch: int
    repeats: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    mean_ms: float
    images_per_second: float
    """At the median."""


class BenchmarkReport(BaseModel):
    """What `bench --json` writes."""

    format_version: int = 1
    environment: dict[str, str | int]
    facts: dict[str, Facts] = {}
    """Of each runner, what may explain its numbers: versions, device, settings."""
    timings: list[Timing]
    left_out: dict[str, str] = {}
    """Runners that can't work here, or not with this model, each with the reason."""


def benchmark(
    artifact: Artifact,
    runners: Sequence[str] = (),
    *,
    batch: int = 1,
    repeats: int = 50,
    settings: Settings = DEFAULT_SETTINGS,
    on_phase: Callable[[str], None] = lambda phase: None,  # noqa: ARG005
) -> BenchmarkReport:
    """Time each runner and the plain ONNX model, in turns, so that a noisy moment of the machine meets them all.

    Args:
        artifact: what `open_artifact` gave.
        runners: names, as in `RUNNERS`, or `all`; by default those of `DEFAULT_RUNNERS` that work on this machine.
        batch: images at once.
        repeats: timed runs of each.
        settings: how to run.
        on_phase: called with the name of each phase as it starts.

    Raises:
        UsageError: there is no such runner, or the model has a fixed batch of another size.
        RunnerUnavailable: a runner asked for by name can't work here.
    """
    chosen, left_out = choose_runners(runners)
    tried = {name: open_or_leave_out(artifact, name, runners, left_out, settings) for name in chosen}
    opened = {name: runner for name, runner in tried.items() if runner is not None}
    if not opened:
        raise none_left(left_out)
    inputs = _inputs(artifact, batch)
    ways: dict[str, Callable[[], object]] = {
        name: lambda runner=runner: runner.run(inputs)  # type: ignore[misc]
        for name, runner in opened.items()
    }
    if "onnx-cpu" in ways:
        plain = open_runner(artifact, "onnx-cpu", settings, artifact.manifest.result_names)
        ways["onnx-cpu, plain"] = lambda: plain.run(inputs)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for round_number in range(_WARM_UP + repeats):
        on_phase(f"round {round_number + 1} of {_WARM_UP + repeats}")
        for name, run in ways.items():
            started = time.perf_counter()
            run()
            if round_number >= _WARM_UP:
                seconds[name].append(time.perf_counter() - started)
    return BenchmarkReport(
        environment=describe_environment(artifact),
        facts={name: runner.facts for name, runner in opened.items()},
        timings=[_summarise(name, batch, times) for name, times in seconds.items()],
        left_out=left_out,
    )


def _inputs(artifact: Artifact, batch: int) -> dict[str, NDArray[Any]]:
    """Return the recorded input, as often as asked for; noise for a lone model file, which has none."""
    manifest = artifact.manifest
    recorded = {} if artifact.path.is_file() else artifact.reference().inputs
    generator = np.random.default_rng(0)
    inputs: dict[str, NDArray[Any]] = {}
    # Beside an open batch, another input's first axis is something else: that of a table, or of a factor a channel.
    fixed = manifest.inputs[0].shape[0]
    if fixed != batch and not any(entry.shape[0] == "N" for entry in manifest.inputs):
        raise UsageError(f"{manifest.model} takes a batch of {fixed} only: --batch {batch} can't.")
    for entry in manifest.inputs:
        if entry.name in recorded:
            one = recorded[entry.name]
            inputs[entry.name] = np.repeat(one[:1], batch, axis=0) if entry.shape[0] == "N" else one
        else:
            # An open height and width are those of the preprocessing.
            crop = manifest.preprocessing.crop if manifest.preprocessing else (224, 224)
            sizes = {"N": batch, "H": crop[0], "W": crop[1]}
            shape = [sizes.get(size, 1) if isinstance(size, str) else size for size in entry.shape]
            noise = generator.standard_normal(shape)
            inputs[entry.name] = noise.astype("float32" if entry.dtype.startswith("bfloat") else entry.dtype)
    return inputs


def _summarise(name: str, batch: int, seconds: list[float]) -> Timing:
    p50, p90, p99 = (float(value) * 1000 for value in np.percentile(seconds, [50, 90, 99]))
    return Timing(
        name=name,
        batch=batch,
        repeats=len(seconds),
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        mean_ms=float(np.mean(seconds)) * 1000,
        images_per_second=batch * 1000 / p50,
    )
