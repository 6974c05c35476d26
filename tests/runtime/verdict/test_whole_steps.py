"""Integers in a verdict: exact, but for one step where float32 can't tell on which side of a tie a number lies."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from runtime.artifact.reference import Reference, Truth
from runtime.float64.graph import Float64Graph
from runtime.verdict.error_shares import SplitError, shares_of_error
from runtime.verdict.file_values import evaluate_file

X = np.array([[0.25, 0.2, -0.31, 0.4]], np.float32)  # of steps of 0.1: the first is in the middle between two
STEPS = np.array([[2, 2, -3, 4]], np.int8)
DTYPES = {"steps": "int8", "y": "float32"}


@pytest.fixture
def graph(tmp_path: Path) -> Float64Graph:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["steps"], "steps"),
        helper.make_node("DequantizeLinear", ["steps", "scale", "zero"], ["y"], "y"),
    ]
    values = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, X.shape),
        helper.make_tensor_value_info("steps", TensorProto.INT8, X.shape),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, X.shape),
    ]
    constants = [
        numpy_helper.from_array(np.array(0.1, np.float32), "scale"),
        numpy_helper.from_array(np.array(0, np.int8), "zero"),
    ]
    model = helper.make_model(helper.make_graph(nodes, "steps", values[:1], values[1:], constants))
    onnx.save(model, tmp_path / "model.onnx")
    return Float64Graph(tmp_path / "model.onnx", list(DTYPES))


def judged(graph: Float64Graph, given: Any) -> dict[str, SplitError]:
    step = np.float64(np.float32(0.1))
    reference = Reference({"x": X}, {"steps": Truth.of(STEPS), "y": Truth.of(STEPS * step)})
    arrays = {"steps": given, "y": (given * np.float32(0.1)).astype(np.float32)}
    file = evaluate_file(graph, reference, DTYPES)
    assert not file.unknown
    assert not file.faults
    splits = shares_of_error(graph, reference, file, arrays, DTYPES)
    return dict(zip(DTYPES, splits, strict=True))


def test_the_same_steps_are_right(graph: Float64Graph) -> None:
    assert judged(graph, STEPS)["steps"].share.introduced == 0


def test_the_other_side_of_a_tie_is_no_fault_of_the_operation(graph: Float64Graph) -> None:
    found = judged(graph, STEPS + np.array([[1, 0, 0, 0]], np.int8))
    assert 0 < found["steps"].share.introduced <= 16
    assert not found["steps"].comparison.failed
    assert found["y"].share.introduced <= 16


@pytest.mark.parametrize("change", [[0, 1, 0, 0], [0, 0, -1, 0], [2, 0, 0, 0], [-2, 0, 0, 0]])
def test_any_other_step_is_one(graph: Float64Graph, change: list[int]) -> None:
    found = judged(graph, STEPS + np.array([change], np.int8))
    assert found["steps"].share.introduced > 16
    assert found["steps"].comparison.failed
    assert found["y"].share.introduced <= 16
