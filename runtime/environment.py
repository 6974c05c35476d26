"""What may explain a difference between two runs, other than the runner: model, versions, machine, and when."""

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version

from .artifact import Artifact

__all__ = ["describe_environment"]


def describe_environment(artifact: Artifact) -> dict[str, str | int]:
    """Return the facts by name."""
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
    for package in ("layerprobe", "numpy", "onnx", "onnxruntime-gpu", "onnxruntime", "torch"):
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            continue
    return facts
