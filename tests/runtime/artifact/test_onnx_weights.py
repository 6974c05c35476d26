"""Weights in files beside a model: only listed ones, only in its folder, and alike in every runtime."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from altered_artifacts import alter_manifest, copy_of, rehash
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper
from onnx_making import constant, node, save, value, weight

from probe.onnx_model.reading import read_sound_model
from runtime import Artifact, ArtifactError, ModelError, open_artifact, open_runner
from runtime.artifact.onnx_file import read_onnx
from runtime.artifact.onnx_weights import files_referred_to
from runtime.artifact.protobuf import field
from runtime.float64.graph import Float64Graph

X = value("x", 3)


@pytest.fixture
def folder(exported: Callable[[str], Artifact], tmp_path: Path) -> Path:
    """An artifact whose weights are in a file of their own, and listed."""
    copied = copy_of(exported("cnn2").path, tmp_path / "art")
    model = onnx.load(copied / "model.onnx")
    onnx.save(model, copied / "model.onnx", save_as_external_data=True, location="model.onnx.data")
    rehash(copied, "model.onnx", "model.onnx.data")
    return copied


def referring(file: Path, location: str) -> Path:
    """Write a model whose weight is said to be at a location."""
    save(file, [node("Add", ["x", "w"], ["y"])], [X], ["y"], [weight("w", 3)])
    model = onnx.load(file)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    file.write_bytes(model.SerializeToString())
    return file


def test_listed_weights_are_checked_and_used(folder: Path) -> None:
    artifact = open_artifact(folder)
    assert open_runner(artifact, "onnx-cpu").run(artifact.reference().inputs)
    data = bytearray((folder / "model.onnx.data").read_bytes())
    data[100] ^= 1
    (folder / "model.onnx.data").write_bytes(data)
    with pytest.raises(ArtifactError, match=r"model\.onnx\.data was altered after the export"):
        open_runner(open_artifact(folder), "onnx-cpu")


def test_weights_that_the_manifest_does_not_list_are_refused(folder: Path) -> None:
    alter_manifest(folder, lambda manifest: manifest["files"].pop("model.onnx.data") and None)
    with pytest.raises(ArtifactError, match=r"has weights in 'model\.onnx\.data', which the manifest doesn't list"):
        open_runner(open_artifact(folder), "onnx-cpu")


@pytest.mark.parametrize("runner", ["onnx-cpu", "onnx-reference"])
def test_files_with_two_hard_links_are_read_alike_in_every_runtime(folder: Path, tmp_path: Path, runner: str) -> None:
    twin = shutil.copytree(folder, tmp_path / "twin", copy_function=os.link)
    artifact = open_artifact(twin)
    inputs, name = artifact.reference().inputs, artifact.manifest.output_names[0]
    found = open_runner(artifact, runner, outputs=[name]).run(inputs)[name]
    right = next(iter(Float64Graph(artifact.file("model.onnx"), [name]).walk(inputs)))[1]
    assert np.allclose(found, right, atol=1e-4)


OUTSIDE = ("../secret", "/etc/passwd", "sub/../../secret", "..\\secret", "", "\0", "a\0b")


@pytest.mark.parametrize("location", OUTSIDE)
def test_a_location_outside_the_folder_is_refused_for_artifacts_and_for_other_files_alike(
    tmp_path: Path, location: str
) -> None:
    (tmp_path / "secret").write_bytes(bytes(12))
    (tmp_path / "in").mkdir()
    file = referring(tmp_path / "in" / "model.onnx", location)
    for read, kind in ((read_onnx, ArtifactError), (read_sound_model, ModelError)):
        with pytest.raises(kind, match="outside its folder"):
            read(file)  # type: ignore[operator]


@pytest.mark.parametrize(
    "said",
    ["7001", "7000", "70018182", "708180808010", "70017007", "7007", "70017200", "70017000"],
    ids=["file", "model", "truncated", "64 bits", "then unknown", "unknown", "then no number", "then model"],
)
def test_where_a_weight_is_said_to_be_is_read_as_protobuf_reads_it(said: str) -> None:
    """`data_location`, 14, is an enum: of 32 bits, and a value that isn't one of its own changes nothing."""
    tensor = TensorProto()
    tensor.external_data.add(key="location", value="secret")
    content = tensor.SerializeToString() + bytes.fromhex(said)
    model = field(7, field(5, content))
    try:
        tensor.ParseFromString(content)
    except DecodeError:
        with pytest.raises(ValueError, match=r"not a protobuf message|truncated"):
            list(files_referred_to(model))
    else:
        assert list(files_referred_to(model)) == ["secret"] * (tensor.data_location == TensorProto.EXTERNAL)


def test_a_link_may_stay_in_the_folder_and_not_leave_it(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in" / "w", tmp_path / "w"
    inside.parent.mkdir()
    for each in (inside, outside):
        each.write_bytes(np.arange(3, dtype=np.float32).tobytes())
    file, link = referring(tmp_path / "in" / "model.onnx", "link"), tmp_path / "in" / "link"
    link.symlink_to(inside)
    found = dict(Float64Graph(file, ["y"]).walk({"x": np.zeros(3, np.float32)}))
    assert np.array_equal(found["y"], [0, 1, 2])  # type: ignore[arg-type]
    link.unlink()
    link.symlink_to(outside)
    with pytest.raises(ArtifactError, match="a link out of its folder"):
        read_onnx(file)


def test_a_pipe_or_a_folder_in_place_of_weights_is_refused(tmp_path: Path) -> None:
    file = referring(tmp_path / "model.onnx", "w")
    os.mkfifo(tmp_path / "w")
    with pytest.raises(ArtifactError, match="is not a regular file"):
        read_onnx(file)


def _constant(tensor: TensorProto) -> list[onnx.NodeProto]:
    return [node("Constant", [], ["c"], value=tensor), node("Add", ["x", "c"], ["y"])]


def _branch(tensor: TensorProto) -> list[onnx.NodeProto]:
    result = value("c", 3)
    graph = helper.make_graph([node("Add", ["x", "w"], ["c"])], "branch", [], [result], [tensor])
    return [
        node("Constant", [], ["yes"], value=constant("yes", True, "bool")),
        node("If", ["yes"], ["y"], then_branch=graph, else_branch=graph),
    ]


def _deep(tensor: TensorProto) -> list[onnx.NodeProto]:
    inner = helper.make_graph(_constant(tensor), "branch", [], [value("y", 3)])
    return [
        node("Constant", [], ["yes"], value=constant("yes", True, "bool")),
        node("If", ["yes"], ["y"], then_branch=inner, else_branch=inner),
    ]


PLACES = {"a constant": _constant, "a branch's constant": _deep, "a branch's weight": _branch}


@pytest.mark.parametrize("nodes_of", PLACES.values(), ids=PLACES.keys())
def test_a_constant_of_a_node_is_not_read_from_a_file(
    tmp_path: Path, nodes_of: Callable[[TensorProto], list[onnx.NodeProto]]
) -> None:
    tensor = TensorProto(name="w", data_type=1, dims=[3], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="secret")
    file = save(tmp_path / "model.onnx", nodes_of(tensor), [X], ["y"])
    with pytest.raises(ArtifactError, match="a constant of a node is said to be in the file 'secret'"):
        read_onnx(file)


@pytest.mark.parametrize(
    "content",
    [b"\x80" * 3_000_000, b"\x38" + b"\xff" * 3_000_000, b"\x3a\x0a" * 2000, b"\x3a" + b"\xff" * 9 + b"\x01"],
    ids=["an endless key", "an endless number", "graphs cut short", "a length of 2**63"],
)
def test_a_number_without_end_is_no_protobuf(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(ArtifactError, match="can't be loaded as an ONNX model"):
        read_onnx(tmp_path / "model.onnx").model()
