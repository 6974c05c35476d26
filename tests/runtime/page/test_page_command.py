"""`layerprobe page`: which files a page has, where ONNX Runtime Web comes from, and what is never replaced."""

import hashlib
import json
import shutil
import sys
import tarfile

import pytest

from runtime.artifact.errors import RunnerUnavailable
from runtime.page import web_runtime
from runtime.page.web_runtime import BACKENDS, VERSION, web_runtime_files
from runtime.runners.node_support import PROGRAM

PACKAGE_JSON = PROGRAM.parents[1] / "package.json"


@pytest.fixture
def runtime_files(tmp_path, monkeypatch):
    """A folder with small files in place of ONNX Runtime Web's, whose hashes are expected instead."""
    folder, known = tmp_path / "ort", {}
    folder.mkdir()
    for backend, files in BACKENDS.items():
        known[backend] = {}
        for name in files:
            (folder / name).write_text(f"// {name}")
            known[backend][name] = hashlib.sha256(f"// {name}".encode()).hexdigest()
    monkeypatch.setattr(web_runtime, "BACKENDS", known)
    return folder


@pytest.fixture
def page(exported, runtime_files, layerprobe, tmp_path):
    """Write the page of an artifact, with the options given."""

    def write(*options, artifact=None):
        path = artifact or exported("cnn2").path
        return layerprobe("page", path, "-o", tmp_path / "site", "--runtime-files", runtime_files, *options)

    return write


def files_in(folder):
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


def test_a_page_has_what_a_browser_runs_and_no_program(page, tmp_path):
    outcome = page()
    assert outcome.code == 0
    assert outcome.out.startswith(f"{tmp_path / 'site'}: cnn2 · weights unknown, outputs: 19, ")
    assert "python -m http.server" in outcome.err
    assert " MB of it are the truths, by which the browser is judged: --no-verdict leaves that out\n" in outcome.err
    assert "--no-webgpu" not in outcome.err  # which is small here
    assert "file://" in outcome.err
    there = files_in(tmp_path / "site")
    assert {
        "index.html",
        "service_worker.js",
        "site.json",
        "page/page.js",
        "src/index.js",
        "artifact/model.onnx",
    } <= there
    assert {f"runtime/{name}" for files in BACKENDS.values() for name in files} <= there
    assert not [name for name in there if name.endswith((".pt", ".pt2", ".py", ".map"))]


def test_every_file_is_listed_with_its_hash(page, tmp_path):
    page("--quiet")
    site = tmp_path / "site"
    listed = json.loads((site / "site.json").read_text())["files"]
    assert set(listed) == files_in(site) - {"site.json"}
    assert all(hashlib.sha256((site / name).read_bytes()).hexdigest() == digest for name, digest in listed.items())


def test_a_page_can_do_without_webgpu_and_without_the_truths(page, tmp_path):
    assert page("--no-webgpu", "--no-verdict").code == 0
    there = files_in(tmp_path / "site")
    assert {"runtime/ort.wasm.min.mjs"} == {name for name in there if name.startswith("runtime/ort.")}
    assert "artifact/reference.safetensors" not in there
    assert json.loads((tmp_path / "site" / "site.json").read_text())["truths"] is False


def test_a_page_is_replaced_by_a_later_one_and_nothing_else_is(page, exported, tmp_path):
    site = tmp_path / "site"
    assert page().code == 0
    (site / "artifact" / "model.onnx").unlink()
    assert page("--no-webgpu").code == 0
    assert (site / "artifact" / "model.onnx").is_file()
    (site / "notes.txt").write_text("mine")
    outcome = page("--overwrite")
    assert outcome.code == 2
    assert "holds notes.txt" in outcome.err
    assert (site / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["page/page.css", "site.json"])
def test_a_file_that_was_changed_in_a_page_is_replaced_on_request_only(page, tmp_path, name):
    edited = tmp_path / "site" / name
    assert page().code == 0
    mine = edited.read_text().replace("cnn2", "My title") + " "
    edited.write_text(mine.replace("max-width", "min-width"))
    before = edited.read_text()
    outcome = page()
    assert (outcome.code, outcome.err.count("\n")) == (2, 2)
    assert f"its {name} was changed since it was written, and --overwrite would replace it" in outcome.err
    assert edited.read_text() == before
    assert page("--overwrite").code == 0
    assert edited.read_text() != before
    assert page().code == 0


def test_a_folder_of_the_users_is_left_alone(page, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("mine")
    outcome = page()
    assert (outcome.code, files_in(tmp_path / "site")) == (2, {"index.html"})
    assert "has no site.json of a page" in outcome.err


def test_an_altered_artifact_makes_no_page(page, exported, tmp_path):
    copy = shutil.copytree(exported("cnn2").path, tmp_path / "copy")
    with (copy / "model.onnx").open("ab") as stream:
        stream.write(b"x")
    outcome = page(artifact=copy)
    assert outcome.code == 3
    assert "was altered after the export" in outcome.err
    assert not (tmp_path / "site").exists()


def test_files_of_another_version_are_refused(page, runtime_files):
    (runtime_files / "ort.wasm.min.mjs").write_text("// another")
    outcome = page()
    assert outcome.code == 4
    assert f"is not the file of onnxruntime-web {VERSION}: its SHA-256 is another." in outcome.err


def test_missing_files_are_said_with_what_gets_them(page, runtime_files, tmp_path, monkeypatch):
    (runtime_files / "ort.wasm.min.mjs").unlink()
    outcome = page()
    assert outcome.code == 4
    assert f"`npm pack onnxruntime-web@{VERSION}`" in outcome.err
    monkeypatch.setenv("LAYERPROBE_NODE_MODULES", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RunnerUnavailable, match=r"this machine has no npm.*\nInstall Node, or give --runtime-files"):
        web_runtime_files(["wasm"])


@pytest.mark.parametrize("beside", ["", "node_modules"], ids=["node_modules", "folder with node_modules"])
def test_they_are_found_where_the_runners_find_their_packages(
    exported, layerprobe, runtime_files, tmp_path, monkeypatch, beside
):
    package = tmp_path / "packages" / beside / "onnxruntime-web"
    shutil.copytree(runtime_files, package / "dist")
    (package / "package.json").write_text("{}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("LAYERPROBE_NODE_MODULES", str(tmp_path / "packages"))
    assert layerprobe("page", exported("cnn2").path, "-o", tmp_path / "site").code == 0
    assert (tmp_path / "site" / "runtime" / "ort.wasm.min.mjs").read_text() == "// ort.wasm.min.mjs"
    (package / "dist" / "ort.wasm.min.mjs").write_text("// another")
    assert layerprobe("page", exported("cnn2").path, "-o", tmp_path / "other").code == 4


@pytest.mark.skipif(sys.platform == "win32", reason="the npm of this test is a shell script")
def test_npm_fetches_them_once_into_the_cache(runtime_files, tmp_path, monkeypatch):
    package = tmp_path / "package.tgz"
    with tarfile.open(package, "w:gz") as archive:
        for file in runtime_files.iterdir():
            archive.add(file, f"package/dist/{file.name}")
        archive.add(runtime_files / "ort.wasm.min.mjs", "package/dist/../../outside.mjs")
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text(f"#!/bin/sh\necho called >> {tmp_path}/calls\ncp {package} ./onnxruntime-web.tgz\n")
    npm.chmod(0o755)
    monkeypatch.setenv("LAYERPROBE_NODE_MODULES", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{npm.parent}:/usr/bin:/bin")
    monkeypatch.setattr(web_runtime.sys, "platform", "linux")
    for _ in range(2):
        found = web_runtime_files(["wasm", "webgpu"])
        assert {name: file.read_text() for name, file in found.items()} == {name: f"// {name}" for name in found}
    assert (tmp_path / "calls").read_text() == "called\n"
    assert not list(tmp_path.rglob("outside.mjs"))


def test_the_version_is_the_one_that_the_package_is_tested_with_and_the_page_shows():
    assert json.loads(PACKAGE_JSON.read_text())["devDependencies"]["onnxruntime-web"] == VERSION
    assert f"onnxruntime-web@{VERSION}`" in (PACKAGE_JSON.parents[2] / "docs" / "deploy.md").read_text()
