"""Faults of exporters and runtimes are found, and the operation named; `make verdicts` plants two hundred of them."""

import html
import json
import shutil
from functools import cache
from xml.etree import ElementTree

import onnx
import pytest

from conftest import VARIANTS
from proofs.planted_faults import COMMON, KINDS, jobs, plant, rehash
from proofs.verdict_models import export_model
from runtime import open_artifact, verify
from runtime.float64.graph import Float64Graph


def _copy(artifact, tmp_path):
    return shutil.copytree(artifact.path, tmp_path / "faulty")


@pytest.mark.parametrize("kind", COMMON)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_fault_in_the_file_is_found_named_and_blamed_on_the_export(exported, tmp_path, variant, kind):
    folder = _copy(exported(variant), tmp_path)
    fault = plant(folder, kind, seed=len(kind))
    assert fault is not None
    report = verify(open_artifact(folder), ["onnx-float64", "onnx-cpu"])
    assert report.runners[0].verdict != "pass", fault
    for runner in report.runners:
        # What float32 can't tell from its own errors, the file in float64 shows.
        assert runner.verdict == "pass" or runner.culprit.output in fault.expected, fault
        assert runner.verdict == "pass" or runner.culprit.cause == "export"
    named = next(output for output in report.outputs if output.name == report.runners[0].culprit.output)
    assert f"{named.label} {named.name} ({named.source})" in report.headline
    assert "The ONNX file is at fault" in report.headline


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Return the artifact of a small network, exported once."""
    folder = tmp_path_factory.mktemp("small")

    @cache
    def export(name):
        return export_model(name, folder / name.replace(":", "-"))

    return export


@pytest.mark.parametrize(
    ("kind", "seed", "model"),
    [
        ("ReLU6 made ReLU", 2, "small:activations"),
        ("alpha of an activation 2 % off", 0, "small:activations"),
        ("beta of Gemm 1 % off", 0, "small:activations"),
        ("the other formula of GELU", 0, "small:activations"),
        ("one channel 0.2 % off beside a massive one", 0, "small:scales"),
        ("one pixel of a large mask 1 % off", 0, "small:scales"),
        ("a variance by E[y2] - E[y]2 10 % off", 0, "small:scales"),
        ("antialias of Resize", 0, "small:resampling"),
        ("cubic_coeff_a of Resize", 0, "small:resampling"),
        ("padding_mode of GridSample", 0, "small:resampling"),
    ],
)
def test_a_fault_that_is_rarely_seen_is_found_and_named(small, tmp_path, kind, seed, model):
    assert KINDS[kind].model(seed) == model
    folder = _copy(small(model), tmp_path)
    fault = plant(folder, kind, seed)
    report = verify(open_artifact(folder), ["onnx-float64", "onnx-cpu"])
    assert report.runners[0].verdict == "drift", fault
    assert report.runners[0].culprit.output in fault.expected, fault
    assert fault.shown_by == "the recorded input"


def test_what_only_a_larger_batch_shows_is_known_as_such(small, tmp_path):
    fault = plant(_copy(small("small:scales"), tmp_path), "a Slice of the example's batch", 0)
    assert fault.shown_by == "a batch of 3"


def test_no_fault_is_planted_where_nothing_would_change(small, tmp_path):
    folder = _copy(small("small:scales"), tmp_path)
    before = (folder / "model.onnx").read_bytes()
    # Its convolutions have no groups, and nothing is clamped from above.
    assert plant(folder, "the groups of a convolution permuted", 0) is None
    assert plant(folder, "ReLU6 made ReLU", 0) is None
    assert (folder / "model.onnx").read_bytes() == before


def test_two_hundred_faults_are_planted_no_two_of_them_with_the_same_choice():
    assert len(jobs()) == len(set(jobs())) == 200
    assert sum(kind in COMMON for kind, _, _ in jobs()) == 100


def test_a_sound_runner_beside_a_faulty_file_is_not_blamed(exported, tmp_path):
    folder = _copy(exported("cnn11"), tmp_path)
    plant(folder, "bias dropped", seed=3)
    file, onnx_cpu, torchscript = verify(open_artifact(folder), trust=True).runners
    assert [file.verdict, onnx_cpu.verdict, torchscript.verdict] == ["drift", "drift", "pass"]
    # Where the file is wrong its own operation can't give the expected value, yet what was introduced is known.
    assert max(output.introduced for output in torchscript.outputs) < 4


@pytest.fixture
def broken_runtime(exported, tmp_path, stand_in):
    """Make `onnx-cpu` run another file than the artifact's, as a runtime with a fault of its own would."""

    def install(variant, change):
        folder = _copy(exported(variant), tmp_path)
        model = onnx.load(folder / "model.onnx")
        change(model)
        onnx.save(model, folder / "model.onnx")
        rehash(folder)
        faulty = open_artifact(folder)
        stand_in("onnx-cpu", lambda artifact, settings, outputs, opened: opened(faulty, settings, outputs))
        return exported(variant)

    return install


def _weights(model, name):
    tensor = next(each for each in model.graph.initializer if each.name == name)
    return tensor, onnx.numpy_helper.to_array(tensor).copy()


def test_a_fault_of_the_runtime_is_named_and_blamed_on_the_runtime(broken_runtime):
    def change(model):
        tensor, values = _weights(model, "cnn2.weight")
        values[0] *= 1.01
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))

    report = verify(broken_runtime("cnn11", change), trust=True)
    file, onnx_cpu, torchscript = report.runners
    assert [file.verdict, onnx_cpu.verdict, torchscript.verdict] == ["pass", "drift", "pass"]
    assert (onnx_cpu.culprit.output, onnx_cpu.culprit.cause) == ("cnn2", "runtime")
    assert report.headline.startswith("Conv2d cnn2 (")
    assert "The runtime is at fault" in report.headline


def test_what_lies_behind_a_fault_has_inherited_its_error(broken_runtime):
    def change(model):
        tensor, values = _weights(model, "cnn2.weight")
        values[0] *= 1.01
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))

    report = verify(broken_runtime("cnn11", change), ["onnx-cpu"])
    outputs = report.runners[0].outputs
    names = [output.name for output in outputs]
    at = names.index("cnn2")
    assert outputs[at].introduced > 100
    assert outputs[at].inherited < 4
    assert all(output.drift < 4 for output in outputs[:at])
    behind = outputs[at + 1 :]
    assert all(output.introduced < 4 for output in behind)
    assert all(output.inherited > 16 for output in behind)


def test_a_nan_is_traced_to_the_operation_that_made_it(broken_runtime):
    def change(model):
        tensor, values = _weights(model, "batchnorm2.running_var")
        values[3] = -1.0  # under a square root
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))

    report = verify(broken_runtime("cnn11", change), ["onnx-float64", "onnx-cpu"])
    file, onnx_cpu = report.runners
    assert (file.verdict, onnx_cpu.verdict) == ("pass", "nonfinite")
    assert (onnx_cpu.culprit.output, onnx_cpu.culprit.cause) == ("batchnorm2", "runtime")
    assert "batchnorm2" in report.headline
    assert "is NaN or infinite in onnx-cpu" in report.headline


def test_a_nan_in_the_file_is_blamed_on_the_export(exported, tmp_path):
    folder = _copy(exported("cnn11"), tmp_path)
    model = onnx.load(folder / "model.onnx")
    tensor, values = _weights(model, "cnn2.weight")
    values[3] = float("nan")
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    onnx.save(model, folder / "model.onnx")
    rehash(folder)
    report = verify(open_artifact(folder), ["onnx-float64", "onnx-cpu"])
    for runner in report.runners:
        assert (runner.verdict, runner.culprit.output, runner.culprit.cause) == ("nonfinite", "cnn2", "export")
    assert "The ONNX file is at fault" in report.headline


def test_a_runner_with_a_file_of_its_own_is_not_called_faulty_where_that_file_may_be(exported, tmp_path, stand_in):
    folder = _copy(exported("cnn11"), tmp_path)
    plant(folder, "bias dropped", seed=3)
    faulty = open_artifact(folder)

    def open_it(artifact, settings, outputs, opened):
        runner = opened(faulty, settings, outputs)
        runner.file = "model.torchscript.pt"
        return runner

    stand_in("torchscript", open_it, of="onnx-cpu")
    report = verify(exported("cnn11"), ["torchscript"])
    assert (report.runners[0].verdict, report.runners[0].culprit.cause) == ("drift", "unknown")
    assert "the runner's own file, the runtime or its settings" in report.headline


def test_an_output_is_not_blamed_alone_for_what_is_no_output(tmp_path, layerprobe):
    chosen = ("--outputs", "cnn1", "--outputs", "relu")
    assert layerprobe("export", "cnn3", "-o", tmp_path / "few", *chosen).code == 0
    folder = tmp_path / "few"
    model = onnx.load(folder / "model.onnx")
    tensor, values = _weights(model, "batchnorm1.bias")
    tensor.CopyFrom(onnx.numpy_helper.from_array(values + 1, tensor.name))
    onnx.save(model, folder / "model.onnx")
    rehash(folder)
    report = verify(open_artifact(folder), ["onnx-cpu"])
    assert (report.runners[0].culprit.output, report.runners[0].culprit.or_one_of) == ("relu", ["batchnorm1"])
    assert "or an operation before it that is not an output (batchnorm1)" in report.headline


def test_where_everything_is_an_output_nothing_else_can_be_to_blame(exported):
    for variant in VARIANTS:
        artifact = exported(variant)
        graph = Float64Graph(artifact.file("model.onnx"), artifact.manifest.output_names)
        assert not any(graph.unexported_operations.values())


def test_shares_of_the_error_make_up_the_drift(exported):
    truths = exported("cnn11").reference().truths
    # Of what is kept whole: the drift of any other is of its worst channel, by that channel's own noise.
    whole = {name for name in truths if truths[name].channels is None}
    for runner in verify(exported("cnn11"), trust=True).runners:
        for output in runner.outputs:
            if output.name in whole:
                assert output.drift <= output.introduced + output.inherited + 1e-9
    assert whole


def test_the_unprobed_model_is_judged_as_well(exported):
    for runner in verify(exported("cnn11"), ["onnx-cpu", "torchscript"]).runners:
        assert [output.name for output in runner.unprobed.outputs] == ["fc"]
        assert runner.unprobed.outputs[0].verdict == "pass"
        assert runner.unprobed.difference < 4


def test_every_form_of_the_report_says_the_same(exported, tmp_path, layerprobe):
    sound, faulty = exported("cnn3").path, _copy(exported("cnn3"), tmp_path)
    plant(faulty, "two channels swapped", seed=1)
    for folder, code in ((sound, 0), (faulty, 1)):
        files = {form: tmp_path / f"{code}.{form}" for form in ("json", "junit", "html", "model-explorer")}
        options = [word for form, file in files.items() for word in (f"--{form}", file)]
        outcome = layerprobe("verify", folder, *options)
        assert outcome.code == code
        report = json.loads(files["json"].read_text())
        verdicts = {runner["name"]: runner["verdict"] for runner in report["runners"]}
        assert (set(verdicts.values()) == {"pass"}) == (code == 0)
        assert outcome.out.splitlines()[0] == report["headline"]
        suites = {suite.get("name"): suite for suite in ElementTree.parse(files["junit"]).getroot().iter("testsuite")}
        page = files["html"].read_text()
        assert html.escape(report["headline"], quote=False) in html.unescape(page).replace("&", "&amp;")
        for name, verdict in verdicts.items():
            failures = sum(int(suite.get("failures")) for each, suite in suites.items() if each.endswith(name))
            assert (failures > 0) == (verdict != "pass"), name
        data = json.loads(files["model-explorer"].read_text())
        assert set(next(iter(data.values()))["results"]) <= {output["name"] for output in report["outputs"]}


def test_a_baseline_fails_only_on_what_got_worse(exported, tmp_path, layerprobe):
    faulty = _copy(exported("cnn3"), tmp_path)
    assert layerprobe("verify", faulty, "--json", tmp_path / "sound.json").code == 0
    plant(faulty, "bias dropped", seed=1)
    outcome = layerprobe("verify", faulty, "--baseline", tmp_path / "sound.json", "--json", tmp_path / "faulty.json")
    assert outcome.code == 1
    assert "worse than the baseline: onnx-float64: " in outcome.out
    # What was wrong before is known.
    outcome = layerprobe("verify", faulty, "--baseline", tmp_path / "faulty.json")
    assert outcome.code == 0
    assert "Nothing is worse than in the baseline." in outcome.out
    outcome = layerprobe("verify", exported("cnn2").path, "--baseline", tmp_path / "sound.json")
    assert outcome.code == 2
    assert "cnn3" in outcome.err
