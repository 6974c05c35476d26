"""Runs an artifact on TorchScript: arrays in, every output by name out.

It needs PyTorch, which is imported when this file is: ask for it only where TorchScript is wanted.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from numpy.typing import NDArray

from .artifact import Artifact
from .device_facts import Facts
from .errors import ArtifactError, ExecutionError, RunnerUnavailable, first_line
from .input_check import check_inputs
from .manifest import TORCHSCRIPT_FILE
from .output_selection import known_outputs
from .settings import DEFAULT_SETTINGS, Settings
from .torch_settings import as_array, as_tensors, torch_facts, torch_set

__all__ = ["TorchScriptRunner"]


class TorchScriptRunner:
    """An open TorchScript module on one device.

    Attributes:
        name: `torchscript`, or `torchscript-cuda` on the GPU.
        file: the artifact's file that it executes.
        providers: the device it runs on.
        misplaced: always empty; TorchScript runs everything where its weights are.
        facts: what may explain a drift, read back from PyTorch.
    """

    file = TORCHSCRIPT_FILE

    def __init__(
        self,
        artifact: Artifact,
        device: Literal["cpu", "cuda"] = "cpu",
        settings: Settings = DEFAULT_SETTINGS,
        outputs: Sequence[str] | None = None,
    ) -> None:
        """Open the artifact's TorchScript file.

        Args:
            artifact: what `open_artifact` gave.
            device: where to run.
            settings: how to run.
            outputs: names of the outputs that the module is cut to; None for all.

        Raises:
            RunnerUnavailable: CUDA was asked for and PyTorch can't use it.
            ArtifactError: the file is missing, altered, no TorchScript, or gives other outputs than the manifest lists.
            UsageError: one of `outputs` is not the model's.
        """
        if device == "cuda" and not torch.cuda.is_available():
            raise RunnerUnavailable("CUDA was asked for, but PyTorch finds no GPU it can use.\nUse --provider cpu.")
        self.name = "torchscript" if device == "cpu" else "torchscript-cuda"
        self.providers: list[str] = [device]
        self.misplaced: list[str] = []
        self._manifest = artifact.manifest
        self._device = device
        self._settings = settings
        self._names = known_outputs(self._manifest, outputs)
        file = artifact.file(TORCHSCRIPT_FILE)
        try:
            with warnings.catch_warnings():
                # TorchScript is deprecated, and says so at each load; the artifact offers it for those who deploy it.
                warnings.simplefilter("ignore", FutureWarning)
                warnings.simplefilter("ignore", DeprecationWarning)
                self._module = torch.jit.load(file, map_location=device).eval()  # type: ignore[no-untyped-call]
        except Exception as error:
            raise ArtifactError(f"{file} can't be loaded as TorchScript: {first_line(error)}") from error
        if self._names != self._manifest.output_names:
            _cut(self._module, self._names)
        self.facts: Facts = torch_facts(settings, device)
        with self._optimised():
            optimised = torch._C._get_graph_executor_optimize()
        self.facts["graph_optimization"] = "all" if optimised else "disabled"

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return every output by name, in the model's order, for inputs by name (N C H W for an image batch).

        Raises:
            InputError: an input is missing, or its shape or dtype isn't the manifest's.
            ExecutionError: TorchScript failed: out of memory, or an operation it can't do.
            ArtifactError: the model gives other outputs than the manifest lists.
        """
        checked = check_inputs(self._manifest, inputs)
        try:
            with torch_set(self._settings), self._optimised():
                outputs: dict[str, torch.Tensor] = self._module(*as_tensors(self._manifest, checked, self._device))
        except Exception as error:
            raise ExecutionError(f"TorchScript failed to run {self._manifest.model}: {first_line(error)}") from error
        if list(outputs) != self._names:
            raise ArtifactError(
                f"{TORCHSCRIPT_FILE} gives other outputs than the manifest lists.\nExport the artifact again."
            )
        return {name: as_array(tensor) for name, tensor in outputs.items()}

    def _optimised(self) -> Any:
        optimised: Any = torch.jit.optimized_execution  # type: ignore[attr-defined]
        return optimised(self._settings.graph_optimization != "disabled")


def _cut(module: Any, names: Sequence[str]) -> None:
    """Let the module's graph return `names` alone, before it is first run, and drop what that doesn't need.

    Dead code elimination follows what lies in whose memory: an in-place operation stays if what is returned needs it.
    """
    graph = module._c._get_method("forward").graph
    # A call of a submodule counts as a side effect, and would stay as a whole.
    torch._C._jit_pass_inline(graph)
    returned = next(graph.outputs()).node()
    items = list(returned.inputs())
    if returned.kind() != "prim::DictConstruct":
        return
    returned.removeAllInputs()
    for key, value in zip(items[::2], items[1::2], strict=True):
        if key.toIValue() in names:
            returned.addInput(key)
            returned.addInput(value)
    torch._C._jit_pass_dce(graph)
