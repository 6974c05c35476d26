"""The sum of a batch norm's channels is a weighted sum of its input's channels, and the other way round.

In eval mode a batch norm is y[c] = a[c] x[c] + d[c], with a = scale / sqrt(variance + epsilon), d = bias - a * mean. So

    sum of v[c] y[c]  =  sum of (v[c] a[c]) x[c]  +  sum of v[c] d[c]          forward: y is never read
    sum of v[c] x[c]  =  sum of (v[c] / a[c]) y[c]  -  sum of v[c] d[c] / a[c]   backward: x is never read

The second lets a runtime fuse the batch norm into the convolution before it, whose own result x is then never computed.
It loses digits where a[c] is small: y[c] is rounded relative to d[c], and dividing by a[c] makes that error large
compared with x[c].
"""

import numpy as np
import onnx_ir as ir

from .constants import constant, is_constant
from .maps import ChannelSum, Weights

__all__ = ["before_batch_norm", "is_constant_norm", "through_batch_norm"]

_LOSS = 4.0
"""How many times larger than x's own rounding error y's may be, converted to x, on average over the channels."""
_SPREAD = 3.0
"""A channel is assumed to reach this many standard deviations from its mean."""


def is_constant_norm(node: ir.Node) -> bool:
    """Return whether a node is a batch norm in eval mode whose parameters are constants in the file."""
    return node.op_type == "BatchNormalization" and all(map(is_constant, node.inputs[1:5]))


def through_batch_norm(node: ir.Node, weights: Weights, offset: float) -> ChannelSum:
    """Return the sum of weights[c] y[c] + offset, with y a `BatchNormalization`'s result, as a sum of its input."""
    scale, shift = _affine(node)
    value = node.inputs[0]
    assert value is not None
    return ChannelSum(value, weights * scale, offset + float(weights @ shift))


def before_batch_norm(node: ir.Node, weights: Weights) -> ChannelSum | None:
    """Return the sum of weights[c] x[c], with x the input, as a sum of the result; None if that would lose digits."""
    scale, shift = _affine(node)
    mean, variance = constant(node.inputs[3]), constant(node.inputs[4])
    reach = np.abs(mean) + _SPREAD * np.sqrt(np.maximum(variance, 0))
    with np.errstate(all="ignore"):
        reach_back = (np.abs(shift) + np.abs(scale) * reach) / np.abs(scale)
    if not np.isfinite(reach_back).all() or not reach_back.mean() <= _LOSS * reach.max():
        return None
    return ChannelSum(node.outputs[0], weights / scale, -float((weights / scale) @ shift))


def _affine(node: ir.Node) -> tuple[Weights, Weights]:
    scale, bias, mean, variance = (constant(value) for value in node.inputs[1:5])
    slope = scale / np.sqrt(variance + node.attributes.get_float("epsilon", 1e-5))
    return slope, bias - slope * mean
