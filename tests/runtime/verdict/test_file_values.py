"""What a file is off where its inputs are right only so far, as in networks that amplify every rounding."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from runtime.artifact.reference import Reference, Truth
from runtime.artifact.tensor_summary import sample
from runtime.float64.graph import Float64Graph
from runtime.verdict.file_values import evaluate_file

X = np.random.default_rng(0).uniform(1, 2, (200, 200)).astype(np.float32)
DTYPES = {"a": "float32", "b": "float32"}
_LIMIT = 512
"""Elements of a sample."""


@pytest.fixture
def graph(tmp_path: Path) -> Float64Graph:
    nodes = [helper.make_node("Mul", ["x", "factor"], ["a"], "a"), helper.make_node("Pad", ["a", "by"], ["b"], "b")]
    value = helper.make_tensor_value_info
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "padded",
            [value("x", TensorProto.FLOAT, [200, 200])],
            [value("a", TensorProto.FLOAT, [200, 200]), value("b", TensorProto.FLOAT, [200, 201])],
            [numpy_helper.from_array(np.array([0, 0, 0, 1]), "by"), numpy_helper.from_array(np.float32(3.3), "factor")],
        )
    )
    onnx.save(model, tmp_path / "model.onnx")
    return Float64Graph(tmp_path / "model.onnx", list(DTYPES))


def faults(graph: Float64Graph, off: np.ndarray, noise: float, *, padding: float = 0.0) -> set[str]:
    """Return where a file is at fault whose truth it misses by `off`.

    Args:
        graph: the file.
        off: by how much it misses it, in every element.
        noise: what float32 itself is off behind the padding; ahead of it it is exact.
        padding: what the model pads with.
    """
    exact = float(np.float32(3.3)) * X.astype(np.float64) + off
    padded = np.pad(exact, [(0, 0), (0, 1)], constant_values=padding)
    truths = {
        name: replace(Truth.of(array, noise_floor), sample=sample(array, _LIMIT))
        for name, array, noise_floor in (("a", exact, 0.0), ("b", padded, noise))
    }
    return set(evaluate_file(graph, Reference({"x": X}, truths), DTYPES).faults)


def off_in_one() -> np.ndarray:
    """Return a small error everywhere, and a large one in an element that the first sample misses."""
    index = np.arange(X.size, dtype=np.float64).reshape(X.shape)
    of_first = set(sample(index, _LIMIT))
    # Padding is -1, as the first element is 0.
    of_second = sample(np.pad(index, [(0, 0), (0, 1)], constant_values=-1), _LIMIT)
    off = np.full(X.shape, 1e-7)
    off.flat[next(int(each) for each in of_second if each >= 0 and each not in of_first)] = 1e-3
    return off


def test_what_is_passed_on_is_no_fault_where_float32_is_off_far_more_and_the_file_was_off_before(graph: Float64Graph):
    assert faults(graph, off_in_one(), noise=0.01) == set()
    assert faults(graph, off_in_one(), noise=0.0) == {"b"}


def test_a_wrong_operation_is_a_fault_though_its_inputs_are_off(graph: Float64Graph) -> None:
    assert faults(graph, np.full(X.shape, 1e-7), noise=0.01, padding=0.5) == {"b"}
