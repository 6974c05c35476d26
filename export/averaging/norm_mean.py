"""The mean of a batch norm's result, from its input, or from the input of the convolution that it is fused into."""

from collections.abc import Collection

import onnx_ir as ir

from .batch_norm import is_constant_norm, through_batch_norm
from .convolution import norm_behind, reading_is_cheaper, through_convolution
from .maps import ChannelSum, Map

__all__ = ["mean_of_norm"]


def mean_of_norm(node: ir.Node, mean: ChannelSum, averaged: Collection[ir.Value]) -> Map | None:  # noqa: ARG001
    """Return the cheapest way to compute the mean of a batch norm's result."""
    if not is_constant_norm(node):
        return None
    of_input = through_batch_norm(node, mean.weights, mean.offset)
    convolution = of_input.value.producer()
    if convolution is None or norm_behind(convolution) is not node:
        return of_input
    if reading_is_cheaper(convolution, mean.value):
        return mean
    return through_convolution(convolution, of_input.weights, of_input.offset)
