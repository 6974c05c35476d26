"""Inputs to one safetensors file with every output of every input, written batch by batch.

The safetensors package writes only what is whole in memory; a folder of images has no bound. The format is simple
enough to be filled in place: a header with each tensor's position, then the tensors one after another
(https://github.com/huggingface/safetensors#format).
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import ArtifactError, UsageError
from ..artifact.file_replacement import replace_file
from ..artifact.folder import Artifact
from ..artifact.manifest import Dimension, Input, fixed_batch
from ..runners.base import Runner
from ..runners.input_check import check_inputs
from .input_batches import Batch, batch_of, batches_of
from .input_files import is_photo
from .recorded_run import InputsHash, describe_run
from .tensor_file import FILE_KEY, INPUT_PREFIX, INPUTS_KEY, RUN_KEY

__all__ = ["RUN_MARK", "record_files", "record_reference_input", "rows_per_image"]

_MODEL_KEY = "layerprobe.model"
RUN_MARK = f'"{_MODEL_KEY}"'
"""What each recorded run has at its start: another safetensors file, of weights say, is not replaced by one."""

_DTYPES = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "int16": "I16",
    "int32": "I32",
    "int64": "I64",
    "float16": "F16",
    "float32": "F32",
    "float64": "F64",
}


def record_files(
    artifact: Artifact,
    runner: Runner,
    files: Sequence[Path],
    file: Path,
    *,
    outputs: Sequence[str] = (),
    input_size: tuple[int, int] | None = None,
    batch: int = 16,
    save_input: bool = False,
    broken: Mapping[Path, str] = MappingProxyType({}),
    on_progress: Callable[[int, int], None] = lambda done, of_all: None,  # noqa: ARG005
) -> int:
    """Run every file and write the outputs, stacked along N in the order of `files`; return how many inputs that are.

    An output that is the same for every input (computed from weights alone) is written once. The file's metadata holds
    the model, the runner, the files' names, and the metadata to compare the run with another.

    Args:
        artifact: an open artifact.
        runner: an open runner of it.
        files: at least one, as `input_files` returns them: photos, or arrays with the inputs of one run each.
        file: the file to write, whole or not at all.
        outputs: names of the outputs to keep; all, if empty.
        input_size: height and width of the preprocessed photos, instead of those of the export.
        batch: photos per run; with the outputs' sizes, this bounds the memory.
        save_input: also write what the model was given, as `input:NAME`.
        broken: photos that were left out, each with the reason, for the file's metadata.
        on_progress: called with the number of inputs done, and of all.

    Raises:
        ImageError: a photo can't be read.
        InputError: a file has other inputs than the model takes.
        ArtifactError: there are photos and the model takes none, or it is not what its manifest says.
        UsageError: an output can't be stacked, because its batch isn't the first axis or sizes differ; or the model's
            batch is fixed at another number than that of the inputs.
        UsageError: there is a file that is no recorded run.
        OutputError: the file can't be written.
    """
    manifest = artifact.manifest
    fixed = fixed_batch(manifest.inputs)
    batches = list(batches_of(manifest, files, fixed or batch, input_size))
    count = sum(each.size for each in batches)
    if fixed is not None and count != fixed:
        # Without a symbol in the shapes, it is unknown which outputs follow the batch.
        what = "images" if all(map(is_photo, files)) else "inputs"
        raise UsageError(f"{manifest.model} takes only a batch of {fixed}; {count} {what} were given.")
    metadata = {"layerprobe.images": json.dumps([str(each) for each in files])}
    if broken:
        metadata["layerprobe.broken_images"] = json.dumps({str(each): why for each, why in broken.items()})
    _record(artifact, runner, batches, file, outputs, metadata, on_progress, save_input=save_input)
    return count


def record_reference_input(
    artifact: Artifact, runner: Runner, file: Path, *, outputs: Sequence[str] = (), save_input: bool = False
) -> None:
    """Run the artifact's recorded input, and write the outputs as `record_files` does.

    Raises:
        ArtifactError: the artifact has no valid reference.
        OutputError: the file can't be written.
    """
    batch = batch_of(artifact.manifest, partial(check_inputs, artifact.manifest, artifact.reference().inputs))
    _record(artifact, runner, [batch], file, outputs, {}, lambda _done, _all: None, save_input=save_input)


def _record(
    artifact: Artifact,
    runner: Runner,
    batches: Sequence[Batch],
    file: Path,
    outputs: Sequence[str],
    metadata: Mapping[str, str],
    on_progress: Callable[[int, int], None],
    *,
    save_input: bool,
) -> None:
    inputs = artifact.manifest.inputs
    kept = [entry for entry in artifact.manifest.outputs if not outputs or entry.name in outputs]
    rows = {entry.name: rows_per_image(entry.shape) for entry in kept}
    if save_input:
        rows |= {f"{INPUT_PREFIX}{entry.name}": rows_per_image(entry.shape) for entry in inputs}
    mixed = [name for name, each in rows.items() if each is None]
    if mixed and len(batches) > 1:
        raise UsageError(
            f"{mixed[0]} does not hold one image after another, so more than {batches[0].size} can't be stacked."
            "\nChoose other outputs with --outputs, or give fewer images."
        )
    inputs_hash, total, done = InputsHash(), sum(each.size for each in batches), 0
    common: dict[str, NDArray[Any]] = {}
    with replace_file(file, RUN_MARK) as stream:
        layout: _Layout | None = None
        for batch in batches:
            given = batch.read()
            _refuse_other_tables(inputs, given, common)
            inputs_hash.add(given)
            arrays = runner.run(given)
            written = {entry.name: arrays[entry.name] for entry in kept}
            written |= {name: given[name.removeprefix(INPUT_PREFIX)] for name in rows if name not in written}
            if layout is None:
                layout = _Layout(written, rows, batch.size, total)
                layout.write_header(stream, _metadata(artifact, runner, metadata))
            layout.write(stream, written, done)
            done += batch.size
            on_progress(done, total)
        if layout is not None:
            layout.write_inputs_hash(stream, str(inputs_hash))


def _metadata(artifact: Artifact, runner: Runner, metadata: Mapping[str, str]) -> dict[str, str]:
    record = describe_run(artifact, runner)
    return {
        _MODEL_KEY: record.model,
        "layerprobe.runner": record.runner,
        **({FILE_KEY: runner.file} if runner.file else {}),
        **metadata,
        RUN_KEY: record.model_dump_json(),
    }


def _refuse_other_tables(inputs: Sequence[Input], given: Mapping[str, NDArray[Any]], common: dict[str, Any]) -> None:
    """Refuse inputs without a batch that aren't those of the first run, which are added to `common`: what is computed
    from them alone is written once.
    """
    for entry in inputs:
        if rows_per_image(entry.shape) != 0:
            continue
        if not np.array_equal(common.setdefault(entry.name, given[entry.name]), given[entry.name]):
            raise UsageError(f"{entry.name} has no batch, and is not the same in all files: run them one by one.")


def rows_per_image(shape: Sequence[Dimension]) -> int | None:
    """Return how many rows of its first axis a tensor has for each image: 1 for `N`, 4 for `4*N`; 0 if it is the same
    for all images; None if the batch lies on another axis.
    """
    symbolic = [isinstance(size, str) and ("N" in size or size == "?") for size in shape]
    if not any(symbolic):
        return 0
    first = re.fullmatch(r"(?:(\d+)\*)?N", str(shape[0]))
    return int(first[1] or 1) if first and not any(symbolic[1:]) else None


class _Layout:
    """The position of each tensor in the file, known once the first batch shows the shapes."""

    def __init__(
        self, first: Mapping[str, NDArray[Any]], rows: Mapping[str, int | None], size: int, total: int
    ) -> None:
        """Take the tensors of the first batch, how many images that has, and how many there are in all."""
        self._rows = rows
        self._entries: dict[str, dict[str, Any]] = {}
        end = 0
        for name, array in first.items():
            shape = (array.shape[0] // size * total, *array.shape[1:]) if rows[name] else array.shape
            begin, end = end, end + math.prod(shape) * array.itemsize
            self._entries[name] = {"dtype": _DTYPES[str(array.dtype)], "shape": shape, "data_offsets": [begin, end]}
        self._data_start = self._hash_start = 0

    def write_header(self, stream: BinaryIO, metadata: Mapping[str, str]) -> None:
        # The hash is known only at the end; until then, as many zeros are in its place, at the metadata's end.
        unknown = "0" * InputsHash.LENGTH
        of_file = json.dumps({"__metadata__": {**metadata, INPUTS_KEY: unknown}})
        self._hash_start = 8 + of_file.rindex(unknown)
        header = f"{of_file[:-1]}, {json.dumps(self._entries)[1:]}".encode()
        header += b" " * (-len(header) % 8)
        stream.write(len(header).to_bytes(8, "little") + header)
        self._data_start = stream.tell()

    def write_inputs_hash(self, stream: BinaryIO, inputs_hash: str) -> None:
        stream.seek(self._hash_start)
        stream.write(inputs_hash.encode())

    def write(self, stream: BinaryIO, arrays: Mapping[str, NDArray[Any]], first_image: int) -> None:
        for name, array in arrays.items():
            each = self._rows[name]
            if first_image and not each:
                continue
            begin, end = self._entries[name]["data_offsets"]
            shape = tuple(self._entries[name]["shape"])
            if each and array.shape[1:] != shape[1:]:
                sizes = (" x ".join(map(str, found[1:])) for found in (shape, array.shape))
                raise UsageError(
                    f"{name} is N x {' and N x '.join(sizes)}: give inputs of one size, or run them one by one."
                )
            offset = begin + (first_image * each * array[:1].nbytes if each else 0)
            if offset + array.nbytes > end:
                raise ArtifactError(f"{name} has another shape than in the manifest.\nExport the artifact again.")
            stream.seek(self._data_start + offset)
            stream.write(np.ascontiguousarray(array).data)
