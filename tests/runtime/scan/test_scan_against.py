"""`layerprobe scan --against`: a fault that one runner has on some images only is found, and told from none."""

import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from candidate_files import nameless
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
    target = tmp_path / "my scan"
    outcome = layerprobe("scan", small.path, photos, "-o", target, "--against", "onnx-cpu=openvino")
    assert outcome.code == 0, outcome.err
    assert "the same on 40 of 40 images" in outcome.out
    # What it says can be copied: each worst image's inputs by their path, and the command.
    (given,) = {line.partition("; ")[0] for line in outcome.out.splitlines() if line.startswith("  given ")}
    assert {Path(each) for each in given.removeprefix("  given ").split(", ")} == set((target / "worst").iterdir())
    shown = layerprobe(*shlex.split(outcome.out.splitlines()[-1].split("`")[1])[1:])
    assert (shown.code, given in shown.out) == (0, True), shown.err


def test_what_is_no_pair_of_runners_is_refused(small, photos, tmp_path, layerprobe):
    for against, said in (
        ("openvino", "is no ONNX file, no artifact and no two runners."),
        ("onnx-cpu=onnx-cpu", "is one runner twice, so nothing would be compared."),
    ):
        outcome = layerprobe("scan", small.path, photos, "-o", tmp_path / "s", "--against", against)
        assert (outcome.code, f"--against {against} {said}\n" in outcome.err) == (2, True), outcome.err
        assert "two runners, as in onnx-cpu=openvino" in outcome.err or "two, as in onnx-cpu=openvino" in outcome.err


class Bright(nn.Module):
    """A clamp that only bright photos reach, and a branch that only they take."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.clamp, self.second = nn.Conv2d(3, 4, 3), nn.Hardtanh(-5.0, 5.0), nn.Conv2d(4, 6, 3)
        self.head = nn.Linear(384, 5)
        with torch.no_grad():
            self.conv.weight[0], self.conv.bias[0] = 1.0, -18.0

    def forward(self, x):
        y = self.second(self.clamp(self.conv(x)))
        bright = x.mean((1, 2, 3), keepdim=True) > 0.8
        return self.head(torch.where(bright, y * 2, y.relu()).flatten(1))


STEPS = Preprocessing(resize=12, crop=(12, 12), mean=[0.5] * 3, std=[0.5] * 3)


def written(module, folder):
    return export_artifact(build_probe(module, torch.randn(2, 3, 12, 12)), folder, preprocessing=STEPS)


@pytest.fixture(scope="module")
def bright(tmp_path_factory):
    """The artifact of `Bright`, and a file of it without its names."""
    module, folder = Bright().eval(), tmp_path_factory.mktemp("bright")
    written(module, folder / "a")
    torch.onnx.export(
        module,
        (torch.zeros(1, 3, 12, 12),),
        folder / "named.onnx",
        dynamo=False,
        opset_version=17,
        input_names=["pixels"],
        dynamic_axes={"pixels": {0: "batch"}},
    )
    return folder / "a", nameless(folder / "named.onnx", folder / "right.onnx")


def of_type(model, operator):
    return next(node for node in model.graph.node if node.op_type == operator)


def without_clamp(model):
    """Leave out the upper bound."""
    del of_type(model, "Clip").input[2:]


def without_branch(model):
    """Let `where` return the same on both sides."""
    inputs = of_type(model, "Where").input
    inputs[1] = inputs[2]


@pytest.mark.parametrize(("fault", "layer"), [(without_clamp, "clamp"), (without_branch, "where")])
def test_a_fault_of_a_file_on_one_image_is_found_named_and_shown(bright, photos, tmp_path, layerprobe, fault, layer):
    artifact, right = bright
    file, target = nameless(right, tmp_path / "theirs.onnx", fault), tmp_path / "s"
    outcome = layerprobe("scan", artifact, photos, "-o", target, "--against", file, "--shard", 16)
    assert outcome.code == 1, outcome.err
    assert (
        f"{layer} differs by more than float32's noise on 1 of 40 images; that starts there on 1, most on 23.png"
        in (outcome.out)
    )
    rows = {row["output"]: row for row in pq.read_table(target / "differences.parquet").to_pylist()}
    found = {name for name, row in rows.items() if row["images_starting"]}
    assert (found, rows[layer]["starting_image"], rows["conv"]["images_over"]) == ({layer}, "23.png", 0)
    assert rows["head"]["images_over"] == 1
    report = json.loads((target / "worst.json").read_text())
    assert {runner["name"]: runner["culprit"]["output"] for runner in report["runners"]} == dict.fromkeys(
        ("onnx-float64", "onnx-cpu"), layer
    )
    # By the very command that was printed.
    shown = shlex.split(outcome.out.strip().splitlines()[-1].split("`")[1])
    judged = layerprobe(*shown[1:])
    assert (judged.code, "The ONNX file is at fault" in judged.out) == (1, True)
    again = layerprobe("scan", artifact, photos, "-o", target, "--against", file, "--shard", 16)
    assert (again.code, again.err) == (1, "images that an earlier scan had done: 40\n")


def test_what_each_operation_introduced_is_measured_on_every_image_and_goes_on(bright, photos, tmp_path, layerprobe):
    artifact, right = bright
    file, target = nameless(right, tmp_path / "theirs.onnx", without_clamp), tmp_path / "s"
    command = ("scan", artifact, photos, "-o", target, "--against", file, "--shard", 24, "--introduced")
    outcome = layerprobe(*command)
    assert (outcome.code, "clamp fails on 1 of them" in outcome.out) == (1, True)
    rows = {(row["runner"], row["output"]): row for row in pq.read_table(target / "introduced.parquet").to_pylist()}
    assert {name: row["images_at_fault"] for name, row in rows.items() if row["images_at_fault"]} == {
        (runner, "clamp"): 1 for runner in ("onnx-float64", "onnx-cpu")
    }
    assert {row["images"] for row in rows.values()} == {40}
    assert (rows["onnx-float64", "clamp"]["max_image"], rows["onnx-float64", "conv"]["max_introduced"]) == ("23.png", 0)
    assert 0 < rows["onnx-cpu", "second"]["median_introduced"] <= rows["onnx-cpu", "second"]["max_introduced"] < 16
    each = pq.read_table(target / "introduced").to_pylist()
    found = {row["image"] for row in each if row["output"] == "second" and row["verdict"] == "inherited"}
    assert found == {"23.png"}
    worst = pq.read_table(target / "worst.parquet").to_pylist()
    assert {row["image"] for row in worst if row["at_fault"]} == {"23.png"}
    # Stopped after the first shard, it goes on with the second.
    parts = sorted((target / "introduced").iterdir())
    before, second = parts[0].stat().st_mtime_ns, pq.read_table(parts[1])
    parts[1].unlink()
    assert layerprobe(*command).code == 1
    assert (parts[0].stat().st_mtime_ns, pq.read_table(parts[1])) == (before, second)


def test_a_sound_file_passes_on_every_image(bright, photos, tmp_path, layerprobe):
    artifact, right = bright
    outcome = layerprobe("scan", artifact, photos, "-o", tmp_path / "s", "--against", right)
    assert outcome.code == 0, outcome.err
    assert "no image differs by more than float32's noise" in outcome.out
    assert "the same on 40 of 40 images" in outcome.out


def test_a_file_that_returns_every_value_has_the_results_of_the_model(bright, photos, tmp_path, layerprobe):
    file = shutil.copy(bright[0] / "model.onnx", tmp_path / "theirs.onnx")
    outcome = layerprobe("scan", bright[0], photos, "-o", tmp_path / "s", "--limit", 3, "--against", file)
    assert outcome.code == 0, outcome.err
    assert {line.split()[2] for line in outcome.out.splitlines() if line.startswith("  the result ")} == {"head"}


def without_head(model):
    """End before the last operation."""
    del model.graph.node[-1]
    model.graph.output[0].name = model.graph.node[-1].output[0]
    model.graph.output[0].type.tensor_type.ClearField("shape")


def test_a_file_without_the_models_result_is_compared_as_far_as_it_goes(bright, photos, tmp_path, layerprobe):
    artifact, right = bright
    file = nameless(right, tmp_path / "cut.onnx", without_head)
    outcome = layerprobe("scan", artifact, photos, "-o", tmp_path / "s", "--limit", 8, "--against", file)
    assert outcome.code in (0, 1), outcome.err
    rows = {row["output"] for row in pq.read_table(tmp_path / "s" / "differences.parquet").to_pylist()}
    assert ("where" in rows, "head" in rows, "top class" in outcome.out) == (True, False, False)


def test_a_changed_file_is_another_scan(bright, photos, tmp_path, layerprobe):
    artifact, right = bright
    file = nameless(right, tmp_path / "theirs.onnx")
    command = ("scan", artifact, photos, "-o", tmp_path / "s", "--limit", 5, "--against", file)
    assert layerprobe(*command).code == 0
    nameless(right, file, without_clamp)
    changed = layerprobe(*command)
    assert (changed.code, f"{file} has changed since" in changed.err) == (3, True)


def test_another_artifact_with_the_same_weights_is_judged_and_one_with_others_is_not(
    bright, photos, tmp_path, layerprobe
):
    module = Bright().eval()
    again = written(module, tmp_path / "again")
    with torch.no_grad():
        for each in module.parameters():
            each.mul_(1.25)
    tuned = written(module, tmp_path / "tuned")
    same = layerprobe("scan", bright[0], photos, "-o", tmp_path / "s", "--against", again)
    assert (same.code, "All pass." in same.out) == (0, True)
    other = layerprobe("scan", bright[0], photos, "-o", tmp_path / "t", "--against", tuned)
    assert (other.code, "has other weights" in other.out) == (0, True)
    rows = {row["output"]: row for row in pq.read_table(tmp_path / "t" / "differences.parquet").to_pylist()}
    assert rows["conv"]["median_relative"] == pytest.approx(0.25, rel=0.02)
    assert (tmp_path / "t" / "worst").is_dir()
    assert not (tmp_path / "t" / "worst.json").exists()
    refused = layerprobe("scan", bright[0], photos, "-o", tmp_path / "t", "--against", tuned, "--introduced")
    assert (refused.code, refused.err.splitlines()[-1]) == (2, "Omit --introduced.")


def test_a_model_of_other_inputs_and_a_file_that_is_not_there_are_refused(bright, photos, tmp_path, layerprobe):
    other = export_artifact(build_probe(nn.Sequential(nn.Linear(4, 3)).eval(), torch.randn(2, 4)), tmp_path / "other")
    for against, code, said in (
        (other, 3, "takes"),
        (tmp_path / "absent.onnx", 3, "There is no file"),
        (
            photos / "01.png",
            2,
            "Give an ONNX file, another artifact (`layerprobe export MODEL -o DIR` makes one), or two",
        ),
    ):
        outcome = layerprobe("scan", bright[0], photos, "-o", tmp_path / "s", "--against", against)
        assert (outcome.code, said in outcome.err) == (code, True), outcome.err
        assert len(outcome.err.splitlines()) <= 2
