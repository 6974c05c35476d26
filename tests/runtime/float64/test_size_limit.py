"""What a file asks for in a few bytes, and no memory holds, is refused before it is computed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from onnx import GraphProto, NodeProto, TensorProto, helper
from onnx_making import constant, node, save, value, weight

from runtime.float64.graph import Float64Graph, Unknown

FAR, HUGE = 100_000, [1, 1, 100_000, 100_000]
Case = tuple[Sequence[NodeProto], Sequence[TensorProto]]
CASES: dict[str, Case] = {
    "a pool's pads": ([node("MaxPool", ["x"], ["y"], kernel_shape=[3, 3], pads=[FAR] * 4, strides=[FAR] * 2)], []),
    "a mean's pads": ([node("AveragePool", ["x"], ["y"], kernel_shape=[3, 3], pads=[FAR] * 4, strides=[FAR] * 2)], []),
    "a convolution's pads": (
        [node("Conv", ["x", "w"], ["y"], pads=[FAR] * 4, strides=[FAR] * 2)],
        [weight("w", 4, 3, 3, 3)],
    ),
    "a convolution's strides": (
        [node("ConvTranspose", ["x", "w"], ["y"], strides=[FAR] * 2)],
        [weight("w", 3, 4, 3, 3)],
    ),
    "a padding": ([node("Pad", ["x", "n"], ["y"])], [constant("n", [0, 0, FAR, FAR, 0, 0, 0, 0])]),
    "an expansion": ([node("Expand", ["x", "n"], ["y"])], [constant("n", [10**9, 3, 8, 8])]),
    "repeats": ([node("Tile", ["x", "n"], ["y"])], [constant("n", HUGE)]),
    "scales": ([node("Resize", ["x", "", "n"], ["y"])], [constant("n", HUGE, "float32")]),
    "a size": ([node("ConstantOfShape", ["n"], ["r"]), node("Add", ["x", "r"], ["y"])], [constant("n", HUGE)]),
    "a range": (
        [node("Range", ["a", "b", "c"], ["r"]), node("Add", ["x", "r"], ["y"])],
        [constant("a", 0), constant("b", 10**12), constant("c", 1)],
    ),
    "a depth": (
        [node("Cast", ["x"], ["i"], to=TensorProto.INT64), node("OneHot", ["i", "d", "v"], ["y"])],
        [constant("d", 10**10), constant("v", [0.0, 1.0], "float32")],
    ),
    "a product": (
        [node("Expand", ["v", "n"], ["c"]), node("Transpose", ["c"], ["t"]), node("MatMul", ["c", "t"], ["y"])],
        [constant("v", [[1.0]], "float32"), constant("n", [10**6, 1])],
    ),
}


@pytest.mark.parametrize(("nodes", "weights"), CASES.values(), ids=CASES.keys())
def test_a_result_that_fits_no_memory_is_not_computed(
    tmp_path: Path, nodes: Sequence[NodeProto], weights: Sequence[TensorProto], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.float64.size_limit.free_bytes", lambda: 2 * 10**9)
    file = save(tmp_path / "model.onnx", nodes, [value("x", 1, 3, 8, 8)], ["y"], weights)
    ((_, found),) = Float64Graph(file, ["y"]).walk({"x": np.ones((1, 3, 8, 8), np.float32)})
    assert isinstance(found, Unknown)
    assert "2,000 MB are free" in found.reason or "not smaller than the kernel" in found.reason


def test_what_fits_is_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.float64.size_limit.free_bytes", lambda: 2 * 10**9)
    nodes = [node("Pad", ["x", "n"], ["p"]), node("MaxPool", ["p"], ["y"], kernel_shape=[3, 3], pads=[2, 2, 2, 2])]
    file = save(
        tmp_path / "model.onnx", nodes, [value("x", 1, 3, 8, 8)], ["y"], [constant("n", [0, 0, 9, 9, 0, 0, 0, 0])]
    )
    ((_, found),) = Float64Graph(file, ["y"]).walk({"x": np.ones((1, 3, 8, 8), np.float32)})
    assert not isinstance(found, Unknown)
    assert found.shape == (1, 3, 19, 19)


def _graph(nodes: Sequence[NodeProto], inputs: Sequence[str], outputs: Sequence[str]) -> GraphProto:
    infos = [[helper.make_empty_tensor_value_info(name) for name in names] for names in (inputs, outputs)]
    return helper.make_graph(nodes, "inside", *infos)


@pytest.mark.parametrize("operator", ["If", "Loop", "If in Loop"])
def test_what_is_inside_of_branches_and_loops_has_the_same_limit(
    operator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.float64.size_limit.free_bytes", lambda: 2 * 10**9)
    grown = node("Expand", ["x", "n"], ["grown"])
    branch = _graph([grown, node("ReduceSum", ["grown"], ["sum"], keepdims=0)], [], ["sum"])
    choice = node("If", ["yes"], ["y"], then_branch=branch, else_branch=branch)
    body = [choice] if operator == "If in Loop" else [grown, node("ReduceSum", ["grown"], ["y"], keepdims=0)]
    rounds = _graph([*body, node("Identity", ["c"], ["goes on"])], ["i", "c"], ["goes on", "y"])
    nodes = [choice] if operator == "If" else [node("Loop", ["two", ""], ["y"], body=rounds)]
    weights = [constant("n", [10**9, 3, 8, 8]), constant("yes", True, "bool"), constant("two", 2)]
    file = save(tmp_path / "model.onnx", nodes, [value("x", 1, 3, 8, 8)], ["y"], weights)
    ((_, found),) = Float64Graph(file, ["y"]).walk({"x": np.ones((1, 3, 8, 8), np.float32)})
    assert isinstance(found, Unknown)
    assert "that would take 3,072,000 MB; 2,000 MB are free" in found.reason
