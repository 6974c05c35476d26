"""How each mean is computed: the table of rewrites, by the operation that computes the tensor.

To add one, write its rule, with its algebra, in a file in this folder, and add its row here.
"""

from collections.abc import Callable, Collection, Iterable

import numpy as np
import onnx_ir as ir

from .addition import mean_of_sum
from .convolution import mean_of_convolution
from .maps import ChannelSum, Map, MapSum, Reduced
from .norm_mean import mean_of_norm

__all__ = ["REWRITES", "plan_maps"]

Rewrite = Callable[[ir.Node, ChannelSum, Collection[ir.Value]], Map | None]
"""Called with the node, the mean of its result, and all tensors whose means are outputs; returns a cheaper way to
compute that mean, or None."""

REWRITES: dict[str, Rewrite] = {
    "Conv": mean_of_convolution,
    "BatchNormalization": mean_of_norm,
    "Add": mean_of_sum,
}
"""By ONNX operator. If none applies, the mean is taken of the tensor itself."""


def plan_maps(values: Iterable[ir.Value], convolvable: Collection[ir.Value]) -> dict[ir.Value, Map]:
    """Return what each tensor's mean over the channels is computed from.

    Args:
        values: the tensors, in the order of execution.
        convolvable: those that are N C H W with a known C, and float32.
    """
    wanted = list(values)
    averaged = [value for value in wanted if value in convolvable]
    maps: dict[ir.Value, Map] = {
        value: _plan(value, averaged) if value in convolvable else Reduced(value) for value in wanted
    }
    read = {plan.value for plan in maps.values() if isinstance(plan, ChannelSum)}
    # One more map of a tensor that is read anyway is free, and so cheaper than an addition.
    return {
        value: plan.mean if isinstance(plan, MapSum) and plan.mean.value in read else plan
        for value, plan in maps.items()
    }


def _plan(value: ir.Value, averaged: Collection[ir.Value]) -> Map:
    channels = value.shape[1] if value.shape is not None else None
    assert isinstance(channels, int)
    mean = ChannelSum(value, np.full(channels, 1 / channels))
    node = value.producer()
    rewrite = REWRITES.get(node.op_type) if node is not None else None
    plan = rewrite(node, mean, averaged) if node is not None and rewrite is not None else None
    return plan or mean
