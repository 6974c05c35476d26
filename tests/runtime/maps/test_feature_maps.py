"""From a tensor to a map: the reductions, and what is left out because it would show nothing, or nothing new."""

import re

import numpy as np
import pytest
import torch

from map_pictures import expected_colours, find_tiles, output, random_maps, shrunk, texts
from runtime.artifact.errors import UsageError
from runtime.maps.channel_mean import channel_mean
from runtime.maps.feature_grid import draw_grid
from runtime.maps.map_reading import read_map
from runtime.maps.reductions import AUTO, AUTO_ORDER, REDUCTIONS, Reduction


def blobs(channels=12, side=8):
    """A pattern in each channel, which differs only by its strength and its sign: rank 1, and noise."""
    pattern = np.zeros((side, side))
    pattern[2:5, 2:4] = 1.0
    strengths = np.linspace(-1, 2, channels)[:, None, None]
    return ((strengths * pattern)[None] + 0.01 * random_maps(1, channels, side, side)).astype(np.float32), pattern


def layer_normed(seed=0, side=8, channels=96):
    tensor = torch.randn(1, side, side, channels, generator=torch.Generator().manual_seed(seed)) * 3 + 2
    return np.moveaxis(torch.nn.LayerNorm(channels)(tensor).detach().numpy(), 3, 1)


def footer(picture):
    return " ".join(texts(picture))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mean", lambda x: x.mean(0)),
        ("std", lambda x: x.std(0)),
        ("l2", lambda x: np.sqrt((x**2).sum(0))),
        ("max", lambda x: x.max(0)),
        ("abs-mean", lambda x: np.abs(x).mean(0)),
    ],
)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8])
def test_a_reduction_is_what_it_is_called(name, expected, dtype):
    maps = (random_maps(1, 6, 5, 4) * 40).astype(dtype)
    maps[0, 0, 0, 0] = -128
    values = read_map({"conv": maps}, output("conv"), name).values
    np.testing.assert_allclose(values, expected(maps[0].astype(np.float64)), rtol=1e-9)


@pytest.mark.parametrize("channels", [12, 200])
def test_pca_is_the_direction_in_which_the_channels_vary_most(channels):
    maps, _ = blobs(channels)
    centred = maps[0].reshape(channels, -1).astype(np.float64)
    centred -= centred.mean(axis=1, keepdims=True)
    first = np.linalg.svd(centred, full_matrices=False)
    values = read_map({"conv": maps}, output("conv"), "pca").values.ravel()
    np.testing.assert_allclose(np.abs(values), np.abs(first[1][0] * first[2][0]), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("sign", [1, -1])
def test_pca_is_high_where_the_channels_are_large_whatever_their_sign(sign):
    maps, pattern = blobs()
    values = read_map({"conv": maps * np.float32(sign)}, output("conv"), "pca").values
    assert values[pattern > 0].min() > values[pattern == 0].max()


def test_pca_leaves_out_what_is_not_finite():
    maps, _ = blobs()
    maps[0, 3, 1, 1] = np.inf
    values = read_map({"conv": maps}, output("conv"), "pca").values
    assert np.argwhere(np.isnan(values)).tolist() == [[1, 1]]
    assert np.isnan(read_map({"conv": maps * np.nan}, output("conv"), "pca").values).all()


def test_the_largest_numbers_have_a_first_component():
    maps, _ = blobs()
    assert np.isfinite(read_map({"conv": maps.astype(np.float64) * 1e300}, output("conv"), "pca").values).all()


def test_where_the_mean_is_zero_by_construction_another_reduction_is_drawn_and_named():
    maps = layer_normed()
    assert 0 < np.ptp(channel_mean(maps, "NCHW")) < 1e-5
    outputs = [output("conv"), output("norm", label="LayerNorm")]
    picture = draw_grid({"conv": random_maps(1, 4, 8, 8), "norm": maps}, outputs)
    assert len(find_tiles(picture)) == 2
    written = texts(picture)
    _, kind, share = written[written.index("norm") :][:3]
    assert kind == "LayerNorm · 96 × 8 × 8"
    assert re.fullmatch(r"PC1 \d+ %", share)
    assert "Conv2d · 4 × 8 × 8" in written
    assert "PC1: the first principal component of the channels, high where they are strong" in footer(picture)
    assert "of 1 whose mean shows nothing." in footer(picture)
    values = read_map({"norm": maps}, outputs[1]).values
    assert np.array_equal(shrunk(find_tiles(picture)[1], 8, 8), expected_colours(values))


def test_a_reduction_that_is_asked_for_is_not_replaced():
    arrays = {"conv": random_maps(1, 4, 8, 8), "norm": layer_normed()}
    picture = draw_grid(arrays, [output("conv"), output("norm")], reduce="mean")
    assert len(find_tiles(picture)) == 1
    assert "Left out: 1 varies only by rounding (norm (" in footer(picture)


def test_auto_needs_no_further_reduction_than_its_last():
    assert set(AUTO_ORDER) < set(REDUCTIONS)
    constant = np.broadcast_to(random_maps(1, 5, 1, 1), (1, 5, 4, 4))
    assert read_map({"conv": constant}, output("conv"), AUTO).left_out == "constant"
    assert read_map({"conv": constant + np.float32(1e-9)}, output("conv"), AUTO).left_out == "constant"
    barely = constant.copy()
    barely[0, 0, 1, 1] *= np.float32(1 + 2**-23)
    assert read_map({"conv": barely}, output("conv"), AUTO).left_out == "rounding"


@pytest.mark.parametrize("reduce", [AUTO, *REDUCTIONS])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_what_varies_by_more_than_rounding_is_drawn_however_small_it_is(reduce, dtype):
    maps = random_maps(1, 64, 8, 8).astype(dtype) * dtype(1e-3)
    maps -= maps.mean(axis=1, keepdims=True, dtype=np.float64).astype(dtype)
    maps[0, :, 2:4, 2:4] *= dtype(1.5)
    maps[0, :, 5, 5] += 64 * np.finfo(dtype).eps * dtype(1e-3)
    assert read_map({"conv": maps}, output("conv"), reduce).left_out is None


@pytest.mark.filterwarnings("error")
def test_what_shows_nothing_is_named_with_the_reason_and_its_value():
    arrays = {
        "conv": random_maps(1, 3, 8, 8),
        "dead": np.zeros((1, 3, 8, 8), np.float32),
        "quarter": np.full((1, 3, 8, 8), 0.25, np.float32),
        "pool": random_maps(1, 8, 1, 1),
        "squeezed": random_maps(1, 2, 1, 1),
    }
    picture = draw_grid(arrays, [output(name) for name in arrays])
    assert len(find_tiles(picture)) == 1
    assert "2 are constant over the image (dead (0), quarter (0.25))" in footer(picture)
    assert "2 have 1 × 1 pixel (pool, squeezed)" in footer(picture)


def test_where_all_shows_nothing_the_error_says_why():
    arrays = {"dead": np.zeros((1, 3, 8, 8)), "pool": random_maps(1, 8, 1, 1)}
    with pytest.raises(UsageError, match=r"Nothing to draw of the 2 outputs: .*1 is constant .* \(dead \(0\)\)"):
        draw_grid(arrays, [output(name) for name in arrays])


def test_what_has_the_same_picture_as_an_earlier_tile_is_left_out_and_counted():
    conv, other = random_maps(1, 6, 4, 4), random_maps(1, 6, 4, 4, seed=1)
    moved = np.moveaxis(conv, 1, 3)
    fresh = torch.nn.BatchNorm2d(6).eval()(torch.from_numpy(conv)).detach().numpy()
    arrays = {"conv": conv, "dropout": conv, "permute": moved, "patches": moved.reshape(1, 16, 6), "bn": fresh}
    arrays |= {"half": conv[:, :3], "relu": other, "doubled": other * 2, "small": conv[:, :, :3, :3]}
    outputs = [output(name) for name in arrays]
    outputs[2], outputs[3] = output("permute", "NHWC"), output("patches", "NLC", tokens=(0, 4, 4, 0))
    picture = draw_grid(arrays, outputs)
    assert [text for text in texts(picture) if text in arrays] == ["conv", "half", "relu", "small"]
    said = "5 look like another (dropout ≈ conv, …)"
    assert f"Left out (--outputs and --aliases draw them): {said}." in footer(picture)
    assert len(find_tiles(draw_grid(arrays, outputs, aliases=True))) == 9


def test_in_one_scale_twice_the_values_are_another_picture():
    conv = random_maps(1, 6, 4, 4)
    arrays = {"conv": conv, "same": conv, "doubled": conv * 2}
    picture = draw_grid(arrays, [output(name) for name in arrays], shared=True)
    assert [text for text in texts(picture) if text in arrays] == ["conv", "doubled"]


def test_maps_with_the_same_values_that_are_not_finite_repeat_each_other():
    maps = random_maps(1, 2, 4, 4)
    maps[0, 0, 2, 2] = np.nan
    arrays = {"conv": maps, "dropout": maps}
    assert len(find_tiles(draw_grid(arrays, [output(name) for name in arrays]))) == 1


def test_an_averaged_probes_noise_is_not_drawn():
    noise = np.float32(1e-9) * random_maps(1, 1, 8, 8, seed=1)
    arrays = {"conv": random_maps(1, 1, 8, 8), "norm": noise}
    outputs = [output("conv", averaged=64), output("norm", averaged=96)]
    assert len(find_tiles(draw_grid(arrays, outputs))) == 2, "nothing is known of the noise"
    assert len(find_tiles(draw_grid(arrays, outputs, noise={"norm": 1e-9}))) == 1


def test_a_mean_has_no_other_reduction():
    with pytest.raises(UsageError, match=r"'conv' is a mean .* it has no pca"):
        draw_grid({"conv": random_maps(1, 1, 8, 8)}, [output("conv", averaged=64)], reduce="pca")


def test_a_reduction_is_a_row_of_the_table(monkeypatch):
    least = Reduction(
        lambda tensor: tensor.min(axis=0) * 1.0, lambda tensor: abs(tensor).max(axis=0), "the least of all"
    )
    monkeypatch.setitem(REDUCTIONS, "min", least)
    maps = random_maps(1, 4, 8, 8)
    picture = draw_grid({"conv": maps}, [output("conv")], reduce="min")
    assert "Each tile is one output, in the order of execution: the least of all." in footer(picture)
    assert f"{maps.min():.3g}".replace("-", "−") in texts(picture)
