"""How an ONNX file gets from its last maps to the scores of classes: where its softmax is, and whether all is linear.

Where the maps are averaged and then only weighed, a class's score is a sum over the pixels. That is found by the graph,
from the result back, whatever its nodes are called.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import ArtifactError, UsageError, first_line
from ..artifact.manifest import NODE_STEP_KEY, Output
from ..artifact.onnx_file import OnnxFile, names_read
from ..artifact.onnx_weights import read_weight
from .linear_nodes import LINEAR, Back, Constants, attributes_of, listed_axes, same

if TYPE_CHECKING:
    from onnx import NodeProto

__all__ = ["ClassGraph", "LinearHead"]

_CLOSING = ("Softmax", "LogSoftmax", "Sigmoid")
"""What turns scores into probabilities."""
_POOLS = ("ReduceMean", "GlobalAveragePool", "AveragePool")
_WEIGHING = ("Gemm", "MatMul", "Conv")
_ACTIVATIONS = ("Relu", "Clip", "LeakyRelu", "Sigmoid", "Identity", "Dropout")
"""What may stand between a convolution whose channels are the classes and their average, as in a SqueezeNet."""


@dataclass(frozen=True)
class LinearHead:
    """Global average pooling and what is linear behind it."""

    layer: str
    """The value whose pixels are averaged."""
    step: str
    """What the model calls the operation that computes it."""
    pools: tuple["NodeProto", ...]
    """In the order of execution."""
    back: tuple[Back, ...]
    """From the scores to the average."""
    constant: Constants
    of_classes: bool
    """Whether each score has weights of its own, behind the average or in a 1 x 1 convolution before it: otherwise
    it is a channel of the layer, as in a network without its classifier."""

    def weights(self, class_: int, classes: int) -> NDArray[np.float64] | None:
        """Return what a class's score weighs the mean of each channel with; None if the shapes don't fit."""
        row = np.zeros(classes)
        row[class_] = 1.0
        try:
            for back in self.back:
                row = back(row)
        except ValueError:
            return None
        return row

    def averages_all_of(self, output: Output, shape: Sequence[int]) -> bool:
        """Return whether exactly the pixels of the layer are averaged, each with the same weight.

        Args:
            output: the layer.
            shape: of its array.
        """
        left = list(range(len(shape)))  # the layer's axis in each place; -1 for one that was averaged and kept
        for node in self.pools:
            places = self._averaged(node, [shape[axis] if axis >= 0 else 1 for axis in left])
            if places is None:
                return False
            keeps = node.op_type != "ReduceMean" or attributes_of(node).get("keepdims", 1)
            left = [-1 if place in places else axis for place, axis in enumerate(left) if keeps or place not in places]
        pixels = {axis for axis, letter in enumerate(output.layout) if letter in "HWL"}
        only_patches = output.tokens is None or output.tokens.before + output.tokens.after == 0
        return set(left) - {-1} == set(range(len(shape))) - pixels and only_patches

    def _averaged(self, node: "NodeProto", shape: Sequence[int]) -> list[int] | None:
        if node.op_type == "ReduceMean":
            axes = listed_axes(node, self.constant)
            return None if axes is None else [axis % len(shape) for axis in axes]
        given = attributes_of(node)
        covers = node.op_type == "GlobalAveragePool" or list(given.get("kernel_shape", ())) == list(shape[2:])
        return list(range(2, len(shape))) if covers and not any(given.get("pads", ())) else None


class ClassGraph:
    """The nodes of an artifact's ONNX file, as far as one result depends on them.

    Attributes:
        scores: the value before the softmax; the result itself where there is none.
        closing: the operator that makes probabilities of it; None where none does.
    """

    def __init__(self, file: OnnxFile, result: str) -> None:
        """Read the graph.

        Raises:
            ArtifactError: it is not an ONNX model.
        """
        self._file, self._result = file, result
        self._model = file.model()
        self._maker = _makers(self._model.graph.node)
        self._weights = {tensor.name: tensor for tensor in self._model.graph.initializer}
        self.scores, self.closing = self._before_closing(result)

    @cached_property
    def needed(self) -> set[str]:
        """The values that the result is computed from."""
        found, waiting = set[str](), [self._result]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += names_read(self._maker[name]) if name in self._maker else ()
        return found

    def convolutions_after(self, layer: str) -> list[str]:
        """Return the model's steps, in the order of execution, that convolve what is computed from a layer by more than
        one pixel, for the result.
        """
        computed, steps = {layer}, []
        for node in self._model.graph.node:
            if not computed.isdisjoint(names_read(node)) and not self.needed.isdisjoint(node.output):
                computed.update(node.output)
                if node.op_type == "Conv" and set(attributes_of(node).get("kernel_shape", (1,))) != {1}:
                    steps.append(_step_of(node))
        return steps

    def linear_head(self) -> LinearHead:
        """Return the head of the classes, if it is global average pooling and linear from there on.

        Raises:
            UsageError: it isn't; the message has the first operation that stands in the way.
        """
        value, back, weighs = self.scores, list[Back](), False
        while True:
            node = self._maker.get(value)
            if node is not None and node.op_type in _POOLS:
                break
            step = self._back(node)
            if node is None or step is None:
                what = f"{node.op_type} ({_step_of(node)})" if node is not None else "no average"
                raise UsageError(
                    f"An exact map needs global average pooling, and only linear layers from there to {self._result}; "
                    f"there is {what}.\nChoose another method: ablation, score or eigen."
                )
            back.append(step)
            weighs |= node.op_type in _WEIGHING
            value = next((name for name in node.input if self._constant(name) is None), node.input[0])
        pools = [node]
        # x.mean(3).mean(2) is one average. Another pool before it isn't part of it: its pixels are the layer's.
        while self._averages_one_axis(node) and self._averages_one_axis(self._maker.get(node.input[0])):
            node = self._maker[node.input[0]]
            pools.insert(0, node)
        layer = node.input[0]
        step_name = _step_of(self._maker[layer]) if layer in self._maker else layer
        of_classes = weighs or self._is_convolved_by_pixel(layer)
        return LinearHead(layer, step_name, tuple(pools), tuple(back), self._constant, of_classes)

    def _before_closing(self, value: str) -> tuple[str, str | None]:
        while (node := self._maker.get(value)) is not None and LINEAR.get(node.op_type) is same:
            value = node.input[0]
        if node is not None and node.op_type in _CLOSING:
            return str(node.input[0]), str(node.op_type)
        return self._result, None

    def _back(self, node: "NodeProto | None") -> Back | None:
        try:
            return LINEAR[node.op_type](node, self._constant) if node is not None else None
        except (IndexError, KeyError):  # no such operator, or without its inputs
            return None

    def _averages_one_axis(self, node: "NodeProto | None") -> bool:
        axes = listed_axes(node, self._constant) if node is not None and node.op_type == "ReduceMean" else None
        return axes is not None and len(axes) == 1

    def _is_convolved_by_pixel(self, value: str) -> bool:
        while (node := self._maker.get(value)) is not None and node.op_type in _ACTIVATIONS:
            value = node.input[0]
        return node is not None and node.op_type == "Conv" and LINEAR["Conv"](node, self._constant) is not None

    def _constant(self, name: str) -> NDArray[np.float64] | None:
        """Return what a constant holds; None for what is computed from the model's input."""
        while (node := self._maker.get(name)) is not None and node.op_type == "Identity":
            name = node.input[0]
        if node is None:
            return self._read(name, self._weights[name]) if name in self._weights else None
        value: Any = next(iter(attributes_of(node).values()), None) if node.op_type == "Constant" else None
        return self._read(name, value) if hasattr(value, "dims") else _numbers(value)

    def _read(self, name: str, tensor: Any) -> NDArray[np.float64]:
        try:
            return read_weight(tensor, self._file.folder).astype(np.float64)
        except Exception as error:  # protobuf's own errors share no base with onnx's
            raise ArtifactError(f"{self._file.path}: the weight {name} can't be read: {first_line(error)}") from error


def _makers(nodes: "Iterable[NodeProto]") -> "dict[str, NodeProto]":
    """Return by value the node that makes it, if that reads only what was made before: so no walk goes in circles."""
    listed = list(nodes)
    later = {name for node in listed for name in node.output if name}
    found: dict[str, NodeProto] = {}
    for node in listed:
        if later.isdisjoint(names_read(node)) and (node.input or node.op_type == "Constant"):
            found.update((name, node) for name in node.output if name)
            later.difference_update(node.output)
    return found


def _numbers(value: Any) -> NDArray[np.float64] | None:
    try:
        return None if value is None else np.asarray(value, float)
    except (TypeError, ValueError):  # a text
        return None


def _step_of(node: "NodeProto") -> str:
    steps = (each.value for each in node.metadata_props if each.key == NODE_STEP_KEY)
    return str(next(steps, node.output[0]))
