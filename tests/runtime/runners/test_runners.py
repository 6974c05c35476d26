"""Every runner: what it computes, cut or whole, and what it tells of how it did."""

from importlib import import_module

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
from torch import nn

from export import export_artifact
from probe import build_probe, load_model
from runtime import (
    ExecutionError,
    InputError,
    RunnerUnavailable,
    Settings,
    UsageError,
    open_artifact,
    open_runner,
    verify,
)
from runtime.artifact.manifest import Manifest
from runtime.runners.registry import RUNNERS, why_unavailable

WORKING = [name for name in RUNNERS if why_unavailable(name) is None and name != "eager"]
"""The runner eager needs more than an artifact: test_eager.py."""


class TwoInputs(nn.Module):
    """Takes an image and indices of integers, and has what is easily got wrong: dropout, views, writes in place."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(0.5)
        self.table = nn.Embedding(10, 8)
        self.fc = nn.Linear(8, 4)

    def forward(self, image, index):
        y = self.dropout(self.relu(self.norm(self.conv(image))))
        y += 1
        z = y.mean((2, 3)).view(-1, 8) * self.table(index)
        return {"logits": self.fc(z), "mask": z > 0}


class Resizes(nn.Module):
    """Of open size, with a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2, padding=1)

    def forward(self, x):
        y = torch.relu(self.conv(x))
        return nn.functional.interpolate(y, size=x.shape[-2:], mode="bilinear") + x[:, :1]


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory, exported):
    folder = tmp_path_factory.mktemp("runners")
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    image, index = torch.randn(1, 3, 16, 16, generator=generator), torch.tensor([3])
    return {
        "cnn2": exported("cnn2"),
        "two-inputs": open_artifact(export_artifact(build_probe(TwoInputs(), image, index), folder / "two")),
        "dynamic-size": open_artifact(
            export_artifact(build_probe(Resizes(), image, dynamic_size=True), folder / "dynamic")
        ),
    }


MODELS = ("cnn2", "two-inputs", "dynamic-size")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", WORKING)
def test_every_runner_that_works_here_agrees_with_float64_on_every_output(artifacts, name, model):
    report = verify(artifacts[model], [name])
    assert [(runner.name, runner.verdict) for runner in report.runners] == [(name, "pass")]
    assert report.runners[0].facts["runtime"]
    assert report.runners[0].facts["version"]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", WORKING)
def test_a_cut_runner_gives_only_what_was_asked_for_with_equal_values(artifacts, name, model):
    artifact = artifacts[model]
    inputs = artifact.reference().inputs
    whole = open_runner(artifact, name).run(inputs)
    names = artifact.manifest.output_names
    for asked in ([names[-1], names[1]], list(artifact.manifest.results.values())):
        cut = open_runner(artifact, name, outputs=asked).run(inputs)
        assert list(cut) == [each for each in names if each in asked]
        for each, array in cut.items():
            np.testing.assert_allclose(array, whole[each], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", WORKING)
def test_an_output_that_is_not_there_is_named_with_the_nearest(artifacts, name):
    with pytest.raises(UsageError, match=r"No output is called 'cnn9'.*cnn1"):
        open_runner(artifacts["cnn2"], name, outputs=["cnn9"])
    with pytest.raises(UsageError, match="at least one"):
        open_runner(artifacts["cnn2"], name, outputs=[])


def test_a_cut_onnx_model_holds_no_node_and_no_weight_that_its_outputs_do_not_need(artifacts):
    cut = artifacts["cnn2"].onnx(["cnn1"])
    model = cut.model()
    onnx.load_external_data_for_model(model, str(cut.folder))
    onnx.checker.check_model(model)
    assert [node.name for node in model.graph.node] == ["cnn1"]
    assert {tensor.name for tensor in model.graph.initializer} == {"cnn1.weight", "cnn1.bias"}
    everything = artifacts["cnn2"].onnx(artifacts["cnn2"].manifest.output_names)
    assert len(everything.model().graph.output) == len(artifacts["cnn2"].manifest.outputs)


@pytest.mark.parametrize("spins", [True, False])
def test_threads_spin_where_nothing_runs_beside_them(artifacts, spins):
    runner = open_runner(artifacts["cnn2"], "onnx-cpu", Settings(spins=spins))
    options = runner._session.get_session_options()
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == str(int(spins))


def test_a_bound_runner_computes_in_the_same_places_each_time(artifacts):
    artifact = artifacts["cnn2"]
    inputs = {"x": np.random.default_rng(0).standard_normal((2, 3, 64, 64)).astype(np.float32)}
    runner = open_runner(artifact, "onnx-cpu")
    bound = runner.bind(inputs)
    first = bound.arrays()
    expected = runner.run(inputs)
    assert list(first) == artifact.manifest.output_names
    assert all(np.array_equal(first[name], expected[name]) for name in expected)
    # What is written to the input is what the next run reads; the outputs are where they were.
    inputs["x"] *= 0.5
    bound.run()
    expected = runner.run(inputs)
    assert all(np.array_equal(first[name], expected[name]) for name in expected)
    with pytest.raises(InputError):
        runner.bind({})


@pytest.mark.parametrize("name", [name for name in WORKING if name.startswith(("onnx", "openvino"))])
def test_a_model_whose_weights_lie_beside_it_is_cut_as_well(exported, tmp_path, name):
    folder = tmp_path / "large"
    folder.mkdir()
    whole = exported("cnn2")
    ir.save(ir.load(whole.path / "model.onnx"), folder / "model.onnx", external_data="model.onnx.data")
    alone = open_artifact(folder / "model.onnx")
    x = np.random.default_rng(0).standard_normal((2, 3, 64, 64)).astype("float32")
    assert (folder / "model.onnx.data").stat().st_size > 10_000
    cut = open_runner(alone, name, outputs=["cnn2"]).run({"x": x})
    np.testing.assert_allclose(cut["cnn2"], open_runner(whole, name).run({"x": x})["cnn2"], rtol=1e-4, atol=1e-5)


def test_settings_arrive_at_onnx_runtime_and_are_read_back(artifacts):
    plain = open_runner(artifacts["cnn2"], "onnx-cpu").facts
    assert (plain["graph_optimization"], plain["execution_mode"]) == ("all", "sequential")
    for level in ("disabled", "basic", "extended", "layout", "all"):
        facts = open_runner(artifacts["cnn2"], "onnx-cpu", Settings(graph_optimization=level, threads=1)).facts
        assert (facts["graph_optimization"], facts["threads"]) == (level, 1)


def test_settings_arrive_at_pytorch_and_do_not_outlast_the_run(artifacts):
    reference = artifacts["cnn2"].reference()
    before = torch.get_num_threads()
    for precision in ("highest", "medium"):
        torch.set_float32_matmul_precision(precision)
        try:
            runner = open_runner(
                artifacts["cnn2"], "torchscript", Settings(threads=before + 1, graph_optimization="disabled")
            )
            runner.run(reference.inputs)
            assert torch.get_float32_matmul_precision() == precision
        finally:
            torch.set_float32_matmul_precision("highest")
        assert (runner.facts["threads"], runner.facts["graph_optimization"]) == (before + 1, "disabled")
        assert torch.get_num_threads() == before


def test_the_report_and_the_command_line_tell_the_facts(exported, tmp_path, layerprobe):
    outcome = layerprobe(
        *("verify", exported("cnn2").path, "--runner", "onnx-cpu", "--json", tmp_path / "r.json"),
        *("--graph-optimization", "basic", "--threads", "1", "--no-tf32"),
    )
    assert outcome.code == 0
    assert '"graph_optimization": "basic"' in (tmp_path / "r.json").read_text()
    assert layerprobe("verify", exported("cnn2").path, "--graph-optimization", "most").code == 2
    for command in (("bench", "--repeats", "1"), ("verify",)):
        assert layerprobe(*command, exported("cnn2").path, "--runner", "torchscript", "--threads", "1").code == 0


@pytest.mark.parametrize(
    ("command", "taken_by"),
    [
        (("run", "{artifact}", "--recorded-input", "-o", "{out}"), "runtime.runners.registry.open_image_runner"),
        (("bench", "{artifact}"), "runtime.bench.benchmarking.benchmark"),
        (("verify", "{artifact}"), "runtime.verdict.verification.verify"),
    ],
)
def test_each_setting_has_an_option(exported, tmp_path, layerprobe, monkeypatch, command, taken_by):
    """Also those that only a GPU has anything like."""
    taken = []

    def take(*arguments, **options):
        taken.extend(each for each in (*arguments, *options.values()) if isinstance(each, Settings))
        raise UsageError("enough")

    monkeypatch.setattr(taken_by, take)
    filled = (part.format(artifact=exported("cnn2").path, out=tmp_path / "t.safetensors") for part in command)
    options = ("--graph-optimization", "basic", "--threads", 1, "--tf32", "--convolution-search", "heuristic")
    assert layerprobe(*filled, *options).code == 2
    expected = Settings(graph_optimization="basic", threads=1, tf32=True, convolution_search="heuristic")
    assert taken == [expected]


@pytest.mark.parametrize("name", [name for name in RUNNERS if why_unavailable(name)])
def test_a_runner_that_cannot_work_here_says_why(artifacts, name):
    with pytest.raises(RunnerUnavailable, match=f"The runner {name} was requested, but"):
        open_runner(artifacts["cnn2"], name)


def test_all_tries_every_runner_and_none_takes_the_usual_ones(artifacts):
    everything = verify(artifacts["cnn2"], ["all"], trust=True)
    assert {runner.name for runner in everything.runners} | set(everything.left_out) == {*RUNNERS, "onnx-float64"}
    usual = verify(artifacts["cnn2"], trust=True)
    assert {runner.name for runner in usual.runners} >= {"onnx-cpu", "torchscript"}
    assert "onnx-tensorrt" not in usual.left_out


def test_the_table_names_the_files_that_are_executed_as_the_runners_do():
    for name in RUNNERS:
        module, _, kind = RUNNERS[name].home.partition(":")
        assert RUNNERS[name].file == getattr(import_module(module), kind).file


def test_the_manifest_tells_the_dtypes(artifacts):
    assert isinstance(artifacts["two-inputs"].manifest, Manifest)
    assert artifacts["two-inputs"].manifest.dtypes == {"float32", "int64", "bool"}


@pytest.mark.parametrize("name", WORKING)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_another_precision_passes_or_is_refused_with_the_reason(tmp_path_factory, name, dtype):
    kind = str(dtype).removeprefix("torch.")
    folder = tmp_path_factory.getbasetemp() / kind
    if not folder.exists():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4)).to(dtype)
        export_artifact(build_probe(model, torch.zeros(1, 16, dtype=dtype)), folder)
    refused = {
        "bfloat16": (*(each for each in RUNNERS if each.startswith("onnx")), "openvino"),
        "float64": ("openvino",),
    }.get(kind, ())
    if name in refused:
        with pytest.raises(RunnerUnavailable, match=rf"{name} can't run .*{kind}"):
            open_runner(open_artifact(folder), name)
    else:
        assert verify(open_artifact(folder), [name]).passed


def test_openvino_is_held_to_float32_and_told_its_threads(artifacts):
    pytest.importorskip("openvino")
    facts = open_runner(artifacts["cnn2"], "openvino", Settings(threads=1)).facts
    assert (facts["precision"], facts["threads"], facts["execution_mode"]) == ("f32", 1, "accuracy")


@pytest.mark.parametrize("runner", ["onnx-cpu", "torchscript", "torch-export", "eager"])
def test_a_model_that_writes_into_its_input_leaves_the_callers_array_alone(tmp_path, runner):
    (tmp_path / "net.py").write_text(
        "from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.conv = nn.Conv2d(3, 4, 3)\n\n    def forward(self, x):\n"
        "        return self.conv(x.mul_(2).add_(1))\n"
    )
    spec = f"{tmp_path / 'net.py'}:Net"
    probe = build_probe(load_model(spec).module, torch.zeros(1, 3, 8, 8))
    artifact = open_artifact(export_artifact(probe, tmp_path / "artifact", name=spec))
    opened = open_runner(artifact, runner, Settings(model=spec))
    array = np.ones((1, 3, 8, 8), np.float32)
    first = opened.run({"x": array})
    assert (array == 1).all()
    assert np.array_equal(opened.run({"x": array})["conv"], first["conv"])


def test_a_torchscript_program_that_fails_says_why_and_not_only_that_it_does(tmp_path):
    class Adds(nn.Module):
        def forward(self, x):
            return x + self.table

    module = Adds()
    module.register_buffer("table", torch.ones(1, 3, 4, 4))
    artifact = open_artifact(export_artifact(build_probe(module, torch.randn(1, 3, 4, 4)), tmp_path / "model"))
    runner = open_runner(artifact, "torchscript")
    # As of a table that the program itself makes: of another size than the input.
    program = torch.jit.trace(lambda x: x + torch.ones(1, 3, 5, 5), torch.ones(1, 3, 5, 5))
    runner._module = program
    with pytest.raises(ExecutionError, match=r"^TorchScript failed to run Adds: The size of tensor a \(4\) must match"):
        runner.run(artifact.reference().inputs)
