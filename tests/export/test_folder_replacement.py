"""Writing an artifact: there whole or not at all, and nothing of the user's is lost."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from export.folder_replacement import replace_folder
from runtime.artifact.errors import ExportError, FolderExists

MARKER = "manifest.json"


def _artifact(folder: Path, content: str) -> Path:
    folder.mkdir(parents=True)
    (folder / MARKER).write_text(content)
    return folder


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_folder_appears_with_its_parents(tmp_path):
    target = tmp_path / "deep" / "down"
    with replace_folder(target, MARKER, overwrite=False) as partial:
        (partial / MARKER).write_text("new")
        assert not target.exists()
    assert (target / MARKER).read_text() == "new"
    assert _names(target.parent) == ["down"]


def test_an_artifact_that_is_there_is_kept_unless_overwriting_is_asked_for(tmp_path):
    target = _artifact(tmp_path / "art", "old")
    with pytest.raises(FolderExists, match="--overwrite"), replace_folder(target, MARKER, overwrite=False):
        pytest.fail("must not begin")
    with replace_folder(target, MARKER, overwrite=True) as partial:
        (partial / MARKER).write_text("new")
    assert (target / MARKER).read_text() == "new"
    assert _names(tmp_path) == ["art"]


def test_a_folder_that_is_no_artifact_is_never_overwritten(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear")
    with pytest.raises(FolderExists, match="left alone"), replace_folder(tmp_path / "home", MARKER, overwrite=True):
        pytest.fail("must not begin")
    assert (tmp_path / "home" / "letter.txt").read_text() == "dear"


def test_a_file_in_the_way_is_kept(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FolderExists, match="not a folder"), replace_folder(tmp_path / "file", MARKER, overwrite=True):
        pytest.fail("must not begin")


@pytest.mark.parametrize("fault", [OSError(errno.ENOSPC, "No space left on device"), ValueError("bug")])
def test_what_stood_there_still_stands_after_a_failure_and_nothing_is_left_over(tmp_path, fault):
    target = _artifact(tmp_path / "art", "old")

    def write_half() -> None:
        with replace_folder(target, MARKER, overwrite=True) as partial:
            (partial / MARKER).write_text("half")
            raise fault

    with pytest.raises(ExportError if isinstance(fault, OSError) else ValueError, match=r"No space left|bug"):
        write_half()
    assert (target / MARKER).read_text() == "old"
    assert _names(tmp_path) == ["art"]


def test_without_an_exchange_in_one_step_the_folder_is_replaced_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr("export.folder_replacement._exchange", lambda one, other: False)
    target = _artifact(tmp_path / "art", "old")
    with replace_folder(target, MARKER, overwrite=True) as partial:
        (partial / MARKER).write_text("new")
    assert (target / MARKER).read_text() == "new"
    assert _names(tmp_path) == ["art"]


def test_a_parent_that_is_a_file_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ExportError, match="can't be written"),
        replace_folder(tmp_path / "file" / "art", MARKER, overwrite=False),
    ):
        pytest.fail("must not begin")


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
    with pytest.raises(FolderExists, match="the folder you are in"), replace_folder(Path(), MARKER, overwrite=True):
        pytest.fail("must not begin")
