"""The ONNX graph in float64: equal to the recorded truth by itself, and forced, wrong only where an error arises."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from export import export_artifact
from probe import build_probe
from runtime import Artifact, ArtifactError, InputError, open_artifact, open_runner
from runtime.float64.graph import Float64Graph, Unknown

Arrays = dict[str, Any]


class Mixed(nn.Module):
    """Much of what networks are made of, small."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.grouped = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=4)
        self.depthwise = nn.Conv2d(8, 16, 5, padding=2, groups=8)
        self.group_norm = nn.GroupNorm(4, 16)
        self.up = nn.ConvTranspose2d(16, 8, 3, stride=2, padding=1, output_padding=1)
        self.pool = nn.MaxPool2d(3, 2, 1, ceil_mode=True)
        self.mean = nn.AvgPool2d(3, 2, 1, count_include_pad=False)
        self.resize = nn.Upsample(scale_factor=2, mode="bilinear")
        self.norm = nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.gelu = nn.GELU()
        self.act = nn.Sequential(nn.Hardswish(), nn.SiLU(), nn.LeakyReLU(0.1), nn.ELU(0.7), nn.PReLU(), nn.Softplus())
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.depthwise(torch.relu(self.grouped(self.stem(x)))))
        x = self.mean(self.pool(self.up(self.group_norm(x))))
        tokens = self.norm(self.resize(x).flatten(2).transpose(1, 2))
        tokens = tokens + self.attention(tokens, tokens, tokens, need_weights=False)[0]
        return self.head(self.gelu(tokens).mean(1)).softmax(-1)


@pytest.fixture(scope="session")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("mixed") / "mixed"
    return open_artifact(export_artifact(build_probe(Mixed().eval(), torch.randn(1, 3, 32, 32)), folder, name="mixed"))


@pytest.fixture(scope="session")
def artifacts(exported: Callable[[str], Artifact], mixed: Artifact) -> Callable[[str], Artifact]:
    return lambda name: mixed if name == "mixed" else exported(name)


def graph_of(artifact: Artifact) -> Float64Graph:
    return Float64Graph(artifact.file("model.onnx"), artifact.manifest.output_names)


@pytest.mark.parametrize("name", ["cnn11", "cnn2", "cnn3", "mixed"])
def test_a_walk_gives_the_recorded_truth(name: str, artifacts: Callable[[str], Artifact]) -> None:
    artifact = artifacts(name)
    reference = artifact.reference()
    walked = []
    for output, value in graph_of(artifact).walk(reference.inputs):
        truth = reference.truths[output]
        assert not isinstance(value, Unknown), (output, value)
        assert value.shape == truth.shape
        assert value.dtype == np.float64 or value.dtype.kind in "biu"
        # The weights are exact in float64; what was rounded to float32 are a few constants of the operations.
        assert np.abs(truth.sampled(value) - truth.sample).max() <= 1e-7 * truth.scale, output
        walked.append(output)
    assert walked == artifact.manifest.output_names


@pytest.mark.parametrize("name", ["cnn2", "mixed"])
def test_what_each_output_is_computed_from(name: str, artifacts: Callable[[str], Artifact]) -> None:
    artifact = artifacts(name)
    graph = graph_of(artifact)
    assert list(graph.inputs_of) == artifact.manifest.output_names
    known = {entry.name for entry in artifact.manifest.inputs}
    for output, sources in graph.inputs_of.items():
        assert set(sources) <= known, output
        known.add(output)
    assert graph.inputs_of[artifact.manifest.output_names[0]] == (artifact.manifest.inputs[0].name,)


@pytest.mark.parametrize("name", ["cnn11", "mixed"])
def test_forced_an_error_shows_only_where_it_was_planted(name: str, artifacts: Callable[[str], Artifact]) -> None:
    artifact = artifacts(name)
    reference = artifact.reference()
    given = open_runner(artifact, "onnx-cpu").run(reference.inputs)
    graph = graph_of(artifact)
    names = artifact.manifest.output_names
    planted = names[len(names) // 2]
    wrong = given[planted].copy()
    wrong[..., 0] += np.float32(0.1) * np.abs(wrong).max()
    # What a runtime gives whose one operation is faulty: all that comes after is computed from what that gave.
    inherited = graph.walk(reference.inputs, {planted: wrong})
    faulty = {output: _rounded(value) for output, value in inherited} | {planted: wrong}

    introduced = {}
    for output, value in graph.walk(reference.inputs, faulty):
        assert not isinstance(value, Unknown)
        introduced[output] = np.abs(faulty[output] - value).max() / (np.abs(value).max() or 1.0)
    assert [output for output, error in introduced.items() if error > 1e-5] == [planted]
    assert introduced[planted] == pytest.approx(0.1, rel=0.01)
    # And yet the error is there at the end, for who compares with the truth alone.
    truth = reference.truths[names[-1]]
    assert np.abs(truth.sampled(faulty[names[-1]]) - truth.sample).max() > 1e-6 * truth.scale


def _rounded(value: Any) -> Any:
    return value.astype(np.float32) if value.dtype.kind == "f" else value


def test_two_walks_are_equal_and_leave_what_they_were_given(exported: Callable[[str], Artifact]) -> None:
    artifact = exported("cnn2")
    reference = artifact.reference()
    graph = graph_of(artifact)
    first = {output: value.copy() for output, value in graph.walk(reference.inputs)}
    given = {output: value.copy() for output, value in first.items()}
    forced = dict(graph.walk(reference.inputs, given))
    for output, value in first.items():
        assert np.array_equal(given[output], value)
        assert np.array_equal(forced[output], value)


def test_a_tensor_of_a_wrong_shape_is_unknown_to_its_user_alone(exported: Callable[[str], Artifact]) -> None:
    artifact = exported("cnn11")
    reference = artifact.reference()
    given = open_runner(artifact, "onnx-cpu").run(reference.inputs)
    graph = graph_of(artifact)
    conv = next(o.name for o in artifact.manifest.outputs if o.label == "Conv2d" and o.name != next(iter(given)))
    (source,) = graph.inputs_of[conv]
    given[source] = given[source][:, :1]
    unknown = [name for name, value in graph.walk(reference.inputs, given) if isinstance(value, Unknown)]
    assert unknown == [name for name, sources in graph.inputs_of.items() if source in sources and name in unknown]
    assert conv in unknown
    (reason,) = {value.reason for name, value in graph.walk(reference.inputs, given) if name == conv}
    assert reason.startswith("Conv can't be recomputed: weights (")


# Graphs made by hand, of what exported models seldom hold.


def model(folder: Path, nodes: list[Any], outputs: list[str], inputs: Any = ("x",), **weights: Any) -> Path:
    tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in inputs]
    results = [helper.make_empty_tensor_value_info(name) for name in outputs]
    graph = helper.make_graph(nodes, "by_hand", values, results, tensors)
    file = folder / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]), file)
    return file


def walk(file: Path, outputs: list[str], forced: Arrays | None = None, **inputs: Any) -> Arrays:
    return dict(Float64Graph(file, outputs).walk(inputs, forced))


node = helper.make_node
X = np.array([0.1, 0.2, 0.7], np.float32)
WIDE = X.astype(np.float64)


@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16])
def test_floats_of_every_width_are_widened(kind: int, tmp_path: Path) -> None:
    narrow = helper.tensor_dtype_to_np_dtype(kind)
    w = np.array([1.5, 2.25, -3.0]).astype(narrow)
    third = helper.make_tensor("third", kind, [1], [1 / 3])
    nodes = [
        node("Cast", ["x"], ["cast"], to=kind),
        node("Constant", [], ["third"], value=third),
        node("CastLike", ["number"], ["like"]),
        node("Constant", [], ["number"], value_float=0.1),
        node("Constant", [], ["numbers"], value_floats=[0.1, 0.2, 0.3]),
        node("Constant", [], ["two"], value=helper.make_tensor("two", TensorProto.INT64, [1], [2])),
        node("ConstantOfShape", ["two"], ["filled"], value=helper.make_tensor("v", kind, [1], [0.5])),
        node("ConstantOfShape", ["two"], ["empty"]),
        node("EyeLike", ["square"], ["eye"], dtype=kind),
        node("Mul", ["cast", "w"], ["mul"]),
        node("Div", ["mul", "third"], ["div"]),
        node("Cast", ["div"], ["whole"], to=TensorProto.INT32),
    ]
    nodes[2] = node("CastLike", ["number", "w"], ["like"])
    nodes[2], nodes[3] = nodes[3], nodes[2]
    names = ["cast", "like", "numbers", "filled", "empty", "eye", "mul", "div", "whole"]
    found = walk(model(tmp_path, nodes, names, w=w, square=np.ones((2, 2), narrow)), names, x=X)
    assert {name: value.dtype for name, value in found.items() if value.dtype != np.float64} == {"whole": np.int32}
    assert np.array_equal(found["mul"], WIDE * [1.5, 2.25, -3.0])
    exact = numpy_helper.to_array(third).astype(np.float64)
    assert np.array_equal(found["div"], found["mul"] / exact)
    assert np.array_equal(found["numbers"], np.array([0.1, 0.2, 0.3], np.float32).astype(np.float64))


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float32", "float64"])
def test_forced_tensors_of_every_width_are_widened(kind: str, tmp_path: Path) -> None:
    narrow = helper.tensor_dtype_to_np_dtype(TensorProto.BFLOAT16) if kind == "bfloat16" else np.dtype(kind)
    nodes = [node("Relu", ["x"], ["a"]), node("Sqrt", ["a"], ["b"])]
    given = np.array([3.0, 5.0, 7.0]).astype(narrow)
    found = walk(model(tmp_path, nodes, ["a", "b"]), ["a", "b"], {"a": given}, x=X)
    assert np.array_equal(found["a"], WIDE)
    assert np.array_equal(found["b"], np.sqrt([3.0, 5.0, 7.0]))


def test_branches_and_loops_are_widened_and_see_what_is_around_them(tmp_path: Path) -> None:
    half = numpy_helper.from_array(np.array([0.1], np.float32), "half")
    none: list[Any] = []

    def info(name: str, kind: int = TensorProto.FLOAT) -> Any:
        return helper.make_tensor_value_info(name, kind, None)

    then = helper.make_graph([node("Mul", ["a", "half"], ["t"])], "then", none, [info("t")], [half])
    other = helper.make_graph([node("Identity", ["b"], ["e"])], "else", none, [info("e")])
    body = helper.make_graph(
        [node("Identity", ["go"], ["on"]), node("Add", ["total", "b"], ["more"])],
        "body",
        [info("i", TensorProto.INT64), info("go", TensorProto.BOOL), info("total")],
        [info("on", TensorProto.BOOL), info("more")],
    )
    nodes = [
        node("Relu", ["x"], ["a"]),
        node("Neg", ["a"], ["hidden"]),
        node("Neg", ["hidden"], ["b"]),
        node("If", ["yes"], ["if"], then_branch=then, else_branch=other),
        node("Loop", ["three", "yes", "if"], ["loop"], body=body),
    ]
    names = ["a", "b", "if", "loop"]
    file = model(tmp_path, nodes, names, yes=np.array(True), three=np.array(3))
    found = walk(file, names, x=X)
    tenth = np.float64(np.float32(0.1))
    assert np.array_equal(found["if"], WIDE * tenth)
    assert np.allclose(found["loop"], WIDE * tenth + 3 * WIDE, rtol=1e-15)
    assert found["loop"].dtype == np.float64
    # Of the branches in the order of the node's attributes, where "else" stands first.
    assert Float64Graph(file, names).inputs_of == {"a": ("x",), "b": ("a",), "if": ("b", "a"), "loop": ("if", "b")}
    assert Float64Graph(file, ["loop"]).inputs_of == {"loop": ("x",)}
    assert np.array_equal(walk(file, names, {"b": np.zeros(3)}, x=X)["loop"], found["if"])


def test_what_cannot_be_recomputed_says_why_and_is_known_again_when_forced(tmp_path: Path) -> None:
    nodes = [
        node("RandomNormalLike", ["x"], ["noise"]),
        node("Add", ["x", "noise"], ["sum"]),
        node("Other", ["sum"], ["other"], domain="somewhere"),
        node("Relu", ["other"], ["relu"]),
        node("Neg", ["x"], ["neg"]),
    ]
    names = ["noise", "sum", "other", "relu", "neg"]
    file = model(tmp_path, nodes, names)
    found = walk(file, names, x=X)
    reason = Unknown("RandomNormalLike can't be recomputed: it draws new random numbers each time")
    assert [found[name] for name in names[:4]] == [reason] * 4
    assert np.array_equal(found["neg"], -WIDE)

    forced = walk(file, names, dict.fromkeys(names, X), x=X)
    assert forced["noise"] == reason
    assert np.array_equal(forced["sum"], WIDE + WIDE)
    assert forced["other"].reason.startswith("Other can't be recomputed: ")
    assert np.array_equal(forced["relu"], WIDE)


def test_outputs_come_in_the_order_asked_for_and_only_their_nodes_are_computed(tmp_path: Path) -> None:
    nodes = [
        node("Neg", ["x"], ["late"]),
        node("Other", ["x"], ["unwanted"], domain="somewhere"),
        node("Split", ["x"], ["one", "two"], num_outputs=2),
        node("Relu", ["one"], ["early"]),
    ]
    file = model(tmp_path, nodes, ["early", "late", "two"])
    x = np.arange(4, dtype=np.float32)
    found = walk(file, ["early", "two", "late"], x=x)
    assert list(found) == ["early", "two", "late"]
    assert np.array_equal(found["two"], [2, 3])


def test_values_are_freed_when_nobody_needs_them(tmp_path: Path) -> None:
    names = [f"r{i}" for i in range(40)]
    nodes = [node("Neg", [before], [name]) for before, name in zip(["x", *names], names, strict=False)]
    graph = Float64Graph(model(tmp_path, nodes, names), names)
    x = np.ones(1 << 17, np.float32)
    tracemalloc.start()
    for _ in graph.walk({"x": x}, dict.fromkeys(names, x)):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * 8 * x.size


def test_a_scale_keeps_no_tensors_from_far_before_it(tmp_path: Path) -> None:
    names = [f"r{i}" for i in range(40)]
    nodes = [node("Neg", [before], [name]) for before, name in zip(["x", *names], names, strict=False)]
    graph = Float64Graph(model(tmp_path, nodes, names), names)
    x = np.ones(1 << 17, np.float32)
    tracemalloc.start()
    for *_, scale in graph.walk_with_scales({"x": x}):
        assert scale.with_inputs(dict.fromkeys(names, 1.0)).max() >= 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * 8 * x.size


@pytest.mark.parametrize("name", ["cnn2", "mixed"])
def test_what_a_scale_is_at_least_is_no_more_than_it_is(name: str, artifacts: Callable[[str], Artifact]) -> None:
    artifact = artifacts(name)
    reference = artifact.reference()
    graph = Float64Graph(artifact.file("model.onnx"), artifact.manifest.output_names, rounds=True)
    bounds = 0
    for _, value, scale in graph.walk_with_scales(reference.inputs, folded={}):
        assert not isinstance(value, Unknown)
        assert (np.broadcast_to(scale.least, value.shape) <= np.broadcast_to(scale.own, value.shape)).all()
        bounds += scale.least is not scale.own
    assert bounds >= 3
    # Where the operation itself rounds, there is no such bound.
    assert all(scale.least is scale.own for *_, scale in graph.walk_with_scales(reference.inputs))


def test_weights_may_lie_in_a_file_beside(tmp_path: Path) -> None:
    file = model(tmp_path, [node("Mul", ["x", "w"], ["y"])], ["y"], w=np.array([2.0, 3.0, 4.0], np.float32))
    onnx.save(onnx.load(file), file, save_as_external_data=True, location="model.onnx.data", size_threshold=0)
    assert np.array_equal(walk(file, ["y"], x=X)["y"], WIDE * [2, 3, 4])
    (tmp_path / "model.onnx.data").unlink()
    with pytest.raises(ArtifactError, match=r"its weights are in 'model\.onnx\.data', which is not beside it"):
        walk(file, ["y"], x=X)


def test_functions_of_the_model_are_taken_apart(tmp_path: Path) -> None:
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("own", 1)]
    twice = helper.make_function("own", "Twice", ["a"], ["b"], [node("Add", ["a", "a"], ["b"])], opsets[:1])
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [3]) for name in "xy"]
    graph = helper.make_graph([node("Twice", ["x"], ["y"], domain="own")], "g", values[:1], values[1:])
    onnx.save(helper.make_model(graph, opset_imports=opsets, functions=[twice]), tmp_path / "model.onnx")
    assert np.array_equal(walk(tmp_path / "model.onnx", ["y"], x=X)["y"], 2 * WIDE)


def test_faults_of_the_caller_are_told(tmp_path: Path) -> None:
    file = model(tmp_path, [node("Neg", ["x"], ["y"])], ["y"])
    with pytest.raises(ArtifactError, match="does not compute z, which the manifest lists"):
        Float64Graph(file, ["y", "z"])
    with pytest.raises(InputError, match="The model takes x; x is missing"):
        walk(file, ["y"])
    file.write_bytes(b"no model")
    with pytest.raises(ArtifactError, match=r"model\.onnx can't be loaded as an ONNX model"):
        Float64Graph(file, ["y"])
    with pytest.raises(ArtifactError, match="can't be read: No such file"):
        Float64Graph(tmp_path / "absent.onnx", ["y"])
