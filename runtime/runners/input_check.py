"""Whether arrays are what a model takes: the names, shapes and dtypes of its inputs, checked before any runner runs."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import InputError
from ..artifact.manifest import Manifest

__all__ = ["check_inputs"]


def check_inputs(manifest: Manifest, inputs: Mapping[str, NDArray[Any]], name: str = "") -> dict[str, NDArray[Any]]:
    """Return the inputs in the manifest's order, contiguous, in the dtypes that the model takes.

    float32 is accepted for every floating-point input and rounded to it; bfloat16, which NumPy lacks, stays float32.

    Args:
        manifest: of the model.
        inputs: arrays by the names of its inputs.
        name: what messages call them, such as their file.

    Raises:
        InputError: an input is missing or unknown, or has another shape or dtype.
    """
    of = f"{name}: {manifest.model}" if name else manifest.model
    if set(inputs) != {entry.name for entry in manifest.inputs}:
        wanted = ", ".join(entry.name for entry in manifest.inputs)
        raise InputError(f"{of} takes the inputs {wanted}; it was given {', '.join(inputs) or 'none'}.")
    checked = {}
    for entry in manifest.inputs:
        array = inputs[entry.name]
        fits = array.ndim == len(entry.shape) and all(
            isinstance(size, str) or size == given for size, given in zip(entry.shape, array.shape, strict=True)
        )
        dtype = np.dtype("float32" if entry.dtype == "bfloat16" else entry.dtype)
        if dtype.kind == "f" and array.dtype == np.float32:
            array = array.astype(dtype, copy=False)
        if not fits or array.dtype != dtype or array.size == 0:
            given = entry.model_copy(update={"shape": array.shape, "dtype": str(array.dtype)})
            raise InputError(f"{of} takes {entry.described}; it was given {given.described}.")
        # Not np.ascontiguousarray, which gives a scalar an axis.
        checked[entry.name] = np.asarray(array, order="C")
    return checked
