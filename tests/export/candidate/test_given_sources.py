"""What a candidate is judged against, and on which inputs: by the command line and by Python."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from torch import nn

import layerprobe as lp

_SOURCE = """
import torch
from torch import nn


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d({channels}, 4, 3, stride=2, padding=1)
        self.head = nn.Linear(4, 2)

    def forward(self, image):
        return self.head(torch.relu(self.conv(image)).mean((2, 3)))


def make():
    torch.manual_seed(0)
    return Small().eval()
"""


def _source(folder: Path, channels: int = 3) -> tuple[Path, nn.Module]:
    file = folder / "net.py"
    file.write_text(_SOURCE.format(channels=channels), encoding="utf-8")
    namespace: dict[str, Any] = {}
    exec(file.read_text(encoding="utf-8"), namespace)
    return file, namespace["make"]()


def _exported(module: nn.Module, file: Path, *shape: int, open_axes: bool = False) -> Path:
    axes = {"image": {0: "n", 2: "h", 3: "w"}} if open_axes else None
    torch.onnx.export(
        module, (torch.zeros(shape),), file, dynamo=False, opset_version=17, input_names=["image"], dynamic_axes=axes
    )
    return file


@pytest.mark.parametrize("shape", [(1, 3, 20, 28), (1, 1, 28, 28), (4, 3, 20, 28)])
def test_a_source_without_an_example_takes_the_candidates_size_channels_and_batch(
    shape: tuple[int, ...], layerprobe: Callable[..., Any], tmp_path: Path
):
    source, module = _source(tmp_path, shape[1])
    file = _exported(module, tmp_path / "theirs.onnx", *shape)
    result = layerprobe("verify", file, "--against", f"{source}:make", "--runner", "onnx-cpu", "-q", "--all")
    assert (result.code, result.err) == (0, "")
    assert f"{shape[0]} x 4 x {shape[2] // 2} x {shape[3] // 2}" in result.out


def test_an_open_source_is_tried_at_the_size_of_the_candidate_and_the_other_way_round(tmp_path: Path):
    module = _source(tmp_path)[1]
    fixed = _exported(module, tmp_path / "fixed.onnx", 2, 3, 20, 28)
    open_ = _exported(module, tmp_path / "open.onnx", 1, 3, 32, 32, open_axes=True)
    for file, source in ((fixed, open_), (open_, fixed)):
        report = lp.verify_candidate(file, source, ["onnx-float64", "onnx-cpu"])
        assert (report.passed, report.candidate and report.candidate.matched) == (True, 4)


def test_a_fault_that_only_some_elements_of_a_batch_have_is_found(tmp_path: Path):
    module = _source(tmp_path)[1]
    model = onnx.load(_exported(module, tmp_path / "right.onnx", 4, 3, 20, 20))
    # The last image's channels are computed from the first one's.
    model.graph.initializer.append(helper.make_tensor("order", onnx.TensorProto.INT64, [4], [0, 1, 2, 0]))
    last = model.graph.node[-1]
    model.graph.node.insert(len(model.graph.node) - 1, helper.make_node("Gather", [last.input[0], "order"], ["mixed"]))
    last.input[0] = "mixed"
    onnx.save(model, tmp_path / "mixed.onnx")
    report = lp.verify_candidate(tmp_path / "mixed.onnx", tmp_path / "right.onnx", ["onnx-float64"])
    assert not report.passed
    source = lp.export_artifact(lp.build_probe(module, torch.zeros(1, 3, 20, 20)), tmp_path / "artifact")
    assert not lp.verify_candidate(tmp_path / "mixed.onnx", source, ["onnx-float64"]).passed


def test_a_source_of_another_size_is_refused_with_what_sets_it(tmp_path: Path):
    module = _source(tmp_path)[1]
    source = lp.export_artifact(lp.build_probe(module, torch.zeros(1, 3, 24, 24)), tmp_path / "artifact")
    file = _exported(module, tmp_path / "theirs.onnx", 1, 3, 20, 20)
    with pytest.raises(lp.InputError) as refused:
        lp.verify_candidate(file, source)
    assert str(refused.value) == (
        "theirs.onnx takes image of 1 x 3 x 20 x 20, and its source image of 1 x 3 x 24 x 24.\n"
        "Give both the same size: --input-size sets the source's, and an export of it the artifact's."
    )


def test_inputs_can_be_given_for_a_model_and_for_an_artifact(tmp_path: Path):
    module = _source(tmp_path)[1]
    file = _exported(module, tmp_path / "theirs.onnx", 1, 3, 20, 20)
    own = tmp_path / "own.npy"
    np.save(own, np.random.default_rng(0).random((1, 3, 20, 20), np.float32))
    source = lp.export_artifact(lp.build_probe(module, torch.zeros(1, 3, 20, 20)), tmp_path / "artifact")
    for against in (f"{tmp_path / 'net.py'}:make", lp.open_artifact(source)):
        report = lp.verify_candidate(file, against, ["onnx-cpu"], inputs=[own])
        assert report.passed
        assert [each.name for each in report.runners[0].inputs] == [str(own)]


def test_an_onnx_file_becomes_an_artifact_in_python(tmp_path: Path):
    loaded = lp.load_onnx(_exported(_source(tmp_path)[1], tmp_path / "theirs.onnx", 1, 3, 20, 20))
    folder = lp.export_onnx(loaded.probe, tmp_path / "theirs", preprocessing=loaded.preprocessing)
    assert lp.verify(folder, ["onnx-cpu"]).passed


def test_an_operator_that_nobody_has_is_refused_with_its_node_and_advice(tmp_path: Path):
    module = _source(tmp_path)[1]
    model = onnx.load(_exported(module, tmp_path / "right.onnx", 1, 3, 20, 20))
    relu = next(node for node in model.graph.node if node.op_type == "Relu")
    relu.op_type, relu.domain = "Rectify", "com.example"
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    onnx.save(model, tmp_path / "custom.onnx")
    with pytest.raises(lp.ModelError) as refused:
        lp.verify_candidate(tmp_path / "custom.onnx", tmp_path / "right.onnx")
    first, second = str(refused.value).splitlines()
    assert "can't be evaluated at com.example.Rectify '/Relu'" in first
    assert second == "Operators of com.example are unknown here: give the file from before a runtime's optimizer."


class _Softmax(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.module(image), 1)


def test_either_may_go_on_where_the_other_ends(tmp_path: Path):
    module = _source(tmp_path)[1]
    logits = _exported(module, tmp_path / "logits.onnx", 1, 3, 20, 20)
    scores = _exported(_Softmax(module), tmp_path / "scores.onnx", 1, 3, 20, 20)
    longer = lp.verify_candidate(scores, logits, ["onnx-float64", "onnx-cpu"])
    assert longer.passed
    assert longer.headline.endswith("The file returns what the model does not compute: Softmax '/Softmax'.")
    assert longer.candidate is not None
    assert (longer.candidate.lacks, len(longer.candidate.extra)) == ((), 1)
    shorter = lp.verify_candidate(logits, scores, ["onnx-float64"])
    assert shorter.passed
    assert shorter.candidate is not None
    (result,) = shorter.candidate.lacks
    assert shorter.headline == f"All pass. The file doesn't compute the model's {result}."


def test_a_head_for_other_classes_is_another_model(tmp_path: Path):
    module = _source(tmp_path)[1]
    logits = _exported(module, tmp_path / "logits.onnx", 1, 3, 20, 20)
    module.head = nn.Linear(4, 7)
    with pytest.raises(lp.ModelError, match="it seems to be"):
        lp.verify_candidate(_exported(module, tmp_path / "other.onnx", 1, 3, 20, 20), logits)


class _Pixels(nn.Module):
    """A model that takes pixels as cameras give them."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        image = pixels.permute(0, 3, 1, 2).float() / 255
        return self.module((image - 0.45) / 0.25)


@pytest.mark.parametrize("fault", [1.0, 1.1])
def test_a_file_that_takes_whole_pixels_is_judged_on_whole_pixels(fault: float, tmp_path: Path):
    module = _source(tmp_path)[1]
    steps = lp.Preprocessing(resize=20, crop=(20, 20), mean=[0.45] * 3, std=[0.25] * 3)
    probe = lp.build_probe(module, torch.zeros(1, 3, 20, 20))
    source = lp.export_artifact(probe, tmp_path / "artifact", preprocessing=steps)
    module.head.weight.data *= fault
    pixels = torch.zeros(1, 20, 20, 3, dtype=torch.uint8)
    torch.onnx.export(_Pixels(module), (pixels,), tmp_path / "u8.onnx", dynamo=False, opset_version=17)
    report = lp.verify_candidate(tmp_path / "u8.onnx", source, ["onnx-float64", "onnx-cpu"], goal="40 dB")
    assert report.candidate is not None
    assert report.candidate.given == "the input without mean and std (pixels of 0 to 255, normalised inside)"
    failed = [each.name for each in report.runners[0].outputs if each.failed]
    assert (report.passed, failed) == ((True, []) if fault == 1 else (False, ["head"]))
