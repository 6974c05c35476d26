"""What is kept of a large tensor, so that it can be compared later: a sample, and statistics of each channel."""

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["SAMPLE_LIMIT", "channel_maximum", "channel_statistics", "sample", "sample_places"]

SAMPLE_LIMIT = 65_536
"""The most elements that are kept of a tensor; a smaller one is kept whole."""


def sample(tensor: NDArray[np.generic], limit: int = SAMPLE_LIMIT) -> NDArray[np.generic]:
    """Return at most `limit` elements of the tensor, flat, always from the same positions.

    One element is taken from each of `limit` equal stretches, at an offset that follows the golden ratio: every channel
    and row is sampled, and no period of the layout is always hit or missed, as by a fixed stride.
    """
    flat = tensor.reshape(-1)
    return flat if flat.size <= limit else flat.take(sample_places(flat.size, limit))


@lru_cache(maxsize=16)
def sample_places(size: int, limit: int) -> NDArray[np.int64]:
    """Return the positions of the sample in a flat tensor of `size` elements. Cached: most tensors share their size."""
    places = np.arange(size) if size <= limit else (_stretches(limit) * (size / limit)).astype(np.int64)
    places.flags.writeable = False
    return places


@lru_cache(maxsize=8)
def _stretches(limit: int) -> NDArray[np.float64]:
    """Return the samples' positions, in stretches. Cached, since the modulo takes ten times as long as the sampling."""
    stretch = np.arange(limit, dtype=np.float64)
    return stretch + (stretch * 0.6180339887498949) % 1.0


def channel_statistics(tensor: NDArray[Any], axis: int | None) -> NDArray[np.float64]:
    """Return mean, root mean square, minimum and maximum of each channel, over all its elements: 4 C.

    None of them moves further than the channel's worst element. So an error that the sample misses shows in them, or is
    small.

    Args:
        tensor: of finite numbers.
        axis: of the channels; None for a tensor that counts as one channel.
    """
    parts = _by_channel(tensor, axis)
    wide = parts.astype(np.float64, copy=False)
    count = max(1, parts.shape[0] * parts.shape[2])
    means = wide.sum(axis=2).sum(axis=0) / count
    squares = np.einsum("acb,acb->c", wide, wide) / count
    return np.stack([means, np.sqrt(squares), parts.min(axis=(0, 2)), parts.max(axis=(0, 2))])


def channel_maximum(tensor: NDArray[Any], axis: int | None) -> NDArray[np.float64]:
    """Return the largest element of each channel, C."""
    return np.asarray(_by_channel(tensor, axis).max(axis=(0, 2)), np.float64)


def _by_channel(tensor: NDArray[Any], axis: int | None) -> NDArray[Any]:
    """Return the tensor as A C B."""
    before, channels = (0, 1) if axis is None else (axis, tensor.shape[axis])
    return tensor.reshape(math.prod(tensor.shape[:before]), channels, -1)
