"""Sizes and text on a page: columns, the tiles' side, names that are broken or cut."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont

from map_pictures import LONG_NAME
from runtime.artifact.errors import UsageError
from runtime.maps.grid_style import GridStyle
from runtime.maps.page_layout import lay_out
from runtime.maps.picture_text import break_name, draw_line, shorten_front
from runtime.maps.tile_places import CHANNEL_PAGE, OUTPUT_PAGE


def layout_of(tiles, side=14, kind=OUTPUT_PAGE, **style):
    return lay_out([(side, side)] * tiles, kind, GridStyle(**style), names=["conv"] * tiles, notes=["A note."])


@pytest.mark.parametrize("kind", [OUTPUT_PAGE, CHANNEL_PAGE])
@pytest.mark.parametrize("side", [14, 512])
def test_no_number_of_tiles_makes_a_strip_or_leaves_an_orphan(side, kind):
    layouts = {tiles: layout_of(tiles, side, kind) for tiles in range(1, kind.most_tiles + 1)}
    assert [layouts[tiles].columns for tiles in (1, 2, 3, 4)] == [1, 2, 3, 4]
    for tiles, layout in layouts.items():
        width, height = layout.size
        assert height <= 2.2 * width, tiles
        last = tiles - (layout.rows - 1) * layout.columns
        assert last >= 0.35 * layout.columns, (tiles, layout.columns)


@pytest.mark.parametrize("width", [320, 600, 1000, 3000])
def test_a_width_that_is_asked_for_is_kept(width):
    found = layout_of(9, width=width).size[0]
    assert width - 9 <= found <= width


def test_columns_that_do_not_fit_the_width_say_so():
    with pytest.raises(UsageError, match=r"9 tiles in rows of 9 .* within 600 pixels .*--columns"):
        layout_of(9, width=600, columns=9)


def test_a_font_size_that_is_asked_for_is_kept():
    assert layout_of(3, font_size=30).text == 30
    assert layout_of(3, font_size=30).size[1] > layout_of(3).size[1]


@pytest.mark.parametrize("size", [24, 40, 72])
def test_tiles_are_as_wide_as_the_numbers_below_them_need_in_a_large_font(size):
    numbers = ImageFont.truetype(Path(get_data_path()) / "fonts/ttf/DejaVuSans.ttf", size).getlength("−0.0123  0.00456")
    assert layout_of(12, font_size=size).side >= numbers


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


def test_shortening_keeps_the_end():
    font = ImageFont.truetype(Path(get_data_path()) / "fonts/ttf/DejaVuSans.ttf", 14)
    assert shorten_front("conv1", font, 300) == "conv1"
    assert shorten_front("two\nlines", font, 300) == "two lines"
    short = shorten_front(LONG_NAME, font, 200)
    assert short[0] == "…"
    assert LONG_NAME.endswith(short[1:])
    assert font.getlength(short) <= 200 < font.getlength(LONG_NAME[-len(short) :] + "…")
    assert shorten_front(LONG_NAME, font, 1) == "…"


def test_too_few_columns_for_one_picture_say_so():
    with pytest.raises(UsageError, match=r"96 tiles in rows of 1 .*--columns, --outputs"):
        layout_of(96, side=4, columns=1)


def test_a_line_of_text_is_drawn_as_pillow_draws_it():
    font = ImageFont.truetype(f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf", 14, layout_engine=ImageFont.Layout.BASIC)
    ours, pillows = (Image.new("RGB", (200, 30), "#ffffff") for _ in range(2))
    draw_line(ours, (5, 20), "layer1.0 · −0.5 (gy)", font, "#666666")
    ImageDraw.Draw(pillows).text((5, 20), "layer1.0 · −0.5 (gy)", "#666666", font, anchor="ls")
    assert np.abs(np.asarray(ours, int) - np.asarray(pillows, int)).max() <= 1
    assert (np.asarray(ours) != 255).any()
