"""One node of an ONNX graph in float64: its protobuf with every float widened, and onnx's evaluator to run it.

The order of the nodes, and what each uses, is in `float64/graph.py`.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import AttributeProto, GraphProto, NodeProto, TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator
from threadpoolctl import ThreadpoolController

from .contrib import refusal
from .inner_losses import INNER_DOMAIN, Jolt, jolted, largest_losses
from .operators import OLDEST_OPSET, operators_of
from .size_limit import SizeLimit, limit_inside

__all__ = ["NodeEvaluator", "reads", "subgraphs", "widened"]

_NARROW = frozenset({TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16})
_SIXTEEN_BITS = frozenset({TensorProto.FLOAT16, TensorProto.BFLOAT16})
_TYPE_ATTRIBUTES = frozenset({"to", "dtype", "output_dtype", "output_datatype", "softmax_precision"})
"""Attributes that hold a type."""
_TYPED_WINDOWS = frozenset({"BlackmanWindow", "HammingWindow", "HannWindow", "MelWeightMatrix"})
"""Which return float32 if no attribute says otherwise."""
_NOT_IN_FLOAT64 = {
    "BitCast": "it depends on the bits of its input",
    **dict.fromkeys(
        ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"),
        "it draws new random numbers each time",
    ),
}
_THREADS = cache(ThreadpoolController)
_WIDENED = frozenset({"float16", "float32", "bfloat16"})


def widened(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array of 16-bit or 32-bit floats (bfloat16 too) as float64, and any other unchanged."""
    return array.astype(np.float64, copy=False) if array.dtype.name in _WIDENED else array


def reads(node: NodeProto) -> list[str]:
    """Return the values that a node uses, each once: its inputs, then what its subgraphs use from outside."""
    names = [name for name in node.input if name]
    for graph in subgraphs(node):
        names += _free(graph)
    return list(dict.fromkeys(names))


def subgraphs(node: NodeProto) -> Iterable[GraphProto]:
    """Yield the graphs in a node's attributes: branches, bodies of loops."""
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def _free(graph: GraphProto) -> list[str]:
    own = {value.name for value in (*graph.input, *graph.initializer)}
    free = []
    for node in graph.node:
        free += [name for name in reads(node) if name not in own]
        own.update(node.output)
    return free + [value.name for value in graph.output if value.name not in own]


class NodeEvaluator:
    """Runs one node. Creating it is the costly part, so it is reused from walk to walk.

    Attributes:
        rounded_to: the type of 16 bits that the results are rounded to, though they are float64; None elsewhere.
    """

    def __init__(self, node: NodeProto, opsets: Mapping[str, int], *, rounds: bool = False) -> None:
        """Create it.

        Args:
            node: the node to run.
            opsets: domain to the version of its operators.
            rounds: whether a cast to 16 bits rounds, though its result is float64.
        """
        reason = _refusal(node, opsets.get("", 0))
        if reason is not None:
            raise NotImplementedError(reason)
        self.rounded_to: np.dtype[Any] | None = None
        if rounds and node.op_type == "Cast":
            (to,) = (attribute.i for attribute in node.attribute if attribute.name == "to")
            if to in _SIXTEEN_BITS:
                self.rounded_to = onnx.helper.tensor_dtype_to_np_dtype(to)
        self._limit = SizeLimit(node, opsets)
        wide = NodeProto()
        wide.CopyFrom(node)
        _widen_node(wide)
        # By position, so that a value that is used twice (x * x) can be replaced in one place.
        wide.input[:] = [f"input::{place}" if name else "" for place, name in enumerate(node.input)]
        # A graph of one node: a bare node would be evaluated by onnx's newest opset.
        self._evaluator = _evaluator_of(wide, opsets)
        self._jolted = _evaluator_of(jolted(wide), opsets) if any(subgraphs(wide)) else None

    def run(self, inputs: Sequence[Any], outer: Mapping[str, Any] = MappingProxyType({})) -> list[Any]:
        """Return the node's outputs, without those that have no name.

        Args:
            inputs: in the node's order; None for one that is omitted.
            outer: what its subgraphs use from outside, by name.
        """
        self._limit.check(inputs)
        feeds = _feeds(inputs, outer)
        # BLAS's threads wait for one another 30 times as long as they compute, when other programs keep the cores busy:
        # the products are small.
        with np.errstate(all="ignore"), _THREADS().limit(limits=1, user_api="blas"):
            results: list[Any] = self._evaluator.run(None, feeds)  # type: ignore[assignment]
            if self.rounded_to is not None:
                results = [np.asarray(result).astype(self.rounded_to) for result in results]
        # NumPy returns scalars of what has no axes.
        return [
            widened(np.asarray(result)) if isinstance(result, np.ndarray | np.generic) else result for result in results
        ]

    def inner_losses(self, inputs: Sequence[Any], outer: Mapping[str, Any], results: Sequence[Any]) -> Sequence[float]:
        """Return what each result may lose inside of the node's subgraphs, in multiples of float32's epsilon.

        Args:
            inputs: as of `run`.
            outer: likewise.
            results: what `run` returned for them.
        """
        if self._jolted is None:
            return [0.0] * len(results)
        with np.errstate(all="ignore"), _THREADS().limit(limits=1, user_api="blas"):
            return largest_losses(self._jolted, _feeds(inputs, outer), results)


def _evaluator_of(node: NodeProto, opsets: Mapping[str, int]) -> ReferenceEvaluator:
    outputs = [onnx.helper.make_empty_tensor_value_info(name) for name in node.output if name]
    evaluator = ReferenceEvaluator(
        onnx.helper.make_graph([node], node.name, [], outputs),
        opsets={**opsets, INNER_DOMAIN: 1},
        new_ops=[*(operators_of(opsets.get("", 0)) or ()), Jolt],
    )
    limit_inside(evaluator, opsets)
    return evaluator


def _feeds(inputs: Sequence[Any], outer: Mapping[str, Any]) -> dict[str, Any]:
    return {**outer, **{f"input::{place}": value for place, value in enumerate(inputs) if value is not None}}


def _refusal(node: NodeProto, opset: int) -> str | None:
    """Return why a node can't be evaluated, or a node inside its subgraphs, if that is known beforehand."""
    for graph in subgraphs(node):
        for inner in graph.node:
            reason = _refusal(inner, opset)
            if reason is not None:
                return f"{inner.op_type} inside: {reason}"
    if node.domain:
        return refusal(node, opset)
    newest = onnx.defs.onnx_opset_version()
    if opset > newest:
        return f"opset {opset} is newer than {newest}, the newest that onnx {onnx.__version__} knows"
    if 0 < opset < OLDEST_OPSET and _since(node.op_type, opset) != _since(node.op_type, OLDEST_OPSET):
        return f"opset {opset} defines it otherwise than opset {OLDEST_OPSET}, the oldest that is computed"
    return _NOT_IN_FLOAT64.get(node.op_type) or refusal(node, opset)


def _since(operator: str, opset: int) -> int:
    try:
        return onnx.defs.get_schema(operator, opset).since_version
    except onnx.defs.SchemaError:
        return 0


def _widen_node(node: NodeProto) -> None:
    if node.op_type == "ConstantOfShape" and not node.attribute:
        node.attribute.append(onnx.helper.make_attribute("value", onnx.helper.make_tensor("", 11, [1], [0.0])))
    if node.op_type in _TYPED_WINDOWS and not any(each.name == "output_datatype" for each in node.attribute):
        node.attribute.append(onnx.helper.make_attribute("output_datatype", TensorProto.DOUBLE))
    # In float64, whatever type a normalization is to compute in.
    kept = [each for each in node.attribute if each.name != "stash_type"]
    if len(kept) < len(node.attribute):
        copies = NodeProto(attribute=kept)
        del node.attribute[:]
        node.attribute.extend(copies.attribute)
    for attribute in node.attribute:
        if attribute.type == AttributeProto.TENSOR:
            _widen_tensor(attribute.t)
        elif attribute.type == AttributeProto.INT and attribute.name in _TYPE_ATTRIBUTES and attribute.i in _NARROW:
            attribute.i = TensorProto.DOUBLE
        elif node.op_type == "Constant" and attribute.name in ("value_float", "value_floats"):
            value = np.float64(attribute.f) if attribute.name == "value_float" else np.array(attribute.floats, float)
            attribute.CopyFrom(onnx.helper.make_attribute("value", numpy_helper.from_array(np.asarray(value))))
    for graph in subgraphs(node):
        for tensor in graph.initializer:
            _widen_tensor(tensor)
        for inner in graph.node:
            _widen_node(inner)
        # The evaluator goes by these types where an operator is a function of others.
        del graph.value_info[:]
        for value in (*graph.input, *graph.output):
            if value.type.tensor_type.elem_type in _NARROW:
                value.type.tensor_type.elem_type = TensorProto.DOUBLE


def _widen_tensor(tensor: TensorProto) -> None:
    if tensor.data_type in _NARROW:
        tensor.CopyFrom(numpy_helper.from_array(widened(numpy_helper.to_array(tensor)), tensor.name))
