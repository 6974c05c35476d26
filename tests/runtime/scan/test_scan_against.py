"""`layerprobe scan --against`: a fault that one runner has on some images only is found, and told from none."""

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torch import nn

from export import export_artifact
from probe import build_probe
from runtime import Preprocessing, open_artifact


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(400, 5))
    steps = Preprocessing(resize=12, crop=(12, 12), mean=[0.5] * 3, std=[0.5] * 3)
    folder = tmp_path_factory.mktemp("small") / "a"
    return open_artifact(
        export_artifact(build_probe(model.eval(), torch.randn(2, 3, 12, 12)), folder, preprocessing=steps)
    )


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """40 images of noise, of which number 23 is nearly white."""
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number in range(40):
        low = 240 if number == 23 else 0
        Image.fromarray(random.integers(low, 256, (14, 14, 3)).astype(np.uint8)).save(folder / f"{number:02}.png")
    return folder


@pytest.fixture
def wrong_on_bright_images(stand_in):
    """A runner that is as good as another, but for images that are nearly white."""

    def open_it(artifact, settings, outputs, opened):
        runner = opened(artifact, settings, outputs)
        compute = runner._compute

        def wrong(inputs):
            found = compute(inputs)
            bright = inputs[artifact.manifest.inputs[0].name].mean((1, 2, 3)) > 0.8
            found["1"] = np.where(bright[:, None, None, None], found["1"] + np.float32(0.01), found["1"])
            return found

        runner._compute = wrong
        runner.name = "openvino"
        return runner

    stand_in("openvino", open_it, of="onnx-cpu")


def test_a_fault_on_one_image_is_found_named_and_kept(small, photos, tmp_path, layerprobe, wrong_on_bright_images):
    target = tmp_path / "s"
    outcome = layerprobe("scan", small.path, photos, "-o", target, "--against", "onnx-cpu=openvino", "--shard", 16)
    assert outcome.code == 1, outcome.err
    worst = next(line for line in outcome.out.splitlines() if line.startswith("23.png: "))
    assert worst.endswith("times float32's noise at 1")
    rows = {row["output"]: row for row in pq.read_table(target / "differences.parquet").to_pylist()}
    assert (rows["1"]["max_image"], rows["1"]["images"]) == ("23.png", 40)
    assert rows["1"]["max_drift"] > 1000
    assert rows["0"]["max_drift"] < 16
    drifting = [row for row in pq.read_table(target / "differences").to_pylist() if row["drift"] > 16]
    assert {(row["image"], row["output"]) for row in drifting} == {("23.png", "1")}
    assert "Against openvino" in (target / "report.html").read_text()
    assert (target / "worst.html").exists()
    kept = target / "worst" / "1-23.png.npz"
    judged = layerprobe("verify", small.path, "--input", kept, "--runner", "openvino")
    assert (judged.code, "1 " in judged.out) == (1, True)


def test_two_sound_runners_pass(small, photos, tmp_path, layerprobe, stand_in):
    stand_in(
        "openvino", lambda artifact, settings, outputs, opened: opened(artifact, settings, outputs), of="torchscript"
    )
    outcome = layerprobe("scan", small.path, photos, "-o", tmp_path / "s", "--against", "onnx-cpu=openvino")
    assert outcome.code == 0, outcome.err
    assert "the same on 40 of 40 images" in outcome.out


def test_what_is_no_pair_of_runners_is_refused(small, photos, tmp_path, layerprobe):
    outcome = layerprobe("scan", small.path, photos, "-o", tmp_path / "s", "--against", "openvino")
    assert (outcome.code, "give two runners, as in onnx-cpu=openvino" in outcome.err) == (2, True)
