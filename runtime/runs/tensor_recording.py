"""Images to one safetensors file with every output of every image, written batch by batch.

The safetensors package writes only what is whole in memory; a folder of images has no bound. The format is simple
enough to be filled in place: a header with each tensor's position, then the tensors one after another
(https://github.com/huggingface/safetensors#format).
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import ArtifactError, UsageError
from ..artifact.file_replacement import replace_file
from ..artifact.folder import Artifact
from ..artifact.manifest import Output, fixed_batch
from ..runners.base import Runner
from .preprocessing import preprocess_files
from .recorded_run import INPUTS_KEY, RUN_KEY, InputsHash, describe_run

__all__ = ["record_images", "record_reference_input"]

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


def record_images(
    artifact: Artifact,
    runner: Runner,
    images: Sequence[Path],
    file: Path,
    *,
    outputs: Sequence[str] = (),
    input_size: tuple[int, int] | None = None,
    batch: int = 16,
    on_progress: Callable[[int], None] = lambda done: None,  # noqa: ARG005
) -> None:
    """Run every image and write the outputs, stacked along N in the order of `images`.

    An output that is the same for every image (computed from weights alone) is written once. The file's metadata holds
    the model, the runner, the images' names, and the metadata to compare the run with another.

    Args:
        artifact: an open artifact.
        runner: an open runner of it.
        images: at least one.
        file: the file to write, whole or not at all.
        outputs: names of the outputs to keep; all, if empty.
        input_size: height and width of the preprocessed images, instead of those of the export.
        batch: images per run; with the outputs' sizes, this bounds the memory.
        on_progress: called with the number of images done.

    Raises:
        ImageError: an image can't be read.
        ArtifactError: the artifact isn't for images, or not what its manifest says.
        UsageError: an output can't be stacked, because its batch isn't the first axis; or the model's batch is fixed
            at another number than that of the images.
        OutputError: the file can't be written.
    """
    name, steps = artifact.manifest.image_input(input_size)
    fixed = fixed_batch(artifact.manifest.inputs)
    if fixed is not None and len(images) != fixed:
        # Without a symbol in the shapes, it is unknown which outputs follow the batch.
        raise UsageError(f"{artifact.manifest.model} takes only a batch of {fixed}; {len(images)} images were given.")
    size = fixed or batch
    kept = [entry for entry in artifact.manifest.outputs if not outputs or entry.name in outputs]
    mixed = [entry.name for entry in kept if _rows_per_image(entry) is None]
    if mixed and len(images) > size:
        raise UsageError(
            f"{mixed[0]} does not hold one image after another, so more than {size} images can't be stacked."
            "\nChoose other outputs with --outputs, or give fewer images."
        )
    parts = [images[start : start + size] for start in range(0, len(images), size)]
    batches = ((len(part), {name: preprocess_files(part, steps)}) for part in parts)
    metadata = {"layerprobe.images": json.dumps([str(image) for image in images])}
    _record(artifact, runner, batches, len(images), file, kept, metadata, on_progress)


def record_reference_input(artifact: Artifact, runner: Runner, file: Path, *, outputs: Sequence[str] = ()) -> None:
    """Run the artifact's recorded input, and write the outputs as `record_images` does.

    Raises:
        ArtifactError: the artifact has no valid reference.
        OutputError: the file can't be written.
    """
    inputs = artifact.reference().inputs
    kept = [entry for entry in artifact.manifest.outputs if not outputs or entry.name in outputs]
    _record(artifact, runner, [(1, inputs)], 1, file, kept, {}, lambda _done: None)


def _record(
    artifact: Artifact,
    runner: Runner,
    batches: Iterable[tuple[int, Mapping[str, NDArray[Any]]]],
    images: int,
    file: Path,
    kept: Sequence[Output],
    metadata: Mapping[str, str],
    on_progress: Callable[[int], None],
) -> None:
    record = describe_run(artifact, runner)
    metadata = {
        "layerprobe.model": record.model,
        "layerprobe.runner": record.runner,
        **metadata,
        RUN_KEY: record.model_dump_json(),
    }
    rows = {entry.name: _rows_per_image(entry) for entry in kept}
    inputs_hash = InputsHash()
    with replace_file(file) as stream:
        layout: _Layout | None = None
        done = 0
        for count, inputs in batches:
            inputs_hash.add(inputs)
            arrays = runner.run(inputs)
            kept_arrays = {entry.name: arrays[entry.name] for entry in kept}
            if layout is None:
                layout = _Layout(kept_arrays, rows, images)
                layout.write_header(stream, metadata)
            layout.write(stream, kept_arrays, done)
            done += count
            on_progress(done)
        if layout is not None:
            layout.write_inputs_hash(stream, str(inputs_hash))


def _rows_per_image(entry: Output) -> int | None:
    """Return how many rows of its first axis an output has for each image: 1 for `N`, 4 for `4*N`; 0 if it is the same
    for all images; None if the batch lies on another axis.
    """
    symbolic = [isinstance(size, str) and ("N" in size or size == "?") for size in entry.shape]
    if not any(symbolic):
        return 0
    first = re.fullmatch(r"(?:(\d+)\*)?N", str(entry.shape[0]))
    return int(first[1] or 1) if first and not any(symbolic[1:]) else None


class _Layout:
    """The position of each tensor in the file, known once the first batch shows the shapes."""

    def __init__(self, first: Mapping[str, NDArray[Any]], rows: Mapping[str, int | None], images: int) -> None:
        self._rows = rows
        self._entries: dict[str, dict[str, Any]] = {}
        end = 0
        for name, array in first.items():
            each = rows[name]
            shape = (each * images, *array.shape[1:]) if each else array.shape
            begin, end = end, end + math.prod(shape) * array.itemsize
            self._entries[name] = {"dtype": _DTYPES[str(array.dtype)], "shape": shape, "data_offsets": [begin, end]}
        self._data_start = self._hash_start = 0

    def write_header(self, stream: BinaryIO, metadata: Mapping[str, str]) -> None:
        # The hash is known only at the end; until then, as many zeros are in its place, at the header's end.
        unknown = "0" * InputsHash.LENGTH
        header = json.dumps({**self._entries, "__metadata__": {**metadata, INPUTS_KEY: unknown}}).encode()
        self._hash_start = 8 + header.rindex(unknown.encode())
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
            offset = begin + (first_image * each * array[:1].nbytes if each else 0)
            if offset + array.nbytes > end:
                raise ArtifactError(f"{name} has another shape than in the manifest.\nExport the artifact again.")
            stream.seek(self._data_start + offset)
            stream.write(np.ascontiguousarray(array).data)
