"""The command line as a user meets it: what it writes, what it says, and its exit codes."""

import io
import json
import shlex
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load, load_file
from torch import nn

from export import export_artifact
from probe import CNN11, build_probe
from runtime import Preprocessing, open_artifact, open_runner, preprocess_files
from runtime.maps.tile_places import OUTPUT_PAGE


def test_run_writes_every_output_of_every_image_in_order(exported, photo, tmp_path, layerprobe):
    rng = np.random.default_rng(0)
    images = [photo]
    for number in range(20):
        images.append(tmp_path / f"{number:02}.png")
        Image.fromarray(rng.integers(0, 255, (70, 90, 3), dtype=np.uint8)).save(images[-1])
    artifact = exported("cnn2")
    outcome = layerprobe("run", artifact.path, *images, "-o", tmp_path / "all.safetensors")
    assert outcome.code == 0, outcome.err
    assert "outputs: 19, images: 21" in outcome.out
    arrays = load_file(tmp_path / "all.safetensors")
    with safe_open(tmp_path / "all.safetensors", framework="np") as file:
        metadata = file.metadata()
    assert json.loads(metadata["layerprobe.images"]) == [str(image) for image in images]
    expected = open_runner(artifact, "onnx-cpu").run({"x": preprocess_files(images, artifact.manifest.preprocessing)})
    assert set(arrays) == set(artifact.manifest.output_names)
    for name, array in expected.items():
        np.testing.assert_allclose(arrays[name], array, atol=1e-5, err_msg=name)


def test_run_takes_a_folder_and_chosen_outputs(exported, tmp_path, layerprobe):
    folder = tmp_path / "photos" / "cats"
    folder.mkdir(parents=True)
    for number in range(3):
        Image.new("RGB", (80, 80), (number, 0, 0)).save(folder / f"{number}.jpg")
    out = tmp_path / "t.safetensors"
    outcome = layerprobe("run", exported("cnn3").path, tmp_path / "photos", "-o", out, "--outputs", "cnn2*")
    assert outcome.code == 0, outcome.err
    arrays = load_file(out)
    assert {name: array.shape for name, array in arrays.items()} == {
        "cnn2": (3, 64, 16, 16),
        "cnn2_1": (3, 64, 8, 8),
        "cnn2_2": (3, 64, 4, 4),
    }


def test_run_takes_labels_and_names_of_which_both_must_hold(exported, photo, tmp_path, layerprobe):
    out = tmp_path / "t.safetensors"
    command = ("run", exported("cnn2").path, photo, "-o", out)
    assert layerprobe(*command, "--op", "conv2d").code == 0
    assert set(load_file(out)) == {"cnn1", "cnn2", "cnn2_1", "cnn2_2"}
    assert layerprobe(*command, "--op", "conv2d", "--op", "linear", "--outputs", "*2*", "--outputs", "fc").code == 0
    assert set(load_file(out)) == {"cnn2", "cnn2_1", "cnn2_2", "fc"}


def test_grid_draws_only_what_a_label_chooses(exported, photo, tmp_path, layerprobe):
    heights = []
    for options in ((), ("--op", "MaxPool*")):
        assert layerprobe("grid", exported("cnn2").path, photo, "-o", tmp_path / "maps.png", *options).code == 0
        with Image.open(tmp_path / "maps.png") as picture:
            heights.append(picture.height)
    assert heights[1] < heights[0]


def test_export_takes_labels_and_keeps_what_the_model_returns(tmp_path, layerprobe):
    assert layerprobe("export", "cnn3", "-o", tmp_path / "art", "--op", "*norm*").code == 0
    names = open_artifact(tmp_path / "art").manifest.output_names
    assert names == ["batchnorm1", "batchnorm1_1", "batchnorm1_2", "batchnorm1_3", "fc"]


def test_export_takes_a_depth_and_keeps_what_the_model_returns(tmp_path, layerprobe):
    (tmp_path / "net.py").write_text(
        "from torch import nn\ndef make():\n    block = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh())\n"
        "    return nn.Sequential(block, nn.Flatten(), nn.Identity())\n"
    )
    command = ("export", f"{tmp_path}/net.py:make", "-o", tmp_path / "art", "--input-size", 8)
    assert layerprobe(*command, "--depth", 1).code == 0
    assert open_artifact(tmp_path / "art").manifest.output_names == ["0.1", "1", "2"]


def test_onnx_and_torchscript_write_the_same(exported, photo, tmp_path, layerprobe):
    for runner in ("onnx", "torchscript"):
        outcome = layerprobe(
            "run", exported("cnn11").path, photo, "-o", tmp_path / f"{runner}.safetensors", "--runner", runner
        )
        assert outcome.code == 0, outcome.err
    one, other = (load_file(tmp_path / f"{runner}.safetensors") for runner in ("onnx", "torchscript"))
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_allclose(array, other[name], atol=1e-4)


@pytest.fixture
def small_pages(monkeypatch):
    for kind in ("feature_grid.OUTPUT_PAGE", "overview.OVERVIEW_PAGE"):
        monkeypatch.setattr(f"runtime.maps.{kind}", replace(OUTPUT_PAGE, most_tiles=4))


def test_grid_draws_page_by_page_what_one_page_cannot_hold(exported, photo, tmp_path, layerprobe, small_pages):
    file = tmp_path / "maps.png"
    outcome = layerprobe("grid", exported("cnn3").path, photo, "-o", file)
    hint = "Next page: --page 2; --all-pages draws all. Or select fewer outputs (--depth, --outputs).\n"
    assert outcome.code == 0
    assert outcome.err.endswith(hint)
    assert " px, page 1 of 2, by onnx-" in outcome.out
    first = file.read_bytes()
    last = layerprobe("grid", exported("cnn3").path, photo, "-o", file, "--page", "2")
    assert (last.code, last.err) == (0, "")
    assert "page 2 of 2" in last.out
    assert file.read_bytes() != first
    missing = layerprobe("grid", exported("cnn3").path, photo, "-o", file, "--page", "3")
    assert missing.code == 2
    assert "there are 2 pages" in missing.err


def test_grid_draws_all_pages_in_one_pdf_or_as_numbered_files(exported, photo, tmp_path, layerprobe, small_pages):
    command = ("grid", exported("cnn3").path, photo, "--all-pages", "-o")
    outcome = layerprobe(*command, tmp_path / "maps.pdf")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith(f"{tmp_path}/maps.pdf: pages: 2, by onnx-")
    assert layerprobe(*command, tmp_path / "maps.jpg").code == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["maps-1.jpg", "maps-2.jpg", "maps.pdf"]


def test_grid_draws_the_channels_of_one_output(exported, photo, tmp_path, layerprobe):
    command = ("grid", exported("cnn2").path, photo, "-o", tmp_path / "maps.svg", "--channels")
    outcome = layerprobe(*command, "cnn2", "--top", 3)
    assert outcome.code == 0, outcome.err
    assert (tmp_path / "maps.svg").read_text().count("<image") == 1 + 3 + 1, "photo, channels, colour bar"
    assert "No output or module is called 'cn2'" in layerprobe(*command, "cn2").err
    assert layerprobe(*command, "cnn2", "--outputs", "cnn2").code == 2
    assert layerprobe("grid", exported("cnn2").path, photo, "-o", tmp_path / "maps.svg", "--top", 3).code == 2


def svg_texts(file):
    return [each.text for each in ElementTree.parse(file).iter("{http://www.w3.org/2000/svg}text")]


NORMED = """from torch import nn
def make():
    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.GroupNorm(1, 6, affine=False), Centred(), nn.ReLU())
class Centred(nn.Module):
    def forward(self, x):
        return x - x.mean(1, keepdim=True)
"""


@pytest.mark.parametrize(
    ("options", "drawn"),
    [
        (("--averaged",), {"0": "0 Conv2d", "2.sub": "2.sub PC1 "}),
        (("--averaged", "--no-full"), {"0": "0 Conv2d"}),
        ((), {"0": "0 Conv2d", "2.sub": "2.sub PC1 "}),
    ],
)
def test_grid_says_what_the_layer_has_and_draws_what_its_mean_does_not_show(
    tmp_path, photo, layerprobe, options, drawn
):
    (tmp_path / "net.py").write_text(NORMED)
    art = tmp_path / "art"
    assert layerprobe("export", f"{tmp_path}/net.py:make", "-o", art, "--input-size", 16, *options).code == 0
    outcome = layerprobe("grid", art, photo, "-o", tmp_path / "maps.svg")
    assert outcome.code == 0, outcome.err
    written = svg_texts(tmp_path / "maps.svg")
    for name, detail in drawn.items():
        assert " ".join(written[written.index(name) :]).startswith(detail)
    assert ("2.sub" in written) == ("2.sub" in drawn)
    reduced = layerprobe("grid", art, photo, "-o", tmp_path / "maps.svg", "--reduce", "std")
    assert reduced.code == (2 if "--no-full" in options else 0)
    assert ("export without --no-full" in reduced.err) == ("--no-full" in options)


def test_depth_selects_one_output_of_each_block(tmp_path, photo, layerprobe):
    (tmp_path / "net.py").write_text(
        "from torch import nn\ndef make():\n    block = lambda i: nn.Sequential(nn.Conv2d(i, 4, 3), nn.Tanh())\n"
        "    return nn.Sequential(block(3), block(4), nn.MaxPool2d(3, 1))\n"
    )
    layerprobe("export", f"{tmp_path}/net.py:make", "-o", tmp_path / "art", "--input-size", 16)
    assert layerprobe("grid", tmp_path / "art", photo, "-o", tmp_path / "maps.svg", "--depth", 1).code == 0
    assert {"0.1", "1.1", "2"} < set(svg_texts(tmp_path / "maps.svg"))
    assert not {"0.0", "1.0"} & set(svg_texts(tmp_path / "maps.svg"))
    assert layerprobe("run", tmp_path / "art", photo, "-o", tmp_path / "t.safetensors", "--depth", 1).code == 0
    assert set(load_file(tmp_path / "t.safetensors")) == {"0.1", "1.1", "2"}
    listed = layerprobe("nodes", f"{tmp_path}/net.py:make", "--input-size", 16, "--depth", 1, "--json").out
    assert [each["name"] for each in json.loads(listed)["outputs"]] == ["0.1", "1.1", "2"]


def test_grid_draws_repeated_tensors_only_when_asked(tmp_path, photo, layerprobe):
    (tmp_path / "net.py").write_text(
        "from torch import nn\ndef make():\n    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout(0.5))\n"
    )
    layerprobe("export", f"{tmp_path}/net.py:make", "-o", tmp_path / "art", "--input-size", 16)
    widths = []
    for options in ((), ("--aliases",)):
        outcome = layerprobe("grid", tmp_path / "art", photo, "-o", tmp_path / "maps.png", "--columns", 3, *options)
        assert outcome.code == 0, outcome.err
        with Image.open(tmp_path / "maps.png") as picture:
            widths.append(picture.width)
    assert widths[0] < widths[1]


def test_grid_takes_a_number_of_columns(exported, photo, tmp_path, layerprobe):
    widths = []
    for columns in (2, 3):
        file = tmp_path / f"{columns}.png"
        outcome = layerprobe("grid", exported("cnn3").path, photo, "-o", file, "--columns", columns)
        assert outcome.code == 0, outcome.err
        assert "--page" not in outcome.out + outcome.err
        with Image.open(file) as picture:
            widths.append(picture.width)
    assert widths[0] < widths[1]
    for option in ("--columns", "--page"):
        assert layerprobe("grid", exported("cnn3").path, photo, "-o", tmp_path / "no.png", option, 0).code == 2
    assert not (tmp_path / "no.png").exists()


def test_grid_draws_jpg_png_and_webp_in_any_colour_map(exported, photo, tmp_path, layerprobe):
    sizes = set()
    for suffix in ("jpg", "png", "webp"):
        file = tmp_path / f"maps.{suffix}"
        outcome = layerprobe("grid", exported("cnn3").path, photo, "-o", file, "--cmap", "magma")
        assert outcome.code == 0, outcome.err
        with Image.open(file) as picture:
            sizes.add(picture.size)
    assert len(sizes) == 1


def test_export_takes_weights_statistics_and_outputs(tmp_path, layerprobe, photo):
    torch.manual_seed(1)
    model = CNN11(out_channels=6)
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    outcome = layerprobe(
        *("export", "cnn11", "-o", tmp_path / "art", "--weights", tmp_path / "weights.pt", "--outputs", "cnn*"),
        *("--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25"),
    )
    assert outcome.code == 0, outcome.err
    assert layerprobe("run", tmp_path / "art", photo, "-o", tmp_path / "t.safetensors").code == 0
    arrays = load_file(tmp_path / "t.safetensors")
    assert set(arrays) == {"cnn1", "cnn2", "fc"}
    steps = Preprocessing(resize=64, crop=(64, 64), mean=[0.5] * 3, std=[0.25] * 3)
    with torch.no_grad():
        expected = model.eval()(torch.from_numpy(preprocess_files([photo], steps)))
    np.testing.assert_allclose(arrays["fc"], expected.numpy(), atol=1e-5)
    manifest = json.loads((tmp_path / "art" / "manifest.json").read_text())
    assert manifest["preprocessing"] == {
        "resize": 64,
        "crop": [64, 64],
        "mean": [0.5, 0.5, 0.5],
        "std": [0.25, 0.25, 0.25],
        "interpolation": "bilinear",
        "layout": "NCHW",
        "in_model": None,
    }


def test_stats_prints_mean_and_standard_deviation_as_options(tmp_path, layerprobe):
    Image.new("RGB", (4, 4), (255, 0, 51)).save(tmp_path / "a.png")
    Image.new("RGB", (4, 4), (0, 0, 51)).save(tmp_path / "b.png")
    outcome = layerprobe("stats", tmp_path)
    assert outcome.code == 0
    assert outcome.out == "--mean 0.500000,0.000000,0.200000 --std 0.500000,0.000000,0.000000\n"


def test_statistics_go_from_stats_to_export(tmp_path, layerprobe, photo):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "hopper.jpg").write_bytes(photo.read_bytes())
    printed = layerprobe("stats", tmp_path / "photos").out
    assert layerprobe("export", "cnn3", "-o", tmp_path / "art", *shlex.split(printed)).code == 0


def test_bench_reports_percentiles_and_the_plain_model(exported, tmp_path, layerprobe):
    outcome = layerprobe(
        *("bench", exported("cnn3").path, "--trust", "--repeats", 3, "--batch", 2, "--json", tmp_path / "b.json"),
    )
    assert outcome.code == 0, outcome.err
    assert "times the plain model's time" in outcome.out
    rows = [line.split() for line in outcome.out.splitlines() if line.startswith("onnx-cpu ")]
    assert [row[1:2] + row[3:5] for row in rows] == [["2", "-", "-"]], "of 3 runs there is no p90 and no p99"
    assert not any(line.endswith(" ") for line in outcome.out.splitlines())
    report = json.loads((tmp_path / "b.json").read_text())
    timings = {timing["name"]: timing for timing in report["timings"]}
    assert {"onnx-cpu", "torchscript", "onnx-cpu, plain"} <= set(timings)
    for timing in timings.values():
        assert 0 < timing["p50_ms"] <= timing["p90_ms"] <= timing["p99_ms"]


def test_bench_takes_any_batch_of_a_model_whose_other_input_has_none(tmp_path, layerprobe):
    class Scaled(nn.Module):
        def forward(self, image, scale):
            return image * scale

    export_artifact(build_probe(Scaled(), torch.rand(1, 8, 4, 8), torch.rand(8)), tmp_path / "scaled")
    outcome = layerprobe("bench", tmp_path / "scaled", "--repeats", 1, "--batch", 3, "--json", tmp_path / "b.json")
    assert outcome.code == 0, outcome.err
    assert {timing["batch"] for timing in json.loads((tmp_path / "b.json").read_text())["timings"]} == {3}


def test_bench_of_a_fixed_batch_takes_that_one_only(tmp_path, layerprobe):
    class Fixed(nn.Module):
        def forward(self, image):
            return image.reshape(2, 8, 16) * 2

    export_artifact(build_probe(Fixed(), torch.rand(2, 8, 4, 4)), tmp_path / "fixed")
    assert layerprobe("bench", tmp_path / "fixed", "--repeats", 1, "--batch", 2).code == 0
    refused = layerprobe("bench", tmp_path / "fixed", "--repeats", 1, "--batch", 3)
    assert refused.code == 2
    assert "takes only a batch of 2, not --batch 3" in refused.err


def test_bench_compares_the_variants_over_several_batches(tmp_path, layerprobe):
    assert layerprobe("export", "cnn3", "-o", tmp_path / "both", "--averaged").code == 0
    outcome = layerprobe(
        *("bench", tmp_path / "both", "--runner", "onnx-cpu", "--repeats", 12, "--batch", "1,3"),
        *("--json", tmp_path / "b.json", "--picture", tmp_path / "b.png"),
    )
    assert outcome.code == 0, outcome.err
    report = json.loads((tmp_path / "b.json").read_text())
    variants = ["plain", "averaged", "full"]
    assert [(each["variant"], each["batch"]) for each in report["timings"]] == [
        *((variant, 1) for variant in variants),
        *((variant, 3) for variant in variants),
    ]
    for timing in report["timings"]:
        low, high = timing["mean_interval_ms"]
        assert low <= timing["mean_ms"] <= high
        assert timing["transfer_ms"] is None
    for ratio in report["ratios"]:
        low, high = ratio["interval"]
        assert low <= ratio["ratio"] <= high
    assert outcome.out.count("The averaged probe takes") == 2
    assert Image.open(tmp_path / "b.png").size[0] > 1000


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--batch", "0"), "give numbers from 1 to 65536"),
        (("--batch", "1,,2"), "give numbers from 1 to 65536"),
        (("--batch", "65536"), "The largest batch that fits is"),
        (("--picture", "b.gif"), "must end in one of .png, .svg, .pdf"),
        (("--runner", "none"), "no runner 'none'"),
    ],
)
def test_bench_refuses_before_it_runs(arguments, told, exported, layerprobe, monkeypatch):
    monkeypatch.setattr("runtime.runners.memory_need.free_bytes", lambda: 10**9)
    outcome = layerprobe("bench", exported("cnn2").path, *arguments)
    assert outcome.code == 2
    assert told in outcome.err


def test_the_demo_does_the_whole_job(tmp_path, layerprobe):
    outcome = layerprobe("demo", "-o", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"cnn11", "cnn2", "cnn3", "feature_maps1.jpg", "feature_maps2.jpg", "feature_maps3.jpg"} <= names
    assert outcome.out.count("onnx-cpu: all") == outcome.out.count("torchscript: all") == 3
    assert str(tmp_path / "out") in outcome.out.splitlines()[-1]
    for number, rows in ((1, 1), (2, 1), (3, 2)):
        with Image.open(tmp_path / "out" / f"feature_maps{number}.jpg") as picture:
            assert picture.format == "JPEG"
            assert picture.width > 1000
            assert picture.height > 400 * rows


def _bad_inputs(folder, photo):
    truncated = folder / "truncated.jpg"
    truncated.write_bytes(photo.read_bytes()[:2000])
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("no image")
    (folder / "holiday").mkdir()
    return {
        "missing": folder / "missing.jpg",
        "empty": folder / "empty.jpg",
        "truncated": truncated,
        "text": folder / "text.jpg",
        "folder": folder / "holiday",
    }


@pytest.mark.parametrize("kind", ["missing", "empty", "truncated", "text", "folder"])
@pytest.mark.parametrize("command", ["grid", "run"])
def test_an_unreadable_image_ends_with_3_in_two_lines_and_writes_nothing(
    exported, photo, tmp_path, layerprobe, kind, command
):
    image = _bad_inputs(tmp_path, photo)[kind]
    (tmp_path / "out").mkdir()
    outcome = layerprobe(command, exported("cnn2").path, image, "-o", tmp_path / "out" / "result.png")
    assert outcome.code == 3, outcome
    assert 1 <= len(outcome.err.strip().splitlines()) <= 2
    assert str(image) in outcome.err
    assert "Traceback" not in outcome.err
    assert not list((tmp_path / "out").iterdir())


def _zip_bomb_png():
    buffer = io.BytesIO()
    Image.new("1", (20000, 20000)).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_decompression_bomb_ends_with_3(exported, tmp_path, layerprobe):
    (tmp_path / "bomb.png").write_bytes(_zip_bomb_png())
    outcome = layerprobe("grid", exported("cnn2").path, tmp_path / "bomb.png", "-o", tmp_path / "maps.png")
    assert outcome.code == 3
    assert "400" in outcome.err.replace(",", "")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("grid", "{art}", "{photo}", "-o", "{out}/maps.gif"), 2, ".webp"),
        (("grid", "{art}", "{photo}", "-o", "{out}/maps.png", "--cmap", "virdis"), 2, "viridis"),
        (("grid", "{art}", "{photo}", "-o", "{out}/no/folder/maps.png"), 3, "no/folder doesn't exist"),
        (("grid", "{art}", "{photo}", "-o", "{out}/maps.png", "--outputs", "cn2"), 2, "cnn2"),
        (("grid", "{art}", "{photo}", "-o", "{out}/maps.png", "--outputs", "fc"), 2, "Nothing to draw"),
        (("run", "{art}", "{out}", "-o", "{out}/t.safetensors"), 3, "image"),
        (("run", "{art}", "{photo}", "-o", "{out}"), 3, "folder"),
        (("run", "{art}", "{photo}"), 2, "-o"),
        (("run", "{art}", "{photo}", "-o", "{out}/t", "--provider", "gpu"), 2, "'auto', 'cuda', 'cpu'"),
        (("verify", "{out}"), 3, "not an artifact"),
        (("bench", "{art}", "--repeats", "0"), 2, "repeats"),
        (("export", "cnn2", "-o", "{art}"), 2, "--overwrite"),
        (("export", "cnn2", "-o", "{out}/a", "--mean", "1,x,1"), 2, "1,x,1"),
        (("export", "cnn2", "-o", "{out}/a", "--mean", "0.5"), 2, "both need 1 or 3"),
        (("export", "cnn2", "-o", "{out}/a", "--std", "1,0,1"), 2, "greater than 0"),
        (("export", "cnn2", "-o", "{out}/a", "--input-size", "32"), 3, "takes 1024"),
        (("export", "cnn2", "-o", "{out}/a", "--weights", "{out}/none.pt"), 3, "Check the path of the weights"),
        (("export", "cnn99", "-o", "{out}/a"), 3, "no model 'cnn99'"),
        (("nodes", "torchvision:resnet19"), 3, "resnet18"),
        (("nodes", "cnn2", "--outputs", "cnn9"), 2, "nearest"),
        (("nodes", "cnn2", "--op", "conf2d"), 2, "The nearest: Conv2d"),
        (("nodes", "cnn2", "--op", "Attention", "--json"), 2, "Conv2d (4), "),
        (("nodes", "cnn2", "--op", "Linear", "--outputs", "cnn*"), 2, "none has the label 'Linear'"),
        (("export", "cnn2", "-o", "{out}/a", "--op", "conf2d"), 2, "The nearest: Conv2d"),
        (("run", "{art}", "{photo}", "-o", "{out}/t", "--op", "conf2d"), 2, "The nearest: Conv2d"),
        (("grid", "{art}", "{photo}", "-o", "{out}/maps.png", "--op", "conf2d"), 2, "The nearest: Conv2d"),
        (("stats", "{out}"), 3, "image"),
        (("stats", "{out}/nowhere"), 3, "nowhere"),
        (("gird", "{art}"), 2, "gird"),
        (("export", "cnn2", "-o", "{out}/a", "--mean", "nan,0,0"), 2, "finite"),
        (("export", "cnn2", "-o", "{out}/a", "--std", "1,1,inf"), 2, "finite"),
        (("export", "cnn2", "-o", "{out}/a", "--mean", ""), 2, "list of numbers"),
        (("export", "cnn2", "-o", "{out}/a", "--seed", "99999999999999999999"), 2, "seed"),
        (("grid", "{art}", "{photo}", "-o", "{photo}"), 2, "an input of this command"),
        (("run", "{art}", "{photo}", "-o", "{art}/model.onnx"), 2, "is in the artifact"),
        (("verify", "{art}", "--runner", "all", "--runner", "foo"), 2, "foo"),
        (("verify",), 2, "ARTIFACT"),
        (("verify", "{art}", "--threads", "0"), 2, "greater than or equal to 1"),
        (("verify", "{art}", "--threads", "99999999999"), 2, "less than or equal to 1024"),
        (("verify", "{art}", "--json", "{out}/r", "--html", "{out}/r"), 2, "was given twice"),
        (("verify", "{art}", "--junit", "{out}/r", "--model-explorer", "{out}/./r"), 2, "was given twice"),
        (("run", "{art}", "--recorded-input", "--input-size", "32", "-o", "{out}/t"), 2, "applies to images only"),
    ],
)
def test_what_is_wrong_is_said_with_the_right_exit_code(exported, photo, tmp_path, layerprobe, arguments, code, said):
    filled = [text.format(art=exported("cnn2").path, photo=photo, out=tmp_path) for text in arguments]
    outcome = layerprobe(*filled)
    assert outcome.code == code, outcome
    assert said in outcome.err
    assert "Traceback" not in outcome.err
    assert outcome.out == ""
    assert len(outcome.err.strip().splitlines()) <= 2
    assert not list(tmp_path.iterdir())


def test_debug_shows_the_traceback_wherever_it_stands(exported, tmp_path):
    from runtime import ImageError
    from runtime.main import main

    for arguments in (["--debug", "stats", str(tmp_path)], ["stats", str(tmp_path), "--debug"]):
        with pytest.raises(ImageError):
            main(arguments)


def test_an_error_of_our_own_is_told_as_one(monkeypatch, layerprobe, tmp_path):
    def broken(*arguments, **options):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("runtime.runs.image_statistics.channel_statistics", broken)
    outcome = layerprobe("stats", tmp_path)
    assert outcome.code == 70
    assert "internal error: ZeroDivisionError: oh" in outcome.err
    assert "--debug" in outcome.err


def test_an_existing_result_is_replaced_whole(exported, photo, tmp_path, layerprobe):
    for _ in range(2):
        assert layerprobe("grid", exported("cnn2").path, photo, "-o", tmp_path / "maps.png").code == 0
    with Image.open(tmp_path / "maps.png") as picture:
        assert picture.format == "PNG"
    assert [path.name for path in tmp_path.iterdir()] == ["maps.png"]


def test_the_model_files_are_ordinary_ones(exported):
    assert zipfile.is_zipfile(exported("cnn2").path / "model.torchscript.pt")


def test_a_reader_that_goes_away_is_no_failed_verification(exported):
    command = [sys.executable, "-m", "runtime", "verify", str(exported("cnn3").path), "--runner", "onnx-cpu"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        errors = process.stderr.read().decode()
    assert process.returncode == 141
    assert errors == ""


def test_an_interrupted_command_ends_also_where_a_runtime_keeps_a_thread():
    code = (
        "import os, signal, sys, threading\n"
        "from runtime import commands, main\n"
        "threading.Thread(target=threading.Event().wait).start()\n"
        "commands.load = lambda name: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.argv[1:] = ['grid']\n"
        "main.main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (130, "")
    assert "Traceback" not in ended.stderr


ENDING = """
import atexit, sys
from runtime import commands, main

class Imported:
    def __del__(self):
        print("freed")

def command(name):
    atexit.register(print, "ended")
    raise FileNotFoundError(2, "there is none", "photo.jpg")

kept = Imported()
commands.load = command
sys.argv[1:] = ["grid"]
"""
"""A command that leaves a function for its end, in a process that holds what is to be freed then."""


def test_a_command_runs_what_is_left_for_its_end_and_frees_nothing():
    ended = subprocess.run([sys.executable, "-c", f"{ENDING}main.main()"], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (3, "ended\n")
    assert ended.stderr == "layerprobe: photo.jpg: there is none\n"


def test_a_program_that_goes_on_after_a_command_ends_as_it_wants():
    code = f"{ENDING}try: main.main(sys.argv[1:])\nexcept SystemExit as ended: sys.exit(ended.code + 2)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (5, "ended\n")


def test_a_report_goes_to_standard_output_and_a_pipe_stays_a_pipe(exported, tmp_path):
    command = [sys.executable, "-m", "runtime", "verify", str(exported("cnn3").path), "--runner", "onnx-cpu"]
    done = subprocess.run([*command, "--json", "/dev/stdout"], capture_output=True, text=True, check=True)
    report, _ = json.JSONDecoder().raw_decode(done.stdout)
    assert report["runners"][0]["verdict"] == "pass"
    assert Path("/dev/stdout").is_symlink()


def test_what_a_models_own_code_prints_is_no_result_of_ours(tmp_path, layerprobe):
    (tmp_path / "talking.py").write_text(
        "from torch import nn\nprint('import')\ndef make():\n    print('factory')\n    return nn.Conv2d(3, 4, 1)\n"
    )
    outcome = layerprobe("export", f"{tmp_path}/talking.py:make", "-o", tmp_path / "art", "--input-size", 8)
    assert outcome.code == 0
    assert outcome.out.startswith(f"{tmp_path / 'art'}: ")
    assert "factory" in outcome.err


def test_a_factory_that_exits_is_an_error(tmp_path, layerprobe):
    (tmp_path / "leaving.py").write_text("import sys\ndef make():\n    sys.exit(0)\n")
    assert layerprobe("nodes", f"{tmp_path}/leaving.py:make").code == 3


WITHOUT_BATCH = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.position = nn.Parameter(torch.arange(4.0).view(4, 1, 1))

    def forward(self, x):
        y = self.conv(x) * self.position.sigmoid()
        return y.reshape(-1, 6, 6){more}
"""


def _record(tmp_path, layerprobe, more, images):
    (tmp_path / "net.py").write_text(WITHOUT_BATCH.format(more=more))
    layerprobe("export", f"{tmp_path}/net.py:Net", "-o", tmp_path / "art", "--input-size", 8, "--overwrite")
    files = []
    for number in range(images):
        files.append(tmp_path / f"{number}.png")
        Image.new("RGB", (8, 8), (number * 9, 0, 255 - number * 9)).save(files[-1])
    outcome = layerprobe("run", tmp_path / "art", *files, "-o", tmp_path / "t.safetensors")
    artifact = open_artifact(tmp_path / "art")
    x = preprocess_files(files, artifact.manifest.preprocessing)
    return outcome, open_runner(artifact, "onnx-cpu").run({"x": x})


def test_outputs_of_several_rows_an_image_or_none_are_recorded_truly(tmp_path, layerprobe):
    outcome, expected = _record(tmp_path, layerprobe, "", images=19)
    assert outcome.code == 0, outcome.err
    arrays = load_file(tmp_path / "t.safetensors")
    assert {name: array.shape for name, array in arrays.items()} == {
        "conv": (19, 4, 6, 6),
        "sigmoid": (4, 1, 1),
        "mul": (19, 4, 6, 6),
        "reshape": (76, 6, 6),
    }
    for name, array in expected.items():
        np.testing.assert_allclose(arrays[name], array, atol=1e-6, err_msg=name)


def test_outputs_whose_batch_is_not_the_first_axis_are_refused_for_many_images_and_written_for_few(
    tmp_path, layerprobe
):
    outcome, _ = _record(tmp_path, layerprobe, ".reshape(-1, 4, 6, 6).transpose(0, 1)", images=19)
    assert outcome.code == 2
    assert "transpose" in outcome.err
    assert not (tmp_path / "t.safetensors").exists()
    outcome, expected = _record(tmp_path, layerprobe, ".reshape(-1, 4, 6, 6).transpose(0, 1)", images=3)
    assert outcome.code == 0, outcome.err
    np.testing.assert_allclose(load_file(tmp_path / "t.safetensors")["transpose"], expected["transpose"], atol=1e-6)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX terminal")
@pytest.mark.parametrize(("images", "shown"), [(9, False), (10, True)])
def test_from_ten_images_on_a_terminal_shows_a_progress_bar(exported, tmp_path, images, shown):
    import os
    import pty

    files = []
    for number in range(images):
        files.append(str(tmp_path / f"{number}.png"))
        Image.new("RGB", (64, 64)).save(files[-1])
    ours, terminal = pty.openpty()
    command = [sys.executable, "-m", "runtime", "run", str(exported("cnn3").path), *files]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(
        [*command, "-o", str(tmp_path / "t.safetensors")], stdout=subprocess.PIPE, stderr=terminal, env=environment
    ) as process:
        os.close(terminal)
        written = b""
        try:
            while chunk := os.read(ours, 65536):
                written += chunk
        except OSError:  # how a terminal tells that its other side has gone
            pass
        result = process.stdout.read()
    os.close(ours)
    assert process.returncode == 0
    assert (f"{images}/{images}" in written.decode()) is shown
    assert f"images: {images}".encode() in result


def test_a_model_with_a_fixed_batch_takes_that_many_images_and_no_other(tmp_path, layerprobe):
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.conv = nn.Conv2d(3, 4, 1)\n"
        "    def forward(self, x):\n"
        "        return self.conv(x).reshape(1, 4, 64)\n"
    )
    exported = layerprobe("export", f"{tmp_path}/net.py:Net", "-o", tmp_path / "art", "--input-size", 8)
    assert "the batch is fixed at 1" in exported.out
    files = []
    for number in range(2):
        files.append(tmp_path / f"{number}.png")
        Image.new("RGB", (8, 8), (90 * number, 0, 0)).save(files[-1])
    outcome = layerprobe("run", tmp_path / "art", *files, "-o", tmp_path / "t.safetensors")
    assert outcome.code == 2
    assert "only a batch of 1; 2 images were given" in outcome.err
    assert layerprobe("run", tmp_path / "art", files[1], "-o", tmp_path / "t.safetensors").code == 0
    assert load_file(tmp_path / "t.safetensors")["conv"].shape == (1, 4, 8, 8)


def test_the_help_tells_each_command_in_one_whole_sentence_and_no_python_types(layerprobe):
    listed = layerprobe("--help").out.partition("Commands:\n")[2].splitlines()
    assert len(listed) == 11
    # Typer cuts what is longer than the line with three dots.
    assert not [line for line in listed if line.endswith("...")]
    for command in ("nodes", "export", "run", "grid", "verify", "compare", "scan", "page", "stats", "demo"):
        text = layerprobe(command, "--help").out
        assert "list[" not in text
        assert "<str>" not in text
    assert "package.module:factory" in layerprobe("export", "--help").out


@pytest.fixture
def with_broken(photo: Path, tmp_path: Path) -> Path:
    """A folder of three photos, the second of which is cut short, and a text that is called one."""
    folder = tmp_path / "photos"
    folder.mkdir()
    content = photo.read_bytes()
    for name, data in {"1": content, "2": content[:4000], "3": content, "4": b"no photo"}.items():
        (folder / f"{name}.jpg").write_bytes(data)
    return folder


def test_a_folder_with_broken_images_is_run_without_them_and_they_are_listed(
    exported, with_broken, layerprobe, tmp_path
):
    done = layerprobe("run", exported("cnn2").path, with_broken, "-o", tmp_path / "t.safetensors", "--outputs", "fc")
    assert done.code == 3
    assert "images: 2" in done.out
    second, fourth, summary = done.err.splitlines()
    assert str(with_broken / "2.jpg") in second
    assert str(with_broken / "4.jpg") in fourth
    assert summary == "layerprobe: 2 of 4 images can't be read, and were left out."
    with safe_open(tmp_path / "t.safetensors", "np") as written:
        assert {name: written.get_slice(name).get_shape()[0] for name in written.keys()} == {"fc": 2}  # noqa: SIM118
        metadata = written.metadata()
    assert json.loads(metadata["layerprobe.images"]) == [str(with_broken / "1.jpg"), str(with_broken / "3.jpg")]
    assert list(json.loads(metadata["layerprobe.broken_images"])) == [str(with_broken / f"{name}.jpg") for name in "24"]


def test_statistics_of_a_folder_with_broken_images_are_of_the_others(with_broken, layerprobe):
    done = layerprobe("stats", with_broken)
    for name in "24":
        (with_broken / f"{name}.jpg").unlink()
    alone = layerprobe("stats", with_broken)
    assert (done.code, alone.code) == (3, 0)
    assert done.out == alone.out
    assert "images: 2, " in done.err
    assert done.err.endswith("layerprobe: 2 of 4 images can't be read, and were left out.\n")


@pytest.mark.parametrize("command", ["run", "stats"])
def test_strictly_the_first_broken_image_ends_a_command(command, exported, with_broken, layerprobe, tmp_path):
    rest = [exported("cnn2").path, with_broken, "-o", tmp_path / "t.safetensors"] if command == "run" else [with_broken]
    done = layerprobe(command, *rest, "--strict")
    assert (done.code, done.out) == (3, "")
    assert str(with_broken / "2.jpg") in done.err
    assert "4.jpg" not in done.err
    assert not (tmp_path / "t.safetensors").exists()
    for name in "13":
        (with_broken / f"{name}.jpg").unlink()
    assert layerprobe(command, *rest).code == 3  # nothing is left to write
    assert not (tmp_path / "t.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("veirfy", "x"), ["No such command 'veirfy': did you mean verify?", "`layerprobe --help` shows the usage."]),
        (("nonsense",), ["No such command 'nonsense'.", "`layerprobe --help` shows the usage."]),
        (
            ("scan", "x", "-o", "y"),
            [
                "Missing argument 'FOLDER': Folder of images, .npy or .npz files or WebDataset tars; also "
                "s3://BUCKET/... or gs://...",
                "`layerprobe scan --help` shows the usage.",
            ],
        ),
        (
            ("run", "x", "-o", "y"),
            [
                "Invalid value: give either input files (photos, .npy, .npz, .safetensors, or a folder of them) or "
                "--recorded-input",
                "`layerprobe run --help` shows the usage.",
            ],
        ),
        (
            ("run", "torchvision:resnet18", "x.jpg", "-o", "x.safetensors"),
            [
                "torchvision:resnet18 names a model, and this takes an artifact of one.",
                "`layerprobe export torchvision:resnet18 -o resnet18` makes one.",
            ],
        ),
        (
            ("scan", "cnn2", "photos", "-o", "scanned"),
            [
                "cnn2 names a model, and this takes an artifact of one.",
                "`layerprobe export cnn2 -o cnn2` makes one.",
            ],
        ),
        (
            ("bench", "net.py:make"),
            [
                "net.py:make names a model, and this takes an artifact of one.",
                "`layerprobe export net.py:make -o make` makes one.",
            ],
        ),
        (
            ("page", "nowhere", "-o", "site"),
            ["nowhere does not exist.", "`layerprobe export MODEL -o nowhere` makes an artifact there."],
        ),
    ],
)
def test_a_slip_is_told_with_what_was_meant(arguments, said, layerprobe):
    done = layerprobe(*arguments)
    assert done.err.removeprefix("layerprobe: ").splitlines() == said


@pytest.mark.parametrize("command", [[], ["verify"]])
def test_h_is_help(command, layerprobe):
    done = layerprobe(*command, "-h")
    assert (done.code, done.out) == (0, layerprobe(*command, "--help").out)


def test_tensors_go_through_a_pipe_whole_and_alone(exported, photo):
    command = ["run", exported("cnn2").path, photo, "-o", "/dev/stdout", "--outputs", "cnn1", "-q"]
    done = subprocess.run([sys.executable, "-m", "runtime", *command], capture_output=True, check=True)
    assert load(done.stdout)["cnn1"].shape[0] == 1
    assert done.stderr.startswith(b"/dev/stdout: outputs: 1, images: 1, by onnx-")
