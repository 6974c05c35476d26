"""A NumPy file -> the tensors that a probe takes: the input that `layerprobe export --input` records."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from probe import Probe
from runtime.artifact.errors import InputError, first_line

__all__ = ["read_input"]


def read_input(file: Path, probe: Probe) -> tuple[torch.Tensor, ...]:
    """Return the tensors in a `.npy` file, for a probe of one input, or in an `.npz` file, by the names of its inputs.

    Floating-point numbers are rounded to the dtype that the probe takes.

    Raises:
        InputError: the file can't be read, or an input is missing or unknown.
    """
    try:
        # Nothing in the file is run: pickled objects are refused.
        loaded = np.load(file, allow_pickle=False)
        arrays = {probe.inputs[0].name: loaded} if isinstance(loaded, np.ndarray) else dict(loaded)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{file} can't be read as .npy or .npz: {first_line(error)}\nnumpy.savez(file, NAME=array) writes one."
        ) from error
    names = [spec.name for spec in probe.inputs]
    if set(arrays) != set(names):
        raise InputError(
            f"{probe.model_name} takes {', '.join(spec.described for spec in probe.inputs)}.\n{file} has "
            f"{', '.join(arrays) or 'nothing'}: numpy.savez(file, {', '.join(f'{name}=array' for name in names)})"
        )
    pairs = zip((arrays[name] for name in names), probe.example, strict=True)
    return tuple(_as_tensor(array, example.dtype, file) for array, example in pairs)


def _as_tensor(array: NDArray[Any], dtype: torch.dtype, file: Path) -> torch.Tensor:
    try:
        # torch takes no array of another byte order.
        tensor = torch.from_numpy(array.astype(array.dtype.newbyteorder("="), order="C"))
    except TypeError as error:
        raise InputError(f"{file} has an array of {array.dtype}, which is no tensor's type.") from error
    return tensor.to(dtype) if dtype.is_floating_point and tensor.is_floating_point() else tensor
