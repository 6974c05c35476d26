"""One output's array as channels of maps, C H W, for images and for the patches of a transformer; and their mean.

Other ways to one map are in `reductions.py`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import UsageError
from ..artifact.manifest import CHANNEL_AXIS, TokenGrid, has_map

__all__ = ["channel_axis", "channel_mean", "channels_of"]


def channel_axis(layout: str) -> int:
    """The axis of the channels, which are averaged, in an array of this layout."""
    return CHANNEL_AXIS[layout]


def channels_of(array: NDArray[Any], layout: str, tokens: TokenGrid | None = None) -> NDArray[Any]:
    """The batch's first image: N C H W, N H W C or N L C to C H W, a view where possible.

    Args:
        array: from a runner.
        layout: what its axes are.
        tokens: how the axis L lies in the image. The tokens before and after the patches are left out.

    Raises:
        UsageError: `layout` has no height and width, the array contradicts it or is empty, or L isn't `tokens` long.
    """
    if not has_map(layout, tokens) or array.ndim != len(layout) or not array.size:
        raise UsageError(
            f"An array of shape {array.shape} as {layout} has no map to draw; NCHW and NHWC arrays have one, and "
            "NLC arrays whose token grid is known."
        )
    if layout == "NLC" and tokens is not None:
        array = _fold(array, tokens)
    first = array[0]
    return first if layout == "NCHW" else np.moveaxis(first, 2, 0)


def channel_mean(array: NDArray[Any], layout: str, tokens: TokenGrid | None = None) -> NDArray[np.float64]:
    """The mean over the channels of the batch's first image, H W, in float64.

    Raises:
        UsageError: as of `channels_of`.
    """
    with np.errstate(all="ignore"):  # inf - inf is a NaN, and the picture shows it
        return np.asarray(channels_of(array, layout, tokens).mean(axis=0, dtype=np.float64))


def _fold(array: NDArray[Any], tokens: TokenGrid) -> NDArray[Any]:
    """N L C to N H W C."""
    patches = tokens.height * tokens.width
    length = tokens.before + patches + tokens.after
    if array.shape[1] != length:
        raise UsageError(
            f"An array of shape {array.shape} has {array.shape[1]} tokens; the manifest says {length}: "
            f"{tokens.before} before, {tokens.height} × {tokens.width} patches, {tokens.after} after."
        )
    return array[:, tokens.before : tokens.before + patches].reshape(-1, tokens.height, tokens.width, array.shape[2])
