"""A result replaces an earlier one of its kind, and never a file of the user's."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from report_making import make_output, make_report, make_runner
from runtime import Picture, UsageError, save_picture
from runtime.artifact.file_replacement import replace_file
from runtime.bench.benchmarking import BenchmarkReport
from runtime.bench.picture import draw_benchmark
from runtime.reporting.forms import FORMS, write_forms

KEPT = "exists and is none of the files that this command writes, so it is kept"
THEIRS = {
    "json": json.dumps({"name": "a-package", "version": "1.0"}),
    "model_explorer": json.dumps({"net": {"results": {}}}),
    "junit": '<?xml version="1.0"?><testsuites><testsuite name="pytest"/></testsuites>',
    "html": "<!doctype html><title>A home page</title>",
}
"""A file of the user's in the format of each form."""


@pytest.fixture
def picture():
    return Picture(8, 8)


def _report():
    # Larger than what is searched for the mark, with long names.
    names = [f"layer{number}." + "x" * 500 for number in range(400)]
    return make_report(make_runner("onnx-cpu", [make_output(name, introduced=2.0) for name in names]), names=names)


@pytest.mark.parametrize("form", FORMS)
def test_a_report_replaces_a_report_of_its_form_and_nothing_of_the_users(form, tmp_path):
    file = tmp_path / "report"
    for _ in range(2):
        write_forms(_report(), {form: file})
    written = file.read_bytes()
    assert len(written) > 2**17
    file.write_text(THEIRS[form])
    with pytest.raises(UsageError, match=KEPT):
        write_forms(_report(), {form: file})
    assert file.read_text() == THEIRS[form]
    for other in FORMS.keys() - {form, "junit", "html"}:
        file.write_bytes(written)
        with pytest.raises(UsageError, match=KEPT):
            write_forms(_report(), {other: file})


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_a_picture_replaces_a_picture_of_ours_and_no_photo(suffix, picture, tmp_path):
    file = tmp_path / f"maps.{suffix}"
    for _ in range(2):
        save_picture(picture, file)
    picture.image().save(file)  # without the mark, as any other program writes it
    photo = file.read_bytes()
    with pytest.raises(UsageError, match=KEPT):
        save_picture(picture, file)
    assert file.read_bytes() == photo


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_the_plot_of_a_benchmark_replaces_one_of_ours_alone(suffix, tmp_path):
    file = tmp_path / f"bench.{suffix}"
    empty = BenchmarkReport(environment={"model": "net"}, timings=[])
    for _ in range(2):
        draw_benchmark(empty, file)
    file.write_bytes(b"a drawing")
    with pytest.raises(UsageError, match=KEPT):
        draw_benchmark(empty, file)
    assert file.read_bytes() == b"a drawing"


def test_a_recorded_run_replaces_a_run_and_no_weights(exported, tmp_path, layerprobe):
    command = ("run", exported("cnn2").path, "--recorded-input", "-o", tmp_path / "best.safetensors")
    for _ in range(2):
        assert layerprobe(*command).code == 0
    save_file({"cnn1.weight": np.ones(3, np.float32)}, tmp_path / "best.safetensors")
    weights = (tmp_path / "best.safetensors").read_bytes()
    refused = layerprobe(*command)
    assert (refused.code, KEPT in refused.err, len(refused.err.splitlines())) == (2, True, 2)
    assert (tmp_path / "best.safetensors").read_bytes() == weights


@pytest.mark.parametrize(
    "command",
    [
        ("verify", "{art}", "--html", "{theirs}"),
        ("bench", "{art}", "--json", "{theirs}"),
        ("bench", "{art}", "--picture", "{theirs}"),
        ("run", "{art}", "{photo}", "-o", "{theirs}"),
        ("grid", "{art}", "{photo}", "-o", "{theirs}"),
    ],
    ids=" ".join,
)
def test_a_file_of_the_users_is_refused_before_the_work(command, exported, photo, tmp_path, layerprobe, monkeypatch):
    monkeypatch.setattr("runtime.runners.registry.open_runner", None)  # nothing is run
    theirs = Path(shutil.copy(photo, tmp_path / "theirs.png"))
    refused = layerprobe(*(part.format(art=exported("cnn2").path, photo=photo, theirs=theirs) for part in command))
    assert (refused.code, f"{theirs} {KEPT}" in refused.err) == (2, True)
    assert theirs.read_bytes() == photo.read_bytes()


def test_an_empty_file_has_nothing_to_lose(tmp_path):
    (tmp_path / "out").touch()
    with replace_file(tmp_path / "out", "mark") as stream:
        stream.write(b"the mark")
    assert (tmp_path / "out").read_bytes() == b"the mark"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
