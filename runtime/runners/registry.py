"""The table of runners: every way to execute an artifact, by name. Each has a file of its own, imported on demand.

To add one, write its class in a file of this room, and its row here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

from ..artifact.by_name import load
from ..artifact.errors import RunnerUnavailable, UsageError, first_line, how_to_install
from .cuda_support import why_no_cuda, why_no_driver, why_no_tensorrt
from .node_support import why_no_package

if TYPE_CHECKING:
    # The command line reads the table for its help, and needs neither NumPy nor a manifest for that.
    from pathlib import Path

    from ..artifact.folder import Artifact
    from .base import Runner
    from .settings import Settings

__all__ = [
    "DEFAULT_RUNNERS",
    "RUNNERS",
    "UNTRUSTED",
    "RunnerRow",
    "choose_runners",
    "none_left",
    "open_image_runner",
    "open_or_leave_out",
    "open_runner",
    "why_unavailable",
]


class Package(NamedTuple):
    """A package that a runner needs: its import name, its display name, and the extra that installs it."""

    name: str
    called: str
    extra: str


@dataclass(frozen=True)
class RunnerRow:
    """One way to execute an artifact."""

    home: str
    """Where its class is: `module:class`."""
    target: str = "cpu"
    """The device, passed to the class."""
    package: Package | None = None
    why_unavailable: Callable[[], str | None] = lambda: None
    """Returns the reason why the machine can't run it, or None."""
    default: bool = False
    """Whether `verify` and `bench` use it, if it works here, when no runner is requested; `all` uses every runner."""
    file: str | None = "model.onnx"
    """The artifact's file that it executes; None for the live model."""
    program: bool = False
    """Whether what it executes is a program, which can do whatever the user can, and not data: it runs on request."""
    npm: str | None = None
    """The npm package that it needs, and with it Node."""

    def why_missing(self, artifact: Artifact) -> str | None:
        """Return why there is nothing for it to execute in the artifact; None if there is."""
        if self.file is None:
            return "the model is an ONNX file" if artifact.manifest.capture == "onnx" else None
        if artifact.path.is_dir():
            return artifact.manifest.left_out.get(self.file)
        suffix = artifact.path.suffix.lower()
        if self.file.endswith(suffix):
            return None
        own, row = next(each for each in RUNNERS.items() if each[1].file and each[1].file.endswith(suffix))
        return f"{artifact.path} is a lone {'program' if row.program else 'model file'}, for --runner {own}"

    def open(self, artifact: Artifact, name: str, settings: Settings, outputs: Sequence[str] | None) -> Runner:
        """Import the class, and open it on the artifact."""
        # Known without the runtime: importing PyTorch takes a second, and 270 MB.
        why = self.why_missing(artifact)
        if why is not None:
            what = self.file or "a PyTorch model"
            raise RunnerUnavailable(f"{name} can't run {artifact.manifest.model} without {what}: {why}")
        kind: type[Runner] = load(self.home)
        return kind(artifact, name, self.target, settings, outputs)


_TORCH = Package("torch", "PyTorch", "export")
_OPENVINO = Package("openvino", "OpenVINO", "openvino")
_ONNX = "runtime.runners.onnx:OnnxRunner"
_JAVASCRIPT = "runtime.runners.javascript:JavaScriptRunner"
_TORCHSCRIPT = "runtime.runners.torchscript:TorchScriptRunner"
_TORCH_EXPORT = "runtime.runners.torch_export:TorchExportRunner"

RUNNERS: dict[str, RunnerRow] = {
    "onnx-cpu": RunnerRow(_ONNX, default=True),
    "onnx-cuda": RunnerRow(_ONNX, "cuda", why_unavailable=why_no_cuda, default=True),
    "onnx-tensorrt": RunnerRow(_ONNX, "tensorrt", why_unavailable=why_no_tensorrt),
    "openvino": RunnerRow("runtime.runners.openvino:OpenVinoRunner", package=_OPENVINO),
    "torchscript": RunnerRow(_TORCHSCRIPT, package=_TORCH, default=True, file="model.torchscript.pt", program=True),
    "torchscript-cuda": RunnerRow(
        _TORCHSCRIPT, "cuda", _TORCH, why_no_driver, default=True, file="model.torchscript.pt", program=True
    ),
    "torch-export": RunnerRow(_TORCH_EXPORT, package=_TORCH, file="model.pt2", program=True),
    "torch-export-cuda": RunnerRow(_TORCH_EXPORT, "cuda", _TORCH, why_no_driver, file="model.pt2", program=True),
    # Starting Node takes longer than the whole of a small model's `verify`, so they run by their names, or for `all`.
    "onnx-node": RunnerRow(_JAVASCRIPT, "node", npm="onnxruntime-node"),
    "onnx-web": RunnerRow(_JAVASCRIPT, "web", npm="onnxruntime-web"),
    "onnx-reference": RunnerRow("runtime.runners.onnx_reference:OnnxReferenceRunner"),
    "eager": RunnerRow("runtime.runners.eager:EagerRunner", package=_TORCH, file=None, program=True),
}
"""By name; `layerprobe verify` runs them in this order."""

UNTRUSTED = "it runs a program, and so only by its name (--runner) or with --trust"
"""Why a runner that works is left out where it was not requested by name."""

DEFAULT_RUNNERS = tuple(name for name, row in RUNNERS.items() if row.default)

_BY_PROVIDER = {
    "onnx": ("onnx-cpu", "onnx-cuda"),
    "torchscript": ("torchscript", "torchscript-cuda"),
    "onnx-node": ("onnx-node", None),
    "onnx-web": ("onnx-web", None),
}
"""For each runtime that `run` and `grid` offer: its runner on the CPU, and the one on CUDA if it has one."""


def why_unavailable(name: str) -> str | None:
    """Return why a runner can't work on this machine, or None if it can.

    Raises:
        UsageError: there is no runner of that name.
    """
    if name not in RUNNERS:
        raise UsageError(f"There is no runner {name!r}. The runners: {', '.join(RUNNERS)}.")
    row = RUNNERS[name]
    if row.package and find_spec(row.package.name) is None:
        return f"{row.package.called} is not installed: {how_to_install(row.package.extra)}"
    if row.npm and (reason := why_no_package(row.npm)):
        return reason
    try:
        return row.why_unavailable()
    except (ImportError, OSError) as error:
        return f"it needs a package that can't be loaded: {first_line(error)}"


def open_runner(
    artifact: Artifact | str | Path,
    name: str | None = None,
    settings: Settings | None = None,
    outputs: Sequence[str] | None = None,
) -> Runner:
    """Open a runner.

    Args:
        artifact: an open artifact or its path.
        name: one of `RUNNERS`; by default ONNX Runtime, on CUDA if that works, else on the CPU.
        settings: how to run; the runtimes' own defaults if None.
        outputs: names of the outputs that the model is cut to as it is loaded, so that nothing else is computed or
            observed; None for all.

    Raises:
        UsageError: there is no runner, or no output, of that name.
        RunnerUnavailable: it can't work on this machine, or with this model.
        ArtifactError: the artifact's file for it is missing, altered or invalid.
    """
    if name is None:
        return open_image_runner(artifact, "onnx", "auto", settings, outputs)
    from ..artifact.folder import open_artifact
    from .settings import DEFAULT_SETTINGS

    reason = why_unavailable(name)
    if reason:
        raise RunnerUnavailable(f"The runner {name} was requested, but {reason}.")
    try:
        return RUNNERS[name].open(open_artifact(artifact), name, settings or DEFAULT_SETTINGS, outputs)
    except (ImportError, OSError) as error:
        # If ctypes doesn't find a shared library, as in PyTorch, it raises an OSError without an errno.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise RunnerUnavailable(
            f"The runner {name} needs a package that can't be loaded: {first_line(error)}.\nReinstall that package."
        ) from error


def open_image_runner(
    artifact: Artifact | str | Path,
    runtime: str,
    provider: str,
    settings: Settings | None = None,
    outputs: Sequence[str] | None = None,
) -> Runner:
    """Open the runner for a `--runner` of `run` and `grid`, and a `--provider`; auto uses CUDA where it works.

    Cut to `outputs`, as by `open_runner`.

    Raises:
        RunnerUnavailable: CUDA was requested by name and can't be used, wholly or for some compute node; or the
            runtime isn't installed.
        ArtifactError: the artifact's file for it is missing, altered or invalid.
    """
    on_cpu, on_cuda = _BY_PROVIDER[runtime]
    reason = why_unavailable(on_cuda) if on_cuda else f"{runtime} has no such provider"
    if provider == "cuda" and reason:
        raise RunnerUnavailable(f"CUDA was requested, but {reason}.\nUse --provider cpu, or auto.")
    if provider == "cpu" or reason or on_cuda is None:
        return open_runner(artifact, on_cpu, settings, outputs)
    try:
        runner = open_runner(artifact, on_cuda, settings, outputs)
    except RunnerUnavailable:
        if provider == "cuda":
            raise
        return open_runner(artifact, on_cpu, settings, outputs)
    if runner.misplaced and provider == "cuda":
        raise RunnerUnavailable(
            f"CUDA was requested, but {len(runner.misplaced)} nodes run on the CPU: {', '.join(runner.misplaced[:3])}."
            "\nUse --provider cpu, or auto."
        )
    return runner


def choose_runners(names: Sequence[str] = ()) -> tuple[list[str], dict[str, str]]:
    """Return the runners to use, in the order of `RUNNERS`, and those left out, each with the reason.

    Args:
        names: runners requested by name, each of which is used or an error; `all` means those that work on this
            machine, and an empty list, those of `DEFAULT_RUNNERS` that do.

    Raises:
        UsageError: there is no runner of that name.
    """
    for name in names:
        if name != "all":
            why_unavailable(name)
    if names and "all" not in names:
        # In fixed order: ONNX Runtime after PyTorch peaks 300 MB higher on a ResNet-152, as PyTorch keeps freed memory.
        return [name for name in RUNNERS if name in names], {}
    reasons = {name: why_unavailable(name) for name in (RUNNERS if names else DEFAULT_RUNNERS)}
    return [name for name, why in reasons.items() if why is None], {name: why for name, why in reasons.items() if why}


def open_or_leave_out(
    artifact: Artifact,
    name: str,
    asked: Sequence[str],
    left_out: dict[str, str],
    settings: Settings,
    *,
    trust: bool,
) -> Runner | None:
    """Return the open runner; or None if it can't or mustn't run this model, with the reason added to `left_out`.

    Args:
        artifact: an open artifact.
        name: the runner.
        asked: the runners that were requested by name.
        left_out: the reason is added to it.
        settings: how to run.
        trust: whether a program may run that was not requested by name.

    Raises:
        RunnerUnavailable: it can't, and was requested by name.
    """
    row = RUNNERS[name]
    if row.program and not trust and name not in asked:
        left_out[name] = row.why_missing(artifact) or UNTRUSTED
        return None
    try:
        return open_runner(artifact, name, settings)
    except RunnerUnavailable as error:
        if name in asked:
            raise
        left_out[name] = first_line(error)
        return None


def none_left(left_out: Mapping[str, str]) -> RunnerUnavailable:
    """Return the error for a model that no runner can run, with the reasons."""
    others = "; ".join(f"{name}: {why}" for name, why in left_out.items() if why != UNTRUSTED)
    programs = [name for name, why in left_out.items() if why == UNTRUSTED]
    if not programs:
        return RunnerUnavailable(f"No runner can run this model: {others}")
    return RunnerUnavailable(
        f"{', '.join(programs)} can run this model, but runs a program: add --runner {programs[0]}, or --trust.\n"
        f"The others can't: {others}"
    )
