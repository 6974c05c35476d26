"""ONNX nodes that are linear in one input, and how the weights of a sum of their results become those of their input.

To add an operator, write its function, and its row in `LINEAR`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import NodeProto

__all__ = ["LINEAR", "Back", "Constants", "attributes_of", "listed_axes", "same"]

Row = NDArray[np.float64]
Constants = Callable[[str], Row | None]
"""From a value's name to what it holds, if it is constant."""
Back = Callable[[Row], Row]
"""From what a sum weighs each of a node's results with to what it weighs the node's input with."""


def attributes_of(node: "NodeProto") -> dict[str, Any]:
    """Return the attributes that a node has."""
    from onnx.helper import get_attribute_value

    return {each.name: get_attribute_value(each) for each in node.attribute}


def listed_axes(node: "NodeProto", constant: Constants) -> list[int] | None:
    """Return the axes that a ReduceMean lists, as an attribute or, from opset 18 on, an input; None for all axes."""
    listed = attributes_of(node).get("axes") if len(node.input) < 2 else constant(node.input[1])
    return None if listed is None else [int(axis) for axis in listed]


def same(node: "NodeProto", constant: Constants) -> Back | None:  # noqa: ARG001
    """Of a node that leaves numbers and their order as they are."""
    return lambda row: row


def _gemm(node: "NodeProto", constant: Constants) -> Back | None:
    weights, given = constant(node.input[1]), attributes_of(node)
    if weights is None or given.get("transA", 0):
        return None
    return _product(given.get("alpha", 1.0) * (weights.T if given.get("transB", 0) else weights))


def _matmul(node: "NodeProto", constant: Constants) -> Back | None:
    weights = constant(node.input[1])
    return _product(weights) if weights is not None and weights.ndim == 2 else None


def _conv(node: "NodeProto", constant: Constants) -> Back | None:
    weights = constant(node.input[1])
    if weights is None or attributes_of(node).get("group", 1) != 1 or set(weights.shape[2:]) - {1}:
        return None
    return _product(weights.reshape(weights.shape[:2]).T)


def _product(into: Row) -> Back:
    return lambda row: into @ row


def _batch_norm(node: "NodeProto", constant: Constants) -> Back | None:
    scale, variance = constant(node.input[1]), constant(node.input[4])
    if scale is None or variance is None:
        return None
    factor = scale / np.sqrt(variance + attributes_of(node).get("epsilon", 1e-5))
    return lambda row: row * factor


def _shifted(node: "NodeProto", constant: Constants) -> Back | None:
    return None if _one_a_channel(node, constant) is None else same(node, constant)


def _multiplied(node: "NodeProto", constant: Constants) -> Back | None:
    factor = _one_a_channel(node, constant)
    return None if factor is None else lambda row: row * factor


def _divided(node: "NodeProto", constant: Constants) -> Back | None:
    divisor = _one_a_channel(node, constant)
    return None if divisor is None else lambda row: row / divisor


def _one_a_channel(node: "NodeProto", constant: Constants) -> Row | None:
    """Return the constant of a node's two inputs: one number, or one a channel."""
    # A constant from which something is subtracted, or that is divided by it, is another matter: it comes first.
    either = node.input if node.op_type in ("Add", "Mul") else node.input[1:]
    found = next((each for each in map(constant, either) if each is not None), None)
    return found.reshape(-1) if found is not None and found.size == max(found.shape, default=1) else None


LINEAR: dict[str, Callable[["NodeProto", Constants], Back | None]] = {
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Conv": _conv,
    "BatchNormalization": _batch_norm,
    "Add": _shifted,
    "Sub": _shifted,
    "Mul": _multiplied,
    "Div": _divided,
    **dict.fromkeys(("Cast", "Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"), same),
}
"""By operator, for what stands behind the average of an image: None from where a node isn't linear in one input."""
