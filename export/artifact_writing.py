"""probe -> artifact folder. Each part is made in its own file; here they are put together, in order."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType

import onnx
import onnx_ir as ir
import torch

from probe import Probe, average_probe
from probe.manifest_making import manifest_of
from runtime.artifact.errors import ExportError, first_line
from runtime.artifact.manifest import (
    AVERAGED_FILES,
    AVERAGED_MANIFEST_FILE,
    MANIFEST_FILE,
    METADATA_KEY,
    ONNX_FILE,
    REFERENCE_FILE,
    TORCH_EXPORT_FILE,
    TORCHSCRIPT_FILE,
    Manifest,
    Preprocessing,
    Recipe,
)
from runtime.artifact.onnx_file import read_onnx
from runtime.artifact.onnx_nodes import describe_nodes
from runtime.artifact.plain_text import is_utf8
from runtime.artifact.reference import save_references

from .artifact_files import EXTERNAL_DATA_ABOVE_BYTES, write_manifest, write_operations
from .averaging.averaged_onnx import average_onnx
from .cpu_copy import on_cpu
from .export_hints import named_in, way_around
from .folder_replacement import replace_folder
from .kept_tensors import Keep
from .onnx_conversion import to_onnx
from .recorded_inputs import RecordedInput, recorded_inputs
from .reference_recording import record_references
from .test_vector_writing import write_test_vectors
from .torch_export_conversion import save_torch_export, to_torch_export
from .torchscript_conversion import save_torchscript, to_torchscript
from .trial_run import try_model_files

__all__ = ["export_artifact"]

_NO_AVERAGED_PROGRAM = "the averaged probe is written as ONNX and TorchScript only"


def export_artifact(
    probe: Probe,
    folder: str | Path,
    *,
    name: str | None = None,
    preprocessing: Preprocessing | None = None,
    recipe: Recipe | None = None,
    reference_inputs: Mapping[str, tuple[torch.Tensor, ...]] = MappingProxyType({}),
    averaged: bool = False,
    full: bool = True,
    overwrite: bool = False,
    on_phase: Callable[[str], None] = lambda phase: None,  # noqa: ARG005
    on_left_out: Callable[[str, str], None] = lambda file, reason: None,  # noqa: ARG005
) -> Path:
    """Write `probe` as an artifact and return its folder.

    Args:
        probe: what `build_probe` returned.
        folder: the artifact's folder; parents are created. It appears complete or not at all.
        name: the model's name in the manifest; its class's name by default.
        preprocessing: how a photo becomes the input; None if the input isn't an image.
        recipe: how the model can be rebuilt from its name; None if it has none.
        reference_inputs: what the reference is recorded on, by name: the tensors of `probe.inputs`, in their order,
            dtypes and shapes. The model is then tried on larger batches of the first alone. By default
            `recorded_inputs.py` chooses: noise, strong noise, a photo, or for what may be an index or the like the
            example's values.
        averaged: write the averaged probe (`average_probe`): each output's mean over the channels, N 1 H W, at little
            more than the plain model's cost.
        full: write the probe with every tensor.
        overwrite: replace an existing artifact.
        on_phase: called with the name of each phase as it starts.
        on_left_out: called with the name of a file that can't be made for this model (only torch.export's is
            optional), and the reason.

    Raises:
        FolderExists: the folder exists, and `overwrite` is not set, or it holds anything but an artifact.
        ExportError: the model can't be converted, or the folder can't be written.
        ModelError: `averaged` is set, and no output has a height and a width.
        InputError: one of `reference_inputs` doesn't fit the model's inputs.
    """
    if not (averaged or full):
        raise ExportError("Neither the full probe nor the averaged one is requested: an artifact needs at least one.")
    target = Path(folder)
    if not is_utf8(str(target.absolute())):
        raise ExportError(
            f"{target} can't be written: onnx takes no path that isn't UTF-8.\nChoose another folder with -o."
        )
    for spec in probe.inputs:
        if 0 in spec.shape:
            raise ExportError(f"The input {spec.name} has a size of 0: an artifact needs sizes of at least 1.")
    probe.traced.following.update()
    for given in reversed(list(reference_inputs.values())):  # each is checked, and the first stays
        probe = probe.on_input(given)
    probe = on_cpu(probe)
    with replace_folder(target, overwrite=overwrite) as folder_in_work:
        write = partial(
            _write_artifact,
            folder=folder_in_work,
            name=name,
            preprocessing=preprocessing,
            recipe=recipe,
            reference_inputs=reference_inputs,
            averaged=averaged,
            full=full,
            on_phase=on_phase,
            on_left_out=on_left_out,
        )
        try:
            write(probe)
        except ExportError as error:
            if not error.only_in_another_batch:
                raise
            # Some operations can only be written for one batch: a convolution in as many groups as images.
            for file in folder_in_work.iterdir():
                file.unlink()
            with suppress(ExportError):
                write(probe.with_fixed_batch())
                return target
            raise
    return target


def _write_artifact(
    probe: Probe,
    *,
    folder: Path,
    name: str | None,
    preprocessing: Preprocessing | None,
    recipe: Recipe | None,
    reference_inputs: Mapping[str, tuple[torch.Tensor, ...]],
    averaged: bool,
    full: bool,
    on_phase: Callable[[str], None],
    on_left_out: Callable[[str, str], None],
) -> None:
    """Write all files of an artifact into an empty folder."""
    maps = average_probe(probe) if averaged else None
    inputs = list(recorded_inputs(probe, preprocessing, reference_inputs))
    program, reason = None, None
    if full:
        on_phase("converting with torch.export")
        program, reason = _convert_with_torch_export(probe)
    on_phase("converting to ONNX")
    onnx_model = to_onnx(probe, program)
    opset = onnx_model.opset_imports[""]
    manifest = _describe(probe, name or probe.model_name, preprocessing, opset, recipe)
    if full:
        # Before the other files: the manifest inside them says whether this one exists.
        if program is not None:
            reason = _write_torch_export(program, manifest, folder / TORCH_EXPORT_FILE)
        if reason:
            manifest = manifest.model_copy(update={"left_out": {TORCH_EXPORT_FILE: reason}})
            on_left_out(TORCH_EXPORT_FILE, reason)
        names = {file: folder / file for file in AVERAGED_FILES}
        _write_files(probe, onnx_model, manifest, names, inputs, on_phase)
        nodes = describe_nodes(read_onnx(folder / ONNX_FILE), manifest.output_names, manifest.output_names)
        write_operations(nodes, folder)
    if maps is not None:
        on_phase("averaging the ONNX model")
        average_onnx(onnx_model, probe.outputs, maps.outputs)
        of_maps = _describe(maps, manifest.model, preprocessing, opset, recipe)
        of_maps = of_maps.model_copy(update={"left_out": {TORCH_EXPORT_FILE: _NO_AVERAGED_PROGRAM}})
        names = {file: folder / averaged_file for file, averaged_file in AVERAGED_FILES.items()}
        _write_files(maps, onnx_model, of_maps, names, inputs, on_phase)
    write_test_vectors(manifest, folder)
    if maps is not None and full:
        averaged_files = [part for part in folder.iterdir() if part.name.startswith("averaged.")]
        write_manifest(of_maps, folder / AVERAGED_MANIFEST_FILE, averaged_files)
    write_manifest(manifest if full or maps is None else of_maps, folder / MANIFEST_FILE)


def _write_files(
    probe: Probe,
    onnx_model: ir.Model,
    manifest: Manifest,
    files: Mapping[str, Path],
    inputs: Sequence[RecordedInput],
    on_phase: Callable[[str], None],
) -> None:
    """Write and check the model files and the reference of a probe, full or averaged."""
    onnx_model.graph.name = manifest.model
    onnx_model.metadata_props[METADATA_KEY] = manifest.model_dump_json()
    _save_onnx(onnx_model, files[ONNX_FILE], probe)
    on_phase("converting to TorchScript")
    save_torchscript(to_torchscript(probe), files[TORCHSCRIPT_FILE], manifest.model_dump_json())
    on_phase("recording the float64 reference")
    references = record_references(probe, inputs, Keep.beside(files[ONNX_FILE].stat().st_size, len(probe.outputs)))
    save_references(files[REFERENCE_FILE], references)
    on_phase("trying both on another input")
    try_model_files(probe, references[0], files[ONNX_FILE], files[TORCHSCRIPT_FILE])


def _convert_with_torch_export(probe: Probe) -> tuple[torch.export.ExportedProgram | None, str | None]:
    """Return torch.export's program, or why it can't be made for this model."""
    try:
        return to_torch_export(probe), None
    except ExportError as error:
        return None, first_line(error)


def _write_torch_export(program: torch.export.ExportedProgram, manifest: Manifest, file: Path) -> str | None:
    """Write torch.export's program, or return why it can't be written."""
    try:
        save_torch_export(program, file, manifest.model_dump_json())
    except ExportError as error:
        return first_line(error)
    return None


def _describe(
    probe: Probe, name: str, preprocessing: Preprocessing | None, opset: int, recipe: Recipe | None
) -> Manifest:
    return manifest_of(probe, name, preprocessing, opset, torch.__version__, recipe=recipe, weights=probe.weights)


def _save_onnx(model: ir.Model, file: Path, probe: Probe) -> None:
    weights = sum(value.const_value.nbytes for value in model.graph.initializers.values() if value.const_value)
    try:
        ir.save(model, file, external_data=f"{file.name}.data" if weights > EXTERNAL_DATA_ABOVE_BYTES else None)
    except ir.serde.SerdeError as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        raise ExportError(
            f"torch.onnx made a model that can't be written: {first_line(cause)}\n{way_around(probe, set())}"
        ) from error
    try:
        onnx.checker.check_model(file, full_check=True)
    except Exception as error:
        found = named_in(str(error), probe)
        where = next((f" at {spec.located}" for spec in probe.outputs if spec.name in found), "")
        # After the last "[ShapeInferenceError]" comes the reason, before it the way through onnx's own code.
        reason = first_line(ValueError(str(error).strip().rpartition("Error] ")[2] or str(error)))
        raise ExportError(
            f"torch.onnx wrote a model that onnx.checker refuses{where}: {reason}\n{way_around(probe, found)}"
        ) from error
