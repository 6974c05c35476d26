"""Small ONNX files made by hand, for the tests of what is done with files that somebody else made."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import FunctionProto, GraphProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

__all__ = ["constant", "node", "save", "value", "weight"]

node = helper.make_node


def value(name: str, *shape: int | str | None, dtype: str = "float32") -> ValueInfoProto:
    """Return an input or a result; without a shape, a scalar."""
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)


def constant(name: str, values: Any, dtype: str | None = None) -> TensorProto:
    """Return a weight with these values: integers as int64 unless a dtype is given."""
    return numpy_helper.from_array(np.array(values, dtype), name)


def weight(name: str, *shape: int, seed: int = 0, dtype: str = "float32") -> TensorProto:
    """Return a weight of noise."""
    noise: NDArray[Any] = np.random.default_rng(seed).standard_normal(shape) / 4
    return numpy_helper.from_array(noise.astype(dtype), name)


def save(
    file: Path,
    nodes: Sequence[NodeProto],
    inputs: Sequence[ValueInfoProto],
    results: Sequence[str | ValueInfoProto],
    weights: Sequence[TensorProto] = (),
    *,
    opset: int = 17,
    domains: Mapping[str, int] = {},
    functions: Sequence[FunctionProto] = (),
    ir_version: int = 8,
) -> Path:
    """Write a file, which nothing checks; a result that is given by its name has no type."""
    returned = [helper.make_empty_tensor_value_info(each) if isinstance(each, str) else each for each in results]
    graph: GraphProto = helper.make_graph(nodes, "made", inputs, returned, weights)
    opsets = [helper.make_opsetid(domain, version) for domain, version in {"": opset, **domains}.items()]
    model = helper.make_model(graph, opset_imports=opsets, functions=functions, ir_version=ir_version)
    onnx.save(model, file)
    return file
