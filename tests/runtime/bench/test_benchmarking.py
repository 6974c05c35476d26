"""What `bench` measures, apart from time: which variants there are, and the memory that each takes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from export import export_artifact
from probe import build_probe, load_model
from runtime import open_artifact
from runtime.bench.benchmarking import benchmark
from runtime.runners.memory_need import bytes_of_batch
from runtime.runners.peak_memory import PeakMemory

MEGABYTE = 2**20


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact with an averaged probe beside the full one."""
    loaded = load_model("cnn2")
    return export_artifact(
        build_probe(loaded.module, *loaded.example), tmp_path_factory.mktemp("both") / "a", averaged=True
    )


def in_a_process_of_its_own(both: Path, file: Path, *options: str) -> dict[str, float]:
    """Return the peak of each variant, in a process that has freed no memory which the next variant might be given."""
    command = [sys.executable, "-m", "runtime", "bench", str(both), "--repeats", "1", "--json", str(file), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {each["variant"]: each["peak_mb"] for each in json.loads(file.read_text())["timings"]}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process its peak, and lets it set that back")
def test_the_peak_is_what_was_taken_since_it_began_and_not_what_is_left() -> None:
    torch.ones(64 * MEGABYTE)
    peak = PeakMemory()
    taken = torch.ones(64 * MEGABYTE // 4)
    del taken
    found = peak.megabytes()
    assert found is not None
    assert 60 < found < 80


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process its peak, and lets it set that back")
def test_the_full_probe_takes_its_tensors_more_than_the_plain_model_and_the_maps_take_less(
    both: Path, tmp_path: Path
) -> None:
    peaks = in_a_process_of_its_own(both, tmp_path / "b.json", "--runner", "onnx-cpu", "--batch", "16")
    # It is an estimate of twice the outputs.
    tensors = bytes_of_batch(open_artifact(both).manifest, 16) / 2 / 1e6
    assert peaks["full"] - peaks["plain"] > tensors / 2
    assert peaks["averaged"] - peaks["plain"] < tensors / 2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process its peak, and lets it set that back")
def test_no_variant_pays_for_what_a_runner_imports(both: Path, tmp_path: Path) -> None:
    peaks = in_a_process_of_its_own(both, tmp_path / "b.json", "--runner", "torchscript")
    # Torch alone takes twice as much.
    assert peaks["plain"] < 100


def test_a_runner_that_the_averaged_probe_has_no_file_for_is_timed_without_it(both: Path) -> None:
    report = benchmark(open_artifact(both), ["torch-export", "onnx-cpu"], repeats=1)
    assert [(each.runner, each.variant) for each in report.timings] == [
        *(("onnx-cpu", variant) for variant in ("plain", "averaged", "full")),
        *(("torch-export", variant) for variant in ("plain", "full")),
    ]
    assert [(each.runner, each.variant) for each in report.ratios] == [
        ("onnx-cpu", "averaged"),
        ("onnx-cpu", "full"),
        ("torch-export", "full"),
    ]


def test_a_lone_averaged_probe_is_timed_against_its_own_plain_model(both: Path) -> None:
    maps = open_artifact(both).averaged()
    assert maps is not None
    assert [each.variant for each in benchmark(maps, ["onnx-cpu"], repeats=1).timings] == ["plain", "averaged"]
