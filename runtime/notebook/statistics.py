"""Tensors by name -> a row of statistics for each, as pandas takes them: `pandas.DataFrame(table(tensors))`."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.manifest import Output
from ..artifact.tensors import as_array

__all__ = ["table"]


def table(tensors: Mapping[str, Any], outputs: Sequence[Output] | None = None) -> list[dict[str, Any]]:
    """Return a row for each tensor.

    Args:
        tensors: name to an array of NumPy or a tensor of PyTorch: what a runner or a probe returned.
        outputs: their descriptions, which tell the axis of the channels; by default those that `tensors` came with.

    Returns:
        For each tensor, over all its finite elements: `output` (its name), `label` (its operation, None where that
        isn't known), `shape`, `dtype`, `mean`, `std`, `min`, `max`, `norm` (the root of the sum of squares), `zeros`
        (the share of elements that are 0), `channels` and `dead_channels` (how many are 0 in every element of the
        batch; None for a tensor whose channels aren't known), `nan` and `infinite` (how many elements are). Numbers are
        None where nothing is finite.
    """
    known = {each.name: each for each in (outputs if outputs is not None else getattr(tensors, "outputs", ()))}
    return [_row(name, as_array(tensor), known.get(name)) for name, tensor in tensors.items()]


def _row(name: str, array: NDArray[Any], output: Output | None) -> dict[str, Any]:
    wide = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64, copy=False)
    values = np.abs(wide) if array.dtype.kind == "c" else wide
    finite = np.isfinite(values)
    known = values if finite.all() else values[finite]
    with np.errstate(all="ignore"):
        numbers: dict[str, Any] = (
            {
                "mean": known.mean(),
                "std": known.std(),
                "min": known.min(),
                "max": known.max(),
                "norm": math.sqrt(float(np.vdot(known, known).real)),
            }
            if known.size
            else dict.fromkeys(("mean", "std", "min", "max", "norm"))
        )
    return {
        "output": name,
        "label": output.label if output else None,
        "shape": tuple(map(int, array.shape)),
        "dtype": output.dtype if output else str(array.dtype),
        **{key: None if number is None else float(number) for key, number in numbers.items()},
        "zeros": float(np.mean(values == 0)) if values.size else None,
        **_channels(values, output),
        "nan": int(np.isnan(values).sum()),
        "infinite": int(np.isinf(values).sum()),
    }


def _channels(values: NDArray[Any], output: Output | None) -> dict[str, int | None]:
    layout = output.layout if output else ""
    if "C" not in layout or len(layout) != values.ndim:
        return {"channels": None, "dead_channels": None}
    axis = layout.index("C")
    alive = np.any(values != 0, axis=tuple(each for each in range(values.ndim) if each != axis))
    return {"channels": int(alive.size), "dead_channels": int(alive.size - alive.sum())}
