"""The sum of a convolution's channels is a convolution with one filter: the sum of its filters.

With y[o] = b[o] + sum over i of W[o, i] * x[i], where * slides a filter over a channel of x,

    sum over o of v[o] y[o]  =  sum over o of v[o] b[o]  +  sum over i of (sum over o of v[o] W[o, i]) * x[i]

In a grouped convolution, o reads the channels i of its own group alone: W is 0 elsewhere. So a mean costs 1 / C_out of
the convolution, and needs its input, not its result; where W is 1 x 1 and takes every pixel, it is a sum over x's
channels itself.
"""

import numpy as np
import onnx_ir as ir

from .constants import constant, is_constant
from .maps import ChannelSum, Filtered, Weights

__all__ = ["filter_shape", "is_constant_convolution", "is_pointwise", "through_convolution"]


def through_convolution(node: ir.Node, weights: Weights, offset: float) -> ChannelSum | Filtered:
    """Return sum over o of weights[o] y[o] + offset, of the result y of a `Conv` node, as one of its input."""
    filters = constant(node.inputs[1])
    bias = constant(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] is not None else np.zeros(len(filters))
    groups = node.attributes.get_int("group", 1)
    # Group by group: the filters of one read its channels of the input, in their order.
    summed = np.concatenate(
        [
            np.tensordot(part, own, 1)
            for part, own in zip(np.split(weights, groups), np.split(filters, groups), strict=True)
        ]
    )
    total = offset + float(weights @ bias)
    value = node.inputs[0]
    if value is not None and is_pointwise(node):
        return ChannelSum(value, summed[:, 0, 0], total)
    return Filtered(node, summed, total)


def filter_shape(node: ir.Node) -> tuple[int, ...]:
    """Return the shape of a convolution's filters: C_out, C_in / groups, kh, kw."""
    filters = node.inputs[1]
    assert filters is not None
    assert filters.shape is not None
    return tuple(int(size) for size in filters.shape.numpy())


def is_constant_convolution(node: ir.Node) -> bool:
    """Tell whether a node is a convolution of images with weights that are fixed in the file."""
    return (
        node.op_type == "Conv"
        and is_constant(node.inputs[1])
        and all(value is None or is_constant(value) for value in node.inputs[2:])
        and len(filter_shape(node)) == 4
        and node.attributes.get_string("auto_pad", "NOTSET") == "NOTSET"
    )


def is_pointwise(node: ir.Node) -> bool:
    """Tell whether a convolution is 1 x 1 and takes every pixel once."""
    return (
        filter_shape(node)[2:] == (1, 1)
        and set(node.attributes.get_ints("strides", [1, 1])) == {1}
        and not any(node.attributes.get_ints("pads", [0] * 4))
    )
