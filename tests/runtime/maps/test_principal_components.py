"""Principal components as colours: what is one in the channels has one colour, in grey the picture is the first."""

import re
from dataclasses import replace

import numpy as np
import pytest

from map_pictures import find_tiles, output, shrunk, texts
from runtime.artifact.errors import UsageError
from runtime.maps.component_colours import component_image, table_of_scale
from runtime.maps.feature_grid import draw_grid
from runtime.maps.grid_style import GridStyle
from runtime.maps.likeness import with_turned_hues
from runtime.maps.map_reading import read_map
from runtime.maps.principal_components import principal_components

SIDE = 12


def regions(channels=8, seed=0):
    """C H W: four quarters, each with features of its own; and which quarter each pixel is in."""
    draws = np.random.default_rng(seed)
    which = np.add.outer(2 * (np.arange(SIDE) >= SIDE // 2), np.arange(SIDE) >= SIDE // 2)
    features = draws.normal(size=(4, channels))
    return features[which].transpose(2, 0, 1) + 0.01 * draws.normal(size=(channels, SIDE, SIDE)), which


def map_of(tensor, name):
    return read_map({name: tensor[None]}, output(name), "pca3")


def grey_of(image):
    """The lightness of colours, H W: Oklab's L."""
    linear = np.where(image <= 0.04045 * 255, image / 255 / 12.92, ((image / 255 + 0.055) / 1.055) ** 2.4)
    cones = linear @ np.array(
        [[0.4122214708, 0.2119034982, 0.0883024619], [0.5363325363, 0.6806995451, 0.2817188376],
         [0.0514459929, 0.1073969566, 0.6299787005]]
    )  # fmt: skip
    return np.cbrt(cones) @ [0.2104542553, 0.7936177850, -0.0040720468]


def coloured(values, plane):
    return component_image(values, plane, (values.min(), values.max())).astype(float)


def test_the_components_are_those_of_a_singular_value_decomposition():
    tensor, _ = regions()
    found = principal_components(tensor)
    centred = tensor.reshape(8, -1) - tensor.reshape(8, -1).mean(axis=1, keepdims=True)
    _, lengths, rows = np.linalg.svd(centred, full_matrices=False)
    three = [found.first.ravel() / lengths[0], *(found.hues.plane.reshape(-1, 2).T / SIDE)]
    assert np.allclose([abs(mine @ theirs) for mine, theirs in zip(three, rows, strict=False)], 1)
    assert found.share == pytest.approx(lengths[0] ** 2 / np.sum(lengths**2))
    assert found.hues.share == pytest.approx(np.sum(lengths[:3] ** 2) / np.sum(lengths**2))
    wide = principal_components(np.concatenate([tensor] * 40))
    assert np.allclose(abs(wide.hues.plane), abs(found.hues.plane)), "also with more channels than pixels"


def test_what_has_one_feature_has_one_colour_and_others_have_others():
    tensor, which = regions()
    found = principal_components(tensor)
    image = coloured(found.first, found.hues.plane)
    means = np.array([image[which == each].mean(axis=0) for each in range(4)])
    apart = [np.abs(one - other).max() for at, one in enumerate(means) for other in means[:at]]
    assert max(image[which == each].std(axis=0).max() for each in range(4)) < 6
    assert min(apart) > 30


@pytest.mark.parametrize("channels", [1, 2])
def test_where_there_is_no_other_component_the_picture_is_grey(channels):
    pattern = np.random.default_rng(0).normal(size=(SIDE, SIDE))
    found = principal_components(np.stack([pattern, 3 * pattern])[:channels])
    assert not found.hues.plane.any()
    assert np.ptp(coloured(found.first, found.hues.plane), axis=2).max() <= 1


def test_of_rounding_no_hue_is_made():
    pattern = np.random.default_rng(0).normal(size=(SIDE, SIDE))
    tensor = (np.arange(1, 9)[:, None, None] * pattern).astype(np.float32) + np.float32(1)
    assert not principal_components(tensor).hues.plane.any()


def test_in_grey_the_picture_is_the_first_component():
    values = np.linspace(-3, 5, SIDE * SIDE).reshape(SIDE, SIDE)
    hues = np.random.default_rng(0).normal(size=(SIDE, SIDE, 2)) / 4  # as far as screens show them at any brightness
    lightness = grey_of(coloured(values, hues))[2:-2]
    assert np.allclose(lightness, 0.25 + 0.68 * (values[2:-2] + 3) / 8, atol=0.01)
    table = table_of_scale("brightness and hue").astype(int)
    assert np.ptp(table, axis=1).max() <= 1
    assert (np.diff(table[:, 0]) >= 0).all()


def test_what_is_not_finite_has_a_colour_of_its_own_and_every_other_pixel_its_hue():
    tensor, which = regions()
    tensor[3, 4, 5], tensor[0, 0, 0] = np.nan, np.inf
    found = principal_components(tensor)
    assert np.argwhere(np.isnan(found.first)).tolist() == [[0, 0], [4, 5]]
    assert found.share is None
    finite = np.isfinite(found.first)
    alone = principal_components(tensor[:, finite][:, None])
    assert np.allclose(found.hues.plane[finite], alone.hues.plane[0])
    assert not found.hues.plane[~finite].any()
    drawn = texts(draw_grid({"conv": tensor[None]}, [output("conv")], reduce="pca3"))
    assert "(brightness and hue)" in " ".join(drawn), "as its caption says"
    ends = np.nanmin(found.first), np.nanmax(found.first)
    image = component_image(found.first, found.hues.plane, ends).astype(int)
    assert np.array_equal(image[0, 0], image[4, 5])
    assert not (image[finite] == image[0, 0]).all(axis=1).any()
    assert image[finite & (which == 3)].std(axis=0).max() < 6


def test_hues_are_turned_as_near_as_can_be_to_the_tile_before_and_nothing_else_of_them_changes():
    tensors = [regions(seed=seed)[0] for seed in (0, 5)]
    maps = [map_of(tensor, name) for tensor, name in zip(tensors, "ab", strict=True)]
    first, turned = with_turned_hues(maps)
    assert np.array_equal(first.hues.plane, maps[0].hues.plane)
    mine, theirs = turned.hues.plane.reshape(-1, 2), first.hues.plane.reshape(-1, 2)
    before = maps[1].hues.plane.reshape(-1, 2)
    assert np.allclose(mine @ mine.T, before @ before.T)
    agreement = np.sum(mine * theirs)
    for mirrored in (1, -1):
        for angle in np.linspace(0, 2 * np.pi, 90):
            turn = np.array([[np.cos(angle), -np.sin(angle)], [mirrored * np.sin(angle), mirrored * np.cos(angle)]])
            assert np.sum(mine @ turn.T * theirs) <= agreement + 1e-9, "no other turn agrees better"


def test_the_hues_of_what_is_the_same_mirrored_are_the_same():
    first = map_of(regions()[0], "a")
    mirrored = replace(first.hues, plane=first.hues.plane[..., ::-1] * [1, -1])
    _, second = with_turned_hues([first, replace(first, name="b", hues=mirrored)])
    assert np.allclose(second.hues.plane, first.hues.plane)
    none = replace(first, name="c", hues=replace(first.hues, plane=0 * mirrored.plane))
    assert all(np.isfinite(each.hues.plane).all() for each in with_turned_hues([none, first]))


def test_a_grid_of_three_components_says_how_to_read_it():
    outputs = [output("conv"), output("norm")]
    arrays = {each.name: regions(seed=at)[0][None] for at, each in enumerate(outputs)}
    picture = draw_grid(arrays, outputs, reduce="pca3")
    written = " ".join(texts(picture))
    assert "PC1 as brightness, PC2 and PC3 as hue" in written
    assert "hue: PC2 and PC3" in written
    assert re.search(r"PC1 \d+ % · PC1–3 \d+ %", written)
    map_ = read_map(arrays, outputs[0], "pca3")
    ends = map_.values.min(), map_.values.max()
    tile = shrunk(find_tiles(picture)[0], SIDE, SIDE)
    assert np.array_equal(tile, component_image(map_.values, map_.hues.plane, ends))
    assert read_map(arrays, outputs[0], "pca").hues is None


@pytest.mark.parametrize(
    ("channels", "said"),
    [
        ([[1, 0, 0]], ["PC1 100 %"]),
        ([[1, 0, 0], [2, 0, 0], [3, 0, 0]], ["PC1 100 %"]),
        ([[2, 0, 0], [0, 1, 0]], ["PC1 80 %", "PC1–2 100 %"]),
        ([[2, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]], ["PC1 67 %", "PC1–3 100 %"]),
        ([[2, 0, 0], [0, 1, 0], [0, 0, 0.05]], ["PC1 80 %", "PC1–2 100 %"]),
    ],
    ids=["one channel", "one pattern", "two channels", "three patterns", "a third that has no hue"],
)
def test_shares_are_said_of_the_components_that_there_are(channels, said):
    patterns = np.linalg.qr(np.random.default_rng(0).normal(size=(SIDE * SIDE, 4)))[0]
    patterns = np.linalg.qr(patterns - patterns.mean(axis=0))[0][:, :3].T.reshape(3, SIDE, SIDE)
    assert map_of(np.tensordot(np.array(channels, float), patterns, axes=1), "a").remarks == said


@pytest.mark.parametrize("choice", [{"cmap": "magma"}, {"shared": True}, {"symmetric": True}, {"overlay": True}])
def test_colours_of_one_number_are_refused_for_three(choice):
    with pytest.raises(UsageError, match=r"^pca3 has colours of its own: .* choose pca\.$"):
        GridStyle(reduce="pca3", **choice)
