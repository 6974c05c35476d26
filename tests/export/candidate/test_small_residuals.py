"""Blocks that add next to nothing, as with a fresh layer scale: tensors of many places are nearly alike."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from candidate_files import Calibration, nameless, noise_images
from onnx import numpy_helper
from onnxruntime.quantization import QuantFormat, quantize_dynamic, quantize_static
from onnxruntime.transformers.float16 import convert_float_to_float16
from torch import nn
from torch.nn import functional

from export import export_artifact
from probe import build_probe
from runtime import Artifact, open_artifact
from runtime.verdict.report import Report

Judge = Callable[..., Report]


class Block(nn.Module):
    """Channels last inside, a GELU in parts, and a residual that a layer scale makes tiny."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.depthwise, self.norm = nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.LayerNorm(8)
        self.wide, self.narrow = nn.Linear(8, 16), nn.Linear(16, 8)
        self.drop, self.path = nn.Dropout(0.1), nn.Identity()
        self.scale = nn.Parameter(torch.full((8,), scale))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.scale * self.drop(self.narrow(self.drop(functional.gelu(self.wide(y)))))
        return x + self.path(y.permute(0, 3, 1, 2))


class Net(nn.Module):
    """Norms over channels, two such blocks, a projected table of positions, attention, and a resize."""

    def __init__(self, scale: float = 1e-6) -> None:
        super().__init__()
        self.stem, self.first, self.last = nn.Conv2d(3, 8, 4, 4), nn.LayerNorm(8), nn.LayerNorm(8)
        self.blocks = nn.Sequential(nn.Identity(), Block(scale), Block(scale))
        self.positions, self.head = nn.Conv2d(4, 8, 1), nn.Linear(8, 5)
        self.table: torch.Tensor
        self.register_buffer("table", torch.linspace(0, 7, 4 * 64).reshape(1, 4, 8, 8))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.first(self.stem(image).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        x = self.blocks(x)
        x = self.last(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2) + self.positions(torch.sin(self.table))
        tokens = x.flatten(2).transpose(1, 2)
        # Spread over 64 tokens, no weight comes near one.
        attention = torch.softmax(tokens @ tokens.transpose(1, 2) * 0.05, -1)
        x = (attention @ tokens).transpose(1, 2).reshape(x.shape) + functional.interpolate(
            functional.max_pool2d(x, 2), scale_factor=2.0
        )
        return self.head(x.mean((2, 3)))


def images() -> list[np.ndarray]:
    """Return what is calibrated on: the first is the recorded input."""
    return noise_images((1, 3, 32, 32), 4)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, torch.Tensor, Artifact]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = Net().eval()
    image = torch.from_numpy(images()[0])
    folder = tmp_path_factory.mktemp("residuals") / "artifact"
    probe = build_probe(module, image)
    return module, image, open_artifact(export_artifact(probe, folder, reference_inputs={"image": (image,)}))


@pytest.fixture(scope="module")
def exported(source: tuple[nn.Module, torch.Tensor, Artifact], tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("residual-files") / "float.onnx"
    torch.onnx.export(source[0], (source[1],), file, dynamo=False, opset_version=13)
    return file


def as_exported(exported: Path, file: Path) -> None:
    file.write_bytes(exported.read_bytes())


def optimized(exported: Path, file: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(file)
    options.log_severity_level = 3
    onnxruntime.InferenceSession(exported, options, providers=["CPUExecutionProvider"])


def in_half_precision(exported: Path, file: Path) -> None:
    onnx.save(convert_float_to_float16(onnx.load(exported), keep_io_types=True), file)


def quantized(exported: Path, file: Path) -> None:
    name = onnx.load(exported).graph.input[0].name
    quantize_static(exported, file, Calibration(name, images()), quant_format=QuantFormat.QDQ)


def quantized_dynamically(exported: Path, file: Path) -> None:
    quantize_dynamic(exported, file)


@pytest.mark.parametrize("make", [as_exported, optimized, in_half_precision, quantized, quantized_dynamically])
def test_a_right_file_passes(
    make: Callable[[Path, Path], None],
    source: tuple[nn.Module, torch.Tensor, Artifact],
    exported: Path,
    judged: Judge,
    tmp_path: Path,
):
    make(exported, tmp_path / "right.onnx")
    report = judged(tmp_path / "right.onnx", source[2], runners=("onnx-float64",))
    assert report.passed, report.headline


def test_a_sum_that_is_computed_in_another_layout_is_not_taken_for_what_it_adds_nothing_to(
    judged: Judge, tmp_path: Path
):
    torch.manual_seed(0)
    model, image = Net(1e-7).eval(), torch.from_numpy(images()[0])
    source = open_artifact(export_artifact(build_probe(model, image), tmp_path / "artifact"))
    torch.onnx.export(model, (image,), tmp_path / "exported.onnx", dynamo=False, opset_version=17)
    optimized(tmp_path / "exported.onnx", tmp_path / "right.onnx")
    report = judged(tmp_path / "right.onnx", source, runners=("onnx-float64",))
    assert report.passed, report.headline


def test_a_fault_in_a_branch_that_hardly_counts_is_found_where_it_is_added(
    source: tuple[nn.Module, torch.Tensor, Artifact], exported: Path, judged: Judge, tmp_path: Path
):
    def larger(model: onnx.ModelProto) -> None:
        # The second block's, by which the result changes in its eighth digit.
        node = [each for each in model.graph.node if each.op_type == "MatMul"][3]
        tensor = next(each for each in model.graph.initializer if each.name == node.input[1])
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(1.1), tensor.name))

    report = judged(nameless(exported, tmp_path / "faulty.onnx", larger), source[2], runners=("onnx-float64",))
    assert {each.name for each in report.runners[0].outputs if each.failed} == {"blocks.2.add"}
    assert report.candidate is not None
    assert report.candidate.fused["blocks.2.narrow"] == "blocks.2.add"
