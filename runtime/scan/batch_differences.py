"""A batch that two models computed -> the largest error of each image in each output."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .scanned_outputs import ScannedOutput

__all__ = ["differences_of"]


def differences_of(
    outputs: Sequence[ScannedOutput],
    arrays: Mapping[str, NDArray[Any]],
    others: Mapping[str, NDArray[Any]],
    images: int,
) -> Iterator[dict[str, Any]]:
    """Yield for each output that both have the largest absolute error of each image, and the largest element there.

    Args:
        outputs: to compare.
        arrays: of a batch, by name.
        others: the other model's, likewise.
        images: N of the batch.
    """
    for each in outputs:
        name = each.output.name
        if name not in others:
            continue
        one, other = (np.asarray(found[name]).reshape(images, -1) for found in (arrays, others))
        if one.dtype.kind != "f" or other.dtype.kind != "f":
            one, other = one.astype(np.float64), other.astype(np.float64)
        with np.errstate(all="ignore"):
            error = np.abs(one - other).max(axis=1, initial=0).astype(np.float64)
            scale = np.abs(one).max(axis=1, initial=0).astype(np.float64)
        for image in np.flatnonzero(~np.isfinite(error) | ~np.isfinite(scale)):
            error[image], scale[image] = _of_finite(one[image], other[image])
        yield {"output": name, "max_abs": error, "scale": scale}


def _of_finite(one: NDArray[Any], other: NDArray[Any]) -> tuple[float, float]:
    """Return error and scale where both are finite; an infinite error where they aren't the same otherwise."""
    finite = np.isfinite(one) & np.isfinite(other)
    if not np.array_equal(one[~finite], other[~finite], equal_nan=True):
        return np.inf, float(np.abs(one[np.isfinite(one)]).max(initial=0))
    known, found = one[finite].astype(np.float64), other[finite].astype(np.float64)
    return float(np.abs(known - found).max(initial=0)), float(np.abs(known).max(initial=0))
