"""ONNX Runtime's own operators, which its optimizer and its quantizer write, against ONNX Runtime."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from against_ort import assert_as_ort, model_of
from runtime.float64.contrib import PARTS
from runtime.float64.graph import Float64Graph, Unknown

RANDOM = np.random.default_rng(4)


def noise(*shape: int) -> Any:
    return RANDOM.standard_normal(shape).astype(np.float32)


def whole(type_: Any, *shape: int) -> Any:
    limits = np.iinfo(type_)
    return RANDOM.integers(limits.min, limits.max + 1, shape).astype(type_)


def weights(*shape: int) -> Any:
    """Of 7 bits: of 8, ONNX Runtime adds up two products in 16 bits on processors without VNNI, which overflow."""
    return RANDOM.integers(-64, 64, shape).astype(np.int8)


def step(size: float) -> Any:
    return np.float32(size)


U8, I8 = np.uint8, np.int8
X = noise(2, 5, 8)
ACTS: list[dict[str, Any]] = [
    {"activation": "Relu"},
    {"activation": "Sigmoid"},
    {"activation": "Tanh"},
    {"activation": "LeakyRelu", "activation_params": [0.2]},
    {"activation": "Clip", "activation_params": [-0.5, 0.5]},
    {"activation": "HardSigmoid", "activation_params": [0.3, 0.4]},
]
A_Q = [whole(U8, 2, 3, 4, 5), step(0.02), U8(120)]
B_Q = [whole(U8, 2, 3, 4, 5), step(0.03), U8(100)]
LAST_Q = [whole(U8, 2, 6, 7, 3), step(0.02), U8(120)]

CASES: list[tuple[str, list[Any], dict[str, Any]]] = [
    *(("FusedConv", [noise(1, 4, 6, 5), noise(6, 2, 3, 3), noise(6)], {"group": 2, **act}) for act in ACTS),
    ("FusedConv", [noise(1, 4, 6, 5), noise(6, 4, 3, 3), noise(6), noise(1, 6, 4, 3)], {"activation": "Relu"}),
    ("FusedConv", [noise(1, 4, 6, 5), noise(6, 4, 3, 3), None, noise(1, 6, 4, 3)], {}),
    ("FusedGemm", [noise(3, 5), noise(4, 5), noise(4)],
     {"transB": 1, "alpha": 0.5, "activation": "LeakyRelu", "activation_alpha": 0.1}),
    ("FusedGemm", [noise(3, 5), noise(5, 4), noise(4)], {"activation": "Relu"}),
    ("FusedMatMul", [noise(2, 5, 3), noise(2, 5, 4)], {"transA": 1, "alpha": 0.125}),
    ("FusedMatMul", [noise(2, 3, 5), noise(2, 4, 5)], {"transB": 1}),
    ("FusedMatMul", [noise(3, 2, 5), noise(2, 5, 4)], {"transBatchA": 1}),
    ("FusedMatMul", [noise(2, 3, 5), noise(5, 4)], {}),
    ("Gelu", [X], {}),
    ("BiasGelu", [X, noise(8)], {}),
    ("FastGelu", [X], {}),
    ("FastGelu", [X, noise(8)], {}),
    ("QuickGelu", [X], {}),
    ("QuickGelu", [X], {"alpha": 1.0}),
    ("GridSample", [noise(1, 2, 5, 6), noise(1, 3, 4, 2)], {"mode": "bilinear", "align_corners": 1}),
    ("SkipLayerNormalization", [X, noise(2, 5, 8), noise(8), noise(8), noise(8)], {"epsilon": 1e-5}),
    ("SkipLayerNormalization", [X, noise(2, 5, 8), noise(8)], {"epsilon": 1e-5}),
    ("SkipSimplifiedLayerNormalization", [X, noise(2, 5, 8), noise(8)], {"epsilon": 1e-5}),
    ("QLinearAdd", [*A_Q, *B_Q, step(0.05), U8(110)], {}),
    ("QLinearMul", [*A_Q, *B_Q, step(0.05), U8(110)], {}),
    ("QLinearAdd", [whole(I8, 3, 4), step(0.02), I8(-3), whole(I8, 4), step(0.1), I8(5), step(0.1), I8(0)], {}),
    ("QLinearSigmoid", [*A_Q, step(1 / 256), U8(0)], {}),
    ("QLinearLeakyRelu", [*A_Q, step(0.02), U8(30)], {"alpha": 0.3}),
    ("QLinearAveragePool", [*A_Q, step(0.015), U8(110)],
     {"kernel_shape": [2, 3], "strides": [1, 2], "pads": [1, 1, 0, 1], "ceil_mode": 1}),
    ("QLinearAveragePool", [*A_Q, step(0.015), U8(110)],
     {"kernel_shape": [2, 2], "pads": [1] * 4, "count_include_pad": 1}),
    ("QLinearAveragePool", [*LAST_Q, step(0.015), U8(110)], {"kernel_shape": [2, 3], "channels_last": 1}),
    ("QLinearGlobalAveragePool", [*A_Q, step(0.01), U8(120)], {}),
    ("QLinearGlobalAveragePool", [*LAST_Q, step(0.01), U8(120)], {"channels_last": 1}),
    ("QLinearConcat", [step(0.03), U8(110), *A_Q, *B_Q, *A_Q], {"axis": 1}),
    ("QLinearSoftmax", [*A_Q, step(1 / 256), U8(0)], {"axis": -1, "opset": 17}),
    ("QLinearWhere", [A_Q[0] > 100, *A_Q, *B_Q, step(0.03), U8(110)], {}),
    ("QLinearConv",
     [*LAST_Q, weights(4, 3, 3, 3), step(0.01), I8(0), step(0.1), U8(120), whole(np.int16, 4).astype(np.int32)],
     {"channels_last": 1, "kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
    ("QGemm", [whole(U8, 4, 6), step(0.02), U8(120), weights(5, 6), np.full(5, 0.01, np.float32), np.zeros(5, I8),
               whole(np.int16, 5).astype(np.int32), step(0.05), U8(128)], {"transB": 1}),
    ("QGemm", [whole(U8, 4, 6), step(0.02), U8(120), weights(6, 5), step(0.01), I8(0)], {"alpha": 0.5}),
    ("QuantizeLinear", [X, step(0.02), U8(128)], {}),
    ("DequantizeLinear", A_Q, {}),
    ("DequantizeLinear", [whole(np.int16, 3, 4), step(0.02), np.int16(5)], {}),
    ("DynamicQuantizeMatMul", [noise(3, 6), weights(6, 5), step(0.02), I8(0), noise(5)], {}),
    ("MatMulIntegerToFloat",
     [whole(U8, 3, 6), weights(6, 5), step(0.02), np.abs(noise(5)), U8(120), np.zeros(5, I8), noise(5)], {}),
    ("MatMulIntegerToFloat", [whole(U8, 3, 6), whole(U8, 6, 5), step(0.02), step(0.1)], {}),
    ("NhwcMaxPool", [whole(U8, 2, 6, 7, 3)], {"kernel_shape": [2, 3], "strides": [2, 1], "pads": [1, 1, 0, 0]}),
    ("MatMulNBits", [noise(3, 40), whole(U8, 8, 3, 8), np.abs(noise(8, 3)).reshape(-1)],
     {"K": 40, "N": 8, "bits": 4, "block_size": 16}),
    ("MatMulNBits", [noise(3, 40), whole(U8, 8, 3, 8), np.abs(noise(8, 3)).reshape(-1), whole(U8, 8, 2).reshape(-1)],
     {"K": 40, "N": 8, "bits": 4, "block_size": 16}),
    ("MatMulNBits", [noise(3, 64), whole(U8, 8, 2, 32), np.abs(noise(8, 2)).reshape(-1), whole(U8, 8, 2).reshape(-1)],
     {"K": 64, "N": 8, "bits": 8, "block_size": 32}),
]  # fmt: skip


@pytest.mark.parametrize(("operator", "arrays", "attributes"), CASES)
def test_they_compute_what_onnx_runtime_does(
    operator: str, arrays: list[Any], attributes: dict[str, Any], tmp_path: Path
) -> None:
    assert_as_ort(tmp_path, operator, arrays, attributes, opset=17, domain="com.microsoft")


@pytest.mark.parametrize(("operator", "opset"), [("SimplifiedLayerNormalization", 17), ("LayerNormalization", 13)])
def test_its_optimizer_writes_some_as_if_they_were_onnxs(operator: str, opset: int, tmp_path: Path) -> None:
    assert_as_ort(tmp_path, operator, [X, noise(8)], {"axis": -1, "epsilon": 1e-5}, opset=opset)


def _value(folder: Path, node: Any, inputs: dict[str, Any]) -> Any:
    model = model_of([node], inputs, list(node.output), 17)
    onnx.save(model, folder / "one.onnx")
    return next(Float64Graph(folder / "one.onnx", [node.output[0]]).walk(inputs))[1]


@pytest.mark.parametrize(
    ("operator", "arrays", "attributes", "reason"),
    [
        ("FusedConv", [noise(1, 1, 3, 3), noise(1, 1, 2, 2)], {"activation": "Snake"},
         "activation=Snake with 0 numbers"),
        ("QLinearConv", [*LAST_Q, weights(4, 3, 1, 1), step(0.01), I8(0), step(0.1), U8(120)], {"channels_last": 1},
         "without kernel_shape, the spatial axes of channels_last=1 aren't known"),
        ("QLinearSoftmax", [*A_Q, step(1 / 256), U8(0)], {"opset": 12}, "QLinearSoftmax of opset 12 in a file of 17"),
        ("MatMulNBits", [noise(3, 40), whole(U8, 8, 3, 8), noise(24)],
         {"K": 40, "N": 8, "bits": 4, "block_size": 16, "accuracy_level": 4},
         "MatMulNBits with accuracy_level=4, which rounds A to 8 bits as well"),
    ],
)  # fmt: skip
def test_what_the_parts_cannot_state_is_refused_by_name(
    operator: str, arrays: list[Any], attributes: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    inputs = {f"x{place}": np.asarray(array) for place, array in enumerate(arrays)}
    node = helper.make_node(operator, list(inputs), ["y"], domain="com.microsoft", **attributes)
    assert _value(tmp_path, node, inputs) == Unknown(f"{operator} can't be recomputed: {reason}")


def test_a_fused_operator_keeps_its_name_in_the_graph_of_operations(tmp_path: Path) -> None:
    inputs = {"x": X, "bias": noise(8)}
    nodes = [
        helper.make_node("BiasGelu", ["x", "bias"], ["y"], "block/gelu", domain="com.microsoft"),
        helper.make_node("Relu", ["y"], ["z"], "z"),
    ]
    onnx.save(model_of(nodes, inputs, ["z"], 17), tmp_path / "one.onnx")
    graph = Float64Graph(tmp_path / "one.onnx", ["z"])
    assert graph.unexported_operations == {"z": ("block",)}
    assert graph.inputs_of == {"z": ("x", "bias")}


def test_an_operator_inside_a_branch_is_replaced_as_well(tmp_path: Path) -> None:
    branches = {}
    for name, operator in (("then_branch", "QuickGelu"), ("else_branch", "Gelu")):
        results = [helper.make_tensor_value_info("inner", onnx.TensorProto.FLOAT, None)]
        node = helper.make_node(operator, ["x"], ["inner"], domain="com.microsoft")
        branches[name] = helper.make_graph([node], name, [], results)
    node = helper.make_node("If", ["on"], ["y"], **branches)
    inputs = {"on": np.array(True), "x": X}
    expected = X.astype(np.float64) / (1 + np.exp(-np.float64(np.float32(1.702)) * X))
    np.testing.assert_allclose(_value(tmp_path, node, inputs), expected, rtol=1e-7)


def test_each_operator_has_a_case() -> None:
    assert {name for domain, name in PARTS if domain} - {operator for operator, *_ in CASES} == set()
