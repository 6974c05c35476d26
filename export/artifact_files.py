"""What every artifact's folder holds beside its models: the record of ONNX nodes, and the manifest with the hashes."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from runtime.artifact.errors import ExportError
from runtime.artifact.file_hash import file_hash
from runtime.artifact.manifest import (
    FORMAT_VERSION,
    OPERATIONS_FILE,
    TORCH_EXPORT_FILE,
    TORCHSCRIPT_FILE,
    Manifest,
    Preprocessing,
    Versions,
)
from runtime.artifact.onnx_nodes import ExportedNodes

if TYPE_CHECKING:
    from probe import OnnxProbe, Probe

__all__ = [
    "EXTERNAL_DATA_ABOVE_BYTES",
    "LEFT_OUT_OF_ONNX",
    "making_manifest",
    "manifest_of",
    "write_manifest",
    "write_operations",
]

EXTERNAL_DATA_ABOVE_BYTES: Final = 1_500_000_000
"""A protobuf file can't exceed 2 GB; above this the weights go into a file beside it."""
LEFT_OUT_OF_ONNX = dict.fromkeys((TORCH_EXPORT_FILE, TORCHSCRIPT_FILE), "the model is an ONNX file")
"""The manifest's `left_out` where the model is an ONNX file."""


def write_operations(nodes: ExportedNodes, folder: Path) -> None:
    """Write what the ONNX nodes of each output are."""
    (folder / OPERATIONS_FILE).write_text(nodes.model_dump_json(exclude_defaults=True) + "\n", encoding="utf-8")


@contextmanager
def making_manifest(model: str) -> Iterator[None]:
    """Report a manifest that is made here and isn't valid.

    Args:
        model: its name, for the message.

    Raises:
        ExportError: the format doesn't allow what the model says of itself.
    """
    try:
        yield
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ExportError(
            f"{model} can't be described by an artifact: {reason}.\n"
            "artifacts/README.md lists what it can hold; change the model, or select other --outputs."
        ) from error


def manifest_of(
    probe: "Probe | OnnxProbe",
    name: str,
    preprocessing: Preprocessing | None,
    opset: int,
    torch: str | None = None,
    **more: Any,
) -> Manifest:
    """Return the manifest of a probe, without the hashes of its files.

    Args:
        probe: of a PyTorch model or of an ONNX file.
        name: the model's.
        preprocessing: how a photo becomes the input; None if the input isn't an image.
        opset: of the ONNX file.
        torch: the version that wrote it; None where none did.
        more: fields that only one kind of probe has.

    Raises:
        ExportError: as of `making_manifest`.
    """
    with making_manifest(name):
        return Manifest(
            format_version=FORMAT_VERSION,
            model=name,
            files={},
            inputs=probe.inputs,
            constants=dict(probe.constants),
            preprocessing=preprocessing,
            outputs=probe.outputs,
            results=probe.results,
            skipped=probe.skipped,
            capture=probe.capture,
            capture_reason=probe.capture_reason,
            versions=Versions(layerprobe=version("layerprobe"), torch=torch, onnx=version("onnx"), opset=opset),
            **more,
        )


def write_manifest(manifest: Manifest, file: Path, listed: Iterable[Path] | None = None) -> None:
    """Write a manifest with the hashes of the files that it lists: all in its folder by default."""
    files = sorted(file.parent.iterdir() if listed is None else listed)
    complete = manifest.model_copy(update={"files": {each.name: file_hash(each) for each in files}})
    file.write_text(complete.model_dump_json(indent=1) + "\n", encoding="utf-8")
