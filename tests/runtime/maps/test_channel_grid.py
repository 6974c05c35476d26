"""The channels of one output: which are drawn, in which order, in which colours."""

import numpy as np
import pytest
import torch

from map_pictures import find_tiles, output, random_maps, texts
from runtime.artifact.errors import UsageError
from runtime.maps.channel_grid import draw_channels
from runtime.maps.colour_maps import colour_table


def numbers(picture):
    return [text for text in texts(picture) if text.isdecimal()]


def test_every_channel_is_a_tile_with_its_number_and_its_range():
    maps = np.zeros((2, 3, 2, 2))
    maps[0, :, 0, 0] = [1, 2, 3]
    picture = draw_channels({"conv": maps}, output("conv"), title="net")
    assert len(find_tiles(picture)) == 3
    written = texts(picture)
    assert written[0] == "net"
    assert written[written.index("0") :][:6] == ["0", "0 to 1", "1", "0 to 2", "2", "0 to 3"]
    assert "Each tile is one channel of conv (Conv2d · 3 × 2 × 2), by its number from 0 on." in " ".join(texts(picture))


def test_channels_share_one_scale_by_default():
    maps = np.zeros((1, 2, 1, 2))
    maps[0, :, 0, 1] = [1, 4]
    table = colour_table("viridis")
    first, second = find_tiles(draw_channels({"conv": maps}, output("conv")))
    assert first[0, -1].tolist() == table[64].tolist()
    assert second[0, -1].tolist() == table[255].tolist()
    first, second = find_tiles(draw_channels({"conv": maps}, output("conv"), shared=False))
    assert first[0, -1].tolist() == second[0, -1].tolist() == table[255].tolist()


def test_what_has_both_signs_is_symmetric_around_zero_by_default():
    maps = np.array([[[[-1.0, 2.0]], [[0.5, 1.0]]]])
    picture = draw_channels({"conv": maps}, output("conv"))
    assert "All tiles share one scale (RdBu_r); what has both signs, symmetrically around 0." in " ".join(
        texts(picture)
    )
    picture = draw_channels({"conv": maps}, output("conv"), symmetric=False)
    assert "All tiles share one scale (viridis)." in " ".join(texts(picture))


def test_the_strongest_are_those_that_vary_most():
    maps = random_maps(1, 8, 6, 6)
    maps[0] *= np.array([1, 5, 2, 9, 3, 0.1, 7, 4], np.float32)[:, None, None]
    maps[0, 5] += 100  # large, and the same everywhere
    picture = draw_channels({"conv": maps}, output("conv"), top=3)
    assert numbers(picture)[:3] == [str(number) for number in np.argsort(-maps[0].std(axis=(1, 2)))[:3]]
    assert "5" not in numbers(picture)[:3]
    assert len(find_tiles(picture)) == 3
    written = " ".join(texts(picture))
    assert "by its number from 0 on; the 3 that vary most, in that order." in written
    spread = [float(maps[0, int(number)].std()) for number in numbers(picture)[:3]]
    said = f"Channel {numbers(picture)[0]} varies most over the image (standard deviation {spread[0]:.3g})"
    assert said in written
    assert f"of those drawn {numbers(picture)[2]} least ({spread[2]:.3g})." in written


def test_channels_that_are_constant_are_counted():
    maps = random_maps(1, 12, 4, 4)
    maps[0, 3], maps[0, 7:] = 0, 0.5
    picture = draw_channels({"conv": maps}, output("conv"))
    assert len(find_tiles(picture)) == 6
    left_out = "6 of the 12 channels are constant over the image and left out: 3, 7, 8, 9, 10, 11."
    assert left_out in " ".join(texts(picture))


def test_a_channel_that_is_infinite_everywhere_is_drawn():
    array = random_maps(1, 3, 8, 8)
    array[0, 1], array[0, 2] = np.inf, 2
    written = texts(draw_channels({"conv": array}, output("conv")))
    assert "64 not finite" in written
    assert "1 of the 3 channels is constant over the image and left out: 2." in written


def test_many_channels_take_several_pages():
    maps = random_maps(1, 130, 2, 2)
    pages = [draw_channels({"conv": maps}, output("conv"), page=page) for page in (1, 2)]
    assert [page.pages for page in pages] == [2, 2]
    assert sorted(map(int, numbers(pages[0])[:65] + numbers(pages[1])[:65])) == list(range(130))


@pytest.mark.parametrize(
    ("layout", "move"), [("NHWC", lambda maps: np.moveaxis(maps, 1, 3)), ("NCHW", torch.from_numpy)]
)
def test_channels_last_and_tensors_of_torch_give_the_same_picture(layout, move):
    maps = random_maps(1, 4, 3, 5)
    one = draw_channels({"conv": maps}, output("conv"))
    other = draw_channels({"conv": move(maps)}, output("conv", layout))
    assert other.image().tobytes() == one.image().tobytes()


@pytest.mark.parametrize(
    ("array", "entry", "message"),
    [
        (np.zeros((1, 9)), output("fc", "NC"), "fc has no channels to draw: it has no height and width"),
        (np.zeros((1, 1, 4, 4)), output("fc", averaged=64), "fc is the mean of 64 channels, which are not here"),
        (np.ones((1, 9, 1, 1)), output("fc"), "fc has 9 channels of 1 × 1 pixels, all of them constant"),
    ],
)
def test_what_has_no_channels_to_draw_says_why(array, entry, message):
    with pytest.raises(UsageError, match=message):
        draw_channels({"fc": array}, entry)
