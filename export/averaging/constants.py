"""Reads the constant weights of a model, and adds new ones."""

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

__all__ = ["add_weight", "constant", "is_constant"]


def is_constant(value: ir.Value | None) -> bool:
    """Return whether the value is a weight in the file rather than computed."""
    return value is not None and value.is_initializer() and value.const_value is not None


def constant(value: ir.Value | None) -> NDArray[np.float64]:
    """Return a weight in float64."""
    assert value is not None
    assert value.const_value is not None
    return value.const_value.numpy().astype(np.float64)


def add_weight(graph: ir.Graph, name: str, array: NDArray[np.generic]) -> ir.Value:
    """Add a weight to the graph and return it."""
    tensor = ir.tensor(array, name=name)
    value = ir.Value(name=name, const_value=tensor, type=ir.TensorType(tensor.dtype), shape=ir.Shape(array.shape))
    graph.register_initializer(value)
    return value
