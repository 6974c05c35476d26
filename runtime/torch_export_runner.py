"""Runs the program that torch.export made of an artifact's model: arrays in, every output by name out.

It needs PyTorch, which is imported when this file is: ask for it only where this runner is wanted.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from numpy.typing import NDArray
from torch import fx

from .artifact import Artifact
from .device_facts import Facts
from .errors import ArtifactError, ExecutionError, RunnerUnavailable, first_line
from .input_check import check_inputs
from .manifest import TORCH_EXPORT_FILE, Manifest
from .output_selection import known_outputs
from .settings import DEFAULT_SETTINGS, Settings
from .torch_settings import as_array, as_tensors, torch_facts, torch_set

__all__ = ["TorchExportRunner"]


class TorchExportRunner:
    """An opened program of torch.export's on one device, run operation by operation.

    Attributes:
        name: `torch-export`, or `torch-export-cuda` on the GPU.
        file: the artifact's file that it executes.
        providers: the device it runs on.
        misplaced: always empty; PyTorch runs everything where its weights are.
        facts: what may explain a drift, read back from PyTorch.
    """

    file = TORCH_EXPORT_FILE

    def __init__(
        self,
        artifact: Artifact,
        device: Literal["cpu", "cuda"] = "cpu",
        settings: Settings = DEFAULT_SETTINGS,
        outputs: Sequence[str] | None = None,
    ) -> None:
        """Open the artifact's torch.export file.

        Args:
            artifact: what `open_artifact` gave.
            device: where to run.
            settings: how to run.
            outputs: names of the outputs that the program is cut to; None for all.

        Raises:
            RunnerUnavailable: the artifact has no such file, or CUDA was asked for and PyTorch can't use it.
            ArtifactError: the file is missing, altered, no program, or has other outputs than the manifest lists.
            UsageError: one of `outputs` is not the model's.
        """
        self.name = "torch-export" if device == "cpu" else "torch-export-cuda"
        self._manifest = artifact.manifest
        _require_file(artifact, self.name)
        if device == "cuda" and not torch.cuda.is_available():
            raise RunnerUnavailable("CUDA was asked for, but PyTorch finds no GPU it can use.\nUse --provider cpu.")
        self.providers: list[str] = [device]
        self.misplaced: list[str] = []
        self._device = device
        self._settings = settings
        self._names = known_outputs(self._manifest, outputs)
        file = artifact.file(TORCH_EXPORT_FILE)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                program = torch.export.load(file)
                if device == "cuda":
                    from torch.export.passes import move_to_device_pass

                    program = move_to_device_pass(program, "cuda")
                module: Any = program.module()
        except Exception as error:
            raise ArtifactError(f"{file} can't be loaded by torch.export: {first_line(error)}") from error
        self._module = _cut(module, _result_names(program), self._manifest, self._names)
        self.facts: Facts = torch_facts(settings, device)
        self.facts["execution_mode"] = "operation by operation"

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return every output by name, in the model's order, for inputs by name (N C H W for an image batch).

        Raises:
            InputError: an input is missing, or its shape or dtype isn't the manifest's.
            ExecutionError: PyTorch failed: out of memory, or a size that torch.export did not foresee.
        """
        checked = check_inputs(self._manifest, inputs)
        try:
            with torch_set(self._settings):
                found = self._module(*as_tensors(self._manifest, checked, self._device))
        except Exception as error:
            raise ExecutionError(
                f"torch.export's program of {self._manifest.model} failed: {first_line(error)}"
            ) from error
        return {name: as_array(tensor) for name, tensor in zip(self._names, found, strict=True)}


def _require_file(artifact: Artifact, name: str) -> None:
    """Refuse an artifact that an older layerprobe wrote, or whose model torch.export couldn't save."""
    alone = artifact.path.is_file()
    if alone or TORCH_EXPORT_FILE in artifact.manifest.files:
        return
    why = artifact.manifest.left_out.get(TORCH_EXPORT_FILE, "an older layerprobe wrote it: export it again")
    raise RunnerUnavailable(f"{name} can't run {artifact.manifest.model}: there is no {TORCH_EXPORT_FILE}: {why}")


def _result_names(program: torch.export.ExportedProgram) -> list[str]:
    spec = program.call_spec.out_spec
    names = spec.context if spec is not None and spec.type is not tuple else ()
    return [str(name) for name in names or ()]


def _cut(module: fx.GraphModule, found: Sequence[str], manifest: Manifest, names: Sequence[str]) -> fx.GraphModule:
    """Let the module take tensors and return those of `names`, as a tuple, and drop what they don't need.

    What writes in place counts as needed: torch knows it by the operator's schema.
    """
    output = module.graph.output_node()
    results: Any = output.args[0]
    if list(found) != manifest.output_names or len(results) != len(found):
        raise ArtifactError(
            f"{TORCH_EXPORT_FILE} gives other outputs than the manifest lists.\nExport the artifact again."
        )
    by_name = dict(zip(found, results, strict=True))
    output.args = (tuple(by_name[name] for name in names),)
    module.graph.set_codegen(fx.graph.CodeGen())
    if len(names) < len(found):
        module.graph.eliminate_dead_code()
    module.recompile()
    return module
