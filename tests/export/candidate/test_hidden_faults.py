"""A fault that the first recorded input doesn't show, as a ReLU hides a channel that is negative on noise."""

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import torch
from candidate_files import nameless
from onnx import numpy_helper
from torch import nn

from export import export_artifact
from probe import build_probe
from runtime import open_artifact
from runtime.artifact.folder import Artifact
from runtime.verdict.report import Report

Judge = Callable[..., Report]


class Hidden(nn.Module):
    """Channel 3 of the first convolution and of the norm is below 0 on noise, and above on strong noise."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Conv2d(8, 4, 3)
        with torch.no_grad():
            self.first.bias[3] = -3.0
            self.norm.weight.uniform_(0.5, 2.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.relu(self.norm(self.first(x))))


@pytest.fixture(scope="module")
def hidden(tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, Path, Path]:
    """A model, a file of it with its batch norm, and one with that folded."""
    torch.manual_seed(0)
    folder, module, image = tmp_path_factory.mktemp("hidden"), Hidden().eval(), torch.randn(1, 3, 16, 16)
    source = open_artifact(export_artifact(build_probe(module, image), folder / "artifact"))
    for folded, training in (("kept", torch.onnx.TrainingMode.PRESERVE), ("folded", torch.onnx.TrainingMode.EVAL)):
        torch.onnx.export(
            module,
            (image,),
            folder / f"{folded}.onnx",
            dynamo=False,
            do_constant_folding=folded == "folded",
            training=training,
        )
    return source, folder / "kept.onnx", folder / "folded.onnx"


def channel_changed(operator: str, number: int) -> Callable[[onnx.ModelProto], None]:
    """Return what changes the sign of a channel of an operator's input, so that it stays below 0 on noise."""

    def change(model: onnx.ModelProto) -> None:
        node = next(each for each in model.graph.node if each.op_type == operator)
        tensor = next(each for each in model.graph.initializer if each.name == node.input[number])
        array = numpy_helper.to_array(tensor).copy()
        array[3] = -array[3] if array.ndim > 1 else 1.1 * array[3]
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))

    return change


def faulty(report: Report) -> set[str]:
    """Return the outputs at which the file is at fault."""
    return {each.name for each in report.runners[0].outputs if each.failed and each.verdict != "inherited"}


@pytest.mark.parametrize(("operator", "number", "culprit"), [("Conv", 1, "first"), ("BatchNormalization", 1, "norm")])
def test_a_fault_behind_a_relu_is_named_at_its_own_operation(
    operator: str, number: int, culprit: str, hidden: tuple[Artifact, Path, Path], judged: Judge, tmp_path: Path
):
    source, kept, _ = hidden
    report = judged(nameless(kept, tmp_path / "kept.onnx", channel_changed(operator, number)), source)
    assert faulty(report) == {culprit}
    assert {each.name for each in report.outputs} == {"first", "norm", "relu", "last"}
    assert operator in report.headline.split(",")[1]


def test_with_its_batch_norm_folded_the_convolution_is_named_too(
    hidden: tuple[Artifact, Path, Path], judged: Judge, tmp_path: Path
):
    source, _, folded = hidden
    report = judged(nameless(folded, tmp_path / "folded.onnx", channel_changed("Conv", 1)), source)
    assert faulty(report) == {"norm"}
    assert {each.name for each in report.outputs} == {"norm", "relu", "last"}


def test_right_files_are_found_as_before(hidden: tuple[Artifact, Path, Path], judged: Judge, tmp_path: Path):
    source, kept, folded = hidden
    for file, found in ((kept, {"first", "norm", "relu", "last"}), (folded, {"norm", "relu", "last"})):
        report = judged(nameless(file, tmp_path / file.name), source)
        assert report.passed
        assert {each.name for each in report.outputs} == found


class Clamped(nn.Module):
    """Two clamps, which may as well be done in the other order."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last((4 * self.first(x)).clamp(min=0.0).clamp(max=1.0))


def test_what_is_alike_but_for_its_values_is_not_taken_for_it_in_a_right_file(judged: Judge, tmp_path: Path):
    torch.manual_seed(0)
    module, image = Clamped().eval(), torch.randn(1, 3, 16, 16)
    source = open_artifact(export_artifact(build_probe(module, image), tmp_path / "artifact"))
    torch.onnx.export(module, (image,), tmp_path / "clamps.onnx", dynamo=False)

    def other_order(model: onnx.ModelProto) -> None:
        first, second = (node for node in model.graph.node if node.op_type == "Clip")
        bounds = list(first.input[1:]), list(second.input[1:])
        del first.input[1:], second.input[1:]
        first.input.extend(bounds[1])
        second.input.extend(bounds[0])

    report = judged(nameless(tmp_path / "clamps.onnx", tmp_path / "other.onnx", other_order), source)
    assert report.passed
    assert {each.name for each in report.outputs} == {"first", "mul", "clamp_1", "last"}
