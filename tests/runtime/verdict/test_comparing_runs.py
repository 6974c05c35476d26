"""Compare: two recorded runs, say of two machines, are judged without the model or the artifact."""

import json

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from runtime.verdict.report import Report


@pytest.fixture
def recorded(exported, photo, tmp_path, layerprobe):
    """Record a run of a variant and return the file."""

    def record(name, *options, variant="cnn11", image=None):
        file = tmp_path / f"{name}.safetensors"
        images = [] if "--recorded-input" in options else [image or photo]
        outcome = layerprobe("run", exported(variant).path, *images, "-o", file, *options)
        assert outcome.code == 0, outcome.err
        return file

    return record


def _altered(file, to, change):
    """Write a recorded run with other tensors, as another machine might have recorded it."""
    with safe_open(file, framework="np") as opened:
        metadata = opened.metadata()
    arrays = load_file(file)
    change(arrays)
    save_file(arrays, to, metadata=metadata)
    return to


def _with_record(file, to, change):
    """Write a recorded run that says something else of itself."""
    with safe_open(file, framework="np") as opened:
        metadata = opened.metadata()
    record = change(json.loads(metadata["layerprobe.run"]))
    save_file(load_file(file), to, metadata=metadata | {"layerprobe.run": json.dumps(record)})
    return to


def test_two_runtimes_agree_on_a_photo(recorded, layerprobe, tmp_path):
    one = recorded("one")
    other = recorded("other", "--runner", "torchscript")
    outcome = layerprobe("compare", one, other, "--json", tmp_path / "r.json")
    assert outcome.code == 0, outcome.out
    report = Report.model_validate_json((tmp_path / "r.json").read_text())
    assert [runner.name for runner in report.runners] == ["torchscript against onnx-cpu"]
    assert len(report.runners[0].outputs) == len(report.outputs) == 11
    assert max(output.drift for output in report.runners[0].outputs) < 16


def test_the_recorded_input_needs_no_photo(recorded, layerprobe):
    one = recorded("one", "--recorded-input")
    other = recorded("other", "--recorded-input", "--runner", "torchscript")
    assert layerprobe("compare", one, other).code == 0


def test_the_first_output_that_differs_is_named_in_every_form(recorded, layerprobe, tmp_path):
    one = recorded("one")

    def change(arrays):
        arrays["cnn2"][0, 3] *= 1.01
        arrays["fc"] += 1

    other = _altered(one, tmp_path / "other.safetensors", change)
    forms = [tmp_path / name for name in ("r.json", "r.xml", "r.html")]
    outcome = layerprobe("compare", one, other, "--json", forms[0], "--junit", forms[1], "--html", forms[2])
    assert outcome.code == 1
    assert "the first is cnn2 (drift)" in outcome.out
    runner = json.loads(forms[0].read_text())["runners"][0]
    assert (runner["verdict"], runner["first_failing"]) == ("drift", "cnn2")
    assert forms[1].read_text().count("<failure") == 2
    assert "cnn2" in forms[2].read_text()


def test_quiet_is_an_option_of_it_as_of_verify(recorded, layerprobe):
    one = recorded("one")
    assert layerprobe("compare", one, one, "-q") == layerprobe("compare", one, one)


def test_only_what_both_recorded_is_compared(recorded, layerprobe, tmp_path):
    one = recorded("one", "--outputs", "cnn*")
    other = recorded("other")
    layerprobe("compare", one, other, "--json", tmp_path / "r.json")
    assert [output["name"] for output in json.loads((tmp_path / "r.json").read_text())["outputs"]] == ["cnn1", "cnn2"]
    third = recorded("third", "--outputs", "fc")
    outcome = layerprobe("compare", one, third)
    assert outcome.code == 2
    assert "no output in common" in outcome.err


def test_a_run_of_another_model_or_of_other_inputs_is_refused(recorded, layerprobe, tmp_path):
    one = recorded("one")
    other_model = recorded("model", variant="cnn3")
    outcome = layerprobe("compare", one, other_model)
    assert outcome.code == 2
    assert "their outputs differ" in outcome.err
    other_input = recorded("input", "--recorded-input")
    outcome = layerprobe("compare", one, other_input)
    assert outcome.code == 2
    assert "different inputs" in outcome.err
    assert "--recorded-input" in outcome.err


def test_what_only_one_run_has_is_told_and_so_are_runs_that_agree(recorded, layerprobe, tmp_path):
    one = recorded("one")
    fewer = _altered(one, tmp_path / "fewer.safetensors", lambda arrays: [arrays.pop(name) for name in ("cnn1", "fc")])
    outcome = layerprobe("compare", one, fewer)
    assert outcome.code == 0
    first = outcome.out.splitlines()[0]
    assert first.startswith("The runs agree.")
    assert "as only one.safetensors has them: cnn1, fc." in first


def test_neither_of_two_runs_is_blamed(recorded, layerprobe, tmp_path):
    one = recorded("one")

    def change(arrays):
        arrays["cnn2"][0, 3, 2, 1] = np.nan

    other = _altered(one, tmp_path / "other.safetensors", change)
    for pair in ((one, other), (other, one)):
        outcome = layerprobe("compare", *pair, "--json", tmp_path / "r.json")
        assert outcome.code == 1
        assert outcome.out.startswith("Conv2d cnn2 (")
        assert "is NaN or infinite in at least one run" in outcome.out
        assert "fault" not in outcome.out
        assert json.loads((tmp_path / "r.json").read_text())["runners"][0]["culprit"]["cause"] == "unknown"


@pytest.mark.parametrize("names", [("fc",), ("cnn1", "cnn2", "fc")])
def test_runs_that_are_nan_throughout_are_no_runs_that_agree(recorded, layerprobe, tmp_path, names):
    one = recorded("one")
    broken = _altered(one, tmp_path / "nan.safetensors", lambda arrays: [arrays[name].fill(np.nan) for name in names])
    outcome = layerprobe("compare", broken, broken)
    assert outcome.code == 1
    assert f"{names[0]} (" in outcome.out
    assert "is NaN or infinite in at least one run, so the runs can't be compared there." in outcome.out


def test_what_is_nan_in_both_runs_is_told_and_an_infinity_is_compared(recorded, layerprobe, tmp_path):
    one = recorded("one")

    def change(arrays):
        arrays["cnn1"].fill(-np.inf)
        arrays["cnn2"][0, 3, 2, 1] = np.nan

    other = _altered(one, tmp_path / "other.safetensors", change)
    outcome = layerprobe("compare", other, other)
    assert outcome.code == 0
    assert "Both runs are NaN at the same places of cnn2, where nothing was compared." in outcome.out


def test_other_weights_are_told(recorded, layerprobe, tmp_path):
    one = recorded("one")
    other = _with_record(one, tmp_path / "other.safetensors", lambda record: record | {"weights": "0" * 64})
    assert "The two models have different weights." in layerprobe("compare", one, other).out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda record: record | {"providers": "x"}, "providers: Input should be a valid"),
        (
            lambda record: record | {"outputs": [*record["outputs"], record["outputs"][0]]},
            "'cnn1' is listed twice",
        ),
        (
            lambda record: record | {"outputs": [{**output, "dtype": "float99"} for output in record["outputs"]]},
            "'cnn1' has the unknown type 'float99'",
        ),
        (lambda record: record | {"noise_floors": {"cnn1": -1.0}}, "noise_floors.cnn1"),
        (lambda record: [record], "document: Input should be a valid dictionary"),
    ],
)
def test_a_run_that_contradicts_itself_is_an_error(recorded, layerprobe, tmp_path, change, message):
    one = recorded("one", "--outputs", "cnn1")
    outcome = layerprobe("compare", one, _with_record(one, tmp_path / "bad.safetensors", change))
    assert outcome.code == 3
    assert message in outcome.err


def test_a_record_nested_without_end_and_a_folder_are_errors(recorded, exported, layerprobe, tmp_path):
    one = recorded("one", "--outputs", "cnn1")
    with safe_open(one, framework="np") as opened:
        metadata = opened.metadata()
    save_file(load_file(one), tmp_path / "deep.safetensors", metadata=metadata | {"layerprobe.run": "[" * 100_000})
    assert layerprobe("compare", one, tmp_path / "deep.safetensors").code == 3
    outcome = layerprobe("compare", one, exported("cnn11").path)
    assert outcome.code == 3
    assert "is a folder, not a recorded run" in outcome.err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a recorded run"),
        (b"\x08\0\0\0\0\0\0\0{broken}", "is not a recorded run"),
    ],
)
def test_a_file_that_is_no_run_is_an_error(recorded, layerprobe, tmp_path, content, message):
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(content)
    outcome = layerprobe("compare", recorded("one"), bad)
    assert outcome.code == 3
    assert message in outcome.err
    assert layerprobe("compare", recorded("one"), tmp_path / "none.safetensors").code in (2, 3)


def test_tensors_from_elsewhere_and_later_formats_are_errors(recorded, layerprobe, tmp_path):
    one = recorded("one")
    save_file({"cnn1": np.zeros(3, np.float32)}, tmp_path / "plain.safetensors")
    outcome = layerprobe("compare", one, tmp_path / "plain.safetensors")
    assert outcome.code == 3
    assert "was not recorded by `layerprobe run`" in outcome.err
    with safe_open(one, framework="np") as opened:
        metadata = opened.metadata()
    record = json.loads(metadata["layerprobe.run"]) | {"format_version": 2}
    later = tmp_path / "later.safetensors"
    save_file(load_file(one), later, metadata=metadata | {"layerprobe.run": json.dumps(record)})
    outcome = layerprobe("compare", one, later)
    assert outcome.code == 3
    assert "format version 2" in outcome.err


def test_images_or_the_recorded_input_but_not_both(exported, photo, tmp_path, layerprobe):
    command = ("run", exported("cnn2").path, "-o", tmp_path / "t.safetensors")
    assert layerprobe(*command).code == 2
    assert layerprobe(*command, photo, "--recorded-input").code == 2
    assert not (tmp_path / "t.safetensors").exists()


def test_a_report_does_not_take_the_place_of_the_baseline_in_another_form(recorded, layerprobe, tmp_path):
    one, baseline = recorded("one"), tmp_path / "baseline.json"
    assert layerprobe("compare", one, one, "--json", baseline).code == 0
    before = baseline.read_bytes()
    assert layerprobe("compare", one, one, "--baseline", baseline, "--junit", baseline).code == 2
    assert baseline.read_bytes() == before
    assert layerprobe("compare", one, one, "--baseline", baseline, "--json", baseline).code == 0
