"""From a photo to the model's input: the same numbers as torchvision gives for the same image and steps."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from torchvision import transforms
from torchvision.models import ResNet18_Weights

from runtime.artifact.errors import ImageError
from runtime.artifact.manifest import Interpolation, Preprocessing
from runtime.runs.preprocessing import preprocess, preprocess_files, scaled_pixels

INTERPOLATIONS = get_args(Interpolation)
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def steps(
    resize: int, crop: tuple[int, int], interpolation: Interpolation = "bilinear", *, grey: bool = False
) -> Preprocessing:
    mean, std = ([0.1307], [0.3081]) if grey else (MEAN, STD)
    return Preprocessing(resize=resize, crop=crop, mean=mean, std=std, interpolation=interpolation)


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, size=(height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def torchvision_pixels(image: Image.Image, asked: Preprocessing) -> NDArray[np.float32]:
    """The same steps by torchvision: C H W, before normalisation."""
    chain = transforms.Compose(
        [
            transforms.Grayscale() if len(asked.mean) == 1 else transforms.Lambda(lambda picture: picture),
            transforms.Resize(asked.resize, interpolation=transforms.InterpolationMode(asked.interpolation)),
            transforms.CenterCrop(asked.crop),
            transforms.ToTensor(),
        ]
    )
    return chain(image).numpy()


def assert_like_torchvision(image: Image.Image, asked: Preprocessing) -> None:
    expected = torchvision_pixels(image, asked)
    pixels = scaled_pixels(image, asked)
    assert pixels.dtype == np.float32
    assert pixels.shape == expected.shape == (len(asked.mean), *asked.crop)
    assert (pixels == expected).all()

    normalised = preprocess(image, asked)
    assert normalised.dtype == np.float32
    expected = transforms.Normalize(asked.mean, asked.std)(torch.from_numpy(expected)).numpy()
    assert np.abs(normalised - expected).max() <= 1e-6


# The same as torchvision


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("size", [(90, 60), (60, 90), (61, 47), (33, 100), (20, 20), (7, 5)], ids=str)
@pytest.mark.parametrize("crop", [(32, 32), (31, 20), (80, 80), (20, 79)], ids=str)
def test_every_interpolation_gives_torchvision_s_pixels(
    size: tuple[int, int], crop: tuple[int, int], interpolation: Interpolation
) -> None:
    assert_like_torchvision(noise(*size), steps(40, crop, interpolation))


side = st.integers(1, 90)


@given(
    width=side,
    height=side,
    resize=st.integers(1, 60),
    crop=st.tuples(side, side),
    interpolation=st.sampled_from(INTERPOLATIONS),
    grey=st.booleans(),
)
@example(width=100, height=33, resize=50, crop=(50, 150), interpolation="bilinear", grey=False)
@example(width=1, height=1, resize=1, crop=(1, 1), interpolation="lanczos", grey=True)
@example(width=1, height=90, resize=60, crop=(7, 90), interpolation="hamming", grey=False)
@settings(max_examples=250, deadline=None)
def test_any_size_resize_and_crop_gives_torchvision_s_pixels(
    width: int, height: int, resize: int, crop: tuple[int, int], interpolation: Interpolation, *, grey: bool
) -> None:
    assert_like_torchvision(noise(width, height), steps(resize, crop, interpolation, grey=grey))


@pytest.mark.parametrize("height", range(20, 29))
@pytest.mark.parametrize("crop", [20, 21, 23, 24, 26, 35, 36])
def test_odd_remainders_fall_on_torchvision_s_side(height: int, crop: int) -> None:
    image = noise(20, height)
    assert_like_torchvision(image, steps(20, (crop, crop)))


def test_a_crop_that_starts_one_pixel_lower_would_be_noticed() -> None:
    # Half of 23 - 20 is 1.5: Python and torchvision round it to 2, cutting off gives 1.
    image = noise(20, 23)
    crop = scaled_pixels(image, steps(20, (20, 20)))
    rows = np.asarray(image, dtype=np.float32).transpose(2, 0, 1) / np.float32(255)

    assert (crop == rows[:, 2:22]).all()
    assert not (crop == rows[:, 1:21]).all()


def test_a_photo_gets_what_the_weights_of_resnet18_ask_for() -> None:
    image = noise(500, 333)
    expected = ResNet18_Weights.IMAGENET1K_V1.transforms()(image).numpy()

    assert np.abs(preprocess(image, steps(256, (224, 224))) - expected).max() <= 1e-6


@pytest.mark.parametrize("crop", [(28, 28), (32, 32)], ids=str)
def test_grey_levels_come_through_reading_as_rgb_unchanged(crop: tuple[int, int]) -> None:
    digit = noise(28, 28).convert("L")
    asked = steps(28, crop, grey=True)
    expected = torchvision_pixels(digit, asked)

    assert (scaled_pixels(digit.convert("RGB"), asked) == expected).all()
    assert (scaled_pixels(digit, asked) == expected).all()


# What a user relies on beside it


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_an_image_of_the_right_size_is_only_scaled(interpolation: Interpolation) -> None:
    image = noise(40, 50)

    pixels = scaled_pixels(image, steps(40, (50, 40), interpolation))

    assert (pixels == np.asarray(image).transpose(2, 0, 1).astype(np.float32) / np.float32(255)).all()
    assert pixels.flags.c_contiguous


def test_all_levels_are_told_apart_from_0_to_1() -> None:
    levels = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))

    pixels = scaled_pixels(levels, steps(16, (16, 16), grey=True))

    assert len(np.unique(pixels)) == 256
    assert pixels.min() == 0
    assert pixels.max() == 1


def test_padding_is_black_before_normalisation_and_the_odd_pixel_lies_right_and_below() -> None:
    pixels = scaled_pixels(Image.new("RGB", (5, 5), "white"), steps(5, (8, 8)))

    expected = np.zeros((3, 8, 8))
    expected[:, 1:6, 1:6] = 1
    assert (pixels == expected).all()


def test_the_caller_s_image_stays_as_it_was() -> None:
    for size in ((40, 50), (64, 64)):
        image = noise(*size)
        before = image.tobytes()
        result = preprocess(image, steps(40, (50, 40)))
        result[:] = 0
        assert image.size == size
        assert image.tobytes() == before


@pytest.mark.parametrize("size", [(1, 10_000), (10_000, 1)], ids=str)
def test_a_hair_thin_image_is_refused_with_its_numbers(size: tuple[int, int]) -> None:
    with pytest.raises(ImageError) as caught:
        preprocess(Image.new("RGB", size), steps(256, (224, 224)))

    message = str(caught.value)
    assert f"{size[0]} x {size[1]}" in message
    assert "2,560,000" in message
    assert "655,360,000 pixels" in message
    assert f"{Image.MAX_IMAGE_PIXELS:,}" in message
    assert len(message.splitlines()) <= 2


def test_a_gigantic_crop_is_refused_with_its_numbers(tmp_path: Path) -> None:
    asked = steps(8, (100_000, 100_000))
    noise(8, 8).save(tmp_path / "a.png")

    with pytest.raises(ImageError, match="10,000,000,000 pixels"):
        preprocess(noise(8, 8), asked)
    with pytest.raises(ImageError, match="10,000,000,000 pixels"):
        preprocess_files([tmp_path / "a.png"], asked)


def test_the_limit_is_pillow_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    image, asked = noise(4, 8), steps(10, (10, 10))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200)
    assert preprocess(image, asked).shape == (3, 10, 10)

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 199)
    with pytest.raises(ImageError, match="10 x 20 = 200 pixels"):
        preprocess(image, asked)

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert preprocess(image, asked).shape == (3, 10, 10)


def test_files_become_one_batch_in_their_order(tmp_path: Path) -> None:
    images = [noise(30, 20, seed=1), noise(17, 40, seed=2), noise(16, 16, seed=3)]
    paths = [tmp_path / name for name in ("z.png", "a.png", "m.png")]
    for image, path in zip(images, paths, strict=True):
        image.save(path)
    asked = steps(16, (12, 14))

    batch = preprocess_files(paths, asked)

    assert batch.shape == (3, 3, 12, 14)
    assert batch.dtype == np.float32
    for image, row in zip(images, batch, strict=True):
        assert (row == preprocess(image, asked)).all()


def test_the_file_that_spoils_a_batch_is_named(tmp_path: Path) -> None:
    noise(30, 20).save(tmp_path / "good.png")
    Image.new("RGB", (1, 10_000)).save(tmp_path / "thin.png")
    (tmp_path / "text.png").write_text("not an image")

    for name in ("thin.png", "text.png", "missing.png"):
        with pytest.raises(ImageError) as caught:
            preprocess_files([tmp_path / "good.png", tmp_path / name], steps(256, (224, 224)))
        assert str(tmp_path / name) in str(caught.value)
        assert len(str(caught.value).splitlines()) <= 2
