"""What an artifact for images brings so that preprocessing in another language can be checked."""

import hashlib
import json
import shutil

import numpy as np
import onnx
import pytest
import torch
from altered_artifacts import alter_manifest
from onnx import TensorProto, helper
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file

from export import export_artifact, export_onnx
from probe import build_probe
from probe.onnx_model.loading import load_onnx
from runtime.artifact.folder import open_artifact
from runtime.artifact.manifest import Preprocessing
from runtime.runs.preprocessing import preprocess_files


def facts(folder):
    with safe_open(folder / "test_vectors.safetensors", framework="np") as opened:
        return json.loads(opened.metadata()["layerprobe.test_vectors"])


def test_the_photo_becomes_the_vectors(exported):
    artifact = exported("cnn2")
    steps = artifact.manifest.preprocessing
    vectors = load_file(artifact.path / "test_vectors.safetensors")
    assert sorted(vectors) == ["cropped", "input:x", "pixels"]
    with Image.open(artifact.path / "test_photo.png") as photo:
        assert photo.mode == "RGB"
        assert np.array_equal(np.asarray(photo), vectors["pixels"])
    assert vectors["pixels"].shape == (97, 161, 3)
    assert vectors["cropped"].shape == (*steps.crop, 3)
    assert vectors["pixels"].dtype == vectors["cropped"].dtype == np.uint8
    assert np.array_equal(vectors["input:x"], preprocess_files([artifact.path / "test_photo.png"], steps))
    scaled = vectors["cropped"].transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    mean, std = (np.float32(each)[:, None, None] for each in (steps.mean, steps.std))
    assert np.array_equal(vectors["input:x"][0], (scaled - mean) / std)


def test_the_vectors_say_what_their_bytes_must_be(exported):
    folder = exported("cnn2").path
    said = facts(folder)
    assert said["photo"] == "test_photo.png"
    for name, array in load_file(folder / "test_vectors.safetensors").items():
        assert said["sizes"][name] == list(array.shape)
        assert said["sha256"][name] == hashlib.sha256(array.tobytes()).hexdigest()


def test_the_vectors_are_an_input_of_the_model(exported, tmp_path, layerprobe):
    folder = exported("cnn2").path
    for name in ("test_photo.png", "test_vectors.safetensors"):
        outcome = layerprobe("run", folder, folder / name, "-o", tmp_path / f"{name}.safetensors")
        assert outcome.code == 0, outcome.err
    first, second = (load_file(file) for file in sorted(tmp_path.iterdir()))
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_an_artifact_of_an_earlier_version_has_none_and_works(exported, tmp_path, layerprobe):
    folder = shutil.copytree(exported("cnn2").path, tmp_path / "old")
    for name in ("test_photo.png", "test_vectors.safetensors"):
        (folder / name).unlink()
        alter_manifest(folder, lambda content, name=name: content["files"].pop(name) and None)
    assert layerprobe("verify", folder, "-q").code == 0


@pytest.mark.parametrize(("channels", "layout"), [(3, "NHWC"), (1, "NCHW"), (3, "NCHW")])
def test_an_onnx_file_s_vectors_are_in_its_own_layout(tmp_path, channels, layout):
    sizes = {"N": "N", "C": channels, "H": 23, "W": 31}
    shape = [sizes[axis] for axis in layout]
    graph = helper.make_graph(
        [helper.make_node("Relu", ["photo"], ["y"])],
        "g",
        [helper.make_tensor_value_info("photo", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), tmp_path / "f.onnx")
    loaded = load_onnx(tmp_path / "f.onnx")
    export_onnx(loaded.probe, tmp_path / "art", preprocessing=loaded.preprocessing)
    vectors = load_file(tmp_path / "art" / "test_vectors.safetensors")
    assert vectors["cropped"].shape == (23, 31, channels)
    assert vectors["input:photo"].shape == tuple(1 if size == "N" else size for size in shape)
    assert set(open_artifact(tmp_path / "art").manifest.files) > {"test_photo.png", "test_vectors.safetensors"}


class Scores(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(8, 3)

    def forward(self, x):
        return self.fc(x)


def test_a_model_of_no_images_has_no_vectors(tmp_path):
    export_artifact(build_probe(Scores(), torch.randn(2, 8)), tmp_path / "art")
    assert not list((tmp_path / "art").glob("test_*"))


def test_where_no_photo_may_be_as_large_as_it_would_be_resized_there_are_no_vectors(tmp_path):
    steps = Preprocessing(resize=2**18, crop=(40, 40), mean=[0.5] * 3, std=[0.5] * 3)
    export_artifact(
        build_probe(torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3)), torch.randn(1, 3, 40, 40)),
        tmp_path / "art",
        preprocessing=steps,
    )
    assert not list((tmp_path / "art").glob("test_*"))


def test_the_averaged_probe_alone_has_them_too(tmp_path):
    steps = Preprocessing(resize=40, crop=(40, 40), mean=[0.5] * 3, std=[0.5] * 3)
    probe = build_probe(torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3)), torch.randn(1, 3, 40, 40))
    export_artifact(probe, tmp_path / "art", preprocessing=steps, averaged=True, full=False)
    files = open_artifact(tmp_path / "art").manifest.files
    assert {"test_photo.png", "test_vectors.safetensors", "averaged.onnx"} <= set(files)
