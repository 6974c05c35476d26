"""ONNX graph -> how large the integers may be that it is given, where they are indices into a table of its own."""

from collections.abc import Iterator

import onnx
from onnx import TensorProto

__all__ = ["index_ranges"]

_PASSES_ON = frozenset({"Cast", "Flatten", "Identity", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"})
"""Operators whose result has no other numbers than their first input."""


def index_ranges(graph: onnx.GraphProto) -> dict[str, int]:
    """Return, by input, how many rows the smallest table has that it is an index into; inputs without one are left out.

    Args:
        graph: of which only the nodes outside of branches and loops are read.
    """
    tables = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    constants = {node.output[0]: _dims(node) for node in graph.node if node.op_type == "Constant"}
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    ranges = {}
    for value in graph.input:
        axes = [(node, {**tables, **constants}.get(node.input[0])) for node in _lookups(value.name, users)]
        rows = [dims[_axis(node)] for node, dims in axes if dims]
        if rows:
            ranges[value.name] = min(rows)
    return ranges


def _lookups(name: str, users: dict[str, list[onnx.NodeProto]]) -> Iterator[onnx.NodeProto]:
    """Yield the nodes that take an element of a table by a value, or by what only passes it on."""
    for node in users.get(name, ()):
        if node.op_type == "Gather" and len(node.input) > 1 and node.input[1] == name:
            yield node
        elif node.op_type in _PASSES_ON and node.input[0] == name:
            yield from _lookups(node.output[0], users)


def _axis(node: onnx.NodeProto) -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)


def _dims(node: onnx.NodeProto) -> list[int]:
    tensor = next((each.t for each in node.attribute if each.type == onnx.AttributeProto.TENSOR), TensorProto())
    return list(tensor.dims)
