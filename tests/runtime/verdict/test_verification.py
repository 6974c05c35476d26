"""Verify: true models pass, a planted fault is found at its layer, and every form of the report says the same."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import numpy_helper

from conftest import VARIANTS
from proofs.planted_faults import edited_model
from runtime import RUNNERS, RunnerUnavailable, UsageError, open_artifact, verify
from runtime.reporting.json_report import load_report
from runtime.runners.registry import why_unavailable
from runtime.verdict.drift import PASSING_DRIFT
from runtime.verdict.verification import Report


def _plant(folder: Path, weight: str, change) -> Path:
    with edited_model(folder) as model:
        tensor = next(each for each in model.graph.initializer if each.name == weight)
        values = numpy_helper.to_array(tensor).copy()
        change(values)
        tensor.CopyFrom(numpy_helper.from_array(values, weight))
    return folder


@pytest.fixture
def copied(exported, tmp_path):
    def copy(variant: str) -> Path:
        return Path(shutil.copytree(exported(variant).path, tmp_path / variant))

    return copy


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_runner_of_this_machine_passes_on_every_variant(exported, variant):
    report = verify(exported(variant), trust=True)
    assert {"onnx-cpu", "torchscript"} <= {runner.name for runner in report.runners}
    assert report.passed
    for runner in report.runners:
        assert [output.name for output in runner.outputs] == exported(variant).manifest.output_names
        # Far from the limit: the margin is there for other machines, not used up here.
        assert max(output.drift for output in runner.outputs) < PASSING_DRIFT / 2


@pytest.mark.parametrize(
    ("variant", "weight", "first"),
    [
        ("cnn11", "cnn1.weight", "cnn1"),
        ("cnn11", "batchnorm1.running_mean", "batchnorm1"),
        ("cnn11", "cnn2.bias", "cnn2"),
        ("cnn11", "batchnorm2.weight", "batchnorm2"),
        ("cnn11", "fc.weight", "fc"),
        ("cnn2", "cnn2.weight", "cnn2"),
        ("cnn3", "fc.bias", "fc"),
    ],
)
def test_a_fault_in_one_number_of_a_weight_is_found_at_its_layer(copied, variant, weight, first):
    def change(values):
        values.reshape(-1)[values.size // 2] += 0.01

    folder = _plant(copied(variant), weight, change)
    report = verify(open_artifact(folder), ["onnx-cpu", "torchscript"])
    faulty, sound = report.runners
    assert (faulty.verdict, faulty.first_failing) == ("drift", first)
    assert (sound.verdict, sound.first_failing) == ("pass", None)


def test_a_nan_is_its_own_verdict_at_the_layer_that_makes_it(copied):
    def change(values):
        values[0] = np.nan

    report = verify(open_artifact(_plant(copied("cnn3"), "cnn2.bias", change)), ["onnx-cpu"])
    assert (report.runners[0].verdict, report.runners[0].first_failing) == ("nonfinite", "cnn2")


def test_terminal_json_and_exit_code_say_the_same(copied, tmp_path, layerprobe):
    def change(values):
        values[0] *= 1.01

    folder = _plant(copied("cnn11"), "cnn2.weight", change)
    outcome = layerprobe("verify", folder, "--runner", "onnx-cpu", "--json", tmp_path / "r.json")
    assert outcome.code == 1
    assert "the first is cnn2 (drift)" in outcome.out
    report = json.loads((tmp_path / "r.json").read_text())
    assert " ".join(report) == (
        "format_version headline environment outputs results runners left_out unopened goal candidate untried undefined"
    )
    runner = report["runners"][0]
    assert (runner["name"], runner["verdict"], runner["first_failing"]) == ("onnx-cpu", "drift", "cnn2")
    keys = {"name", "verdict", "drift", "max_abs", "relative_to_scale", "sqnr_db", "cosine", "introduced", "inherited"}
    assert all(set(output) == keys for output in runner["outputs"])
    assert [output["verdict"] for output in runner["outputs"][:5]] == ["pass"] * 4 + ["drift"]
    assert Report.model_validate(report).passed is False
    assert layerprobe("verify", folder, "--runner", "torchscript").code == 0


def test_a_report_that_compared_nothing_does_not_pass():
    assert not Report(headline="", environment={}, outputs=(), runners=[]).passed


def test_an_unknown_runner_is_wrong_usage(exported, layerprobe):
    with pytest.raises(UsageError, match="onnx-cpu, onnx-cuda, onnx-tensorrt"):
        verify(exported("cnn2"), ["onnx-gpu"])
    refused = layerprobe("verify", exported("cnn2").path, "--runner", "onnx-gpu")
    assert refused.code == 2
    assert "The runners: onnx-float64, onnx-cpu" in refused.err


def test_a_runner_asked_for_by_name_that_cannot_work_is_an_error(exported, monkeypatch):
    monkeypatch.setattr("runtime.runners.registry.why_unavailable", lambda name: "it is broken")
    with pytest.raises(RunnerUnavailable, match="onnx-cpu was requested, but it is broken"):
        verify(exported("cnn2"), ["onnx-cpu"])


def test_compute_nodes_on_another_provider_are_a_verdict_of_their_own(exported, monkeypatch, stand_in):
    def open_misplaced(artifact, settings, outputs, opened):
        runner = opened(artifact, settings, outputs)
        runner.name, runner.misplaced = "onnx-cuda", ["Conv cnn2"]
        runner.providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
        return runner

    stand_in("onnx-cuda", open_misplaced, of="onnx-cpu")
    monkeypatch.setattr("runtime.verdict.runner_trial.prevented_by_probing", lambda *arguments: None)
    monkeypatch.setattr("runtime.runners.registry.why_unavailable", lambda name: None)
    report = verify(exported("cnn2"), ["onnx-cuda"])
    assert report.runners[0].verdict == "placement"
    assert not report.passed
    allowed = verify(exported("cnn2"), ["onnx-cuda"], allow_fallback=True)
    assert allowed.passed
    assert allowed.runners[0].misplaced == ["Conv cnn2"]


def test_a_runner_that_fails_is_told_and_the_others_are_judged(exported, monkeypatch, layerprobe):
    from runtime.artifact.errors import ExecutionError
    from runtime.runners.onnx import OnnxRunner

    def fail(self, inputs):
        raise ExecutionError("out of memory")

    monkeypatch.setattr(OnnxRunner, "run", fail)
    report = verify(exported("cnn2"), trust=True)
    onnx_cpu = next(runner for runner in report.runners if runner.name == "onnx-cpu")
    assert (onnx_cpu.verdict, onnx_cpu.error) == ("missing", "out of memory")
    assert [runner.verdict for runner in report.runners if runner.name != "onnx-cpu"] == ["pass", "pass"]
    assert report.headline == "onnx-cpu can't run the model: out of memory"
    assert layerprobe("verify", exported("cnn2").path).code == 1
    # Where just what works is asked for, a runner that doesn't is left out.
    monkeypatch.setitem(RUNNERS, "onnx-reference", RUNNERS["onnx-cpu"])
    assert verify(exported("cnn2"), ["all"], trust=True).left_out["onnx-cpu"] == "out of memory"


def test_an_output_of_which_nothing_can_be_proven_is_called_so(tmp_path, layerprobe):
    (tmp_path / "noisy.py").write_text(
        "import torch\n\n\nclass Noisy(torch.nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.conv = torch.nn.Conv2d(3, 4, 3)\n\n    def forward(self, x):\n        y = self.conv(x)\n"
        "        torch.rand_like(y) * 2\n        return y\n\n\ndef model():\n    return Noisy()\n"
    )
    layerprobe("export", f"{tmp_path / 'noisy.py'}:model", "-o", tmp_path / "noisy", "--input-size", "8")
    outcome = layerprobe("verify", tmp_path / "noisy", "--runner", "torchscript", "--json", tmp_path / "r.json")
    verdicts = {
        output["name"]: output["verdict"]
        for output in json.loads((tmp_path / "r.json").read_text())["runners"][0]["outputs"]
    }
    assert verdicts["conv"] == "pass"
    assert set(verdicts.values()) == {"pass", "unproven"}
    assert outcome.code == 0
    assert outcome.out.startswith("Nothing fails, but nothing is proven for rand_like: ")
    assert "All pass" not in outcome.out
    assert "all 2 outputs pass" not in outcome.out
    assert load_report(tmp_path / "r.json").runners[0].verdict == "unproven"


def test_a_runner_that_cannot_be_opened_takes_nothing_from_the_others(exported, tmp_path, layerprobe):
    folder = tmp_path / "art"
    shutil.copytree(exported("cnn2").path, folder)
    (folder / "model.torchscript.pt").write_bytes(b"no longer what it was")
    forms = ("--json", "r.json", "--junit", "r.xml", "--html", "r.html")
    outcome = layerprobe("verify", folder, "--trust", *(tmp_path / each if "." in each else each for each in forms))
    assert outcome.code == 3, outcome
    assert re.search(r"onnx-cpu: all \d+ outputs pass", outcome.out)
    assert outcome.out.startswith("torchscript can't be opened: ")
    assert "was altered" in outcome.out
    report = load_report(tmp_path / "r.json")
    assert not report.passed
    assert [runner.verdict for runner in report.runners] == ["pass"] * len(report.runners)
    assert report.unopened["torchscript"].exit_code == 3
    assert '<failure type="unopened"' in (tmp_path / "r.xml").read_text()
    assert "✕ not opened" in (tmp_path / "r.html").read_text()


def test_a_requested_runner_that_is_not_available_ends_with_4_after_the_others(exported, layerprobe, monkeypatch):
    usual = why_unavailable
    monkeypatch.setattr(
        "runtime.runners.registry.why_unavailable", lambda name: "it is broken" if name == "openvino" else usual(name)
    )
    both = ("--runner", "onnx-cpu", "--runner", "openvino")
    outcome = layerprobe("verify", exported("cnn2").path, *both)
    assert outcome.code == 4
    assert re.search(r"onnx-cpu: all \d+ outputs pass", outcome.out)
    assert "openvino: can't be opened: The runner openvino was requested, but it is broken." in outcome.out
    alone = layerprobe("verify", exported("cnn2").path, "--runner", "openvino")
    assert (alone.code, alone.out) == (4, "")


def test_operators_that_no_package_registered_leave_a_runner_out(exported, monkeypatch):
    def unknown(*arguments, **options):
        raise RuntimeError("\nUnknown builtin op: torchvision::deform_conv2d.\nCould not find any similar ops")

    monkeypatch.setattr(torch.jit, "load", unknown)
    report = verify(exported("cnn2"), trust=True)
    assert report.passed
    assert "an operator that no installed package has registered" in report.left_out["torchscript"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyError("a private name")])
def test_fusions_that_cannot_be_named_fail_nothing(exported, layerprobe, monkeypatch, error):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr("runtime.verdict.unprobed.optimised_graph", fail)
    report = verify(exported("cnn2"), ["onnx-cpu"])
    assert report.passed
    unprobed = report.runners[0].unprobed
    assert unprobed.prevented is None
    assert type(error).__name__ in unprobed.prevented_unknown
    assert unprobed.difference is not None
    outcome = layerprobe("verify", exported("cnn2").path, "--runner", "onnx-cpu")
    assert outcome.code == 0
    assert f"the fusions that probing prevents can't be named ({type(error).__name__}" in outcome.out
