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

    # A verdict of its own tells of nodes on the wrong provider; it should be reached.
    return OnnxRunner(artifact, "cuda", allow_misplaced=True)


def _torchscript(artifact: Artifact) -> Runner:
    from .torchscript_runner import TorchScriptRunner

    return TorchScriptRunner(artifact, "cpu")


RUNNERS: dict[str, Callable[[Artifact], Runner]] = {
    "onnx-cpu": _onnx_cpu,
    "onnx-cuda": _onnx_cuda,
    "torchscript": _torchscript,
}
"""Name to what opens it; `layerprobe verify` tries them in this order."""


def why_unavailable(name: str) -> str | None:
    """Return why a runner can't work on this machine, or None if it can.

    Raises:
        UsageError: there is no runner of that name.
    """
    if name not in RUNNERS:
        raise UsageError(f"There is no runner {name!r}. There are: {', '.join(RUNNERS)}.")
    if name == "onnx-cuda":
        from .cuda_provider import why_no_cuda

        return why_no_cuda()
    if name == "torchscript" and find_spec("torch") is None:
        return "PyTorch is not installed: pip install 'layerprobe[export]'"
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
        RunnerUnavailable: CUDA was asked for by name and can't be used, or the runtime isn't installed.
        ArtifactError: the artifact's file for it is missing, altered or invalid.
    """
    if runtime == "torchscript":
        reason = why_unavailable("torchscript")
        if reason:
            raise RunnerUnavailable(f"TorchScript was asked for, but {reason}.")
        from .torchscript_runner import TorchScriptRunner

        if provider == "cuda":
            return TorchScriptRunner(artifact, "cuda")
        try:
            return TorchScriptRunner(artifact, "cuda" if provider == "auto" else "cpu")
        except RunnerUnavailable:
            return TorchScriptRunner(artifact, "cpu")
    from .onnx_runner import OnnxRunner

    if provider == "cuda":
        return OnnxRunner(artifact, "cuda")
    try:
        return OnnxRunner(artifact, "cuda" if provider == "auto" else "cpu")
    except RunnerUnavailable:
        return OnnxRunner(artifact, "cpu")
