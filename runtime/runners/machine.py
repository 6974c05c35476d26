"""What a runner computes on: the names and versions that processor, GPU, driver, CUDA and cuDNN report."""

import contextlib
import ctypes
import os
import platform
import sys
import time
from pathlib import Path

from ..artifact.folder import Artifact
from ..artifact.versioned_json import Line
from .cuda_support import CUDNN, load_driver

__all__ = [
    "Facts",
    "cpu_name",
    "cuda_library_facts",
    "describe_environment",
    "gpu_bytes_used",
    "gpu_facts",
    "usable_cores",
]

Facts = dict[Line, Line | int | bool]
"""What may explain a drift, by name, as in the report of `verify`."""


def cpu_name() -> str:
    """Return the name that the processor reports, or the architecture where the system hides it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def usable_cores() -> int:
    """Return how many cores this process may use: fewer than there are under `taskset`, or in a container.

    A container's share of the processor (`docker run --cpus=1.5`, cgroup v2) is rounded up to whole cores.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else min(cores, -(-int(quota) // int(period)))


def gpu_facts() -> Facts:
    """Return the first GPU's name and the driver's version, where the driver reports them."""
    driver = load_driver()
    if driver is None:
        return {}
    import pynvml  # late: most machines have no GPU

    facts: Facts = {}
    handle, name = _first_gpu(driver), ctypes.create_string_buffer(256)
    if handle is not None and driver.cuDeviceGetName(name, len(name), handle) == 0:
        facts["device"] = name.value.decode(errors="replace")
    # The CUDA driver reports only the CUDA version that it supports; NVML reports the installed driver's version.
    with contextlib.suppress(pynvml.NVMLError):
        pynvml.nvmlInit()
        facts["driver"] = str(pynvml.nvmlSystemGetDriverVersion())
    return facts


def gpu_bytes_used() -> int | None:
    """Return how much of the first GPU's memory all programs together use; None if it is unknown."""
    driver = load_driver()
    if driver is None:
        return None
    # CUDA and NVML may count the GPUs in different orders; the PCI bus ID is the same.
    handle, bus = _first_gpu(driver), ctypes.create_string_buffer(16)
    if handle is None or driver.cuDeviceGetPCIBusId(bus, len(bus), handle) != 0:
        return None
    import pynvml

    try:
        pynvml.nvmlInit()
        return int(pynvml.nvmlDeviceGetMemoryInfo(pynvml.nvmlDeviceGetHandleByPciBusId(bus.value)).used)
    except pynvml.NVMLError:
        return None


def _first_gpu(driver: ctypes.CDLL) -> ctypes.c_int | None:
    """Return the driver's handle of the GPU that CUDA counts first; None if it finds none."""
    handle = ctypes.c_int(0)
    found = driver.cuInit(0) == 0 and driver.cuDeviceGet(ctypes.byref(handle), 0) == 0
    return handle if found else None


def cuda_library_facts(cuda: str) -> Facts:
    """Return the versions of the CUDA and cuDNN libraries that this process loads.

    Args:
        cuda: the version that the runtime was built for, such as `13.0`.
    """
    facts: Facts = {"cuda": cuda}
    runtime = f"cudart64_{cuda.partition('.')[0]}.dll" if sys.platform == "win32" else f"libcudart.so.{cuda[:2]}"
    found = ctypes.c_int(0)
    try:
        if ctypes.CDLL(runtime).cudaRuntimeGetVersion(ctypes.byref(found)) == 0:
            facts["cuda"] = f"{found.value // 1000}.{found.value % 1000 // 10}"
    except (OSError, AttributeError):
        pass
    try:
        version = ctypes.CDLL(CUDNN).cudnnGetVersion
    except (OSError, AttributeError):
        return facts
    version.restype = ctypes.c_size_t
    facts["cudnn"] = int(version())
    return facts


def describe_environment(artifact: Artifact) -> dict[str, str | int]:
    """Return what describes the model, the packages and the machine, by name."""
    from importlib.metadata import PackageNotFoundError, version  # late: a photo's maps need none

    facts: dict[str, str | int] = {
        "model": artifact.manifest.model,
        **({"exported_with_torch": torch} if (torch := artifact.manifest.versions.torch) else {}),
        "opset": artifact.manifest.versions.opset,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpu_count": os.cpu_count() or 0,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    for package in ("layerprobe", "numpy", "onnx", "onnxruntime-gpu", "onnxruntime", "torch"):
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            continue
    return facts
