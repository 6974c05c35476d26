"""Faults that one input of noise, at one batch and one size, would not show: found, and the operation is named."""

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from PIL import Image
from torch import nn

from export import export_artifact
from probe import build_probe
from proofs.planted_faults import edited_model
from runtime import open_artifact, verify

FILE, CPU = "onnx-float64", "onnx-cpu"


class Net(nn.Module):
    """A clamp that noise doesn't reach, a pooling that halves the size, and a mask of a value a pixel."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.clamp = nn.ReLU6()
        self.pool = nn.AvgPool2d(2)
        self.mask = nn.Conv2d(4, 1, 1)

    def forward(self, x):
        return self.mask(self.pool(self.clamp(self.conv(x))))


@pytest.fixture(scope="module")
def open_sized(tmp_path_factory):
    probe = build_probe(Net().eval(), torch.randn(1, 3, 34, 34), dynamic_size=True)
    return export_artifact(probe, tmp_path_factory.mktemp("open") / "a")


@pytest.fixture
def change(open_sized, tmp_path):
    """Return a function that rewrites one node of the file, and returns the artifact."""

    def rewrite(output, make):
        import shutil

        folder = shutil.copytree(open_sized, tmp_path / "changed")
        with edited_model(folder) as model:
            place = next(index for index, node in enumerate(model.graph.node) if output in node.output)
            made = make(model.graph, model.graph.node[place])
            nodes = [*model.graph.node[:place], *made, *model.graph.node[place + 1 :]]
            del model.graph.node[:]
            model.graph.node.extend(nodes)
        return open_artifact(folder)

    return rewrite


def same(node, output):
    """Return a copy of a node with another output."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.output[0] = output
    return copy


def judged(artifact):
    """Return what each runner says: verdict, culprit, cause and the recorded input that shows it."""
    report = verify(artifact, [FILE, CPU])
    said = [
        (runner.verdict, runner.culprit and runner.culprit.output, runner.culprit and runner.culprit.cause)
        for runner in report.runners
    ]
    return said, {runner.recorded_input for runner in report.runners}, report.headline


def test_the_recorded_inputs_of_a_model_of_images(open_sized):
    references = open_artifact(open_sized).references()
    found = {each.name: [array.shape for array in each.inputs.values()] for each in references}
    assert list(found) == ["noise", "strong noise", "a photo", "a batch of 3", "a size of 41 x 59"]
    assert found["a batch of 3"][0][0] == 3
    assert found["a size of 41 x 59"] == [(1, 3, 41, 59)]
    report = verify(open_artifact(open_sized), [FILE, CPU])
    assert report.passed
    assert [each.name for each in report.runners[1].inputs] == list(found)
    assert report.untried == {}


def test_a_lost_clamp_that_only_a_strong_signal_reaches(change):
    artifact = change("clamp", lambda _, node: [helper.make_node("Relu", node.input[:1], node.output)])
    said, shown_by, headline = judged(artifact)
    assert said == [("drift", "clamp", "export")] * 2
    assert shown_by == {"strong noise"}
    assert "It shows on strong noise; on noise all is right." in headline


def test_a_fault_in_batches_of_more_than_one(change):
    def mixed(graph, node):
        graph.initializer.append(numpy_helper.from_array(np.array([0], np.int64), "first_axis"))
        return [
            same(node, "alone"),
            helper.make_node("ReduceMean", ["alone", "first_axis"], ["of_batch"], keepdims=1),
            helper.make_node("Max", ["alone", "of_batch"], node.output),
        ]

    said, shown_by, _ = judged(change("conv", mixed))
    assert said == [("drift", "conv", "export")] * 2
    assert shown_by == {"a batch of 3"}


def test_a_batch_that_the_file_cannot_run(change):
    def of_one_or_two(graph, node):
        # Right for one image and for two; three can't be added to two.
        constants = {"two": np.zeros((2, 1, 1, 1), np.float32), "none": np.array([0]), "most": np.array([2])}
        graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in constants.items())
        return [
            same(node, "alone"),
            helper.make_node("Shape", ["alone"], ["batch"], start=0, end=1),
            helper.make_node("Min", ["batch", "most"], ["taken"]),
            helper.make_node("Slice", ["two", "none", "taken", "none"], ["zeros"]),
            helper.make_node("Add", ["alone", "zeros"], node.output),
        ]

    report = verify(change("conv", of_one_or_two), [CPU])
    assert report.runners[0].culprit.output == "conv"
    assert report.runners[0].recorded_input == "a batch of 3"
    assert report.headline.startswith("onnx-cpu can't run the model on a batch of 3: ")
    assert "The ONNX file is at fault at Conv2d conv" in report.headline


def test_a_fault_at_odd_sizes(change):
    def rounded_up(_, node):
        next(each for each in node.attribute if each.name == "ceil_mode").i = 1
        return [node]

    said, shown_by, headline = judged(change("pool", rounded_up))
    assert said == [("shape", "pool", "export")] * 2
    assert shown_by == {"a size of 41 x 59"}
    assert "pool" in headline


def test_one_wrong_pixel_in_a_large_mask(tmp_path):
    class Mask(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.tail = nn.Conv2d(3, 1, 1), nn.Conv2d(1, 1, 1)

        def forward(self, x):
            return self.tail(self.conv(x).sigmoid())

    folder = export_artifact(build_probe(Mask().eval(), torch.randn(1, 3, 256, 256)), tmp_path / "a")
    with edited_model(folder) as model:
        spot = np.zeros((1, 1, 256, 256), np.float32)
        spot[0, 0, 100, 31] = 0.5
        model.graph.initializer.append(numpy_helper.from_array(spot, "spot"))
        node = next(each for each in model.graph.node if "sigmoid" in each.output)
        place = list(model.graph.node).index(node)
        node.output[0] = "before"
        model.graph.node.insert(place + 1, helper.make_node("Add", ["before", "spot"], ["sigmoid"]))
    said, _, _ = judged(open_artifact(folder))
    assert said == [("drift", "sigmoid", "export")] * 2


class Root(nn.Module):
    """Takes pictures from 0 to 1: noise has no root."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.gate = nn.Hardtanh(-100, 100)

    def forward(self, x):
        return self.gate(self.conv(x.pow(0.45)) + x.mean().sqrt())


def test_a_model_of_pictures_from_0_to_1_is_given_such(tmp_path):
    artifact = open_artifact(export_artifact(build_probe(Root().eval(), torch.rand(1, 3, 24, 24)), tmp_path / "a"))
    references = artifact.references()
    assert [each.name for each in references] == ["the example", "the example's range", "a photo", "a batch of 3"]
    for reference in references:
        (x,) = reference.inputs.values()
        assert 0 <= x.min() < x.max() <= 1
        assert not any(truth.nonfinite for truth in reference.truths.values())
    report = verify(artifact, [FILE, CPU])
    assert report.passed
    assert report.untried == {"gate": ["its input is never above 100", "its input is never below -100"]}


def test_the_users_own_input_is_judged_by_the_file_in_float64(tmp_path, layerprobe):
    artifact = export_artifact(build_probe(Root().eval(), torch.rand(1, 3, 24, 24)), tmp_path / "a")
    generator = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", generator.uniform(0, 1, (1, 3, 24, 24)))
    done = layerprobe("verify", artifact, "--input", tmp_path / "x.npy", "--json", tmp_path / "r.json")
    assert done.code == 0, done.err
    assert "onnx-float64 is left out" in done.err
    np.save(tmp_path / "x.npy", np.zeros((1, 3, 24, 25), np.float32))
    refused = layerprobe("verify", artifact, "--input", tmp_path / "x.npy")
    assert refused.code == 3
    assert "1 x 3 x 24 x 25" in refused.err
    Image.new("RGB", (40, 30)).save(tmp_path / "photo.png")
    refused = layerprobe("verify", artifact, "--input", tmp_path / "photo.png")
    assert refused.code == 3
    assert "photo.png is no .npy, .npz or .safetensors file" in refused.err
