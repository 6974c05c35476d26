"""The colours of a map: matplotlib's own."""

import numpy as np
import pytest
from matplotlib import colormaps

from map_pictures import expected_colours
from runtime.maps.colour_maps import colour_map_image, colour_table, not_finite_colour, table_of


@pytest.mark.parametrize("cmap", ["viridis", "magma", "gray", "tab10", "twilight", "viridis_r"])
def test_colours_are_exactly_those_of_matplotlib(cmap):
    values = np.random.default_rng(1).normal(size=(31, 17))
    assert np.array_equal(colour_map_image(values, colour_table(cmap)), expected_colours(values, cmap))


def test_table_holds_256_colours():
    table = colour_table("viridis")
    assert table.shape == (256, 3)
    assert table.dtype == np.uint8
    assert table[0].tolist() == [68, 1, 84]


@pytest.mark.parametrize("cmap", ["viridis", "magma", "plasma", "jet", "gray", "Reds", "hsv"])
def test_the_colour_of_what_is_not_finite_is_far_from_the_colour_map(cmap):
    table = colour_table(cmap).astype(int)
    assert np.abs(table - not_finite_colour(table.astype(np.uint8))).sum(axis=1).min() > 80


@pytest.mark.parametrize("name", list(colormaps))
def test_the_shipped_tables_are_matplotlibs_own(name):
    assert np.array_equal(colour_table(name), table_of(colormaps[name]))


def test_what_lies_beyond_the_ends_gets_their_colours():
    table = colour_table("viridis")
    values = np.array([[-9.0, 0.0, 0.5, 1.0, 9.0]])
    assert colour_map_image(values, table, (0.0, 1.0)).tolist() == [table[[0, 0, 128, 255, 255]].tolist()]


@pytest.mark.filterwarnings("error")
def test_the_largest_numbers_do_not_overflow():
    largest = np.finfo(np.float64).max
    values = np.array([[-largest, 0.0, largest]])
    table = colour_table("viridis")
    assert colour_map_image(values, table).tolist() == [table[[0, 128, 255]].tolist()]
