"""What the runners of PyTorch's two model files have in common: a device, the settings, arrays in and out.

How a file is opened, cut to some outputs and called is theirs: `torchscript_runner.py`, `torch_export_runner.py`. It
needs PyTorch, which is imported when this file is.
"""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from numpy.typing import NDArray

from ..artifact.errors import ArtifactError, ExecutionError, RunnerUnavailable, first_line
from ..artifact.folder import Artifact
from ..artifact.manifest import Manifest
from ..artifact.selection import known_outputs
from .input_check import check_inputs
from .machine import Facts, cpu_name, gpu_facts
from .settings import DEFAULT_SETTINGS, Settings

__all__ = ["TorchFileRunner", "as_array", "as_tensors", "torch_facts", "torch_set"]


class TorchFileRunner(ABC):
    """An opened model file of PyTorch's on one device.

    Attributes:
        name: `torchscript` or `torch-export`, with `-cuda` behind it on the GPU.
        file: the artifact's file that it executes.
        providers: the device it runs on.
        misplaced: always empty; PyTorch runs everything where its weights are.
        facts: what may explain a drift, read back from PyTorch.
    """

    on_cpu: ClassVar[str]
    """Its name on the CPU."""
    maker: ClassVar[str]
    """What made the file, for messages."""
    file: ClassVar[str]

    def __init__(
        self,
        artifact: Artifact,
        device: Literal["cpu", "cuda"] = "cpu",
        settings: Settings = DEFAULT_SETTINGS,
        outputs: Sequence[str] | None = None,
    ) -> None:
        """Open the artifact's file.

        Args:
            artifact: what `open_artifact` gave.
            device: where to run.
            settings: how to run.
            outputs: names of the outputs that the model is cut to; None for all.

        Raises:
            RunnerUnavailable: the artifact has no such file, or CUDA was asked for and PyTorch can't use it.
            ArtifactError: the file is missing, altered, invalid, or gives other outputs than the manifest lists.
            UsageError: one of `outputs` is not the model's.
        """
        self.name = self.on_cpu if device == "cpu" else f"{self.on_cpu}-{device}"
        self.providers: list[str] = [device]
        self.misplaced: list[str] = []
        self._manifest = artifact.manifest
        self._device = device
        self._settings = settings
        self._require_file(artifact)
        if device == "cuda" and not torch.cuda.is_available():
            raise RunnerUnavailable("CUDA was asked for, but PyTorch finds no GPU it can use.\nUse --provider cpu.")
        self._names = known_outputs(self._manifest, outputs)
        file = artifact.file(self.file)
        try:
            with warnings.catch_warnings():
                # TorchScript says at each load that it is deprecated; the artifact offers it for those who deploy it.
                warnings.simplefilter("ignore")
                opened = self._open(file)
        except Exception as error:
            raise ArtifactError(f"{file} can't be loaded as {self.maker}: {first_line(error)}") from error
        self._module: Any = self._cut(opened)
        self.facts: Facts = torch_facts(settings, device) | self._own_facts()

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return every output by name, in the model's order, for inputs by name (N C H W for an image batch).

        Raises:
            InputError: an input is missing, or its shape or dtype isn't the manifest's.
            ExecutionError: PyTorch failed: out of memory, or an operation or a size that it can't do.
            ArtifactError: the model gives other outputs than the manifest lists.
        """
        checked = check_inputs(self._manifest, inputs)
        try:
            with torch_set(self._settings):
                found = self._call(as_tensors(self._manifest, checked, self._device))
        except Exception as error:
            raise ExecutionError(f"{self.maker} failed to run {self._manifest.model}: {first_line(error)}") from error
        if list(found) != self._names:
            raise ArtifactError(f"{self.file} gives other outputs than the manifest lists.\nExport the artifact again.")
        return {name: as_array(tensor) for name, tensor in found.items()}

    def _require_file(self, artifact: Artifact) -> None:  # noqa: B027 - a file that every artifact has needs no check
        """Refuse an artifact that may well be without this file."""

    @abstractmethod
    def _open(self, file: Path) -> Any:
        """Load the file on the device."""

    @abstractmethod
    def _cut(self, opened: Any) -> Any:
        """Return what can be called for the outputs of `_names`; what they don't need is dropped."""

    @abstractmethod
    def _call(self, tensors: Sequence[torch.Tensor]) -> Mapping[str, torch.Tensor]:
        """Return the outputs by name."""

    @abstractmethod
    def _own_facts(self) -> Facts:
        """Return what PyTorch in general doesn't tell."""


@contextmanager
def torch_set(settings: Settings) -> Iterator[None]:
    """Run what is inside without gradients, with the precision and the threads that the settings ask for."""
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    try:
        # "highest" also keeps bfloat16 out of a CPU's matrix products, where the caller has allowed it.
        torch.set_float32_matmul_precision("high" if settings.tf32 else "highest")
        if settings.threads:
            torch.set_num_threads(settings.threads)
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=settings.tf32):
            yield
    finally:
        torch.set_float32_matmul_precision(precision)
        if settings.threads:
            torch.set_num_threads(threads)


def torch_facts(settings: Settings, device: str) -> Facts:
    """Return what may explain a drift, as PyTorch tells it while the settings are set."""
    with torch_set(settings):
        facts: Facts = {
            "runtime": "PyTorch",
            "version": torch.__version__,
            "device": cpu_name(),
            "threads": torch.get_num_threads(),
        }
        if device == "cuda":
            facts |= gpu_facts()
            facts["cuda"] = torch.version.cuda or ""
            facts["cudnn"] = torch.backends.cudnn.version() or 0  # type: ignore[no-untyped-call]
            facts["tf32"] = torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32
            facts["convolution_search"] = "exhaustive" if torch.backends.cudnn.benchmark else "heuristic"
        else:
            facts["cpu_capability"] = torch.backends.cpu.get_cpu_capability()
    return facts


def as_array(tensor: torch.Tensor) -> NDArray[Any]:
    """Return a tensor as NumPy has it: bfloat16, which it lacks, as float32, which holds each of its values."""
    wide = tensor.float() if tensor.dtype == torch.bfloat16 else tensor
    array: NDArray[Any] = wide.detach().cpu().numpy()
    return array


def as_tensors(manifest: Manifest, arrays: Mapping[str, NDArray[Any]], device: str = "cpu") -> list[torch.Tensor]:
    """Return checked inputs as tensors of the model's dtypes, in its order.

    Copies: a model may write into its input, and the arrays are the caller's.
    """
    return [
        torch.from_numpy(arrays[entry.name]).to(device, getattr(torch, entry.dtype), copy=True)
        for entry in manifest.inputs
    ]
