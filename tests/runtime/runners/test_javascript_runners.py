"""onnx-node and onnx-web beyond what every runner does: what is missing is named, and Node ends with its runner."""

import gc
import os
import shutil
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from export import export_artifact
from probe import build_probe
from proofs.planted_faults import edited_model
from runtime import ExecutionError, RunnerUnavailable, Settings, open_artifact, open_runner, verify
from runtime.artifact import unfinished
from runtime.main import _stop
from runtime.runners import node_process
from runtime.runners.node_process import NodeError, NodeProcess
from runtime.runners.node_support import find_chromium, why_no_browser
from runtime.runners.registry import why_unavailable

needs_node = pytest.mark.skipif(why_unavailable("onnx-node") is not None, reason=str(why_unavailable("onnx-node")))
needs_web = pytest.mark.skipif(why_unavailable("onnx-web") is not None, reason=str(why_unavailable("onnx-web")))
_NO_BROWSER = why_unavailable("onnx-web") or why_no_browser()
needs_browser = pytest.mark.skipif(_NO_BROWSER is not None, reason=str(_NO_BROWSER))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A model that opens and runs at once."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 4))
    return open_artifact(
        export_artifact(build_probe(model, torch.randn(1, 3, 8, 8)), tmp_path_factory.mktemp("web") / "a")
    )


@pytest.fixture
def planted(small, tmp_path):
    """The same model, with weights of the first layer off by a thousandth in its file."""
    folder = shutil.copytree(small.path, tmp_path / "planted")
    with edited_model(folder) as model:
        weight = next(tensor for tensor in model.graph.initializer if tensor.name == "0.weight")
        weight.raw_data = (np.frombuffer(weight.raw_data, np.float32) * np.float32(1.001)).tobytes()
    return open_artifact(folder)


def blamed(runner):
    return runner.culprit.output, str(runner.culprit.cause), str(runner.verdict)


@pytest.fixture
def program(tmp_path, monkeypatch):
    """A folder that is all of the path, for a stand-in of `node`."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def write(text):
        (tmp_path / "node").write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "node").chmod(0o755)

    return write


@pytest.mark.parametrize("runner", ["onnx-node", "onnx-web"])
def test_without_node_the_user_is_told_what_to_install(small, layerprobe, monkeypatch, runner):
    monkeypatch.setenv("PATH", "")
    outcome = layerprobe("verify", small.path, "--runner", runner)
    assert outcome.code == 4
    assert f"The runner {runner} was requested, but Node is not installed" in outcome.err
    assert "install Node 20 or later" in outcome.err


def test_a_node_that_is_too_old_is_named_with_its_version(small, layerprobe, program):
    program("echo v12.22.9")
    outcome = layerprobe("verify", small.path, "--runner", "onnx-web")
    assert outcome.code == 4
    assert "Node 12.22.9 (" in outcome.err
    assert "is too old: install Node 20 or later" in outcome.err


def test_without_its_package_the_user_is_told_where_it_was_looked_for(
    small, layerprobe, monkeypatch, program, tmp_path
):
    program("exit 1")
    monkeypatch.delenv("LAYERPROBE_NODE_MODULES", raising=False)
    monkeypatch.setattr("runtime.runners.node_support.PROGRAM", tmp_path / "runner" / "main.js")
    outcome = layerprobe("bench", small.path, "--runner", "onnx-web")
    assert (outcome.code, outcome.err.count("\n")) == (4, 1)
    assert "onnxruntime-web is not installed: `make install-web`" in outcome.err
    monkeypatch.setenv("LAYERPROBE_NODE_MODULES", str(tmp_path))
    outcome = layerprobe("bench", small.path, "--runner", "onnx-node")
    assert outcome.code == 4
    assert f"{tmp_path} (LAYERPROBE_NODE_MODULES) has no onnxruntime-node: name a node_modules" in outcome.err
    assert "`npm install --ignore-scripts onnxruntime-node`" in outcome.err


def test_packages_of_the_current_folder_are_not_run(tmp_path, monkeypatch, program):
    program("exit 1")
    monkeypatch.delenv("LAYERPROBE_NODE_MODULES", raising=False)
    monkeypatch.setattr("runtime.runners.node_support.PROGRAM", tmp_path / "elsewhere" / "runner" / "main.js")
    (tmp_path / "node_modules" / "onnxruntime-web").mkdir(parents=True)
    (tmp_path / "node_modules" / "onnxruntime-web" / "package.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert why_unavailable("onnx-web")
    monkeypatch.setenv("LAYERPROBE_NODE_MODULES", "node_modules")
    assert why_unavailable("onnx-web") is None
    monkeypatch.setenv("LAYERPROBE_NODE_MODULES", str(tmp_path))
    assert why_unavailable("onnx-web") is None


def test_a_backend_of_the_web_alone_would_be_judged_by_nothing(small, layerprobe):
    for command in ("verify", "bench"):
        outcome = layerprobe(command, small.path, "--web-backend", "webgpu")
        assert outcome.code == 2
        assert "add --runner onnx-web" in outcome.err


@needs_node
def test_cuda_of_a_runner_that_has_none_is_refused(small, layerprobe, tmp_path):
    outcome = layerprobe(
        *("run", small.path, "--recorded-input", "-o", tmp_path / "t.safetensors"),
        *("--runner", "onnx-node", "--provider", "cuda"),
    )
    assert outcome.code == 4
    assert "CUDA was requested, but onnx-node has no such provider." in outcome.err


@needs_browser
def test_a_browser_that_is_missing_or_does_not_start_is_named(small, layerprobe, monkeypatch):
    command = ("verify", small.path, "--runner", "onnx-web", "--web-backend", "webgpu")
    monkeypatch.setenv("LAYERPROBE_CHROMIUM", "no-such-browser")
    outcome = layerprobe(*command)
    assert outcome.code == 4
    assert "--web-backend webgpu was requested, but no-such-browser (LAYERPROBE_CHROMIUM) is no program." in outcome.err
    monkeypatch.setenv("LAYERPROBE_CHROMIUM", "false")
    outcome = layerprobe(*command)
    assert outcome.code == 4
    assert "/false doesn't start: it ended at once\nUse --web-backend wasm." in outcome.err


@needs_node
@needs_web
def test_a_fault_in_the_file_is_named_the_same_in_python_node_and_web(planted):
    report = verify(planted, ["onnx-cpu", "onnx-node", "onnx-web"])
    assert {each.name: blamed(each) for each in report.runners} == dict.fromkeys(
        ["onnx-cpu", "onnx-node", "onnx-web"], ("0", "export", "drift")
    )


@needs_browser
def test_a_fault_in_the_file_is_named_the_same_in_webgpu(planted):
    (runner,) = verify(planted, ["onnx-web"], settings=Settings(web_backend="webgpu")).runners
    assert blamed(runner) == ("0", "export", "drift")
    assert (runner.providers, runner.misplaced) == (["webgpu"], [])
    assert (runner.facts["runtime"], runner.facts["backend"]) == ("ONNX Runtime Web", "webgpu")
    assert str(runner.facts["browser"]).startswith("Chromium ")
    assert runner.facts["adapter"]


@needs_browser
def test_a_browser_computes_by_webassembly_what_python_does(small):
    runner = open_runner(small, "onnx-web", Settings(web_backend="wasm-browser", threads=2))
    assert (runner.providers, runner.facts["backend"], runner.facts["threads"]) == (["wasm"], "wasm", 2)
    inputs = small.reference().inputs
    expected = open_runner(small, "onnx-cpu").run(inputs)
    for name, array in runner.run(inputs).items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-4, atol=1e-5)


@needs_node
@needs_web
def test_a_run_a_picture_and_times_come_from_them_too(exported, layerprobe, photo, tmp_path):
    artifact = exported("cnn2").path
    file = tmp_path / "t.safetensors"
    assert layerprobe("run", artifact, photo, "-o", file, "--runner", "onnx-node").code == 0
    assert file.stat().st_size > 1_000_000
    outcome = layerprobe("grid", artifact, photo, "-o", tmp_path / "g.png", "--runner", "onnx-web", "--depth", "1")
    assert (outcome.code, "by onnx-web on wasm" in outcome.out) == (0, True)
    outcome = layerprobe("bench", artifact, "--runner", "onnx-node", "--repeats", "1", "--json", tmp_path / "b.json")
    assert outcome.code == 0
    # The memory of another process is not told as this one's.
    assert '"peak_mb": null' in (tmp_path / "b.json").read_text()


@needs_node
def test_a_bound_run_leaves_its_tensors_in_node_until_they_are_fetched(small):
    runner = open_runner(small, "onnx-node")
    inputs = small.reference().inputs
    bound = runner.bind(inputs)
    assert bound.on_device
    bound.run()
    expected = runner.run(inputs)
    assert all(np.array_equal(array, expected[name]) for name, array in bound.arrays().items())


@needs_node
def test_node_ends_with_its_runner_and_leaves_nothing(small):
    runner = open_runner(small, "onnx-node")
    process, folder = runner._node._process, runner._node._folder
    assert process.poll() is None
    assert folder.is_dir()
    del runner
    gc.collect()
    assert process.returncode == 0
    assert not folder.exists()


@needs_node
def test_a_killed_node_is_told_with_the_signal(small):
    runner = open_runner(small, "onnx-node")
    runner._node._process.kill()
    runner._node._process.wait()
    with pytest.raises(ExecutionError, match=r"^ONNX Runtime failed to run Sequential: Node was ended by SIGKILL$"):
        runner.run(small.reference().inputs)


def test_a_node_that_ends_says_its_last_words(program, tmp_path):
    program("echo 'some noise' >&2; echo 'FATAL ERROR: heap out of memory' >&2; echo ' 1: 0xb9c1f0' >&2; exit 134")
    node = NodeProcess(tmp_path / "any.js")
    with pytest.raises(NodeError, match=r"^Node was ended with exit code 134: FATAL ERROR: heap out of memory$"):
        node.ask({"do": "run"})


def test_a_node_that_is_no_program_is_told(program, tmp_path):
    program("")
    (tmp_path / "node").write_bytes(b"\x7fELF")
    with pytest.raises(NodeError, match=r"node can't be started: Exec format error$"):
        NodeProcess(tmp_path / "any.js")


def test_an_interrupted_question_ends_node(program, tmp_path, monkeypatch):
    program("exec /bin/cat > /dev/null")
    node = NodeProcess(tmp_path / "any.js")

    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(node, "_receive", interrupted)
    with pytest.raises(KeyboardInterrupt):
        node.ask({"do": "run"})
    assert node._process.wait(10) == -signal.SIGKILL


def test_an_interrupted_command_ends_node_first(program, tmp_path, monkeypatch):
    program("exec /bin/cat > /dev/null")
    node = NodeProcess(tmp_path / "any.js")
    monkeypatch.setattr(os, "_exit", lambda code: None)
    monkeypatch.setattr(node_process, "_RUNNING", {node._process})  # none of another test's
    # As the process ends, no other thread begins a file any more: here it goes on.
    monkeypatch.setattr(unfinished, "_MAKING", threading.RLock())
    monkeypatch.setattr(unfinished, "_IN_WORK", set())
    _stop(signal.SIGINT, None)
    assert node._process.wait(10) == -signal.SIGKILL


@pytest.mark.parametrize("size", [2**62, 2**31])
def test_an_answer_larger_than_the_memory_is_not_read(program, tmp_path, monkeypatch, size):
    head = f'{{"bytes": {size}}}'
    (tmp_path / "answer").write_bytes(len(head).to_bytes(4, "little") + head.encode())
    program(f"/bin/cat {tmp_path / 'answer'}; exec /bin/cat > /dev/null")
    monkeypatch.setattr(node_process, "free_bytes", lambda: 2**30)
    with pytest.raises(NodeError, match=r"its answer has .* MB; 1,074 MB of memory are free"):
        NodeProcess(tmp_path / "any.js").ask({"do": "fetch"})


@needs_web
def test_a_model_that_onnx_runtime_web_cannot_open_is_left_to_another_runner(small, tmp_path):
    folder = shutil.copytree(small.path, tmp_path / "unknown")
    with edited_model(folder) as model:
        model.graph.node[0].op_type = "Convolve"
    before = set(node_process._RUNNING)
    told = r"onnx-web can't run Sequential: .*Convolve.*\nUse --runner onnx-cpu\."
    with pytest.raises(RunnerUnavailable, match=told) as caught:
        open_runner(open_artifact(folder), "onnx-web")
    started = set(node_process._RUNNING) - before
    assert caught.tb  # which holds on to the process, and would keep it alive
    assert [process.returncode for process in started] == [0]


def test_the_browser_is_looked_for_by_its_names(program, tmp_path, monkeypatch):
    monkeypatch.delenv("LAYERPROBE_CHROMIUM", raising=False)
    program("exit 0")
    assert find_chromium() is None
    (tmp_path / "node").rename(tmp_path / "google-chrome")
    assert find_chromium() == Path(tmp_path / "google-chrome")
