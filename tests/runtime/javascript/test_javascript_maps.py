"""The maps that JavaScript makes of tensors are Python's: values, what shows something, colours to the byte.

Which of a model's maps are drawn, and where, is in test_javascript_overview.py.
"""

import base64
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from javascript_here import needs_node, run_node
from make_javascript_colours import javascript_colours

from runtime.artifact.errors import UsageError
from runtime.artifact.manifest import Output
from runtime.artifact.selection import select_outputs
from runtime.maps import page_layout
from runtime.maps.channel_grid import channel_pages
from runtime.maps.channel_mean import channels_of
from runtime.maps.colour_maps import colour_map_image, colour_table
from runtime.maps.colour_scales import range_text, scales_of
from runtime.maps.feature_maps import LEFT_OUT, worth_drawing
from runtime.maps.footer import left_out_notes
from runtime.maps.grid_style import GridStyle
from runtime.maps.map_reading import read_map
from runtime.maps.picture import Pixels
from runtime.maps.reductions import REDUCTIONS
from runtime.maps.sections import page_ranges
from runtime.maps.tile_places import CHANNEL_PAGE, OUTPUT_PAGE

pytestmark = needs_node

STYLES = [
    {},
    {"shared": True, "symmetric": True},
    {"clip": 5.0, "cmap": "magma", "aliases": True},
    {"clip": 0.0, "symmetric": True, "cmap": "coolwarm"},
]
NUMBERS = [
    0.0,
    -0.0,
    0.125,
    0.375,
    1.5,
    2.5,
    1e-5,
    9.9995e-5,
    0.00012345,
    999.5,
    1e16,
    123456.0,
    -7.25e-300,
    1e22,
    5e-324,
]
"""With ties, which Python rounds to the even digit, and numbers beside the ends of where it writes an exponent."""

PLACED = [
    (np.random.default_rng(number).integers(0, 256, (*size, 3), np.uint8), place)
    for number, (size, place) in enumerate(
        [((7, 5), (13, 31)), ((224, 224), (301, 301)), ((224, 224), (150, 150)), ((90, 4), (6, 60)), ((8, 8), (8, 8))]
    )
]
"""Colours, H W 3, and the width and height of their place: larger, smaller, both or neither; by no whole number."""


def output(name: str, shape: tuple[int, ...], dtype: str = "float32", layout: str = "NCHW", **more) -> Output:
    return Output.model_validate(
        {
            "name": name,
            "label": "Conv2d",
            "operation": "torch.nn.Conv2d",
            "module_path": name.rpartition(".")[0],
            "source_file": None,
            "source_line": None,
            "shape": ["N", *shape[1:]],
            "dtype": dtype,
            "layout": layout,
            "tokens": None,
            "averaged": None,
            "alias_of": None,
            **more,
        }
    )


@pytest.fixture(scope="module")
def outputs_and_arrays():
    draw = np.random.default_rng(7)
    plain = draw.normal(size=(1, 6, 9, 12)).astype(np.float32)
    peak = draw.normal(size=(1, 4, 12, 12)).astype(np.float32)
    peak[0, :, 3, 3] = 900
    holes = draw.normal(size=(1, 3, 8, 8)).astype(np.float32)
    holes[0, 1, 2, 2], holes[0, 0, 5, 5] = np.nan, np.inf
    normed = draw.normal(size=(1, 7, 7, 16))
    normed = ((normed - normed.mean(-1, keepdims=True)) / normed.std(-1, keepdims=True)).astype(np.float32)
    tokens = {"before": 1, "height": 4, "width": 5, "after": 2}
    found = {
        output("block.0.conv", plain.shape): plain,
        output("block.0.twin", plain.shape): plain * 3,
        output("block.1.peak", peak.shape): peak,
        output("block.1.holes", holes.shape): holes,
        output("block.2.norm", normed.shape, layout="NHWC"): normed,
        output("block.2.wide", (1, 40, 6, 6)): draw.normal(size=(1, 40, 6, 6)).astype(np.float32),
        output("block.2.patches", (1, 23, 10), layout="NLC", tokens=tokens): draw.normal(size=(1, 23, 10)).astype(
            np.float32
        ),
        output("counts", (1, 3, 5, 5), "int64"): draw.integers(-9, 9, (1, 3, 5, 5)),
        output("mask", (1, 2, 6, 6), "bool"): draw.random((1, 2, 6, 6)) > 0.5,
        output("double", (1, 2, 6, 7), "float64"): draw.normal(size=(1, 2, 6, 7)) * 1e300,
        output("half", (1, 3, 6, 7), "float16"): draw.normal(size=(1, 3, 6, 7)).astype(np.float16),
        output("faint", (1, 3, 8, 9)): (draw.normal(size=(1, 3, 8, 9)) * 1e-7).astype(np.float32),
        output("still", (1, 3, 8, 9)): np.full((1, 3, 8, 9), 0.3, np.float32),
        output("point", (1, 5, 1, 1)): draw.normal(size=(1, 5, 1, 1)).astype(np.float32),
        output("mean", (1, 1, 8, 8), averaged=16): draw.normal(size=(1, 1, 8, 8)).astype(np.float32),
        output("noise", (1, 1, 8, 8), averaged=16): (1 + draw.normal(size=(1, 1, 8, 8)) * 1e-7).astype(np.float32),
        output("fc", (1, 10), layout="NC"): draw.normal(size=(1, 10)).astype(np.float32),
    }
    return list(found), {each.name: array for each, array in found.items()}


SHAPES = [[(56, 56)] * 5, [(112, 112), (56, 56), (7, 7)] * 9, [(3, 40), (40, 3)], [(14, 14)], [(97, 48)] * 47]
PATHS = [
    [
        "conv1",
        "bn1",
        *(f"layer{i}.{j}.{k}" for i in range(1, 5) for j in (0, 1) for k in ("conv1", "bn1", "conv2")),
        "",
    ],
    [f"features.denseblock{i}.denselayer{j}.conv" for i in (1, 2, 3) for j in range(30)],
    ["stem", "features.0.0", "features.0.1", "features", "features.1.a.b.c", "features.1", "head"],
]
OVERVIEW_STYLES = [{}, {"shared": True}, {"symmetric": True}, {"clip": 2.0}]
NOISE = {"noise": 1e-6, "mean": 1e-6}


def padded_maps() -> list[np.ndarray]:
    """H W each, also those whose edge or farthest pixels take many of the colours."""
    draw = np.random.default_rng(3)
    found = [draw.normal(size=shape) for shape in ((12, 12), (11, 40), (14, 14), (56, 40), (97, 112))]
    for height, width, edge in ((12, 12, 1), (28, 28, 2), (50, 70, 4), (50, 70, 5)):  # 50 x 0.07 = 3.5: to even
        values = draw.normal(size=(height, width))
        values[:edge] -= 9.0
        values[:, -edge:] += 7.0
        found.append(values)
    far = draw.normal(size=(40, 40))
    far[20, 18:24] = 30.0
    holes = far.copy()
    holes[10, 10], holes[20, 20], holes[0, 0] = np.nan, np.inf, -80.0
    return [*found, far, holes, np.full((20, 20), np.nan), np.pad(np.zeros((20, 20)), 2, constant_values=1.0)]


@pytest.fixture(scope="module")
def made(outputs_and_arrays, tmp_path_factory):
    """What JavaScript makes of it all, in one process."""
    outputs, arrays = outputs_and_arrays
    given = {
        "outputs": [each.model_dump() for each in outputs],
        "tensors": {
            name: {
                "dtype": str(array.dtype),
                "shape": array.shape,
                "bytes": base64.b64encode(np.ascontiguousarray(array).tobytes()).decode(),
            }
            for name, array in arrays.items()
        },
        "noise": NOISE,
        "styles": STYLES,
        "numbers": [[value, digits] for value in NUMBERS for digits in (1, 2, 3, 4, 17)],
        "colourMaps": ["viridis", "RdBu_r", "tab10", "brg"],
        "shapes": [{"shapes": shapes, "channels": channels} for shapes in SHAPES for channels in (False, True)],
        "paths": PATHS,
        "placed": [rgba_of(each) for each, _ in PLACED],
        "places": [place for _, place in PLACED],
        "overviews": [
            {
                "style": style,
                "maps": [
                    {
                        "values": base64.b64encode(each.tobytes()).decode(),
                        "height": each.shape[0],
                        "width": each.shape[1],
                    }
                    for each in padded_maps()
                ],
            }
            for style in OVERVIEW_STYLES
        ],
    }
    file = tmp_path_factory.mktemp("maps") / "given.json"
    file.write_text(json.dumps(given))
    script = Path(__file__).with_name("javascript_maps.mjs")
    return json.loads(run_node(script, file))


def rgba_of(colours: np.ndarray) -> dict[str, object]:
    height, width, _ = colours.shape
    opaque = np.dstack([colours, np.full((height, width), 255, np.uint8)])
    return {"width": width, "height": height, "bytes": base64.b64encode(opaque.tobytes()).decode()}


def array_of(text: str, dtype: str = "float64") -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype)


def test_each_reduction_of_each_tensor_has_pythons_values(made, outputs_and_arrays):
    outputs, arrays = outputs_and_arrays
    compared = 0
    for each in outputs:
        if not each.has_map or each.averaged:
            continue
        channels = channels_of(arrays[each.name], each.layout, each.tokens)
        if channels.dtype == np.float16:
            channels = channels.astype(np.float32)
        for name, row in REDUCTIONS.items():
            with np.errstate(all="ignore"):
                expected = row.reduce(channels).ravel()
            found = array_of(made["reduced"][each.name][name])
            scale = np.abs(expected[np.isfinite(expected)]).max(initial=0) or 1.0
            np.testing.assert_allclose(
                found / scale, expected / scale, rtol=0, atol=1e-6, err_msg=f"{each.name} {name}"
            )
            compared += 1
    assert compared == 14 * len(REDUCTIONS)


def test_channels_are_those_of_python_and_the_same_is_said_of_them(made, outputs_and_arrays):
    outputs, arrays = outputs_and_arrays
    compared = 0
    for each in outputs:
        if each.name not in made["channels"]:
            continue
        found = made["channels"][each.name]
        try:
            pages = channel_pages(arrays, each, None, GridStyle())
        except UsageError:  # all are constant, or of one pixel
            assert found["numbers"] == []
            continue
        assert [f"{number}" for number in found["numbers"]] == [map_.name for map_ in pages.maps]
        assert found["lead"] == pages.lead
        assert found["notes"] == list(pages.closing)
        scale = pages.scales[0]
        assert [found["scale"][end] for end in ("low", "high")] == pytest.approx([scale.low, scale.high], rel=1e-6)
        compared += 1
    assert compared > 8


@pytest.mark.parametrize("number", range(len(STYLES)))
def test_the_same_maps_are_worth_drawing_in_the_same_colours(made, outputs_and_arrays, number):
    outputs, arrays = outputs_and_arrays
    style, found = GridStyle(**STYLES[number]), made["grids"][number]
    drawn = worth_drawing(
        (read_map(arrays, each, noise=NOISE) for each in outputs), aliases=style.aliases, shared=bool(style.shared)
    ).maps
    assert found["names"] == [each.name for each in drawn]
    scales = scales_of([each.values for each in drawn], style, shared=bool(style.shared))
    for short, ranges in enumerate(found["ranges"]):
        assert ranges == [scale and list(range_text(scale, short=bool(short))) for scale in scales]
    assert found["details"] == [each.detail for each in drawn]
    for each, scale, colours in zip(drawn, scales, found["colours"], strict=True):
        ends = (scale.low, scale.high) if scale else None
        expected = colour_map_image(each.values, colour_table(scale.cmap if scale else "viridis"), ends)
        rgba = array_of(colours, "uint8").reshape(*each.values.shape, 4)
        assert (rgba[..., 3] == 255).all()
        if each.reduction == "pca":  # equal to 1e-6, which a level's edge may lie within
            assert (rgba[..., :3] != expected).any(-1).mean() < 0.02
        else:
            np.testing.assert_array_equal(rgba[..., :3], expected, err_msg=each.name)


@pytest.mark.parametrize("number", range(len(OVERVIEW_STYLES)))
def test_the_colours_of_an_overview_are_not_taken_by_the_padded_edge(made, number):
    style = GridStyle(**OVERVIEW_STYLES[number])
    scales = scales_of(padded_maps(), style, shared=bool(style.shared), inner=True)
    assert [scale and {"pale": False} | scale for scale in made["overviews"][number]] == [
        scale and asdict(scale) for scale in scales
    ]
    if number == 0:
        assert scales != scales_of(padded_maps(), style, shared=False), "the edge matters to some of the maps"


def test_what_is_left_out_is_said_with_its_reason(made, outputs_and_arrays):
    outputs, arrays = outputs_and_arrays
    for found, style in zip(made["grids"], STYLES, strict=True):
        maps = [read_map(arrays, each, noise=NOISE) for each in outputs]
        left_out = worth_drawing(maps, aliases=bool(style.get("aliases")), shared=bool(style.get("shared"))).left_out
        (sentence,) = left_out_notes(left_out)
        assert found["notes"] == [sentence.replace(" (--outputs and --aliases draw them)", "")]


def test_numbers_are_written_as_python_writes_them(made):
    assert made["numbers"] == [f"{value:.{digits}g}" for value in NUMBERS for digits in (1, 2, 3, 4, 17)]


def test_the_colour_tables_are_pythons(made):
    for name, table in made["tables"].items():
        np.testing.assert_array_equal(array_of(table, "uint8").reshape(-1, 3), colour_table(name))
    file = Path(__file__).parents[3] / "runtime/javascript/src/maps/colour_tables.js"
    assert file.read_text(encoding="utf-8") == javascript_colours(), "run `make javascript-tables`"


def test_the_words_are_pythons(made):
    reductions, left_out = made["words"]
    assert reductions == {name: row.words for name, row in REDUCTIONS.items()}
    assert left_out == {kind: list(words) for kind, words in LEFT_OUT.items()}
    for table, expected in ((reductions, REDUCTIONS), (left_out, LEFT_OUT)):
        assert list(table) == list(expected), "in the same order"


@pytest.mark.parametrize("number", range(2 * len(SHAPES)))
def test_tiles_are_laid_out_as_in_python(made, number, monkeypatch):
    monkeypatch.setattr(page_layout, "font_of_size", OneWidth)
    shapes, channels, found = SHAPES[number // 2], number % 2 == 1, made["layouts"][number]
    layout = page_layout.lay_out(
        shapes,
        CHANNEL_PAGE if channels else OUTPUT_PAGE,
        names=[str(index) for index in range(len(shapes))],
        notes=["One."],
        has_title=True,
        details=0 if channels else 2,
        sections=not channels,
    )
    measures = {"side": layout.side, "columns": layout.columns, "rows": layout.rows, "mapHeight": layout.map_height}
    assert found == measures | {"text": layout.text, "size": list(layout.size)}


@pytest.mark.parametrize("number", range(len(PLACED)))
def test_a_picture_is_as_large_as_its_place_by_pythons_pixels(made, number):
    colours, (width, height) = PLACED[number]
    expected = np.asarray(Pixels(0, 0, width, height, colours).image())
    found = array_of(made["placed"][number], "uint8").reshape(height, width, 4)
    np.testing.assert_array_equal(found[..., :3], expected)


class OneWidth:
    """A font whose letters have one width, in which both sides measure the same."""

    def __init__(self, size, *, bold=False):
        self.width = size * 0.6

    def getlength(self, text):
        return len(text) * self.width


def test_pages_end_where_pythons_do(made):
    for paths, pages in zip(PATHS, made["pages"], strict=True):
        assert pages == [[each.start, each.stop] for each in page_ranges(paths, 48)]


def test_a_depth_shows_what_it_shows_in_python(made):
    for paths, by_depth in zip(PATHS, made["depths"], strict=True):
        outputs = [output(f"o{index}", (1, 1, 2, 2), module_path=path) for index, path in enumerate(paths)]
        for depth, found in zip((1, 2, 3), by_depth, strict=True):
            try:
                expected = [int(each.name[1:]) for each in select_outputs(outputs, depth=depth)]
            except UsageError:
                expected = []
            assert found == expected
