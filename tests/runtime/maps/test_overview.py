"""An overview of a model: which maps it draws, how, and what it says of the others."""

import re
from dataclasses import replace
from itertools import cycle, pairwise

import numpy as np
import pytest
from PIL import Image

from map_pictures import TensorMaps, output, texts
from runtime.maps.blocks import without_preactivations
from runtime.maps.colour_scales import scales_of
from runtime.maps.grid_style import GridStyle
from runtime.maps.overview import overview_pages
from runtime.maps.photo import Photo
from runtime.maps.picture import Box, Pixels, Text
from runtime.maps.takeaway import takeaway
from runtime.maps.thinning import differing

BLOCKS = 12


def pattern(seed, side=16):
    """A smooth picture, other for another seed."""
    rows, columns = np.mgrid[:side, :side] / side
    a, b, c, d = np.random.default_rng(seed).uniform(1, 7, 4)
    return np.sin(a * rows + b) * np.cos(c * columns + d)


def tensor(*patterns, mean=1.0, channels=24, seed=None):
    """N C H W: channels that hold each pattern by so much, less from one to the next, and a mean of the first."""
    draws = np.random.default_rng(int(abs(patterns[0].sum()) * 1e6) if seed is None else seed)
    loadings = draws.normal(size=(channels, len(patterns)))
    loadings = np.linalg.qr(loadings - loadings.mean(axis=0))[0]
    found = sum(
        weight * np.multiply.outer(each, one)
        for weight, each, one in zip((20.0, 8.0, 4.0), loadings.T, patterns, strict=False)
    )
    return (found + mean * patterns[0] + 0.01 * draws.normal(size=found.shape))[None].astype(np.float32)


def blocks(make, *, layers=3):
    """The arrays and outputs of a model of blocks, by what each of them returns."""
    arrays, outputs = {}, []
    for block in range(BLOCKS):
        for layer in range(layers):
            name = f"blocks.{block}.{layer}"
            arrays[name] = make(block) if layer == layers - 1 else tensor(pattern(1000 * (layer + 1) + block))
            outputs.append(output(name))
    return arrays, outputs


def overview(arrays, outputs, photo=None, **choices):
    return overview_pages(TensorMaps(arrays), outputs, GridStyle(**choices), "net", photo)


def agreement(one, other):
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def counted(pages):
    """What is drawn, of how many; and how many are left out for each reason."""
    written = " ".join(texts(pages.picture(1)))
    drawn, of, others = re.search(r"(\d+) of (\d+) outputs (?:is|are) drawn; of the others (.*)\.", written).groups()
    return int(drawn), int(of), [int(each) for each in re.findall(r"(?:^|, )(\d+) ", others)]


def test_what_each_block_returns_is_drawn_and_the_counts_close():
    arrays, outputs = blocks(lambda block: tensor(pattern(block)))
    outputs += [output("flat", "NC"), output("point"), output("again", path="")]
    arrays |= {"point": np.ones((1, 3, 1, 1), np.float32), "again": arrays["blocks.11.2"]}
    pages = overview(arrays, outputs)
    assert 6 <= len(pages.maps) <= 11
    assert {each.name.rpartition(".")[2] for each in pages.maps} <= {"2", "again"}
    drawn, of, left_out = counted(pages)
    assert (drawn, of) == (len({each.name for each in pages.maps}), len(outputs))
    assert drawn + sum(left_out) == of


def test_what_the_model_ends_with_is_drawn_though_it_looks_like_what_is_before():
    same = pattern(1)
    arrays, outputs = blocks(lambda block: tensor(pattern(block) if block < 6 else same, seed=block))
    drawn = [each.name for each in overview(arrays, outputs).maps]
    assert drawn[-1] == "blocks.11.2"
    assert not {"blocks.7.2", "blocks.8.2", "blocks.9.2"} & set(drawn)


def test_the_whole_page_is_of_principal_components_where_the_means_say_little():
    arrays, outputs = blocks(lambda block: tensor(pattern(block), mean=0))
    pages = overview(arrays, outputs)
    assert {each.reduction for each in pages.maps} == {"pca"}
    assert pages.opening == ["PC1: the first principal component of a block's channels, with its share of variance."]
    means = overview(*blocks(lambda block: tensor(pattern(block), mean=3)))
    assert {each.reduction for each in means.maps} == {"mean"}
    assert {each.reduction for each in overview(arrays, outputs, reduce="std").maps} == {"std"}, "as it was asked for"


def test_a_map_with_values_that_are_not_finite_is_drawn_and_like_no_other():
    arrays, outputs = blocks(lambda block: tensor(pattern(1), mean=3, seed=block))
    arrays["blocks.4.2"][0, 0, 3, 3], arrays["blocks.6.2"][0, 2, 5, 5] = np.nan, np.inf
    drawn = [each.name for each in overview(arrays, outputs).maps]
    assert {"blocks.4.2", "blocks.6.2"} <= {*drawn}


def test_components_have_one_sign_over_the_page_that_of_the_photo():
    common = pattern(3)
    arrays, outputs = blocks(
        lambda block: tensor(common + 0.8 * pattern(block), pattern(block + 50), mean=0, seed=block)
    )
    grey = np.repeat(((common - common.min()) * 100).astype(np.uint8)[..., None], 3, axis=2)
    photo = Photo("a.png", Image.fromarray(grey), grey, (0, 0, 16, 16))
    free = [each for each in TensorMaps(arrays).maps(outputs, "pca") if each.name.endswith(".2")]
    assert min(agreement(each.values, common) for each in free) < 0, "by themselves some are the other way round"
    drawn = [common, *(each.values for each in overview(arrays, outputs, photo).maps if each.part == "")]
    assert len(drawn) > 3
    assert min(agreement(one, other) for one, other in pairwise(drawn)) > 0, "each as the one before"


@pytest.mark.parametrize("holes", [(0, slice(None), 3, 3), ...])
def test_values_that_are_not_finite_turn_no_sign_and_are_among_components_of_their_colours(holes):
    common = pattern(3)
    arrays, outputs = blocks(lambda block: tensor(common + 0.4 * pattern(block), mean=0, seed=block))
    grey = photo_of((common - common.min()) * 100)
    found = overview(arrays, outputs, grey)
    spoilt = found.maps[1].name
    arrays[spoilt][holes] = np.nan
    pages = overview(arrays, outputs, grey)
    drawn = [each for each in pages.maps if not each.is_further_component]
    of_spoilt = next(each for each in drawn if each.name == spoilt)
    others = [each.values for each in drawn if each is not of_spoilt]
    assert len(others) > 2
    assert min(agreement(each, common) for each in others) > 0
    finite = np.isfinite(of_spoilt.values)
    if finite.any():
        assert agreement(of_spoilt.values[finite], common[finite]) > 0
    assert {each.cmap for each in pages.scales if each} == {"RdBu_r"}


def test_checkerboards_give_way_to_what_follows_them():
    board = np.indices((16, 16)).sum(axis=0) % 2 - 0.5
    arrays, outputs = blocks(lambda block: tensor(pattern(block) / 4 + board if block == 5 else pattern(block), mean=3))
    pages = overview(arrays, outputs)
    assert "blocks.5.2" not in [each.name for each in pages.maps]
    assert "1 is a checkerboard (blocks.5.2)" in pages.facts[-1]
    assert "checkerboard" not in overview(*blocks(lambda block: tensor(pattern(block), mean=3))).facts[-1]


def test_of_blocks_that_hardly_change_the_first_and_the_last_are_drawn_with_more_of_their_components():
    patterns = [pattern(seed) for seed in (1, 2, 3)]
    arrays, outputs = blocks(lambda block: tensor(*patterns, mean=0, seed=block))
    pages = overview(arrays, outputs)
    assert [(each.name, each.part) for each in pages.maps] == [
        (f"blocks.{block}.2", part) for part in ("PC1", "PC2") for block in (0, 11)
    ]
    assert re.fullmatch(r"PC1 hardly changes from block to block \(\|r\| ≥ 0\.9\d\)\.", pages.lead)
    assert "12 blocks" in texts(pages.picture(1))
    drawn, of, left_out = counted(pages)
    assert (drawn, of, drawn + sum(left_out)) == (2, len(outputs), len(outputs))
    assert "hardly changes" not in overview(*blocks(lambda block: tensor(pattern(block), mean=0))).lead


def staged(*patterns):
    """Blocks of three stages, whose channels hold the patterns, made smaller from one stage to the next."""
    patterns = [(each - each.mean()) / each.std() * (1 + 0.5 * at) for at, each in enumerate(patterns)]
    sides = [(32, 16, 8)[block // 4] for block in range(BLOCKS)]
    return blocks(lambda block: tensor(*(shrunken(each, sides[block]) for each in patterns), mean=0, seed=block))


def shrunken(values, side):
    step = len(values) // side
    return values.reshape(side, step, side, step).mean(axis=(1, 3))


def test_few_maps_have_a_row_of_the_second_components_below_the_first():
    one, other = pattern(1, 32), pattern(2, 32)
    arrays, outputs = staged(one, other)
    grey = np.zeros((32, 32, 3), np.uint8)
    pages = overview(arrays, outputs, Photo("a.png", Image.fromarray(grey), grey, (0, 0, 32, 32)))
    assert [(each.part, each.stage) for each in pages.maps] == [
        (part, f"stage {stage}") for part in ("PC1", "PC2") for stage in (1, 2, 3)
    ]
    firsts, seconds = pages.maps[:3], pages.maps[3:]
    assert min(abs(agreement(each.values, shrunken(one, len(each.values)))) for each in firsts) > 0.9
    assert min(abs(agreement(each.values, shrunken(other, len(each.values)))) for each in seconds) > 0.9
    assert [round(each.share, 1) for each in seconds] == [0.3, 0.3, 0.3]
    picture = pages.picture(1)
    written = texts(picture)
    assert {"stage 1", "stage 2", "stage 3"} <= set(written)
    assert all(written.count(f"stage {stage}") == 1 for stage in (1, 2, 3)), "said above the first row alone"
    assert [bool(re.fullmatch(r"PC2 \d+ %", each)) for each in written].count(True) == 3
    assert written.count("blocks.3.2") == 1
    places = {(each.x, each.y) for each in picture.parts if each.__class__.__name__ == "Pixels" and each.height > 99}
    assert len({x for x, _ in places}) == 4, "the photo, and a column for each stage"
    assert len({y for _, y in places}) == 2
    narrow = texts(overview(arrays, outputs, columns=2).picture(1))
    assert narrow.count("blocks.3.2") == 2, "each tile says what it is where rows are others"


def test_without_a_photo_the_notes_are_below_all_rows():
    picture = overview(*staged(pattern(1, 32), pattern(2, 32))).picture(1)
    maps = [each for each in picture.parts if isinstance(each, Pixels) and each.height > 99]
    assert len({each.y for each in maps}) == 2
    (notes,) = [each for each in picture.parts if isinstance(each, Text) and each.text.startswith("Each tile has")]
    assert notes.y > max(each.y + each.height for each in maps)


def test_the_rows_stay_where_as_many_columns_are_asked_for_as_they_have():
    arrays, outputs = staged(pattern(1, 32), pattern(2, 32))
    free, asked = (overview(arrays, outputs, **choices).picture(1) for choices in ({}, {"columns": 3}))
    assert texts(asked) == texts(free)


@pytest.mark.parametrize("shape", [(2, 2), (1, 9), (9, 1), (3, 3)])
def test_components_of_a_few_pixels_are_drawn(shape):
    arrays, outputs = staged(pattern(1, 32), pattern(2, 32))
    for block in range(8, 12):
        small = np.random.default_rng(block).normal(size=(1, 24, *shape)).astype(np.float32)
        arrays[f"blocks.{block}.2"] = small - small.mean(axis=1, keepdims=True)
    grey = np.zeros((32, 32, 3), np.uint8)
    for photo in (None, Photo("a.png", Image.fromarray(grey), grey, (0, 0, 32, 32))):
        assert overview(arrays, outputs, photo).maps[-1].values.shape == shape


def test_components_that_hold_little_have_no_row():
    assert [each.part for each in overview(*staged(pattern(5, 32))).maps] == ["", "", ""]


def test_the_lead_says_that_components_are_colours_of_the_photo():
    bright, warm = pattern(1, 32), pattern(2, 32)
    seen = (60 * np.stack([bright + warm, bright, bright - warm], axis=-1) + 127).astype(np.uint8)
    arrays, outputs = staged(bright, warm)
    lead = overview(arrays, outputs, Photo("a.png", Image.fromarray(seen), seen, (0, 0, 32, 32))).lead
    number = r"\(\|r\| ≥ (0\.9\d|1\.00)\)"
    assert re.fullmatch(f"PC1 follows the photo's brightness {number}, PC2 its red against blue {number}\\.", lead)
    other = overview(*staged(pattern(3, 32), pattern(11, 32)), Photo("a", Image.fromarray(seen), seen, (0, 0, 32, 32)))
    assert "follows" not in other.lead


def test_the_lead_names_the_map_that_sets_the_middle_apart_and_not_what_is_a_colour_of_the_photo():
    rows, columns = np.mgrid[-1:1:32j, -1:1:32j]
    middle = np.exp(-4 * (rows**2 + columns**2))
    stripes = np.repeat(((np.sin(9 * rows) > 0) * 255).astype(np.uint8)[..., None], 3, axis=2)
    photo = Photo("a.png", Image.fromarray(stripes), stripes, (0, 0, 32, 32))
    arrays, outputs = staged(pattern(5, 32))
    arrays["blocks.11.2"] = tensor(shrunken(middle - middle.mean(), 8), mean=0)
    said = r"In blocks\.11\.2, the image's middle is set apart \(\|r\| ≥ 0\.\d\d\)\."
    assert re.fullmatch(said, overview(arrays, outputs, photo).lead)
    bright = np.repeat((middle * 255).astype(np.uint8)[..., None], 3, axis=2)
    assert "apart" not in overview(arrays, outputs, Photo("a", Image.fromarray(bright), bright, (0, 0, 32, 32))).lead


def test_each_channel_of_a_head_of_few_is_drawn_instead_of_their_mean():
    arrays, outputs = blocks(lambda block: tensor(pattern(block), mean=3))
    arrays["head"], masks = np.stack([pattern(70), pattern(71)])[None].astype(np.float32), (pattern(70), pattern(71))
    pages = overview(arrays, [*outputs, output("head")])
    last = pages.maps[-2:]
    assert [(each.name, each.part) for each in last] == [("head", "channel 0"), ("head", "channel 1")]
    assert all(np.allclose(each.values, mask) for each, mask in zip(last, masks, strict=True))
    written = texts(pages.picture(1))
    assert {"Conv2d · channel 0", "channel 1"} <= set(written)
    assert written.count("head") == 1
    assert "Each tile is the mean over a block's channels, and of head each channel." in " ".join(written)


@pytest.mark.parametrize(
    ("sides", "names"),
    [
        ((32, 16, 8), ["stage 1", "stage 2", "stage 3"]),
        ((32, 16, 8, 16, 32), ["encoder 1", "encoder 2", "bottleneck", "decoder 1", "decoder 2"]),
        ((8, 16, 32), ["stage 1", "stage 2", "stage 3"]),
        ((16,), ["12 blocks"]),
    ],
)
def test_stages_are_named_and_an_encoder_told_from_a_decoder(sides, names):
    of_blocks = [sides[block * len(sides) // BLOCKS] for block in range(BLOCKS)]
    arrays, outputs = blocks(lambda block: tensor(pattern(block, of_blocks[block]), mean=3))
    pages = overview(arrays, outputs)
    assert list(dict.fromkeys(each.stage for each in pages.maps)) == names
    assert set(names) <= set(texts(pages.picture(1)))


@pytest.mark.parametrize(("label", "is_sum"), [("add", True), ("Add", True), ("reshape", False), ("cat", False)])
def test_branches_are_of_blocks_that_add_up(label, is_sum):
    arrays, outputs = {}, []
    for stage in range(4):
        layers = [output(f"stages.{stage}.{layer}") for layer in range(3)]
        outputs += [*layers, output(f"stages.{stage}.{label}", path=f"stages.{stage}", label=label)]
    arrays = {each.name: tensor(pattern(at), mean=3) for at, each in enumerate(outputs)}
    pages = overview(arrays, outputs)
    marked = {each.name for each in pages.maps if "branch" in each.badges}
    assert marked == {each.name for each in pages.maps if is_sum and label not in each.name}
    assert ("Branch: " in " ".join(texts(pages.picture(1)))) == is_sum


def test_what_an_activation_follows_is_not_drawn_beside_it():
    labels = ["Conv2d", "BatchNorm2d", "ReLU", "Conv2d", "MaxPool2d", "leaky_relu", "conv2d", "Hardswish"]
    outputs = [output(str(index), label=label) for index, label in enumerate(labels)]
    assert [each.name for each in without_preactivations(outputs, outputs)] == ["2", "3", "4", "5", "7"]
    some = [each for each in outputs if each.name != "2"]
    assert [each.name for each in without_preactivations(some, outputs)] == ["0", "1", "3", "4", "5", "7"], (
        "it isn't drawn"
    )


def test_an_edge_or_a_few_pixels_do_not_take_the_colours_of_an_overview():
    inside = np.linspace(0, 1, 28 * 28).reshape(28, 28)
    edged = inside.copy()
    edged[[0, 1, -2, -1]] = edged[:, [0, 1, -2, -1]] = -9
    spiked = np.random.default_rng(0).normal(size=(28, 28)) * 0.1
    spiked[[5, 9], [5, 9]] = 9, -9
    small, few = inside[::5, ::5], inside[::9, ::9]
    of_edge, of_spikes, of_small, of_few = scales_of([edged, spiked, small, few], GridStyle(), shared=False, inner=True)
    assert of_edge.low > 0
    assert (of_edge.lowest, of_edge.high <= 1) == (-9, True)
    assert -0.5 < of_spikes.low < of_spikes.high < 0.5
    ends = np.sort(small.ravel())
    assert (of_small.low, of_small.high) == (ends[1], ends[-2]), "a small map has no edge"
    assert (of_few.low, of_few.high) == (few.min(), few.max()), "of so few pixels, none is left out"
    almost = np.zeros((28, 28))
    almost[3, 3] = 1
    assert scales_of([almost], GridStyle(), shared=False, inner=True)[0].high == 1, "it is all there is to see"
    assert scales_of([edged], GridStyle(), shared=False)[0].low == -9, "elsewhere it isn't so"
    assert scales_of([edged], GridStyle(clip=0), shared=False, inner=True)[0].low == -9, "nor where it is asked for"


def test_the_footer_says_that_an_edge_lies_beyond_the_colours_and_numbers_are_short():
    def edged(block):
        values = 1e-4 * pattern(block, 28)
        values[[0, 1, -2, -1]] = values[:, [0, 1, -2, -1]] = 1e-2
        return np.repeat(values[None], 4, axis=0)[None].astype(np.float32)

    pages = overview(*blocks(edged))
    written = texts(pages.picture(1))
    assert any(re.fullmatch(r"−?\d(\.\d+)?·10⁻[⁴⁵]", each) for each in written)
    less = "which ignore its border and its outermost 1 %"
    assert f"Each tile has its own colour limits (viridis), {less}." in " ".join(written)
    assert not any("≥ " in each or "≤ " in each for each in written if "r|" not in each)
    plain = " ".join(texts(overview(*blocks(edged), clip=0).picture(1)))
    assert "Each tile is coloured from its own lowest to its own highest value" in plain


def test_poolings_norms_and_what_only_moves_values_give_way_to_what_they_follow():
    arrays, outputs = blocks(lambda block: tensor(pattern(block), mean=3), layers=1)
    pooled = pattern(40, 8)
    arrays |= {"pool": tensor(pooled, mean=3), "conv": tensor(pattern(41, 8), mean=3)}
    arrays["permute"] = arrays["norm"] = arrays["conv"]
    outputs += [output("pool", label="MaxPool2d"), output("conv"), output("norm", label="LayerNorm", path="norm")]
    outputs += [output("permute", label="permute", path="permute")]
    names = [each.name for each in overview(arrays, outputs).maps]
    assert names[-1] == "conv"
    assert "pool" not in names
    alone = [each for each in outputs if each.name not in ("conv", "norm", "permute")]
    assert overview(arrays, alone).maps[-1].name == "blocks.11.0", "though nothing else is of its size"


def test_the_maps_of_one_size_are_headed_by_how_many_blocks_they_are_of():
    common = pattern(3)
    written = texts(overview(*blocks(lambda block: tensor(common + 0.02 * pattern(block), mean=0))).picture(1))
    assert "12 blocks" in written


def test_what_a_block_ends_with_is_its_last_map_where_its_result_has_none():
    arrays, outputs = blocks(lambda block: tensor(pattern(block), mean=3), layers=3)
    ends = [output(f"blocks.{block}.view", "N?HW", path=f"blocks.{block}", label="view") for block in range(BLOCKS)]
    sums = [output(f"blocks.{block}.cat", path=f"blocks.{block}", label="cat") for block in range(BLOCKS)]
    arrays |= {each.name: arrays[each.name.replace("cat", "2")] for each in sums}
    mixed = [
        each for block in range(BLOCKS) for each in (*outputs[3 * block : 3 * block + 3], sums[block], ends[block])
    ]
    assert {each.name.rpartition(".")[2] for each in overview(arrays, mixed).maps} == {"cat"}


@pytest.mark.parametrize("varied", range(4, 8))
def test_the_last_row_is_full_where_one_more_map_differs_somewhat(varied):
    def of(block):
        return tensor(pattern(min(block, varied)) + 0.35 * pattern(90 + block), mean=3, seed=block)

    grey = np.zeros((16, 16, 3), np.uint8)
    pages = overview(*blocks(of), Photo("a.png", Image.fromarray(grey), grey, (0, 0, 16, 16)))
    assert len(pages.maps) + 1 not in (5, 7, 11)


def test_a_weak_map_is_left_out_where_its_stage_has_another():
    arrays, outputs = blocks(lambda block: tensor(pattern(block), mean=3) * (1e-6 if block > 5 else 1))
    weak = [each.name for each in overview(arrays, outputs).maps if each.is_weak]
    assert weak == ["blocks.11.2"], "what the model ends with"
    smaller = [output("small.0"), output("small.1")]
    arrays |= {each.name: 1e-6 * tensor(pattern(50 + at, 8), mean=3) for at, each in enumerate(smaller)}
    pages = overview(arrays, [*outputs, *smaller])
    assert [each.name for each in pages.maps if each.is_weak] == ["small.1"], "else the last of them stays"
    assert "faint" in texts(pages.picture(1))


def test_one_outlier_makes_no_other_map_weak():
    arrays, outputs = blocks(lambda block: tensor(pattern(block), mean=3))
    arrays["blocks.6.2"][0, 0, 5, 5] = 1e9
    assert not any(each.is_weak for each in overview(arrays, outputs).maps)
    assert "weak" not in overview(arrays, outputs).facts[-1]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_maps_that_arent_finite_are_drawn_and_the_first_is_named(value):
    arrays, outputs = blocks(lambda block: tensor(pattern(block), mean=3) * (value if block > 5 else 1))
    arrays["blocks.11.2"] = np.full((1, 24, 16, 16), value, np.float32)
    pages = overview(arrays, outputs)
    whole = [each.name for each in pages.maps if np.isfinite(each.values).all()]
    assert {each.name for each in pages.maps} - {*whole} >= {"blocks.6.2", "blocks.11.2"}
    assert not any(each.is_weak for each in pages.maps)
    assert pages.lead == "The first tile with values that aren't finite is blocks.6.2."


def test_a_map_of_one_finite_value_is_not_called_weak():
    arrays, outputs = blocks(lambda block: tensor(pattern(block), mean=3))
    arrays["blocks.11.2"] = np.full((1, 24, 16, 16), np.nan, np.float32)
    arrays["blocks.11.2"][0, :, 3, 3] = 7
    written = texts(overview(arrays, outputs).picture(1))
    assert "constant 7 · 255 not finite" in written
    assert not {"faint", "flat"} & {*written}


def pale(pages):
    """The names of the tiles in pale colours, which are those of the bars below them, too."""
    return [each.name for each, scale in zip(pages.maps, pages.scales, strict=True) if scale.pale]


def test_what_is_nearly_constant_is_flagged_and_pale():
    arrays, outputs = blocks(lambda block: tensor(pattern(block), mean=3) + (1000 if block == 11 else 0))
    pages = overview(arrays, outputs)
    written = texts(pages.picture(1))
    assert written.count("flat") == 1
    assert "Flat: range under 10 % of its values." in " ".join(written)
    assert pale(pages) == ["blocks.11.2"]
    colours = [each.colours for each in pages.picture(1).parts if isinstance(each, Pixels)]
    darkest = [int(each.min()) for each in colours if each.shape[0] > 1]
    assert darkest[-1] >= 0.6 * 255 - 1
    assert max(darkest[:-1]) < 100
    assert pale(overview(arrays, outputs, clip=0)) == [], "not where colours are asked for"


def test_bars_say_how_wide_ranges_are_where_they_differ_by_orders():
    arrays, outputs = blocks(lambda block: tensor(pattern(block), mean=3) * 10.0 ** (-block / 2))
    pages = overview(arrays, outputs)
    boxes = [each for each in pages.picture(1).parts if isinstance(each, Box) and each.filled and 5 < each.height < 20]
    tracks = [each.width for each in boxes if each.ink == boxes[0].ink]
    filled = [each.width for each in boxes if each.ink != boxes[0].ink]
    assert len(tracks) == len(pages.maps)
    assert filled == sorted(filled, reverse=True)
    assert filled[0] == tracks[0]
    assert "Bars: range on a log scale, full for the widest, empty at 10⁻⁸ of it." in " ".join(texts(pages.picture(1)))
    assert "Bars" not in " ".join(texts(overview(*blocks(lambda block: tensor(pattern(block), mean=3))).picture(1)))


def test_components_diverge_from_zero_unless_other_colours_are_asked_for():
    arrays, outputs = blocks(lambda block: tensor(pattern(block), mean=0))
    pages = overview(arrays, outputs)
    assert all(each.cmap == "RdBu_r" and each.low == -each.high for each in pages.scales)
    written = texts(pages.picture(1))
    assert written.count("0") == len(pages.maps), "each bar has a 0"
    assert "0 is the mean over the image" in " ".join(written)
    for choices in ({"cmap": "magma"}, {"symmetric": False}, {"shared": True}):
        assert {each.cmap for each in overview(arrays, outputs, **choices).scales} <= {"magma", "viridis"}


def test_where_colours_are_clipped_as_asked_for_the_notes_say_how_they_are():
    arrays, outputs = blocks(lambda block: tensor(pattern(block), mean=0))
    written = " ".join(texts(overview(arrays, outputs, clip=0).picture(1)))
    assert "highest value (RdBu_r); what has both signs, symmetrically around 0." in written
    assert "farther out" not in written
    written = " ".join(texts(overview(arrays, outputs, clip=5).picture(1)))
    assert " Up to 5 % of the pixels lie farther out and share the end's colour." in written
    assert "≥ and" not in written, "no number has such a mark"
    chosen = " ".join(texts(overview(arrays, outputs, clip=0, cmap="magma").picture(1)))
    assert "symmetrically" not in chosen


def drawing(side, seed=0):
    """A picture with outlines."""
    found = np.zeros((64, 64))
    for top, left, height, width in np.random.default_rng(seed).integers(8, 32, (6, 4)):
        found[top : top + height, left : left + width] += 40
    return found.reshape(side, 64 // side, side, 64 // side).mean(axis=(1, 3))


def photo_of(grey):
    seen = np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)
    return Photo("a.png", Image.fromarray(seen), seen, (0, 0, *grey.shape))


def lead(*stages, word="stage", reductions=("mean",)):
    """Of one map in each stage, over one photo."""
    arrays = {str(index): tensor(each, mean=3) for index, each in enumerate(stages, 1)}
    by_name = zip(arrays, cycle(reductions), strict=False)
    maps = [TensorMaps(arrays).maps([output(name)], reduction)[0] for name, reduction in by_name]
    scales = scales_of([each.values for each in maps], GridStyle(), shared=False, inner=True)
    return takeaway(
        [replace(each, stage=f"{word} {each.name}") for each in maps], {}, photo_of(drawing(64)).seen, scales
    )


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ([drawing(64), drawing(32)], "The mean shows the photo's outlines down to 32 × 32 pixels: {}"),
        ([drawing(64), drawing(32, 9)], "The mean shows the photo's outlines up to stage 1: {}"),
        ([-drawing(64), drawing(32, 9)], "The mean shows the photo's outlines up to stage 1: {}"),
        ([-drawing(64), drawing(32), drawing(32, 9)], "The mean shows the photo's outlines up to stage 2: {}"),
        (
            [drawing(64), drawing(32, 8), drawing(64)],
            "The photo's outlines are lost in stage 2 and first back in stage 3: {}",
        ),
        ([drawing(64), drawing(16)], "The mean shows the photo's outlines down to 64 × 64 pixels: {}"),
        ([drawing(64), drawing(32), drawing(64)], "The mean shows the photo's outlines down to 32 × 32 pixels: {}"),
        ([drawing(64, 9), drawing(32, 9)], ""),
    ],
)
def test_the_lead_says_how_far_the_photo_is_seen_and_nothing_where_it_is_not(stages, said):
    measured = r" \(edges correlate: \|r\| ≥ 0\.\d\d\)\."
    assert re.fullmatch(said.replace(": {}", measured), lead(*stages)), lead(*stages)


def test_the_lead_is_of_what_most_tiles_show_and_leaves_names_as_they_are():
    mixed = lead(drawing(64), drawing(32, 9), word="UNIT", reductions=("std", "mean"))
    assert mixed.startswith("The mean shows the photo's outlines up to UNIT 1 (")


def test_the_lead_says_how_far_ranges_shrink():
    arrays, outputs = blocks(lambda block: tensor(pattern(block), mean=3) * (1e-5 if block == 11 else 1), layers=2)
    pages = overview(arrays, outputs)
    first, last = pages.scales[0], pages.scales[-1]
    was, became = re.fullmatch(
        r"The range of the mean shrinks from (\S+) in .* to (\S+)·10⁻⁵ in .*\.", pages.lead
    ).groups()
    assert float(was) == pytest.approx(first.high - first.low, rel=0.01)
    assert 1e-5 * float(became) == pytest.approx(last.high - last.low, rel=0.01)
    assert "in blocks.0.0 to " in pages.lead, "there is one stage"
    arrays, outputs = blocks(lambda block: tensor(pattern(block), mean=0) * (1e-5 if block == 11 else 1))
    signed = overview(arrays, outputs)
    was = re.match(r"The range of PC1 shrinks from ±(\S+) in ", signed.lead)[1]
    assert was in texts(signed.picture(1)), "as below its tile"


def test_values_that_rise_before_a_small_result_dont_fade():
    scale = [1.0] * 6 + [50.0] * 5 + [1e-5]
    arrays, outputs = blocks(lambda block: tensor(pattern(block), mean=3) * scale[block], layers=2)
    assert "shrinks" not in overview(arrays, outputs).lead


def test_components_of_opposite_sign_are_alike_and_means_are_not():
    (map_,) = TensorMaps({"a": tensor(pattern(1))}).maps([output("a")], "pca")
    turned = replace(map_, name="b", values=-map_.values)
    assert [each.name for each in differing([map_, turned]).maps] == ["a"]
    means = [replace(each, share=None, reduction="mean") for each in (map_, turned)]
    assert [each.name for each in differing(means).maps] == ["a", "b"]


def test_a_frame_from_padding_is_named_where_one_is_seen():
    def padded(block):
        values = tensor(pattern(block), mean=3)
        values[..., [0, -1], :] -= 6
        values[..., :, [0, -1]] -= 6
        return values

    written = texts(overview(*blocks(padded)).picture(1))
    assert "Frame: from padding." in " ".join(written)
    assert "frame" in written
    assert "frame" not in texts(overview(*blocks(lambda block: tensor(pattern(block), mean=3))).picture(1))
