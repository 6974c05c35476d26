"""Runs an artifact on TorchScript: arrays in, every output by name out.

The one runner that needs PyTorch, which is imported when this file is: ask for it only where TorchScript is wanted.
"""

import warnings
from collections.abc import Mapping
from typing import Any, Literal

import torch
from numpy.typing import NDArray

from .artifact import Artifact
from .errors import ArtifactError, ExecutionError, RunnerUnavailable, first_line
from .input_check import check_inputs
from .manifest import TORCHSCRIPT_FILE

__all__ = ["TorchScriptRunner"]


class TorchScriptRunner:
    """An open TorchScript module on one device.

    Attributes:
        name: `torchscript`, or `torchscript-cuda` on the GPU.
        providers: the device it runs on.
        misplaced: always empty; TorchScript runs everything where its weights are.
    """

    def __init__(self, artifact: Artifact, device: Literal["cpu", "cuda"] = "cpu") -> None:
        """Open the artifact's TorchScript file.

        Raises:
            RunnerUnavailable: CUDA was asked for and PyTorch can't use it.
            ArtifactError: the file is missing, altered, or no TorchScript.
        """
        if device == "cuda" and not torch.cuda.is_available():
            raise RunnerUnavailable("CUDA was asked for, but PyTorch finds no GPU it can use.\nUse --provider cpu.")
        self.name = "torchscript" if device == "cpu" else "torchscript-cuda"
        self.providers: list[str] = [device]
        self.misplaced: list[str] = []
        self._manifest = artifact.manifest
        self._device = device
        file = artifact.file(TORCHSCRIPT_FILE)
        try:
            with warnings.catch_warnings():
                # TorchScript is deprecated, and says so at each load; the artifact offers it for those who deploy it.
                warnings.simplefilter("ignore", FutureWarning)
                warnings.simplefilter("ignore", DeprecationWarning)
                self._module = torch.jit.load(file, map_location=device).eval()  # type: ignore[no-untyped-call]
        except Exception as error:
            raise ArtifactError(f"{file} can't be loaded as TorchScript: {first_line(error)}") from error

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return every output by name, in the model's order, for inputs by name (N C H W for an image batch).

        Raises:
            InputError: an input is missing, or its shape or dtype isn't the manifest's.
            ExecutionError: TorchScript failed: out of memory, or an operation it can't do.
            ArtifactError: the model gives other outputs than the manifest lists.
        """
        checked = check_inputs(self._manifest, inputs)
        try:
            # TF32 keeps 10 bits of the mantissa: on by default, it would show as drift in every convolution.
            with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
                tensors = [
                    torch.from_numpy(checked[entry.name]).to(self._device, getattr(torch, entry.dtype))
                    for entry in self._manifest.inputs
                ]
                outputs: dict[str, torch.Tensor] = self._module(*tensors)
        except Exception as error:
            raise ExecutionError(f"TorchScript failed to run {self._manifest.model}: {first_line(error)}") from error
        if list(outputs) != self._manifest.output_names:
            raise ArtifactError(
                f"{TORCHSCRIPT_FILE} gives other outputs than the manifest lists.\nExport the artifact again."
            )
        return {name: _array(tensor) for name, tensor in outputs.items()}


def _array(tensor: torch.Tensor) -> NDArray[Any]:
    # NumPy has no bfloat16; float32 holds each of its values.
    wide = tensor.float() if tensor.dtype == torch.bfloat16 else tensor
    array: NDArray[Any] = wide.detach().cpu().numpy()
    return array
