"""Runs an artifact's torch.export program: arrays in, every output by name out.

It imports PyTorch, so import it only where this runner is requested.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import fx

from ..artifact.errors import ArtifactError
from ..artifact.manifest import TORCH_EXPORT_FILE, Manifest
from .machine import Facts
from .torch_file import TorchFileRunner

__all__ = ["TorchExportRunner"]


class TorchExportRunner(TorchFileRunner):
    """An opened torch.export program, run operation by operation."""

    runtime = "torch.export's program"
    file = TORCH_EXPORT_FILE

    def _load(self, file: Path | BytesIO) -> Any:
        with _without_logging():
            program = torch.export.load(file)
        if self.target == "cuda":
            from torch.export.passes import move_to_device_pass

            program = move_to_device_pass(program, "cuda")
        return program.module(), _result_names(program)

    def _cut(self, opened: Any) -> Any:
        module, found = opened
        return _cut(module, found, self.manifest, self.names)

    def _call(self, tensors: Sequence[torch.Tensor]) -> Mapping[str, torch.Tensor]:
        return dict(zip(self.names, self._module(*tensors), strict=True))

    def _own_facts(self) -> Facts:
        return {"execution_mode": "operation by operation"}


@contextmanager
def _without_logging() -> Iterator[None]:
    """Keep torch from logging a whole traceback of a damaged file before it raises the error."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _result_names(program: torch.export.ExportedProgram) -> list[str]:
    spec = program.call_spec.out_spec
    names = spec.context if spec is not None and spec.type is not tuple else ()
    return [str(name) for name in names or ()]


def _cut(module: fx.GraphModule, found: Sequence[str], manifest: Manifest, names: Sequence[str]) -> fx.GraphModule:
    """Make the module take tensors and return those of `names` as a tuple, and drop what they don't need.

    In-place operations count as needed: torch recognises them by their schema.
    """
    output = module.graph.output_node()
    results: Any = output.args[0]
    if list(found) != manifest.output_names or len(results) != len(found):
        raise ArtifactError(
            f"{TORCH_EXPORT_FILE} returns other outputs than the manifest lists.\nExport the artifact again."
        )
    by_name = dict(zip(found, results, strict=True))
    output.args = (tuple(by_name[name] for name in names),)
    module.graph.set_codegen(fx.graph.CodeGen())
    if len(names) < len(found):
        module.graph.eliminate_dead_code()
    module.recompile()
    return module
