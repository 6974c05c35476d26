"""Every way to execute an artifact, by name. Each runner has a file of its own, imported when it is asked for."""

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, Protocol

from numpy.typing import NDArray

from .artifact import Artifact
from .errors import RunnerUnavailable, UsageError

__all__ = ["RUNNERS", "Runner", "open_image_runner", "open_runner", "why_unavailable"]


class Runner(Protocol):
    """What all runners have in common: opened on an artifact, they turn arrays into arrays."""

    name: str
    providers: list[str]
    misplaced: list[str]

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return every output by name, in the order of execution."""
        ...


def _onnx_cpu(artifact: Artifact) -> Runner:
    from .onnx_runner import OnnxRunner

    return OnnxRunner(artifact, "cpu")


def _onnx_cuda(artifact: Artifact) -> Runner:
    from .onnx_runner import OnnxRunner

    return OnnxRunner(artifact, "cuda")


def _torchscript(artifact: Artifact) -> Runner:
    from .torchscript_runner import TorchScriptRunner

    return TorchScriptRunner(artifact, "cpu")


def _torchscript_cuda(artifact: Artifact) -> Runner:
    from .torchscript_runner import TorchScriptRunner

    return TorchScriptRunner(artifact, "cuda")


RUNNERS: dict[str, Callable[[Artifact], Runner]] = {
    "onnx-cpu": _onnx_cpu,
    "onnx-cuda": _onnx_cuda,
    "torchscript": _torchscript,
    "torchscript-cuda": _torchscript_cuda,
}
"""Name to what opens it; `layerprobe verify` tries them in this order."""


def why_unavailable(name: str) -> str | None:
    """Return why a runner can't work on this machine, or None if it can.

    Raises:
        UsageError: there is no runner of that name.
    """
    if name not in RUNNERS:
        raise UsageError(f"There is no runner {name!r}. There are: {', '.join(RUNNERS)}.")
    from .cuda_provider import why_no_cuda, why_no_driver

    if name.startswith("torchscript") and find_spec("torch") is None:
        return "PyTorch is not installed: pip install 'layerprobe[export]'"
    if name == "onnx-cuda":
        return why_no_cuda()
    if name == "torchscript-cuda":
        return why_no_driver()
    return None


def open_runner(artifact: Artifact, name: str) -> Runner:
    """Open the runner called `name`.

    Raises:
        UsageError: there is no runner of that name.
        RunnerUnavailable: it can't work on this machine.
        ArtifactError: the artifact's file for it is missing, altered or invalid.
    """
    reason = why_unavailable(name)
    if reason:
        raise RunnerUnavailable(f"The runner {name} was asked for, but {reason}.")
    return RUNNERS[name](artifact)


def open_image_runner(artifact: Artifact, runtime: str, provider: str) -> Runner:
    """Open the runner for `--runner onnx|torchscript` and `--provider auto|cuda|cpu`; auto takes CUDA where it works.

    Raises:
        RunnerUnavailable: CUDA was asked for by name and can't be used, wholly or for some compute node; or the
            runtime isn't installed.
        ArtifactError: the artifact's file for it is missing, altered or invalid.
    """
    on_cpu, on_cuda = {"onnx": ("onnx-cpu", "onnx-cuda"), "torchscript": ("torchscript", "torchscript-cuda")}[runtime]
    reason = why_unavailable(on_cuda)
    if provider == "cuda" and reason:
        raise RunnerUnavailable(f"CUDA was asked for, but {reason}.\nUse --provider cpu, or auto.")
    if provider == "cpu" or reason:
        return open_runner(artifact, on_cpu)
    try:
        runner = open_runner(artifact, on_cuda)
    except RunnerUnavailable:
        if provider == "cuda":
            raise
        return open_runner(artifact, on_cpu)
    if runner.misplaced and provider == "cuda":
        raise RunnerUnavailable(
            f"CUDA was asked for, but {len(runner.misplaced)} nodes run on the CPU: {', '.join(runner.misplaced[:3])}."
            "\nUse --provider cpu, or auto."
        )
    return runner
