"""`--json` and the others: a place where no report can go is told before the work, and no artifact is harmed."""

import pytest


@pytest.mark.parametrize("command", ["verify", "bench"])
def test_a_report_takes_no_file_of_the_artifact(layerprobe, exported, command):
    artifact = exported("cnn2")
    before = {file.name: file.stat().st_mtime_ns for file in artifact.path.iterdir()}
    for name in ("model.onnx", "report.json"):
        refused = layerprobe(command, artifact.path, "--json", artifact.path / name)
        assert refused.code == 2
        assert "is in the artifact" in refused.err
        assert refused.out == ""
    assert before == {file.name: file.stat().st_mtime_ns for file in artifact.path.iterdir()}


@pytest.mark.parametrize("command", ["verify", "bench"])
def test_a_place_that_cant_be_written_to_is_told_first(layerprobe, exported, tmp_path, command):
    artifact = exported("cnn2")
    for place, what in ((tmp_path, "is a folder"), (tmp_path / "none" / "r.json", "doesn't exist")):
        refused = layerprobe(command, artifact.path, "--json", place)
        assert refused.code == 3
        assert what in refused.err
        assert refused.out == ""


def test_a_baseline_of_another_model_is_told_before_the_work_and_stays(layerprobe, exported, tmp_path):
    baseline = tmp_path / "r.json"
    assert layerprobe("verify", exported("cnn3").path, "--runner", "onnx-cpu", "--json", baseline).code == 0
    before = baseline.read_bytes()
    refused = layerprobe("verify", exported("cnn2").path, "--baseline", baseline, "--json", baseline)
    assert refused.code == 2
    assert "is a report of cnn3, not of cnn2" in refused.err
    assert refused.out == ""
    assert baseline.read_bytes() == before


def test_comparing_two_runs_takes_the_place_of_no_file_that_it_reads(layerprobe, exported, tmp_path):
    runs = [tmp_path / "one.safetensors", tmp_path / "other.safetensors"]
    for run in runs:
        assert layerprobe("run", exported("cnn2").path, "--recorded-input", "-o", run, "--outputs", "fc").code == 0
    baseline = tmp_path / "r.json"
    assert layerprobe("compare", *runs, "--json", baseline).code == 0
    for option, file in (("--html", baseline), ("--json", runs[0]), ("--junit", runs[1])):
        refused = layerprobe("compare", *runs, "--baseline", baseline, option, file)
        assert refused.code == 2
        assert "is an input of this command" in refused.err
    assert layerprobe("compare", *runs, "--baseline", baseline, "--json", baseline).code == 0
