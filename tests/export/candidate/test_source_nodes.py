"""What is said of a fault in another tool's file: what differs in meaning, and not what is only written otherwise."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from candidate_files import nameless
from onnx import helper, numpy_helper
from torch import nn
from torch.nn import functional

from export import export_artifact
from probe import build_probe
from runtime import open_artifact
from runtime.verdict.report import Report

Judge = Callable[..., Report]
Change = Callable[[onnx.ModelProto], None]


class Model(nn.Module):
    """Two convolutions with a norm, a shape that is taken apart, and a weight that is computed."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.up, self.norm2 = nn.ConvTranspose2d(6, 4, 2, stride=2), nn.BatchNorm2d(4)
        self.standardised = nn.Conv2d(4, 5, 3)
        for norm in (self.norm, self.norm2):
            nn.init.uniform_(norm.weight, 0.5, 2.0)
            nn.init.uniform_(norm.running_var, 0.5, 2.0)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        y = functional.silu(self.norm2(self.up(functional.silu(self.norm(self.conv(image))))))
        weight = self.standardised.weight
        weight = weight - weight.mean((1, 2, 3), keepdim=True)
        y = functional.conv2d(y, weight, self.standardised.bias)
        return y.reshape(y.shape[0], 5, -1).mean(2)


@pytest.fixture(scope="module")
def model_and_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the model's artifact, and a file of it in which the norms are folded, and the weight is not."""
    torch.manual_seed(0)
    folder, module, image = tmp_path_factory.mktemp("written"), Model().eval(), torch.randn(1, 3, 8, 8)
    export_artifact(build_probe(module, image), folder / "artifact")
    torch.onnx.export(module, (image,), folder / "file.onnx", dynamo=False)
    return folder / "artifact", folder / "file.onnx"


def node_of(model: onnx.ModelProto, operator: str) -> onnx.NodeProto:
    return next(each for each in model.graph.node if each.op_type == operator)


def padded_aside(model: onnx.ModelProto) -> None:
    node = node_of(model, "Conv")
    next(each for each in node.attribute if each.name == "pads").ints[:] = [0, 1, 2, 1]


def element_changed(operator: str, number: int) -> Change:
    def change(model: onnx.ModelProto) -> None:
        name = node_of(model, operator).input[number]
        tensor = next(each for each in model.graph.initializer if each.name == name)
        array = numpy_helper.to_array(tensor).copy()
        array.reshape(-1)[1] += 0.5
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))

    return change


def not_centred(model: onnx.ModelProto) -> None:
    node = node_of(model, "Sub")
    node.op_type = "Add"


def reshaped_first(change: Change) -> Change:
    """Return what changes a file that takes its image's shape apart before it takes the image."""

    def both(model: onnx.ModelProto) -> None:
        image = model.graph.input[0].name
        for node in model.graph.node:
            node.input[:] = ["the image again" if name == image else name for name in node.input]
        for node in (
            helper.make_node("Reshape", [image, "its shape"], ["the image again"]),
            helper.make_node("Slice", ["whole shape", "from", "to"], ["its shape"]),
            helper.make_node("Shape", [image], ["whole shape"]),
        ):
            model.graph.node.insert(0, node)
        for name, number in (("from", 0), ("to", 4)):
            model.graph.initializer.append(numpy_helper.from_array(np.array([number], np.int64), name))
        change(model)

    return both


@pytest.mark.parametrize(
    ("change", "culprit", "begins"),
    [
        (padded_aside, "norm", "its pads are 0 1 2 1, the model's 1 1 1 1"),
        (reshaped_first(padded_aside), "norm", "its pads are 0 1 2 1, the model's 1 1 1 1"),
        (element_changed("Conv", 1), "norm", "its conv.weight differs from the model's (its sum is "),
        (element_changed("Conv", 2), "norm", "its conv.bias are "),
        (element_changed("ConvTranspose", 1), "up", "its up.weight differs from the model's (its sum is "),
        (not_centred, "conv2d", "its W is computed in the file, by ReduceMean, Add"),
    ],
)
def test_what_differs_in_meaning_is_said_and_nothing_else(
    change: Change, culprit: str, begins: str, model_and_file: tuple[Path, Path], judged: Judge, tmp_path: Path
):
    artifact, file = model_and_file
    report = judged(nameless(file, tmp_path / "changed.onnx", change), open_artifact(artifact), ("onnx-float64",))
    found = report.runners[0].culprit
    assert found is not None
    assert found.output == culprit
    (difference,) = found.differences
    assert difference.startswith(begins)
    assert f"; {difference}." in report.headline


def test_the_convolution_is_named_that_the_faulty_norm_is_folded_into(
    model_and_file: tuple[Path, Path], judged: Judge, tmp_path: Path
):
    artifact, file = model_and_file
    report = judged(nameless(file, tmp_path / "changed.onnx", padded_aside), open_artifact(artifact))
    assert "' with conv in it, introduced the largest error" in report.headline


def test_a_norm_folded_into_a_transposed_convolution_is_compared_folded(
    model_and_file: tuple[Path, Path], judged: Judge, tmp_path: Path
):
    artifact, _ = model_and_file
    torch.manual_seed(0)
    torch.onnx.export(Model().eval(), (torch.randn(1, 3, 8, 8),), tmp_path / "file.onnx", dynamo=True)
    changed = nameless(tmp_path / "file.onnx", tmp_path / "changed.onnx", element_changed("ConvTranspose", 1))
    assert "BatchNormalization" not in {node.op_type for node in onnx.load(changed).graph.node}
    found = judged(changed, open_artifact(artifact), ("onnx-float64",)).runners[0].culprit
    assert found is not None
    (difference,) = found.differences
    assert (found.output, difference.partition(" (")[0]) == ("norm2", "its up.weight differs from the model's")
