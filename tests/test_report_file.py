"""`--json`: a place where no report can go is told before the work, and no artifact is harmed."""

import pytest


@pytest.mark.parametrize("command", ["verify", "bench"])
def test_a_report_takes_no_file_of_the_artifact(layerprobe, exported, command):
    artifact = exported("cnn2")
    before = {file.name: file.stat().st_mtime_ns for file in artifact.path.iterdir()}
    for name in ("model.onnx", "report.json"):
        refused = layerprobe(command, artifact.path, "--json", artifact.path / name)
        assert refused.code == 2
        assert "lies in the artifact" in refused.err
        assert refused.out == ""
    assert before == {file.name: file.stat().st_mtime_ns for file in artifact.path.iterdir()}


@pytest.mark.parametrize("command", ["verify", "bench"])
def test_a_place_that_cant_be_written_to_is_told_first(layerprobe, exported, tmp_path, command):
    artifact = exported("cnn2")
    for place, what in ((tmp_path, "is a folder"), (tmp_path / "none" / "r.json", "there is no folder")):
        refused = layerprobe(command, artifact.path, "--json", place)
        assert refused.code == 3
        assert what in refused.err
        assert refused.out == ""
