"""`make bench`: whether building, export and verification of large models stay within their bars of time and memory.

    python -m benchmarks.large_models artifacts/benchmarks.md  # all, into a section of the page
    python -m benchmarks.large_models --one measure_building  # one measurement, as JSON

Not a test: nothing is asserted, the section shows what was reached. Each measurement runs in a fresh process, started
by a small one that imports nothing large. Times are CPU seconds in one thread: other load on the machine hardly
lengthens them, while it makes wall-clock seconds meaningless.
"""

import contextlib
import io
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.page import describe_machine, write_section
from benchmarks.timing import interleave

if TYPE_CHECKING:
    from torch import nn

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}
"""In which a process of its own finds `benchmarks` and `proofs`, as this one does."""
IMAGE = (3, 224, 224)
SMALL_IMAGE = (3, 64, 64)
CHAIN_LENGTHS = (500, 1000, 2000)
MODULES_ALLOWANCE_BYTES = 500_000_000
"""What `verify` may take beside outputs and weights: Python, NumPy, ONNX Runtime and PyTorch."""
PROBE_ALLOWANCE_BYTES = 50_000_000


@dataclass(frozen=True)
class Finding:
    """One line of the section."""

    what: str
    measured: str
    bar: str = ""
    reached: bool | None = None
    """None where there is no bar: shown to explain the others."""


def measure_building() -> list[Finding]:
    """Time `build_probe` per node, for two networks and for chains."""
    import torch

    from probe import build_probe, load_model
    from probe.build import Capture

    torch.set_num_threads(1)

    def per_node(models: dict[str, "nn.Module"], shape: tuple[int, ...], capture: Capture, rounds: int) -> list[float]:
        """Return the milliseconds per named node of each model."""

        def building(model: "nn.Module") -> Callable[[], object]:
            return lambda: build_probe(model, torch.zeros(1, *shape), capture=capture)

        seconds = interleave({name: building(model) for name, model in models.items()}, rounds, clock=time.process_time)
        nodes = {}
        for name, model in models.items():
            probe = build_probe(model, torch.zeros(1, *shape), capture=capture)
            nodes[name] = len(probe.outputs) + len(probe.skipped)
        return [statistics.median(times) * 1000 / nodes[name] for name, times in seconds.items()]

    networks = {name: load_model(f"torchvision:{name}").module for name in ("resnet50", "densenet201")}
    findings = []
    ways: tuple[tuple[Capture, tuple[int, int, int], int], ...] = (
        ("trace", IMAGE, 5),
        ("trace", SMALL_IMAGE, 5),
        ("export", IMAGE, 3),
        ("export", SMALL_IMAGE, 3),
    )
    for capture, shape, rounds in ways:
        small, large = per_node(networks, shape, capture, rounds)
        findings.append(
            Finding(
                f"building, capture={capture}, {shape[1]} x {shape[2]}: densenet201 a node, against resnet50",
                f"{large / small:.2f} times ({large:.2f} against {small:.2f} ms)",
                "at most 1.5 times",
                large <= 1.5 * small,
            )
        )
    chains = {str(length): _chain(length) for length in CHAIN_LENGTHS}
    times = ", ".join(f"{each:.2f}" for each in per_node(chains, (4, 8, 8), "trace", 3))
    lengths = ", ".join(map(str, CHAIN_LENGTHS))
    findings.append(Finding(f"building a chain of {lengths} nodes, capture=trace: a node", f"{times} ms"))
    return findings


def _chain(length: int) -> "nn.Module":
    from torch import nn

    return nn.Sequential(*(nn.ReLU() if index % 2 else nn.Conv2d(4, 4, 1) for index in range(length)))


def measure_export(folder: str) -> list[Finding]:
    """Time the export of resnet50 with all outputs, against PyTorch's own of the plain model."""
    import onnx_ir as ir
    import torch

    from export import export_artifact
    from export.onnx_conversion import to_onnx
    from probe import build_probe, load_model

    torch.set_num_threads(1)
    model = load_model("torchvision:resnet50").module.eval()
    probe = build_probe(model, torch.zeros(1, *IMAGE))

    def export_plainly() -> None:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            shapes = ({0: torch.export.Dim("N")},)
            program = torch.onnx.export(model, (torch.zeros(2, *IMAGE),), dynamo=True, dynamic_shapes=shapes)
            assert program is not None
            program.save(f"{folder}/plain.onnx")

    def export_from(make_probe: Callable[[], Any]) -> Callable[[], None]:
        return lambda: ir.save(to_onnx(make_probe()), f"{folder}/probe.onnx")

    ways = {
        "plain": export_plainly,
        "converting": export_from(lambda: probe),
        "all": export_from(lambda: build_probe(model, torch.zeros(1, *IMAGE))),
    }
    seconds = {name: statistics.median(times) for name, times in interleave(ways, 5, clock=time.process_time).items()}
    findings = [
        Finding(
            f"resnet50 to ONNX, all {len(probe.outputs)} outputs, {what}: against a plain torch.onnx.export",
            f"{seconds[way] / seconds['plain']:.2f} times ({seconds[way]:.2f} against {seconds['plain']:.2f} s)",
            "at most 1.5 times",
            seconds[way] <= 1.5 * seconds["plain"],
        )
        for way, what in (("converting", "from the probe to the file"), ("all", "building the probe included"))
    ]
    parts: dict[str, list[float]] = {}
    for number in range(4):
        marks: list[tuple[str, float]] = []
        export_artifact(
            probe,
            f"{folder}/artifact",
            overwrite=True,
            on_phase=lambda phase, marks=marks: marks.append((phase, time.process_time())),
        )
        marks.append(("", time.process_time()))
        for (phase, begin), (_, end) in pairwise(marks):
            parts.setdefault(phase, [])
            if number:
                parts[phase].append(end - begin)
    medians = {phase: statistics.median(times) for phase, times in parts.items()}
    phases = ", ".join(f"{phase} {median:.2f}" for phase, median in medians.items())
    findings.append(Finding("resnet50: the whole `export_artifact`", f"{sum(medians.values()):.2f} s: {phases}"))
    return findings


def measure_probe_memory(capture: Any) -> list[Finding]:
    """Measure how much memory the probe of a model of 500 MB of weights takes."""
    import torch
    from torch import nn

    from probe import build_probe
    from runtime.runners.peak_memory import PeakMemory, memory_bytes

    # The first probe of a process loads modules, which belong to no model.
    build_probe(nn.Linear(4, 4), torch.zeros(1, 4), capture=capture)
    model = nn.Sequential(*(nn.Linear(5800, 5800) for _ in range(4)))
    weights = sum(parameter.nbytes for parameter in model.parameters())
    measured = PeakMemory()
    before = memory_bytes("VmRSS")
    probe = build_probe(model, torch.zeros(1, 5800), capture=capture)
    peak_mb, after = measured.megabytes(), memory_bytes("VmRSS")
    assert probe.outputs
    assert peak_mb is not None
    assert before is not None
    assert after is not None
    more, peak = after - before, peak_mb * 1e6
    return [
        Finding(
            f"the probe of a model of {_mb(weights)} of weights, capture={capture}: memory more than before",
            f"{_mb(more)}, {_mb(peak)} at the peak",
            f"under {_mb(PROBE_ALLOWANCE_BYTES)}",
            peak < PROBE_ALLOWANCE_BYTES,
        )
    ]


def export_large(folder: str) -> int:
    """Write resnet152's artifact and return the bytes of its weights."""
    from export import export_artifact
    from probe import build_probe, load_model

    loaded = load_model("torchvision:resnet152")
    export_artifact(build_probe(loaded.module, *loaded.example), folder)
    return sum(parameter.nbytes for parameter in loaded.module.parameters())


def import_runners() -> None:
    """Import all that `verify` imports."""
    import runtime.runners.onnx
    import runtime.runners.torchscript
    import runtime.verdict.verification  # noqa: F401


def verify_large(folder: str, runners: str) -> int:
    """Only run `verify`, and return the bytes of the outputs, with a batch of 1 and in float32."""
    from runtime import open_artifact, verify

    artifact = open_artifact(folder)
    report = verify(artifact, runners.split())
    assert report.passed
    assert [runner.name for runner in report.runners] == runners.split()
    return sum(
        4 * math.prod(size if isinstance(size, int) else 1 for size in entry.shape)
        for entry in artifact.manifest.outputs
    )


def measure_verification(folder: Path) -> list[Finding]:
    """Measure the peak memory of processes that verify resnet152."""
    weights = run_apart(export_large, str(folder / "resnet152"))[0]
    findings = []
    for runners in ("onnx-cpu", "torchscript", "onnx-cpu torchscript"):
        outputs, peak = run_apart(verify_large, str(folder / "resnet152"), runners)
        bar = outputs + 2 * weights + MODULES_ALLOWANCE_BYTES
        findings.append(
            Finding(
                f"`verify` of resnet152 at {IMAGE[1]} x {IMAGE[2]} by {runners.replace(' ', ', then ')}: peak memory",
                _mb(peak),
                f"under {_mb(bar)}: outputs {_mb(outputs)}, twice the weights of {_mb(weights)}, "
                f"and {_mb(MODULES_ALLOWANCE_BYTES)}",
                peak < bar,
            )
        )
    return findings


def _mb(size_bytes: float) -> str:
    return f"{size_bytes / 1e6:.0f} MB"


def run_apart(measurement: Callable[..., object], *arguments: str) -> tuple[Any, int]:
    """Return a measurement's result, made in a process of its own, and the bytes of that process's peak memory.

    The peak is read after the process has ended: the destructors of PyTorch's libraries touch 120 MB of it. It is no
    less than the memory of this process, which therefore imports nothing large.
    """
    command = [sys.executable, "-W", "ignore", __file__, "--one", measurement.__name__, *arguments]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return json.loads(printed.splitlines()[-1]), usage.ru_maxrss * 1024


def measure_all(folder: Path) -> tuple[list[Finding], int]:
    """Return all findings, and the bytes that the imports alone take."""
    rows = [*run_apart(measure_building)[0], *run_apart(measure_export, str(folder))[0]]
    for capture in ("trace", "export"):
        rows += run_apart(measure_probe_memory, capture)[0]
    return [*(Finding(**row) for row in rows), *measure_verification(folder)], run_apart(import_runners)[1]


def report(findings: list[Finding], imports_bytes: int) -> str:
    lines = [
        "# Large models: time and memory",
        "",
        f"Measured by `make bench` on {time.strftime('%Y-%m-%d')}: {describe_machine()}.",
        "Times are CPU seconds in one thread, medians of 3 to 5 runs in turns after one that warms up. A node is one",
        "that has a name, whether or not it is an output. The memory of `verify` is that of a whole fresh process,",
        f"from its start to its end; one that only imports ONNX Runtime and PyTorch takes {_mb(imports_bytes)}.",
        "",
        "| what | measured | bar | reached |",
        "| --- | --- | --- | --- |",
    ]
    verdicts = {None: "", True: "yes", False: "**no**"}
    lines += [f"| {each.what} | {each.measured} | {each.bar} | {verdicts[each.reached]} |" for each in findings]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        found = globals()[sys.argv[2]](*sys.argv[3:])
        print(json.dumps([asdict(each) for each in found] if isinstance(found, list) else found))
    else:
        with tempfile.TemporaryDirectory(prefix="layerprobe-bench-") as temporary:
            text = report(*measure_all(Path(temporary)))
        print(text)
        if len(sys.argv) > 1:
            write_section(Path(sys.argv[1]), text)
