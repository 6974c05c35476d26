"""Runs an artifact on TorchScript: arrays in, every output by name out.

It imports PyTorch, so import it only where TorchScript is requested.
"""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from ..artifact.manifest import TORCHSCRIPT_FILE
from .machine import Facts
from .torch_file import TorchFileRunner

__all__ = ["TorchScriptRunner"]


class TorchScriptRunner(TorchFileRunner):
    """An open TorchScript module."""

    runtime = "TorchScript"
    file = TORCHSCRIPT_FILE

    def _load(self, file: Path | BytesIO) -> Any:
        return torch.jit.load(file, map_location=self.target).eval()  # type: ignore[no-untyped-call]

    def _cut(self, opened: Any) -> Any:
        if self.names != self.manifest.output_names:
            _cut(opened, self.names)
        return opened

    def _call(self, tensors: Sequence[torch.Tensor]) -> Mapping[str, torch.Tensor]:
        with self._optimised():
            outputs: dict[str, torch.Tensor] = self._module(*tensors)
        return outputs

    def _reason(self, error: Exception) -> str:
        # The first line only says that there is one: the reason follows the lines of the program.
        *_, last = [line for line in str(error).splitlines() if line.startswith("RuntimeError: ")] or [""]
        return last.removeprefix("RuntimeError: ") or super()._reason(error)

    def _own_facts(self) -> Facts:
        with self._optimised():
            optimised = torch._C._get_graph_executor_optimize()
        return {"graph_optimization": "all" if optimised else "disabled"}

    def _optimised(self) -> Any:
        optimised: Any = torch.jit.optimized_execution  # type: ignore[attr-defined]
        return optimised(self.settings.graph_optimization != "disabled")


def _cut(module: Any, names: Sequence[str]) -> None:
    """Make the module's graph, before its first run, return only `names`, and drop what they don't need.

    Dead code elimination tracks shared memory: an in-place operation stays if a returned tensor needs it.
    """
    graph = module._c._get_method("forward").graph
    # A submodule's call counts as a side effect, and would stay as a whole.
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
