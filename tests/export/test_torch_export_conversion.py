"""The artifact's third model file, for torch.export: portable, of one copy of each weight, and able to be missing."""

import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from conftest import ROOT
from export import export_artifact
from probe import build_probe
from proofs.planted_faults import rehash
from runtime import RunnerUnavailable, open_artifact, open_runner, verify
from runtime.artifact.errors import ExportError


def test_the_file_tells_nothing_of_the_machine_that_exported(exported):
    told = [str(Path.home()), str(Path(torch.__file__).parent), str(ROOT), sys.prefix]
    with zipfile.ZipFile(exported("cnn11").path / "model.pt2") as archive:
        for name in archive.namelist():
            content = archive.read(name)
            assert not [path for path in told if len(path) > 5 and path.encode() in content], name
            assert "sample_inputs" not in name or not content


def test_weights_that_two_modules_share_are_saved_once(tmp_path):
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Linear(512, 512)
            self.other = nn.Linear(512, 512)
            self.other.weight = self.one.weight

        def forward(self, x):
            return self.other(self.one(x))

    torch.manual_seed(0)
    folder = export_artifact(build_probe(Shared(), torch.randn(1, 512)), tmp_path / "shared")
    with zipfile.ZipFile(folder / "model.pt2") as archive:
        sizes = [entry.file_size for entry in archive.infolist()]
    assert sizes.count(512 * 512 * 4) == 1
    assert verify(open_artifact(folder), ["torch-export"]).passed


@pytest.mark.parametrize("batch", [1, 5])
def test_any_batch_fits(exported, batch):
    x = np.random.default_rng(0).standard_normal((batch, 3, 64, 64)).astype("float32")
    found = open_runner(exported("cnn3"), "torch-export").run({"x": x})
    assert list(found) == exported("cnn3").manifest.output_names
    np.testing.assert_allclose(found["fc"], open_runner(exported("cnn3"), "torchscript").run({"x": x})["fc"], atol=1e-5)


def test_where_torch_export_fails_the_artifact_is_written_without_it_and_says_why(tmp_path, layerprobe, monkeypatch):
    def fail(probe):
        raise ExportError("torch.export can't convert this model: it is too strange")

    monkeypatch.setattr("export.artifact_writing.to_torch_export", fail)
    outcome = layerprobe("export", "cnn3", "-o", tmp_path / "art")
    assert outcome.code == 0
    assert "model.pt2 is left out: torch.export can't convert this model: it is too strange" in outcome.err
    artifact = open_artifact(tmp_path / "art")
    assert "model.pt2" not in artifact.manifest.files
    with pytest.raises(RunnerUnavailable, match=r"without model\.pt2: torch.export can't convert .* too strange"):
        verify(artifact, ["torch-export"])
    assert "too strange" in verify(artifact, ["all"], trust=True).left_out["torch-export"]


def test_a_file_cut_short_is_told_in_a_line(exported, tmp_path, layerprobe):
    folder = shutil.copytree(exported("cnn3").path, tmp_path / "art")
    content = (folder / "model.pt2").read_bytes()
    (folder / "model.pt2").write_bytes(content[: len(content) // 2])
    rehash(folder)
    outcome = layerprobe("verify", folder, "--runner", "torch-export")
    assert (outcome.code, outcome.out) == (3, "")
    assert "can't be loaded as torch.export's program" in outcome.err
    assert len(outcome.err.splitlines()) == 1
