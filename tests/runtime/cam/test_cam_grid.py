"""`layerprobe grid --cam` as a user meets it: what is drawn, written below it, and refused."""

from xml.etree import ElementTree

import numpy as np
import pytest
from onnx_making import constant, node, save, value
from PIL import Image

from map_pictures import with_title
from runtime import class_activation
from runtime.cam.methods import AUTO, METHODS
from runtime.cli_options import CAM_METHODS


@pytest.fixture(scope="module")
def bright_quarter(tmp_path_factory):
    """A dark photo whose lower right quarter is red."""
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[16:, 16:, 0] = 255
    file = tmp_path_factory.mktemp("photos") / "quarter.png"
    Image.fromarray(pixels).save(file)
    return file


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """Somebody's ONNX file, of any image size: class 0 is green, class 1 is red, class 2 is what is dark."""
    red, green = [[1.0, 0, 0], [0, 1.0, 0]]
    colours = constant("colours", np.array([green, red, [-1, -1, -1]], "float32").reshape(3, 3, 1, 1), "float32")
    nodes = [
        node("Conv", ["x", "colours", "light"], ["maps"], kernel_shape=[1, 1]),
        node("Relu", ["maps"], ["relu"]),
        node("MaxPool", ["relu"], ["small"], kernel_shape=[8, 8], strides=[8, 8]),
        node("GlobalAveragePool", ["small"], ["pool"]),
        node("Flatten", ["pool"], ["flat"]),
        node("Gemm", ["flat", "head"], ["scores"]),
        node("Softmax", ["scores"], ["p"]),
    ]
    weights = [colours, constant("light", [0, 0, 1], "float32"), constant("head", np.diag([3, 3, 3]), "float32")]
    file = tmp_path_factory.mktemp("theirs") / "colours.onnx"
    return save(file, nodes, [value("x", "n", 3, "h", "w")], ["p"], weights)


@pytest.fixture(scope="module")
def folder(theirs):
    return theirs.parent / "artifact"


@pytest.fixture
def drawn(theirs, folder, tmp_path, layerprobe):
    """Draw as SVG and return the outcome, the texts in the picture, and how many pictures are in it."""
    if not folder.exists():
        made = layerprobe("export", theirs, "-o", folder, "--input-size", 32, "--mean", "0,0,0", "--std", "1,1,1")
        assert made.code == 0, made.err

    def draw(*arguments, artifact=folder):
        file = tmp_path / "cam.svg"
        outcome = layerprobe("grid", artifact, *arguments, "-o", file, "--cam")
        if outcome.code:
            return outcome, [], 0
        tree = ElementTree.parse(file)
        texts = with_title([each.text for each in tree.iter("{http://www.w3.org/2000/svg}text")])
        return outcome, texts, sum(1 for _ in tree.iter("{http://www.w3.org/2000/svg}image"))

    return draw


def test_the_photo_and_the_most_probable_class_are_drawn_and_named(drawn, bright_quarter):
    outcome, texts, pictures = drawn(bright_quarter)
    assert (outcome.code, outcome.err) == (0, "")
    assert "by onnx-cpu on CPUExecutionProvider" in outcome.out
    scores = np.exp(3 * np.array([0, 1 / 4, 3 / 4]))  # green, red and dark: their parts of the photo
    probability = f"{100 * scores[2] / scores.sum():.1f}"
    title = "colours · weights of the ONNX file · quarter.png"
    assert texts[:4] == [title, "quarter.png", "32 × 32 of 32 × 32", f"class 2 · {probability} %"]
    assert texts[4] == "exact · small"
    assert pictures == 3, "the photo, the map and its colour bar"
    written = " ".join(texts)
    assert "exact: the layer's channels, summed with the class's own weights" in written
    assert "(Zhou et al., 2016)" in written


def test_a_photo_is_decoded_once_for_its_picture_and_the_model(drawn, bright_quarter, monkeypatch):
    drawn(bright_quarter)  # exports it
    opened, read = [], Image.open
    monkeypatch.setattr(Image, "open", lambda *given, **how: opened.append(given) or read(*given, **how))
    outcome, _, _ = drawn(bright_quarter)
    assert outcome.code == 0, outcome.err
    assert len(opened) == 1


def test_each_class_by_each_method_is_a_tile_and_what_needs_no_class_is_one(drawn, bright_quarter):
    methods = [part for name in ("exact", "ablation", "score", "eigen") for part in ("--method", name)]
    outcome, texts, _ = drawn(bright_quarter, "--class", 1, "--class", 0, *methods)
    assert outcome.code == 0, outcome.err
    named = [text for text in texts if text.startswith(("class", "whatever"))]
    assert [name.partition(" ·")[0] for name in named] == ["class 1", "class 0"] * 3 + ["whatever the class"]
    details = [text for text in texts if text.endswith("· small")]
    assert details == [
        f"{name} · small" for name in ("exact", "exact", "ablation", "ablation", "score", "score", "eigen")
    ]


def test_the_map_is_bright_where_the_class_is(theirs, drawn, bright_quarter, folder):
    drawn(bright_quarter)
    for method in ("exact", "ablation", "score"):
        found = class_activation(folder, bright_quarter, 1, method)
        assert found.map.shape == (4, 4)
        where = np.zeros((4, 4), bool)
        where[2:, 2:] = True
        assert found.map[where].min() > found.map[~where].max(), method


def test_another_layer_and_several_can_be_weighed(drawn, bright_quarter):
    outcome, texts, _ = drawn(bright_quarter, "--outputs", "relu", "--outputs", "small")
    assert outcome.code == 0, outcome.err
    assert [text for text in texts if text.endswith(("· relu", "· small"))] == ["ablation · relu", "exact · small"]


TWO_HEADS = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk, self.boxes, self.fc = nn.Conv2d(3, 4, 3, 2), nn.Conv2d(4, 4, 1), nn.Linear(4, 5)

    def forward(self, x):
        x = self.trunk(x)
        return {"boxes": self.boxes(x).sigmoid(), "scores": self.fc(x.mean((2, 3)))}


def make():
    return Net().eval(), torch.zeros(1, 3, 32, 32)
"""


def test_of_a_model_of_two_heads_the_layer_is_one_that_the_scores_are_computed_from(drawn, bright_quarter, tmp_path):
    (tmp_path / "heads.py").write_text(TWO_HEADS)
    outcome, texts, _ = drawn(bright_quarter, artifact=f"{tmp_path / 'heads.py'}:make")
    assert outcome.code == 0, outcome.err
    assert "score · trunk" in texts


def test_another_size_can_be_drawn_where_the_model_takes_it(drawn, bright_quarter, theirs, tmp_path, layerprobe):
    outcome, texts, _ = drawn(bright_quarter, "--input-size", "16x24", "--method", "score", "--method", "ablation")
    assert outcome.code == 0, outcome.err
    assert "24 × 16 of 32 × 32" in texts


def test_how_many_channels_were_tried_is_said_below(drawn, bright_quarter):
    _, texts, _ = drawn(bright_quarter, "--method", "score", "--method", "exact", "--top", 1)
    assert [text for text in texts if "strongest" in text] == [
        "score tried the 1 strongest of 3 channels of small (--top)."
    ]
    _, texts, _ = drawn(bright_quarter, "--method", "score", "--top", 3)
    assert not any("strongest" in text for text in texts)


def test_of_several_photos_each_stands_beside_its_maps(drawn, bright_quarter, tmp_path):
    mirrored = tmp_path / "mirrored.png"
    Image.open(bright_quarter).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(mirrored)
    alone = [drawn(photo, "--class", 1, "--class", 0) for photo in (bright_quarter, mirrored)]
    outcome, texts, pictures = drawn(bright_quarter, mirrored, "--class", 1, "--class", 0)
    assert outcome.code == 0, outcome.err
    assert texts[0] == "colours · weights of the ONNX file · 2 photos"
    names = [text for text in texts if text.endswith(".png") or text.startswith("class")]
    assert [each.partition(" ·")[0] for each in names] == [
        *("quarter.png", "class 1", "class 0", "mirrored.png", "class 1", "class 0")
    ]
    assert [text for _, each, _ in alone for text in each if text.startswith("class ")] == [
        text for text in texts if text.startswith("class ")
    ], "the same scores as alone"
    assert pictures == sum(count for _, _, count in alone), "each photo with its maps and their colour bars"
    outcome, texts, _ = drawn(bright_quarter, mirrored, bright_quarter)
    assert [text for text in texts if text.endswith(".png")] == ["quarter.png", "mirrored.png", "quarter.png"]


REFUSED = {
    "a class that there isn't": (("--class", 3), "There is no class 3: p has 3, from 0 to 2."),
    "a method that there isn't": (("--method", "grad"), "There is no method 'grad': choose auto, exact, ablation"),
    "channels": (("--channels", "relu"), "--cam draws its own maps over the photo: omit --channels"),
    "a reduction": (("--reduce", "max"), "--cam draws its own maps over the photo: omit --channels, --reduce"),
    "no photo": (("--no-photo",), "--cam draws its own maps over the photo"),
    "a second model": (("--against", "other.onnx"), "--cam draws photos in one model: omit --against"),
    "what has no pixels": (("--outputs", "flat"), "flat: no height and width, of which a map could be drawn."),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_makes_no_sense_is_refused_in_two_lines(name, drawn, bright_quarter):
    options, message = REFUSED[name]
    outcome, _, _ = drawn(bright_quarter, *options)
    assert outcome.code == 2
    assert message in outcome.err
    assert len(outcome.err.splitlines()) <= 2


def test_a_class_or_a_method_without_cam_is_refused(folder, drawn, bright_quarter, tmp_path, layerprobe):
    for options in (("--class", 1), ("--method", "score")):
        outcome = layerprobe("grid", folder, bright_quarter, "-o", tmp_path / "cam.png", *options)
        assert outcome.code == 2
        assert "--class and --method choose class activation maps: give --cam" in outcome.err


def test_the_help_lists_every_method():
    assert "|".join((AUTO, *METHODS)) == CAM_METHODS
