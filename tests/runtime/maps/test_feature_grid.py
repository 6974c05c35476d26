"""The picture of the averaged feature maps: its tiles, colours, words, limits, and how it is saved."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib import colormaps, get_data_path
from matplotlib.colors import Normalize
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, JpegImagePlugin

from runtime.artifact.errors import OutputError, UsageError
from runtime.artifact.manifest import Output, TokenGrid
from runtime.maps.channel_mean import channel_mean
from runtime.maps.colour_maps import colour_map_image, colour_table, not_finite_colour, table_of
from runtime.maps.feature_grid import count_pages, draw_grid, outputs_on_page
from runtime.maps.page_layout import lay_out
from runtime.maps.picture_saving import picture_format, save_picture
from runtime.maps.picture_text import break_name, draw_line, shorten_front

LONGEST_SIDE = 16_384
LONG_NAME = "features.denseblock4.denselayer16.conv2_with_a_name_that_goes_on_and_on"


def output(
    name: str, layout: str = "NCHW", label: str = "Conv2d", tokens: tuple[int, int, int, int] | None = None
) -> Output:
    """`tokens` are how many before, the patches' height and width, and how many after."""
    return Output(
        name=name,
        label=label,
        operation="torch.nn.modules.conv.Conv2d",
        module_path=name,
        source_file=None,
        source_line=None,
        shape=list(layout),
        dtype="float32",
        layout=layout,
        tokens=None if tokens is None else TokenGrid(*tokens),
        alias_of=None,
    )


def random_maps(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def expected_colours(mean: NDArray[np.floating], cmap: str = "viridis") -> NDArray[np.uint8]:
    """Matplotlib's own: `imshow` normalises from the lowest to the highest value, then looks the colour up."""
    return colormaps[cmap](Normalize()(mean), bytes=True)[..., :3]


def runs(wanted: NDArray[np.bool_], least: int) -> list[tuple[int, int]]:
    """Start and end of each stretch of at least `least` True values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], wanted, [False]]).astype(int)))
    return [(a, b) for a, b in edges.reshape(-1, 2).tolist() if b - a >= least]


def find_tiles(image: Image.Image, least: int = 60) -> list[NDArray[np.uint8]]:
    """The maps in a picture, in reading order: all that is coloured, and larger than the footer's colour bar."""
    pixels = np.asarray(image)
    coloured = np.ptp(pixels.astype(int), axis=2) > 0
    return [
        pixels[top:bottom, left:right]
        for top, bottom in runs(coloured.any(axis=1), least)
        for left, right in runs(coloured[top:bottom].any(axis=0), least)
    ]


def shrunk(tile: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """The colour in the middle of each of the map's pixels."""
    rows = (np.arange(height) * 2 + 1) * tile.shape[0] // (2 * height)
    columns = (np.arange(width) * 2 + 1) * tile.shape[1] // (2 * width)
    return tile[np.ix_(rows, columns)]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every text that was drawn into a picture."""
    texts: list[str] = []

    def recording(image, start, text, font, ink):
        texts.append(text)
        draw_line(image, start, text, font, ink)

    monkeypatch.setattr("runtime.maps.feature_grid.draw_line", recording)
    return texts


@pytest.mark.parametrize("cmap", ["viridis", "magma", "gray", "tab10", "twilight", "viridis_r"])
def test_colours_are_exactly_those_of_matplotlib(cmap):
    values = np.random.default_rng(1).normal(size=(31, 17))
    assert np.array_equal(colour_map_image(values, colour_table(cmap)), expected_colours(values, cmap))


def test_table_holds_256_colours():
    table = colour_table("viridis")
    assert table.shape == (256, 3)
    assert table.dtype == np.uint8
    assert table[0].tolist() == [68, 1, 84]


def test_tiles_stand_in_the_order_of_execution_four_a_row():
    names = ["conv1", "bn1", "relu", "layer1.0.conv1", "layer1.0.add", "layer2"]
    arrays = {name: random_maps(1, 5, 8, 8, seed=seed) for seed, name in enumerate(names)}
    image = draw_grid(dict(sorted(arrays.items())), [output(name) for name in names])
    tiles = find_tiles(image)
    assert len(tiles) == 6
    for name, tile in zip(names, tiles, strict=True):
        mean = arrays[name][0].mean(axis=0, dtype=np.float64)
        assert np.array_equal(shrunk(tile, 8, 8), expected_colours(mean)), name
    coloured_rows = runs((np.ptp(np.asarray(image).astype(int), axis=2) > 0).any(axis=1), 60)
    assert len(coloured_rows) == 2


@pytest.mark.parametrize(("columns", "rows"), [(1, 5), (2, 3), (5, 1), (9, 1)])
def test_columns_can_be_chosen(columns, rows):
    arrays = {str(index): random_maps(1, 2, 4, 4, seed=index) for index in range(5)}
    image = draw_grid(arrays, [output(name) for name in arrays], columns=columns)
    assert len(find_tiles(image)) == 5
    assert len(runs((np.ptp(np.asarray(image).astype(int), axis=2) > 0).any(axis=1), 60)) == rows


def test_the_first_image_of_a_batch_is_drawn():
    batch = random_maps(3, 4, 6, 6)
    alone = draw_grid({"conv": batch[:1]}, [output("conv")])
    assert draw_grid({"conv": batch}, [output("conv")]).tobytes() == alone.tobytes()
    assert draw_grid({"conv": batch[1:]}, [output("conv")]).tobytes() != alone.tobytes()


def test_channels_last_gives_the_same_picture():
    maps = random_maps(2, 4, 6, 10)
    last = np.moveaxis(maps, 1, 3)
    assert np.array_equal(channel_mean(maps, "NCHW"), maps[0].mean(axis=0, dtype=np.float64))
    picture = draw_grid({"conv": last}, [output("conv", "NHWC")])
    assert picture.tobytes() == draw_grid({"conv": maps}, [output("conv")]).tobytes()


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int64, np.uint8, np.bool_])
def test_any_number_type_can_be_drawn(dtype):
    maps = (random_maps(1, 3, 4, 4) > 0).astype(dtype)
    assert len(find_tiles(draw_grid({"mask": maps}, [output("mask")]))) == 1


def test_every_tile_has_its_titles(written):
    maps = np.zeros((1, 2, 3, 5), np.float32)
    maps[0, :, 0, 0], maps[0, :, 2, 4] = -0.5, [1, 2]
    draw_grid({"layer1.0.conv1": maps}, [output("layer1.0.conv1")], title="resnet18")
    assert written[:4] == ["resnet18", "layer1.0.conv1", "Conv2d · 2 × 3 × 5", "−0.5 to 1.5"]


def test_range_has_the_digits_that_tell_its_ends_apart(written):
    maps = np.full((1, 1, 2, 2), 1000.0)
    maps[0, 0, 0, 0] = 1000.0001
    draw_grid({"conv": maps}, [output("conv")])
    assert "1000 to 1000.0001" in written


def test_footer_says_how_it_is_coloured_and_what_is_left_out(written):
    arrays = {"conv": random_maps(1, 2, 4, 4), "flatten": random_maps(1, 32), "fc": random_maps(1, 10)}
    outputs = [output("conv"), output("flatten", "NC"), output("fc", "NC")]
    image = draw_grid(arrays, outputs, cmap="magma")
    assert len(find_tiles(image)) == 1
    footer = " ".join(written[3:])
    assert "mean over its channels" in footer
    assert "from its own lowest to its own highest value (magma)" in footer
    assert "2 outputs without height and width are left out: flatten, fc" in footer


def test_many_left_out_names_are_counted_rather_than_listed(written):
    outputs = [output("conv"), *(output(f"norm{index}", "NLC") for index in range(200))]
    draw_grid({"conv": random_maps(1, 2, 4, 4)}, outputs)
    footer = " ".join(written[3:])
    assert "200 outputs without" in footer
    assert "norm9 and 190 more" in footer


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", [(1, 3, 8, 8), (1, 8, 1, 1)])
def test_a_constant_map_gets_the_lowest_colour(written, shape):
    image = draw_grid({"conv": np.full(shape, -0.25)}, [output("conv")])
    (tile,) = find_tiles(image)
    assert (tile == colour_table("viridis")[0]).all()
    assert "constant −0.25" in written


def test_a_map_of_rounding_alone_is_drawn_as_constant(written):
    normalised = torch.nn.LayerNorm(96)(torch.randn(1, 16, 16, 96, generator=torch.Generator().manual_seed(0)) * 3 + 2)
    maps = np.moveaxis(normalised.detach().numpy(), 3, 1)
    assert 0 < np.ptp(channel_mean(maps, "NCHW")) < 1e-5
    (tile,) = find_tiles(draw_grid({"norm": maps}, [output("norm")]))
    assert (tile == colour_table("viridis")[0]).all()
    assert "constant 0 up to rounding" in written
    assert "A map that varies only by rounding is drawn as constant." in " ".join(written)
    draw_grid({"norm": maps + np.float32(0.25)}, [output("norm")])
    assert any(text.startswith("constant 0.2") and text.endswith(" up to rounding") for text in written)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_what_varies_by_more_than_rounding_is_drawn_however_small_it_is(written, dtype):
    maps = random_maps(1, 64, 8, 8).astype(dtype) * dtype(1e-3)
    maps -= maps.mean(axis=1, keepdims=True, dtype=np.float64).astype(dtype)
    maps[0, :, 2:4, 2:4] *= dtype(1.5)
    maps[0, :, 5, 5] += 64 * np.finfo(dtype).eps * dtype(1e-3)
    draw_grid({"conv": maps}, [output("conv")])
    assert not any("rounding" in text for text in written)


@pytest.mark.filterwarnings("error")
def test_values_that_are_not_finite_are_marked_and_counted(written):
    maps = random_maps(1, 3, 6, 6)
    maps[0, 0, 1, 2], maps[0, 1, 3, 4] = np.nan, np.inf
    maps[0, :2, 5, 0] = [np.inf, -np.inf]
    image = draw_grid({"conv": maps}, [output("conv")])
    colours = shrunk(find_tiles(image)[0], 6, 6)
    marked = (colours == not_finite_colour(colour_table("viridis"))).all(axis=2)
    assert np.argwhere(marked).tolist() == [[1, 2], [3, 4], [5, 0]]
    mean = np.ma.masked_invalid(maps[0].astype(np.float64)).mean(axis=0).data
    mean[marked] = mean[~marked].min()
    assert np.array_equal(colours[~marked], expected_colours(mean)[~marked])
    assert any(text.endswith(" · 3 not finite") for text in written)
    assert written.count("not finite") == 1, "the footer explains the colour"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_map_without_any_finite_value_is_drawn(written, value):
    (tile,) = find_tiles(draw_grid({"conv": np.full((1, 2, 4, 4), value)}, [output("conv")]))
    assert (tile == not_finite_colour(colour_table("viridis"))).all()
    assert "16 not finite" in written


@pytest.mark.filterwarnings("error")
def test_the_largest_numbers_do_not_overflow():
    largest = np.finfo(np.float64).max
    values = np.array([[-largest, 0.0, largest]])
    table = colour_table("viridis")
    assert colour_map_image(values, table).tolist() == [table[[0, 128, 255]].tolist()]
    draw_grid({"conv": np.full((1, 3, 2, 2), largest)}, [output("conv")])


@pytest.mark.parametrize("cmap", ["viridis", "magma", "plasma", "jet", "gray", "Reds", "hsv"])
def test_the_colour_of_what_is_not_finite_is_far_from_the_colour_map(cmap):
    table = colour_table(cmap).astype(int)
    assert np.abs(table - not_finite_colour(table.astype(np.uint8))).sum(axis=1).min() > 80


@pytest.mark.parametrize("side", [1, 4, 7, 13, 56, 64, 224])
def test_enlarged_pixels_stay_crisp(side):
    maps = random_maps(1, 2, side, side)
    maps[0, :, 0, 0] += 1e-3
    (tile,) = find_tiles(draw_grid({"conv": maps}, [output("conv")]))
    assert tile.shape[0] == tile.shape[1] >= 224
    mean = maps[0].mean(axis=0, dtype=np.float64)
    expected = expected_colours(mean) if side > 1 else colour_table("viridis")[:1][None]
    assert np.array_equal(shrunk(tile, side, side), expected)
    assert set(map(tuple, tile.reshape(-1, 3).tolist())) <= set(map(tuple, expected.reshape(-1, 3).tolist()))


def test_maps_of_the_usual_sizes_are_enlarged_by_whole_factors():
    arrays = {str(side): random_maps(1, 2, side, side) for side in (112, 56, 28, 14, 7)}
    for side, tile in zip(arrays, find_tiles(draw_grid(arrays, [output(name) for name in arrays])), strict=True):
        assert tile.shape[0] % int(side) == 0


def test_large_maps_are_reduced_smoothly():
    fine = np.indices((512, 512)).sum(axis=0) % 2  # a chessboard that picking every second pixel would lose
    ramp = np.linspace(0, 1, 512)[None, :].repeat(512, axis=0)
    boards = find_tiles(draw_grid({"a": fine[None, None], "b": ramp[None, None]}, [output("a"), output("b")]))
    table = colour_table("viridis").astype(int)
    assert len(boards) == 2
    assert np.abs(boards[0][8:-8, 8:-8].astype(int) - (table[0] + table[-1]) // 2).max() <= 6
    assert np.abs(boards[1][8, ::32].astype(int) - expected_colours(ramp)[0, :: 512 // 8].astype(int)).max() <= 6


@pytest.mark.parametrize(("height", "width"), [(16, 48), (48, 16), (10, 25)])
def test_the_aspect_ratio_is_kept(height, width):
    (tile,) = find_tiles(draw_grid({"conv": random_maps(1, 2, height, width)}, [output("conv")]))
    assert tile.shape[1] / tile.shape[0] == pytest.approx(width / height, rel=0.02)
    assert max(tile.shape) >= 224


def test_a_line_of_values_can_be_seen():
    (tile,) = find_tiles(draw_grid({"conv": random_maps(1, 2, 1, 512)}, [output("conv")], cmap="magma"), 5)[:1]
    assert tile.shape[0] >= 5


@pytest.mark.parametrize("columns", [2, 40])
def test_long_names_stay_within_their_tile(columns, written):
    names = [f"{LONG_NAME}_{index}" for index in range(40)]
    arrays = dict.fromkeys(names, random_maps(1, 2, 4, 4))
    image = draw_grid(arrays, [output(name, label="Label" * 20) for name in names], columns=columns, title="t " * 2000)
    pixels = np.asarray(image)
    coloured = np.ptp(pixels.astype(int), axis=2) > 0
    rows = runs(coloured.any(axis=1), 60)
    tiles = runs(coloured[slice(*rows[0])].any(axis=0), 60)
    assert len(tiles) == columns
    for (_, right), (left, _) in pairwise(tiles):
        assert (pixels[rows[0][0] - 40 : rows[-1][1], right + 2 : left - 2] == 255).all()
    assert (pixels[:, :30] == 255).all()
    assert (pixels[:, -30:] == 255).all()
    starts = [text for text in written if text.startswith("features.")]
    ends = [text for text in written if text.startswith("…") and "_" in text]
    assert len(starts) == len(names)
    assert [text[-3:] for text in ends] == [name[-3:] for name in names]


def test_names_that_differ_in_the_middle_alone_stay_apart(written):
    names = [f"features.{stage}.{block}.attn.shifted_window_attention" for stage in (1, 3) for block in (0, 1)]
    draw_grid(dict.fromkeys(names, random_maps(1, 2, 4, 4)), [output(name) for name in names])
    assert [text + written[index + 1] for index, text in enumerate(written) if text.startswith("features")] == names


def test_a_name_too_long_for_two_lines_is_cut_in_the_middle():
    font = ImageFont.truetype(Path(get_data_path()) / "fonts/ttf/DejaVuSans.ttf", 14)
    assert break_name("conv1", font, 300) == ["conv1"]
    assert break_name("features.0.layer_norm", font, 100) == ["features.0.", "layer_norm"]
    assert break_name("x" * 20, font, 100) == ["x" * 12, "x" * 8]
    first, second = break_name(LONG_NAME, font, 200)
    assert LONG_NAME.startswith(first)
    assert second[0] == "…"
    assert LONG_NAME.endswith(second[1:])
    assert max(font.getlength(first), font.getlength(second)) <= 200
    assert break_name(LONG_NAME, font, 1) == ["f", "…"]


def test_what_repeats_another_tile_is_left_out_and_counted(written):
    def view(name, layout, of, shape, tokens=None):
        entry = output(name, layout, tokens=tokens)
        return entry.model_copy(update={"alias_of": of, "shape": shape})

    image, rows = ["N", 6, 4, 4], ["N", 16, 6]
    outputs = [
        view("conv", "NCHW", None, image),
        view("dropout", "NCHW", "conv", image),
        view("permute", "NHWC", "conv", ["N", 4, 4, 6]),
        view("patches", "NLC", "conv", rows, (0, 4, 4, 0)),
        view("half", "NCHW", "conv", ["N", 3, 4, 4]),
        view("turned", "NCWH", "conv", image),
        view("relu", "NCHW", None, image),
        view("stochastic_depth", "NCHW", "relu", image),
    ]
    conv, relu = random_maps(1, 6, 4, 4), random_maps(1, 6, 4, 4, seed=1)
    moved = np.moveaxis(conv, 1, 3)
    arrays = {"conv": conv, "dropout": conv, "permute": moved, "patches": moved.reshape(1, 16, 6), "half": conv[:, :3]}
    arrays |= {"relu": relu, "stochastic_depth": relu}
    assert len(find_tiles(draw_grid(arrays, outputs))) == 3
    assert [text for text in written if text in arrays] == ["conv", "half", "relu"]
    assert "4 outputs that only repeat another's map are left out" in " ".join(written)
    assert len(find_tiles(draw_grid(arrays, outputs, aliases=True))) == 7
    written.clear()
    draw_grid(arrays, [entry for entry in outputs if entry.name in ("dropout", "half", "stochastic_depth")])
    assert [text for text in written if text in arrays] == ["dropout", "half", "stochastic_depth"]
    assert not any("repeat" in text for text in written)


def test_shortening_keeps_the_end():
    font = ImageFont.truetype(Path(get_data_path()) / "fonts/ttf/DejaVuSans.ttf", 14)
    assert shorten_front("conv1", font, 300) == "conv1"
    assert shorten_front("two\nlines", font, 300) == "two lines"
    short = shorten_front(LONG_NAME, font, 200)
    assert short[0] == "…"
    assert LONG_NAME.endswith(short[1:])
    assert font.getlength(short) <= 200 < font.getlength(LONG_NAME[-len(short) :] + "…")
    assert shorten_front(LONG_NAME, font, 1) == "…"


def test_tiles_shrink_until_the_picture_is_small_enough():
    arrays = {f"conv{index}": random_maps(1, 1, 4, 4, seed=index) for index in range(48)}
    outputs = [output(name) for name in arrays]
    tall = draw_grid(arrays, outputs, columns=1)
    wide = draw_grid(arrays, outputs, columns=48)
    assert max(*tall.size, *wide.size) <= LONGEST_SIDE
    assert len(find_tiles(tall)) == len(find_tiles(wide)) == 48


def test_too_few_columns_for_one_picture_say_so():
    with pytest.raises(UsageError, match=r"96 tiles in rows of 1 .*--columns, --outputs"):
        lay_out([(4, 4)] * 96, 1, names=["conv"] * 96, has_title=False, notes=[])


@pytest.mark.parametrize("tokens", [(1, 3, 5, 0), (0, 5, 3, 0), (5, 4, 4, 2), (0, 1, 1, 1)])
def test_tokens_are_folded_back_to_the_grid_of_patches(written, tokens):
    before, height, width, after = tokens
    sequence = random_maps(2, before + height * width + after, 6)
    sequence[:, :before], sequence[:, sequence.shape[1] - after :] = 1e6, -1e6  # would take all the colours
    patches = np.array([[sequence[0, before + row * width + x] for x in range(width)] for row in range(height)])
    mean = patches.mean(axis=2, dtype=np.float64)
    entry = output("encoder.ln", "NLC", "LayerNorm", tokens)
    assert np.array_equal(channel_mean(sequence, "NLC", entry.tokens), mean)
    tile = find_tiles(draw_grid({"encoder.ln": sequence}, [entry]))[0]
    if mean.size > 1:
        assert np.array_equal(shrunk(tile, height, width), expected_colours(mean))
    assert not any("e+0" in text for text in written)


def test_tokens_that_are_no_patch_are_counted(written):
    outputs = [
        output("conv"),
        output("dropout", "NLC", "Dropout", (1, 3, 3, 0)),
        output("ln_1", "NLC", "LayerNorm", (1, 3, 3, 0)),
        output("registers", "NLC", "cat", (4, 2, 2, 1)),
        output("patches", "NLC", "Linear", (0, 2, 2, 0)),
    ]
    arrays = {"conv": random_maps(1, 2, 3, 3), "dropout": random_maps(1, 10, 8), "ln_1": random_maps(1, 10, 8)}
    arrays |= {"registers": random_maps(1, 9, 8), "patches": random_maps(1, 4, 8)}
    draw_grid(arrays, outputs)
    for title in ("Dropout · 8 × 3 × 3 + 1 token", "cat · 8 × 2 × 2 + 5 tokens", "Linear · 8 × 2 × 2"):
        assert title in written
    footer = " ".join(written)
    assert footer.count("tokens that are not patches are left out: 1 in each of 2 outputs, 5 in 1 output.") == 1


def test_the_footer_counts_over_all_pages(written):
    outputs = [output(f"ln{index}", "NLC", "LayerNorm", (1, 2, 2, 0)) for index in range(49)]
    draw_grid(dict.fromkeys((entry.name for entry in outputs), random_maps(1, 5, 2)), outputs, page=2)
    assert "1 in each of 49 outputs" in " ".join(written)


def test_the_footer_speaks_of_tokens_only_where_there_are_some(written):
    draw_grid({"conv": random_maps(1, 2, 4, 4)}, [output("conv"), output("encoder", "NLC")])
    assert "oken" not in " ".join(written)
    draw_grid({"mlp": random_maps(1, 4, 2)}, [output("mlp", "NLC", tokens=(0, 2, 2, 0))])
    assert "Token sequences are laid out as their grid of patches." in " ".join(written)


@pytest.mark.parametrize("shape", [(1, 10, 4), (1, 12, 4), (1, 11), (1, 11, 4, 4), (0, 11, 4), (1, 11, 0)])
def test_tokens_that_contradict_the_manifest_are_named(shape):
    with pytest.raises(UsageError, match=r"'encoder\.ln' can't be drawn"):
        draw_grid({"encoder.ln": np.zeros(shape)}, [output("encoder.ln", "NLC", tokens=(2, 3, 3, 0))])


def test_a_wrong_number_of_tokens_is_told():
    with pytest.raises(UsageError, match=r"has 10 tokens; .* says 11: 2 before, 3 × 3 patches, 0 after"):
        draw_grid({"ln": np.zeros((1, 10, 4))}, [output("ln", "NLC", tokens=(2, 3, 3, 0))])


@pytest.mark.parametrize("layout", ["NLC", "N???", "NCL", "NCDHW", "NC", "N", ""])
def test_what_has_no_height_and_width_is_left_out(written, layout):
    outputs = [output("conv"), output("other", layout)]
    assert count_pages(outputs[1:]) == 0
    assert len(find_tiles(draw_grid({"conv": random_maps(1, 2, 4, 4)}, outputs))) == 1
    assert any(text.endswith("1 output without height and width is left out: other") for text in written)


def test_a_long_second_line_is_set_smaller_before_it_is_cut(written):
    draw_grid({"ln": random_maps(1, 261, 1024)}, [output("ln", "NLC", "LayerNorm", (5, 16, 16, 0))])
    assert "LayerNorm · 1024 × 16 × 16 + 5 tokens" in written


@pytest.mark.parametrize(
    ("tiles", "sizes"),
    [(1, [1]), (24, [24]), (48, [48]), (49, [25, 24]), (96, [48, 48]), (97, [33, 32, 32]), (200, [40, 40, 40, 40, 40])],
)
def test_pages_share_the_tiles_evenly_and_each_tile_stands_on_one(written, tiles, sizes):
    names = [f"conv{index}" for index in range(tiles)]
    arrays = dict.fromkeys(names, random_maps(1, 1, 2, 2))
    outputs = [entry for name in names for entry in (output(name), output(f"{name}.flat", "NC"))]
    assert count_pages(outputs) == len(sizes)
    shown = []
    for page, size in enumerate(sizes, start=1):
        written.clear()
        image = draw_grid(arrays, outputs, page=page, title="resnet")
        assert image.height <= 2.2 * image.width
        assert max(image.size) <= LONGEST_SIDE / 3
        on_page = [text for text in written if text in arrays]
        assert len(on_page) == size
        assert len(find_tiles(image)) == size
        shown += on_page
        assert (f"resnet · page {page} of {len(sizes)}" in written) == (len(sizes) > 1)
        assert any(text.startswith(f"Page {page} of {len(sizes)}: tiles ") for text in written) == (len(sizes) > 1)
    assert shown == names


def test_a_page_says_which_tiles_it_holds_also_without_a_title(written):
    arrays = dict.fromkeys((f"conv{index}" for index in range(49)), random_maps(1, 1, 2, 2))
    draw_grid(arrays, [output(name) for name in arrays], page=2)
    assert written[-1] == "Page 2 of 2: tiles 26 to 49 of 49."


def test_only_the_arrays_of_the_page_are_needed():
    outputs = [output(f"conv{index}") for index in range(49)]
    arrays = {entry.name: random_maps(1, 1, 2, 2) for entry in outputs[25:]}
    assert len(find_tiles(draw_grid(arrays, outputs, page=2))) == 24
    assert outputs_on_page(outputs, 2) == outputs[25:]
    assert outputs_on_page(outputs, 1) == outputs[:25]
    with pytest.raises(UsageError, match="'conv0'"):
        draw_grid(arrays, outputs)


@pytest.mark.parametrize("page", [-1, 0, 3])
def test_a_page_that_is_not_there_says_how_many_are(page):
    arrays = dict.fromkeys((f"conv{index}" for index in range(49)), random_maps(1, 1, 2, 2))
    with pytest.raises(UsageError, match=f"Page {page} .* there are 2 pages"):
        draw_grid(arrays, [output(name) for name in arrays], page=page)
    with pytest.raises(UsageError, match=r"Page 2 .* there is 1 page"):
        draw_grid({"conv": random_maps(1, 1, 2, 2)}, [output("conv")], page=2)


@pytest.mark.parametrize(("side", "highest"), [(14, 2.2), (512, 2.2)])
def test_no_number_of_tiles_makes_a_strip(side, highest):
    layouts = [
        lay_out([(side, side)] * tiles, None, names=["conv"] * tiles, has_title=True, notes=["A note."])
        for tiles in range(1, 49)
    ]
    assert [layout.columns for layout in layouts[3:24]] == [4] * 21
    assert layouts[-1].columns == 7
    for layout in layouts:
        width, height = layout.size
        assert height <= highest * width, layout


def test_nothing_to_draw_is_an_error():
    with pytest.raises(UsageError, match=r"[Nn]othing to draw.* 1 output"):
        draw_grid({"fc": random_maps(1, 10)}, [output("fc", "NC")])
    with pytest.raises(UsageError, match=r"[Nn]othing to draw"):
        draw_grid({}, [])


def test_a_missing_array_is_named_with_its_neighbours():
    with pytest.raises(UsageError, match=r"'layer1\.conv1'.*layer1\.conv2"):
        draw_grid({"layer1.conv2": random_maps(1, 2, 4, 4)}, [output("layer1.conv1")])


@pytest.mark.parametrize("shape", [(1, 10), (3, 4, 4), (0, 3, 4, 4), (1, 0, 4, 4)])
def test_an_array_that_contradicts_its_layout_is_named(shape):
    with pytest.raises(UsageError, match=r"'conv' can't be drawn.*NCHW"):
        draw_grid({"conv": np.zeros(shape)}, [output("conv")])


def test_an_unknown_colour_map_lists_the_near_ones():
    with pytest.raises(UsageError, match=r"'Virids'.*viridis"):
        draw_grid({"conv": random_maps(1, 2, 4, 4)}, [output("conv")], cmap="Virids")
    with pytest.raises(UsageError, match=r"'0123'.*viridis"):
        colour_table("0123")


def test_a_grid_needs_a_column():
    with pytest.raises(UsageError, match="0 columns"):
        draw_grid({"conv": random_maps(1, 2, 4, 4)}, [output("conv")], columns=0)


@pytest.fixture
def picture() -> Image.Image:
    return draw_grid({"conv": random_maps(1, 2, 8, 8)}, [output("conv")])


@pytest.mark.parametrize(
    ("name", "picture_type"),
    [("a.jpg", "JPEG"), ("a.jpeg", "JPEG"), ("a.JPG", "JPEG"), ("a.png", "PNG"), ("a.b.webp", "WEBP")],
)
def test_the_suffix_says_the_format(tmp_path, picture, name, picture_type):
    path = tmp_path / name
    assert picture_format(path) == picture_type
    save_picture(picture, path)
    with Image.open(path) as read:
        assert read.format == picture_type
        difference = np.abs(np.asarray(read.convert("RGB")).astype(int) - np.asarray(picture))
        if picture_type == "JPEG":
            assert JpegImagePlugin.get_sampling(read) == 0, "chroma is not halved"
            assert difference.mean() < 2
        else:
            assert difference.max() == 0
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.gif", "a", "a.png.txt", ".png"])
def test_another_suffix_lists_those_that_are_served(tmp_path, picture, name):
    with pytest.raises(UsageError, match=r"\.jpg, \.png or \.webp"):
        save_picture(picture, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_to_is_named(tmp_path, picture):
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "folder.png").mkdir()
    for path in (tmp_path / "missing" / "a.png", tmp_path / "file" / "a.png", tmp_path / "folder.png"):
        with pytest.raises(OutputError, match=path.name):
            save_picture(picture, path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "folder.png"]


def test_a_full_disk_leaves_the_old_picture(tmp_path, picture, monkeypatch):
    path = tmp_path / "a.png"
    save_picture(picture, path)
    old = path.read_bytes()

    def full_disk(self, file, **options):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full_disk)
    with pytest.raises(OutputError, match="No space left on device"):
        save_picture(picture, path)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def test_pyplot_is_never_imported_and_matplotlib_only_for_a_colour_map_that_is_not_shipped():
    program = """
import sys
import numpy as np
from runtime.maps.feature_grid import draw_grid
from runtime.artifact.manifest import Output
assert not any(name.partition(".")[0] in ("matplotlib", "torch") for name in sys.modules)
entry = Output(name="a", label="a", operation="a", module_path="", source_file=None, source_line=None,
                    shape=["N", 1, 2, 2], dtype="float32", layout="NCHW", alias_of=None)
draw_grid({"a": np.zeros((1, 1, 2, 2))}, [entry])
assert "matplotlib" not in sys.modules
import matplotlib.colors
matplotlib.colormaps.register(matplotlib.colors.ListedColormap(["red", "blue"], name="mine"))
draw_grid({"a": np.zeros((1, 1, 2, 2))}, [entry], cmap="mine")
assert "matplotlib.pyplot" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", list(colormaps))
def test_the_shipped_tables_are_matplotlibs_own(name):
    assert np.array_equal(colour_table(name), table_of(colormaps[name]))


def test_a_line_of_text_is_drawn_as_pillow_draws_it():
    font = ImageFont.truetype(f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf", 14, layout_engine=ImageFont.Layout.BASIC)
    ours, pillows = (Image.new("RGB", (200, 30), "#ffffff") for _ in range(2))
    draw_line(ours, (5, 20), "layer1.0 · −0.5 (gy)", font, "#666666")
    ImageDraw.Draw(pillows).text((5, 20), "layer1.0 · −0.5 (gy)", "#666666", font, anchor="ls")
    assert np.abs(np.asarray(ours, int) - np.asarray(pillows, int)).max() <= 1
    assert (np.asarray(ours) != 255).any()
