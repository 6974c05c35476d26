"""Tensors that hold infinities, as an attention's masked scores, are matched by these and by what else they hold."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from candidate_files import nameless
from onnx import numpy_helper
from torch import nn

from export import export_artifact
from probe import build_probe
from runtime import open_artifact
from runtime.artifact.agreement import Tensor, best_alignment
from runtime.artifact.folder import Artifact
from runtime.verdict.report import Report

Judge = Callable[..., Report]
INF, NAN = np.inf, np.nan


class Masked(nn.Module):
    """Patches that see those before them alone."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.of = nn.Conv2d(3, 8, 4, 4), nn.ModuleList(nn.Linear(8, 8) for _ in range(3))
        self.register_buffer("mask", torch.ones(16, 16).tril() == 0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        query, key, value = (each(tokens) for each in self.of)
        scores = (query @ key.transpose(1, 2)).masked_fill(self.mask, float("-inf"))
        return (scores.softmax(-1) @ value).mean(1)


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, Path]:
    torch.manual_seed(0)
    folder, module, image = tmp_path_factory.mktemp("masked"), Masked().eval(), torch.randn(1, 3, 16, 16)
    source = open_artifact(export_artifact(build_probe(module, image), folder / "artifact"))
    torch.onnx.export(module, (image,), folder / "model.onnx", dynamo=False, opset_version=13)
    return source, folder / "model.onnx"


def test_masked_scores_are_found_and_pass(masked: tuple[Artifact, Path], judged: Judge, tmp_path: Path):
    source, file = masked
    report = judged(nameless(file, tmp_path / "made.onnx"), source)
    assert report.passed
    assert {each.name for each in report.outputs} == {each.name for each in source.manifest.outputs}


@pytest.mark.parametrize(("row", "column"), [(9, 4), (4, 9)])
def test_a_mask_that_leaves_out_another_fails_where_it_is(
    row: int, column: int, masked: tuple[Artifact, Path], judged: Judge, tmp_path: Path
):
    def change(model: onnx.ModelProto) -> None:
        (mask,) = (each for each in model.graph.initializer if each.data_type == onnx.TensorProto.BOOL)
        array = numpy_helper.to_array(mask).copy()
        array[row, column] = not array[row, column]
        mask.CopyFrom(numpy_helper.from_array(array, mask.name))

    source, file = masked
    report = judged(nameless(file, tmp_path / "made.onnx", change), source)
    faulty = {each.name for each in report.runners[0].outputs if each.failed and each.verdict != "inherited"}
    assert faulty, report.headline
    assert faulty <= {"masked_fill", "softmax"}
    assert "Where" in report.headline


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ([1.0, -INF, 3.0], [1.0, -INF, 3.0], True),
        ([1.0, NAN, 3.0], [1.0, NAN, 3.0], True),
        ([1.0, -INF, 3.0], [1.0, INF, 3.0], False),
        ([1.0, -INF, 3.0], [-INF, 1.0, 3.0], False),
        ([1.0, -INF, 3.0], [1.0, 2.0, 3.0], False),
        ([-INF, -INF, -INF], [-INF, -INF, -INF], False),
    ],
)
def test_infinities_are_alike_in_the_same_places_beside_numbers_that_are(
    one: list[float], other: list[float], *, alike: bool
):
    tensors = Tensor(np.array(one)), Tensor(np.array(other))
    found = best_alignment(*tensors)
    assert (tensors[0].may_equal(tensors[1], 1e-3) and found is not None and found[0] < 1e-3) == alike
