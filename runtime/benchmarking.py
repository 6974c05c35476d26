"""How long an artifact takes to run: the probe in each runner, and the plain model beside it."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from .artifact import Artifact
from .errors import UsageError
from .runners import open_runner
from .verification import choose_runners, describe_environment

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
    timings: list[Timing]


def benchmark(artifact: Artifact, runners: Sequence[str] = (), *, batch: int = 1, repeats: int = 50) -> BenchmarkReport:
    """Time each runner and the plain ONNX model, in turns, so that a noisy moment of the machine meets them all.

    Args:
        artifact: what `open_artifact` gave.
        runners: names, as in `RUNNERS`; by default those that work on this machine.
        batch: images at once.
        repeats: timed runs of each.

    Raises:
        UsageError: there is no such runner, or the model has a fixed batch of another size.
        RunnerUnavailable: a runner asked for by name can't work here.
    """
    opened = {name: open_runner(artifact, name) for name in choose_runners(runners)[0]}
    inputs = _noise(artifact, batch)
    ways: dict[str, Callable[[], object]] = {
        name: lambda runner=runner: runner.run(inputs)  # type: ignore[misc]
        for name, runner in opened.items()
    }
    if "onnx-cpu" in ways:
        ways["onnx-cpu, plain"] = _plain_way(artifact, inputs)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for round_number in range(_WARM_UP + repeats):
        for name, run in ways.items():
            started = time.perf_counter()
            run()
            if round_number >= _WARM_UP:
                seconds[name].append(time.perf_counter() - started)
    return BenchmarkReport(
        environment=describe_environment(artifact),
        timings=[_summarise(name, batch, times) for name, times in seconds.items()],
    )


def _noise(artifact: Artifact, batch: int) -> dict[str, NDArray[Any]]:
    generator = np.random.default_rng(0)
    inputs: dict[str, NDArray[Any]] = {}
    for entry in artifact.manifest.inputs:
        if isinstance(entry.shape[0], int) and entry.shape[0] != batch:
            raise UsageError(
                f"{artifact.manifest.model} takes a batch of {entry.shape[0]} only: --batch {batch} can't."
            )
        shape = [batch if isinstance(size, str) else size for size in entry.shape]
        inputs[entry.name] = generator.standard_normal(shape).astype(entry.dtype)
    return inputs


def _plain_way(artifact: Artifact, inputs: dict[str, NDArray[Any]]) -> Callable[[], object]:
    import onnxruntime

    from .plain_model import plain_onnx

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(plain_onnx(artifact), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, inputs)


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
