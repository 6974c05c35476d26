"""A file that was edited since its export: the report names the attribute, weight or operator that differs."""

import shutil

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from torch import nn

from export import export_artifact
from probe import build_probe
from proofs.planted_faults import edited_model
from runtime import open_artifact, verify
from runtime.verdict.node_differences import node_differences


class _Parts(nn.Module):
    """What is easily exported wrong, each as an output."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 12, 3, padding=1)
        self.norm = nn.BatchNorm2d(12, eps=1e-3)
        nn.init.constant_(self.norm.weight, 9.0)
        self.leaky = nn.LeakyReLU(0.2)
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.clip = nn.ReLU6()

    def forward(self, x):
        x = self.clip(self.pool(self.leaky(self.norm(self.conv(x)))))
        mean = x.mean((2, 3), keepdim=True)
        return x.softmax(1), x - mean


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    torch.manual_seed(0)
    probe = build_probe(_Parts().eval(), torch.randn(1, 3, 8, 8))
    return export_artifact(probe, tmp_path_factory.mktemp("parts") / "parts")


@pytest.fixture
def edited(parts, tmp_path):
    """Return a copy of the artifact, its ONNX file changed by a function of the model and the node of an output."""

    def edit(output, change):
        folder = shutil.copytree(parts, tmp_path / "edited")
        with edited_model(folder) as model:
            change(model, next(node for node in model.graph.node if output in node.output))
        return open_artifact(folder)

    return edit


def _attribute(name, value):
    def change(model, node):
        kept = [each for each in node.attribute if each.name != name]
        del node.attribute[:]
        node.attribute.extend([*kept, *([] if value is None else [helper.make_attribute(name, value)])])

    return change


def _weight(name, position, value):
    def change(model, node):
        tensor = next(each for each in model.graph.initializer if each.name == name)
        values = numpy_helper.to_array(tensor).copy()
        values.reshape(-1)[position] = value
        tensor.CopyFrom(numpy_helper.from_array(values, name))

    return change


def _input(position, value):
    def change(model, node):
        name = node.input[position]
        tensor = next(each for each in model.graph.initializer if each.name == name)
        tensor.CopyFrom(numpy_helper.from_array(np.array(value, np.float32), name))

    return change


def _operator(op_type, inputs):
    def change(model, node):
        node.op_type = op_type
        del node.input[inputs:]

    return change


def _narrowed(model, node):
    casts = [
        helper.make_node("Cast", [node.input[0]], ["narrow"], to=onnx.TensorProto.FLOAT16),
        helper.make_node("Cast", ["narrow"], ["wide"], to=onnx.TensorProto.FLOAT),
    ]
    node.input[0] = "wide"
    index = list(model.graph.node).index(node)
    for cast in reversed(casts):
        model.graph.node.insert(index, cast)


def _folded(model, node):
    node.op_type = "Constant"
    del node.input[:]
    del node.attribute[:]
    node.attribute.append(helper.make_attribute("value", numpy_helper.from_array(np.ones((1, 12, 4, 4), np.float32))))


def _crossed(model, node):
    node.input[0], node.input[1] = node.input[1], node.input[0]


@pytest.mark.parametrize(
    ("output", "change", "said"),
    [
        ("norm", _attribute("epsilon", 1e-5), "its epsilon is 1e-05, the model's 0.001"),
        ("norm", _attribute("epsilon", None), "its epsilon is 1e-05, the model's 0.001"),
        ("leaky", _attribute("alpha", 0.01), "its alpha is 0.01, the model's 0.2"),
        ("conv", _attribute("pads", [0, 0, 2, 2]), "its pads are 0 0 2 2, the model's 1 1 1 1"),
        ("pool", _attribute("ceil_mode", 0), "its ceil_mode is 0, the model's 1"),
        ("softmax", _attribute("axis", 2), "its axis is 2, the model's 1"),
        ("mean", _attribute("keepdims", 0), "its keepdims is 0, the model's 1"),
        ("clip", _input(2, 5), "its max is 5, the model's 6"),
        ("clip", _operator("Relu", 1), "it has Relu in place of the model's Clip"),
        ("clip", _folded, "it lacks the model's Clip"),
        ("norm", _narrowed, "it has Cast, Cast that the model has not"),
        ("sub", _crossed, "it reads mean, clip in place of clip, mean"),
    ],
)
def test_what_was_edited_is_named_at_the_culprit(edited, output, change, said):
    report = verify(edited(output, change), ["onnx-float64"])
    (file,) = report.runners
    assert (file.culprit.output, file.culprit.cause) == (output, "export")
    assert "; ".join(file.culprit.differences) == said
    assert f"still differs from the model; {said}. " in report.headline


def test_a_weight_of_which_one_number_was_changed_is_named_with_what_its_sum_tells(edited):
    report = verify(edited("conv", _weight("conv.weight", 7, 100.0)), ["onnx-float64"])
    (said,) = report.runners[0].culprit.differences
    assert said.startswith("its conv.weight differs from the model's (its sum is 96.95")


def test_what_means_the_same_is_no_difference(edited):
    def spelled_out(model, node):
        for name in ("group", "dilations", "auto_pad", "kernel_shape"):
            _attribute(name, None)(model, node)

    artifact = edited("conv", spelled_out)
    assert node_differences(artifact, "conv") == []
    assert verify(artifact, ["onnx-float64"]).passed


def test_a_file_that_is_as_it_was_exported_has_no_differences(parts):
    artifact = open_artifact(parts)
    assert {name: node_differences(artifact, name) for name in artifact.manifest.output_names} == {
        name: [] for name in artifact.manifest.output_names
    }


def test_an_artifact_without_the_record_is_judged_all_the_same(edited):
    artifact = edited("norm", _attribute("epsilon", 1e-5))
    manifest = artifact.manifest.model_copy(
        update={"files": {name: hash_ for name, hash_ in artifact.manifest.files.items() if name != "operations.json"}}
    )
    (artifact.path / "manifest.json").write_text(manifest.model_dump_json())
    culprit = verify(open_artifact(artifact.path), ["onnx-float64"]).runners[0].culprit
    assert (culprit.output, culprit.cause, culprit.differences) == ("norm", "export", [])


def test_of_several_nodes_each_is_named(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
    probe = build_probe(model, torch.randn(1, 3, 6, 6), outputs=["2"])
    folder = export_artifact(probe, tmp_path / "one")
    with edited_model(folder) as proto:
        _attribute("epsilon", 0.5)(
            proto, next(node for node in proto.graph.node if node.op_type == "BatchNormalization")
        )
    said = node_differences(open_artifact(folder), "2")
    assert said == ["its BatchNormalization's epsilon is 0.5, the model's 1e-05"]


def test_a_file_so_wrong_that_it_cant_be_run_is_told_by_its_fault(edited):
    report = verify(edited("mean", _attribute("keepdims", 0)), ["onnx-float64", "onnx-cpu"])
    assert [runner.verdict for runner in report.runners] == ["shape"]
    assert list(report.unopened) == ["onnx-cpu"]
    assert report.headline.startswith("mean mean (")
    assert "its keepdims is 0, the model's 1" in report.headline
