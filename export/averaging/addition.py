"""The mean of a sum is the sum of the means, if both terms have the sum's shape and their means are outputs, too."""

from collections.abc import Collection

import onnx_ir as ir

from .maps import ChannelSum, Map, MapSum

__all__ = ["mean_of_sum"]


def mean_of_sum(node: ir.Node, mean: ChannelSum, averaged: Collection[ir.Value]) -> Map | None:
    """Return the sum of the terms' maps, which are computed anyway; None if a term has none."""
    terms = tuple(term for term in node.inputs if term is not None)
    if all(term in averaged and term.shape == mean.value.shape for term in terms):
        return MapSum(terms, mean)
    return None
