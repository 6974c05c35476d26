"""The JavaScript package: its own tests, with what Python writes and expects, and what Node computes, judged here.

Without Node or its packages the tests are skipped, and say what is missing.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from altered_artifacts import IMPOSSIBLE, VALUES, copy_of, places, rehash, with_value
from javascript_here import browser, needs_package, run_node
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import photo_vectors
from runtime import Artifact, open_runner
from runtime.artifact.errors import ArtifactError
from runtime.artifact.manifest import parse_manifest
from runtime.artifact.tensor_summary import sample_places
from runtime.runs.preprocessing import preprocess_files

SAMPLES = {65_536 + 1: 65_536, 802_816: 65_536, 3_211_264: 4_321, 10_000_019: 65_536, 7: 9}
"""Sizes of tensors, each with the number of elements that is kept."""


pytestmark = needs_package


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, exported: Callable[[str], Artifact], photo: Path) -> Path:
    """What the tests in JavaScript compare with: photos, an artifact, manifests, tensors, samples."""
    folder = tmp_path_factory.mktemp("javascript")
    artifact = exported("cnn2")
    assert photo_vectors.write_pixels(folder / "photos.safetensors") > 200
    photo_vectors.write_files(folder / "files")
    copy_of(artifact.path, folder / "cnn2")
    move_weights(copy_of(artifact.path, folder / "weights_beside"))
    onnx.save(odd_names(), folder / "odd_names.onnx")
    write_manifests(artifact.path / "manifest.json", folder / "manifests.json")
    save_file(every_type(), folder / "types.safetensors", metadata={"text": 'ä\n"', "": "empty"})
    sampled = {str(size): sample_places(size, limit)[:: max(1, limit // 999)] for size, limit in SAMPLES.items()}
    told = {str(size): str(limit) for size, limit in SAMPLES.items()}
    save_file(
        {size: np.ascontiguousarray(each) for size, each in sampled.items()}, folder / "samples.safetensors", told
    )
    shutil.copy(photo, folder / "photo.jpg")
    name, steps = artifact.manifest.image_input()
    outputs = open_runner(artifact, "onnx-cpu").run({name: preprocess_files([photo], steps)})
    save_file(dict(outputs), folder / "photo_run.safetensors")
    return folder


def move_weights(folder: Path) -> None:
    """Put the weights into a file beside the model, as those of a large model are."""
    onnx.save(
        onnx.load(folder / "model.onnx"),
        folder / "model.onnx",
        save_as_external_data=True,
        location="model.onnx.data",
        size_threshold=1024,
    )
    rehash(folder, "model.onnx", "model.onnx.data")


def odd_names() -> onnx.ModelProto:
    """A model whose outputs, of two numbers each, are called as what every object in JavaScript has."""
    names = ["y", "__proto__", "constructor"]
    sized = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [2]) for name in ["x", *names]]
    nodes = [onnx.helper.make_node("Relu", ["x"], [name]) for name in names]
    graph = onnx.helper.make_graph(nodes, "odd", sized[:1], sized[1:])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)


def every_type() -> dict[str, Any]:
    """A tensor of each type that both NumPy and safetensors have, a scalar, and an empty one."""
    random = np.random.default_rng(5)
    kinds = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64")
    tensors: dict[str, Any] = {kind: random.integers(0, 100, (3, 5)).astype(kind) for kind in kinds}
    half = random.standard_normal((3, 5)).astype(np.float16)
    empty = np.zeros((0, 4), np.float32)
    return tensors | {"bool": half > 0, "float16": half, "scalar": np.array(2.5, np.float32), "empty": empty}


def write_manifests(manifest: Path, file: Path) -> None:
    """Write manifests in which a field has another value, each with the outputs' names, null if Python refuses it."""
    content = json.loads(manifest.read_text())
    texts = [json.dumps(with_value(content, path, value)) for path in places(content) for value in VALUES]
    for fault, _ in IMPOSSIBLE.values():
        changed = json.loads(json.dumps(content))
        fault(changed)
        texts.append(json.dumps(changed))
    texts += [json.dumps(content), json.dumps(content).replace('"model":', '"model": "another",\n "model":', 1)]
    told = []
    for text in texts:
        try:
            names = parse_manifest(text, Path("manifest.json")).output_names
        except ArtifactError:
            names = None
        told.append({"text": text, "names": names})
    file.write_text(json.dumps(told))


def test_the_types_of_the_package_are_right() -> None:
    run_node("run", "--silent", "check", program="npm")


def test_the_package_passes_its_own_tests(data: Path) -> None:
    printed = run_node("--test", "--test-reporter=tap", LAYERPROBE_TEST_DATA=str(data))
    assert [line for line in printed.splitlines() if "# SKIP" in line] == []
    found = load_file(data / "from_javascript.safetensors")
    expected = every_type()
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        assert (found[name] == array).all()
        assert found[name].shape == array.shape
    with safe_open(data / "from_javascript.safetensors", framework="np") as opened:
        assert opened.metadata() == {"text": 'ä\n"', "": "empty"}


def test_what_node_computes_passes_and_a_fault_in_it_does_not(
    data: Path, layerprobe: Callable[..., Any], tmp_path: Path
) -> None:
    run_node("testing/record_runs.js", data / "cnn2", tmp_path)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 4
    for file in files:
        judged = layerprobe("verify", data / "cnn2", "--tensors", file, "--runner", "onnx-float64")
        assert judged.code == 0, judged.out
        assert f"{file.name}: all 19 outputs pass" in judged.out
    with safe_open(files[0], framework="np") as opened:
        metadata = opened.metadata()
    tensors = load_file(files[0])
    save_file(tensors | {"fc": tensors["fc"] * np.float32(1.001)}, files[0], metadata)
    judged = layerprobe("verify", data / "cnn2", "--tensors", files[0], "--runner", "onnx-float64")
    assert judged.code == 1
    assert "fc" in judged.out.splitlines()[0].split()


def test_samples_of_what_node_computes_are_judged_too(
    data: Path, layerprobe: Callable[..., Any], tmp_path: Path
) -> None:
    run_node("testing/record_runs.js", data / "cnn2", tmp_path, "sampled")
    judged = layerprobe("verify", data / "cnn2", "--tensors", tmp_path / "0.safetensors", "--runner", "onnx-float64")
    assert judged.code == 0, judged.out


def test_a_browser_makes_the_same_of_photos_and_what_it_computes_passes(
    data: Path, layerprobe: Callable[..., Any]
) -> None:
    run_node("--test", "testing/in_browser.js", LAYERPROBE_TEST_DATA=str(data), LAYERPROBE_CHROMIUM=browser())
    file = data / "from_browser.safetensors"
    judged = layerprobe("verify", data / "cnn2", "--tensors", file, "--runner", "onnx-float64")
    assert judged.code == 0, judged.out
