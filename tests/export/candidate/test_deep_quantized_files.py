"""A quantized file of many gated blocks: a late block's fault, which its residual hides from the result."""

import logging
from pathlib import Path

import onnx
import pytest
import torch
from candidate_files import Calibration, noise_images
from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
from torch import nn
from torch.nn import functional

from export import export_artifact
from export.sources import write_candidate_of
from probe import build_probe
from proofs.quantized_faults import FAULTS, Graph
from runtime import Artifact, open_artifact
from runtime.verdict.report import Report
from runtime.verdict.verification import verify

_, _DOUBLED = FAULTS["scale of a weight doubled"]


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Conv2d(8, 16, 3, padding=1), nn.Conv2d(16, 8, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 0.3 * self.narrow(functional.silu(self.wide(x)))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.blocks = nn.Conv2d(3, 8, 3), nn.Sequential(*(Block() for _ in range(12)))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.blocks(self.stem(image))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = Net().eval()
    folder = tmp_path_factory.mktemp("deep")
    image = torch.zeros(1, 3, 12, 12)
    torch.onnx.export(module, (image,), folder / "float.onnx", dynamo=False, opset_version=17, input_names=["image"])
    logging.disable(logging.WARNING)
    quantize_static(
        folder / "float.onnx",
        folder / "int8.onnx",
        Calibration("image", noise_images((1, 3, 12, 12))),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    logging.disable(logging.NOTSET)
    return open_artifact(export_artifact(build_probe(module, image), folder / "artifact"))


def judged(file: Path, source: Artifact, folder: Path) -> Report:
    right_values = write_candidate_of(file, source, folder, lambda phase: None)
    return verify(open_artifact(folder), ["onnx-float64"], right_values=right_values)


def test_a_right_file_passes(source: Artifact, tmp_path: Path):
    assert judged(source.path.parent / "int8.onnx", source, tmp_path / "judged").passed


def with_doubled_weights(right: Path, weight: str) -> onnx.ModelProto:
    for number in range(len(list(_DOUBLED(Graph(onnx.load(right)))))):
        graph = Graph(onnx.load(right))
        if list(_DOUBLED(graph))[number]().tensors == (weight,):
            return graph.model
    raise AssertionError(weight)


@pytest.mark.parametrize("block", [9, 10])
def test_a_late_blocks_doubled_weights_are_named(block: int, source: Artifact, tmp_path: Path):
    faulty = with_doubled_weights(source.path.parent / "int8.onnx", f"blocks.{block}.narrow.weight")
    onnx.save(faulty, tmp_path / "faulty.onnx")
    report = judged(tmp_path / "faulty.onnx", source, tmp_path / "judged")
    assert not report.passed
    assert report.headline.startswith(f"Conv2d blocks.{block}.narrow ")
