"""A safetensors file that anyone may have written: its names, its metadata, and each tensor as it is asked for."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import InputError, first_line
from ..artifact.file_reading import refuse_endless_header
from ..artifact.plain_text import one_line

__all__ = ["FILE_KEY", "INPUTS_KEY", "INPUT_PREFIX", "RUN_KEY", "TensorFile", "listed"]

INPUT_PREFIX = "input:"
"""Before the name of an input, in a file that holds outputs as well."""
RUN_KEY = "layerprobe.run"
"""Metadata key of a `RunRecord` as JSON."""
INPUTS_KEY = "layerprobe.inputs"
"""Metadata key of the `InputsHash` of what the model was given."""
FILE_KEY = "layerprobe.file"
"""Metadata key of the artifact's file that was executed: `model.onnx`."""

_SHOWN, _LONGEST = 5, 200


class TensorFile(Mapping[str, NDArray[Any]]):
    """The tensors of a safetensors file by name, each read on access, so the file must remain.

    Attributes:
        path: where it is.
        metadata: its own, text to text.
    """

    def __init__(self, path: Path) -> None:
        """Read the header.

        Raises:
            InputError: it isn't a safetensors file, or is truncated. Also on access, if it is altered later.
        """
        from safetensors import SafetensorError, safe_open

        self.path = path
        try:
            refuse_endless_header(path)
            with safe_open(path, framework="np") as opened:
                self.metadata: dict[str, str] = opened.metadata() or {}
                self._names = list(opened.keys())
        except (OSError, ValueError, SafetensorError) as error:
            raise self._unreadable(error) from error

    def __getitem__(self, name: str) -> NDArray[Any]:
        from safetensors import SafetensorError, safe_open

        if name not in self._names:
            raise KeyError(name)
        try:
            with safe_open(self.path, framework="np") as opened:
                if opened.get_slice(name).get_dtype() == "BF16":
                    return self._bfloat16(name)
                array: NDArray[Any] = opened.get_tensor(name)
        except (OSError, SafetensorError) as error:
            raise self._unreadable(error) from error
        except (TypeError, AttributeError) as error:  # safetensors has types that NumPy lacks
            raise InputError(f"{self.path}: the type of {listed([name])} is unknown. Write it as F32.") from error
        return array

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def _bfloat16(self, name: str) -> NDArray[np.float32]:
        """Return a bfloat16 tensor as float32, which holds all its values: NumPy has no such type."""
        with self.path.open("rb") as stream:
            header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
            begin, end = header[name]["data_offsets"]
            stream.seek(begin, 1)
            halves = np.frombuffer(stream.read(end - begin), "<u2")
        return (halves.astype(np.uint32) << 16).view(np.float32).reshape(header[name]["shape"])

    def _unreadable(self, error: Exception) -> InputError:
        return InputError(f"{self.path} can't be read as safetensors: {first_line(error)}")


def listed(names: Mapping[str, object] | list[str]) -> str:
    """Return names from a file for a message: the first five."""
    shown = [one_line(name, _LONGEST) for name in names]
    return ", ".join(shown[:_SHOWN]) + (", ..." if len(shown) > _SHOWN else "") or "nothing"
