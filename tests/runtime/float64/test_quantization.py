"""Quantizing operators in float64: as ONNX Runtime computes them, and off by a step only where float32 can't tell."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from against_ort import EPSILON, assert_as_ort, model_of
from runtime.float64.graph import Float64Graph
from runtime.float64.nodes import NodeEvaluator

RANDOM = np.random.default_rng(5)
U8, I8, I32 = np.uint8, np.int8, np.int32
IMAGE = RANDOM.uniform(-3, 3, (2, 4, 6, 5)).astype(np.float32)
BY_CHANNEL = np.array([0.01, 0.02, 0.05, 0.1], np.float32)


def whole(type_: Any, *shape: int) -> Any:
    limits = np.iinfo(type_)
    return RANDOM.integers(limits.min, limits.max + 1, shape).astype(type_)


def weights(*shape: int) -> Any:
    """Of 7 bits: of 8, ONNX Runtime adds up two products in 16 bits on processors without VNNI, which overflow."""
    return RANDOM.integers(-64, 64, shape).astype(I8)


def step(size: float) -> Any:
    return np.float32(size)


CASES: list[tuple[str, tuple[int, ...], list[Any], dict[str, Any]]] = [
    ("QuantizeLinear", (10, 13, 19, 21, 23), [IMAGE, step(0.02), U8(128)], {}),
    ("QuantizeLinear", (10, 13, 19, 21), [IMAGE, step(0.02), I8(-3)], {}),
    ("QuantizeLinear", (10, 13, 21), [IMAGE, step(0.02)], {}),
    ("QuantizeLinear", (13, 19, 21), [IMAGE, BY_CHANNEL, np.array([1, 2, 3, 4], U8)], {}),
    ("QuantizeLinear", (13, 21), [IMAGE, BY_CHANNEL, np.array([1, 2, 3, 4], U8)], {"axis": -3}),
    ("QuantizeLinear", (21,), [IMAGE, np.full((2, 2, 6, 5), 0.03, np.float32)], {"block_size": 2}),
    ("QuantizeLinear", (21,), [IMAGE, step(0.001)], {"output_dtype": TensorProto.INT16}),
    ("DequantizeLinear", (10, 13, 19, 21, 23), [whole(U8, 2, 4, 3), step(0.02), U8(128)], {}),
    ("DequantizeLinear", (10, 13, 21), [whole(I32, 4), step(0.02)], {}),
    ("DequantizeLinear", (13, 19, 21), [whole(I8, 2, 4, 3), BY_CHANNEL, np.array([1, 2, 3, 4], I8)], {}),
    ("DequantizeLinear", (21,), [whole(I8, 2, 4, 3), np.full((2, 2, 3), 0.03, np.float32)], {"block_size": 2}),
    ("DynamicQuantizeLinear", (11,), [IMAGE], {}),
    ("DynamicQuantizeLinear", (11,), [np.zeros((2, 3), np.float32)], {}),
    ("DynamicQuantizeLinear", (11,), [np.abs(IMAGE)], {}),
    ("MatMulInteger", (10,), [whole(U8, 2, 3, 6), whole(U8, 6, 5), U8(120), U8(7)], {}),
    ("MatMulInteger", (10,), [whole(U8, 3, 6), weights(6, 5), U8(120), weights(5)], {}),
    ("QLinearMatMul", (10, 21),
     [whole(U8, 3, 6), step(0.02), U8(120), whole(U8, 6, 5), step(0.01), U8(100), step(0.05), U8(90)], {}),
    ("QLinearMatMul", (10, 21),
     [whole(U8, 3, 4), step(0.02), U8(120), weights(4, 4), BY_CHANNEL, np.zeros(4, I8), step(0.05), U8(90)], {}),
    ("ConvInteger", (10,), [whole(U8, 1, 2, 6, 5), whole(U8, 3, 2, 3, 3), U8(120), U8(100)], {"pads": [1] * 4}),
    ("ConvInteger", (10,), [whole(U8, 1, 2, 9), whole(U8, 3, 2, 3), U8(120)], {"strides": [2]}),
    ("QLinearConv", (10,),
     [whole(U8, 1, 4, 6, 5), step(0.02), U8(120), weights(4, 2, 3, 3), BY_CHANNEL, np.zeros(4, I8), step(0.1), U8(90),
      whole(np.int16, 4).astype(I32)], {"group": 2, "pads": [1, 0, 1, 1]}),
    ("QLinearConv", (10,),
     [whole(U8, 1, 2, 9), step(0.02), U8(120), whole(U8, 3, 2, 3), step(0.01), U8(100), step(0.1), U8(90)], {}),
    # Twice as large, the weights are quarters: all that is between two integers goes to the one nearer to 0.
    *[("Resize", (13, 19), [x, None, np.array([1, 1, 2, 2], np.float32)], {"mode": "linear"})
      for x in (whole(I8, 1, 2, 4, 5), whole(U8, 1, 2, 4, 5), whole(np.int16, 1, 2, 4, 5).astype(I32))],
]  # fmt: skip


@pytest.mark.parametrize(("operator", "opsets", "arrays", "attributes"), CASES)
def test_they_compute_what_onnx_runtime_does(
    operator: str, opsets: tuple[int, ...], arrays: list[Any], attributes: dict[str, Any], tmp_path: Path
) -> None:
    outputs = 3 if operator == "DynamicQuantizeLinear" else 1
    for opset in opsets:
        assert_as_ort(tmp_path, operator, arrays, attributes, opset=opset, outputs=outputs)


def _scales(folder: Path, operator: str, arrays: list[Any], **given: Any) -> tuple[Any, Any]:
    names = [f"x{place}" for place in range(len(arrays))]
    inputs = dict(zip(names, arrays, strict=True))
    onnx.save(model_of([helper.make_node(operator, names, ["y"])], inputs, ["y"], 19), folder / "one.onnx")
    ((_, value, scale),) = Float64Graph(folder / "one.onnx", ["y"]).walk_with_scales(inputs, **given)
    return value, np.broadcast_to(scale.own, value.shape) * EPSILON


def test_a_step_may_be_lost_at_a_tie_and_nowhere_else(tmp_path: Path) -> None:
    # Of steps of 0.1: middles between two, just beside one (by 1 and by 100 roundings), and far from any.
    middle = np.float32(0.1) * np.float32(2.5)
    x = np.array([middle, middle * (1 + EPSILON), middle * (1 + 100 * EPSILON), 0.2, 0.0, 900.05], np.float32)
    value, lost = _scales(tmp_path, "QuantizeLinear", [x, step(0.1), U8(0)])
    assert value.tolist() == [2, 3, 3, 2, 0, 255]
    # A verdict allows 16 times what is lost: one step, but not two.
    assert (lost * 16 >= 1).tolist() == [True, True, False, False, False, False]
    assert np.all(lost * 16 < 2)
    # In a file that is judged by itself, 4 times.
    _, lost = _scales(tmp_path, "QuantizeLinear", [x, step(0.1), U8(0)], folded={})
    assert (lost * 4 >= 1).tolist() == [True, True, False, False, False, False]
    assert np.all(lost * 4 < 2)


def test_a_step_may_be_lost_nearer_to_a_tie_in_16_bits(tmp_path: Path) -> None:
    # In float16 neighbours are 0.0625 apart there; the middle is at 100.5.
    x = np.array([100.4375, 100.5625, 100.25], np.float16)
    _, lost = _scales(tmp_path, "QuantizeLinear", [x, np.float16(1), U8(0)])
    assert (lost > 0).tolist() == [True, True, False]
    _, lost = _scales(tmp_path, "QuantizeLinear", [x.astype(np.float32), step(1), U8(0)])
    assert (lost > 0).tolist() == [False, False, False]


def test_a_product_of_integers_may_lose_a_step_at_a_tie(tmp_path: Path) -> None:
    a, b = np.array([[1], [2], [3], [4]], U8), np.array([[5]], U8)
    arrays = [a, step(0.5), U8(0), b, step(0.5), U8(0), step(2.5), U8(0)]
    value, lost = _scales(tmp_path, "QLinearMatMul", arrays)
    assert value.tolist() == [[0], [1], [2], [2]]  # of 0.5, 1, 1.5 and 2
    assert (lost > 0).tolist() == [[True], [False], [True], [False]]


def test_what_a_step_moved_is_lost_by_what_comes_after_it(tmp_path: Path) -> None:
    x = np.array([0.25, 0.2, -0.25], np.float32)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("Transpose", ["q"], ["t"]),
        helper.make_node("DequantizeLinear", ["t", "scale", "zero"], ["y"]),
    ]
    inputs = {"x": x, "scale": step(0.1), "zero": I8(0)}
    onnx.save(model_of(nodes, inputs, ["y"], 13), tmp_path / "chain.onnx")
    ((_, value, scale),) = Float64Graph(tmp_path / "chain.onnx", ["y"]).walk_with_scales(inputs)
    np.testing.assert_allclose(value, [0.2, 0.2, -0.2], rtol=1e-6)
    assert (scale.own * EPSILON * 16 > 0.1).tolist() == [True, False, True]


def test_a_dynamic_scale_may_turn_a_step_at_a_tie(tmp_path: Path) -> None:
    x = np.array([0, 2, -3, -2.5, 1.34, 0.5], np.float32)  # -2.5 is 127.5 steps of 5 / 255
    value, lost = _scales(tmp_path, "DynamicQuantizeLinear", [x])
    assert value.tolist() == [153, 255, 0, 25, 221, 179]
    assert (lost > 0).tolist() == [False, False, False, True, False, True]


def _ours(operator: str, *arrays: Any, opset: int = 21, **attributes: Any) -> Any:
    names = [f"x{place}" for place in range(len(arrays))]
    node = helper.make_node(operator, names, ["y"], **attributes)
    return NodeEvaluator(node, {"": opset}).run(list(arrays))[0]


def test_values_beyond_the_range_saturate_however_large_they_are() -> None:
    x = np.array([1e30, -1e30, 3e9, -3e9, np.inf])
    assert _ours("QuantizeLinear", x, np.array(1.0), np.array(0, I8)).tolist() == [127, -128, 127, -128, 127]


def test_a_zero_point_of_the_left_matrix_is_one_for_each_row() -> None:
    a, b = np.array([[1, 2], [3, 4]], U8), np.eye(2, dtype=U8)
    assert _ours("MatMulInteger", a, b, np.array([1, 3], U8)).tolist() == [[0, 1], [0, 1]]


def test_large_integers_are_dequantized_exactly() -> None:
    x = np.array([2**31 - 1, 16777217], I32)
    assert _ours("DequantizeLinear", x, np.array(1.0)).tolist() == [2**31 - 1, 16777217]


def test_weights_of_four_bits_are_unpacked_the_lowest_bits_first() -> None:
    packed, scales = np.array([[[0x21, 0x43]], [[0xF0, 0x88]]], U8), np.array([1.0, 0.5])
    found = _ours("DequantizeNBits", packed, scales, K=3, N=2, bits=4, block_size=4)
    assert found.T.tolist() == [[-7, -6, -5], [-4, 3.5, 0]]


@pytest.mark.parametrize("name", ["INT4", "UINT4", "INT2", "UINT2"])
def test_types_of_few_bits_go_through_and_come_back(name: str) -> None:
    type_ = helper.tensor_dtype_to_np_dtype(getattr(TensorProto, name))
    found = _ours("QuantizeLinear", np.array([-100.0, -1.0, 0.0, 1.0, 100.0]), np.array(1.0), np.zeros((), type_))
    low, high = {"INT4": (-8, 7), "UINT4": (0, 15), "INT2": (-2, 1), "UINT2": (0, 3)}[name]
    assert found.dtype == type_
    expected = [float(low), float(max(-1, low)), 0.0, 1.0, float(high)]
    assert _ours("DequantizeLinear", found, np.array(1.0), np.zeros((), type_)).tolist() == expected


def test_types_of_eight_bits_with_a_point_are_no_numbers_to_be_widened() -> None:
    for name in ("FLOAT8E4M3FN", "FLOAT8E5M2"):
        type_ = helper.tensor_dtype_to_np_dtype(getattr(TensorProto, name))
        found = _ours("QuantizeLinear", np.array([0.0, 1.0, 1e6]), np.array(1.0), np.zeros((), type_))
        assert found.dtype == type_
        highest = {"FLOAT8E4M3FN": 448.0, "FLOAT8E5M2": 57344.0}[name]
        assert _ours("DequantizeLinear", found, np.array(2.0)).tolist() == [0.0, 2.0, 2 * highest]
