"""The natural scale of each operator: what a right runtime loses is a small multiple of it, whatever the values."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper
from onnx.helper import np_dtype_to_tensor_dtype

from runtime.float64.calls import Call
from runtime.float64.graph import Float64Graph
from runtime.float64.natural_scale import natural_scale

EPSILON = float(np.finfo(np.float32).eps)
RANDOM = np.random.default_rng(7)


@pytest.fixture(autouse=True)
def _same_noise_in_any_order() -> None:
    RANDOM.bit_generator.state = np.random.default_rng(7).bit_generator.state


def _noise(*shape: int) -> Any:
    return RANDOM.standard_normal(shape).astype(np.float32)


def _ints(*values: int) -> Any:
    return np.array(values, np.int64)


IMAGE = (2, 4, 9, 11)
CASES: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "Conv": ([_noise(6, 4, 3, 3), _noise(6)], {"pads": [1, 1, 1, 1]}),
    "ConvTranspose": ([_noise(4, 3, 3, 3), _noise(3)], {"strides": [2, 2]}),
    "MatMul": ([_noise(11, 300)], {}),
    "Gemm": ([_noise(99, 8), _noise(8)], {}),
    "AveragePool": ([], {"kernel_shape": [3, 3]}),
    "GlobalAveragePool": ([], {}),
    "ReduceMean": ([_ints(2, 3)], {}),
    "ReduceSum": ([_ints(1)], {}),
    "Add": ([_noise(*IMAGE)], {}),
    "Sub": ([_noise(*IMAGE)], {}),
    "Mul": ([_noise(*IMAGE)], {}),
    "Div": ([_noise(*IMAGE)], {}),
    "Max": ([_noise(*IMAGE)], {}),
    "Concat": ([_noise(*IMAGE)], {"axis": 1}),
    "Where": ([_noise(*IMAGE)], {}),
    "MaxPool": ([], {"kernel_shape": [2, 2]}),
    "Transpose": ([], {"perm": [0, 2, 3, 1]}),
    "Resize": ([np.array([], np.float32), np.array([], np.float32), _ints(2, 4, 20, 17)], {"mode": "linear"}),
    "Relu": ([], {}),
    "Clip": ([np.float32(0), np.float32(6)], {}),
    "LeakyRelu": ([], {}),
    "HardSwish": ([], {}),
    "HardSigmoid": ([], {}),
    "Gelu": ([], {}),
    "Sigmoid": ([], {}),
    "Tanh": ([], {}),
    "Erf": ([], {}),
    "Elu": ([], {}),
    "Softplus": ([], {}),
    "Abs": ([], {}),
    "Sqrt": ([], {}),
    "Exp": ([], {}),
    "Log": ([], {}),
    "Sin": ([], {}),
    "Softmax": ([], {"axis": 1}),
    "LogSoftmax": ([], {"axis": 1}),
    "BatchNormalization": ([_noise(4), _noise(4), _noise(4), np.abs(_noise(4))], {}),
    "InstanceNormalization": ([_noise(4), _noise(4)], {}),
    "LayerNormalization": ([_noise(11), _noise(11)], {}),
    "LRN": ([], {"size": 3}),
    "LpPool": ([], {"kernel_shape": [3, 3], "p": 3}),
    "GlobalLpPool": ([], {}),
    "LpNormalization": ([], {"axis": 3}),
    "GroupNormalization": ([_noise(2), _noise(2)], {"num_groups": 2}),
    "Cos": ([], {}),
}
BY_CHANNEL = frozenset(CASES) - {
    "Exp", "Sin", "Cos", "InstanceNormalization", "LayerNormalization", "GroupNormalization",
}  # fmt: skip
"""Whose scale is near the result's size where no numbers cancel, as in the second image: it has no massive channel."""
POSITIVE = frozenset({"Sqrt", "Log"})
SIZES = {"tiny": 1e-4, "usual": 1.0, "large": 50.0}


def _file(folder: Path, operator: str, constants: list[Any], attributes: dict[str, Any], shape: Any) -> Path:
    names = [f"c{place}" for place in range(len(constants))]
    inputs = ["x", *names]
    if operator == "Where":
        inputs = ["mask", "x", *names]
    if operator == "Gemm":
        inputs = ["flat", *names]
    nodes = [
        *([helper.make_node("Greater", ["x", "c0"], ["mask"])] if operator == "Where" else []),
        *([helper.make_node("Flatten", ["x"], ["flat"], axis=2)] if operator == "Gemm" else []),
        helper.make_node(operator, inputs, ["y"], **attributes),
    ]
    graph = helper.make_graph(
        nodes,
        operator,
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [helper.make_empty_tensor_value_info("y")],
        [
            helper.make_tensor(name, np_dtype_to_tensor_dtype(np.asarray(value).dtype), np.shape(value), value)
            for name, value in zip(names, constants, strict=True)
        ],
    )
    graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    file = folder / "one.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), file)
    return file


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("operator", CASES)
def test_onnx_runtime_loses_a_small_multiple_of_it(operator: str, size: str, tmp_path: Path) -> None:
    constants, attributes = CASES[operator]
    x = _noise(*IMAGE) * np.float32(SIZES[size])
    if operator != "LRN":  # whose sliding sum ONNX Runtime computes by subtracting what leaves it
        x[0, 0] *= np.float32(3e4)  # a massive channel
    x[:, 1] = np.float32(3.7)  # a dead one
    if operator == "Exp":
        x = np.clip(x, -80, 80)
    if operator in POSITIVE:
        x = np.abs(x)
    file = _file(tmp_path, operator, constants, attributes, x.shape)
    given = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    ((_, value, scale),) = Float64Graph(file, ["y"]).walk_with_scales({"x": x})
    lost = np.abs(given - value)
    assert np.all(lost <= 12 * EPSILON * scale.own + np.finfo(np.float32).tiny), operator
    # And the massive channel hides nothing in the others.
    if operator in BY_CHANNEL:
        assert np.max(np.broadcast_to(scale.own, value.shape)[1]) < 100 * np.max(np.abs(value[1])) + 10


@pytest.mark.parametrize("weights", [1.0, 8.0])
@pytest.mark.parametrize(("operator", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
def test_a_recurrent_layer_loses_more_where_its_steps_magnify_what_was_lost(
    operator: str, gates: int, weights: float, tmp_path: Path
) -> None:
    size, random = 32, np.random.default_rng(1)
    shapes = ((1, gates * size, 16), (1, gates * size, size), (1, 2 * gates * size))
    constants = [random.standard_normal(shape, np.float32) * np.float32(weights / size**0.5) for shape in shapes]
    file = _file(tmp_path, operator, constants, {"hidden_size": size}, (20, 1, 16))
    x = random.standard_normal((20, 1, 16), np.float32)
    given = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    ((_, value, scale),) = Float64Graph(file, ["y"]).walk_with_scales({"x": x})
    assert np.max(np.abs(given - value)) <= 4 * EPSILON * np.max(scale.own)
    if weights == 1:
        assert np.max(scale.own) < 20
    ((_, _, of_file),) = Float64Graph(file, ["y"]).walk_with_scales({"x": x}, folded={})
    assert np.max(of_file.own) <= 1


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_resizing_by_factors_can_be_judged_as_a_file(mode: str, tmp_path: Path) -> None:
    constants = [np.array([], np.float32), np.array([1, 1, 0.5, 2], np.float32)]
    file = _file(tmp_path, "Resize", constants, {"mode": mode}, (1, 3, 8, 6))
    x = _noise(1, 3, 8, 6)
    ((_, value, scale),) = Float64Graph(file, ["y"]).walk_with_scales({"x": x}, folded={})
    assert np.shape(value) == (1, 3, 4, 12)
    assert np.broadcast_shapes(scale.own.shape, np.shape(scale.with_inputs({})), np.shape(value)) == (1, 3, 4, 12)


def test_a_range_whose_length_hangs_on_a_rounding_can_be_judged_as_a_file(tmp_path: Path) -> None:
    limits = {"start": 0.0, "limit": 0.7, "delta": 0.1}
    constants = [helper.make_tensor(name, onnx.TensorProto.FLOAT, (), [value]) for name, value in limits.items()]
    y = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [None])
    graph = helper.make_graph([helper.make_node("Range", list(limits), ["y"])], "range", [], [y], constants)
    onnx.save(helper.make_model(graph), tmp_path / "range.onnx")
    ((_, value, scale),) = Float64Graph(tmp_path / "range.onnx", ["y"]).walk_with_scales({}, folded={})
    assert np.shape(value) in [(7,), (8,)]
    assert np.isfinite(scale.own).all()


def test_a_mean_in_float64_loses_nothing_that_matters() -> None:
    x = np.full((2, 1000), 100.0)
    node = helper.make_node("ReduceMean", ["x"], ["y"], keepdims=0)
    call = Call(node, [x], [None], x.mean(1), lambda given: given[0].mean(1))
    assert natural_scale(call).min() > 100
    assert natural_scale(replace(call, rounds=False)).max() < 1e-3


def _call(operator: str, inputs: list[Any], output: Any, lost: list[Any] | None = None, **attributes: Any) -> Any:
    node = helper.make_node(operator, [f"x{place}" for place in range(len(inputs))], ["y"], **attributes)
    return natural_scale(Call(node, inputs, lost or [None] * len(inputs), output, sum))


def _winograd(x: Any, weights: Any) -> Any:
    """Convolve C H W with F C 3 3 in float32, in tiles of 4 x 4 results (Lavin and Gray, Fast Algorithms for CNNs)."""
    into = np.array([[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0], [0, -2, -1, 2, 1, 0],
                     [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]], np.float32)  # fmt: skip
    filters = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]], np.float32) / 24
    back = np.array([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]], np.float32)
    turned = filters @ weights @ filters.T
    y = np.zeros((len(weights), *(size - 2 for size in x.shape[1:])), np.float32)
    for row in range(0, y.shape[1], 4):
        for column in range(0, y.shape[2], 4):
            tile = into @ x[:, row : row + 6, column : column + 6] @ into.T
            y[:, row : row + 4, column : column + 4] = back @ np.sum(turned * tile, axis=1) @ back.T
    return y


def test_a_fast_convolution_may_lose_in_a_dark_pixel_what_it_may_in_a_bright_one_of_the_channel(tmp_path: Path) -> None:
    x, weights = np.abs(_noise(1, 4, 10, 18)), _noise(6, 4, 3, 3)
    x[:, :, :, :8] *= np.float32(1e-4)
    weights[2] *= np.float32(1e-6)
    file = _file(tmp_path, "Conv", [weights], {}, x.shape)
    given = _winograd(x[0], weights)[None]
    ((_, value, scale),) = Float64Graph(file, ["y"]).walk_with_scales({"x": x}, {"y": given})
    assert np.max(np.abs(given - value) / (EPSILON * scale.own)) < 4
    # A channel of small weights beside large ones keeps its own scale, and of its own pixels the largest.
    assert np.max(scale.own[0, 2]) < 1e-4 * np.max(scale.own[0, 1])
    pointwise = _file(tmp_path, "Conv", [weights[:, :, :1, :1]], {}, x.shape)
    ((_, _, scale),) = Float64Graph(pointwise, ["y"]).walk_with_scales({"x": x}, {})
    assert np.max(scale.own[0, 1, :, :8]) < 1e-3 * np.max(scale.own[0, 1])


def test_a_sum_has_the_size_of_its_terms_and_not_of_its_result() -> None:
    one, other = np.array([1e4, 1.0]), np.array([-1e4, 2.0])
    assert _call("Add", [one, other], one + other).tolist() == [2e4, 3.0]
    assert _call("Sub", [one, -other], one + other).tolist() == [2e4, 3.0]


def test_what_goes_through_exp_has_size_1_and_a_copy_its_own() -> None:
    x = np.array([-30.0, 0.0, 30.0])
    assert _call("Sigmoid", [x], 1 / (1 + np.exp(-x))).tolist() == [1.0, 1.0, 1.0]
    assert _call("Relu", [x], np.maximum(x, 0)).tolist() == [30.0, 0.0, 30.0]
    # A bound of the clamp is no number that passes through.
    assert _call("Clip", [x, np.array(-3e38), np.array(6.0)], np.minimum(x, 6)).tolist() == [30.0, 0.0, 30.0]


def test_what_was_lost_before_counts_as_it_arrives() -> None:
    x = np.array([1.0, 2.0])
    assert _call("Relu", [x], x, lost=[np.array([5.0, 0.0], np.float32)]).tolist() == [6.0, 2.0]
    assert _call("Mul", [x, x * 3], x * x * 3, lost=[None, np.array(1.0, np.float32)]).tolist() == [4.0, 14.0]


def test_an_operator_without_a_row_has_the_scale_of_its_largest_value() -> None:
    assert _call("NoSuchOperator", [np.ones(3)], np.array([1.0, -7.0, np.inf])).tolist() == [7.0, 7.0, 0.0]
