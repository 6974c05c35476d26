"""A batch norm that was folded in float32: what its mean and bias cancel is no fault, and what is above that is."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from export import export_artifact
from export.sources import write_candidate_of
from probe import build_probe
from runtime import Artifact, open_artifact
from runtime.verdict.report import Report
from runtime.verdict.verification import verify

_MEAN = 1000.0


@pytest.fixture(scope="module")
def cancelling(tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, Path]:
    """A batch norm whose bias cancels nearly all of its mean, as an artifact, and as a file in which it is folded."""
    folder = tmp_path_factory.mktemp("folded")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU()).eval()
        norm = model[1]
        nn.init.uniform_(norm.running_var, 0.3, 1.5)
        nn.init.constant_(norm.running_mean, _MEAN)
        norm.bias.data = norm.running_mean * norm.weight / torch.sqrt(norm.running_var + norm.eps) + 0.1
    image = torch.randn(1, 3, 8, 8)
    artifact = export_artifact(build_probe(model, image), folder / "artifact")
    torch.onnx.export(model, (image,), folder / "folded.onnx", dynamo=False, opset_version=17)
    return open_artifact(artifact), folder / "folded.onnx"


def judged(artifact: Artifact, file: Path, folder: Path) -> Report:
    right_values = write_candidate_of(file, artifact, folder, lambda phase: None)
    return verify(open_artifact(folder), ["onnx-float64", "onnx-cpu"], right_values=right_values)


def moved(file: Path, target: Path, change: Callable[[np.ndarray], np.ndarray]) -> Path:
    """Write the file with another bias."""
    model = onnx.load(file)
    (bias,) = (each for each in model.graph.initializer if len(each.dims) == 1)
    bias.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(bias)).astype(np.float32), bias.name))
    onnx.save(model, target)
    return target


def test_what_folding_in_float32_cancels_is_no_fault(cancelling: tuple[Artifact, Path], tmp_path: Path):
    artifact, file = cancelling
    assert {node.op_type for node in onnx.load(file).graph.node} == {"Conv", "Relu"}
    report = judged(artifact, file, tmp_path / "judged")
    assert report.passed
    assert report.candidate is not None
    assert report.candidate.fused == {"0": "1"}


def test_the_bound_is_what_the_batch_norm_adds_up_times_epsilon(cancelling: tuple[Artifact, Path], tmp_path: Path):
    artifact, file = cancelling
    rounding = 2 * _MEAN * float(np.finfo(np.float32).eps)  # of |mean| / deviation + |bias|, with a deviation near 1
    right = judged(artifact, moved(file, tmp_path / "right.onnx", lambda b: b + rounding), tmp_path / "a")
    assert right.passed
    wrong = judged(artifact, moved(file, tmp_path / "wrong.onnx", lambda b: b + 12 * rounding), tmp_path / "b")
    assert {each.name for each in wrong.runners[0].outputs if each.failed} == {"1"}


def test_a_file_of_one_image_is_not_said_to_be_given_a_batch(cancelling: tuple[Artifact, Path], tmp_path: Path):
    artifact, file = cancelling
    assert [each.name for each in artifact.references()] == ["noise", "strong noise", "a photo", "a batch of 3"]
    runner = judged(artifact, file, tmp_path / "judged").runners[1]
    assert [each.name for each in runner.inputs] == ["noise", "strong noise", "a photo"]
