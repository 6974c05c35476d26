"""An artifact that is not what it says is refused, with what is wrong and what to do."""

import json
import os
import shutil
from pathlib import Path

import pytest

from runtime import ArtifactError, open_artifact, open_runner


@pytest.fixture
def copied(exported, tmp_path):
    return Path(shutil.copytree(exported("cnn2").path, tmp_path / "art"))


def _edit(folder: Path, change) -> None:
    file = folder / "manifest.json"
    manifest = json.loads(file.read_text())
    change(manifest)
    file.write_text(json.dumps(manifest))


def _verify(folder: Path) -> None:
    artifact = open_artifact(folder)
    artifact.reference()
    for name in ("onnx-cpu", "torchscript", "torch-export"):
        open_runner(artifact, name)


def test_an_untouched_copy_is_fine(copied):
    _verify(copied)


@pytest.mark.parametrize("name", ["model.onnx", "model.torchscript.pt", "model.pt2", "reference.safetensors"])
def test_a_missing_file_is_named(copied, name):
    (copied / name).unlink()
    with pytest.raises(ArtifactError, match=rf"{name} is missing"):
        _verify(copied)


@pytest.mark.parametrize("name", ["model.onnx", "model.torchscript.pt", "model.pt2", "reference.safetensors"])
def test_an_altered_file_is_named(copied, name):
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(content)
    with pytest.raises(ArtifactError, match=rf"{name} was altered"):
        _verify(copied)


def test_a_file_that_was_read_before_is_named_when_it_is_altered_later_even_if_its_time_is_set_back(copied):
    file = copied / "model.onnx"
    artifact, before = open_artifact(copied), file.stat()
    assert artifact.file("model.onnx") == file
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    with pytest.raises(ArtifactError, match=r"model.onnx was altered"):
        artifact.file("model.onnx")


def test_no_folder_and_no_artifact_are_told_apart(tmp_path):
    with pytest.raises(ArtifactError, match="does not exist"):
        open_artifact(tmp_path / "nothing")
    with pytest.raises(ArtifactError, match="not an artifact"):
        open_artifact(tmp_path)
    (tmp_path / "photo.jpg").write_bytes(b"jpeg")
    with pytest.raises(ArtifactError, match="neither a folder nor a model file"):
        open_artifact(tmp_path / "photo.jpg")


def test_a_manifest_that_cannot_be_read_is_told(copied, monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied", str(copied / "manifest.json"))

    # Also for the superuser, whom no permission stops; `exists` asks the system for it too.
    for method in ("exists", "stat"):
        monkeypatch.setattr(Path, method, refuse)
    monkeypatch.setattr("runtime.artifact.file_reading.os.open", refuse)
    monkeypatch.setattr(Path, "is_file", lambda path: False)
    with pytest.raises(ArtifactError, match="Permission denied"):
        open_artifact(copied)


def test_a_model_file_of_someone_else_is_refused(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"not onnx")
    with pytest.raises(ArtifactError, match="can't be loaded as an ONNX model"):
        open_artifact(tmp_path / "model.onnx")
    (tmp_path / "model.pt").write_bytes(b"not torch")
    with pytest.raises(ArtifactError, match="can't be loaded as TorchScript"):
        open_artifact(tmp_path / "model.pt")


def test_a_later_format_version_says_to_update(copied):
    def later(manifest):
        manifest["format_version"] = 2
        manifest["something_new"] = True

    _edit(copied, later)
    with pytest.raises(ArtifactError, match="format version 2; this layerprobe reads 1"):
        open_artifact(copied)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format_version": "x"}', "\udcff"])
def test_a_broken_manifest_is_told(copied, text):
    (copied / "manifest.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ArtifactError, match=r"manifest\.json"):
        open_artifact(copied)


def _swap_names(manifest):
    first, second = manifest["outputs"][:2]
    first["name"], second["name"] = second["name"], first["name"]


LIES = {
    "an output too few": lambda manifest: manifest["outputs"].pop(3),
    "two names swapped": _swap_names,
    "a name that is not there": lambda manifest: manifest["outputs"][2].update(name="relu9"),
    "another dtype": lambda manifest: manifest["outputs"][2].update(dtype="float16"),
    "another rank": lambda manifest: manifest["outputs"][2].update(shape=["N", 64], layout="NC"),
    "another input": lambda manifest: manifest["inputs"][0].update(name="image"),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_a_manifest_that_lies_about_the_model_is_refused(copied, lie):
    _edit(copied, lie)
    artifact = open_artifact(copied)
    with pytest.raises(ArtifactError, match="manifest"):
        open_runner(artifact, "onnx-cpu")


IMPOSSIBLE = {
    "a name twice": lambda manifest: manifest["outputs"][1].update(name="cnn1"),
    "an alias of nothing": lambda manifest: manifest["outputs"][1].update(alias_of="later"),
    "a result that is no output": lambda manifest: manifest.update(results={"": "nothing"}),
    "no outputs": lambda manifest: manifest.update(outputs=[]),
    "a std of zero": lambda manifest: manifest["preprocessing"].update(std=[0, 1, 1]),
    "an unknown field": lambda manifest: manifest.update(extra=1),
    "a path outside the folder": lambda manifest: manifest["files"].update({"../secret": "0"}),
}


@pytest.mark.parametrize("fault", IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
def test_a_manifest_that_contradicts_itself_is_refused(copied, fault):
    _edit(copied, fault)
    with pytest.raises(ArtifactError, match="not a valid manifest"):
        open_artifact(copied)
