"""One operator in the float64 evaluator and in ONNX Runtime on the CPU, side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import NodeProto, helper
from onnx.helper import np_dtype_to_tensor_dtype

from runtime.float64.graph import Float64Graph, Unknown

__all__ = ["EPSILON", "assert_as_ort", "both", "model_of"]

EPSILON = float(np.finfo(np.float32).eps)


def model_of(nodes: Sequence[NodeProto], inputs: dict[str, Any], outputs: Sequence[str], opset: int) -> Any:
    """Return a model of some nodes, whose inputs all are given when it runs."""
    values = [
        helper.make_tensor_value_info(name, np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in inputs.items()
    ]
    results = [helper.make_empty_tensor_value_info(name) for name in outputs]
    graph = helper.make_graph(nodes, "one", values, results)
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=7)


def both(model: Any, inputs: dict[str, Any], folder: Path) -> list[tuple[Any, Any, Any]]:
    """Return each output: ONNX Runtime's, in float64, and its scale."""
    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    settings.intra_op_num_threads, settings.log_severity_level = 1, 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    given = session.run(None, inputs)
    onnx.save(model, folder / "one.onnx")
    names = [each.name for each in model.graph.output]
    walked = {name: rest for name, *rest in Float64Graph(folder / "one.onnx", names).walk_with_scales(inputs)}
    return [(result, *walked[name]) for name, result in zip(names, given, strict=True)]


def assert_as_ort(
    folder: Path,
    operator: str,
    arrays: Sequence[Any],
    attributes: dict[str, Any],
    *,
    opset: int,
    outputs: int = 1,
    domain: str = "",
) -> None:
    """Assert that both compute the same, up to a small multiple of the natural scale."""
    names = [f"x{place}" if array is not None else "" for place, array in enumerate(arrays)]
    inputs = {name: np.asarray(array) for name, array in zip(names, arrays, strict=True) if name}
    results = [f"y{place}" for place in range(outputs)]
    node = helper.make_node(operator, names, results, domain=domain, **attributes)
    for given, value, scale in both(model_of([node], inputs, results, opset), inputs, folder):
        assert not isinstance(value, Unknown), value.reason
        assert (value.shape, value.dtype) == (given.shape, np.float64 if given.dtype.kind == "f" else given.dtype)
        known = np.isfinite(value)
        np.testing.assert_array_equal(given[~known], value[~known])
        lost = np.abs(given.astype(np.float64) - value.astype(np.float64))
        allowed = 12 * EPSILON * np.broadcast_to(scale.own, value.shape) + np.finfo(np.float32).tiny
        assert np.all(lost[known] <= allowed[known]), (operator, float(np.max((lost / allowed)[known])))
