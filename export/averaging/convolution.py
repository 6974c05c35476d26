"""The sum of a convolution's channels is a convolution with one filter: the sum of its filters.

With y[o] = b[o] + sum over i of W[o, i] * x[i], where * slides a filter over a channel of x,

    sum over o of v[o] y[o]  =  sum over o of v[o] b[o]  +  sum over i of (sum over o of v[o] W[o, i]) * x[i]

In a grouped convolution, o only reads the channels i of its own group: W is 0 elsewhere. So a mean costs 1 / C_out of
the convolution, and needs its input, not its result; if W is 1 x 1 and takes every pixel, it is itself a sum over x's
channels.

Whether reading the result or filtering the input is cheaper depends on their costs. The unit is the cost of a 1 x 1
convolution per channel and pixel of the tensor that it reads. ONNX Runtime computes convolutions on blocks of 8 or 16
channels, so up to that many maps of one tensor cost as much as one. The numbers were measured with ONNX Runtime 1.31 in
one thread with AVX-512, on 64 channels of 56 x 56: a 1 x 1 convolution to one map 39 us, a 3 x 3 one 333 us (8.5 for
its 9 taps), a separate ReLU 22 us, an addition 41 us.
"""

from collections.abc import Collection

import numpy as np
import onnx_ir as ir

from .batch_norm import before_batch_norm, is_constant_norm
from .constants import constant, is_constant
from .maps import ChannelSum, Filtered, Map, Weights

__all__ = ["is_constant_convolution", "mean_of_convolution", "norm_behind", "reading_is_cheaper", "through_convolution"]

_FUSED = {"Relu": 0.5, "Sigmoid": 0.5, "Tanh": 0.5, "LeakyRelu": 0.7, "Clip": 0.7, "HardSigmoid": 0.7, "Add": 1.4}
"""What ONNX Runtime computes within the convolution before it, if nothing else reads the convolution's result, and what
computing it separately costs per channel and pixel. The cost of an addition includes the ReLU after it."""


def mean_of_convolution(node: ir.Node, mean: ChannelSum, averaged: Collection[ir.Value]) -> Map | None:  # noqa: ARG001
    """Return the cheapest way to compute the mean of a convolution's result: from it, its input, or the norm after it.

    Reading the tensor between a convolution and its batch norm would keep a runtime from fusing the two.
    """
    if not is_constant_convolution(node):
        return None
    norm = norm_behind(node)
    read = mean if norm is None else before_batch_norm(norm, mean.weights)
    if read is not None and reading_is_cheaper(node, read.value):
        return read
    return through_convolution(node, mean.weights, mean.offset)


def through_convolution(node: ir.Node, weights: Weights, offset: float) -> ChannelSum | Filtered:
    """Return the sum over o of weights[o] y[o] + offset, with y the result of a `Conv`, in terms of its input."""
    filters = constant(node.inputs[1])
    bias = constant(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] is not None else np.zeros(len(filters))
    groups = node.attributes.get_int("group", 1)
    # Group by group: a group's filters read its own channels of the input, in order.
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
    """Return whether a node is a convolution of images with weights that are constants in the file."""
    return (
        node.op_type == "Conv"
        and is_constant(node.inputs[1])
        and all(value is None or is_constant(value) for value in node.inputs[2:])
        and len(filter_shape(node)) == 4
        and node.attributes.get_string("auto_pad", "NOTSET") == "NOTSET"
    )


def is_pointwise(node: ir.Node) -> bool:
    """Return whether a convolution is 1 x 1 and takes every pixel once."""
    return (
        filter_shape(node)[2:] == (1, 1)
        and set(node.attributes.get_ints("strides", [1, 1])) == {1}
        and not any(node.attributes.get_ints("pads", [0] * 4))
    )


def norm_behind(convolution: ir.Node) -> ir.Node | None:
    """Return the batch norm that a runtime can fuse into a convolution: the only reader of its result."""
    readers = {use.node for use in convolution.outputs[0].uses()}
    only = readers.pop() if len(readers) == 1 else None
    if only is None or only.inputs[0] is not convolution.outputs[0] or not is_constant_norm(only):
        return None
    return only if is_constant_convolution(convolution) else None


def reading_is_cheaper(convolution: ir.Node, result: ir.Value) -> bool:
    """Return whether reading a result (the convolution's, or that of the norm after it) is cheaper than filtering the
    input.

    Filtering for a 1 x 1 convolution costs nothing extra: it is done with the mean of its input, itself an output.
    """
    shape = filter_shape(convolution)
    channels = shape[1] * convolution.attributes.get_int("group", 1)
    from_input = 0.0 if is_pointwise(convolution) else float(channels * shape[2] * shape[3])
    readers = {use.node for use in result.uses()}
    apart = max((_FUSED.get(reader.op_type, 0.0) for reader in readers), default=0.0) if len(readers) == 1 else 0.0
    return from_input >= shape[0] * (1 + apart)
