"""What a GPU's driver and NVML are asked for, with stand-ins for both; nothing is told where they aren't; cores."""

from pathlib import Path
from types import SimpleNamespace

import pynvml
import pytest

from runtime.bench.benchmarking import benchmark
from runtime.bench.table import bench_table
from runtime.runners.machine import gpu_bytes_used, gpu_facts, usable_cores
from runtime.runners.onnx import OnnxRunner

MEGABYTE = 1_000_000


def driver(status=0):
    """Stand in for `libcuda`: a status is returned, and what is asked for is written to where the pointers lead."""

    def write(text):
        def call(buffer, size, device):
            assert len(text) < size
            buffer.value = text
            return status

        return call

    return SimpleNamespace(
        cuInit=lambda flags: status,
        cuDeviceGet=lambda device, ordinal: status,
        cuDeviceGetName=write(b"A GPU"),
        cuDeviceGetPCIBusId=write(b"0000:17:00.0"),
    )


@pytest.fixture
def gpu(monkeypatch):
    """Put a driver and an NVML in, of a GPU that `taken` bytes are used of; return what they were asked."""
    state = SimpleNamespace(taken=500 * MEGABYTE, asked=[])

    def handle_of(bus):
        state.asked.append(bus)
        return "the handle"

    def memory_of(handle):
        assert handle == "the handle"
        return SimpleNamespace(used=state.taken)

    monkeypatch.setattr("runtime.runners.machine.load_driver", driver)
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlSystemGetDriverVersion", lambda: "610.12")
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByPciBusId", handle_of)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", memory_of)
    return state


def test_the_gpu_that_cuda_counts_first_is_asked_for(gpu):
    assert gpu_facts() == {"device": "A GPU", "driver": "610.12"}
    assert gpu_bytes_used() == 500 * MEGABYTE
    assert gpu.asked == [b"0000:17:00.0"]


def test_without_nvml_the_driver_tells_what_it_knows(gpu, monkeypatch):
    def fail():
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", fail)
    assert gpu_facts() == {"device": "A GPU"}
    assert gpu_bytes_used() is None


@pytest.mark.parametrize("found", [None, driver(status=100)], ids=["no driver", "no GPU"])
def test_where_there_is_no_gpu_nothing_is_told(gpu, monkeypatch, found):
    monkeypatch.setattr("runtime.runners.machine.load_driver", lambda: found)
    assert "device" not in gpu_facts()
    assert gpu_bytes_used() is None


def test_bench_tells_what_opening_and_a_run_took_of_the_gpu(gpu, exported, monkeypatch):
    """With a runner that says it is on a GPU, and takes 100 MB more of it each time it is opened."""
    opened = OnnxRunner.__init__

    def open_on_gpu(self, *arguments, **options):
        opened(self, *arguments, **options)
        self.providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
        gpu.taken += 100 * MEGABYTE

    def bind(self, inputs):
        return SimpleNamespace(on_device=True, run=lambda: self.run(inputs), arrays=lambda: self.run(inputs))

    monkeypatch.setattr(OnnxRunner, "__init__", open_on_gpu)
    monkeypatch.setattr(OnnxRunner, "bind", bind)
    report = benchmark(exported("cnn3"), ["onnx-cpu"], repeats=1)
    assert [timing.gpu_mb for timing in report.timings] == [100, 100]
    assert all(timing.transfer_ms is not None for timing in report.timings)
    columns = [column.header for column in bench_table(report).columns]
    assert columns[-3:] == ["peak MB", "GPU MB", "transfer ms"]


def test_bench_says_nothing_of_a_gpu_that_a_runner_is_not_on(gpu, exported):
    report = benchmark(exported("cnn3"), ["onnx-cpu"], repeats=1)
    assert [timing.gpu_mb for timing in report.timings] == [None, None]
    assert "GPU MB" not in [column.header for column in bench_table(report).columns]


@pytest.mark.parametrize(("share", "cores"), [("max 100000", 8), ("150000 100000", 2), ("1000000 100000", 8), ("", 8)])
def test_a_containers_share_of_the_processor_limits_the_cores(monkeypatch, share, cores):
    monkeypatch.setattr("os.sched_getaffinity", lambda _process: set(range(8)))
    monkeypatch.setattr(Path, "read_text", lambda self, **_options: {"/sys/fs/cgroup/cpu.max": share + "\n"}[str(self)])
    assert usable_cores() == cores
