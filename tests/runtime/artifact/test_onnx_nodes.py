"""The record of an output's ONNX nodes: what the format page promises."""

import hashlib
import json

import numpy as np
from onnx import TensorProto, helper, load, numpy_helper, save

from runtime.artifact.onnx_file import read_onnx
from runtime.artifact.onnx_nodes import describe_nodes


def test_each_output_has_its_nodes_with_attributes_constants_and_what_they_read(exported):
    artifact = exported("cnn3")
    record = json.loads((artifact.path / "operations.json").read_text())
    assert record["format_version"] == 1
    assert list(record["outputs"]) == artifact.manifest.output_names
    (node,) = record["outputs"]["batchnorm1"]
    weights = {tensor.name: tensor for tensor in load(artifact.path / "model.onnx").graph.initializer}
    scale = numpy_helper.to_array(weights["batchnorm1.weight"])
    assert node["operator"] == "BatchNormalization"
    assert node["reads"] == ["cnn1"]
    assert node["parameters"]["epsilon"] == "1e-05"
    assert node["parameters"]["scale"] == {
        "name": "batchnorm1.weight",
        "shape": list(scale.shape),
        "sum": f"{np.sum(scale, dtype=np.float64):.9g}",
        "sha256": hashlib.sha256(scale.tobytes()).hexdigest()[:16],
    }


def test_constants_are_found_as_weights_and_as_nodes_and_small_ones_hold_their_values(tmp_path):
    value = numpy_helper.from_array(np.array([0.1, np.inf], np.float32), "c")
    nodes = [
        helper.make_node("Constant", [], ["c"], value=value),
        helper.make_node("Mul", ["x", "c"], ["inner"]),
        helper.make_node("Clip", ["inner", "low"], ["y"]),
        helper.make_node("Concat", ["y", "wide"], ["z"], axis=0),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 2]) for name in "yz"],
        [numpy_helper.from_array(np.float32(-6), "low"), numpy_helper.from_array(np.ones((5, 2), np.float32), "wide")],
    )
    save(helper.make_model(graph), tmp_path / "m.onnx")
    found = describe_nodes(read_onnx(tmp_path / "m.onnx"), ["y", "z"], ["y", "z", "absent"]).outputs
    assert {name: [node.operator for node in nodes] for name, nodes in found.items()} == {
        "y": ["Mul", "Clip"],
        "z": ["Concat"],
    }
    mul, clip = found["y"]
    assert (mul.reads, mul.parameters["B"].values, mul.parameters["B"].shape) == (("x",), "0.1 inf", (2,))
    assert (clip.reads, clip.parameters["min"].values) == ((), "-6")
    (concat,) = found["z"]
    assert (concat.reads, concat.parameters["axis"]) == (("y",), "0")
    assert (concat.parameters["input 2"].sum, concat.parameters["input 2"].values) == ("10", None)
