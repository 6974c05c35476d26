"""The overview that a page shows of a photo is the one that Python draws: the same maps under the same words."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from javascript_here import PACKAGE, browser, node_modules, run_node
from PIL import Image

from export import export_artifact
from probe import build_probe
from runtime import Preprocessing, open_artifact
from runtime.artifact.errors import UsageError
from runtime.maps.grid_style import GridStyle
from runtime.maps.overview import overview_pages
from runtime.page.site_writing import write_page
from runtime.runners.registry import open_image_runner
from runtime.runs.photo_maps import PhotoRun

SIDE = 64
STEPS = Preprocessing(resize=SIDE, crop=(SIDE, SIDE), mean=[0.5, 0.5, 0.5], std=[0.25, 0.25, 0.25])


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    """A transformer, whose means say little, with its averaged probe, which has nothing else."""
    torch.manual_seed(2)
    sizes = {"num_layers": 8, "num_heads": 2, "hidden_dim": 24, "mlp_dim": 48, "num_classes": 5}
    model = torchvision.models.VisionTransformer(image_size=SIDE, patch_size=8, **sizes).eval()
    for parameter in model.encoder.layers.encoder_layer_3.mlp[3].parameters():
        parameter.data.mul_(1e-7)  # beside the others it is weak
    probe = build_probe(model, torch.zeros(1, 3, SIDE, SIDE))
    folder = tmp_path_factory.mktemp("overview") / "artifact"
    return open_artifact(export_artifact(probe, folder, averaged=True, preprocessing=STEPS))


@pytest.fixture(scope="module")
def photo(tmp_path_factory) -> Path:
    small = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    Image.fromarray(small).resize((70, 90), Image.Resampling.BICUBIC).save(path)
    return path


@pytest.fixture(scope="module")
def seen(artifact, photo, tmp_path_factory):
    """What stands on the page."""
    modules = node_modules("playwright-core", "onnxruntime-web")
    folder = tmp_path_factory.mktemp("visit")
    write_page(artifact, folder / "site", "net", backends=["wasm"], runtime_files=modules / "onnxruntime-web" / "dist")
    given = {
        "modules": str(modules),
        "chromium": browser(),
        "testing": str(PACKAGE / "testing"),
        "site": str(folder / "site"),
        "photo": base64.b64encode(photo.read_bytes()).decode(),
        "picture": str(folder / "picture.png"),
    }
    script = Path(__file__).with_name("overview_visit.mjs")
    return json.loads(run_node(script, json.dumps(given))) | {"picture": folder / "picture.png"}


@pytest.fixture(scope="module")
def drawn(artifact, photo):
    """Python's overview."""
    run = PhotoRun(artifact, photo, lambda probe, names: open_image_runner(probe, "onnx", "auto", outputs=names))
    return overview_pages(run, artifact.manifest.outputs, GridStyle(), "net · photo.png", run.seen())


def without_numbers(text: str) -> str:
    """What a processor's rounding can't change."""
    return re.sub(r"−?\d+\.\d+|\d+ %", "0", text)


def test_the_same_maps_stand_under_the_same_words(seen, drawn):
    assert seen["problems"] == []
    assert seen["names"] == [each.name for each in drawn.maps]
    assert {each.reduction for each in drawn.maps} == {"pca"}, "so that the means alone would be another page"
    assert without_numbers(seen["lead"]) == without_numbers(drawn.lead)
    assert seen["caption"] == list(drawn.opening)
    assert seen["notes"][-len(drawn.closing) :] == list(drawn.closing)
    assert seen["headings"] == ["input", "8 blocks 8 × 8"]


def test_each_tile_says_its_part_its_share_and_what_it_is(seen, drawn):
    for map_, lines, label in zip(drawn.maps, seen["lines"], seen["labels"], strict=True):
        assert without_numbers(lines[-1]).endswith(without_numbers(" · ".join(map_.remarks)))
        assert map_.name in label
        assert "8 blocks 8 × 8" in label


def test_the_means_are_there_before_the_components(seen):
    refining = [each for each in seen["statuses"] if each.endswith("Refining …")]
    assert len(refining) == 1
    assert seen["statuses"].index(refining[0]) < len(seen["statuses"]) - 1


def test_where_three_components_can_not_be_drawn_the_page_says_why_in_the_words_of_the_command(seen):
    with pytest.raises(UsageError) as refused:
        GridStyle(reduce="pca3", overlay=True)
    why = str(refused.value).removesuffix("choose pca.") + "pca is drawn."
    assert seen["large"] == ["", why]
    assert [why in caption for caption in seen["captions"]] == [False, True, False, True, False]


def test_a_mark_is_seen_where_its_line_is_too_long(seen):
    assert any(mark["isCut"] for mark in seen["marks"]), "so that the test tries what it says"
    assert [mark["text"] for mark in seen["marks"] if not mark["isSeen"]] == []


def test_the_saved_picture_has_as_many_maps(seen, drawn):
    saved = np.asarray(Image.open(seen["picture"]).convert("RGB"))
    expected = drawn.picture(1)
    assert saved.shape[1] == expected.width
    assert saved.shape[0] == pytest.approx(expected.height, abs=60), "another font may break a sentence elsewhere"
