"""What `layerprobe grid` draws of the photo itself, as a user meets it."""

from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from torch import nn, zeros

from export import export_artifact
from probe import build_probe
from runtime import Preprocessing


@pytest.fixture
def drawn(exported, tmp_path, layerprobe):
    """Draw as SVG and return the outcome with the texts in the picture, in the order of drawing."""

    def draw(*arguments, artifact=None):
        file = tmp_path / "maps.svg"
        outcome = layerprobe("grid", (artifact or exported("cnn2")).path, *arguments, "-o", file)
        texts = ElementTree.parse(file).iter("{http://www.w3.org/2000/svg}text") if outcome.code == 0 else ()
        return outcome, [each.text for each in texts]

    return draw


@pytest.fixture
def wide_photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (48, 120, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    return tmp_path / "wide.png"


def test_the_photo_is_the_first_tile_with_its_name_and_sizes(drawn, wide_photo):
    outcome, written = drawn(wide_photo, "--outputs", "cnn2")
    assert (outcome.code, outcome.err) == (0, "")
    assert written[:4] == ["cnn2 · wide.png", "wide.png", "64 × 64 of 120 × 48", "cnn2"]
    assert "The photo is shown as the model saw it: resized and cropped, not normalised." in " ".join(written)


def test_the_photo_can_be_left_out(drawn, wide_photo):
    _, written = drawn(wide_photo, "--outputs", "cnn2", "--no-photo")
    assert written[:2] == ["cnn2 · wide.png", "cnn2"]
    assert "photo" not in " ".join(written)


def test_maps_lie_over_the_whole_photo_on_request(drawn, wide_photo, tmp_path):
    _, written = drawn(wide_photo, "--outputs", "cnn2", "--overlay")
    assert "Each map is interpolated, over the photo in grey" in " ".join(written)
    assert "What the model didn't see is dimmed." in " ".join(written)
    outcome, written = drawn(wide_photo, "--channels", "cnn2", "--top", 2, "--overlay")
    assert (outcome.code, written[1:3]) == (0, ["wide.png", "64 × 64 of 120 × 48"])
    outcome, _ = drawn(wide_photo, "--overlay", "--no-photo")
    assert outcome.code == 2
    assert "--overlay draws the maps over the photo: omit --no-photo." in outcome.err


def test_a_model_of_grey_images_shows_the_photo_in_grey(wide_photo, tmp_path, layerprobe):
    steps = Preprocessing(resize=16, crop=(16, 16), mean=[0.5], std=[0.5])
    probe = build_probe(nn.Sequential(nn.Conv2d(1, 3, 3), nn.Sigmoid()), zeros(1, 1, 16, 16))
    artifact = export_artifact(probe, tmp_path / "grey", preprocessing=steps)
    file = tmp_path / "maps.png"
    assert layerprobe("grid", artifact, wide_photo, "-o", file, "--outputs", "0").code == 0
    with Image.open(file) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    first = pixels[110:280, 40:240]
    assert np.ptp(first, axis=2).max() == 0
    assert np.ptp(first) > 100
