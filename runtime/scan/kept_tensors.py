"""--keep: the tensors themselves, in safetensors files of bounded size, and a table of which file holds which image."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import ArtifactError, first_line
from ..artifact.file_replacement import replace_file
from .image_list import Shard
from .tables import shown_path, write_table

__all__ = ["KeptDtype", "KeptTensors"]

_KEY = "layerprobe.scan_tensors"
_LARGEST_BYTES = 2**28
"""Of a file, unless one batch alone is larger; as much is held in memory."""

KeptDtype = Literal["float32", "float16"]


class KeptTensors:
    """What is kept of each image, collected until a file is full or its shard complete."""

    def __init__(
        self, folder: Path, names: Sequence[str], dtype: KeptDtype, largest_bytes: int = _LARGEST_BYTES
    ) -> None:
        """Take the folder of the files, the outputs to keep, and what their floating-point numbers are rounded to."""
        self._folder, self._names, self._dtype, self._largest = folder, list(names), np.dtype(dtype), largest_bytes
        self._held: list[dict[str, NDArray[Any]]] = []
        self._rows: list[tuple[int, int]] = []
        self._shard: Shard | None = None
        self._files = 0

    def add(
        self, shard: Shard, arrays: Mapping[str, NDArray[Any]], numbers: Sequence[int], rows: Sequence[int]
    ) -> None:
        """Take a batch, and write a file if it is full.

        Raises:
            OutputError: it can't be written.
        """
        if shard is not self._shard:
            self._shard, self._files = shard, 0
        # A copy in any case: the next batch overwrites the arrays.
        new = {name: np.array(arrays[name], self._kind(arrays[name])) for name in self._names}
        size = sum(array.nbytes for array in new.values())
        if self._held and size + self._bytes > self._largest:
            self.flush()
        self._held.append(new)
        self._rows += zip(numbers, rows, strict=True)

    def flush(self) -> None:
        """Write what is held.

        Raises:
            OutputError: it can't be written.
        """
        if not self._held or self._shard is None:
            return
        from safetensors.numpy import save

        arrays = {name: np.concatenate([each[name] for each in self._held]) for name in self._names}
        paths = [shown_path(self._shard.items[number - self._shard.first]) for number, _ in self._rows]
        images = [[path, *place] for path, place in zip(paths, self._rows, strict=True)]
        file = self._folder / f"part-{self._shard.number:07d}-{self._files:04d}.safetensors"
        with replace_file(file, _KEY) as stream:
            stream.write(save(arrays, {_KEY: json.dumps(images)}))
        self._held, self._rows, self._files = [], [], self._files + 1

    def write_index(self, file: Path) -> None:
        """Write the table of all files: for each image and row its file, and its place along N there.

        Raises:
            ArtifactError: a file is damaged.
            OutputError: the table can't be written.
        """
        import pyarrow as pa
        from safetensors import SafetensorError, safe_open

        found: list[tuple[str, int, int, str, int]] = []
        for part in sorted(self._folder.glob("*.safetensors")):
            try:
                with safe_open(part, framework="np") as opened:
                    images = json.loads((opened.metadata() or {})[_KEY])
                found += [(*image, part.name, place) for place, image in enumerate(images)]
            except (OSError, ValueError, KeyError, SafetensorError) as error:
                raise ArtifactError(f"{part} is damaged: {first_line(error)}.\nScan into another folder.") from error
        names = {
            "image": pa.string(),
            "number": pa.int64(),
            "row": pa.int32(),
            "file": pa.string(),
            "place": pa.int64(),
        }
        columns = zip(*found, strict=True) if found else [()] * len(names)
        write_table(
            file,
            pa.table({name: pa.array(each, kind) for (name, kind), each in zip(names.items(), columns, strict=True)}),
        )

    @property
    def _bytes(self) -> int:
        return sum(array.nbytes for each in self._held for array in each.values())

    def _kind(self, array: NDArray[Any]) -> np.dtype[Any]:
        return self._dtype if array.dtype.kind == "f" else array.dtype
