"""Every way to execute an artifact, by name. Each runner has a file of its own, imported when it is asked for."""

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any, Protocol

from numpy.typing import NDArray

from ..artifact.errors import RunnerUnavailable, UsageError, first_line
from ..artifact.folder import Artifact
from .machine import Facts
from .settings import DEFAULT_SETTINGS, Settings

__all__ = ["DEFAULT_RUNNERS", "RUNNERS", "Runner", "open_image_runner", "open_runner", "why_unavailable"]

_PACKAGES = {
    "torch": ("torch", "PyTorch", "export"),
    "eager": ("torch", "PyTorch", "export"),
    "openvino": ("openvino", "OpenVINO", "openvino"),
}
"""Beginning of a runner's name to the package it needs, what that is called, and the extra that installs it."""


class Runner(Protocol):
    """What all runners have in common: opened on an artifact, they turn arrays into arrays."""

    name: str
    providers: list[str]
    misplaced: list[str]
    facts: Facts
    """What may explain a drift, as really used: read back from the runtime where that tells it."""

    @property
    def file(self) -> str | None:
        """Which of the artifact's files it executes, if any."""
        ...

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return every output by name, in the order of execution."""
        ...


Opener = Callable[[Artifact, Settings, Sequence[str] | None], Runner]


def _onnx(provider: Any) -> Opener:
    def open_it(artifact: Artifact, settings: Settings, outputs: Sequence[str] | None) -> Runner:
        from .onnx import OnnxRunner

        return OnnxRunner(artifact, provider, settings, outputs)

    return open_it


def _openvino(artifact: Artifact, settings: Settings, outputs: Sequence[str] | None) -> Runner:
    from .openvino import OpenVinoRunner

    return OpenVinoRunner(artifact, settings, outputs)


def _onnx_reference(artifact: Artifact, settings: Settings, outputs: Sequence[str] | None) -> Runner:
    from .onnx_reference import OnnxReferenceRunner

    return OnnxReferenceRunner(artifact, settings, outputs)


def _torchscript(device: Any) -> Opener:
    def open_it(artifact: Artifact, settings: Settings, outputs: Sequence[str] | None) -> Runner:
        from .torchscript import TorchScriptRunner

        return TorchScriptRunner(artifact, device, settings, outputs)

    return open_it


def _eager(artifact: Artifact, settings: Settings, outputs: Sequence[str] | None) -> Runner:
    from .eager import EagerRunner

    return EagerRunner(artifact, settings, outputs)


def _torch_export(device: Any) -> Opener:
    def open_it(artifact: Artifact, settings: Settings, outputs: Sequence[str] | None) -> Runner:
        from .torch_export import TorchExportRunner

        return TorchExportRunner(artifact, device, settings, outputs)

    return open_it


RUNNERS: dict[str, Opener] = {
    "onnx-cpu": _onnx("cpu"),
    "onnx-cuda": _onnx("cuda"),
    "onnx-tensorrt": _onnx("tensorrt"),
    "openvino": _openvino,
    "torchscript": _torchscript("cpu"),
    "torchscript-cuda": _torchscript("cuda"),
    "torch-export": _torch_export("cpu"),
    "torch-export-cuda": _torch_export("cuda"),
    "onnx-reference": _onnx_reference,
    "eager": _eager,
}
"""Name to what opens it; `layerprobe verify` tries them in this order."""

DEFAULT_RUNNERS = ("onnx-cpu", "onnx-cuda", "torchscript", "torchscript-cuda")
"""What `verify` and `bench` take where nothing is asked for, so far as they work; `all` takes the others as well."""


def why_unavailable(name: str) -> str | None:
    """Return why a runner can't work on this machine, or None if it can.

    Raises:
        UsageError: there is no runner of that name.
    """
    if name not in RUNNERS:
        raise UsageError(f"There is no runner {name!r}. There are: {', '.join(RUNNERS)}.")
    from .cuda import why_no_cuda, why_no_driver, why_no_tensorrt

    package, told, extra = next((need for begin, need in _PACKAGES.items() if name.startswith(begin)), ("", "", ""))
    if package and find_spec(package) is None:
        return f"{told} is not installed: pip install 'layerprobe[{extra}]'"
    try:
        if name == "onnx-cuda":
            return why_no_cuda()
        if name == "onnx-tensorrt":
            return why_no_tensorrt()
    except (ImportError, OSError) as error:
        return f"it needs a package that can't be loaded: {first_line(error)}"
    if name.endswith("-cuda"):
        return why_no_driver()
    return None


def open_runner(
    artifact: Artifact, name: str, settings: Settings = DEFAULT_SETTINGS, outputs: Sequence[str] | None = None
) -> Runner:
    """Open the runner called `name`.

    Args:
        artifact: what `open_artifact` gave.
        name: one of `RUNNERS`.
        settings: how to run.
        outputs: names of the outputs that the model is cut to as it is loaded, so that nothing else is computed or
            observed; None for all.

    Raises:
        UsageError: there is no runner, or no output, of that name.
        RunnerUnavailable: it can't work on this machine, or with this model.
        ArtifactError: the artifact's file for it is missing, altered or invalid.
    """
    reason = why_unavailable(name)
    if reason:
        raise RunnerUnavailable(f"The runner {name} was asked for, but {reason}.")
    try:
        return RUNNERS[name](artifact, settings, outputs)
    except (ImportError, OSError) as error:
        # A shared library that is missing is an OSError without a number where ctypes looks for it, as in PyTorch.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise RunnerUnavailable(
            f"The runner {name} needs a package that can't be loaded: {first_line(error)}.\nInstall that package again."
        ) from error


def open_image_runner(
    artifact: Artifact,
    runtime: str,
    provider: str,
    settings: Settings = DEFAULT_SETTINGS,
    outputs: Sequence[str] | None = None,
) -> Runner:
    """Open the runner for `--runner onnx|torchscript` and `--provider auto|cuda|cpu`; auto takes CUDA where it works.

    Cut to `outputs`, as by `open_runner`.

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
        return open_runner(artifact, on_cpu, settings, outputs)
    try:
        runner = open_runner(artifact, on_cuda, settings, outputs)
    except RunnerUnavailable:
        if provider == "cuda":
            raise
        return open_runner(artifact, on_cpu, settings, outputs)
    if runner.misplaced and provider == "cuda":
        raise RunnerUnavailable(
            f"CUDA was asked for, but {len(runner.misplaced)} nodes run on the CPU: {', '.join(runner.misplaced[:3])}."
            "\nUse --provider cpu, or auto."
        )
    return runner
