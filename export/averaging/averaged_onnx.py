"""ONNX model of a probe -> that of the averaged probe: each map is computed in the graph as planned."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as ir_passes
from numpy.typing import NDArray

from runtime.artifact.manifest import Output

from ..onnx_conversion import onnx_shape
from .blocked_activation import keep_blocked
from .constants import add_weight
from .execution_order import append_last_nodes
from .maps import ChannelSum, Filtered, Map, MapSum, Reduced
from .planning import plan_maps
from .reduction import reduced_mean

__all__ = ["average_onnx"]


def average_onnx(model: ir.Model, outputs: Sequence[Output], averaged: Sequence[Output]) -> None:
    """Turn the model of a probe into that of its averaged probe, in place.

    Args:
        model: what `to_onnx` returned.
        outputs: the probe's outputs.
        averaged: the averaged probe's outputs: N 1 H W, and the model's results that have no map.
    """
    graph = model.graph
    position = {node: index for index, node in enumerate(graph)}
    specs = {spec.name: spec for spec in outputs}
    tensors = dict(zip(specs, graph.outputs, strict=True))
    mapped = {tensors[spec.name]: specs[spec.name] for spec in averaged if specs[spec.name].has_map}
    plans = plan_maps(mapped, {value for value, spec in mapped.items() if _convolvable(spec)})
    writer = _MapWriter(graph, position, mapped)
    maps = writer.write(plans)
    keep_blocked(graph)
    sources = {maps[tensor]: writer.sources[tensor] for tensor in maps}
    settled = dict(zip(maps, append_last_nodes(graph, list(maps.values()), sources), strict=True))
    for value, spec in mapped.items():
        value.name = f"{spec.name}::tensor"
    graph.outputs.clear()
    for spec in averaged:
        value = settled.get(tensors[spec.name], tensors[spec.name])
        value.name, value.shape = spec.name, onnx_shape(spec.shape)
        graph.outputs.append(value)
    ir_passes.RemoveUnusedNodesPass()(model)


def _convolvable(spec: Output) -> bool:
    return spec.layout == "NCHW" and spec.dtype == "float32" and isinstance(spec.shape[1], int)


class _MapWriter:
    """Adds to a graph the nodes that compute the maps of its tensors.

    Attributes:
        sources: for each tensor whose map is written, the position of the last node of the model that the map needs.
    """

    def __init__(self, graph: ir.Graph, position: Mapping[ir.Node, int], specs: Mapping[ir.Value, Output]) -> None:
        self.sources: dict[ir.Value, int] = {}
        self._graph = graph
        self._position = position
        self._specs = specs
        self._maps: dict[ir.Value, ir.Value] = {}
        self._weights = 0

    def write(self, plans: Mapping[ir.Value, Map]) -> dict[ir.Value, ir.Value]:
        """Write all maps and return them by tensor, in the order of the plans."""
        sums: dict[ir.Value, dict[ir.Value, ChannelSum]] = {}
        filters: dict[ir.Node, dict[ir.Value, Filtered]] = {}
        for tensor, plan in plans.items():
            if isinstance(plan, ChannelSum):
                sums.setdefault(plan.value, {})[tensor] = plan
            elif isinstance(plan, Filtered):
                filters.setdefault(plan.convolution, {})[tensor] = plan
        for value, of_value in sums.items():
            parts = {tensor: (plan.weights[:, None, None], plan.offset) for tensor, plan in of_value.items()}
            self._convolve(value, parts, {"kernel_shape": [1, 1]})
        for node, of_node in filters.items():
            kept = {name: attribute for name, attribute in node.attributes.items() if name != "group"}
            read = node.inputs[0]
            assert read is not None
            self._convolve(read, {tensor: (plan.weights, plan.offset) for tensor, plan in of_node.items()}, kept)
        for tensor, plan in plans.items():
            if isinstance(plan, MapSum):
                terms = [self._maps[term] for term in plan.terms]
                self._add(ir.node("Add", terms), [tensor], max(self.sources[term] for term in plan.terms))
            elif isinstance(plan, Reduced):
                *before, last = reduced_mean(tensor, self._specs[tensor], self._weight)
                self._graph.extend(before)
                self._add(last, [tensor], self._source(tensor))
        return {tensor: self._maps[tensor] for tensor in plans}

    def _convolve(
        self,
        value: ir.Value,
        parts: Mapping[ir.Value, tuple[NDArray[np.float64], float]],
        attributes: Mapping[str, object],
    ) -> None:
        """Write one convolution of `value` to a map for each of `parts`: its filter and its offset."""
        filters = self._weight(np.stack([weights for weights, _ in parts.values()]).astype(np.float32))
        offsets = np.array([offset for _, offset in parts.values()], np.float32)
        inputs = [value, filters, *([self._weight(offsets)] if offsets.any() else [])]
        convolution = ir.node("Conv", inputs, attributes)  # type: ignore[arg-type]
        if len(parts) == 1:
            self._add(convolution, list(parts), self._source(value))
            return
        self._name(convolution, list(parts))
        self._graph.append(convolution)
        split = ir.node("Split", convolution.outputs, {"axis": 1, "num_outputs": len(parts)}, num_outputs=len(parts))
        self._add(split, list(parts), self._source(value))

    def _add(self, node: ir.Node, tensors: Sequence[ir.Value], source: int) -> None:
        """Append a node whose results are the maps of `tensors`."""
        self._name(node, tensors)
        self._graph.append(node)
        for tensor, made in zip(tensors, node.outputs, strict=True):
            made.type = ir.TensorType(ir.DataType.FLOAT)
            self._maps[tensor] = made
            self.sources[tensor] = source

    def _name(self, node: ir.Node, tensors: Sequence[ir.Value]) -> None:
        names = [self._specs[tensor].name for tensor in tensors]
        node.name = f"{names[0]}/{node.op_type}::mean"
        node.doc_string = f"mean over the channels of {', '.join(names)}"
        for number, value in enumerate(node.outputs):
            value.name = f"{node.name}::{number}"

    def _source(self, value: ir.Value) -> int:
        node = value.producer()
        return -1 if node is None else self._position[node]

    def _weight(self, array: NDArray[np.generic]) -> ir.Value:
        name = f"averaged::{self._weights}"
        self._weights += 1
        return add_weight(self._graph, name, array)
