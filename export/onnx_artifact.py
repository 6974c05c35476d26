"""ONNX probe -> artifact folder: as `artifact_writing.py` writes it for a PyTorch model, without PyTorch's files."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import onnx
from numpy.typing import NDArray

from probe.manifest_making import manifest_of
from probe.onnx_model.probing import OnnxProbe
from runtime.artifact.errors import ExportError, first_line
from runtime.artifact.manifest import (
    MANIFEST_FILE,
    METADATA_KEY,
    ONNX_FILE,
    REFERENCE_FILE,
    Manifest,
    Preprocessing,
)
from runtime.artifact.onnx_file import OnnxFile, read_onnx
from runtime.artifact.onnx_nodes import describe_nodes
from runtime.artifact.onnx_weights import load_weights, place_of
from runtime.artifact.reference import save_references

from .artifact_files import (
    EXTERNAL_DATA_ABOVE_BYTES,
    LEFT_OUT_OF_ONNX,
    write_manifest,
    write_operations,
)
from .folder_replacement import replace_folder
from .kept_tensors import Keep
from .onnx_recording import record_onnx
from .onnx_writing import write_whole
from .test_vector_writing import write_test_vectors

__all__ = ["export_onnx", "write_onnx"]


def export_onnx(
    probe: OnnxProbe,
    folder: str | Path,
    *,
    name: str | None = None,
    preprocessing: Preprocessing | None = None,
    reference_inputs: Mapping[str, Mapping[str, NDArray[Any]]] = MappingProxyType({}),
    overwrite: bool = False,
    on_phase: Callable[[str], None] = lambda phase: None,  # noqa: ARG005
) -> Path:
    """Write the probe of an ONNX file as an artifact and return its folder.

    Args:
        probe: that of `load_onnx`.
        folder: the artifact's folder; parents are created. It appears complete or not at all.
        name: the model's name in the manifest; the file's by default.
        preprocessing: how a photo becomes the input; None if the input isn't an image.
        reference_inputs: what the reference is recorded on, by a name of your choice: arrays by the inputs' names.
        overwrite: replace an existing artifact.
        on_phase: called with the name of each phase as it starts.

    Raises:
        FolderExists: the folder exists, and `overwrite` is not set, or it holds anything but an artifact.
        ExportError: the folder can't be written.
        ModelError: the model can't be evaluated on the first input.
    """
    target = Path(folder)
    manifest = manifest_of(probe, name or probe.name, preprocessing, probe.opset, left_out=LEFT_OUT_OF_ONNX)
    with replace_folder(target, overwrite=overwrite) as in_work:
        on_phase("writing the ONNX file")
        file = in_work / ONNX_FILE
        write_onnx(probe.file, manifest, file)
        nodes = describe_nodes(read_onnx(file), manifest.output_names, manifest.output_names)
        write_operations(nodes, in_work)
        on_phase("recording the float64 reference")
        keep = Keep.beside(file.stat().st_size, len(probe.outputs))
        save_references(in_work / REFERENCE_FILE, record_onnx(probe, keep, preprocessing, reference_inputs))
        write_test_vectors(manifest, in_work)
        write_manifest(manifest, in_work / MANIFEST_FILE)
    return target


def write_onnx(marked: OnnxFile, manifest: Manifest, file: Path) -> None:
    """Write a marked model with its weights: in the file itself, or beside it where they are too large.

    Raises:
        ExportError: it can't be written.
    """
    model = marked.model()
    model.graph.name = manifest.model
    model.metadata_props.append(onnx.StringStringEntryProto(key=METADATA_KEY, value=manifest.model_dump_json()))
    try:
        places = [place_of(tensor, marked.folder) for tensor in model.graph.initializer]
        if sum(place.length for place in places if place) > EXTERNAL_DATA_ABOVE_BYTES:
            load_weights(model, marked.folder)
            onnx.save(model, file, save_as_external_data=True, location=f"{file.name}.data")
        else:
            with file.open("wb") as stream:
                write_whole(model, places, stream)
    except Exception as error:  # protobuf's own errors share no base with onnx's
        raise ExportError(f"{marked.path} can't be written as an artifact: {first_line(error)}") from error
