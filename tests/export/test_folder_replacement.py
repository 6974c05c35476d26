"""Writing an artifact: there whole or not at all, and nothing of the user's is lost."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from export.folder_replacement import replace_folder
from runtime.artifact.errors import ExportError, FolderExists


@pytest.fixture
def old(exported, tmp_path):
    """A copy of an artifact, which is to be replaced."""
    return Path(shutil.copytree(exported("cnn2").path, tmp_path / "art"))


def _content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _replace(target: Path, overwrite: bool = True) -> None:
    with replace_folder(target, overwrite=overwrite) as partial:
        (partial / "new").write_text("new")


def test_a_new_folder_appears_with_its_parents(tmp_path):
    target = tmp_path / "deep" / "down"
    with replace_folder(target, overwrite=False) as partial:
        (partial / "new").write_text("new")
        assert not target.exists()
    assert _content(target) == {"new": b"new"}
    assert _names(target.parent) == ["down"]


def test_an_artifact_that_is_there_is_kept_unless_overwriting_is_asked_for(old, tmp_path):
    with pytest.raises(FolderExists, match="--overwrite"), replace_folder(old, overwrite=False):
        pytest.fail("must not begin")
    _replace(old)
    assert _content(old) == {"new": b"new"}
    assert _names(tmp_path) == ["art"]


def test_an_empty_folder_is_filled(tmp_path):
    _replace(tmp_path, overwrite=False)
    assert _names(tmp_path) == ["new"]


EXTENSION = json.dumps({"manifest_version": 3, "name": "A web extension", "version": "1.0"})


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("letter.txt", "dear", "is left alone: it has no manifest.json, and so is not an artifact"),
        ("manifest.json", EXTENSION, "is left alone: its manifest.json is not one that layerprobe [0-9.]+ writes"),
        ("manifest.json", "no JSON", "is left alone: its manifest.json is not one that layerprobe [0-9.]+ writes"),
        ("manifest.json", b"\xff", "is left alone: its manifest.json is not one that layerprobe [0-9.]+ writes"),
    ],
)
def test_a_folder_that_is_no_artifact_is_never_overwritten(name, content, told, tmp_path, layerprobe):
    content = content if isinstance(content, bytes) else content.encode()
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / name).write_bytes(content)
    with pytest.raises(FolderExists, match=told), replace_folder(tmp_path / "home", overwrite=True):
        pytest.fail("must not begin")
    assert _content(tmp_path / "home") == {name: content}


@pytest.mark.parametrize("name", ["notes.txt", ".git", "report.html", "model.pt2"])
def test_an_artifact_that_holds_anything_else_is_never_overwritten(name, old, layerprobe):
    (old / name).unlink(missing_ok=True)  # a file of the manifest's that is a folder now, in the last case
    (old / name).mkdir()
    (old / name / "work").write_text("of weeks")
    refused = layerprobe("export", "cnn2", "-o", old, "--overwrite", "--input-size", 64)
    assert (refused.code, refused.out) == (2, "")
    assert (
        f"{old} is left alone: it holds {name}, which is none of the files that its manifest.json lists." in refused.err
    )
    assert (old / name / "work").read_text() == "of weeks"


def test_what_was_put_into_an_artifact_during_the_export_is_kept(old, tmp_path):
    with pytest.raises(FolderExists, match=r"holds notes\.txt"), replace_folder(old, overwrite=True):
        (old / "notes.txt").write_text("dear")
    assert (old / "notes.txt").read_text() == "dear"
    assert _names(tmp_path) == ["art"]


def test_a_file_in_the_way_is_kept(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FolderExists, match="not a folder"), replace_folder(tmp_path / "file", overwrite=True):
        pytest.fail("must not begin")


@pytest.mark.parametrize("fault", [OSError(errno.ENOSPC, "No space left on device"), ValueError("bug")])
def test_what_stood_there_still_stands_after_a_failure_and_nothing_is_left_over(old, tmp_path, fault):
    before = _content(old)

    def write_half() -> None:
        with replace_folder(old, overwrite=True) as partial:
            (partial / "manifest.json").write_text("half")
            raise fault

    with pytest.raises(ExportError if isinstance(fault, OSError) else ValueError, match=r"No space left|bug"):
        write_half()
    assert _content(old) == before
    assert _names(tmp_path) == ["art"]


def test_without_an_exchange_in_one_step_the_folder_is_replaced_all_the_same(old, tmp_path, monkeypatch):
    monkeypatch.setattr("runtime.artifact.folder_replacement._exchange", lambda one, other: False)
    _replace(old)
    assert _content(old) == {"new": b"new"}
    assert _names(tmp_path) == ["art"]


def test_a_parent_that_is_a_file_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match=r"is a file, not a folder"):
        _replace(tmp_path / "file" / "art", overwrite=False)


def test_all_is_on_the_disk_before_it_gets_its_name(old, tmp_path, monkeypatch):
    synced: list[tuple[str, bool]] = []
    monkeypatch.setattr(
        "runtime.artifact.folder_replacement.sync", lambda path: synced.append((path.name, (old / "new").exists()))
    )
    _replace(old)
    (file, before), (folder, _), (parent, after) = synced
    assert (file, before) == ("new", False)
    assert folder.endswith(".partial")
    assert (parent, after) == (tmp_path.name, True)


EXPORT = """
import os, resource, signal, sys
import torch
from export import export_artifact
from probe import build_probe, load_model
from runtime.artifact.errors import ExportError
probe = build_probe(load_model("cnn2", seed=9).module, torch.zeros(1, 3, 64, 64))
def export(interrupted, act):
    export_artifact(probe, sys.argv[1], overwrite=True, on_phase=lambda phase: act() if phase == interrupted else None)
"""
KILLED = "export(sys.argv[2], lambda: os.kill(os.getpid(), signal.SIGKILL))"
REFUSED = """
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
_, limit = resource.getrlimit(resource.RLIMIT_FSIZE)
for phase in sys.argv[2:]:
    try:
        export(phase, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limit)))
    except ExportError as error:
        print(phase, *str(error).splitlines(), sep="; ")
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
"""


@pytest.mark.parametrize("phase", ["converting to TorchScript", "recording the float64 reference"])
def test_a_kill_in_the_middle_of_an_export_leaves_the_old_artifact_whole(exported, tmp_path, phase):
    target = tmp_path / "art"
    target.mkdir()
    for file in exported("cnn2").path.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    killed = subprocess.run([sys.executable, "-c", EXPORT + KILLED, target, phase], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    for file in exported("cnn2").path.iterdir():
        assert (target / file.name).read_bytes() == file.read_bytes()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="file size limits are POSIX's")
def test_a_write_that_the_system_refuses_is_told_and_leaves_the_old_artifact_whole(exported, tmp_path, layerprobe):
    """A limit on file sizes stands in for a full disk: real writes fail in the middle, in whatever code writes them."""
    target = tmp_path / "art"
    target.mkdir()
    for file in exported("cnn2").path.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    phases = ["converting to ONNX", "converting to TorchScript", "recording the float64 reference"]
    command = [sys.executable, "-c", EXPORT + REFUSED, target, *phases]
    failed = subprocess.run(command, capture_output=True, check=True, text=True)
    told = "Nothing there was changed. Free up space, or choose another folder with -o."
    assert failed.stdout.splitlines() == [
        f"{phase}; Writing {target} failed: File too large.; {told}" for phase in phases
    ]
    for file in exported("cnn2").path.iterdir():
        assert (target / file.name).read_bytes() == file.read_bytes()
    assert layerprobe("verify", target, "--runner", "onnx-cpu").code == 0
    assert _names(tmp_path) == ["art"]


def test_the_folder_one_stands_in_is_not_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FolderExists, match="the folder you are in"), replace_folder(Path(), overwrite=True):
        pytest.fail("must not begin")
