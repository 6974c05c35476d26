"""The model without the probe's outputs: what fails there alone is a verdict too, and the place is found."""

import html

import numpy as np
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from torch import nn

from export import export_artifact
from probe import build_probe
from runtime import RunnerUnavailable, open_artifact, verify
from runtime.artifact.errors import ExecutionError
from runtime.artifact.manifest import ONNX_FILE
from runtime.reporting.html_page import html_page
from runtime.reporting.json_report import load_report
from runtime.runners.onnx import OnnxRunner
from runtime.verdict.unprobed import mended_by_probing


@pytest.mark.parametrize("faulty", [{3}, {0}, {9}, {2, 7}, {0, 9}])
def test_the_first_output_without_which_the_results_are_wrong_is_found_in_few_runs(faulty):
    names = [f"output{number}" for number in range(10)]
    asked = []

    def is_right(watched):
        asked.append(watched)
        return {names[number] for number in faulty} <= set(watched)

    assert mended_by_probing(names, is_right) == names[min(faulty)]
    assert len(asked) <= 4


class _FusesWrongly(OnnxRunner):
    """A runtime that goes wrong by 1 % behind `relu_1` where that isn't asked for."""

    def run(self, inputs):
        arrays = super().run(inputs)
        return arrays if "relu_1" in self.names else {name: array * 1.01 for name, array in arrays.items()}


def test_what_a_runtime_fuses_wrongly_is_named(exported, monkeypatch):
    monkeypatch.setattr("runtime.runners.onnx.OnnxRunner", _FusesWrongly)
    report = verify(exported("cnn2"), ["onnx-cpu"])
    (runner,) = report.runners
    assert not report.passed
    assert not any(output.failed for output in runner.outputs)
    assert (runner.verdict, runner.first_failing) == ("drift", "fc")
    assert (runner.culprit.output, runner.culprit.cause, runner.culprit.only_unprobed) == ("relu_1", "runtime", True)
    assert runner.culprit.introduced == pytest.approx(runner.unprobed.outputs[0].drift)
    assert report.headline.startswith("onnx-cpu computes wrong results where ReLU relu_1 (")
    assert ") isn't requested: unprobed, fc is off by" in report.headline
    assert "Computes wrong results where relu_1 isn't requested" in html.unescape(html_page(report))


class _ThreeResults(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        x = self.c(x)
        return torch.relu(x), torch.sigmoid(x), torch.tanh(x)


@pytest.mark.parametrize(
    ("faults", "verdict", "told"),
    [
        ({"relu": 1.01, "tanh": 2.0}, "drift", "unprobed, relu is off by"),
        ({"relu": 1.01, "sigmoid": np.nan}, "drift", "unprobed, relu is off by"),
        ({"relu": np.nan, "sigmoid": 1.01}, "nonfinite", "unprobed, relu is NaN or infinite"),
    ],
)
def test_of_several_results_the_first_that_fails_is_told(tmp_path, monkeypatch, layerprobe, faults, verdict, told):
    class FusesWrongly(OnnxRunner):
        def run(self, inputs):
            arrays = super().run(inputs)
            if "c" in self.names:
                return arrays
            return {name: array * np.float32(faults.get(name, 1)) for name, array in arrays.items()}

    torch.manual_seed(0)
    probe = build_probe(_ThreeResults().eval(), torch.randn(1, 3, 8, 8))
    artifact = export_artifact(probe, tmp_path / "three")
    monkeypatch.setattr("runtime.runners.onnx.OnnxRunner", FusesWrongly)
    outcome = layerprobe("verify", artifact, "--runner", "onnx-cpu", "--json", tmp_path / "r.json")
    assert outcome.code == 1, outcome.err
    (runner,) = load_report(tmp_path / "r.json").runners
    assert (runner.verdict, runner.first_failing) == (verdict, "relu")
    assert (runner.culprit.output, runner.culprit.introduced) == ("c", runner.unprobed.outputs[0].drift)
    assert outcome.out.startswith("onnx-cpu computes wrong results where Conv2d c (")
    assert told in outcome.out


class _DividesByPosition(nn.Module):
    """OpenVINO 2026.4 multiplies the kernel of a convolution by what divides its input, where sizes fit."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 2, 3, padding=1)
        self.second = nn.Conv2d(2, 4, 5, padding=2)
        self.register_buffer("divisor", torch.linspace(1, 3, 25).reshape(5, 5))

    def forward(self, x):
        return self.second(self.first(x) / self.divisor)


class _AddsItsInput(nn.Module):
    """OpenVINO 2026.4 gives 0 for this residual on maps of 1 x 1, where the batch is open."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 16, 5)
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.register_buffer("factor", torch.linspace(0.1, 1, 16).reshape(16, 1, 1))

    def forward(self, x):
        x = self.first(x)
        return x + self.factor * (self.depthwise(x) - x)


@pytest.mark.parametrize(
    ("model", "result", "mended"), [(_DividesByPosition, "second", "truediv"), (_AddsItsInput, "add", "sub")]
)
def test_a_wrong_fusion_of_openvino_is_found_where_it_has_one(tmp_path, model, result, mended):
    openvino = pytest.importorskip("openvino")
    torch.manual_seed(0)
    model = model().eval()
    artifact = open_artifact(export_artifact(build_probe(model, torch.randn(1, 3, 5, 5)), tmp_path / "model"))
    report = verify(artifact, ["onnx-cpu", "openvino"])
    onnx_cpu, found = report.runners
    assert onnx_cpu.verdict == "pass"
    # Without layerprobe: the same file with its last result alone.
    (photo,) = artifact.reference().inputs.values()
    core = openvino.Core()
    whole = core.read_model(artifact.file(ONNX_FILE))
    plain = openvino.Model(whole.get_results()[-1:], whole.get_parameters(), "plain")
    given = core.compile_model(plain, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(photo)[0]
    with torch.no_grad():
        is_right = np.allclose(given, model(torch.from_numpy(photo)), rtol=1e-3, atol=1e-4)
    if is_right:  # a later version
        assert found.verdict == "pass"
    else:
        assert (found.verdict, found.first_failing) == ("drift", result)
        assert (found.culprit.output, found.culprit.only_unprobed) == (mended, True)


class _NormsChannelsLast(nn.Module):
    """onnx 1.23's reference evaluator adds up squares that lie apart one after another in float32.

    Where most channels hardly vary, as behind fresh layer scales, each step rounds the same way.
    """

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(2000)
        self.register_buffer("share", torch.where(torch.arange(2000) < 20, 1.0, 1e-6).reshape(2000, 1, 1))

    def forward(self, x):
        return self.norm((x * self.share + 1).permute(0, 2, 3, 1))


def test_sums_that_the_reference_evaluator_rounds_one_by_one_are_found(tmp_path):
    torch.manual_seed(0)
    model = _NormsChannelsLast().eval()
    artifact = open_artifact(export_artifact(build_probe(model, torch.randn(1, 2000, 8, 8)), tmp_path / "model"))
    report = verify(artifact, ["onnx-cpu", "onnx-reference"])
    onnx_cpu, found = report.runners
    assert onnx_cpu.verdict == "pass"
    # Without layerprobe: the largest error of a normalised value, in roundings of float32.
    inputs = dict(artifact.reference().inputs)
    (given,) = inputs.values()
    *_, result = ReferenceEvaluator(str(artifact.file(ONNX_FILE))).run(None, inputs)
    with torch.no_grad():
        truth = model.double()(torch.from_numpy(given).double()).numpy()
    roundings = np.abs(result - truth).max() / np.finfo(np.float32).eps
    if roundings < 50:  # a later version
        assert found.verdict == "pass"
    else:
        assert (found.verdict, found.culprit.output) == ("drift", "norm")


def test_a_runner_that_cannot_open_the_unprobed_model_alone_fails_and_stops_no_other(exported, monkeypatch):
    def refuse(artifact, name, settings, outputs):
        raise RunnerUnavailable("an engine can't be built")

    monkeypatch.setattr("runtime.verdict.runner_trial.open_runner", refuse)
    report = verify(exported("cnn2"), ["onnx-cpu", "torchscript"])
    assert [(runner.verdict, runner.first_failing) for runner in report.runners] == [("missing", "fc")] * 2


def test_a_runner_that_fails_on_the_unprobed_model_alone_is_a_verdict_too(exported, monkeypatch):
    run = OnnxRunner.run

    def fail_unprobed(self, inputs):
        if len(self.names) == 1:
            raise ExecutionError("out of memory")
        return run(self, inputs)

    monkeypatch.setattr(OnnxRunner, "run", fail_unprobed)
    report = verify(exported("cnn2"), ["onnx-cpu"])
    assert (report.runners[0].verdict, report.runners[0].first_failing) == ("missing", "fc")
    assert not any(output.failed for output in report.runners[0].outputs)
    assert report.headline == "onnx-cpu can't run the model without the probe's outputs: out of memory"
    assert report.runners[0].culprit is None
    assert "Without the probe's outputs it can't run: out of memory" in html.unescape(html_page(report))
    assert not report.passed
