"""Operators as each opset defines them, against ONNX Runtime, which computes from opset 7 on."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from against_ort import assert_as_ort, both, model_of
from runtime.float64.graph import Float64Graph, Unknown
from runtime.float64.nodes import NodeEvaluator

RANDOM = np.random.default_rng(3)


def noise(*shape: int) -> Any:
    return RANDOM.standard_normal(shape).astype(np.float32)


def ints(*values: int) -> Any:
    return np.array(values, np.int64)


def floats(*values: float) -> Any:
    return np.array(values, np.float32)


IMAGE, LINE, VOLUME = noise(2, 4, 7, 6), noise(2, 4, 9), noise(1, 2, 5, 6, 4)
STATISTICS = (noise(4), noise(4), noise(4), np.abs(noise(4)) + 1)
RECTANGLES = np.sort(RANDOM.uniform(0, 10, (1, 30, 2, 2)).astype(np.float32), axis=2).reshape(1, 30, 4)
BOXES = np.array([[0, 0, 5, 4], [1.3, 2.1, 4.9, 5.8], [3, 3, 3.2, 9], [-2, -1, 2, 1]], np.float32)

CASES: list[tuple[str, tuple[int, ...], list[Any], dict[str, Any]]] = [
    ("AveragePool", (7, 10, 11, 19, 22), [LINE], {"kernel_shape": [3], "strides": [2], "pads": [1, 1]}),
    ("AveragePool", (7, 19), [VOLUME], {"kernel_shape": [3, 2, 2], "pads": [1] * 6, "count_include_pad": 1}),
    ("AveragePool", (10, 19), [IMAGE], {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
    ("AveragePool", (19,), [IMAGE], {"kernel_shape": [2, 3], "dilations": [2, 1], "pads": [0, 1, 1, 0]}),
    ("AveragePool", (7, 22), [IMAGE], {"kernel_shape": [3, 2], "auto_pad": "SAME_LOWER", "strides": [2, 1]}),
    ("BatchNormalization", (7, 9, 14, 15), [IMAGE, *STATISTICS], {"epsilon": 0.1}),
    ("BatchNormalization", (7, 9, 14, 15), [LINE, *STATISTICS], {}),
    ("Celu", (12,), [IMAGE], {"alpha": 0.5}),
    ("CenterCropPad", (18,), [IMAGE, ints(9, 3)], {"axes": [2, 3]}),
    ("Clip", (7,), [IMAGE], {"min": -0.5, "max": 0.25}),
    ("Clip", (7,), [IMAGE], {}),
    ("Clip", (7,), [IMAGE], {"max": 0.5}),
    ("Clip", (11, 12, 13), [IMAGE, np.float32(-0.5), np.float32(0.25)], {}),
    ("Clip", (11, 13), [IMAGE, None, np.float32(0.25)], {}),
    ("Conv", (7, 11, 22), [IMAGE, noise(6, 2, 3, 3), noise(6)], {"group": 2, "pads": [1, 0, 1, 2]}),
    ("Conv", (7, 22), [LINE, noise(6, 4, 3)], {"auto_pad": "SAME_UPPER", "strides": [2]}),
    ("ConvTranspose", (7, 11, 22), [IMAGE, noise(4, 2, 3, 3), noise(4)],
     {"group": 2, "strides": [2, 3], "pads": [1, 0, 0, 1], "output_padding": [1, 2]}),
    ("ConvTranspose", (7, 22), [IMAGE, noise(4, 2, 3, 3)], {"strides": [2, 2], "output_shape": [15, 14]}),
    ("ConvTranspose", (7, 22), [IMAGE, noise(4, 2, 3, 3)], {"strides": [2, 2], "output_shape": [13, 11]}),
    ("ConvTranspose", (7, 22), [IMAGE, noise(4, 2, 3, 3)], {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
    ("ConvTranspose", (11, 22), [IMAGE, noise(4, 2, 3, 3)], {"strides": [2, 2], "auto_pad": "SAME_LOWER"}),
    ("DepthToSpace", (7, 11, 13), [IMAGE], {"blocksize": 2}),
    ("DepthToSpace", (11, 13), [noise(1, 12, 2, 3)], {"blocksize": 2, "mode": "CRD"}),
    ("Dropout", (7, 10, 12, 13), [IMAGE], {}),
    ("Einsum", (12,), [noise(2, 3, 4), noise(2, 4, 5)], {"equation": "bij,bjk->bik"}),
    ("Elu", (7, 22), [IMAGE], {"alpha": 0.7}),
    ("Flatten", (7, 9, 13), [IMAGE], {"axis": 2}),
    ("Gemm", (7, 9, 11, 13), [noise(5, 3), noise(4, 5), noise(4)],
     {"transA": 1, "transB": 1, "alpha": 0.5, "beta": 2.0}),
    ("Gemm", (11, 13), [noise(3, 5), noise(5, 4)], {}),
    ("GlobalAveragePool", (7, 22), [VOLUME], {}),
    ("GlobalLpPool", (7, 21), [IMAGE], {"p": 3}),
    ("GlobalLpPool", (7,), [IMAGE], {}),
    ("GlobalMaxPool", (7, 22), [LINE], {}),
    ("GlobalMaxPool", (7, 22), [IMAGE], {}),
    ("GlobalMaxPool", (7, 22), [VOLUME], {}),
    ("GridSample", (16, 20), [IMAGE, RANDOM.uniform(-1.3, 1.3, (2, 3, 5, 2)).astype(np.float32)], {}),
    ("GridSample", (16,), [IMAGE, RANDOM.uniform(-1.3, 1.3, (2, 3, 5, 2)).astype(np.float32)],
     {"mode": "bicubic", "padding_mode": "reflection", "align_corners": 1}),
    ("GridSample", (20,), [IMAGE, RANDOM.uniform(-1.3, 1.3, (2, 3, 5, 2)).astype(np.float32)],
     {"mode": "cubic", "padding_mode": "border"}),
    ("GroupNormalization", (18,), [IMAGE, noise(2), noise(2)], {"num_groups": 2}),
    ("GroupNormalization", (21,), [IMAGE, noise(4), noise(4)], {"num_groups": 2}),
    ("HardSigmoid", (7, 22), [IMAGE], {"alpha": 0.3, "beta": 0.6}),
    ("HardSwish", (14, 22), [IMAGE], {}),
    ("Hardmax", (7, 11, 13), [IMAGE], {}),
    ("Hardmax", (7, 11, 13), [IMAGE], {"axis": 2}),
    ("InstanceNormalization", (7, 22), [LINE, noise(4), noise(4)], {}),
    ("LRN", (7, 13), [IMAGE], {"size": 3, "alpha": 0.5}),
    ("LogSoftmax", (7, 11, 13), [IMAGE], {}),
    ("LogSoftmax", (7, 11, 13), [IMAGE], {"axis": 2}),
    ("LpNormalization", (7, 22), [IMAGE], {"p": 1, "axis": 1}),
    ("LpNormalization", (7, 22), [IMAGE], {}),
    ("LpPool", (7, 11, 18, 22), [IMAGE], {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1], "p": 3}),
    ("LpPool", (7, 18), [LINE], {"kernel_shape": [3]}),
    ("LpPool", (18, 22), [IMAGE], {"kernel_shape": [3, 2], "dilations": [2, 1]}),
    ("MaxPool", (7, 8, 10, 11, 12, 22), [IMAGE], {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 0, 1]}),
    ("MaxPool", (10, 12, 22), [VOLUME], {"kernel_shape": [2, 2, 3], "strides": [2, 2, 1], "ceil_mode": 1}),
    ("MaxRoiPool", (7, 21), [IMAGE, np.insert(BOXES, 0, [0, 1, 1, 0], 1)],
     {"pooled_shape": [2, 3], "spatial_scale": 0.8}),
    ("MaxUnpool", (9, 11), [floats(1, 2, 3, 4).reshape(1, 1, 2, 2), ints(0, 3, 10, 15).reshape(1, 1, 2, 2)],
     {"kernel_shape": [2, 2], "strides": [2, 2]}),
    ("MaxUnpool", (9, 11),
     [floats(1, 2, 3, 4).reshape(1, 1, 2, 2), ints(0, 8, 24, 20).reshape(1, 1, 2, 2), ints(1, 1, 5, 5)],
     {"kernel_shape": [2, 2], "strides": [2, 2]}),
    ("MeanVarianceNormalization", (9, 13), [IMAGE], {}),
    ("MeanVarianceNormalization", (9, 13), [IMAGE], {"axes": [2, 3]}),
    ("Mish", (18, 22), [IMAGE], {}),
    ("NonMaxSuppression", (10, 11), [RECTANGLES, np.abs(noise(1, 2, 30)), ints(5), floats(0.3), floats(0.2)], {}),
    ("NonMaxSuppression", (11,), [RECTANGLES, np.abs(noise(1, 2, 30)), ints(9), floats(0.5)], {"center_point_box": 1}),
    ("NonMaxSuppression", (11,), [RECTANGLES, np.abs(noise(1, 2, 30)), ints(50)], {}),
    ("NonMaxSuppression", (11,), [RECTANGLES, np.abs(noise(1, 2, 30))], {}),
    ("OneHot", (9, 11), [ints(0, 2, -1, 7), ints(4), floats(0.1, 2)], {"axis": 0}),
    ("OneHot", (9, 11), [ints(0, 2).reshape(2, 1), np.array(4), floats(0.1, 2)], {}),
    ("PRelu", (7, 9, 16), [IMAGE, noise(4, 1, 1)], {}),
    ("Pad", (7,), [IMAGE], {"pads": [0, 0, 1, 2, 0, 0, 2, 1], "value": 0.5}),
    ("Pad", (7,), [IMAGE], {"pads": [0, 0, 1, -2, 0, 0, 2, 1], "mode": "reflect"}),
    ("Pad", (7,), [IMAGE], {"pads": [0, 0, 1, 2, 0, 0, 2, 1], "mode": "edge"}),
    ("Pad", (11, 13, 18, 19, 21), [IMAGE, ints(0, 0, 1, 2, 0, 0, 2, 1), np.float32(0.5)], {}),
    ("Pad", (18, 21), [IMAGE, ints(1, 2, 2, 1), np.float32(0), ints(3, -2)], {"mode": "reflect"}),
    ("ReduceL1", (7, 11, 13), [IMAGE], {"axes": [1, 3]}),
    ("ReduceMean", (7, 11, 13), [IMAGE], {"axes": [2, 3], "keepdims": 0}),
    ("ReduceMean", (18,), [IMAGE, ints(2, 3)], {"keepdims": 0}),
    ("ReduceMean", (18,), [IMAGE, ints()], {"noop_with_empty_axes": 1}),
    ("ReduceMax", (7, 11, 12, 13), [IMAGE], {"axes": [1]}),
    ("ReduceMax", (18, 20), [IMAGE, ints(1)], {}),
    ("ReduceSum", (7, 11), [IMAGE], {"axes": [1]}),
    ("ReduceSum", (7, 11), [IMAGE], {}),
    ("ReduceSum", (13,), [IMAGE, ints(1, -1)], {}),
    ("Reshape", (7, 13, 14, 19), [IMAGE, ints(0, -1, 6)], {}),
    ("Resize", (10,), [IMAGE, floats(1, 1, 2, 1.5)], {"mode": "nearest"}),
    ("Resize", (10,), [IMAGE, floats(1, 1, 0.6, 0.5)], {"mode": "nearest"}),
    ("Resize", (10,), [IMAGE, floats(1, 1, 0.6, 2.4)], {"mode": "linear"}),
    ("Resize", (11, 13, 18, 19), [IMAGE, floats(), floats(1, 1, 0.6, 2.4)], {"mode": "linear"}),
    ("Resize", (11, 13, 18, 19), [IMAGE, floats(), floats(1, 1, 2, 3)], {"mode": "cubic"}),
    ("Resize", (11,), [IMAGE, floats(), floats(1, 1, 1.5, 0.7)],
     {"mode": "nearest", "coordinate_transformation_mode": "tf_half_pixel_for_nn", "nearest_mode": "floor"}),
    ("Resize", (13, 19), [IMAGE, floats(0, 0, 0.2, -0.3, 1, 1, 0.9, 1.2), None, ints(2, 4, 5, 8)],
     {"mode": "linear", "coordinate_transformation_mode": "tf_crop_and_resize", "extrapolation_value": 10.0}),
    ("Resize", (18, 19), [IMAGE, None, floats(1, 1, 0.5, 0.7)], {"mode": "cubic", "antialias": 1}),
    ("Resize", (18, 19), [IMAGE, None, None, ints(10, 20)],
     {"mode": "linear", "keep_aspect_ratio_policy": "not_larger", "axes": [2, 3]}),
    ("Resize", (18, 19), [IMAGE, None, None, ints(3, 5)],
     {"mode": "linear", "keep_aspect_ratio_policy": "not_smaller", "axes": [2, 3]}),
    ("Resize", (11, 19), [IMAGE, floats(), floats(1, 1, 0.6, 0.6)],
     {"mode": "linear", "coordinate_transformation_mode": "align_corners"}),
    ("RoiAlign", (10, 16, 21), [IMAGE, BOXES, ints(0, 1, 1, 0)],
     {"output_height": 3, "output_width": 2, "spatial_scale": 0.9}),
    ("RoiAlign", (10,), [IMAGE, BOXES, ints(0, 1, 1, 0)],
     {"mode": "max", "output_height": 2, "output_width": 2, "sampling_ratio": 3}),
    ("RoiAlign", (16, 21), [IMAGE, BOXES, ints(0, 1, 1, 0)],
     {"output_height": 2, "output_width": 2, "coordinate_transformation_mode": "output_half_pixel"}),
    ("Scatter", (9,), [noise(3, 4), ints(0, 2, 1).reshape(1, 3), noise(1, 3)], {"axis": 1}),
    ("Selu", (7, 22), [IMAGE], {}),
    ("Slice", (7,), [IMAGE], {"starts": [1, -3], "ends": [3, 1000], "axes": [1, 3]}),
    ("Slice", (10, 11, 13), [IMAGE, ints(-1, 5), ints(-1000, 0), ints(1, 2), ints(-1, -2)], {}),
    ("Softmax", (7, 11, 13), [IMAGE], {}),
    ("Softmax", (7, 11, 13), [IMAGE], {"axis": 2}),
    ("Softmax", (11, 13), [IMAGE], {"axis": -2}),
    ("Shrink", (9,), [IMAGE], {"lambd": 0.3, "bias": 0.1}),
    ("SpaceToDepth", (7, 13), [noise(1, 2, 4, 6)], {"blocksize": 2}),
    ("Squeeze", (7, 11), [noise(1, 3, 1, 2)], {"axes": [0, 2]}),
    ("Squeeze", (13, 21), [noise(1, 3, 1, 2), ints(0, -2)], {}),
    ("Sum", (7, 8, 13), [noise(3, 4), noise(3, 4), noise(3, 4)], {}),
    ("Sum", (8, 13), [noise(3, 4), noise(4), noise(1)], {}),
    ("ThresholdedRelu", (10, 22), [IMAGE], {"alpha": 0.5}),
    ("Unsqueeze", (7, 11), [noise(3, 2)], {"axes": [0, 3]}),
    ("Unsqueeze", (13, 21), [noise(3, 2), ints(0, -1)], {}),
    ("Upsample", (7,), [IMAGE], {"scales": [1.0, 1.0, 2.0, 1.5], "mode": "nearest"}),
    ("Upsample", (7,), [IMAGE], {"scales": [1.0, 1.0, 2.0, 1.5], "mode": "linear"}),
    ("Upsample", (9,), [IMAGE, floats(1, 1, 2, 3)], {"mode": "nearest"}),
    ("Upsample", (9,), [IMAGE, floats(1, 1, 1.7, 3)], {"mode": "linear"}),
]  # fmt: skip

SEVERAL: list[tuple[str, tuple[int, ...], list[Any], dict[str, Any], int]] = [
    ("BatchNormalization", (14, 15), [IMAGE, *STATISTICS], {"training_mode": 1, "momentum": 0.7}, 3),
    ("LayerNormalization", (17,), [IMAGE, noise(7, 6), noise(7, 6)], {"axis": 2}, 3),
    ("MaxPool", (8, 12, 22), [IMAGE], {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1]}, 2),
    ("MaxPool", (8, 22), [IMAGE], {"kernel_shape": [3, 2], "pads": [1, 0, 1, 1], "storage_order": 1}, 2),
    ("MaxPool", (8, 22), [VOLUME], {"kernel_shape": [2, 2, 2], "strides": [2, 1, 1], "storage_order": 1}, 2),
    ("MaxPool", (8, 22), [LINE], {"kernel_shape": [2], "strides": [2], "storage_order": 1}, 2),
    ("Split", (7, 11), [IMAGE], {"axis": 2, "split": [3, 4]}, 2),
    ("Split", (13,), [IMAGE, ints(3, 4)], {"axis": 2}, 2),
    ("Split", (18,), [IMAGE], {"axis": 2, "num_outputs": 2}, 2),
    ("TopK", (7,), [IMAGE], {"k": 3}, 2),
    ("TopK", (10, 11), [IMAGE, ints(3)], {"axis": 1}, 2),
    ("TopK", (11, 24), [IMAGE, ints(2)], {"axis": 2, "largest": 0}, 2),
]


@pytest.mark.parametrize(("operator", "opsets", "arrays", "attributes"), CASES)
def test_operators_are_onnx_runtimes(
    operator: str, opsets: tuple[int, ...], arrays: list[Any], attributes: dict[str, Any], tmp_path: Path
) -> None:
    for opset in opsets:
        assert_as_ort(tmp_path, operator, arrays, attributes, opset=opset)


@pytest.mark.parametrize(("operator", "opsets", "arrays", "attributes", "outputs"), SEVERAL)
def test_operators_with_several_results_are_onnx_runtimes(
    operator: str, opsets: tuple[int, ...], arrays: list[Any], attributes: dict[str, Any], outputs: int, tmp_path: Path
) -> None:
    for opset in opsets:
        assert_as_ort(tmp_path, operator, arrays, attributes, opset=opset, outputs=outputs)


def _reason(folder: Path, nodes: list[Any], inputs: dict[str, Any], opset: int) -> str:
    """Return why the output y can't be computed."""
    onnx.save(model_of(nodes, inputs, ["y"], opset), folder / "one.onnx")
    ((_, value),) = Float64Graph(folder / "one.onnx", ["y"]).walk(inputs)
    assert isinstance(value, Unknown)
    return value.reason


def test_an_operator_that_opset_7_changed_is_refused_before(tmp_path: Path) -> None:
    add = helper.make_node("Add", ["x", "z"], ["y"], broadcast=1, axis=1)
    inputs = {"x": IMAGE, "z": noise(4)}
    reason = "opset 6 defines it otherwise than opset 7, the oldest that is computed"
    assert _reason(tmp_path, [add], inputs, 6) == f"Add can't be recomputed: {reason}"
    onnx.save(model_of([helper.make_node("Relu", ["x"], ["y"])], {"x": IMAGE}, ["y"], 6), tmp_path / "one.onnx")
    ((_, value),) = Float64Graph(tmp_path / "one.onnx", ["y"]).walk({"x": IMAGE})
    assert np.array_equal(value, np.maximum(IMAGE, 0))


def test_random_numbers_and_unknown_domains_are_refused_by_name(tmp_path: Path) -> None:
    nodes = [helper.make_node("RandomNormalLike", ["x"], ["y"])]
    assert _reason(tmp_path, nodes, {"x": IMAGE}, 13).endswith("it draws new random numbers each time")
    nodes = [helper.make_node("QAttention", ["x"], ["y"], domain="com.microsoft")]
    reason = "QAttention can't be recomputed: com.microsoft.QAttention is not defined by ONNX"
    assert _reason(tmp_path, nodes, {"x": IMAGE}, 13) == reason


def test_what_a_branch_draws_at_random_is_refused_as_well(tmp_path: Path) -> None:
    branches = {}
    for name in ("then_branch", "else_branch"):
        results = [helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)]
        branches[name] = helper.make_graph([helper.make_node("RandomNormalLike", ["x"], ["inner"])], name, [], results)
    inputs = {"on": np.array(True), "x": IMAGE}
    reason = "If can't be recomputed: RandomNormalLike inside: it draws new random numbers each time"
    assert _reason(tmp_path, [helper.make_node("If", ["on"], ["y"], **branches)], inputs, 13) == reason


def test_an_opset_that_onnx_does_not_know_is_refused(tmp_path: Path) -> None:
    newest = onnx.defs.onnx_opset_version()
    reason = _reason(tmp_path, [helper.make_node("Relu", ["x"], ["y"])], {"x": IMAGE}, newest + 1)
    assert reason.endswith(f"opset {newest + 1} is newer than {newest}, the newest that onnx {onnx.__version__} knows")


def test_a_normalization_computes_in_float64_whatever_type_it_is_to_take() -> None:
    node = helper.make_node("LayerNormalization", ["x", "gain"], ["y"], stash_type=TensorProto.BFLOAT16)
    x = IMAGE.astype(np.float64)
    (found,) = NodeEvaluator(node, {"": 17}).run([x, np.ones(6)])
    centred = x - x.mean(-1, keepdims=True)
    np.testing.assert_allclose(found, centred / np.sqrt(x.var(-1, keepdims=True) + 1e-5), rtol=1e-7)


def test_causal_convolutions_go_on_where_they_ended() -> None:
    x, w, b = (array.astype(np.float64) for array in (noise(2, 3, 7), noise(3, 1, 4), noise(3)))

    def run(*arrays: Any) -> Any:
        names = ["x", "w", "b", "past"][: len(arrays)]
        node = helper.make_node("CausalConvWithState", names, ["y", "last"], activation="silu")
        return NodeEvaluator(node, {"": 27}).run(arrays)

    whole, last = run(x, w, b)
    first, state = run(x[:, :, :3], w, b)
    second, end = run(x[:, :, 3:], w, b, state)
    np.testing.assert_allclose(np.concatenate([first, second], 2), whole, rtol=1e-13)
    assert np.array_equal(last, x[:, :, -3:])
    assert np.array_equal(end, last)
    linear = np.sum(x[0, 0, :4] * w[0, 0]) + b[0]
    np.testing.assert_allclose(whole[0, 0, 3], linear / (1 + np.exp(-linear)), rtol=1e-13)


def test_training_statistics_of_old_opsets_are_refused(tmp_path: Path) -> None:
    names = ["x", "scale", "bias", "mean", "var"]
    nodes = [helper.make_node("BatchNormalization", names, ["y", "running_mean"])]
    reason = _reason(tmp_path, nodes, dict(zip(names, (IMAGE, *STATISTICS), strict=True)), 9)
    assert reason.endswith("before opset 14, or without training_mode=1, statistics are no results")


_INTEGERS, _FLAGS = ("round", "step"), ("on", "still", "go", "going")
_SCALARS = {**dict.fromkeys(_INTEGERS, TensorProto.INT64), **dict.fromkeys(_FLAGS, TensorProto.BOOL)}


def _body(inputs: list[str], outputs: list[str], nodes: list[Any]) -> Any:
    values = [
        helper.make_tensor_value_info(name, _SCALARS.get(name, TensorProto.FLOAT), () if name in _SCALARS else None)
        for name in (*inputs, *outputs)
    ]
    return helper.make_graph(nodes, "body", values[: len(inputs)], values[len(inputs) :])


def test_a_loop_stacks_what_each_round_gives_along_a_new_axis(tmp_path: Path) -> None:
    body = _body(
        ["round", "on", "x"],
        ["still", "double", "seen", "total"],
        [
            helper.make_node("Identity", ["on"], ["still"]),
            helper.make_node("Add", ["x", "x"], ["double"]),
            helper.make_node("Mul", ["x", "outer"], ["seen"]),
            helper.make_node("ReduceSum", ["x"], ["total"], keepdims=0),
        ],
    )
    node = helper.make_node("Loop", ["count", "", "x"], ["last", "seen", "total"], body=body)
    inputs = {"count": np.array(3), "x": noise(2, 3), "outer": noise(2, 3)}
    for given, value, _ in both(model_of([node], inputs, ["last", "seen", "total"], 13), inputs, tmp_path):
        assert given.shape == value.shape
        np.testing.assert_allclose(given, value, rtol=1e-5)


def test_loops_without_end_are_refused_also_within_loops(tmp_path: Path) -> None:
    """150 rounds of 200 are as many as 30,000; what one loop does doesn't count for the next."""
    inner = _body(["step", "go", "y"], ["going", "z"], [
        helper.make_node("Identity", ["go"], ["going"]), helper.make_node("Identity", ["y"], ["z"])
    ])  # fmt: skip
    outer = _body(["round", "on", "x"], ["still", "w"], [
        helper.make_node("Identity", ["on"], ["still"]),
        helper.make_node("Loop", ["within", "", "x"], ["w"], body=inner),
    ])  # fmt: skip
    loops = [helper.make_node("Loop", ["count", "", "x"], [result], body=outer) for result in ("one", "other")]
    few = {"count": np.array(3), "within": np.array(5), "x": noise(2)}
    for given, value, _ in both(model_of(loops, few, ["one", "other"], 13), few, tmp_path):
        np.testing.assert_array_equal(given, value)
    for rounds in ((2**40, 1), (2, 2**40), (150, 200)):
        many = {**few, "count": np.array(rounds[0]), "within": np.array(rounds[1])}
        onnx.save(model_of(loops, many, ["one", "other"], 13), tmp_path / "many.onnx")
        found = dict(Float64Graph(tmp_path / "many.onnx", ["one", "other"]).walk(many))
        reasons = [each.reason for each in found.values() if isinstance(each, Unknown)]
        assert len(reasons) == 2
        assert "it loops more than 20,000 times" in reasons[0]


def test_a_scan_goes_along_any_axis_and_backwards(tmp_path: Path) -> None:
    nodes = [helper.make_node("Add", ["sum", "x"], ["next"]), helper.make_node("Neg", ["next"], ["seen"])]
    body = _body(["sum", "x"], ["next", "seen"], nodes)
    attributes = {"scan_input_axes": [1], "scan_input_directions": [1], "scan_output_axes": [1]}
    inputs = {"sum": noise(2), "x": noise(2, 5)}
    for directions in ([0], [1]):
        given = {**attributes, "scan_output_directions": directions, "num_scan_inputs": 1}
        node = helper.make_node("Scan", ["sum", "x"], ["last", "seen"], body=body, **given)
        for result, value, _ in both(model_of([node], inputs, ["last", "seen"], 13), inputs, tmp_path):
            assert result.shape == value.shape
            np.testing.assert_allclose(result, value, rtol=1e-5)


def test_a_sequence_may_pass_from_node_to_node(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("SplitToSequence", ["x", "sizes"], ["parts"], axis=1),
        helper.make_node("SequenceAt", ["parts", "place"], ["y"]),
    ]
    inputs = {"x": IMAGE, "sizes": ints(1, 3), "place": np.array(1)}
    ((given, value, _),) = both(model_of(nodes, inputs, ["y"], 13), inputs, tmp_path)
    assert np.array_equal(given, value)


def test_onnx_has_two_names_for_its_own_domain(tmp_path: Path) -> None:
    node = helper.make_node("Softmax", ["x"], ["y"], domain="ai.onnx")
    model = model_of([node], {"x": IMAGE}, ["y"], 11)
    model.opset_import[0].domain = "ai.onnx"
    ((given, value, _),) = both(model, {"x": IMAGE}, tmp_path)
    np.testing.assert_allclose(given, value, rtol=1e-5)
