"""What JavaScript draws of a run is what Python draws: which maps, how they are computed and coloured, where.

The models are run once, in Python; both are given the same tensors.
"""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from javascript_here import needs_node, run_node
from PIL import Image
from safetensors.numpy import save_file
from torchvision.models.resnet import BasicBlock, ResNet

from map_pictures import TensorMaps
from runtime.artifact.errors import UsageError
from runtime.drawn_model import opened_to_draw
from runtime.maps import page_layout, pages, tile
from runtime.maps.colour_scales import range_text
from runtime.maps.feature_grid import grid_pages
from runtime.maps.grid_style import GridStyle
from runtime.maps.map_page import MapPages
from runtime.maps.map_reading import read_map
from runtime.maps.overview import overview_pages
from runtime.maps.picture import Box, Pixels, Text
from runtime.runs.photo_maps import PhotoRun

pytestmark = needs_node

OF_THE_COMMAND_LINE = " (--outputs and --aliases draw them)"
"""Said of what is left out, in Python alone."""
STYLES = {
    "overview": {},
    "in one scale": {"shared": True},
    "by std": {"reduce": "std", "symmetric": True},
    "all": {},
    "all by pca": {"reduce": "pca", "clip": 5.0, "aliases": True},
    "within 900 pixels": {"width": 900},
    "in three columns": {"columns": 3},
    "in four columns": {"columns": 4},
    "clipped": {"clip": 5.0},
    "without a photo": {},
    "by three components": {"reduce": "pca3"},
    "all by three components": {"reduce": "pca3"},
}


class UNet(torch.nn.Module):
    """Three levels of two convolutions each, with skips, and a result of two channels."""

    def __init__(self):
        super().__init__()
        sizes = [8, 16, 32, 48]
        self.down = torch.nn.ModuleList(map(twice, [3, *sizes[:-2]], sizes[:-1]))
        self.middle = twice(sizes[-2], sizes[-1])
        pairs = [*zip(sizes[:0:-1], sizes[-2::-1], strict=True)]
        self.grow = torch.nn.ModuleList(torch.nn.ConvTranspose2d(wide, thin, 2, 2) for wide, thin in pairs)
        self.up = torch.nn.ModuleList(twice(2 * thin, thin) for _, thin in pairs)
        self.head = torch.nn.Conv2d(sizes[0], 2, 1)

    def forward(self, x):
        skips = []
        for block in self.down:
            skips.append(block(x))
            x = torch.nn.functional.max_pool2d(skips[-1], 2)
        x = self.middle(x)
        for grow, block in zip(self.grow, self.up, strict=True):
            x = block(torch.cat((skips.pop(), grow(x)), dim=1))
        return self.head(x)


def twice(given: int, made: int) -> torch.nn.Sequential:
    layers = (
        (torch.nn.Conv2d(channels, made, 3, padding=1), torch.nn.BatchNorm2d(made), torch.nn.ReLU())
        for channels in (given, made)
    )
    return torch.nn.Sequential(*(each for layer in layers for each in layer))


class Steady(torch.nn.Module):
    """Blocks that change little, of channels whose mean is nothing."""

    def __init__(self, pooled_after: tuple[int, ...] = ()):
        super().__init__()
        self.pooled_after = pooled_after
        self.stem = torch.nn.Conv2d(3, 24, 5, padding=2)
        self.blocks = torch.nn.ModuleList(_Change() for _ in range(12))

    def forward(self, x):
        x = self.stem(x)
        x = x - x.mean(dim=1, keepdim=True)
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in self.pooled_after:
                x = torch.nn.functional.avg_pool2d(x, 2)
        return x


class _Change(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Conv2d(24, 24, 1), torch.nn.Tanh(), torch.nn.Conv2d(24, 24, 1))

    def forward(self, x):
        change = self.layers(x)
        return x + 0.3 * (change - change.mean(dim=1, keepdim=True))


def vit() -> torch.nn.Module:
    return torchvision.models.VisionTransformer(
        image_size=96, patch_size=8, num_layers=12, num_heads=2, hidden_dim=32, mlp_dim=64
    )


MODELS = {
    "cnn2": (lambda: "cnn2", 64),
    "resnet18": (torchvision.models.resnet18, 96),
    "resnet10": (lambda: ResNet(BasicBlock, [1, 1, 1, 1]), 64),
    "mobilenet_v2": (torchvision.models.mobilenet_v2, 96),
    "vit": (vit, 96),
    "unet": (UNet, 64),
    "steady": (Steady, 40),
    "steady in stages": (lambda: Steady(pooled_after=(3, 7)), 48),
    "steady down to 2 pixels": (lambda: Steady(pooled_after=(2, 5, 8)), 16),
}


OF_ROWS = ("without a photo", "in four columns", "clipped")
"""What concerns overviews of two rows."""
CASES = [("steady in stages", style) for style in OF_ROWS]
CASES += [(model, "overview") for model in MODELS]
CASES += [(model, style) for model in ("resnet18", "vit") for style in STYLES if style not in ("overview", *OF_ROWS)]
CASES += [("unet with an outlier", "overview"), ("resnet10 of NaN", "overview"), ("resnet10 of NaN", "all")]
CASES += [("unet with holes", style) for style in ("overview", "all", "in one scale", "all by three components")]


def photo_of(side: int) -> Image.Image:
    small = np.random.default_rng(4).integers(0, 256, (7, 7, 3), np.uint8)
    return Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def runs():
    """By model the outputs, the tensors and the photo."""
    found = {}
    for name, (make, side) in MODELS.items():
        torch.manual_seed(1)
        model, photo = make(), photo_of(side)
        drawn_of = opened_to_draw(model if isinstance(model, str) else model.eval(), photo, size=(3, side, side))
        with drawn_of as drawn:
            run = PhotoRun(drawn.artifact, photo, drawn.open_runner)
            outputs = drawn.artifact.manifest.outputs
            arrays = {key: np.array(each) for key, each in run.tensors([each.name for each in outputs]).items()}
            found[name] = outputs, arrays, run.seen()
    outputs, arrays, seen = found["unet"]
    holes = {name: array.copy() for name, array in arrays.items()}
    holes["down.0.5"][0, 1, 9, 9], holes["up.1.5"][0, 0, 3, 3] = np.nan, -np.inf
    found["unet with holes"] = outputs, holes, seen
    outlier = {name: array.copy() for name, array in arrays.items()}
    outlier["up.0.5"][0, 0, 5, 5] = 1e9
    found["unet with an outlier"] = outputs, outlier, seen
    outputs, arrays, seen = found["resnet10"]
    first = [each.name for each in outputs].index("layer3.0.conv1")
    nan = {each.name: np.full_like(arrays[each.name], np.nan) for each in outputs[first:]}
    nan |= {"layer4.0.relu_1": np.full_like(nan["layer4.0.relu_1"], np.inf)}
    found["resnet10 of NaN"] = outputs, arrays | nan, seen
    return found


def pages_of(outputs, arrays, seen, name) -> MapPages:
    style = GridStyle(**STYLES[name])
    if name.startswith("all"):
        return grid_pages(
            [read_map(arrays, each, style.reduce) for each in outputs], outputs, style, "net · a photo", seen
        )
    return overview_pages(
        TensorMaps(arrays), outputs, style, "net · a photo", None if name == "without a photo" else seen
    )


@pytest.fixture(scope="module")
def made(runs, tmp_path_factory):
    """What JavaScript makes of it all, by model and style."""
    folder, given = tmp_path_factory.mktemp("overview"), {}
    for name, (outputs, arrays, seen) in runs.items():
        save_file(arrays, folder / f"{name}.safetensors")
        given[name] = {
            "outputs": [each.model_dump() for each in outputs],
            "tensors": str(folder / f"{name}.safetensors"),
            "photo": {"name": seen.name, "detail": seen.detail},
            "seen": {"height": seen.seen.shape[0], "width": seen.seen.shape[1], "data": seen.seen.ravel().tolist()},
        }
    (folder / "given.json").write_text(json.dumps({"models": given, "styles": STYLES, "cases": CASES}))
    return json.loads(run_node(Path(__file__).with_name("javascript_overview.mjs"), folder / "given.json"))


@pytest.fixture(params=CASES, ids=" ".join)
def case(request, runs, made):
    """Python's pages of a model in a style, and what JavaScript says of them."""
    model, style = request.param
    found = pages_of(*runs[model], style)
    closing = [each.replace(OF_THE_COMMAND_LINE, "") for each in found.closing]
    facts = [each.replace(OF_THE_COMMAND_LINE, "") for each in found.facts if "--all-pages" not in each]
    return replace(found, closing=closing, facts=facts), made[model][style]


def test_the_same_maps_are_drawn_in_the_same_way(case):
    pages, found = case
    facts = ("name", "operation", "path", "reduction", "part", "stage", "badges")
    assert [[each[fact] for fact in facts] for each in found["maps"]] == [
        [list(each.badges) if fact == "badges" else getattr(each, fact) for fact in facts] for each in pages.maps
    ]
    assert [tuple(each["size"]) for each in found["maps"]] == [each.size for each in pages.maps]
    for theirs, ours in zip(found["maps"], pages.maps, strict=True):
        assert (theirs["share"] is None) == (ours.share is None)
        assert theirs["share"] is None or theirs["share"] == pytest.approx(ours.share, abs=1e-6)


def test_their_values_are_equal_with_the_same_sign(case):
    pages, found = case
    for theirs, ours in zip(found["maps"], pages.maps, strict=True):
        values = np.frombuffer(bytes.fromhex(theirs["values"])).reshape(theirs["height"], theirs["width"])
        scale = np.abs(ours.values[np.isfinite(ours.values)]).max(initial=1e-30)
        np.testing.assert_allclose(values / scale, ours.values / scale, rtol=0, atol=1e-6, err_msg=ours.name)
        assert (theirs["hues"] is None) == (ours.hues is None)
        if ours.hues:
            plane = np.frombuffer(bytes.fromhex(theirs["hues"])).reshape(ours.hues.plane.shape)
            np.testing.assert_allclose(plane, ours.hues.plane, rtol=0, atol=1e-4, err_msg=ours.name)


def test_their_colours_have_the_same_ends(case):
    pages, found = case
    for theirs, ours in zip(found["scales"], pages.scales, strict=True):
        if theirs is None or ours is None:
            assert theirs is ours, "no value is finite"
            continue
        assert theirs["cmap"] == ours.cmap
        spread = ours.highest - ours.lowest
        for end in ("low", "high", "lowest", "highest"):
            assert theirs[end] == pytest.approx(getattr(ours, end), abs=1e-6 * spread)
    assert found["ranges"] == [
        each and list(range_text(each, short=pages.brief, marks=not pages.brief)) for each in pages.scales
    ]


def test_the_same_is_said_of_them(case):
    pages, found = case
    assert found["lead"] == pages.lead
    assert found["opening"] == list(pages.opening)
    assert found["closing"] == pages.closing
    assert found["facts"] == pages.facts


def test_the_same_pages_have_the_same_sections(case):
    pages, found = case
    for shown, theirs in zip(pages._ranges, found["sections"], strict=True):
        assert theirs == [
            {**asdict(each), "beside": each.beside} for each in pages._sections(pages.maps[shown.start : shown.stop])
        ]


def test_the_same_pictures_have_each_text_box_and_map_in_the_same_place(case):
    pages, found = case
    assert len(found["pictures"]) == pages.count
    for picture, theirs in zip(pages.pictures(), found["pictures"], strict=True):
        assert theirs["size"] == [picture.width, picture.height]
        parts = [part_of(each) for each in picture.parts]
        assert [each[:5] if each[0] == "pixels" else each for each in theirs["parts"]] == [
            each[:5] if each[0] == "pixels" else each for each in parts
        ]
        for ours, other in zip(parts, theirs["parts"], strict=True):
            assert ours[0] != "pixels" or other[5] == pytest.approx(ours[5], abs=1.5), "of the same colours"


def part_of(part: Pixels | Text | Box) -> list:
    if isinstance(part, Text):
        return ["text", part.x, part.y, part.text, part.size, part.ink, part.bold]
    place = [part.x, part.y, part.width, part.height]
    if isinstance(part, Box):
        return ["box", *place, part.ink, part.filled]
    return ["pixels", *place, part.colours.reshape(-1, 3).mean(axis=0).tolist()]


class Font:
    """Letters of one width, so that both sides measure the same."""

    def __init__(self, size, *, bold=False):
        self.width = size * (0.66 if bold else 0.6)

    def getlength(self, text):
        return len(text) * self.width


@pytest.fixture(autouse=True)
def one_font(monkeypatch):
    for module in (page_layout, pages, tile):
        monkeypatch.setattr(module, "font_of_size", Font)


def test_what_shows_nothing_is_refused_in_the_same_words(runs, made):
    outputs, arrays, _ = runs["cnn2"]
    blank = {name: np.zeros_like(array) for name, array in arrays.items()}
    with pytest.raises(UsageError) as refused:
        overview_pages(TensorMaps(blank), outputs, GridStyle(), "net", None)
    assert made["cnn2"]["of zeros"] == str(refused.value).replace(OF_THE_COMMAND_LINE, "")
