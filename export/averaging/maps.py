"""What a map can be computed from. Each kind is one way to compute a mean over channels; plain data.

A map is N 1 H W; tensors are N C H W. `value[c]` is a tensor's channel c, itself N H W.
"""

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

__all__ = ["ChannelSum", "Filtered", "Map", "MapSum", "Reduced"]

Weights = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ChannelSum:
    """sum over c of weights[c] * value[c], + offset: a 1 x 1 convolution of a tensor that is computed anyway."""

    value: ir.Value
    weights: Weights
    """One per channel."""
    offset: float = 0.0


@dataclass(frozen=True, eq=False)
class Filtered:
    """One filter instead of the convolution's one per channel: a convolution of its input."""

    convolution: ir.Node
    weights: Weights
    """C_in kh kw, over all of the input's channels, even if the convolution is grouped."""
    offset: float


@dataclass(frozen=True, eq=False)
class MapSum:
    """The sum of existing maps, with the mean itself as the alternative if the tensor is read for other maps."""

    terms: tuple[ir.Value, ...]
    """The tensors whose maps are added."""
    mean: ChannelSum


@dataclass(frozen=True, eq=False)
class Reduced:
    """ONNX's own mean, for what no convolution takes: other layouts and dtypes."""

    value: ir.Value


Map = ChannelSum | Filtered | MapSum | Reduced
