"""One output's array to one map, H W: the mean over its channels, for images and for the patches of a transformer.

What the map looks like is `colour_maps.py`, and where it stands in a picture `feature_grid.py`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import UsageError
from ..artifact.manifest import Dimension, OutputEntry, TokenGrid

__all__ = ["channel_axis", "channel_mean", "flattened", "flattened_map", "has_map", "repeats"]

_CHANNEL_AXIS = {"NCHW": 1, "NHWC": 3, "NLC": 2}
"""The layouts that can be drawn, each with the axis that is averaged; NLC only where it is known how the tokens lie."""
_ROUNDING = 8
"""Machine epsilons of the mean magnitude, up to which a map's range is taken for rounding. Those of fresh LayerNorms,
whose mean over the channels is 0 by definition, come to less than 1 in a Swin-T."""


def has_map(output: OutputEntry) -> bool:
    """Whether the output has a height and a width: as axes, or because it is known how its tokens lie in the image."""
    return _has_map(output.layout, output.tokens)


def repeats(outputs: Sequence[OutputEntry]) -> set[str]:
    """The names of outputs whose map is that of another among them: dropout in eval mode, a permuted view."""
    seen: set[tuple[str, tuple[Dimension, ...]]] = set()
    found = set()
    for output in filter(has_map, outputs):
        # A slice or a transposed view lies in the same memory, but is of another size or layout.
        size = _map_size(output)
        if (output.alias_of, size) in seen:
            found.add(output.name)
        seen |= {(name, size) for name in (output.name, output.alias_of) if name is not None}
    return found


def _map_size(output: OutputEntry) -> tuple[Dimension, ...]:
    """Channels, height and width."""
    sizes = dict(zip(output.layout, output.shape, strict=False))
    if output.layout == "NLC" and output.tokens:
        sizes |= {"H": output.tokens.height, "W": output.tokens.width}
    return tuple(sizes[axis] for axis in "CHW")


def _has_map(layout: str, tokens: TokenGrid | None) -> bool:
    return layout in _CHANNEL_AXIS and (layout != "NLC" or tokens is not None)


def channel_axis(layout: str) -> int:
    """The axis of an array of this layout that holds the channels, which are averaged."""
    return _CHANNEL_AXIS[layout]


def channel_mean(array: NDArray[Any], layout: str, tokens: TokenGrid | None = None) -> NDArray[np.float64]:
    """The mean over the channels of the batch's first image: N C H W, N H W C or N L C to H W, in float64.

    Args:
        array: what a runner gave.
        layout: what its axes are.
        tokens: how the axis L lies in the image. The tokens before and after the patches are left out.

    Raises:
        UsageError: `layout` has no height and width, the array contradicts it or is empty, or L isn't `tokens` long.
    """
    if not _has_map(layout, tokens) or array.ndim != len(layout) or not array.size:
        raise UsageError(
            f"An array of shape {array.shape} as {layout} has no map to average; NCHW and NHWC arrays have, and NLC "
            "arrays where it is known how their tokens lie in the image."
        )
    if layout == "NLC" and tokens is not None:
        array, layout = _fold(array, tokens), "NHWC"
    with np.errstate(all="ignore"):  # inf - inf is a NaN, and the picture shows it
        return np.asarray(array[:1].mean(axis=_CHANNEL_AXIS[layout], dtype=np.float64)[0])


def flattened(mean: NDArray[np.float64], array: NDArray[Any], output: OutputEntry) -> NDArray[np.float64] | None:
    """The map with one value throughout, where rounding explains all that it varies by; None where it doesn't.

    The value is 0 where rounding explains that it is another.

    Args:
        mean: the `channel_mean` of the array.
        array: what a runner gave, of floating-point numbers; there is no rounding in others.
        output: tells the array's layout, and bfloat16, which arrives as float32.
    """
    dtype = array.dtype
    if dtype.kind != "f" or not np.isfinite(mean).all() or not np.ptp(mean):
        return None
    epsilon = 2.0**-7 if output.dtype == "bfloat16" else float(np.finfo(dtype).eps)
    return flattened_map(mean, epsilon * float(channel_mean(np.abs(array[:1]), output.layout, output.tokens).max()))


def flattened_map(mean: NDArray[np.float64], rounding: float) -> NDArray[np.float64] | None:
    """As `flattened`, for a map of which no array is there: `rounding` is how far it may be off by rounding."""
    spread = float(np.ptp(mean)) if np.isfinite(mean).all() else np.inf
    if spread == 0 or not spread <= _ROUNDING * rounding:
        return None
    middle = float(np.median(mean))
    return np.full_like(mean, 0.0 if abs(middle) <= _ROUNDING * rounding else middle)


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
