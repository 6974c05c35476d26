"""Which way to take each mean. The ways are files of their own; the price of each is `cost.py`."""

from collections.abc import Collection, Iterable

import numpy as np
import onnx_ir as ir

from .batch_norm import before_batch_norm, through_batch_norm
from .constants import is_constant
from .convolution import filter_shape, is_constant_convolution, is_pointwise, through_convolution
from .maps import ChannelSum, Filtered, Map, MapSum, Reduced

__all__ = ["cost_from_input", "cost_from_result", "plan_maps"]


def plan_maps(values: Iterable[ir.Value], convolvable: Collection[ir.Value]) -> dict[ir.Value, Map]:
    """Return for each tensor what its mean over the channels is to be computed from.

    Args:
        values: the tensors, in the order of execution.
        convolvable: those that are N C H W with a known C, and float32.
    """
    wanted = list(values)
    maps: dict[ir.Value, Map] = {
        value: _plan(value, wanted, convolvable) if value in convolvable else Reduced(value) for value in wanted
    }
    read = {plan.value for plan in maps.values() if isinstance(plan, ChannelSum)}
    # A map more of a tensor that is read anyway is free, and cheaper than an addition.
    return {
        value: plan.mean if isinstance(plan, MapSum) and plan.mean.value in read else plan
        for value, plan in maps.items()
    }


def _plan(value: ir.Value, wanted: Collection[ir.Value], convolvable: Collection[ir.Value]) -> Map:
    channels = value.shape[1] if value.shape is not None else None
    assert isinstance(channels, int)
    mean = ChannelSum(value, np.full(channels, 1 / channels))
    node = value.producer()
    if node is None:
        return mean
    if is_constant_convolution(node):
        return _of_convolution(node, mean, None)
    if node.op_type == "BatchNormalization" and all(map(is_constant, node.inputs[1:5])):
        convolution = node.inputs[0].producer() if node.inputs[0] is not None else None
        if convolution is not None and batch_norm_behind(convolution) is node:
            return _of_convolution(convolution, mean, node)
        return through_batch_norm(node, mean.weights, 0.0)
    terms = [term for term in node.inputs if term is not None]
    if node.op_type == "Add" and all(
        term in wanted and term in convolvable and term.shape == value.shape for term in terms
    ):
        return MapSum(tuple(terms), mean)
    return mean


def _of_convolution(convolution: ir.Node, mean: ChannelSum, norm: ir.Node | None) -> ChannelSum | Filtered:
    """Return the way to the mean of a convolution's result, or of that of the batch norm behind it (`norm`)."""
    behind = batch_norm_behind(convolution)
    if behind is None or norm is not None:
        there: ChannelSum | None = mean
    else:
        there = before_batch_norm(behind, mean.weights)
    if there is not None:
        from_input = cost_from_input(convolution, is_pointwise(convolution))
        if from_input >= cost_from_result(convolution, there.value):
            return there
    asked = mean if norm is None else through_batch_norm(norm, mean.weights, 0.0)
    return through_convolution(convolution, asked.weights, asked.offset)


def batch_norm_behind(convolution: ir.Node) -> ir.Node | None:
    """Return the batch norm that a runtime can fuse into a convolution: the one and only reader of its result."""
    readers = {use.node for use in convolution.outputs[0].uses()}
    only = readers.pop() if len(readers) == 1 else None
    if only is None or only.op_type != "BatchNormalization" or only.inputs[0] is not convolution.outputs[0]:
        return None
    return only if is_constant_convolution(convolution) and all(map(is_constant, only.inputs[1:5])) else None


_FUSED = {"Relu": 0.5, "Sigmoid": 0.5, "Tanh": 0.5, "LeakyRelu": 0.7, "Clip": 0.7, "HardSigmoid": 0.7, "Add": 1.4}
"""What ONNX Runtime computes within the convolution before it, if nothing else reads that one's result: the price of
computing it apart, for a channel and a pixel. After an addition, that is also the ReLU's."""


def cost_from_input(convolution: ir.Node, pointwise: bool) -> float:
    """Return the cost of a convolution with one filter, for a pixel of its result."""
    shape = filter_shape(convolution)
    channels = shape[1] * convolution.attributes.get_int("group", 1)
    # A 1 x 1 convolution rides along with the mean of what it reads, which is an output like any other.
    return 0.0 if pointwise else float(channels * shape[2] * shape[3])


def cost_from_result(convolution: ir.Node, result: ir.Value) -> float:
    """Return the cost of reading the result of a convolution, or of the batch norm behind it, for a pixel."""
    readers = {use.node for use in result.uses()}
    apart = max((_FUSED.get(reader.op_type, 0.0) for reader in readers), default=0.0) if len(readers) == 1 else 0.0
    return filter_shape(convolution)[0] * (1 + apart)
