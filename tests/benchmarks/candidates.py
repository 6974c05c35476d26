"""`make bench`: how long `verify theirs.onnx --against SOURCE` takes, and how much memory.

The file is what torch.onnx makes of a model with its batch norms folded, and the source each kind that there is. Not a
test: nothing here asserts a time.
"""

import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from benchmarks.page import describe_machine, write_section
from benchmarks.timing import interleave
from export import export_artifact
from probe import build_probe, load_model
from runtime import Artifact, open_artifact
from runtime.model_source import opened_candidate, opened_source
from runtime.verdict.verification import verify

BARS = {"resnet18": 3.0, "resnet50": 8.0}
"""Seconds in process, warm, against an artifact, on two cores."""
MODULES_ALLOWANCE_MB = 500
ROUNDS = 3


def rows_of(name: str, folder: Path) -> Iterator[str]:
    """Yield the rows of a torchvision model."""
    model, image = load_model(f"torchvision:{name}").module.eval(), torch.zeros(1, 3, 224, 224)
    file, unfolded = folder / f"{name}.onnx", folder / f"{name}-unfolded.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (image,), file, dynamo=False, opset_version=17)
        torch.onnx.export(
            model,
            (image,),
            unfolded,
            dynamo=False,
            opset_version=17,
            do_constant_folding=False,
            training=torch.onnx.TrainingMode.PRESERVE,
        )
    artifact = open_artifact(export_artifact(build_probe(model, image), folder / name))
    wall = _median(lambda: _verified(file, artifact), time.perf_counter)
    cpu = _median(lambda: _verified(file, artifact), time.process_time)
    reached = "yes" if wall <= BARS[name] else "no"
    yield f"{name}: an artifact, in process, warm | {wall:.1f} s ({cpu:.1f} s of CPU) | {BARS[name]:.0f} s | {reached}"
    tensors = (2 * artifact.reference().elements * 4 + 2 * file.stat().st_size) / 1e6
    bar = tensors + MODULES_ALLOWANCE_MB
    for kind, source in (
        ("an artifact", artifact.path),
        ("an ONNX file", unfolded),
        ("the PyTorch model", f"torchvision:{name}"),
    ):
        seconds, peak = _command("verify", file, "--against", source, "-q")
        said = f"{bar:.0f} MB | {'yes' if peak <= bar else 'no'}" if source is artifact.path else " | "
        yield f"{name}: {kind}, the whole command | {seconds:.1f} s, peak {peak:.0f} MB | {said}"


def _verified(file: Path, artifact: Artifact) -> None:
    with opened_source(str(artifact.path)) as source, opened_candidate(file, source) as (candidate, right_values):
        assert verify(candidate, right_values=right_values).passed


def _median(way: Callable[[], object], clock: Callable[[], float]) -> float:
    return statistics.median(interleave({"": way}, ROUNDS, clock=clock)[""])


_COMMAND = """
import sys
from runtime.main import main
from runtime.runners.peak_memory import memory_bytes
try:
    main(sys.argv[1:])
except SystemExit as stop:
    assert not stop.code
print(memory_bytes("VmHWM"))
"""
"""It tells its own peak: the system counts that of the process that started it, too."""


def _command(*arguments: object) -> tuple[float, float]:
    """Return the seconds and the peak memory in MB of a command in a new process."""
    begun = time.perf_counter()
    command = [sys.executable, "-c", _COMMAND, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return time.perf_counter() - begun, int(done.stdout.split()[-1]) / 1e6


def section(rows: list[str]) -> str:
    """Return the section of the page."""
    return "\n".join(
        [
            "# A file against its source",
            "",
            f"Measured by `make bench` on {time.strftime('%Y-%m-%d')}: {describe_machine()}.",
            "`layerprobe verify theirs.onnx --against SOURCE` at 224 x 224, by the runners that are usual. The file",
            "is torch.onnx's (opset 17), with its batch norms folded. In process, medians; a source that is no",
            "artifact is first made one. The memory allowed is that of both models' tensors and weights, and 500 MB.",
            "",
            "| what | measured | bar | reached |",
            "| --- | --- | --- | --- |",
            *(f"| {row} |" for row in rows),
            "",
        ]
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        text = section([row for name in BARS for row in rows_of(name, Path(temporary))])
    print(text)
    if len(sys.argv) > 1:
        write_section(Path(sys.argv[1]), text)
