"""Files -> the tensors that a probe takes: the inputs that `layerprobe export --input` records."""

from collections.abc import Sequence
from pathlib import Path

import torch

from probe import Probe
from runtime.artifact.errors import InputError
from runtime.artifact.manifest import Preprocessing
from runtime.runs.input_files import read_inputs

__all__ = ["read_input_tensors"]

_MOST = 16
"""Inputs: each is run several times, in float64 as well, and the truth of each is kept."""


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
        try:
            each = [torch.from_numpy(array) for array in arrays.values()]
        except TypeError as error:
            dtypes = ", ".join(str(array.dtype) for array in arrays.values())
            raise InputError(f"{name} has an array of {dtypes}, which is no tensor's type.") from error
        # NumPy has no bfloat16.
        tensors[name] = tuple(
            tensor.to(example.dtype) if tensor.is_floating_point() and example.is_floating_point() else tensor
            for tensor, example in zip(each, probe.example, strict=True)
        )
    return tensors
