"""An ONNX graph read as a model's operations: which of its nodes compute, and which values are known to be equal.

Nothing here depends on ONNX Runtime; `ort_fusions.py` compares such a graph with its form optimised by ONNX Runtime.
"""

# onnx takes a quarter of a second to import, and only the type checker needs it here.
from __future__ import annotations

from collections import defaultdict
from math import prod
from typing import TYPE_CHECKING

from ..artifact.manifest import SIZE_NODE_PREFIX

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

__all__ = ["GraphValues"]

_PASS_THROUGH = frozenset({"Identity", "Dropout"})
"""Operations that return their input unchanged, as a dropout does in every exported model."""

_RANDOM = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
)
_SMALL = 64


class GraphValues:
    """Which nodes make and which take each value of a graph.

    Nodes count if they compute from the graph's inputs what its outputs need. Nodes that pass a value through, repeat
    an earlier node, or compute from constants or sizes alone do not count.

    Attributes:
        nodes: all nodes, in the order of execution.
        by_name: the nodes by name.
        maker: the index of the counted node that makes a value.
        takers: the indices of the counted nodes that take a value.
        results: the graph's outputs.
    """

    def __init__(self, graph: GraphProto) -> None:
        self.nodes = list(graph.node)
        self.by_name = {node.name: node for node in self.nodes if node.name}
        self._same = _equal_values(graph)
        self.results = {self.value(output.name) for output in graph.output}
        constants = {tensor.name for tensor in graph.initializer}
        inputs = {entry.name for entry in graph.input} - constants
        self._names = constants.union(inputs, *(node.output for node in self.nodes))
        counted = self._needed(self._computing(inputs))
        self.maker = {name: index for index in counted for name in self.nodes[index].output if name}
        self.takers: dict[str, list[int]] = defaultdict(list)
        for index in counted:
            for name in self.inputs(index):
                self.takers[name].append(index)

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def value(self, name: str) -> str:
        """Return the first of the values that equal this one."""
        return self._same.get(name, name)

    def inputs(self, index: int) -> set[str]:
        """Return the values that a node takes."""
        return {self.value(name) for name in self.nodes[index].input if name}

    def _computing(self, inputs: set[str]) -> list[int]:
        data, computing = set(inputs), []
        for index, node in enumerate(self.nodes):
            on_sizes = node.op_type in {"Shape", "Size"} or node.name.startswith(SIZE_NODE_PREFIX)
            if not on_sizes and not data.isdisjoint(self.inputs(index)):
                data.update(node.output)
                if node.output[0] not in self._same:
                    computing.append(index)
        return computing

    def _needed(self, computing: list[int]) -> list[int]:
        needed, kept = set(self.results), []
        for index in reversed(computing):
            if not needed.isdisjoint(self.nodes[index].output):
                needed |= self.inputs(index)
                kept.append(index)
        return kept[::-1]


def _equal_values(graph: GraphProto) -> dict[str, str]:
    """Map each value known to equal an earlier one to that one: it is passed through, or computed twice."""
    same: dict[str, str] = {}
    first: dict[object, list[str]] = {}
    for tensor in graph.initializer:
        if prod(tensor.dims) <= _SMALL:
            content = type(tensor)()
            content.CopyFrom(tensor)
            content.name = ""
            _remember(same, first, content.SerializeToString(deterministic=True), [tensor.name])
    for node in graph.node:
        if node.op_type in _PASS_THROUGH:
            same[node.output[0]] = same.get(node.input[0], node.input[0])
        elif node.op_type not in _RANDOM:
            _remember(same, first, _content(node, same), list(node.output))
    return same


def _content(node: NodeProto, same: dict[str, str]) -> object:
    attributes = sorted(attribute.SerializeToString(deterministic=True) for attribute in node.attribute)
    inputs = tuple(same.get(name, name) for name in node.input)
    return node.domain, node.op_type, inputs, tuple(attributes), len(node.output)


def _remember(same: dict[str, str], first: dict[object, list[str]], content: object, names: list[str]) -> None:
    pairs = zip(names, first.setdefault(content, names), strict=True)
    same.update((name, earlier) for name, earlier in pairs if name and name != earlier)
