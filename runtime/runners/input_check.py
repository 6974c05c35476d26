"""Checking a runner's inputs against the manifest."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import InputError, RunnerUnavailable
from ..artifact.manifest import Manifest

__all__ = ["check_inputs", "refuse_bfloat16"]


def check_inputs(manifest: Manifest, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the inputs in the manifest's order, contiguous, in the dtypes that the model takes.

    float32 is accepted for every floating-point input and rounded to it; bfloat16, which NumPy lacks, stays float32.

    Raises:
        InputError: an input is missing or unknown, or has another shape or dtype.
    """
    if set(inputs) != {entry.name for entry in manifest.inputs}:
        wanted = ", ".join(entry.name for entry in manifest.inputs)
        raise InputError(f"{manifest.model} takes the inputs {wanted}; it was given {', '.join(inputs) or 'none'}.")
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
            raise InputError(
                f"{manifest.model} takes {entry.name} as {' x '.join(map(str, entry.shape))} {entry.dtype}; "
                f"it was given {' x '.join(map(str, array.shape)) or 'a scalar'} {array.dtype}."
            )
        checked[entry.name] = np.ascontiguousarray(array)
    return checked


def refuse_bfloat16(manifest: Manifest, runner: str) -> None:
    """Refuse a model in bfloat16, for a runner that takes and returns NumPy arrays.

    Raises:
        RunnerUnavailable: the model has inputs or outputs in bfloat16.
    """
    if "bfloat16" in manifest.dtypes:
        raise RunnerUnavailable(
            f"{runner} can't run {manifest.model}, which computes in bfloat16: it returns NumPy arrays, which have no "
            "such type.\nUse --runner torchscript."
        )
