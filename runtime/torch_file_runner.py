"""What the runners of PyTorch's two model files have in common: a device, the settings, arrays in and out.

How a file is opened, cut to some outputs and called is theirs: `torchscript_runner.py`, `torch_export_runner.py`. It
needs PyTorch, which is imported when this file is.
"""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from numpy.typing import NDArray

from .artifact import Artifact
from .device_facts import Facts
from .errors import ArtifactError, ExecutionError, RunnerUnavailable, first_line
from .input_check import check_inputs
from .output_selection import known_outputs
from .settings import DEFAULT_SETTINGS, Settings
from .torch_settings import as_array, as_tensors, torch_facts, torch_set

__all__ = ["TorchFileRunner"]


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
