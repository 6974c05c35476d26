"""Who is blamed where it is less than plain: NaN and overflow, several faults, a fault of file and runtime at once."""

import math
import shutil

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from export import export_artifact
from probe import build_probe
from proofs.planted_faults import edited_model
from report_making import make_output
from runtime import open_artifact, open_runner, verify
from runtime.float64.graph import Float64Graph
from runtime.verdict.blame import find_culprit
from runtime.verdict.error_shares import ErrorShare
from runtime.verdict.file_values import evaluate_file


@pytest.fixture
def planted(exported, tmp_path):
    """Return a copy of an artifact, with weights of its ONNX file changed."""

    def plant(artifact=None, **changes):
        folder = shutil.copytree(
            (artifact or exported("cnn11")).path, tmp_path / f"planted_{len(list(tmp_path.iterdir()))}"
        )
        with edited_model(folder) as model:
            for tensor in model.graph.initializer:
                if tensor.name in changes:
                    values = numpy_helper.to_array(tensor).copy()
                    changes[tensor.name](values)
                    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
        return open_artifact(folder)

    return plant


@pytest.fixture
def onnx_cpu_runs(stand_in):
    """Make `onnx-cpu` run another artifact than it is given, as a runtime with a fault of its own would."""

    def install(faulty):
        stand_in("onnx-cpu", lambda artifact, settings, outputs, opened: opened(faulty, settings, outputs))

    return install


def _scale(factor):
    def change(values):
        values *= np.float32(factor)

    return change


def _nan(values):
    values[0] = np.nan


def _blamed(runner):
    return runner.culprit.output, runner.culprit.cause


def test_a_nan_in_the_file_is_blamed_on_the_export(planted):
    report = verify(planted(**{"cnn2.bias": _nan}), trust=True)
    file, onnx_cpu, torchscript = report.runners
    assert [each.verdict for each in report.runners] == ["nonfinite", "nonfinite", "pass"]
    assert _blamed(file) == _blamed(onnx_cpu) == ("cnn2", "export")
    assert "cnn2" in report.headline
    assert "The ONNX file is at fault" in report.headline
    # What the file says there is no measure of who is right.
    assert max(output.introduced for output in torchscript.outputs) < 4


def test_what_overflows_later_is_not_blamed_for_what_it_was_given(tmp_path, planted, onnx_cpu_runs):
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1))
    with torch.no_grad():
        model[1].weight *= 1e10
    sound = open_artifact(export_artifact(build_probe(model.eval(), torch.ones(1, 3, 4, 4)), tmp_path / "sound"))
    onnx_cpu_runs(planted(sound, **{"0.weight": _scale(1e34)}))
    (runner,) = verify(sound, ["onnx-cpu"]).runners
    assert [output.verdict for output in runner.outputs] == ["drift", "inherited", "inherited"]
    assert _blamed(runner) == ("0", "runtime")


def test_of_several_faults_in_the_file_none_falls_on_a_runner_that_does_not_read_it(planted):
    artifact = planted(**{"cnn1.bias": _scale(3), "cnn2.bias": _scale(1000), "fc.bias": _scale(1000)})
    file, onnx_cpu, torchscript = verify(artifact, trust=True).runners
    assert _blamed(file) == _blamed(onnx_cpu) == ("cnn1", "export")
    assert torchscript.verdict == "pass"
    assert max(output.introduced for output in torchscript.outputs) < 4


def test_a_fault_of_the_file_that_scales_falls_on_no_runner_that_does_not_read_it(exported, tmp_path):
    folder = shutil.copytree(exported("cnn3").path, tmp_path / "scaled")
    with edited_model(folder) as model:
        node = next(each for each in model.graph.node if each.op_type == "BatchNormalization")
        next(each for each in node.attribute if each.name == "epsilon").f = 0.5
    file, onnx_cpu, torchscript = verify(open_artifact(folder), trust=True).runners
    assert _blamed(file) == _blamed(onnx_cpu) == (node.output[0], "export")
    # The fault also scales the error of the inputs, which shows where a value is next to 0.
    assert (torchscript.verdict, torchscript.culprit) == ("pass", None)


def test_a_runtime_far_off_where_the_file_is_a_little_off_is_to_blame_itself(planted, onnx_cpu_runs):
    onnx_cpu_runs(planted(**{"fc.bias": _scale(2)}))
    file, onnx_cpu = verify(planted(**{"fc.bias": _scale(1.01)}), ["onnx-float64", "onnx-cpu"]).runners
    assert _blamed(file) == ("fc", "export")
    assert file.outputs[-1].max_abs < onnx_cpu.outputs[-1].max_abs / 50
    assert _blamed(onnx_cpu) == ("fc", "runtime")


def test_a_failed_output_whose_share_is_not_known_is_blamed_before_those_that_brought_in_little():
    outputs = [make_output("a", 99.0, "drift"), make_output("b", 1e6, "drift"), make_output("c", 1e6, "drift")]
    little, much = ErrorShare(2.0, 0.0), ErrorShare(1e5, 0.0)
    assert find_culprit(outputs, {"a": little, "c": little}, {}).output == "b"
    assert find_culprit(outputs, {"a": little, "c": little}, {}).cause == "unknown"
    assert find_culprit(outputs, {"a": much, "c": little}, {}).output == "a"
    # Where all introduced what they may, it added up.
    added_up = find_culprit(outputs, dict.fromkeys("abc", little), {})
    assert (added_up.output, added_up.cause, added_up.accumulated) == ("b", "unknown", True)
    assert find_culprit(outputs[1:], {}, {}).output == "b"
    # What passes has no culprit, whatever it introduced.
    assert find_culprit([make_output("a", 1.0)], {}, {}) is None
    assert find_culprit([make_output("a", 1.0)], {"a": little}, {}) is None


def test_of_nan_the_first_that_was_not_handed_on_is_blamed():
    outputs = [make_output(name, None, "nonfinite") for name in "abc"]
    handed = ErrorShare(0.0, math.inf)
    assert find_culprit(outputs, {"a": handed, "b": ErrorShare(math.inf, 0.0), "c": handed}, {}).output == "b"
    # Without a measure of what they were given, nobody can tell whose fault it is.
    culprit = find_culprit(outputs, {}, {})
    assert (culprit.output, culprit.cause, culprit.introduced) == ("a", "unknown", None)


class EncodingItsPositions(nn.Module):
    """As XCiT: an encoding of the positions, which the exporter computes, repeated as often as there are photos."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, 4)
        self.projection = nn.Conv2d(8, 16, 3, padding=1)

    def forward(self, x):
        x = self.patches(x)
        rows = torch.arange(1, x.shape[2] + 1, dtype=torch.float32)[:, None].repeat(1, x.shape[3])
        angles = rows[:, :, None] / 10 ** torch.arange(4.0)
        encoding = torch.cat([angles.sin(), angles.cos()], 2).permute(2, 0, 1)[None]
        return x + self.projection(encoding).repeat(x.shape[0], 1, 1, 1)


def test_no_repeat_is_blamed_for_what_the_exporter_has_computed_before_it(tmp_path):
    torch.manual_seed(0)
    probe = build_probe(EncodingItsPositions().eval(), torch.randn(1, 3, 32, 32))
    artifact = open_artifact(export_artifact(probe, tmp_path / "model"))
    report = verify(artifact, ["onnx-cpu", "torchscript"])
    assert [(runner.verdict, runner.culprit) for runner in report.runners] == [("pass", None)] * 2
    # The repeated values are found wrong all the same.
    with edited_model(artifact.path) as model:
        (tile,) = [node for node in model.graph.node if node.op_type == "Tile"]
        (weight,) = [each for each in model.graph.initializer if each.name == tile.input[0]]
        weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(1.001), weight.name))
    assert not verify(open_artifact(artifact.path), ["onnx-cpu"]).passed


class Ranking(nn.Module):
    """Rounded scores, of which many are equal."""

    def __init__(self):
        super().__init__()
        self.scores = nn.Conv2d(3, 8, 3, padding=1)

    def forward(self, x):
        return tuple((self.scores(x) * 2).round().flatten(2).topk(5, -1))


def test_which_of_equal_values_comes_first_is_nobodys_fault(tmp_path):
    torch.manual_seed(0)
    artifact = open_artifact(export_artifact(build_probe(Ranking().eval(), torch.randn(1, 3, 12, 12)), tmp_path / "m"))
    (given,) = artifact.reference().inputs.values()
    indices = open_runner(artifact, "onnx-cpu").run(artifact.reference().inputs)["getitem_1"]
    torch.manual_seed(0)
    eager = Ranking().eval()
    with torch.no_grad():
        assert not np.array_equal(eager(torch.from_numpy(given))[1].numpy(), indices), "otherwise this tests nothing"
    report = verify(artifact, ["onnx-float64", "onnx-cpu", "torchscript"])
    assert [runner.verdict for runner in report.runners] == ["pass"] * 3
    # Places of other values are wrong: here of the smallest ones.
    with edited_model(artifact.path) as model:
        (top,) = [node for node in model.graph.node if node.op_type == "TopK"]
        (largest,) = [each for each in top.attribute if each.name == "largest"]
        largest.i = 0
    assert not verify(open_artifact(artifact.path), ["onnx-float64"]).passed


class Masked(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x + torch.full((x.shape[-1], x.shape[-1]), float("-inf")).triu(1)).softmax(-1)


class Overflowing(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(torch.exp(x * 70))


def test_a_float64_model_is_not_judged_by_the_float32_attributes_of_its_file(tmp_path):
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.GroupNorm(2, 8)).double().eval()
    x = torch.linspace(-2, 2, 2 * 3 * 8 * 8, dtype=torch.float64).reshape(2, 3, 8, 8)
    artifact = open_artifact(export_artifact(build_probe(model, x), tmp_path / "model"))
    report = verify(artifact, ["onnx-float64", "torchscript"])
    assert report.passed, report.headline
    # Its error can't be split by what is coarser than itself.
    assert all(output.introduced is None for output in report.runners[1].outputs)


@pytest.mark.parametrize("module", [Masked(), Overflowing()], ids=["mask", "overflow"])
def test_a_model_that_has_infinities_itself_is_not_blamed_for_them(tmp_path, module):
    x = torch.linspace(-2, 2, 2 * 3 * 8 * 8).reshape(2, 3, 8, 8)
    report = verify(
        open_artifact(export_artifact(build_probe(module, x), tmp_path / "model", name="model")), trust=True
    )
    assert report.passed, report.headline
    for runner in report.runners:
        assert {output.name: output.verdict for output in runner.outputs if output.verdict != "pass"} == {}


@pytest.fixture
def with_cast():
    """Put a cast to 16 bits and back before a node of the ONNX file, as a converter to mixed precision does."""

    def put(folder, before, to):
        with edited_model(folder) as model:
            (index, node) = next((i, node) for i, node in enumerate(model.graph.node) if before in node.output)
            narrow, wide = (
                onnx.helper.make_node("Cast", [source], [made], to=kind)
                for source, made, kind in ((node.input[0], "narrow", to), ("narrow", "wide", onnx.TensorProto.FLOAT))
            )
            node.input[0] = "wide"
            model.graph.node.insert(index, wide)
            model.graph.node.insert(index, narrow)
        return open_artifact(folder)

    return put


@pytest.mark.parametrize("to", ["FLOAT16", "BFLOAT16"])
def test_a_cast_to_16_bits_is_the_files(exported, tmp_path, with_cast, to):
    folder = shutil.copytree(exported("cnn11").path, tmp_path / "cast")
    artifact = with_cast(folder, "cnn2", getattr(onnx.TensorProto, to))
    file, onnx_cpu, torchscript = verify(artifact, trust=True).runners
    assert _blamed(file) == _blamed(onnx_cpu) == ("cnn2", "export")
    assert file.culprit.introduced > 50
    assert torchscript.verdict == "pass"


class _Halves(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return torch.relu(self.c(x).half().float()) * 3


@pytest.mark.parametrize("outputs", [[], ["relu", "mul"]], ids=["all", "none of them in 16 bits"])
def test_a_cast_to_16_bits_of_the_models_own_is_no_fault(tmp_path, outputs):
    torch.manual_seed(0)
    probe = build_probe(_Halves().eval(), torch.randn(1, 3, 8, 8), outputs=outputs)
    report = verify(open_artifact(export_artifact(probe, tmp_path / "halves")), trust=True)
    assert report.passed, report.headline


def test_the_same_faults_of_a_file_are_found_whether_or_not_it_is_reported(exported, planted):
    sound = exported("cnn2")
    # The first is less than constants of float32 may cost, and more than is seen without a second convolution.
    faulty = planted(sound, **{"cnn1.weight": _scale(1 + 5e-7), "cnn2.weight": _scale(1 + 1e-4)})
    found = {}
    for artifact in (sound, faulty):
        graph = Float64Graph(artifact.file("model.onnx"), artifact.manifest.output_names)
        dtypes = {output.name: output.dtype for output in artifact.manifest.outputs}
        found[artifact.path] = [
            evaluate_file(graph, artifact.reference(), dtypes, measured=measured) for measured in (True, False)
        ]
    for one, other in found.values():
        assert one.faults == other.faults
        assert [each.failed for each in one.comparisons] == [each.failed for each in other.comparisons]
    assert [list(each.faults) for each in found[faulty.path]] == [["cnn2"]] * 2
    one, other = found[sound.path]
    assert [each.drift for each in one.comparisons] != [each.drift for each in other.comparisons]
