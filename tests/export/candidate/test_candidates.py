"""Somebody's ONNX file judged against its source: whose tensor is whose, and what is wrong with it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from candidate_files import MEAN, STD, Made, Net, nameless
from onnx import helper, numpy_helper
from torch import nn
from torch.nn import functional

from export import export_artifact
from probe import build_probe
from runtime import open_artifact
from runtime.artifact.errors import InputError, ModelError
from runtime.verdict.report import Report

Judge = Callable[..., Report]


def weight_of(model: onnx.ModelProto, operator: str, number: int) -> onnx.TensorProto:
    """Return the weight of one of a file's operators."""
    node = [each for each in model.graph.node if each.op_type == operator][number]
    return next(tensor for tensor in model.graph.initializer if tensor.name == node.input[1])


def change_weight(operator: str, number: int, change: Callable[[np.ndarray], np.ndarray]) -> Callable[..., None]:
    def changed(model: onnx.ModelProto) -> None:
        tensor = weight_of(model, operator, number)
        array = np.ascontiguousarray(change(numpy_helper.to_array(tensor)), np.float32)
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))

    return changed


def clamps_lost(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        if node.op_type == "Clip":
            node.op_type = "Relu"
            del node.input[1:]


def residual_added_twice(model: onnx.ModelProto) -> None:
    node = next(each for each in model.graph.node if each.op_type == "Add")
    place, made = list(model.graph.node).index(node), node.output[0]
    node.output[0] = "once"
    model.graph.node.insert(place + 1, helper.make_node("Add", ["once", node.input[1]], [made]))


def parts_swapped(model: onnx.ModelProto) -> None:
    node = next(each for each in model.graph.node if each.op_type == "Concat" and len(each.input) == 2)
    node.input[:] = list(node.input)[::-1]


def pixels_of_corners(model: onnx.ModelProto) -> None:
    node = next(each for each in model.graph.node if each.op_type == "Resize")
    mode = next(each for each in node.attribute if each.name == "coordinate_transformation_mode")
    mode.s = b"asymmetric"


def halved(model: onnx.ModelProto) -> None:
    node = next(each for each in model.graph.node if each.op_type == "Concat" and len(each.input) == 2)
    place, given = list(model.graph.node).index(node), node.input[0]
    for number, (source, made, to) in enumerate([(given, "half", 10), ("half", "back", 1)]):
        model.graph.node.insert(place + number, helper.make_node("Cast", [source], [made], to=to))
    node.input[0] = "back"


def test_a_file_without_names_is_found_to_be_the_model(made: Made, judged: Judge):
    report = judged(made.file)
    assert report.passed
    assert report.headline.startswith("All pass.")
    assert [output.name for output in report.outputs] == [
        "norm", "relu6", "norm2", "silu", "add", "point", "side", "sigmoid", "cat", "interpolate", "mean", "head"
    ]  # fmt: skip
    assert report.candidate is not None
    assert report.candidate.matched == 12
    assert report.candidate.fused == {"stem": "norm", "depthwise": "norm2", "dropout": "cat"}
    assert report.candidate.unmatched == ()
    assert report.outputs[0].computed_by == "Conv 'v0'"
    assert all(output.source for output in report.outputs)


@pytest.mark.parametrize(
    ("change", "culprits"),
    [
        (change_weight("Conv", 0, lambda w: w * 1.2), {"norm"}),
        (change_weight("Conv", 1, lambda w: -w), {"norm2"}),
        (clamps_lost, {"relu6"}),
        (change_weight("Gemm", 0, lambda w: w[::-1]), {"head"}),
        (residual_added_twice, {"add"}),
        (parts_swapped, {"cat"}),
        (pixels_of_corners, {"interpolate"}),
    ],
)
def test_a_fault_is_named_by_the_sources_names_though_the_file_has_none(
    change: Callable[..., None], culprits: set[str], made: Made, judged: Judge, tmp_path: Path
):
    report = judged(nameless(made.file, tmp_path / "faulty.onnx", change))
    file, runner = report.runners
    assert {each.name for each in file.outputs if each.failed} == culprits
    assert file.culprit is not None
    assert file.culprit.output in culprits
    assert (runner.verdict.fails, runner.culprit and runner.culprit.output) == (True, file.culprit.output)


def test_a_cast_to_half_precision_and_back_is_named_at_the_step_it_is_in(made: Made, judged: Judge, tmp_path: Path):
    report = judged(nameless(made.file, tmp_path / "halved.onnx", halved), runners=("onnx-float64",))
    assert {each.name for each in report.runners[0].outputs if each.failed} == {"cat"}
    assert "it has Cast, Cast that the model has not" in report.headline


def test_two_faults_are_both_named(made: Made, judged: Judge, tmp_path: Path):
    def both(model: onnx.ModelProto) -> None:
        change_weight("Conv", 1, lambda w: w * 0.5)(model)
        change_weight("Conv", 3, lambda w: w[::-1])(model)

    report = judged(nameless(made.file, tmp_path / "faulty.onnx", both))
    assert {each.name for each in report.runners[0].outputs if each.failed} == {"norm2", "side"}
    assert "It is at fault at" in report.headline


@pytest.mark.parametrize(
    ("scale", "shift", "reverse", "said"),
    [
        (1.0, 0.0, True, "the input's channels reversed (BGR for RGB)"),
        (1 / 255, 0.0, False, "the input times 255 (pixels of 0 to 255)"),
    ],
)
def test_what_a_file_wants_in_place_of_the_input_is_recognised(
    scale: float, shift: float, reverse: bool, said: str, made: Made, judged: Judge, tmp_path: Path
):
    change = change_weight("Conv", 0, lambda w: (w[:, ::-1] if reverse else w) * np.float32(scale) + np.float32(shift))
    report = judged(nameless(made.file, tmp_path / "other.onnx", change))
    assert report.candidate is not None
    assert report.candidate.given == said
    assert report.headline.endswith(f"The file wants {said}.")
    assert report.passed


def test_preprocessing_inside_is_recognised(made: Made, judged: Judge, tmp_path: Path):
    def normalise(model: onnx.ModelProto) -> None:
        graph = model.graph
        for name, numbers in (("mean", MEAN), ("std", STD)):
            array = np.array(numbers, np.float32).reshape(1, 3, 1, 1)
            graph.initializer.append(numpy_helper.from_array(array, name))
        first = graph.node[0]
        added = [
            helper.make_node("Sub", [graph.input[0].name, "mean"], ["centred"]),
            helper.make_node("Div", ["centred", "std"], ["normalised"]),
        ]
        first.input[0] = "normalised"
        rest = list(graph.node)
        del graph.node[:]
        graph.node.extend([*added, *rest])

    report = judged(nameless(made.file, tmp_path / "inside.onnx", normalise))
    assert report.candidate is not None
    assert report.candidate.given == "the input without mean and std (pixels of 0 to 1, normalised inside)"
    assert report.passed


def test_channels_last_are_found(made: Made, judged: Judge, tmp_path: Path):
    def channels_last(model: onnx.ModelProto) -> None:
        graph, value = model.graph, model.graph.input[0]
        dims = value.type.tensor_type.shape.dim
        dims[1].dim_value, dims[2].dim_value, dims[3].dim_value = 16, 16, 3
        graph.node[0].input[0] = "moved"
        rest = list(graph.node)
        del graph.node[:]
        # A convolution whose result is used in NHWC only, as converters write it.
        graph.node.append(helper.make_node("Transpose", [value.name], ["moved"], perm=[0, 3, 1, 2]))
        graph.node.extend(rest)

    report = judged(nameless(made.file, tmp_path / "nhwc.onnx", channels_last))
    assert report.passed
    assert report.candidate is not None
    assert report.candidate.matched == 12


def test_another_model_is_told_as_that(made: Made, judged: Judge, tmp_path: Path):
    with torch.random.fork_rng():
        torch.manual_seed(9)
        other = Net().eval()
    torch.onnx.export(other, (torch.randn(1, 3, 16, 16),), tmp_path / "other.onnx", dynamo=False, opset_version=17)
    with pytest.raises(ModelError, match="the same model with other weights, or given another input"):
        judged(tmp_path / "other.onnx")
    tiny = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 1), torch.nn.ReLU())
    torch.onnx.export(tiny, (torch.randn(1, 3, 16, 16),), tmp_path / "tiny.onnx", dynamo=False, opset_version=17)
    with pytest.raises(ModelError, match=r"computes \d of \d+ tensors of net: it seems to be another model"):
        judged(tmp_path / "tiny.onnx")


def test_another_number_of_inputs_is_refused(made: Made, judged: Judge, tmp_path: Path):
    def second(model: onnx.ModelProto) -> None:
        model.graph.input.append(helper.make_tensor_value_info("more", 1, [1]))

    with pytest.raises(InputError, match=r"takes 2 inputs \(pixels, more\), and its source 1"):
        judged(nameless(made.file, tmp_path / "two.onnx", second))


def test_a_type_that_no_artifact_holds_is_refused(made: Made, tmp_path: Path, layerprobe):
    model = onnx.load(made.file)
    model.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT8E4M3FN
    onnx.save(model, tmp_path / "odd.onnx")
    refused = layerprobe("verify", tmp_path / "odd.onnx", "--against", made.artifact.path)
    assert refused.code == 3
    first, second = refused.err.splitlines()
    assert first == "layerprobe: odd can't be described by an artifact: 'head' has the unknown type 'float8_e4m3fn'."
    assert second.startswith("artifacts/README.md lists what it can hold")


def test_an_input_without_a_type_is_refused(made: Made, tmp_path: Path, layerprobe):
    model = onnx.load(made.file)
    model.graph.input[0].type.tensor_type.elem_type = 0
    onnx.save(model, tmp_path / "odd.onnx")
    refused = layerprobe("verify", tmp_path / "odd.onnx", "--against", made.artifact.path)
    assert (refused.code, "the input 'pixels' is no tensor of numbers" in refused.err) == (3, True)


def test_the_command_line_takes_a_model_an_onnx_file_or_an_artifact_to_judge_against(
    made: Made, layerprobe: Callable[..., Any], tmp_path: Path
):
    passed = layerprobe("verify", made.file, "--against", made.artifact.path, "--runner", "onnx-cpu", "-q")
    assert (passed.code, passed.err) == (0, "")
    assert "12 of the 15 outputs of net are computed in the file; 3 are fused or removed (stem in norm, " in passed.out
    slimmer = nameless(made.file, tmp_path / "slim.onnx", change_weight("Conv", 0, lambda w: w * 1.5))
    failed = layerprobe("verify", slimmer, "--against", made.file, "--runner", "onnx-cpu", "-q")
    assert failed.code == 1
    assert failed.out.startswith("Conv 3x3 stride 2 v0, in the file Conv 'v0', introduced the largest error")
    wrong = layerprobe("verify", made.artifact.path, "--against", made.file)
    assert (wrong.code, "--against is for an ONNX file" in wrong.err) == (2, True)
    assert open_artifact(made.artifact.path).manifest.candidate is None


@pytest.mark.parametrize(("epsilon", "culprits"), [(1e-5, set()), (3e-3, {"0"})])
def test_a_norm_in_parts_is_judged_at_its_last_part(epsilon: float, culprits: set[str], judged: Judge, tmp_path: Path):
    # The norm divides by hardly more than one, so that x - mean is nearly what it computes.
    noise = functional.layer_norm(torch.randn(1, 6, 64, generator=torch.Generator().manual_seed(0)), (64,))
    module, image = nn.Sequential(nn.LayerNorm(64), nn.Linear(64, 4)).eval(), noise * 1.0004 + 0.3
    source = open_artifact(
        export_artifact(build_probe(module, image), tmp_path / "artifact", reference_inputs={"unit": (image,)})
    )
    module[0].eps = epsilon
    file = tmp_path / "parts.onnx"
    torch.onnx.export(module, (image,), file, dynamo=False, opset_version=11)
    assert "LayerNormalization" not in {node.op_type for node in onnx.load(file).graph.node}
    report = judged(file, source)
    assert {each.name for each in report.runners[0].outputs if each.failed} == culprits
    assert "Div" in next(each.computed_by for each in report.outputs if each.name == "0")


@pytest.mark.parametrize(("perm", "culprits"), [((0, 2, 1, 3, 4), set()), ((0, 1, 2, 3, 4), {"transpose"})])
def test_a_channel_shuffle_that_moves_nothing_is_named(
    perm: tuple[int, ...], culprits: set[str], judged: Judge, tmp_path: Path
):
    class Shuffled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.before, self.after = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.before(x).view(-1, 2, 3, 6, 6).transpose(1, 2).reshape(-1, 6, 6, 6)
            return self.after(y).mean((2, 3))

    module, image = Shuffled().eval(), torch.randn(1, 3, 8, 8)
    source = open_artifact(export_artifact(build_probe(module, image), tmp_path / "artifact"))
    file = tmp_path / "theirs.onnx"
    torch.onnx.export(module, (image,), file, dynamo=False, opset_version=17)

    def change(model: onnx.ModelProto) -> None:
        (node,) = (each for each in model.graph.node if each.op_type == "Transpose")
        node.attribute[0].ints[:] = perm

    report = judged(nameless(file, file, change), source)
    assert {each.name for each in report.runners[0].outputs if each.failed} == culprits
    assert ("its perm are 0 1 2 3 4, the model's 0 2 1 3 4" in report.headline) is bool(culprits)


def test_a_transposed_kernel_on_a_symmetric_tensor_is_the_only_fault(judged: Judge, tmp_path: Path):
    class Squeezed(nn.Module):
        """Of a tensor that equals its transpose, a transposed kernel makes the transpose of what the right one does."""

        def __init__(self) -> None:
            super().__init__()
            self.wide, self.gate, self.after = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = functional.silu(self.wide(x.mean((2, 3), keepdim=True).expand(-1, -1, 8, 8)))
            y = y * torch.sigmoid(self.gate(y.mean((2, 3), keepdim=True)))
            return self.after(y).mean(3)

    module, image = Squeezed().eval(), torch.randn(1, 4, 8, 8)
    source = open_artifact(export_artifact(build_probe(module, image), tmp_path / "artifact"))
    file = tmp_path / "theirs.onnx"
    torch.onnx.export(module, (image,), file, dynamo=False, opset_version=17)
    transposed = change_weight("Conv", 0, lambda weight: weight.swapaxes(2, 3))
    report = judged(nameless(file, file, transposed), source)
    assert {each.name for each in report.runners[0].outputs if each.failed} == {"wide"}
