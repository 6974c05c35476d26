"""How long an artifact takes to run: the full probe, the averaged one and the plain model, in turn, in each runner."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from ..artifact.errors import UsageError
from ..artifact.folder import Artifact, open_artifact
from ..artifact.manifest import fixed_batch, leading_input
from ..runners.machine import Facts, describe_environment, gpu_bytes_used
from ..runners.memory_need import refuse_too_large
from ..runners.peak_memory import PeakMemory, hand_memory_back
from ..runners.registry import choose_runners, none_left, open_or_leave_out, open_runner
from ..runners.settings import DEFAULT_SETTINGS, Settings

__all__ = ["BENCHMARK_MARK", "BenchmarkReport", "Ratio", "Timing", "Variant", "benchmark"]

BENCHMARK_MARK = '"timings"'
"""What each report has near its start: another JSON file is not replaced by one."""

Variant = Literal["plain", "averaged", "full"]
"""The model with only its own results, with a map for each output, and with every output."""

_STEADY = 0.05
"""Warm-up ends when the medians of the last rounds and of those before differ by less than this share."""
_WINDOW = 3
_MOST_WARM_UP = 30
_TELLING = 0.10
"""A ratio whose interval is wider than this share of it is inconclusive."""


class Timing(BaseModel):
    """Latency of one variant in one runner over all repeats: only computing, inputs and outputs stay in place."""

    name: str
    """`onnx-cpu` for the full probe, else `onnx-cpu, plain` or `onnx-cpu, averaged`."""
    runner: str
    variant: Variant
    batch: int
    repeats: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    mean_ms: float
    mean_interval_ms: tuple[float, float]
    """The mean's 95 % confidence interval."""
    images_per_second: float
    """At the median."""
    transfer_ms: float | None = None
    """Median time to copy the outputs from the GPU's memory; None on the CPU, where nothing is copied."""
    peak_mb: float | None = None
    """Peak memory of opening it and of the first run; None where the system doesn't report it."""
    gpu_mb: float | None = None
    """The GPU memory that they took, freed memory included, which isn't returned; None on the CPU."""


class Ratio(BaseModel):
    """A variant's time as a multiple of the plain model's: the median over the rounds, in each of which both ran."""

    runner: str
    variant: Variant
    batch: int
    ratio: float
    interval: tuple[float, float]
    """The median's 95 % confidence interval."""

    @property
    def telling(self) -> bool:
        """Whether the machine was quiet enough for a conclusive ratio."""
        return self.interval[1] - self.interval[0] <= _TELLING * self.ratio


class BenchmarkReport(BaseModel):
    """What `bench --json` writes."""

    format_version: int = 1
    environment: dict[str, str | int]
    facts: dict[str, Facts] = {}
    """By runner, what may explain its numbers: versions, device, settings."""
    timings: list[Timing]
    ratios: list[Ratio] = []
    left_out: dict[str, str] = {}
    """Runners that don't work here, or not with this model, or would run a program that isn't trusted, each with the
    reason."""


@dataclass
class _Way:
    runner: str
    variant: Variant
    run: Callable[[], object]
    fetch: Callable[[], object] | None
    peak_mb: float | None
    gpu_mb: float | None
    seconds: list[float] = field(default_factory=list)
    transfers: list[float] = field(default_factory=list)

    def time_once(self) -> None:
        started = time.perf_counter()
        self.run()
        self.seconds.append(time.perf_counter() - started)
        if self.fetch is not None:
            started = time.perf_counter()
            self.fetch()
            self.transfers.append(time.perf_counter() - started)


def benchmark(
    artifact: Artifact | str | Path,
    runners: Sequence[str] = (),
    *,
    batches: Sequence[int] = (1,),
    repeats: int = 50,
    settings: Settings = DEFAULT_SETTINGS,
    trust: bool = False,
    on_phase: Callable[[str], None] = lambda phase: None,  # noqa: ARG005
) -> BenchmarkReport:
    """Time the variants in turn, so that a noisy moment of the machine affects them all.

    Args:
        artifact: an open artifact or its path. Its averaged probe is timed as well, if there is one.
        runners: names, as in `RUNNERS`, or `all`; by default those of `DEFAULT_RUNNERS` that work on this machine.
        batches: batch sizes.
        repeats: timed runs per variant, after a warm-up that lasts until the times are steady.
        settings: how to run.
        trust: also run the artifact's programs (TorchScript, torch.export, the live model) where they are not requested
            by name; they can do whatever you can.
        on_phase: called with the name of each phase as it starts.

    Raises:
        UsageError: a runner doesn't exist, the model has a fixed batch of another size, or a batch doesn't fit into
            the free memory.
        RunnerUnavailable: a runner requested by name doesn't work here.
    """
    artifact = open_artifact(artifact)
    for batch in batches:
        refuse_too_large(artifact.manifest, batch)
    inputs = {batch: _inputs(artifact, batch) for batch in dict.fromkeys(batches)}
    chosen, left_out = choose_runners(runners)
    facts: dict[str, Facts] = {}
    timings: list[Timing] = []
    ratios: list[Ratio] = []
    for name in chosen:
        # Opened once first, so that its imports count towards no variant.
        probe = open_or_leave_out(artifact, name, runners, left_out, settings, trust=trust)
        if probe is None:
            continue
        facts[name] = probe.facts
        variants = _variants(artifact, probe.file)
        on_gpu = not probe.providers[0].lower().startswith(("cpu", "wasm"))
        del probe
        # Reopened for each batch, so that memory kept from a larger batch doesn't count towards another.
        for batch, arrays in inputs.items():
            on_phase(f"opening {name}, batch {batch}")
            ways = [_open(artifact, name, variant, settings, arrays, on_gpu) for variant in variants]
            _warm_up(ways, lambda step, name=name, batch=batch: on_phase(f"{name}, batch {batch}: {step}"))  # type: ignore[misc]
            for number in range(repeats):
                on_phase(f"{name}, batch {batch}: round {number + 1} of {repeats}")
                for way in ways:
                    way.time_once()
            timings += [_summarise(way, batch) for way in ways]
            ratios += [_compare(way, ways[0], batch) for way in ways[1:]]
            del ways
    if not timings:
        raise none_left(left_out)
    return BenchmarkReport(
        environment=describe_environment(artifact), facts=facts, timings=timings, ratios=ratios, left_out=left_out
    )


def _variants(artifact: Artifact, file: str | None) -> list[Variant]:
    """Return the variants of an artifact that can be timed in a runner that executes `file`."""
    if artifact.is_averaged:
        return ["plain", "averaged"]
    maps = artifact.averaged()
    return ["plain", "averaged", "full"] if maps and file not in maps.manifest.left_out else ["plain", "full"]


def _open(
    artifact: Artifact,
    name: str,
    variant: Variant,
    settings: Settings,
    inputs: dict[str, NDArray[Any]],
    on_gpu: bool,
) -> _Way:
    """Open a variant and run it once."""
    hand_memory_back()
    gpu_before = gpu_bytes_used() if on_gpu else None
    peak = PeakMemory()
    maps = artifact.averaged() if variant == "averaged" else None
    outputs = artifact.manifest.result_names if variant == "plain" else None
    runner = open_runner(maps or artifact, name, settings, outputs)
    bound = runner.bind(inputs)
    peak_mb = None if runner.elsewhere else peak.megabytes()
    gpu_after = gpu_bytes_used() if on_gpu else None
    return _Way(
        runner=runner.name,
        variant=variant,
        run=bound.run,
        fetch=bound.arrays if bound.on_device else None,
        peak_mb=peak_mb,
        gpu_mb=None if gpu_before is None or gpu_after is None else max(0, gpu_after - gpu_before) / 1e6,
    )


def _warm_up(ways: Sequence[_Way], on_phase: Callable[[str], None]) -> None:
    """Run all in turn until none of them gets faster or slower."""
    for number in range(_MOST_WARM_UP):
        on_phase(f"warming up, round {number + 1}")
        for way in ways:
            way.time_once()
        if number + 1 >= 2 * _WINDOW and all(_is_steady(way.seconds) for way in ways):
            break
    for way in ways:
        way.seconds.clear()
        way.transfers.clear()


def _is_steady(seconds: Sequence[float]) -> bool:
    before, last = (statistics.median(part) for part in (seconds[-2 * _WINDOW : -_WINDOW], seconds[-_WINDOW:]))
    return abs(last - before) <= _STEADY * before


def _inputs(artifact: Artifact, batch: int) -> dict[str, NDArray[Any]]:
    """Return the recorded input, its images repeated up to `batch`; for a lone model file, which has none, noise, and 0
    for what may be an index: any table has that entry.
    """
    manifest = artifact.manifest
    recorded = {} if artifact.path.is_file() else artifact.reference().inputs
    generator = np.random.default_rng(0)
    inputs: dict[str, NDArray[Any]] = {}
    fixed = fixed_batch(manifest.inputs)
    if fixed not in (None, batch):
        raise UsageError(f"{manifest.model} takes only a batch of {fixed}, not --batch {batch}.")
    leading = leading_input([entry.shape for entry in manifest.inputs])
    for index, entry in enumerate(manifest.inputs):
        if entry.name in recorded:
            one = recorded[entry.name]
            inputs[entry.name] = one[np.arange(batch) % len(one)] if entry.shape[:1] == ("N",) else one
        else:
            sizes = manifest.sizes(batch)
            shape = [sizes.get(size, 1) if isinstance(size, str) else size for size in entry.shape]
            dtype = np.dtype("float32" if entry.dtype == "bfloat16" else entry.dtype)
            feature = dtype.kind == "f" and (index == leading or len(shape) > 2)
            inputs[entry.name] = np.asarray(generator.standard_normal(shape) if feature else np.zeros(shape), dtype)
    return inputs


def _summarise(way: _Way, batch: int) -> Timing:
    p50, p90, p99 = (float(value) * 1000 for value in np.percentile(way.seconds, [50, 90, 99]))
    mean = statistics.fmean(way.seconds) * 1000
    # 95 % of a normal distribution; too narrow for few repeats.
    deviation = statistics.stdev(way.seconds) * 1000 if len(way.seconds) > 1 else 0.0
    margin = 1.96 * deviation / len(way.seconds) ** 0.5
    return Timing(
        name=way.runner if way.variant == "full" else f"{way.runner}, {way.variant}",
        runner=way.runner,
        variant=way.variant,
        batch=batch,
        repeats=len(way.seconds),
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        mean_ms=mean,
        mean_interval_ms=(mean - margin, mean + margin),
        images_per_second=batch * 1000 / p50,
        transfer_ms=statistics.median(way.transfers) * 1000 if way.transfers else None,
        peak_mb=way.peak_mb,
        gpu_mb=way.gpu_mb,
    )


def _compare(way: _Way, plain: _Way, batch: int) -> Ratio:
    """Compare round by round: a slowdown of the machine affects both."""
    ratios = sorted(one / other for one, other in zip(way.seconds, plain.seconds, strict=True))
    # The number of values below the median is binomial; this is its normal approximation.
    reach = 0.98 * len(ratios) ** 0.5
    low = max(0, int(len(ratios) / 2 - reach))
    high = min(len(ratios) - 1, int(len(ratios) / 2 + reach))
    return Ratio(
        runner=way.runner,
        variant=way.variant,
        batch=batch,
        ratio=statistics.median(ratios),
        interval=(ratios[low], ratios[high]),
    )
