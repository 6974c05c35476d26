"""Tensors by name -> a row of statistics for each, as pandas takes them: `pandas.DataFrame(table(tensors))`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..artifact.manifest import Output
from ..artifact.tensors import as_array
from ..scan.statistics_tables import dead_and_saturated
from ..scan.tensor_moments import tensor_moments

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
    return [_row(name, tensor, known.get(name)) for name, tensor in tensors.items()]


def _row(name: str, tensor: Any, output: Output | None) -> dict[str, Any]:
    array = as_array(tensor)
    real = np.abs(array.astype(np.complex128)) if array.dtype.kind == "c" else array
    axis = _channel_axis(output, array.ndim)
    channels = tensor_moments(real, axis)
    whole = channels.pooled()
    count, mean = int(whole.count[0]), float(whole.mean[0])
    squares = float(whole.squares[0])
    with np.errstate(all="ignore"):
        numbers = {
            "mean": mean,
            "std": float(np.sqrt(squares / max(count, 1))),
            "min": float(whole.low[0]),
            "max": float(whole.high[0]),
            "norm": float(np.sqrt(squares + count * np.square(mean))),
        }
    return {
        "output": name,
        "label": output.label if output else None,
        "shape": tuple(map(int, array.shape)),
        # A bfloat16 tensor arrives as float32.
        "dtype": output.dtype if output else str(getattr(tensor, "dtype", array.dtype)).removeprefix("torch."),
        **(numbers if count else dict.fromkeys(numbers)),
        "zeros": int(whole.zeros[0]) / array.size if array.size else None,
        "channels": None if axis is None else len(channels.count),
        "dead_channels": None if axis is None else int(dead_and_saturated(channels)[0].sum()),
        "nan": int(whole.nan[0]),
        "infinite": int(whole.infinite[0]),
    }


def _channel_axis(output: Output | None, axes: int) -> int | None:
    layout = output.layout if output else ""
    return layout.index("C") if "C" in layout and len(layout) == axes else None
