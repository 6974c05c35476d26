"""Runs side by side: a row for each output, a column for each run, and of two their difference."""

import numpy as np
import pytest
from PIL import Image

from map_pictures import output, random_maps, texts
from runtime.artifact.errors import UsageError
from runtime.maps.channel_comparison import channel_comparison
from runtime.maps.colour_maps import colour_map_image, colour_table
from runtime.maps.comparison import Column, comparison_pages, draw_comparison
from runtime.maps.grid_style import GridStyle
from runtime.maps.map_reading import read_map
from runtime.maps.photo import Photo
from runtime.maps.picture import Pixels

OUTPUTS = [output("conv"), output("relu")]


def run(seed: int, **shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    given = shapes or {"conv": (1, 3, 6, 6), "relu": (1, 3, 4, 4)}
    return {name: random_maps(*shape, seed=seed + index) for index, (name, shape) in enumerate(given.items())}


def rows_of(picture) -> list[list[np.ndarray]]:
    """The maps of each row, from left to right, in their own pixels."""
    tiles = [part for part in picture.parts if isinstance(part, Pixels) and min(part.width, part.height) > 60]
    tops = sorted({tile.y for tile in tiles})
    return [[tile.colours for tile in sorted(tiles, key=lambda tile: tile.x) if tile.y == top] for top in tops]


def mean(arrays, name):
    return arrays[name][0].mean(axis=0, dtype=np.float64)


def test_two_runs_share_one_scale_a_row_and_the_third_column_is_the_second_less_the_first():
    cat, dog = run(0), run(10)
    picture = draw_comparison({"cat.jpg": cat, "dog.jpg": dog}, OUTPUTS, title="resnet18")
    rows = rows_of(picture)
    assert [len(row) for row in rows] == [3, 3]
    for name, row in zip(("conv", "relu"), rows, strict=True):
        first, second = mean(cat, name), mean(dog, name)
        ends = min(first.min(), second.min()), max(first.max(), second.max())
        far = np.abs(second - first).max()
        assert np.array_equal(row[0], colour_map_image(first, colour_table("viridis"), ends))
        assert np.array_equal(row[1], colour_map_image(second, colour_table("viridis"), ends))
        assert np.array_equal(row[2], colour_map_image(second - first, colour_table("RdBu_r"), (-far, far)))
    written = texts(picture)
    start = written.index("cat.jpg")
    assert written[0] == "resnet18"
    assert written[start:][:5] == ["cat.jpg", "dog.jpg", "difference", "conv", "Conv2d · 3 × 6 × 6"]
    assert "Difference: dog.jpg less cat.jpg" in " ".join(written)


def test_several_runs_have_a_column_each_and_no_difference():
    picture = draw_comparison({str(seed): run(seed) for seed in range(5)}, OUTPUTS)
    assert [len(row) for row in rows_of(picture)] == [5, 5]
    assert "difference" not in " ".join(texts(picture)).lower()


def test_without_a_difference_the_picture_says_so():
    picture = draw_comparison({"a": run(0), "b": run(0)}, OUTPUTS[:1])
    assert "no difference" in texts(picture)
    assert (rows_of(picture)[0][2] == colour_table("RdBu_r")[128]).all()


def test_a_difference_of_one_sign_has_white_at_zero():
    arrays = run(0)
    (row,) = rows_of(draw_comparison({"a": arrays, "b": {"conv": arrays["conv"] + 1}}, OUTPUTS[:1]))
    assert (row[2][..., 0] > row[2][..., 2]).all(), "red alone"


def test_what_only_one_run_has_is_named():
    one, other = run(0), {"conv": random_maps(1, 3, 6, 6, seed=5), "pool": random_maps(1, 3, 2, 2)}
    written = texts(draw_comparison({"mine": one, "theirs": other}, [*OUTPUTS, output("pool")]))
    assert "1 output that only mine has: relu." in written
    assert "1 output that only theirs has: pool." in written


def test_maps_that_arent_finite_are_not_said_to_be_alike_or_not():
    theirs = run(10)
    theirs["relu"] = theirs["relu"] * np.nan
    written = texts(draw_comparison({"a": run(0), "b": theirs}, OUTPUTS))
    assert not any("alike" in each for each in written)
    assert any("alike" in each for each in texts(draw_comparison({"a": run(0), "b": run(10)}, OUTPUTS)))


def test_a_name_that_is_of_another_operation_in_the_second_model_is_told():
    def column(**labels):
        outputs = [output(name, label=label) for name, label in labels.items()]
        return Column(outputs, lambda some, reduce: [read_map(run(0), each, reduce) for each in some])

    theirs = column(conv="Conv 3x3", relu="Conv 3x3")
    pages = comparison_pages({"float": column(conv="Conv2d", relu="Relu"), "int8": theirs}, GridStyle())
    assert pages.closing[-1] == "Named alike, of different operations: relu (Relu in float, Conv 3x3 in int8)."


def test_runs_of_different_models_are_refused_with_what_each_has():
    with pytest.raises(UsageError) as caught:
        draw_comparison({"mine": {"conv": 0}, "theirs": {"relu": 0}}, OUTPUTS)
    assert str(caught.value).splitlines() == [
        "No output is in all that are to be compared: mine has conv; theirs has relu.",
        "Compare models of one architecture.",
    ]


@pytest.mark.parametrize("count", [0, 1, 9])
def test_two_to_eight_fit_side_by_side(count):
    with pytest.raises(UsageError, match=f"^{count} photos? or models? .* given to compare: give 2 to 8"):
        draw_comparison({str(seed): run(seed) for seed in range(count)}, OUTPUTS)
    assert len(rows_of(draw_comparison({str(seed): run(seed) for seed in range(8)}, OUTPUTS))[0]) == 8


def test_choices_that_make_no_sense_are_refused():
    two = {"a": run(0), "b": run(1)}
    with pytest.raises(UsageError, match="by pca can't be compared"):
        draw_comparison(two, OUTPUTS, reduce="pca")
    with pytest.raises(UsageError, match="omit --columns"):
        draw_comparison(two, OUTPUTS, columns=3)
    with pytest.raises(UsageError, match="give photos="):
        draw_comparison(two, OUTPUTS, overlay=True)
    with pytest.raises(UsageError, match="3 columns don't fit in 400 pixels: give a width of at least 448"):
        draw_comparison(two, OUTPUTS, width=400)
    assert draw_comparison(two, OUTPUTS, width=448).width <= 480


def test_where_the_means_show_nothing_maps_are_the_mean_of_absolute_values_in_all_columns():
    one, other = (random_maps(1, 1, 4, 4, seed=seed) for seed in (0, 1))
    centred = [np.concatenate([each, -each], axis=1) for each in (one, other)]
    picture = draw_comparison({"a": {"conv": centred[0]}, "b": {"conv": centred[1]}}, OUTPUTS[:1])
    values = [np.abs(each[0, 0].astype(np.float64)) for each in (one, other)]
    ends = min(map(np.min, values)), max(map(np.max, values))
    assert np.array_equal(rows_of(picture)[0][1], colour_map_image(values[1], colour_table("viridis"), ends))
    assert "the mean of the channels' absolute values" in " ".join(texts(picture))


def test_an_output_that_is_constant_in_each_is_drawn_where_the_constants_differ():
    low, high = run(0), run(1)
    low["relu"], high["relu"] = np.zeros((1, 1, 4, 4)), np.ones((1, 1, 4, 4))
    assert len(rows_of(draw_comparison({"a": low, "b": high}, OUTPUTS))) == 2
    low["relu"] = high["relu"]
    picture = draw_comparison({"a": low, "b": high}, OUTPUTS)
    assert len(rows_of(picture)) == 1
    assert "Left out: 1 is constant over the image (relu (1))." in texts(picture)


def test_an_output_is_repeated_only_if_it_is_in_every_run():
    first, second = random_maps(1, 3, 6, 6), random_maps(1, 3, 6, 6, seed=1)
    repeated = {"a": {"conv": first, "relu": first}, "b": {"conv": second, "relu": second}}
    assert len(rows_of(draw_comparison(repeated, OUTPUTS))) == 1
    repeated["b"]["relu"] = first
    assert len(rows_of(draw_comparison(repeated, OUTPUTS))) == 2


def test_maps_of_other_sizes_stand_side_by_side_without_a_difference():
    picture = draw_comparison({"a": run(0), "b": run(1, conv=(1, 3, 3, 5), relu=(1, 3, 4, 4))}, OUTPUTS)
    assert [len(row) for row in rows_of(picture)] == [2, 3]
    assert "1 of other sizes in the two, without a difference: conv." in texts(picture)


def test_a_page_holds_eight_rows():
    outputs = [output(str(number)) for number in range(9)]
    runs = {
        head: {each.name: random_maps(1, 2, 4, 4, seed=index + start) for index, each in enumerate(outputs)}
        for start, head in ((0, "a"), (50, "b"))
    }
    first, second = (draw_comparison(runs, outputs, page=page, title="net") for page in (1, 2))
    assert first.pages == 2
    assert len(rows_of(first)) + len(rows_of(second)) == 9
    written = texts(first)
    assert "".join(written[:2]) == "net · page 1 of 2"
    assert written[written.index("a") :][:3] == ["a", "b", "difference"]
    assert texts(second)[-1].startswith("Page 2 of 2: rows ")


def test_photos_stand_above_their_columns_and_below_their_maps():
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    photos = {head: Photo(head, Image.fromarray(pixels), pixels[2:6, 2:6], (2, 2, 6, 6)) for head in ("a", "b")}
    runs = {"a": run(0), "b": run(1)}
    picture = draw_comparison(runs, OUTPUTS, photos=photos)
    assert [len(row) for row in rows_of(picture)] == [2, 3, 3]
    assert np.array_equal(rows_of(picture)[0][0], pixels[2:6, 2:6])
    assert texts(picture)[:6] == ["a", "4 × 4 of 8 × 8", "b", "4 × 4 of 8 × 8", "difference", "second − first"]
    laid_over = rows_of(draw_comparison(runs, OUTPUTS, photos=photos, overlay=True))
    assert [each.shape[0] > 60 for each in laid_over[1]] == [True, True, False], "the difference has no photo"


@pytest.mark.filterwarnings("error")
def test_values_that_are_not_finite_are_counted_in_the_row_and_in_the_difference():
    arrays, broken = run(0), run(1)
    arrays["conv"][0, :, 0, 0] = np.inf
    broken["conv"][0, :, :2, 0] = np.inf
    written = texts(draw_comparison({"a": arrays, "b": broken}, OUTPUTS[:1]))
    assert any(each.endswith(" · 3 not finite") for each in written)
    assert any(each.endswith(" · 2 not finite") for each in written)


def test_channels_stand_side_by_side_in_one_scale_for_all():
    tensors = {head: random_maps(5, 4, 4, seed=seed) for seed, head in enumerate(("a", "b"))}
    for each in tensors.values():
        each[3] = 0
    tensors["a"][2] = 1
    pages = channel_comparison(tensors, output("conv"), None, GridStyle())
    assert [row.name for row in pages.rows] == ["0", "1", "2", "4"], "constant in one run only is shown"
    written = texts(pages.picture(1))
    assert "1 of the 5 channels is constant over the image and left out: 3." in written
    spread = {number: np.std([each[number] for each in tensors.values()]) for number in (0, 1, 2, 4)}
    strongest = sorted(spread, key=spread.get, reverse=True)[:2]
    assert [int(row.name) for row in channel_comparison(tensors, output("conv"), 2, GridStyle()).rows] == strongest
    with pytest.raises(UsageError, match="5 in a, 4 in b"):
        channel_comparison(tensors | {"b": tensors["b"][:4]}, output("conv"), None, GridStyle())


def test_the_rows_that_are_most_and_least_alike_are_named():
    one = {name: random_maps(1, 3, 8, 8, seed=seed) for seed, name in enumerate(("a", "b", "c"))}
    outputs = [output(name) for name in one]
    other = {"a": one["a"] + 0.01, "b": one["b"] + 2, "c": random_maps(1, 3, 8, 8, seed=9)}
    other["b"][..., :2] = 0
    r = np.corrcoef(one["c"].mean(axis=1).ravel(), other["c"].mean(axis=1).ravel())[0, 1]
    written = " ".join(texts(draw_comparison({"x": one, "y": other}, outputs)))
    assert f"The maps are most alike in a (r 1.00), least in c (r {r:.2f}).".replace("-", "−") in written
    same = " ".join(texts(draw_comparison({"x": one, "y": one}, outputs)))
    assert "The maps are alike in all rows (r ≥ 1.00)." in same
