"""The averaged probe: each map is the mean over the channels, whichever way it is computed, and that is as planned."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn
from torch.nn import functional

from export import export_artifact
from export.averaging.averaged_onnx import average_onnx
from export.onnx_conversion import to_onnx
from probe import average_probe, build_probe
from runtime import Artifact, ArtifactError, Preprocessing, draw_grid, open_artifact, open_runner, verify
from runtime.artifact.errors import ModelError
from runtime.maps.channel_mean import channel_mean


class Block(nn.Module):
    """A stem, a residual block with a strided shortcut, a depthwise one with ReLU6, a concatenation and pools."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 2, 1)
        self.norm = nn.BatchNorm2d(16)
        self.wide = nn.Conv2d(16, 32, 3, 2, 1, bias=False)
        self.wide_norm = nn.BatchNorm2d(32)
        self.shortcut = nn.Conv2d(16, 32, 1, 2, bias=False)
        self.expand = nn.Conv2d(32, 48, 1, bias=False)
        self.expand_norm = nn.BatchNorm2d(48)
        self.depthwise = nn.Conv2d(48, 48, 3, 1, 1, groups=48)
        self.grouped = nn.Conv2d(48, 16, 3, 1, 2, dilation=2, groups=4)
        self.pool = nn.AvgPool2d(2)
        self.last_norm = nn.BatchNorm2d(64)
        self.head = nn.Linear(64, 5)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 2.0)
                nn.init.normal_(module.bias)
                nn.init.normal_(module.running_mean)
                nn.init.uniform_(module.running_var, 0.5, 2.0)
        with torch.no_grad():
            self.norm.weight[0] *= scale
            self.wide_norm.weight[:8] *= scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.norm(self.stem(x)))
        x = functional.relu(self.wide_norm(self.wide(x)) + self.shortcut(x))
        y = functional.relu6(self.expand_norm(self.expand(x)))
        y = functional.relu6(self.depthwise(y))
        x = torch.cat([x, self.grouped(y), functional.leaky_relu(x[:, :16])], 1)
        return self.head(functional.relu(self.last_norm(self.pool(x))).mean((2, 3)))


def averaged(model: nn.Module, *example: torch.Tensor, folder: Path, **options: Any) -> Artifact:
    export_artifact(build_probe(model, *example, **options), folder / "model", averaged=True)
    found = open_artifact(folder / "model").averaged()
    assert found is not None
    return found


def optimised(file: Path, folder: Path) -> onnx.GraphProto:
    """The graph that ONNX Runtime executes on the CPU."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return onnx.load(folder / "optimised.onnx").graph


def reads(artifact: Artifact, name: str) -> str:
    """The tensor of the model that a map is computed from."""
    graph = onnx.load(artifact.file("model.onnx")).graph
    producers = {value: node for node in graph.node for value in node.output}
    value = name
    while "::mean" in (node := producers[value]).name or "averaged::unchanged" in node.input:
        value = node.input[0]
        if value not in producers:
            break
    return value.removesuffix("::tensor")


@pytest.fixture(scope="module")
def block(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    torch.manual_seed(0)
    return averaged(Block().eval(), torch.zeros(1, 3, 32, 32), folder=tmp_path_factory.mktemp("block"))


def test_maps_are_the_means_of_the_full_probe(block: Artifact) -> None:
    full = open_artifact(block.path)
    inputs = {"x": np.random.default_rng(0).standard_normal((3, 3, 32, 32)).astype(np.float32)}
    arrays = open_runner(full, "onnx-cpu").run(inputs)
    maps = open_runner(block, "onnx-cpu").run(inputs)
    assert list(maps) == [entry.name for entry in full.manifest.outputs if entry.layout == "NCHW"] + ["head"]
    for name, array in maps.items():
        whole = arrays[name]
        expected = whole if name == "head" else whole.mean(1, keepdims=True)
        assert array.shape == expected.shape
        assert np.abs(array - expected).max() <= 1e-6 * np.abs(whole).max(), name


def test_they_pass_in_every_runner_and_by_themselves(block: Artifact) -> None:
    report = verify(block, ["all"], trust=True)
    assert {runner.name for runner in report.runners} >= {"onnx-float64", "onnx-cpu", "torchscript", "onnx-reference"}
    assert [runner.name for runner in report.runners if runner.verdict != "pass"] == []


def test_each_mean_is_read_where_that_is_cheapest(block: Artifact) -> None:
    # Three channels by nine taps cost more than the sixteen channels of the result.
    assert reads(block, "stem") == reads(block, "norm") == "norm"
    assert reads(block, "wide") == "wide_norm"
    # A 1 x 1 convolution rides along with the mean of what it reads; a strided one costs as much as its input.
    assert reads(block, "expand") == reads(block, "expand_norm") == reads(block, "relu_1") == "relu_1"
    assert reads(block, "shortcut") == "relu"
    # A depthwise convolution with one filter would take all channels by nine taps.
    assert reads(block, "depthwise") == "depthwise"
    # A batch norm without a convolution is a weighted mean of what it reads.
    assert reads(block, "last_norm") == reads(block, "pool") == "pool"


def test_a_channel_whose_scale_is_near_zero_is_not_divided_by(tmp_path: Path) -> None:
    torch.manual_seed(0)
    artifact = averaged(Block(scale=1e-9).eval(), torch.zeros(1, 3, 32, 32), folder=tmp_path)
    assert reads(artifact, "stem") == "x"
    assert reads(artifact, "norm") in ("norm", "x")
    assert reads(artifact, "wide") == "relu"
    report = verify(artifact, ["onnx-cpu"])
    assert report.passed
    assert max(output.drift or 0 for output in report.runners[0].outputs) < 8


def test_batch_norms_stay_fused_and_activations_in_the_convolutions_blocks(block: Artifact, tmp_path: Path) -> None:
    graph = optimised(block.file("model.onnx"), tmp_path)
    found = [node.op_type for node in graph.node]
    # That behind the pool has no convolution to go into.
    assert found.count("BatchNormalization") == 0
    assert "Clip" not in found
    assert "LeakyRelu" in found  # of a slice, which is no convolution's result
    # The model's own, over height and width.
    assert found.count("ReduceMean") == 1


def test_each_mean_is_taken_before_the_next_convolution_of_the_model(block: Artifact, tmp_path: Path) -> None:
    """Not behind the whole model, when the tensors have left the cache."""
    options = onnxruntime.SessionOptions()
    options.enable_profiling = True
    options.profile_file_prefix = str(tmp_path / "profile")
    session = onnxruntime.InferenceSession(block.file("model.onnx"), options, providers=["CPUExecutionProvider"])
    session.run(None, {"x": np.zeros((1, 3, 32, 32), np.float32)})
    events = json.loads(Path(session.end_profiling()).read_text())
    executed = [event["name"] for event in events if event["name"].endswith("_kernel_time")]

    def place(part: str) -> int:
        return next(index for index, name in enumerate(executed) if part in name)

    assert place("stem/Split") < place("wide_norm::tensor")
    assert place("relu/Conv") < place("wide_norm::tensor")
    assert place("wide/Split") < place("relu6::tensor")
    assert place("depthwise/Conv") < place("grouped")


class Mixed(nn.Module):
    """What no convolution takes a mean of: tokens with a class token, N H W C, half precision, integers."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.norm = nn.LayerNorm(8)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        x = self.patches(x)
        tokens = torch.cat([self.token.expand(len(x), -1, -1), x.flatten(2).transpose(1, 2)], 1)
        last = self.norm(x.permute(0, 2, 3, 1)) * 2
        return {"tokens": tokens * 3, "last": last, "half": x.half() + 1, "mask": x > 0}


def test_other_layouts_and_dtypes_are_averaged_too(tmp_path: Path) -> None:
    torch.manual_seed(0)
    artifact = averaged(Mixed().eval(), torch.randn(1, 3, 16, 24), folder=tmp_path)
    full = open_artifact(artifact.path)
    inputs = full.reference().inputs
    arrays = open_runner(full, "onnx-cpu").run(inputs)
    for runner in ("onnx-cpu", "torchscript"):
        maps = open_runner(artifact, runner).run(inputs)
        layouts = {entry.name: entry for entry in full.manifest.outputs}
        assert {layouts[name].layout for name in maps} == {"NCHW", "NHWC", "NLC"}
        assert {str(array.dtype) for array in maps.values()} == {"float32"}
        for name, array in maps.items():
            assert array.shape == (1, 1, 4, 6)
            expected = channel_mean(arrays[name], layouts[name].layout, layouts[name].tokens)
            assert np.allclose(array[0, 0], expected, atol=2e-3 if layouts[name].dtype == "float16" else 1e-6), name


def test_only_the_outputs_that_were_chosen_are_averaged(tmp_path: Path) -> None:
    torch.manual_seed(0)
    artifact = averaged(Block().eval(), torch.zeros(1, 3, 32, 32), folder=tmp_path, outputs=["relu*"])
    assert artifact.manifest.output_names == ["relu", "relu_1", "relu6", "relu6_1", "relu_2", "head"]
    assert verify(artifact, ["onnx-cpu"]).passed


def test_a_model_without_maps_has_nothing_to_average(tmp_path: Path) -> None:
    probe = build_probe(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), torch.zeros(2, 4))
    with pytest.raises(ModelError, match="None of the outputs of Sequential has a height and a width"):
        average_probe(probe)
    with pytest.raises(ModelError, match="no map to average"):
        export_artifact(probe, tmp_path / "linear", averaged=True)
    assert not (tmp_path / "linear").exists()


def test_the_grid_is_the_same_picture(block: Artifact) -> None:
    full = open_artifact(block.path)
    inputs = full.reference().inputs
    noise = block.reference().largest_noise
    names = block.manifest.output_names
    outputs = [output for output in full.manifest.outputs if output.name in names]
    one = draw_grid(open_runner(full, "onnx-cpu").run(inputs), outputs, reduce="mean").image()
    other = draw_grid(open_runner(block, "onnx-cpu").run(inputs), block.manifest.outputs, noise=noise).image()
    assert one.size == other.size
    difference = np.abs(np.asarray(one, int) - np.asarray(other, int))
    # A colour may be the next one in the table where rounding moves a value over its edge.
    assert np.count_nonzero(difference > 4) < difference.size / 1000


class Repeating(nn.Module):
    """Outputs that are another's tensor: dropout, a permuted view, a slice."""

    def __init__(self) -> None:
        super().__init__()
        self.c = nn.Conv2d(3, 8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.drop = nn.Dropout2d()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.drop(functional.relu(self.norm(self.c(x))))
        return x.permute(0, 2, 3, 1)[..., :4] * 2


@pytest.mark.parametrize("runner", ["onnx-cpu", "torchscript"])
@pytest.mark.parametrize("model", [Block, Repeating])
def test_each_map_alone_is_that_of_all(tmp_path: Path, model: type[nn.Module], runner: str) -> None:
    """As `grid` asks for it: the model is cut to what is drawn."""
    torch.manual_seed(0)
    artifact = averaged(model().eval(), torch.randn(1, 3, 32, 32), folder=tmp_path)
    inputs = open_artifact(artifact.path).reference().inputs
    whole = open_runner(artifact, runner).run(inputs)
    assert len(whole) >= 5
    for name, expected in whole.items():
        alone = open_runner(artifact, runner, outputs=[name]).run(inputs)
        assert list(alone) == [name]
        assert np.abs(alone[name] - expected).max() <= 1e-5 * np.abs(expected).max(), name


@pytest.mark.parametrize("runtime", ["onnx", "torchscript"])
def test_a_grid_of_some_outputs_is_that_of_the_full_probe(
    runtime: str, tmp_path: Path, photo: Path, layerprobe: Callable[..., Any]
) -> None:
    torch.manual_seed(0)
    probe = build_probe(Repeating().eval(), torch.randn(1, 3, 64, 64))
    steps = Preprocessing(resize=64, crop=(64, 64), mean=[0.5] * 3, std=[0.2] * 3)
    pictures = []
    for option in ("both", "full"):
        export_artifact(probe, tmp_path / option, preprocessing=steps, averaged=option == "both")
        outcome = layerprobe(
            *("grid", tmp_path / option, photo, "-o", tmp_path / f"{option}.png", "--runner", runtime),
            *("--outputs", "relu", "--outputs", "drop", "--outputs", "permute", "--aliases"),
        )
        assert outcome.code == 0, outcome.err
        with Image.open(tmp_path / f"{option}.png") as picture:
            pictures.append(np.asarray(picture, int))
    assert pictures[0].shape == pictures[1].shape
    assert np.count_nonzero(np.abs(pictures[0] - pictures[1]) > 4) < pictures[0].size / 1000


def test_an_artifact_may_hold_the_maps_alone(tmp_path: Path, photo: Path, layerprobe: Callable[..., Any]) -> None:
    folder = tmp_path / "maps"
    assert layerprobe("export", "cnn2", "-o", folder, "--averaged", "--no-full").out.startswith(
        f"{folder}: cnn2 as ONNX and TorchScript, averaged only"
    )
    files = ["averaged.onnx", "averaged.safetensors", "averaged.torchscript.pt", "manifest.json"]
    files += ["test_photo.png", "test_vectors.safetensors"]
    assert sorted(path.name for path in folder.iterdir()) == files
    for command in (
        ["verify", folder, "--runner", "onnx-cpu", "--runner", "eager"],
        ["grid", folder, photo, "-o", tmp_path / "maps.png"],
    ):
        outcome = layerprobe(*command)
        assert outcome.code == 0, outcome.err
    assert layerprobe("verify", folder, "--runner", "torch-export").code == 4
    # A lone file describes itself.
    shutil.copy(folder / "averaged.onnx", tmp_path / "lone.onnx")
    assert layerprobe("run", tmp_path / "lone.onnx", photo, "-o", tmp_path / "lone.safetensors").code == 0


def test_the_command_line_takes_the_maps_by_their_file(
    tmp_path: Path, photo: Path, layerprobe: Callable[..., Any]
) -> None:
    folder = tmp_path / "both"
    assert layerprobe("export", "cnn3", "-o", folder, "--averaged").code == 0
    assert "13 outputs pass" in layerprobe("verify", folder / "averaged.onnx").out
    full = layerprobe("verify", folder / "model.onnx")
    assert "15 outputs pass" in full.out
    assert f"The averaged probe is verified separately: layerprobe verify {folder / 'averaged.onnx'}" in full.err
    assert layerprobe("grid", folder, photo, "-o", tmp_path / "a.png").code == 0
    (folder / "averaged.onnx").write_bytes(b"something else")
    outcome = layerprobe("grid", folder, photo, "-o", tmp_path / "b.png")
    assert outcome.code == 3
    assert "averaged.onnx was altered after the export" in outcome.err
    (folder / "averaged.json").write_text("{}")
    with pytest.raises(ArtifactError, match=r"averaged\.json was altered"):
        open_artifact(folder).averaged()


def test_there_has_to_be_something_to_write(tmp_path: Path, layerprobe: Callable[..., Any]) -> None:
    outcome = layerprobe("export", "cnn3", "-o", tmp_path / "none", "--no-full")
    assert outcome.code == 2
    assert "--no-full leaves nothing to write: add --averaged" in outcome.err


STEPS = ("conv", "strided", "grouped", "depthwise", "norm", "relu", "relu6", "add", "concat", "pool", "sigmoid", "same")


class Drawn(nn.Module):
    """Carries out a list of steps, each on one or two earlier tensors of one size."""

    def __init__(self, plan: Sequence[tuple[str, int, int]]) -> None:
        super().__init__()
        self.plan = plan
        self.convolutions = nn.ModuleDict(
            {
                "conv": nn.Conv2d(8, 8, 3, padding=1, bias=False),
                "pointwise": nn.Conv2d(8, 8, 1),
                "grouped": nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=2),
                "depthwise": nn.Conv2d(8, 8, (3, 1), padding=(1, 0), groups=8),
                "narrow": nn.Conv2d(16, 8, 1, bias=False),
            }
        )
        self.stem = nn.Conv2d(2, 8, 3, stride=2, padding=1)
        self.norms = nn.ModuleList(nn.BatchNorm2d(8) for _ in plan)
        for norm in self.norms:
            nn.init.normal_(norm.weight)
            nn.init.normal_(norm.bias)
            nn.init.normal_(norm.running_mean)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made = [self.stem(x)]
        for number, (step, first, second) in enumerate(self.plan):
            one, other = made[first % len(made)], made[second % len(made)]
            made.append(self._carry_out(step, number, one, other))
        return made[-1]

    def _carry_out(self, step: str, number: int, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        match step:
            case "conv" | "grouped" | "depthwise":
                return self.convolutions[step](one)
            case "strided":
                return self.convolutions["pointwise"](one)
            case "norm":
                return self.norms[number](one)
            case "relu":
                return functional.relu(one)
            case "relu6":
                return functional.relu6(one)
            case "add":
                return one + other
            case "concat":
                return self.convolutions["narrow"](torch.cat([one, other], 1))
            case "pool":
                return functional.avg_pool2d(one, 3, 1, 1)
            case "sigmoid":
                return torch.sigmoid(one)
            case _:
                return functional.dropout(one, training=False)


@settings(max_examples=15, deadline=None)
@given(
    plan=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=9),
    seed=st.integers(0, 1000),
)
def test_drawn_networks_are_averaged_truly(plan: list[tuple[str, int, int]], seed: int) -> None:
    torch.manual_seed(seed)
    probe = build_probe(Drawn(plan).eval(), torch.randn(2, 2, 10, 9))
    maps = average_probe(probe)
    x = torch.randn(3, 2, 10, 9)
    with torch.no_grad():
        tensors, expected = probe(x), maps(x)
    for name, tensor in expected.items():
        assert torch.allclose(tensor, tensors[name].mean(1, keepdim=True))
    model = to_onnx(probe)
    average_onnx(model, probe.outputs, maps.outputs)
    proto = ir.to_proto(model)
    onnx.checker.check_model(proto, full_check=True)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    arrays = dict(zip(names, session.run(names, {"x": x.numpy()}), strict=True))
    assert names == list(expected)
    for name, array in arrays.items():
        scale = tensors[name].abs().max().item() or 1.0
        assert np.abs(array - expected[name].numpy()).max() <= 3e-6 * scale, name
