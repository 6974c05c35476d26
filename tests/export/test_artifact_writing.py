"""The artifact that export writes: complete, self-describing, and agreeing with float64 in every runtime."""

import hashlib
import json
import zipfile

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch

from conftest import VARIANTS
from export import export_artifact
from probe import build_probe, load_model
from runtime import compare_output, open_artifact, open_runner
from runtime.artifact.errors import ExportError
from runtime.artifact.manifest import MANIFEST_FILE, METADATA_KEY, Manifest
from runtime.artifact.reference import Truth, load_references
from runtime.artifact.tensor_summary import sample


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("batch", [1, 3, 17])
def test_onnx_and_torchscript_agree_with_float64_for_any_batch(exported, variant, batch):
    artifact = exported(variant)
    probe = build_probe(load_model(variant).module, torch.zeros(1, 3, 64, 64))
    x = torch.randn(batch, 3, 64, 64, generator=torch.Generator().manual_seed(batch))
    with torch.no_grad():
        single = probe(x)
        probe.module.double()
        double = probe(x.double())
    for runner in ("onnx-cpu", "torchscript"):
        arrays = open_runner(artifact, runner).run({"x": x.numpy()})
        assert list(arrays) == list(double)
        for name, tensor in double.items():
            exact = tensor.numpy()
            scale = float(np.abs(exact).max())
            floor = float(np.abs(single[name].numpy() - exact).max()) / scale
            truth = Truth(sample(exact).astype(np.float64), exact.shape, scale, floor, 0)
            outcome = compare_output(name, truth, arrays[name])
            assert outcome.verdict == "pass", (runner, outcome)


def test_the_folder_holds_what_the_format_promises(exported):
    artifact = exported("cnn2")
    files = {file.name for file in artifact.path.iterdir()}
    assert files == {
        "manifest.json",
        "model.onnx",
        "model.pt2",
        "model.torchscript.pt",
        "operations.json",
        "reference.safetensors",
        "test_photo.png",
        "test_vectors.safetensors",
    }
    for name, digest in artifact.manifest.files.items():
        assert hashlib.sha256((artifact.path / name).read_bytes()).hexdigest() == digest
    assert set(artifact.manifest.files) == files - {"manifest.json"}
    assert artifact.manifest.inputs[0].model_dump() == {"name": "x", "shape": ("N", 3, 64, 64), "dtype": "float32"}
    assert artifact.manifest.results == {"": "fc"}
    assert all(file.stat().st_mode & 0o044 == 0o044 for file in artifact.path.iterdir()), "readable by others"


def test_each_model_file_describes_itself(exported):
    artifact = exported("cnn2")
    expected = artifact.manifest.model_copy(update={"files": {}})
    model = onnx.load(artifact.path / "model.onnx")
    inside = next(entry.value for entry in model.metadata_props if entry.key == METADATA_KEY)
    assert Manifest.model_validate_json(inside) == expected
    for file in ("model.torchscript.pt", "model.pt2"):
        with zipfile.ZipFile(artifact.path / file) as archive:
            name = next(name for name in archive.namelist() if name.endswith(f"/extra/{MANIFEST_FILE}"))
            assert Manifest.model_validate_json(archive.read(name)) == expected


def test_a_lone_model_file_runs(exported, tmp_path):
    artifact = exported("cnn3")
    x = np.zeros((1, 3, 64, 64), np.float32)
    expected = open_runner(artifact, "onnx-cpu").run({"x": x})
    for file, runner in (
        ("model.onnx", "onnx-cpu"),
        ("model.torchscript.pt", "torchscript"),
        ("model.pt2", "torch-export"),
    ):
        alone = tmp_path / f"renamed{''.join((artifact.path / file).suffixes[-1:])}"
        alone.write_bytes((artifact.path / file).read_bytes())
        arrays = open_runner(open_artifact(alone), runner).run({"x": x})
        np.testing.assert_allclose(arrays["fc"], expected["fc"], atol=1e-6)


def test_a_model_file_in_its_folder_is_the_folder(exported):
    assert open_artifact(exported("cnn3").path / "model.onnx").path == exported("cnn3").path


def test_the_onnx_file_passes_the_checker_with_full_shape_inference_and_has_a_dynamic_batch(exported):
    artifact = exported("cnn11")
    onnx.checker.check_model(artifact.path / "model.onnx", full_check=True)
    graph = onnx.load(artifact.path / "model.onnx").graph
    assert [output.name for output in graph.output] == artifact.manifest.output_names
    assert {output.type.tensor_type.shape.dim[0].dim_param for output in graph.output} == {"N"}


def test_the_manifest_is_stable_from_run_to_run(exported, tmp_path, layerprobe):
    layerprobe("export", "cnn2", "-o", tmp_path / "again")
    again = json.loads((tmp_path / "again" / "manifest.json").read_text())
    first = json.loads((exported("cnn2").path / "manifest.json").read_text())
    assert [output["name"] for output in again["outputs"]] == [output["name"] for output in first["outputs"]]
    assert again["outputs"] == first["outputs"]


def test_the_reference_holds_a_fixed_sample_of_large_outputs(exported):
    reference = load_references(exported("cnn11").path / "reference.safetensors")[0]
    assert reference.truths["cnn1"].sample.size == 8192 < np.prod(reference.truths["cnn1"].shape)
    assert reference.truths["fc"].sample.shape == (6,)
    assert reference.truths["fc"].sample.dtype == np.float64
    assert 1e-9 < reference.truths["fc"].noise_floor < 1e-5


def test_the_sample_meets_every_channel_and_column_evenly():
    channels = np.broadcast_to(np.arange(256)[:, None, None], (256, 56, 56))
    columns = np.broadcast_to(np.arange(56), (256, 56, 56))
    for axis, size in ((channels, 256), (columns, 56)):
        counts = np.bincount(sample(axis), minlength=size)
        assert counts.min() > 0.9 * 65_536 / size
        assert counts.max() < 1.1 * 65_536 / size


def test_an_onnx_model_that_cannot_be_written_is_told_in_words(tmp_path, monkeypatch):
    def fails(*_, **__):
        raise ir.serde.SerdeError("Error calling serialize_model_into") from ValueError("a value has no type")

    monkeypatch.setattr(ir, "save", fails)
    probe = build_probe(torch.nn.ReLU().eval(), torch.ones(1, 2))
    with pytest.raises(ExportError, match=r"torch\.onnx made a model that can't be written: a value has no type"):
        export_artifact(probe, tmp_path / "artifact")
