"""An artifact's model.onnx, loaded to be changed, and a place in it where a fault may be planted."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

__all__ = ["Model", "Place", "Places", "attribute_of", "set_attribute"]


class Model:
    """A loaded model, with what planting needs to know about it.

    Args:
        file: model.onnx.
        recorded: the recorded input, by name.
    """

    def __init__(self, file: Path, recorded: dict[str, np.ndarray]) -> None:
        self.proto = onnx.load(file)
        self.graph = self.proto.graph
        self.outputs = [value.name for value in self.graph.output]
        self.weights = {tensor.name: tensor for tensor in self.graph.initializer}
        self._recorded = recorded
        inferred = onnx.shape_inference.infer_shapes(self.proto).graph
        values = [*inferred.value_info, *inferred.output, *inferred.input]
        self.shapes = {
            value.name: [size.dim_value or size.dim_param for size in value.type.tensor_type.shape.dim]
            for value in values
        }
        self.types = {value.name: value.type.tensor_type.elem_type for value in values}

    def nodes(self, *operations: str) -> Iterator[onnx.NodeProto]:
        return (node for node in self.graph.node if node.op_type in operations)

    def array(self, name: str) -> np.ndarray:
        return numpy_helper.to_array(self.weights[name]).copy()

    def put(self, name: str, array: np.ndarray) -> None:
        self.weights[name].CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array), name))

    def add(self, name: str, array: np.ndarray) -> str:
        """Add a weight and return its name."""
        self.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def insert(self, position: int, *nodes: onnx.NodeProto) -> None:
        """Insert nodes before the one at a position."""
        for offset, node in enumerate(nodes):
            self.graph.node.insert(position + offset, node)

    def position(self, node: onnx.NodeProto) -> int:
        return next(i for i, each in enumerate(self.graph.node) if each.output[:1] == node.output[:1])

    def floats(self, node: onnx.NodeProto, indices: Sequence[int] | None = None) -> list[str]:
        """Return the node's weights that are floating point and not all zero."""
        names = [name for index, name in enumerate(node.input) if indices is None or index in indices]
        return [n for n in names if n in self.weights and self.array(n).dtype.kind == "f" and self.array(n).any()]

    def run(self, wanted: Sequence[str]) -> dict[str, np.ndarray]:
        """Return values of the graph for the recorded input."""
        proto = onnx.ModelProto()
        proto.CopyFrom(self.proto)
        proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted if name not in self.outputs)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return dict(zip(wanted, session.run(list(wanted), self._recorded), strict=True))

    @cached_property
    def values(self) -> dict[str, np.ndarray]:
        """The outputs for the recorded input."""
        return self.run(self.outputs)

    @cached_property
    def made_by(self) -> dict[str, onnx.NodeProto]:
        return {name: node for node in self.graph.node for name in node.output}

    def nearest(self, node: onnx.NodeProto) -> frozenset[str]:
        """Return the outputs in which this node's value shows first."""
        found, waiting, seen = set(), list(node.output), set()
        while waiting:
            name = waiting.pop()
            if name in self.outputs:
                found.add(name)
            elif name not in seen:
                seen.add(name)
                waiting += [value for user in self.graph.node if name in user.input for value in user.output]
        return frozenset(found)


@dataclass(frozen=True)
class Place:
    """Where a fault may be planted."""

    node: onnx.NodeProto
    detail: str
    change: Callable[[], None]
    weight: str | None = None
    """What is changed, if it is a weight: other nodes may use it as well."""
    also: Sequence[onnx.NodeProto] = ()
    """Other nodes that are then wrong themselves."""


Places = Callable[[Model, np.random.Generator], Iterator[Place]]
"""What yields the places of a kind. A change may draw from the generator; listing the places must not."""


def attribute_of(node: onnx.NodeProto, name: str, default: Any = None) -> Any:
    return next((onnx.helper.get_attribute_value(each) for each in node.attribute if each.name == name), default)


def set_attribute(node: onnx.NodeProto, name: str, value: Any) -> None:
    kept = [each for each in node.attribute if each.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, onnx.helper.make_attribute(name, value)])
