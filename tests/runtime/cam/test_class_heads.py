"""Whose weights an exact map is made of: heads as tools write them, by ONNX files made by hand."""

import numpy as np
import pytest
from onnx import numpy_helper
from onnx_making import constant, node, save, value, weight

from export.onnx_artifact import export_onnx
from probe.onnx_model.loading import load_onnx
from runtime import UsageError, class_activation, open_artifact, open_runner
from runtime.artifact.onnx_file import read_onnx
from runtime.cam.class_head import ClassGraph

MAPS = [node("Conv", ["x", "w", "b"], ["conv"], kernel_shape=[3, 3]), node("Relu", ["conv"], ["maps"])]
GAP = [node("GlobalAveragePool", ["maps"], ["pool"])]
FLAT = [*GAP, node("Flatten", ["pool"], ["flat"])]
WEIGHTS = [
    weight("w", 6, 3, 3, 3),
    weight("b", 6, seed=1),
    weight("head", 6, 5, seed=2),
    weight("turned", 5, 6, seed=3),
    weight("conv_head", 5, 6, 1, 1, seed=4),
    weight("bias", 5, seed=5),
    weight("six", 6, seed=6),
    weight("shift", 1, 6, seed=7),
    constant("variance", [0.5, 1, 2, 3, 4, 5], "float32"),
    constant("two", 2, "float32"),
    constant("flat_shape", [0, 6]),
]
OPSET_18 = [constant("rows", [-2]), constant("columns", [3]), constant("pixels", [2, 3])]

LINEAR_HEADS = {
    "Gemm, turned": [*FLAT, node("Gemm", ["flat", "turned", "bias"], ["y"], transB=1, alpha=0.5)],
    "Gemm, as it is": [*FLAT, node("Gemm", ["flat", "head"], ["y"])],
    "MatMul and Add": [*FLAT, node("MatMul", ["flat", "head"], ["mm"]), node("Add", ["bias", "mm"], ["y"])],
    "mean of rows and columns": [
        node("ReduceMean", ["maps", "pixels"], ["flat"], keepdims=0),
        node("MatMul", ["flat", "head"], ["y"]),
    ],
    "mean of columns, then of rows": [
        node("ReduceMean", ["maps", "columns"], ["mean"], keepdims=0),
        node("ReduceMean", ["mean", "columns_left"], ["flat"], keepdims=0),
        node("MatMul", ["flat", "head"], ["y"]),
    ],
    "average pooling of the whole map": [
        node("AveragePool", ["maps"], ["pool"], kernel_shape=[6, 6]),
        node("Reshape", ["pool", "flat_shape"], ["flat"]),
        node("MatMul", ["flat", "head"], ["y"]),
    ],
    "1 x 1 convolution": [*GAP, node("Conv", ["pool", "conv_head", "bias"], ["cv"]), node("Flatten", ["cv"], ["y"])],
    "1 x 1 convolution, not flattened": [*GAP, node("Conv", ["pool", "conv_head", "bias"], ["y"])],
    "batch norm and dropout": [
        *GAP,
        node("BatchNormalization", ["pool", "six", "b", "b", "variance"], ["bn"], epsilon=0.1),
        node("Squeeze", ["bn", "pixels"], ["flat"]),
        node("Dropout", ["flat"], ["dropped"]),
        node("Gemm", ["dropped", "head"], ["y"]),
    ],
    "scaled and shifted": [
        *FLAT,
        node("Mul", ["six", "flat"], ["scaled"]),
        node("Sub", ["scaled", "shift"], ["shifted"]),
        node("Div", ["shifted", "two"], ["halved"]),
        node("Gemm", ["halved", "head"], ["y"]),
    ],
    "weights by way of Identity and Constant": [
        node("Identity", ["head"], ["same"]),
        node("Constant", [], ["half"], value_float=0.5),
        *FLAT,
        node("MatMul", ["flat", "same"], ["mm"]),
        node("Mul", ["mm", "half"], ["y"]),
    ],
    "channels last": [
        node("Transpose", ["maps"], ["last"], perm=[0, 2, 3, 1]),
        node("ReduceMean", ["last", "first_pixels"], ["flat"], keepdims=0),
        node("MatMul", ["flat", "head"], ["y"]),
    ],
    "a class a channel": [
        node("Conv", ["maps", "conv_head", "bias"], ["classes"]),
        node("Relu", ["classes"], ["positive"]),
        node("GlobalAveragePool", ["positive"], ["pool"]),
        node("Flatten", ["pool"], ["y"]),
    ],
}
LAYERS = {"channels last": "last", "a class a channel": "positive"}

OTHER_HEADS = {
    "two layers": (
        [
            *FLAT,
            node("Gemm", ["flat", "square"], ["hidden"]),
            node("Relu", ["hidden"], ["act"], "act"),
            node("Gemm", ["act", "head"], ["y"]),
        ],
        "there is Relu (act)",
    ),
    "the maximum": (
        [
            node("GlobalMaxPool", ["maps"], ["top"]),
            node("Flatten", ["top"], ["flat"]),
            node("Gemm", ["flat", "head"], ["y"]),
        ],
        "there is GlobalMaxPool (top)",
    ),
    "no average": (
        [node("Flatten", ["maps"], ["flat"]), node("Gemm", ["flat", "long"], ["y"])],
        "there is Relu (maps)",
    ),
    "subtracted from a constant": (
        [*FLAT, node("Sub", ["shift", "flat"], ["sub"]), node("Gemm", ["sub", "head"], ["y"])],
        "there is Sub (sub)",
    ),
    "an average of parts": (
        [
            node("AveragePool", ["maps"], ["pool"], kernel_shape=[3, 3], strides=[3, 3]),
            node("Flatten", ["pool"], ["flat"]),
            node("Gemm", ["flat", "parts"], ["y"]),
        ],
        "averages them in parts",
    ),
    "an average of most pixels": (
        [
            node("AveragePool", ["maps"], ["pool"], kernel_shape=[5, 5], strides=[5, 5]),
            node("Flatten", ["pool"], ["flat"]),
            node("Gemm", ["flat", "head"], ["y"]),
        ],
        "averages them in parts",
    ),
    "rows only": (
        [
            node("ReduceMean", ["maps", "rows"], ["mean"], keepdims=0),
            node("Flatten", ["mean"], ["flat"]),
            node("Gemm", ["flat", "columns_and_channels"], ["y"]),
        ],
        "averages them in parts",
    ),
}  # fmt: skip
MORE = [
    *OPSET_18,
    constant("columns_left", [2]),
    constant("first_pixels", [1, 2]),
    weight("square", 6, 6, seed=8),
    weight("long", 216, 5, seed=9),
    weight("parts", 24, 5, seed=10),
    weight("columns_and_channels", 36, 5, seed=11),
]


def used(nodes):
    read = {name for each in nodes for name in each.input}
    return [each for each in [*WEIGHTS, *MORE] if each.name in read]


@pytest.fixture
def made(tmp_path):
    """Return the artifact of a file with a head."""

    def make(head, folder="artifact", results=(), weights=()):
        nodes = [*MAPS, *head]
        file = save(
            tmp_path / "theirs.onnx",
            nodes,
            [value("x", "n", 3, 8, 8)],
            results or [head[-1].output[0]],
            [*used(nodes), *weights],
            opset=18,
        )
        return open_artifact(export_onnx(load_onnx(file).probe, tmp_path / folder))

    return make


def images(count=2):
    return np.random.default_rng(0).standard_normal((count, 1, 3, 8, 8)).astype(np.float32)


@pytest.mark.parametrize("name", LINEAR_HEADS)
def test_the_mean_of_an_exact_map_is_the_score_but_for_a_constant(name, made):
    artifact = made(LINEAR_HEADS[name])
    runner = open_runner(artifact, "onnx-cpu")
    for class_ in (0, 3):
        offsets = []
        for image in images():
            found = class_activation(artifact, image, class_, "exact", runner="onnx-cpu")
            assert (found.layer, found.method) == (LAYERS.get(name, "maps"), "exact")
            offsets.append(runner.run({"x": image})["y"].reshape(-1)[class_] - found.map.mean())
        assert offsets[0] == pytest.approx(offsets[1], abs=1e-5)


@pytest.mark.parametrize("name", ["Gemm, turned", "channels last"])
@pytest.mark.parametrize("closing", ["Softmax", "LogSoftmax", "Sigmoid"])
def test_what_makes_probabilities_of_the_scores_changes_no_map(name, closing, made):
    head, image = LINEAR_HEADS[name], images(1)[0]
    plain = class_activation(made(head), image, 1, runner="onnx-cpu")
    closed = [
        *head,
        node("Identity", ["y"], ["scores"]),
        node(closing, ["scores"], ["p"]),
        node("Identity", ["p"], ["z"]),
    ]
    artifact = made(closed, folder="closed")
    found = class_activation(artifact, image, 1, runner="onnx-cpu")
    np.testing.assert_array_equal(found.map, plain.map)
    if closing != "Sigmoid":
        assert found.score == pytest.approx(plain.score, abs=1e-6)
    else:
        assert found.score == pytest.approx(open_runner(artifact, "onnx-cpu").run({"x": image})["z"][0, 1])


@pytest.mark.parametrize("name", OTHER_HEADS)
def test_where_no_exact_map_exists_the_reason_is_given_and_auto_takes_another(name, made):
    head, reason = OTHER_HEADS[name]
    artifact, image = made(head), images(1)[0]
    with pytest.raises(UsageError) as caught:
        class_activation(artifact, image, method="exact", runner="onnx-cpu")
    assert reason in str(caught.value)
    assert "Choose another method: ablation, score or eigen." in str(caught.value)
    assert class_activation(artifact, image, runner="onnx-cpu").method == "ablation"


def test_a_network_without_its_classifier_has_no_classes(made):
    artifact, image = made(FLAT), images(1)[0]
    with pytest.raises(
        UsageError, match=r"flat is the average of each channel of maps, .* its numbers are no classes\."
    ):
        class_activation(artifact, image, runner="onnx-cpu")
    channel = open_runner(artifact, "onnx-cpu").run({"x": image})["maps"][0, 4]
    np.testing.assert_allclose(class_activation(artifact, image, 4, runner="onnx-cpu").map, channel)


def test_a_layer_of_one_pixel_shows_nothing_and_is_not_the_default(made):
    one_pixel = [
        node("Conv", ["maps", "large"], ["pixel"], kernel_shape=[6, 6]),
        node("GlobalAveragePool", ["pixel"], ["pool"]),
        *LINEAR_HEADS["Gemm, as it is"][1:],
    ]
    artifact = made(one_pixel, weights=[weight("large", 6, 6, 6, 6)])
    found = class_activation(artifact, images(1)[0], 1, runner="onnx-cpu")
    assert (found.layer, found.method, found.map.shape) == ("maps", "ablation", (6, 6))


def test_an_embedding_of_length_1_has_no_classes(made):
    artifact, image = (
        made([*LINEAR_HEADS["Gemm, as it is"], node("LpNormalization", ["y"], ["e"], axis=1)]),
        images(1)[0],
    )
    with pytest.raises(UsageError, match="e is a vector of length 1, as an embedding is: its 5 numbers are no classes"):
        class_activation(artifact, image, runner="onnx-cpu")
    assert class_activation(artifact, image, method="eigen", runner="onnx-cpu").class_ is None


def test_a_model_that_returns_the_first_image_s_scores_only_is_given_one_at_a_time(made):
    flat = OTHER_HEADS["two layers"][0]
    ends = [constant("first", [0]), constant("second", [1])]
    artifact = made([*flat, node("Slice", ["y", "first", "second", "first"], ["only"])], weights=ends, folder="first")
    assert (artifact.manifest.inputs[0].shape[0], artifact.manifest.outputs[-1].shape) == ("N", (1, 5))
    whole, image = made(flat), images(1)[0]
    for method in ("score", "ablation"):
        found, expected = (class_activation(each, image, 1, method, runner="onnx-cpu") for each in (artifact, whole))
        np.testing.assert_allclose(found.weights, expected.weights, rtol=1e-4, atol=1e-7)
        assert np.ptp(found.weights) > 0


def test_a_batch_that_the_file_holds_fixed_is_kept(made):
    head = [*GAP, node("Reshape", ["pool", "one_row"], ["flat"]), *OTHER_HEADS["two layers"][0][2:]]
    artifact = made(head, weights=[constant("one_row", [1, 6])], folder="fixed")
    assert artifact.manifest.inputs[0].shape[0] == 1
    whole, image = made(OTHER_HEADS["two layers"][0]), images(1)[0]
    for method in ("score", "ablation"):
        found, expected = (class_activation(each, image, 1, method, runner="onnx-cpu") for each in (artifact, whole))
        np.testing.assert_allclose(found.weights, expected.weights, rtol=1e-4, atol=1e-7)


def test_what_is_no_classifier_has_a_map_by_eigen_only(made):
    up = node("Resize", ["maps", "", "factors"], ["up"], mode="nearest")
    factors = constant("factors", [1, 1, 2, 2], "float32")
    artifact, image = made([up, node("Conv", ["up", "conv_head"], ["mask"])], weights=[factors]), images(1)[0]
    with pytest.raises(UsageError, match=r"of theirs no result is N x classes: mask \(N x 5 x 12 x 12\)\."):
        class_activation(artifact, image, runner="onnx-cpu")
    found = class_activation(artifact, image, method="eigen", runner="onnx-cpu")
    assert (found.layer, found.map.shape) == ("maps", (6, 6))


def test_of_several_results_none_is_guessed(made):
    two = [*LINEAR_HEADS["Gemm, as it is"], node("Gemm", ["flat", "turned"], ["z"], transB=1)]
    artifact = made(two, results=["y", "z"])
    with pytest.raises(UsageError, match=r"several results could be scores of classes: y \(N x 5\), z \(N x 5\)\."):
        class_activation(artifact, images(1)[0], runner="onnx-cpu")


def test_a_layer_that_is_one_of_several_results_of_its_node_is_cut_there(made):
    halves = [
        node("Split", ["maps", "three"], ["left", "right"], axis=1),
        node("Concat", ["right", "left"], ["joined"], axis=1),
        node("GlobalMaxPool", ["joined"], ["top"]),
        node("Flatten", ["top"], ["flat"]),
        node("Gemm", ["flat", "head"], ["y"]),
    ]
    artifact, image = made(halves, weights=[constant("three", [3, 3])]), images(1)[0]
    found = class_activation(artifact, image, 2, "ablation", layer="left", runner="onnx-cpu")
    maps = open_runner(artifact, "onnx-cpu").run({"x": image})["maps"][0]
    row = numpy_helper.to_array(WEIGHTS[2])[3:, 2]
    np.testing.assert_allclose(found.weights, row * maps[:3].max(axis=(1, 2)), rtol=1e-4, atol=1e-6)


def test_half_precision_is_weighed_like_single(tmp_path):
    """The rest of this model reads the size of the batch from its input, in the model's own type."""

    def artifact(dtype):
        row = [
            node("Shape", ["x"], ["size"], end=1),
            node("Concat", ["size", "left"], ["shape"], axis=0),
            node("Reshape", ["pool", "shape"], ["flat"]),
        ]
        nodes = [*MAPS, *GAP, *row, *OTHER_HEADS["two layers"][0][2:]]
        floats = [numpy_helper.from_array(numpy_helper.to_array(each).astype(dtype), each.name) for each in used(nodes)]
        weights = [*floats, constant("left", [-1])]
        file = tmp_path / f"{dtype}.onnx"
        save(file, nodes, [value("x", "n", 3, 8, 8, dtype=dtype)], ["y"], weights, opset=18)
        return open_artifact(export_onnx(load_onnx(file).probe, tmp_path / dtype))

    half, single, image = artifact("float16"), artifact("float32"), images(1)[0]
    for method in ("ablation", "score", "eigen"):
        found, expected = (class_activation(each, image, 1, method, runner="onnx-cpu").map for each in (half, single))
        np.testing.assert_allclose(found, expected, atol=2e-2 * np.abs(expected).max())


def test_a_layer_of_whole_steps_is_not_the_default_and_can_not_be_ablated(made):
    steps = [
        node("QuantizeLinear", ["maps", "step", "zero"], ["whole"]),
        node("DequantizeLinear", ["whole", "step", "zero"], ["back"]),
        node("GlobalAveragePool", ["back"], ["pool"]),
        *OTHER_HEADS["two layers"][0][1:],
    ]
    artifact, image = (
        made(steps, weights=[constant("step", 0.1, "float32"), constant("zero", 3, "uint8")]),
        images(1)[0],
    )
    assert class_activation(artifact, image, 1, runner="onnx-cpu").layer == "back"
    with pytest.raises(UsageError, match=r"whole holds whole steps \(uint8\), of which 0 need not mean nothing\."):
        class_activation(artifact, image, 1, "ablation", layer="whole", runner="onnx-cpu")


def test_where_all_layers_are_of_whole_steps_one_of_them_is_weighed(tmp_path):
    nodes = [
        node("QuantizeLinear", ["x", "step", "zero"], ["q"]),
        node("QLinearConv", ["q", "step", "zero", "w", "step", "none", "step", "zero"], ["whole"]),
        node("Flatten", ["whole"], ["flat"]),
        node("QLinearMatMul", ["flat", "step", "zero", "head", "step", "none", "step", "zero"], ["classes"]),
        node("DequantizeLinear", ["classes", "step", "zero"], ["y"]),
    ]
    draws = np.random.default_rng(0)
    weights = [constant("step", 0.1, "float32"), constant("zero", 3, "uint8"), constant("none", 0, "int8")]
    weights += [
        constant("w", draws.integers(-9, 9, (4, 3, 3, 3)), "int8"),
        constant("head", draws.integers(-9, 9, (144, 5)), "int8"),
    ]
    file = save(tmp_path / "steps.onnx", nodes, [value("x", 1, 3, 8, 8)], [value("y", 1, 5)], weights)
    artifact = open_artifact(export_onnx(load_onnx(file).probe, tmp_path / "steps"))
    found = class_activation(artifact, images(1)[0], runner="onnx-cpu")
    assert (found.layer, found.method) == ("whole", "score")


def test_an_image_with_the_channels_last_is_masked_in_its_height_and_width(tmp_path, made):
    nodes = [node("Transpose", ["photo"], ["x"], perm=[0, 3, 1, 2]), *MAPS, *OTHER_HEADS["two layers"][0]]
    file = save(tmp_path / "last.onnx", nodes, [value("photo", 1, 8, 8, 3)], ["y"], used(nodes), opset=18)
    last = open_artifact(export_onnx(load_onnx(file).probe, tmp_path / "last"))
    first, image = made(OTHER_HEADS["two layers"][0]), images(1)[0]
    turned = np.ascontiguousarray(image.transpose(0, 2, 3, 1))
    expected = class_activation(first, image, 1, "score", runner="onnx-cpu").weights
    found = class_activation(last, turned, 1, "score", runner="onnx-cpu").weights
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (3, 8, 8)])
def test_an_array_that_is_not_one_image_is_refused(shape, made):
    with pytest.raises(UsageError, match=r"theirs takes x \(N x 3 x 8 x 8, float32\); it was given an array of shape"):
        class_activation(made(LINEAR_HEADS["Gemm, turned"]), np.zeros(shape, np.float32), runner="onnx-cpu")


CIRCLES = {
    "identities": [node("Identity", ["z"], ["y"]), node("Identity", ["y"], ["z"])],
    "a layer of itself": [node("MatMul", ["y", "head"], ["y"])],
    "averages": [node("ReduceMean", ["z"], ["y"], axes=[3]), node("ReduceMean", ["y"], ["z"], axes=[2])],
    "no inputs": [node("Gemm", [], ["y"])],
    "one input": [node("Gemm", ["x"], ["y"])],
    "a constant of nothing": [node("Constant", [], ["c"]), node("MatMul", ["x", "c"], ["y"])],
    "a constant of texts": [node("Constant", [], ["c"], value_string="no"), node("Mul", ["x", "c"], ["y"])],
    "thousands of identities": [
        node("Identity", ["x"], ["i0"]),
        *(node("Identity", [f"i{number}"], [f"i{number + 1}"]) for number in range(3000)),
        node("Mul", ["x", "i3000"], ["y"]),
    ],
}


@pytest.mark.parametrize("name", CIRCLES)
def test_a_graph_that_no_runtime_would_take_is_read_to_its_end(name, tmp_path):
    file = save(tmp_path / "circle.onnx", CIRCLES[name], [value("x", 1, 3, 8, 8)], ["y"], WEIGHTS)
    graph = ClassGraph(read_onnx(file), "y")
    assert graph.needed >= {"y"}
    with pytest.raises(UsageError, match="An exact map needs global average pooling"):
        graph.linear_head()
