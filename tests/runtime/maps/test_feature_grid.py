"""The grid of feature maps: its tiles, titles, footer and pages."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image

from map_pictures import LONG_NAME, expected_colours, find_tiles, output, random_maps, runs, shrunk, texts
from runtime.artifact.errors import UsageError
from runtime.maps.channel_mean import channel_mean
from runtime.maps.colour_maps import colour_table, not_finite_colour
from runtime.maps.feature_grid import draw_grid, draw_pages
from runtime.maps.photo import Photo
from runtime.maps.tile_places import OUTPUT_PAGE

LONGEST_SIDE = 16_384


def test_tiles_stand_in_the_order_of_execution():
    names = ["conv1", "bn1", "relu", "layer1.0.conv1", "layer1.0.add", "layer2"]
    arrays = {name: random_maps(1, 5, 8, 8, seed=seed) for seed, name in enumerate(names)}
    picture = draw_grid(dict(sorted(arrays.items())), [output(name) for name in names])
    tiles = find_tiles(picture)
    assert len(tiles) == 6
    for name, tile in zip(names, tiles, strict=True):
        mean = arrays[name][0].mean(axis=0, dtype=np.float64)
        assert np.array_equal(shrunk(tile, 8, 8), expected_colours(mean)), name


@pytest.mark.parametrize(("columns", "rows"), [(1, 5), (2, 3), (5, 1), (9, 1)])
def test_columns_can_be_chosen(columns, rows):
    arrays = {str(index): random_maps(1, 2, 4, 4, seed=index) for index in range(5)}
    image = draw_grid(arrays, [output(name) for name in arrays], columns=columns)
    assert len(find_tiles(image)) == 5
    assert len(runs((np.ptp(np.asarray(image.image()).astype(int), axis=2) > 0).any(axis=1), 60)) == rows


def test_a_photo_is_drawn_only_if_it_is_given_and_then_first():
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    photo = Photo("a_photo.jpg", Image.fromarray(pixels), pixels, (0, 0, 8, 8))
    arrays = {"conv": random_maps(1, 2, 4, 4)}
    first, second = find_tiles(draw_grid(arrays, [output("conv")], photo=photo))
    assert np.array_equal(shrunk(first, 8, 8), pixels)
    (alone,) = find_tiles(draw_grid(arrays, [output("conv")]))
    assert np.array_equal(shrunk(second, 4, 4), shrunk(alone, 4, 4))


def test_each_page_begins_with_the_photo(monkeypatch):
    monkeypatch.setattr("runtime.maps.feature_grid.OUTPUT_PAGE", replace(OUTPUT_PAGE, most_tiles=3))
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    arrays = {str(index): random_maps(1, 2, 4, 4, seed=index) for index in range(6)}
    pages = list(
        draw_pages(
            arrays, list(map(output, arrays)), photo=Photo("a.jpg", Image.fromarray(pixels), pixels, (0, 0, 8, 8))
        )
    )
    assert [len(find_tiles(page)) for page in pages] == [4, 4]
    assert all(texts(page)[0] == "a.jpg" for page in pages)


def test_maps_over_a_photo_need_one():
    with pytest.raises(UsageError, match="give photo="):
        draw_grid({"conv": random_maps(1, 2, 4, 4)}, [output("conv")], overlay=True)


def test_the_first_image_of_a_batch_is_drawn():
    batch = random_maps(3, 4, 6, 6)
    alone = draw_grid({"conv": batch[:1]}, [output("conv")])
    assert draw_grid({"conv": batch}, [output("conv")]).image().tobytes() == alone.image().tobytes()
    assert draw_grid({"conv": batch[1:]}, [output("conv")]).image().tobytes() != alone.image().tobytes()


def test_channels_last_gives_the_same_picture():
    maps = random_maps(2, 4, 6, 10)
    last = np.moveaxis(maps, 1, 3)
    assert np.array_equal(channel_mean(maps, "NCHW"), maps[0].mean(axis=0, dtype=np.float64))
    picture = draw_grid({"conv": last}, [output("conv", "NHWC")])
    assert picture.image().tobytes() == draw_grid({"conv": maps}, [output("conv")]).image().tobytes()


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int64, np.uint8, np.bool_])
def test_any_number_type_can_be_drawn(dtype):
    maps = (random_maps(1, 3, 4, 4) > 0).astype(dtype)
    assert len(find_tiles(draw_grid({"mask": maps}, [output("mask")]))) == 1


def test_every_tile_has_its_titles():
    maps = np.zeros((1, 2, 3, 5), np.float32)
    maps[0, :, 0, 0], maps[0, :, 2, 4] = -0.5, [1, 2]
    written = texts(draw_grid({"layer1.0.conv1": maps}, [output("layer1.0.conv1")], title="resnet18"))
    said = "Each tile is one output, in the order of execution: the mean over the channels."
    assert said in " ".join(written)
    assert written[:6] == ["resnet18", "layer1.0.conv1", "Conv2d · 2 × 3 × 5", "−0.5", "1.5", said[: len(written[5])]]


def test_range_has_the_digits_that_tell_its_ends_apart():
    maps = np.full((1, 1, 2, 2), 1000.0)
    maps[0, 0, 0, 0] = 1000.0001
    assert texts(draw_grid({"conv": maps}, [output("conv")]))[2:4] == ["1000", "1000.0001"]


def test_many_left_out_names_are_counted_rather_than_listed():
    outputs = [output("conv"), *(output(f"norm{index}", "NLC") for index in range(200))]
    footer = " ".join(texts(draw_grid({"conv": random_maps(1, 2, 4, 4)}, outputs)))
    assert "Left out: 200 have no height and width (norm0, …)." in footer


@pytest.mark.filterwarnings("error")
def test_values_that_are_not_finite_are_marked_and_counted():
    maps = random_maps(1, 3, 6, 6)
    maps[0, 0, 1, 2], maps[0, 1, 3, 4] = np.nan, np.inf
    maps[0, :2, 5, 0] = [np.inf, -np.inf]
    picture = draw_grid({"conv": maps}, [output("conv")])
    colours = shrunk(find_tiles(picture)[0], 6, 6)
    marked = (colours == not_finite_colour(colour_table("viridis"))).all(axis=2)
    assert np.argwhere(marked).tolist() == [[1, 2], [3, 4], [5, 0]]
    mean = np.ma.masked_invalid(maps[0].astype(np.float64)).mean(axis=0).data
    mean[marked] = mean[~marked].min()
    assert np.array_equal(colours[~marked], expected_colours(mean)[~marked])
    written = texts(picture)
    assert any(text.endswith(" · 3 not finite") for text in written)
    assert written.count("not finite") == 1, "the footer explains the colour"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_map_without_any_finite_value_is_drawn(value):
    picture = draw_grid({"conv": np.full((1, 2, 4, 4), value)}, [output("conv")])
    (tile,) = find_tiles(picture)
    assert (tile == not_finite_colour(colour_table("viridis"))).all()
    assert "16 not finite" in texts(picture)


@pytest.mark.parametrize("side", [4, 7, 13, 56, 64, 224])
def test_enlarged_pixels_stay_crisp(side):
    maps = random_maps(1, 2, side, side)
    maps[0, :, 0, 0] += 1e-3
    (tile,) = find_tiles(draw_grid({"conv": maps}, [output("conv")]))
    assert tile.shape[0] == tile.shape[1] >= 224
    mean = maps[0].mean(axis=0, dtype=np.float64)
    expected = expected_colours(mean)
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
def test_long_names_stay_within_their_tile(columns):
    names = [f"{LONG_NAME}_{index}" for index in range(40)]
    arrays = dict.fromkeys(names, random_maps(1, 2, 4, 4))
    outputs = [output(name, label="Label" * 20, path="") for name in names]
    picture = draw_grid(arrays, outputs, columns=columns, title="t " * 2000, aliases=True)
    pixels, written = np.asarray(picture.image()), texts(picture)
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


def test_names_that_differ_in_the_middle_alone_stay_apart():
    names = [f"features.{stage}.{block}.attn.shifted_window_attention" for stage in (1, 3) for block in (0, 1)]
    arrays = dict.fromkeys(names, random_maps(1, 2, 4, 4))
    written = texts(draw_grid(arrays, [output(name, path="") for name in names], aliases=True))
    assert [text + written[index + 1] for index, text in enumerate(written) if text.startswith("features")] == names


def test_tiles_shrink_until_the_picture_is_small_enough():
    arrays = {f"conv{index}": random_maps(1, 1, 4, 4, seed=index) for index in range(48)}
    outputs = [output(name) for name in arrays]
    tall = draw_grid(arrays, outputs, columns=1)
    wide = draw_grid(arrays, outputs, columns=48)
    assert max(tall.width, tall.height, wide.width, wide.height) <= LONGEST_SIDE
    assert len(find_tiles(tall)) == len(find_tiles(wide)) == 48


@pytest.mark.parametrize("layout", ["NLC", "N???", "NCL", "NCDHW", "NC", "N", ""])
def test_what_has_no_height_and_width_is_left_out(layout):
    outputs = [output("conv"), output("other", layout)]
    picture = draw_grid({"conv": random_maps(1, 2, 4, 4)}, outputs)
    assert len(find_tiles(picture)) == 1
    assert "1 has no height and width (other)." in " ".join(texts(picture))


def test_a_long_second_line_is_set_smaller_before_it_is_cut():
    entry = output("ln", "NLC", "ConvNormActivation", (5, 16, 16, 0))
    assert "ConvNormActivation · 1024 × 16 × 16" in set(texts(draw_grid({"ln": random_maps(1, 261, 1024)}, [entry])))


def test_no_digit_of_a_narrow_maps_range_is_cut():
    narrow = np.linspace(-0.00149, -0.00047, 128).reshape(1, 1, 64, 2)
    assert "−0.00149 to −0.00047" in texts(draw_grid({"a": narrow}, [output("a")]))


def test_a_title_that_is_a_little_too_long_is_smaller_and_the_models_name_whole():
    name, rest = "torchvision:deeplabv3_mobilenet_v3_large", " · random weights (seed 0), nothing learned · cat.jpg"
    arrays = {name: random_maps(1, 2, 8, 8, seed=seed) for seed, name in enumerate("abc")}
    assert texts(draw_grid(arrays, [output(each) for each in arrays], title=name + rest))[:2] == [name, rest]


def test_a_page_says_which_tiles_it_holds_also_without_a_title():
    arrays = dict.fromkeys((f"conv{index}" for index in range(49)), random_maps(1, 1, 2, 2))
    picture = draw_grid(arrays, [output(name) for name in arrays], page=2, aliases=True)
    assert texts(picture)[-1] == "Page 2 of 2: tiles 26 to 49 of 49."


@pytest.mark.parametrize("page", [-1, 0, 3])
def test_a_page_that_is_not_there_says_how_many_are(page):
    arrays = dict.fromkeys((f"conv{index}" for index in range(49)), random_maps(1, 1, 2, 2))
    with pytest.raises(UsageError, match=f"Page {page} .* there are 2 pages"):
        draw_grid(arrays, [output(name) for name in arrays], page=page, aliases=True)
    with pytest.raises(UsageError, match=r"Page 2 .* there is 1 page"):
        draw_grid({"conv": random_maps(1, 1, 2, 2)}, [output("conv")], page=2)


def test_nothing_to_draw_is_an_error():
    with pytest.raises(UsageError, match=r"[Nn]othing to draw.* 1 output"):
        draw_grid({"fc": random_maps(1, 10)}, [output("fc", "NC")])
    with pytest.raises(UsageError, match=r"[Nn]othing to draw"):
        draw_grid({}, [])


def test_names_in_place_of_outputs_are_refused_with_what_to_give():
    with pytest.raises(UsageError, match=r"'conv' is no output.*\n.*manifest\.outputs"):
        draw_grid({"conv": random_maps(1, 3, 8, 8)}, ["conv"])


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


@pytest.mark.parametrize("tokens", [(1, 3, 5, 0), (0, 5, 3, 0), (5, 4, 4, 2)])
def test_tokens_are_folded_back_to_the_grid_of_patches(tokens):
    before, height, width, after = tokens
    sequence = random_maps(2, before + height * width + after, 6)
    sequence[:, :before], sequence[:, sequence.shape[1] - after :] = 1e6, -1e6  # would take all the colours
    patches = np.array([[sequence[0, before + row * width + x] for x in range(width)] for row in range(height)])
    mean = patches.mean(axis=2, dtype=np.float64)
    entry = output("encoder.ln", "NLC", "LayerNorm", tokens)
    assert np.array_equal(channel_mean(sequence, "NLC", entry.tokens), mean)
    picture = draw_grid({"encoder.ln": sequence}, [entry])
    assert np.array_equal(shrunk(find_tiles(picture)[0], height, width), expected_colours(mean))
    assert not any("e+0" in text for text in texts(picture))


def test_tokens_that_are_no_patch_are_counted():
    outputs = [
        output("conv"),
        output("dropout", "NLC", "Dropout", (1, 3, 3, 0)),
        output("ln_1", "NLC", "LayerNorm", (1, 3, 3, 0)),
        output("registers", "NLC", "cat", (4, 2, 2, 1)),
        output("patches", "NLC", "Linear", (0, 2, 2, 0)),
    ]
    arrays = {"conv": random_maps(1, 2, 3, 3), "dropout": random_maps(1, 10, 8), "ln_1": random_maps(1, 10, 8)}
    arrays |= {"registers": random_maps(1, 9, 8), "patches": random_maps(1, 4, 8)}
    written = texts(draw_grid(arrays, outputs))
    for title in ("3 × 3", "Dropout · 8 ch", "2 × 2", "cat", "Linear"):
        assert title in written
    footer = " ".join(written)
    assert footer.count("tokens that are not patches are left out: 1 in each of 2 outputs, 5 in 1 output.") == 1


def test_the_footer_speaks_of_tokens_only_where_there_are_some():
    none = draw_grid({"conv": random_maps(1, 2, 4, 4)}, [output("conv"), output("encoder", "NLC")])
    assert "oken" not in " ".join(texts(none))
    some = draw_grid({"mlp": random_maps(1, 4, 2)}, [output("mlp", "NLC", tokens=(0, 2, 2, 0))])
    assert "Token sequences are laid out as their grid of patches." in " ".join(texts(some))


@pytest.mark.parametrize("shape", [(1, 10, 4), (1, 12, 4), (1, 11), (1, 11, 4, 4), (0, 11, 4), (1, 11, 0)])
def test_tokens_that_contradict_the_manifest_are_named(shape):
    with pytest.raises(UsageError, match=r"'encoder\.ln' can't be drawn"):
        draw_grid({"encoder.ln": np.zeros(shape)}, [output("encoder.ln", "NLC", tokens=(2, 3, 3, 0))])


def test_a_wrong_number_of_tokens_is_told():
    with pytest.raises(UsageError, match=r"has 10 tokens; .* says 11: 2 before, 3 × 3 patches, 0 after"):
        draw_grid({"ln": np.zeros((1, 10, 4))}, [output("ln", "NLC", tokens=(2, 3, 3, 0))])


def test_the_footer_counts_over_all_pages():
    outputs = [output(f"ln{index}", "NLC", "LayerNorm", (1, 2, 2, 0)) for index in range(49)]
    arrays = dict.fromkeys((entry.name for entry in outputs), random_maps(1, 5, 2))
    assert "1 in each of 49 outputs" in " ".join(texts(draw_grid(arrays, outputs, page=2, aliases=True)))


def test_the_footer_says_what_a_tile_is_and_how_it_is_coloured():
    outputs = [output("conv"), output("flatten", "NC"), output("fc", "NC")]
    written = texts(draw_grid({"conv": random_maps(1, 2, 4, 4)}, outputs, cmap="magma"))
    assert " ".join(written[4:]) == (
        "Each tile is one output, in the order of execution: the mean over the channels. "
        "Each tile is coloured from its own lowest to its own highest value (magma). "
        "Left out: 2 have no height and width (flatten, fc)."
    )


def test_what_hardly_varies_beside_the_others_is_marked():
    names = ("strong", "low", "lost")
    arrays = {
        name: random_maps(1, 2, 4, 4, seed=seed) * 10.0**-power
        for seed, (name, power) in enumerate(zip(names, (0, 3, 6), strict=True))
    }
    written = texts(draw_grid(arrays, [output(name) for name in names]))
    assert [name for name, word in zip(written, written[2:], strict=False) if word == "faint"] == ["lost"]
    footer = " ".join(written)
    assert "Faint: range under 0.01 % of the widest." in footer
    assert "(viridis). Different tiles don't compare." in footer


@pytest.mark.parametrize(
    ("name", "path", "below"),
    [
        ("add_1", "", "2 × 4 × 4"),
        ("add.1", "add.1", "add · 2 × 4 × 4"),
        ("features.3.add", "features.3", "2 × 4 × 4"),
        ("encoder.layer_3.mlp", "encoder.layer_3.mlp", "add · 2 × 4 × 4"),
    ],
)
def test_a_tile_is_called_by_its_name_and_below_it_is_the_operation_if_the_name_doesnt_say_it(name, path, below):
    written = texts(draw_grid({name: random_maps(1, 2, 4, 4)}, [output(name, label="add", path=path)]))
    assert written[:2] == [name, below], "its own name, by which it is chosen"


def test_a_colour_bar_with_its_numbers_is_below_each_tile():
    maps = np.array([[[[0.0, 0.5], [0.25, 1.0]]]])
    picture = draw_grid({"conv": maps}, [output("conv")])
    bars = [tile for tile in find_tiles(picture, 4) if len(tile) < 10]
    assert len(bars) == 1
    ends = colour_table("viridis")[[0, -1]].astype(int)
    assert np.abs(bars[0][0, [0, -1]] - ends).max() <= 2


def test_an_averaged_probes_map_says_of_how_many_channels_it_is_the_mean():
    written = texts(draw_grid({"conv1": random_maps(1, 1, 8, 8)}, [output("conv1", averaged=64)]))
    assert written[:3] == ["conv1", "Conv2d · 64 × 8 × 8", written[2]]


def test_torch_tensors_are_drawn_like_arrays():
    tensor = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    of_arrays = draw_grid({"conv": tensor.detach().numpy()}, [output("conv")])
    assert draw_grid({"conv": tensor * 1}, [output("conv")]).image().tobytes() == of_arrays.image().tobytes()
    assert len(find_tiles(draw_grid({"conv": tensor.bfloat16()}, [output("conv")]))) == 1


@pytest.mark.parametrize(
    ("tiles", "sizes"),
    [(1, [1]), (24, [24]), (48, [48]), (49, [25, 24]), (96, [48, 48]), (97, [33, 32, 32]), (200, [40] * 5)],
)
def test_pages_share_the_tiles_evenly_and_each_tile_stands_on_one(tiles, sizes):
    names = [f"conv{index}" for index in range(tiles)]
    outputs = [entry for name in names for entry in (output(name, path=""), output(f"{name}.flat", "NC"))]
    arrays = dict.fromkeys(names, random_maps(1, 1, 2, 2))
    pages = list(draw_pages(arrays, outputs, title="resnet", aliases=True))
    assert [(page.page, page.pages) for page in pages] == [(index + 1, len(sizes)) for index in range(len(sizes))]
    shown = []
    for number, (picture, size) in enumerate(zip(pages, sizes, strict=True), start=1):
        assert picture.height <= 2.2 * picture.width
        written = texts(picture)
        assert sum(text in arrays for text in written) == size
        shown += [text for text in written if text in arrays]
        assert "".join(written[:2]).startswith(f"resnet · page {number} of {len(sizes)}") == (len(sizes) > 1)
    assert shown == names


def test_a_page_ends_where_a_block_ends():
    paths = [f"stage{index // 20}.conv{index}" for index in range(60)]
    arrays = {path: random_maps(1, 1, 4, 4, seed=seed) for seed, path in enumerate(paths)}
    pages = draw_pages(arrays, [output(path) for path in paths])
    named = [texts(page) for page in pages]
    assert [sum(path in each for path in paths) for each in named] == [20, 40]
    assert ["1 ch · stage0" in each for each in named] == [True, False]


def test_stages_are_named_above_their_tiles_with_the_block_that_holds_them():
    sides = {"conv1": 8, "layer1.0.conv": 4, "layer1.0.relu": 4, "layer1.1.conv": 4, "layer2.conv": 2, "layer2.relu": 2}
    arrays = {path: random_maps(1, 1, side, side, seed=seed) for seed, (path, side) in enumerate(sides.items())}

    def headings(columns):
        written = texts(draw_grid(arrays, [output(path) for path in arrays], columns=columns))
        return [" ".join(pair) for pair in pairwise(written) if pair[1].startswith("1 ch")]

    whole = ["8 × 8 1 ch", "4 × 4 1 ch · layer1.0–1", "2 × 2 1 ch · layer2"]
    assert headings(6) == whole
    assert headings(2) == [*whole[:2], *whole[1:]], "a row that goes on with a stage names it again"


def test_a_stage_of_several_numbered_blocks_says_from_which_to_which():
    paths = [f"features.{index // 3}.conv{index}" for index in range(9)]
    arrays = {path: random_maps(1, 1, 2, 2, seed=seed) for seed, path in enumerate(paths)}
    assert "1 ch · features.0–2" in texts(draw_grid(arrays, [output(path) for path in paths], columns=9))


def test_a_choice_that_does_not_exist_names_its_neighbour():
    with pytest.raises(UsageError, match=r"no choice 'colums': there is columns"):
        draw_grid({"conv": random_maps(1, 2, 4, 4)}, [output("conv")], colums=2)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"reduce": "median"}, r"no reduction 'median': choose auto, mean, "),
        ({"clip": 50}, r"50 percent can't be clipped"),
        ({"width": 10}, r"width of 10 pixels .* 320"),
        ({"font_size": 1}, r"font size of 1 pixels .* 8"),
    ],
)
def test_a_choice_out_of_its_bounds_says_them(choice, message):
    with pytest.raises(UsageError, match=message):
        draw_grid({"conv": random_maps(1, 2, 4, 4)}, [output("conv")], **choice)
