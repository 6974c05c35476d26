"""Arrays by output to maps: one of each, or its channels or principal components.

How a tensor is reduced to a map is in `reductions.py`, which maps show something new in `feature_maps.py`.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import UsageError
from ..artifact.manifest import Output
from ..artifact.tensors import as_array
from .channel_mean import channels_of
from .feature_maps import FIRST_COMPONENT, FeatureMap, LeftOut
from .principal_components import principal_components
from .reductions import AUTO, AUTO_ORDER, REDUCTIONS, Reduction

__all__ = ["output_tensor", "read_map", "read_parts"]

_ROUNDING = 8
"""Machine epsilons of the magnitude, up to which a map's range counts as rounding. For fresh LayerNorms, whose mean
over the channels is 0 by definition, it is less than 1 in a Swin-T."""


def read_map(
    arrays: Mapping[str, Any], output: Output, reduce: str = AUTO, noise: Mapping[str, float] | None = None
) -> FeatureMap:
    """Return the map of one output, which may show nothing.

    Args:
        arrays: output name to NumPy array or PyTorch tensor, in the output's layout. Only the first image is read.
        output: the output.
        reduce: a row of `REDUCTIONS`, or auto.
        noise: by output that is a mean already (`Output.averaged`), how far it may be off by rounding.

    Raises:
        UsageError: the array is missing or contradicts its output, or a mean can't be reduced as requested.
    """
    if not output.has_map:
        return FeatureMap(output.name, output.label, output.module_path, np.empty((0, 0)), left_out="flat")
    tensor = output_tensor(arrays, output)
    if output.averaged is not None:
        if reduce not in (AUTO, "mean"):
            raise UsageError(
                f"{output.name!r} is a mean over the channels already: it has no {reduce}.\n"
                "Draw the full probe's tensors: export without --no-full."
            )
        reduce = "mean"
    tried = []
    for name in AUTO_ORDER if reduce == AUTO else (reduce,):
        row = REDUCTIONS[name]
        with np.errstate(all="ignore"):  # inf - inf is a NaN, and the picture shows it
            parts = row.components(tensor) if row.components else None
            values = parts.first if parts else row.reduce(tensor)
            left_out = _shows_nothing(values, tensor, row, output, (noise or {}).get(output.name, 0.0))
        size = output.averaged or tensor.shape[0], *tensor.shape[1:]
        found = FeatureMap(output.name, _operation(output), output.module_path, values, size, name, left_out)
        tried.append(replace(found, share=parts.share, hues=parts.hues) if parts and left_out is None else found)
        if left_out not in ("constant", "rounding"):
            return tried[-1]
    return tried[0]


def read_parts(arrays: Mapping[str, Any], output: Output, map_: FeatureMap) -> list[FeatureMap]:
    """Return the maps of an output of which `map_` is one: where that is its first principal component, this and the
    next two; else the map of each of its channels.

    Raises:
        UsageError: as of `read_map`.
    """
    tensor = output_tensor(arrays, output)
    if map_.share is not None:
        others = enumerate(principal_components(tensor).others, 2)
        return [
            replace(map_, part=FIRST_COMPONENT),
            *(replace(map_, part=f"PC{number}", values=values, share=share) for number, (values, share) in others),
        ]
    return [
        replace(map_, values=np.asarray(each, np.float64), part=f"channel {index}") for index, each in enumerate(tensor)
    ]


def output_tensor(arrays: Mapping[str, Any], output: Output) -> NDArray[Any]:
    """Return the first image of an output's array, C H W.

    Raises:
        UsageError: there is no array, or it contradicts the output.
    """
    if output.name not in arrays:
        near = ", ".join(difflib.get_close_matches(output.name, list(arrays))) or "none"
        raise UsageError(f"No array for output {output.name!r} among the {len(arrays)} given; near names: {near}.")
    try:
        return channels_of(as_array(arrays[output.name]), output.layout, output.tokens)
    except UsageError as error:
        raise UsageError(f"Output {output.name!r} can't be drawn. {error}") from error


def _shows_nothing(
    values: NDArray[np.float64], tensor: NDArray[Any], row: Reduction, output: Output, noise: float
) -> LeftOut | None:
    if values.size == 1:
        return "point"
    low, high = float(values.min()), float(values.max())
    if low == high and np.isfinite(low):  # all of it infinite says something
        return "constant"
    if output.averaged is not None:
        return "rounding" if high - low <= _ROUNDING * noise else None
    if tensor.dtype.kind != "f" or not np.isfinite(high - low):
        return None
    # A bfloat16 array arrives as float32.
    epsilon = 2.0**-7 if output.dtype == "bfloat16" else float(np.finfo(tensor.dtype).eps)
    # The largest magnitude takes as long as the map: a bound of it settles nearly all.
    bound = float(np.linalg.norm(tensor.ravel())) if tensor.flags.c_contiguous else np.inf
    if high - low > _ROUNDING * epsilon * bound:
        return None
    return "rounding" if high - low <= _ROUNDING * epsilon * float(row.magnitude(tensor).max()) else None


def _operation(output: Output) -> str:
    # An operation without a module of its own is called by its label already.
    return "" if re.sub(r"_\d+$", "", output.name.rpartition(".")[2]) == output.label else output.label
