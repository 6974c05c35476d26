"""Runs an artifact's torch.export program: arrays in, every output by name out.

It imports PyTorch, so import it only where this runner is requested. A file in which anything is pickled is
refused before PyTorch reads it. A program it remains: it may call any function of PyTorch, which also evaluates its
formulas for sizes as Python.
"""

import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import fx
from torch.export.pt2_archive._package import PT2ArchiveReader, load_pt2

from ..artifact.errors import ArtifactError
from ..artifact.manifest import TORCH_EXPORT_FILE, Manifest
from .machine import Facts
from .torch_file import TorchFileRunner

__all__ = ["TorchExportRunner"]

_PLAIN = re.compile(
    r"archive_format|archive_version|byteorder|\.data/(?:version|serialization_id)|models/model\.json|extra/.*"
    r"|data/(weights|constants)/(model_\1_config\.json|weight_\d+|tensor_\d+)|data/sample_inputs/model\.pt"
)
"""The records of a file that layerprobe wrote: no compiled code, no Python object, nothing of an earlier format."""
_SAMPLE_INPUTS = "data/sample_inputs/model.pt"
_CONFIGS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")


class TorchExportRunner(TorchFileRunner):
    """An opened torch.export program, run operation by operation."""

    runtime = "torch.export's program"
    file = TORCH_EXPORT_FILE

    def _load(self, file: Path | BytesIO) -> Any:
        given = file if isinstance(file, BytesIO) else str(file)
        _refuse_pickles(given)
        with _without_logging():
            # Not torch.export.load, which unpickles an archive of the earlier format where this fails.
            program = load_pt2(given).exported_programs["model"]
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


def _refuse_pickles(file: str | BytesIO) -> None:
    """Refuse an archive in which anything is a pickle, or compiled code.

    Read by PyTorch's own reader, so that what is checked is what is loaded: a zip archive can be made that another
    reader sees other records in.

    Raises:
        ArtifactError: there is one.
    """
    archive = PT2ArchiveReader(file)
    foreign = [name for name in archive.get_file_names() if not _PLAIN.fullmatch(name)]
    # PyTorch falls back to unpickling freely, where they are no plain tensors; layerprobe saves none.
    if archive.read_bytes(_SAMPLE_INPUTS):
        foreign.append(_SAMPLE_INPUTS)
    for config in _CONFIGS:
        entries: dict[str, dict[str, Any]] = json.loads(archive.read_string(config))["config"]
        foreign += [f"{name} in {config}" for name, entry in entries.items() if entry["use_pickle"] is not False]
    if foreign:
        name = file if isinstance(file, str) else TORCH_EXPORT_FILE
        raise ArtifactError(
            f"{name} holds what could run any code as it is loaded, and layerprobe doesn't write: {foreign[0]}.\n"
            "Export the model again."
        )


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
