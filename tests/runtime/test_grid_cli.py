"""What `layerprobe grid` draws of the photo itself, as a user meets it."""

import shutil
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from torch import nn, zeros

from export import export_artifact
from map_pictures import with_title
from probe import build_probe
from runtime import Preprocessing
from runtime.runners.registry import open_image_runner


@pytest.fixture
def drawn(exported, tmp_path, layerprobe):
    """Draw as SVG and return the outcome with the texts in the picture, in the order of drawing."""

    def draw(*arguments, artifact=None):
        file = tmp_path / "maps.svg"
        outcome = layerprobe("grid", (artifact or exported("cnn2")).path, *arguments, "-o", file)
        texts = ElementTree.parse(file).iter("{http://www.w3.org/2000/svg}text") if outcome.code == 0 else ()
        return outcome, with_title([each.text for each in texts])

    return draw


@pytest.fixture
def wide_photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (48, 120, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    return tmp_path / "wide.png"


def test_the_photo_is_the_first_tile_with_its_name_and_sizes(drawn, wide_photo):
    outcome, written = drawn(wide_photo, "--outputs", "cnn2")
    assert (outcome.code, outcome.err) == (0, "")
    assert written[:4] == ["cnn2 · weights unknown · wide.png", "wide.png", "64 × 64 of 120 × 48", "cnn2"]
    assert "The photo is shown as the model saw it, resized and cropped, before normalisation." in " ".join(written)


def test_the_photo_can_be_left_out(drawn, wide_photo):
    _, written = drawn(wide_photo, "--outputs", "cnn2", "--no-photo")
    assert written[:2] == ["cnn2 · weights unknown · wide.png", "cnn2"]
    assert "photo" not in " ".join(written)


def test_a_photo_and_an_array_stand_side_by_side_without_a_photo(drawn, wide_photo, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((1, 3, 64, 64), np.float32))
    outcome, written = drawn(wide_photo, tmp_path / "x.npy", "--outputs", "cnn2")
    assert (outcome.code, outcome.err) == (0, "")
    assert {"wide.png", "x.npy"} <= {*written}
    assert "of 120 × 48" not in " ".join(written)


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


def test_several_photos_stand_side_by_side(drawn, photo, wide_photo):
    outcome, written = drawn(photo, wide_photo, "--outputs", "cnn2*")
    assert (outcome.code, outcome.err) == (0, "")
    assert written[:6] == [
        "cnn2 · weights unknown · grace_hopper.jpg and wide.png",
        "grace_hopper.jpg",
        "64 × 64 of 512 × 600",
        "wide.png",
        "64 × 64 of 120 × 48",
        "difference",
    ]
    assert [each for each in written if each.startswith("cnn2")] == [written[0], "cnn2", "cnn2_1", "cnn2_2"]
    _, written = drawn(photo, wide_photo, photo, "--outputs", "cnn2", "--no-photo")
    assert written[:4] == [
        "cnn2 · weights unknown · 3 photos",
        "grace_hopper.jpg (1)",
        "wide.png",
        "grace_hopper.jpg (2)",
    ]


def test_photos_of_one_name_are_told_apart_by_their_folders(drawn, wide_photo, tmp_path):
    files = [tmp_path / folder / "cat.png" for folder in ("mine/may", "yours/may")]
    for file in files:
        file.parent.mkdir(parents=True)
        file.write_bytes(wide_photo.read_bytes())
    _, written = drawn(*files, wide_photo, "--outputs", "cnn2", "--no-photo")
    assert written[1:4] == ["mine/may/cat.png", "yours/may/cat.png", "wide.png"]


def test_two_artifacts_are_compared_by_the_names_of_their_outputs(drawn, exported, photo, tmp_path):
    shutil.copytree(exported("cnn2").path, tmp_path / "tuned")
    outcome, written = drawn(photo, "--against", tmp_path / "tuned", "--outputs", "cnn2")
    assert (outcome.code, outcome.err) == (0, "")
    assert written[0] == "cnn2 and tuned · grace_hopper.jpg"
    assert "no difference" in written
    assert "Difference: tuned less cnn2" in " ".join(written)


def test_what_only_one_artifact_has_is_named(drawn, exported, photo):
    _, written = drawn(photo, "--against", exported("cnn3").path)
    assert "4 outputs that only cnn2 has: maxpool, maxpool_1, maxpool_2, maxpool_3." in " ".join(written)
    assert "8 of other sizes in the two, without a difference: " in " ".join(written)


def test_channels_of_several_photos_stand_side_by_side(drawn, photo, wide_photo):
    outcome, written = drawn(photo, wide_photo, "--channels", "cnn2", "--top", 2)
    assert (outcome.code, outcome.err) == (0, "")
    assert written[0] == "cnn2 · weights unknown · grace_hopper.jpg and wide.png · cnn2"
    assert "Each row is one channel of cnn2 (Conv2d · 64 × 32 × 32)" in " ".join(written)
    assert "All rows share one scale (RdBu_r)" in " ".join(written)


def test_a_model_is_opened_once_for_all_photos(drawn, photo, wide_photo, monkeypatch):
    opened = []
    monkeypatch.setattr(
        "runtime.drawn_model.open_image_runner",
        lambda *given, real=open_image_runner, **named: opened.append(given) or real(*given, **named),
    )
    assert drawn(photo, wide_photo, photo, "--outputs", "cnn2")[0].code == 0
    assert len(opened) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("{photo}", "{photo}", "--against", "{art}"), 2, "--against compares two models on one photo"),
        (("{photo}",) * 9, 2, "9 photos or models were given to compare: give 2 to 8"),
        (("{photo}", "{photo}", "--columns", "3"), 2, "omit --columns"),
        (("{photo}", "{photo}", "--reduce", "pca"), 2, "Choose one of mean, std, l2, max, abs-mean."),
        (("{photo}", "{broken}"), 3, "broken.jpg is not an image"),
        (("{photo}", "{broken}", "--no-photo"), 3, "broken.jpg is not an image"),
        (("{photo}", "{out}/none.jpg"), 3, "none.jpg"),
        (("{photo}", "--against", "{out}/none"), 3, "none"),
        (("{photo}", "--against", "{other}", "--outputs", "maxpool*"), 2, "cnn3 has none of them"),
        (
            ("{photo}", "--against", "{other}", "--channels", "maxpool_3"),
            2,
            "No output or module is called 'maxpool_3'",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused_in_two_lines(
    exported, photo, tmp_path, layerprobe, arguments, code, message
):
    broken = tmp_path / "broken.jpg"
    broken.write_text("none")
    places = {"photo": photo, "broken": broken, "out": tmp_path, "art": exported("cnn2").path}
    places["other"] = exported("cnn3").path
    given = [argument.format(**places) for argument in arguments]
    outcome = layerprobe("grid", exported("cnn2").path, *given, "-o", tmp_path / "maps.png")
    assert (outcome.code, message in outcome.err) == (code, True), outcome.err
    assert len(outcome.err.splitlines()) <= 2
    assert not (tmp_path / "maps.png").exists()


def test_another_size_is_for_all_photos(tmp_path, photo, wide_photo, layerprobe):
    (tmp_path / "net.py").write_text("from torch import nn\ndef make():\n    return nn.Conv2d(3, 4, 3)\n")
    art = tmp_path / "art"
    assert layerprobe("export", f"{tmp_path}/net.py:make", "-o", art, "--input-size", 16, "--dynamic-size").code == 0
    file = tmp_path / "maps.svg"
    assert layerprobe("grid", art, photo, wide_photo, "-o", file, "--input-size", "20x30").code == 0
    assert "30 × 20 of 120 × 48" in file.read_text()
