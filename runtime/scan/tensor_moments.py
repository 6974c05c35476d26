"""One tensor at once -> the statistics of its channels, by what a scan computes them with: `lp.table` shows them.

A ResNet-18's tensors of four photos take 0.1 s; in four passes of NumPy in float64, which copy each, they took 0.4 s.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .channel_moments import ChannelMoments
from .row_moments import moments_of, reduced_rows

__all__ = ["tensor_moments"]


def tensor_moments(array: NDArray[Any], axis: int | None) -> ChannelMoments:
    """Return the statistics of each channel.

    Args:
        array: real numbers or booleans, of any shape.
        axis: of the channels; None for a tensor that counts as one channel.
    """
    if array.dtype != np.float32:
        array = array.astype(np.float64)
    channels = 1 if axis is None else array.shape[axis]
    rows = 1 if not axis or not array.size else len(array)
    if axis:
        array = np.moveaxis(array, axis, 1)
    each = array.size // max(rows * channels, 1)
    values = np.ascontiguousarray(array).reshape(rows, channels, each)
    found, _ = reduced_rows([values], ChannelMoments.none(channels))
    return moments_of(found, np.zeros(rows, np.int64))
