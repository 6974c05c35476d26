"""One output's array to one map, H W: the mean over its channels, for images and for the patches of a transformer.

Colouring the map is in `colour_maps.py`, placing it in a picture in `feature_grid.py`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import UsageError
from ..artifact.manifest import CHANNEL_AXIS, Dimension, Output, TokenGrid, has_map

__all__ = ["channel_axis", "channel_mean", "constant_if_rounding", "repeats", "rounding_of_mean"]

_ROUNDING = 8
"""Machine epsilons of the mean magnitude, up to which a map's range counts as rounding. For fresh LayerNorms, whose
mean over the channels is 0 by definition, it is less than 1 in a Swin-T."""


def repeats(outputs: Sequence[Output]) -> set[str]:
    """The names of outputs whose map repeats another's: dropout in eval mode, a permuted view."""
    seen: set[tuple[str, tuple[Dimension, ...]]] = set()
    found = set()
    for output in (each for each in outputs if each.has_map):
        # A slice or a transposed view shares the memory, but has another size or layout.
        size = _map_size(output)
        if (output.alias_of, size) in seen:
            found.add(output.name)
        seen |= {(name, size) for name in (output.name, output.alias_of) if name is not None}
    return found


def _map_size(output: Output) -> tuple[Dimension, ...]:
    """Channels, height and width."""
    sizes = dict(zip(output.layout, output.shape, strict=False))
    if output.layout == "NLC" and output.tokens:
        sizes |= {"H": output.tokens.height, "W": output.tokens.width}
    return tuple(sizes[axis] for axis in "CHW")


def channel_axis(layout: str) -> int:
    """The axis of the channels, which are averaged, in an array of this layout."""
    return CHANNEL_AXIS[layout]


def channel_mean(array: NDArray[Any], layout: str, tokens: TokenGrid | None = None) -> NDArray[np.float64]:
    """The mean over the channels of the batch's first image: N C H W, N H W C or N L C to H W, in float64.

    Args:
        array: from a runner.
        layout: what its axes are.
        tokens: how the axis L lies in the image. The tokens before and after the patches are left out.

    Raises:
        UsageError: `layout` has no height and width, the array contradicts it or is empty, or L isn't `tokens` long.
    """
    if not has_map(layout, tokens) or array.ndim != len(layout) or not array.size:
        raise UsageError(
            f"An array of shape {array.shape} as {layout} has no map to average; NCHW and NHWC arrays have one, and "
            "NLC arrays whose token grid is known."
        )
    if layout == "NLC" and tokens is not None:
        array, layout = _fold(array, tokens), "NHWC"
    with np.errstate(all="ignore"):  # inf - inf is a NaN, and the picture shows it
        return np.asarray(array[:1].mean(axis=CHANNEL_AXIS[layout], dtype=np.float64)[0])


def rounding_of_mean(array: NDArray[Any], output: Output) -> float:
    """Return how far the `channel_mean` of an array may be off by rounding: 0 for integers, which have none.

    Args:
        array: from a runner.
        output: has the array's layout and dtype; a bfloat16 array arrives as float32.
    """
    if array.dtype.kind != "f":
        return 0.0
    epsilon = 2.0**-7 if output.dtype == "bfloat16" else float(np.finfo(array.dtype).eps)
    return epsilon * float(channel_mean(np.abs(array[:1]), output.layout, output.tokens).max())


def constant_if_rounding(mean: NDArray[np.float64], rounding: float) -> NDArray[np.float64] | None:
    """Return a constant map if rounding explains all variation in `mean`; None if it doesn't.

    The constant is 0 if rounding explains its difference from 0.

    Args:
        mean: a map, H W.
        rounding: how far it may be off by rounding.
    """
    if not np.isfinite(mean).all() or not 0 < float(np.ptp(mean)) <= _ROUNDING * rounding:
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
