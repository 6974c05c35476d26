"""Sets the order in which ONNX Runtime executes a graph, by the order of its last nodes.

ONNX Runtime goes depth first, starting from the nodes that no other node reads, the last one in the file first. With
the maps' last nodes in reverse order, each mean is taken right after its tensor, while that is in the cache, and the
tensor can be freed: on ResNet-18 the means take half as long as after the whole model.

A convolution can't be such a last node: ONNX Runtime adds one after it that undoes the blocks of channels, at the end
of the file, in its own order. So a `Reshape` that changes nothing follows it, which costs a copy of a map.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

from .constants import add_weight

__all__ = ["append_last_nodes"]


def append_last_nodes(graph: ir.Graph, maps: Sequence[ir.Value], sources: Mapping[ir.Value, int]) -> list[ir.Value]:
    """Sort the graph so that each map is computed early, and return the maps, some of which are replaced.

    Args:
        graph: with the nodes that compute the maps.
        maps: their results, in the order of the outputs.
        sources: for each map, the position of the last node of the model itself that it needs.
    """
    settled = {}
    for value in maps:
        node = value.producer()
        if node is not None and node.op_type == "Conv" and not value.uses():
            keep = ir.node("Reshape", [value, _unchanged(graph)])
            keep.name, keep.doc_string = f"{node.name}::unchanged", node.doc_string
            keep.outputs[0].type, keep.outputs[0].shape = value.type, value.shape
            graph.append(keep)
            settled[value] = keep.outputs[0]
    finished = [settled.get(value, value) for value in maps]
    last: dict[ir.Node, int] = {}
    for value, source in zip(finished, (sources[value] for value in maps), strict=True):
        node = value.producer()
        if node is not None and not any(output.uses() for output in node.outputs):
            last[node] = max(source, last.get(node, 0))
    for node in sorted(last, key=last.__getitem__, reverse=True):
        graph.remove(node)
        graph.append(node)
    return finished


def _unchanged(graph: ir.Graph) -> ir.Value:
    """Return the shape that leaves every size as it is."""
    name = "averaged::unchanged"
    if name not in graph.initializers:
        add_weight(graph, name, np.zeros(4, np.int64))
    return graph.initializers[name]
