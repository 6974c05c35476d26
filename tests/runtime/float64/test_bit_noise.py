"""What rounding to a file's own bits explains, and whether its steps fit the numbers."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from runtime.float64.graph import Float64Graph
from runtime.float64.number_types import spacing
from runtime.float64.step_use import StepUse, WeightUse

_X = np.random.default_rng(0).standard_normal((1, 8, 12, 12)).astype(np.float32)
_W = np.random.default_rng(1).standard_normal((16, 8, 3, 3)).astype(np.float32)


def test_the_spacing_of_numbers_is_that_of_their_type():
    values = np.array([1.0, 1.5, 2.0, 0.0])
    assert spacing(values, "float16").tolist() == [2**-10, 2**-10, 2**-9, 2**-24]
    assert spacing(values, "bfloat16").tolist() == [2**-7, 2**-7, 2**-6, 2**-133]
    assert spacing(values, "float8_e4m3fn").tolist() == [2**-3, 2**-3, 2**-2, 2**-9]


@pytest.mark.parametrize("relu", [False, True])
def test_a_quantized_convolution_errs_by_what_its_steps_explain(relu: bool, tmp_path: Path):
    def rounded(array: np.ndarray, name: str, dtype: type, scale: float) -> list[onnx.TensorProto]:
        steps = np.clip(np.rint(array / scale), -127, 127).astype(dtype)
        zero = numpy_helper.from_array(np.zeros((), dtype), f"{name}_zero")
        return [
            numpy_helper.from_array(steps, f"{name}_steps"),
            numpy_helper.from_array(np.float32(scale), f"{name}_scale"),
            zero,
        ]

    constants = rounded(_W, "w", np.int8, float(np.abs(_W).max()) / 127)
    constants += rounded(_X, "x", np.int8, float(np.abs(_X).max()) / 127)[1:]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "x_scale", "x_zero"], ["x_steps"]),
        helper.make_node("DequantizeLinear", ["x_steps", "x_scale", "x_zero"], ["x_real"]),
        helper.make_node("DequantizeLinear", ["w_steps", "w_scale", "w_zero"], ["w_real"]),
        helper.make_node("Conv", ["x_real", "w_real"], ["conv"]),
        helper.make_node("Relu" if relu else "Identity", ["conv"], ["y"]),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, _X.shape)]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "g", inputs, outputs, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "m.onnx")
    windows = np.lib.stride_tricks.sliding_window_view(_X.astype(np.float64), (3, 3), (2, 3))
    right = np.einsum("nchwij,ocij->nohw", windows, _W)
    right = np.maximum(right, 0) if relu else right
    noise, walk = Float64Graph(tmp_path / "m.onnx", ["y"]).walk_with_noise({"x": _X}, {"x": _X})
    ((_, value, explained),) = walk
    lost, own = (float(np.sqrt(np.mean(np.square(each)))) for each in (value - right, explained.own))
    assert 0.8 < lost / own < 1.25
    assert [(use.given, use.is_symmetric) for use in noise.used] == [("x", True)]
    assert [use.kind for use in noise.weights] == ["int8 with one scale"]


def test_values_that_are_alike_are_rounded_alike_so_their_mean_is_off_as_far(tmp_path: Path):
    x = np.full((1, 4, 16, 16), 0.149, np.float32)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["steps"]),
        helper.make_node("DequantizeLinear", ["steps", "scale", "zero"], ["real"]),
        helper.make_node("GlobalAveragePool", ["real"], ["y"]),
    ]
    constants = [numpy_helper.from_array(np.float32(0.1), "scale"), numpy_helper.from_array(np.uint8(0), "zero")]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "g", inputs, outputs, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "m.onnx")
    _, walk = Float64Graph(tmp_path / "m.onnx", ["y"]).walk_with_noise({"x": x}, {"x": x})
    ((_, value, explained),) = walk
    np.testing.assert_allclose(np.abs(explained.own), np.abs(value - 0.149), rtol=1e-5)


def test_a_range_is_measured_by_the_values():
    values = np.array([0.0, 0.0, 1.0, 2.0])
    fits = StepUse.of("x", "", values, np.array(2 / 255), 0.0, 255.0)
    twice = StepUse.of("x", "", values, np.array(4 / 255), 0.0, 255.0)
    low = StepUse.of("x", "", values, np.array(2 / 255), -20.0, 235.0)
    shifted = StepUse.of("x", "", np.array([-1.0, 1.0]), np.array(2 / 255), -200.0, 55.0)
    assert (round(fits.coarse_db, 3), round(twice.coarse_db, 2)) == (0.0, 6.02)
    assert [each.starts_too_low for each in (fits, twice, low)] == [False, False, True]
    assert [each.is_shifted for each in (fits, low, shifted)] == [False, False, True]


def test_weights_say_what_kind_they_are_and_how_far_they_reach():
    steps = np.array([[-64, 32], [10, 5]], np.int8)
    assert WeightUse.of(steps, np.ones(2)) == WeightUse("int8 with a scale per channel", 64 / 127)
    assert WeightUse.of(steps, np.ones(())).kind == "int8 with one scale"
