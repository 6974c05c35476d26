"""What every artifact's folder holds beside its models: the record of ONNX nodes, and the manifest with the hashes."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from runtime.artifact.file_hash import file_hash
from runtime.artifact.manifest import OPERATIONS_FILE, TORCH_EXPORT_FILE, TORCHSCRIPT_FILE, Manifest
from runtime.artifact.onnx_nodes import ExportedNodes

__all__ = ["EXTERNAL_DATA_ABOVE_BYTES", "LEFT_OUT_OF_ONNX", "write_manifest", "write_operations"]

EXTERNAL_DATA_ABOVE_BYTES: Final = 1_500_000_000
"""A protobuf file can't exceed 2 GB; above this the weights go into a file beside it."""
LEFT_OUT_OF_ONNX = dict.fromkeys((TORCH_EXPORT_FILE, TORCHSCRIPT_FILE), "the model is an ONNX file")
"""The manifest's `left_out` where the model is an ONNX file."""


def write_operations(nodes: ExportedNodes, folder: Path) -> None:
    """Write what the ONNX nodes of each output are."""
    (folder / OPERATIONS_FILE).write_text(nodes.model_dump_json(exclude_defaults=True) + "\n", encoding="utf-8")


def write_manifest(manifest: Manifest, file: Path, listed: Iterable[Path] | None = None) -> None:
    """Write a manifest with the hashes of the files that it lists: all in its folder by default."""
    files = sorted(file.parent.iterdir() if listed is None else listed)
    complete = manifest.model_copy(update={"files": {each.name: file_hash(each) for each in files}})
    file.write_text(complete.model_dump_json(indent=1) + "\n", encoding="utf-8")
