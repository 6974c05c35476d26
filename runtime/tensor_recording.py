"""images -> one safetensors file with every output of every image, written as the images come.

The safetensors package writes what is whole in memory; a folder of images has no bound. The format is simple enough
to be filled in place: a header that says where each tensor lies, then the tensors one behind the other
(https://github.com/huggingface/safetensors#format).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from .artifact import Artifact
from .errors import ArtifactError
from .file_replacement import replace_file
from .preprocessing import preprocess_files
from .runners import Runner

__all__ = ["record_images"]

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
    batch: int = 16,
    on_progress: Callable[[int], None] = lambda done: None,  # noqa: ARG005
) -> None:
    """Run every image and write the outputs, stacked along N in the order of `images`.

    The file's metadata holds the model, the runner and the images' names.

    Args:
        artifact: what `open_artifact` gave.
        runner: an open runner of it.
        images: at least one.
        file: where to; it appears whole or not at all.
        outputs: names of the outputs to keep; all, if empty.
        batch: images computed at once; with the outputs' sizes this bounds the memory.
        on_progress: called with the number of images done.

    Raises:
        ImageError: an image can't be read.
        ArtifactError: the artifact isn't for images.
        OutputError: the file can't be written.
    """
    steps, name = artifact.manifest.preprocessing, artifact.manifest.inputs[0].name
    if steps is None or len(artifact.manifest.inputs) != 1:
        raise ArtifactError(f"{artifact.path} was not exported for images: its manifest holds no preprocessing.")
    fixed = artifact.manifest.inputs[0].shape[0]
    size = fixed if isinstance(fixed, int) else batch
    metadata = {
        "layerprobe.model": artifact.manifest.model,
        "layerprobe.runner": runner.name,
        "layerprobe.images": json.dumps([str(image) for image in images]),
    }
    kept = list(outputs) or artifact.manifest.output_names
    with replace_file(file) as stream:
        layout: _Layout | None = None
        for start in range(0, len(images), size):
            part = images[start : start + size]
            arrays = runner.run({name: preprocess_files(part, steps)})
            kept_arrays = {key: arrays[key] for key in kept}
            if layout is None:
                layout = _Layout(kept_arrays, len(part), len(images))
                layout.write_header(stream, metadata)
            layout.write(stream, kept_arrays, start)
            on_progress(start + len(part))


class _Layout:
    """Where each tensor lies in the file, known once the first batch tells the shapes."""

    def __init__(self, first: Mapping[str, NDArray[Any]], batch: int, images: int) -> None:
        self._entries: dict[str, dict[str, Any]] = {}
        self._rows = {name: array.shape[0] // batch for name, array in first.items()}
        shapes = {name: (self._rows[name] * images, *array.shape[1:]) for name, array in first.items()}
        sizes = [int(np.prod(shapes[name])) * array.itemsize for name, array in first.items()]
        for (name, array), end, size in zip(first.items(), accumulate(sizes), sizes, strict=True):
            self._entries[name] = {
                "dtype": _DTYPES[str(array.dtype)],
                "shape": shapes[name],
                "data_offsets": [end - size, end],
            }
        self._data_start = 0

    def write_header(self, stream: BinaryIO, metadata: Mapping[str, str]) -> None:
        header = json.dumps({"__metadata__": metadata, **self._entries}).encode()
        header += b" " * (-len(header) % 8)
        stream.write(len(header).to_bytes(8, "little") + header)
        self._data_start = stream.tell()

    def write(self, stream: BinaryIO, arrays: Mapping[str, NDArray[Any]], first_image: int) -> None:
        for name, array in arrays.items():
            row_bytes = array[:1].nbytes * self._rows[name]
            stream.seek(self._data_start + self._entries[name]["data_offsets"][0] + first_image * row_bytes)
            stream.write(np.ascontiguousarray(array).data)
