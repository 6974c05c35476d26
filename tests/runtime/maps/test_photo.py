"""A photo in a picture: what the model saw of it, and a map over it."""

import numpy as np
import pytest
from PIL import Image

from runtime.artifact.manifest import Preprocessing
from runtime.maps.colour_maps import colour_table, not_finite_colour
from runtime.maps.photo import map_over_photo, photo_with_map
from runtime.runs.preprocessing import scaled_pixels, seen_photo

GREY = np.full((40, 60, 3), 128, np.uint8)
HIGH_RIGHT = np.array([[0.0, 1.0]])


def steps(resize: int, crop: tuple[int, int], channels: int = 3) -> Preprocessing:
    return Preprocessing(resize=resize, crop=crop, mean=[0.5] * channels, std=[0.5] * channels)


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


def blended(photo: int, colour: np.ndarray) -> list[int]:
    return np.rint(photo * 0.4 + colour * 0.6).astype(int).tolist()


def test_a_map_over_a_photo_has_the_photo_s_size_and_its_own_colours():
    pixels = map_over_photo(GREY, HIGH_RIGHT)
    table = colour_table("viridis")
    assert pixels.shape == GREY.shape
    assert pixels.dtype == np.uint8
    assert pixels[20, 0].tolist() == blended(128, table[0])
    assert pixels[20, -1].tolist() == blended(128, table[-1])


def test_values_are_interpolated_not_their_colours():
    middle = map_over_photo(GREY, HIGH_RIGHT, cmap="RdBu_r")[20, 30]
    table = colour_table("RdBu_r")
    assert min(np.abs(middle.astype(int) - blended(128, each)).max() for each in table[120:140]) <= 1


def test_the_photo_stays_readable_below_the_map():
    stripes = np.zeros((40, 60, 3), np.uint8)
    stripes[:, ::2] = 255
    pixels = map_over_photo(stripes, np.ones((4, 4)))
    assert (np.diff(pixels.astype(int), axis=1)[..., 1] != 0).all()


def test_two_maps_share_one_scale_by_its_ends():
    low, high = (map_over_photo(GREY, np.full((2, 2), value), ends=(0.0, 2.0))[0, 0] for value in (0.0, 2.0))
    assert low.tolist() == blended(128, colour_table("viridis")[0])
    assert high.tolist() == blended(128, colour_table("viridis")[-1])


@pytest.mark.filterwarnings("error")
def test_what_is_not_finite_is_marked_and_stays_in_its_place():
    values = np.array([[0.0, np.nan], [np.inf, 1.0]])
    pixels = map_over_photo(GREY, values)
    marked = blended(128, not_finite_colour(colour_table("viridis")))
    assert pixels[0, 30].tolist() == pixels[39, 29].tolist() == marked
    assert pixels[0, 29].tolist() == blended(128, colour_table("viridis")[0])
    assert (map_over_photo(GREY, np.full((2, 2), np.nan)) == marked).all()


@pytest.mark.filterwarnings("error")
def test_the_largest_numbers_are_no_overflow():
    largest = np.finfo(np.float64).max
    pixels = map_over_photo(GREY, np.array([[-largest, largest]]))
    assert pixels[0, -1].tolist() == blended(128, colour_table("viridis")[-1])


@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_shown_is_what_the_model_sees(channels):
    image, asked = noise(64, 48), steps(24, (20, 16), channels)
    photo = seen_photo(image, asked, "cat.jpg")
    model_sees = np.rint(scaled_pixels(image, asked) * 255).transpose(1, 2, 0)
    assert photo.seen.shape == (20, 16, 3)
    assert np.array_equal(photo.seen, np.broadcast_to(model_sees, photo.seen.shape))
    assert np.array_equal(np.asarray(photo.image), np.asarray(image))
    assert photo.detail == "16 × 20 of 64 × 48"


@pytest.mark.parametrize(
    ("resize", "crop", "region", "cropped"),
    [
        (24, (24, 24), (8, 0, 56, 48), True),
        (48, (48, 64), (0, 0, 64, 48), False),
        (24, (12, 12), (20, 12, 44, 36), True),
        (48, (96, 64), (0, -24, 64, 72), False),
    ],
)
def test_the_region_is_where_the_crop_lies_in_the_photo(resize, crop, region, cropped):
    photo = seen_photo(noise(64, 48), steps(resize, crop), "cat.jpg")
    assert photo.region == region
    assert photo.is_cropped == cropped


def test_outside_the_crop_the_photo_is_dimmed_and_has_no_map():
    photo = seen_photo(Image.new("RGB", (80, 40), "black"), steps(40, (40, 40)), "cat.jpg")
    alone, mapped = photo_with_map(photo, (40, 80)), photo_with_map(photo, (40, 80), np.ones((4, 4)), ends=(0.0, 1.0))
    outside = np.ones(80, bool)
    outside[19:61] = False  # with the outline
    assert (alone[:, outside] == mapped[:, outside]).all()
    assert (alone[:, outside] == round(255 - 255 * 0.35)).all()
    assert (alone[1:-1, 22:58] == 0).all()
    assert (mapped[1:-1, 22:58] == blended(0, colour_table("viridis")[-1])).all()


def test_the_crop_is_outlined_on_black_and_on_white():
    for ink in ("black", "white"):
        photo = seen_photo(Image.new("RGB", (80, 40), ink), steps(40, (40, 40)), "cat.jpg")
        row = photo_with_map(photo, (40, 80))[20].astype(int)
        for edge in (20, 60):
            assert np.abs(np.diff(row[edge - 3 : edge + 3], axis=0)).max() > 100


def test_a_photo_that_is_seen_whole_has_no_outline():
    photo = seen_photo(Image.new("RGB", (80, 40), "black"), steps(40, (40, 80)), "cat.jpg")
    assert (photo_with_map(photo, (40, 80)) == 0).all()


def test_a_padded_photo_has_its_own_part_of_the_map():
    photo = seen_photo(Image.new("RGB", (40, 40), "black"), steps(40, (40, 120)), "cat.jpg")
    pixels = photo_with_map(photo, (40, 40), np.array([[0.0, 1.0, 0.0]]), ends=(0.0, 1.0))
    table = colour_table("viridis")
    assert np.abs(pixels[20, 20] - np.array(blended(0, table[-1]))).max() <= 5
    assert np.abs(pixels[20, 0] - np.array(blended(0, table[128]))).max() <= 5
