"""Which value gets which colour: own and shared scales, outliers, symmetric ends."""

import numpy as np
import pytest

from map_pictures import find_tiles, output, random_maps, texts
from runtime.maps.colour_maps import colour_table
from runtime.maps.colour_scales import ColourScale, around_zero, range_text, scales_of, strengths_of
from runtime.maps.feature_grid import draw_grid
from runtime.maps.grid_style import GridStyle


def scale_of(values, **choices):
    (scale,) = scales_of([np.asarray(values, float)], GridStyle(**choices), shared=False)
    return scale


def test_each_map_has_its_own_ends_or_all_have_the_same():
    maps = [np.array([[0.0, 1.0]]), np.array([[-3.0, 0.5]])]
    own = scales_of(maps, GridStyle(), shared=False)
    assert [(scale.low, scale.high) for scale in own] == [(0, 1), (-3, 0.5)]
    shared = scales_of(maps, GridStyle(), shared=True)
    assert [(scale.low, scale.high) for scale in shared] == [(-3, 1)] * 2


@pytest.mark.parametrize("side", [7, 14, 56])
@pytest.mark.parametrize("sign", [1, -1])
def test_one_outlier_does_not_take_the_colours(side, sign):
    values = sign * np.linspace(0, 1, side * side).reshape(side, side)
    values[3, 3] = 50 * sign
    scale = scale_of(values)
    near, far = sorted((scale.low * sign, scale.high * sign))
    assert near == 0, "the other end is as it is"
    assert 0.95 < far <= 1
    assert max(scale.highest, -scale.lowest) == 50
    assert "50" in "".join(range_text(scale))


def test_a_map_without_outliers_is_not_clipped():
    values = np.random.default_rng(0).normal(size=(56, 56))
    scale = scale_of(values)
    assert (scale.low, scale.high) == (values.min(), values.max()) == (scale.lowest, scale.highest)


def test_a_single_peak_on_nothing_keeps_its_colours():
    values = np.zeros((14, 14))
    values[3, 3] = 1
    assert (scale_of(values).low, scale_of(values).high) == (0, 1)
    assert (scale_of(values, clip=5).low, scale_of(values, clip=5).high) == (0, 1)


def test_a_chosen_percentage_is_clipped_at_either_end_and_none_if_it_is_zero():
    values = np.arange(1000.0).reshape(20, 50)
    assert (scale_of(values, clip=10).low, scale_of(values, clip=10).high) == (100, 899)
    values[0, 0] = -1e6
    assert scale_of(values, clip=0).low == -1e6


def test_what_has_both_signs_is_symmetric_around_zero_on_request():
    signed, positive = np.array([[-1.0, 3.0]]), np.array([[1.0, 3.0]])
    assert (scale_of(signed, symmetric=True).low, scale_of(signed, symmetric=True).high) == (-3, 3)
    assert scale_of(signed, symmetric=True).cmap == "RdBu_r"
    assert scale_of(signed, symmetric=True, cmap="coolwarm").cmap == "coolwarm"
    assert (scale_of(positive, symmetric=True).low, scale_of(positive, symmetric=True).cmap) == (1, "viridis")
    assert (scale_of(signed).low, scale_of(signed).cmap) == (-1, "viridis")


def test_a_clipped_tile_says_how_far_its_values_go():
    maps = random_maps(1, 1, 14, 14)
    maps[0, 0, 2, 2] = 1000
    written = texts(draw_grid({"conv": maps}, [output("conv")]))
    assert any(text.endswith(" … 1e+03") for text in written)
    said = "≤, ≥ and …: up to 1 % of the pixels lie farther out and share the end's colour, since so few"
    assert said in " ".join(written)
    assert "share the end's colour" not in " ".join(texts(draw_grid({"conv": maps}, [output("conv")], clip=0)))


def test_a_shared_scale_has_one_bar_and_each_tile_its_own_numbers():
    arrays = {"a": np.array([[[[0.0, 1.0]]]]), "b": np.array([[[[2.0, 5.0]]]])}
    picture = draw_grid(arrays, [output(name) for name in arrays], shared=True)
    bars = [tile for tile in find_tiles(picture, 4) if len(tile) < 20]
    assert len(bars) == 1
    written = texts(picture)
    assert [text for text in written if " to " in text and len(text) < 10] == ["0 to 1", "2 to 5"]
    assert written[written.index("2 to 5") + 1 :][:2] == ["0", "5"]
    assert find_tiles(picture)[1][0, 0].tolist() == colour_table("viridis")[2 * 256 // 5].tolist()


@pytest.mark.filterwarnings("error")
def test_the_largest_numbers_have_a_scale():
    largest = np.finfo(np.float64).max
    values = np.zeros((14, 14))
    values[0, 0], values[1, 1] = -largest, largest
    assert (scale_of(values).low, scale_of(values).high) == (-largest, largest)
    assert scales_of([np.full((2, 2), np.nan)], GridStyle(), shared=False) == [None]


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ((-0.00103, 0.00098), ("−0.00103", "0.00098")),
        ((0.0000791, 0.000244), ("0.79·10⁻⁴", "2.44·10⁻⁴")),
        ((-7.06, 12.41), ("−7.1", "12.4")),
        ((-0.02, 0.0249), ("−0.0200", "0.0249")),
        ((-1e-9, 3.2), ("0.00", "3.20")),
        ((999.91, 999.95), ("999.9", "1000.0")),
        ((0.0, 0.0002), ("0", "2.00·10⁻⁴")),
        ((-5e-324, 5e-324), ("−0.00000000000000005·10⁻³⁰⁷", "0.00000000000000005·10⁻³⁰⁷")),
        ((-1.5e300, 2e305), ("0.00·10³⁰⁵", "2.00·10³⁰⁵")),
    ],
)
def test_the_short_numbers_of_a_tile_are_in_one_form(ends, said):
    assert range_text(ColourScale(*ends, "viridis", *ends), short=True) == said


def test_strengths_are_on_a_log_scale_where_ranges_differ_much():
    scales = [ColourScale(0, end, "viridis", 0, end) for end in (1.0, 1e-4, 1e-8, 1e-9)]
    assert strengths_of([*scales, None]) == pytest.approx([1, 0.5, 0, 0, 0])
    assert strengths_of(scales[:1] * 3) is None
    assert strengths_of([None]) is None


def test_a_scale_of_both_signs_can_be_made_to_diverge_from_zero():
    scale = around_zero(ColourScale(-2, 3, "viridis", -5, 7))
    assert (scale.low, scale.high, scale.cmap) == (-3, 3, "RdBu_r")
    assert (scale.lowest, scale.highest) == (-5, 7), "what there is"
    positive = ColourScale(1, 3, "viridis", 1, 3)
    assert around_zero(positive) is positive
    assert around_zero(None) is None
