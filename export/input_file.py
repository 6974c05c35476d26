"""Files -> the tensors that a probe takes: the inputs that `layerprobe export --input` records."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from probe import Probe
from runtime.artifact.errors import InputError
from runtime.artifact.manifest import Preprocessing
from runtime.runs.input_files import arrays_in, is_photo, read_inputs

__all__ = ["example_in", "read_input_tensors"]

_ONLY = ""
_MOST = 16
"""Inputs: each is run several times, in float64 as well, and the truth of each is kept."""


def example_in(paths: Sequence[Path]) -> Sequence[torch.Tensor] | Mapping[str, torch.Tensor]:
    """Return what is in the first file of arrays: the tensor of a `.npy`, those of another by name; of photos nothing.

    Raises:
        InputError: it can't be read.
    """
    file = next((path for path in paths if path.is_file() and not is_photo(path)), None)
    if file is None:
        return ()
    with arrays_in(file, _ONLY) as arrays:
        tensors = {name: _as_tensor(arrays[name], torch.float32, str(file)) for name in arrays}
    return [tensors[_ONLY]] if list(tensors) == [_ONLY] else tensors


def read_input_tensors(
    paths: Sequence[Path], probe: Probe, preprocessing: Preprocessing | None
) -> dict[str, tuple[torch.Tensor, ...]]:
    """Return the inputs in photos, `.npy` and `.npz` files, and folders of them, by file.

    Raises:
        InputError: a file can't be read, an input is missing or unknown, or there are too many.
        ImageError: a photo can't be read.
    """
    found = read_inputs(paths, probe.inputs, preprocessing, probe.model_name)
    if len(found) > _MOST:
        raise InputError(f"--input names {len(found)} files, but at most {_MOST} inputs are recorded. Name fewer.")
    tensors = {}
    for name, arrays in found.items():
        tensors[name] = tuple(
            _as_tensor(array, example.dtype, name)
            for array, example in zip(arrays.values(), probe.example, strict=True)
        )
    return tensors


def _as_tensor(array: NDArray[Any], dtype: torch.dtype, file: str) -> torch.Tensor:
    try:
        tensor = torch.from_numpy(array)
    except TypeError as error:
        raise InputError(f"{file} has an array of {array.dtype}, which is no tensor's type.") from error
    # NumPy has no bfloat16.
    return tensor.to(dtype) if tensor.is_floating_point() and dtype.is_floating_point else tensor
