"""Preprocessing written anew from `artifacts/README.md` alone, in plain Python: it gives our input, to the bit.

So the page says all that somebody needs who writes it in another language. Nothing of ours is used in `Page`.
"""

import io
import math
from typing import get_args

import matplotlib
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from runtime.artifact.manifest import Interpolation, Preprocessing
from runtime.runs.image_reading import read_image
from runtime.runs.preprocessing import cropped_pixels, preprocess

INTERPOLATIONS = get_args(Interpolation)


def filter_of(name: str, x: float) -> float:
    def sinc(x: float) -> float:
        return 1.0 if x == 0 else math.sin(math.pi * x) / (math.pi * x)

    if name == "box":
        return 1.0 if -0.5 < x <= 0.5 else 0.0
    if name == "lanczos":
        return sinc(x) * sinc(x / 3) if -3 <= x < 3 else 0.0
    x = abs(x)
    if name == "bilinear":
        return 1 - x if x < 1 else 0.0
    if name == "hamming":
        first, second = float(np.float32(0.54)), float(np.float32(0.46))
        return sinc(x) * (first + second * math.cos(math.pi * x)) if x < 1 else 0.0
    if x < 1:
        return (1.5 * x - 2.5) * x * x + 1
    return (((x - 5) * x + 8) * x - 4) * -0.5 if x < 2 else 0.0


SUPPORT = {"box": 0.5, "bilinear": 1.0, "hamming": 1.0, "bicubic": 2.0, "lanczos": 3.0}


def resized_along(pixels: NDArray[np.int64], size: int, interpolation: str) -> NDArray[np.int64]:
    """One pass over the first axis."""
    had = pixels.shape[0]
    scale = had / size
    if interpolation == "nearest":
        chosen, place = [], scale * 0.5
        for _ in range(size):
            chosen.append(math.floor(place))
            place += scale
        return pixels[chosen]
    s = max(scale, 1)
    support = s * SUPPORT[interpolation]
    made = np.empty((size, *pixels.shape[1:]), np.int64)
    for i in range(size):
        centre = (i + 0.5) * scale
        first, last = max(0, int(centre - support + 0.5)), min(had, int(centre + support + 0.5))
        weights = [filter_of(interpolation, (j - centre + 0.5) * (1 / s)) for j in range(first, last)]
        total = 0.0
        for weight in weights:
            total += weight
        weights = [weight / total for weight in weights]
        whole = [int(weight * 2**22 + (-0.5 if weight < 0 else 0.5)) for weight in weights]
        made[i] = ((2**21 + np.tensordot(whole, pixels[first:last], axes=1)) >> 22).clip(0, 255)
    return made


def page_cropped(rgb: NDArray[np.uint8], steps: Preprocessing) -> NDArray[np.int64]:
    """H W 3 -> H W C, resized and cropped."""
    pixels = rgb.astype(np.int64)
    if len(steps.mean) == 1:
        pixels = (pixels @ np.array([19595, 38470, 7471]) + 32768 >> 16)[..., None]
    height, width = pixels.shape[:2]
    longer = steps.resize * max(height, width) // min(height, width)
    new = (longer, steps.resize) if height > width else (steps.resize, longer)
    height_first = new[0] < height and height - new[0] > 2 * (width - new[1])
    for axis in (0, 1) if height_first else (1, 0):
        if new[axis] != pixels.shape[axis]:
            moved = resized_along(pixels.swapaxes(0, axis), new[axis], steps.interpolation)
            pixels = moved.swapaxes(0, axis)
    for axis, wanted in enumerate(steps.crop):
        had = pixels.shape[axis]
        if had < wanted:
            before = (wanted - had) // 2
            around = [(0, 0)] * 3
            around[axis] = (before, wanted - had - before)
            pixels = np.pad(pixels, around)
        else:
            whole, half = divmod(had - wanted, 2)
            start = whole + (half and whole % 2)
            pixels = pixels[start : start + wanted] if axis == 0 else pixels[:, start : start + wanted]
    return pixels


def page_input(cropped: NDArray[np.int64], steps: Preprocessing) -> NDArray[np.float32]:
    """H W C -> C H W."""
    scaled = cropped.astype(np.float32) / np.float32(255)
    return ((scaled - np.float32(steps.mean)) / np.float32(steps.std)).transpose(2, 0, 1)


def steps_of(rng: np.random.Generator, resize: int, interpolation: Interpolation) -> Preprocessing:
    crop = (max(1, resize + int(rng.integers(-9, 10))), max(1, resize + int(rng.integers(-9, 10))))
    grey = rng.random() < 0.25
    mean, std = ([0.1307], [0.3081]) if grey else ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    return Preprocessing(resize=resize, crop=crop, mean=mean, std=std, interpolation=interpolation)


def assert_as_the_page_says(image: Image.Image, steps: Preprocessing) -> None:
    cropped = page_cropped(np.asarray(image), steps)
    assert np.array_equal(cropped, cropped_pixels(image, steps)), (image.size, steps)
    assert np.array_equal(page_input(cropped, steps), preprocess(image, steps)), (image.size, steps)


def test_two_hundred_photos_become_the_same_input_by_the_page_s_rules():
    rng = np.random.default_rng(19)
    photo = read_image(f"{matplotlib.get_data_path()}/sample_data/grace_hopper.jpg")
    for number in range(200):
        width, height = (int(rng.integers(8, 200)) for _ in range(2))
        left, top = int(rng.integers(0, 512 - width)), int(rng.integers(0, 600 - height))
        part = photo.crop((left, top, left + width, top + height))
        interpolation = INTERPOLATIONS[number % len(INTERPOLATIONS)]
        assert_as_the_page_says(part, steps_of(rng, int(rng.integers(5, 40)), interpolation))


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (4000, 3), (3, 333), (2, 2), (161, 97)], ids=str)
def test_hostile_sizes_become_the_same_input_by_the_page_s_rules(size: tuple[int, int], interpolation: Interpolation):
    rng = np.random.default_rng(sum(size))
    # Black and white alone: what a filter overshoots is clipped.
    noise = Image.fromarray((rng.integers(0, 2, (size[1], size[0], 3)) * 255).astype(np.uint8))
    assert_as_the_page_says(noise, steps_of(rng, 17, interpolation))


def test_a_pass_in_the_other_order_would_be_noticed():
    rng = np.random.default_rng(5)
    tall = Image.fromarray(rng.integers(0, 256, (200, 60, 3), dtype=np.uint8))
    steps = Preprocessing(resize=30, crop=(100, 30), mean=[0.5] * 3, std=[0.5] * 3)
    pixels = np.asarray(tall).astype(np.int64)
    by_height = resized_along(pixels, 100, "bilinear")
    by_width = resized_along(pixels.swapaxes(0, 1), 30, "bilinear").swapaxes(0, 1)
    right = resized_along(by_height.swapaxes(0, 1), 30, "bilinear").swapaxes(0, 1)
    wrong = resized_along(by_width, 100, "bilinear")
    assert np.array_equal(cropped_pixels(tall, steps), right)
    assert not np.array_equal(right, wrong)


# Decoding


def saved(image: Image.Image, kind: str, **options: object) -> io.BytesIO:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream


def as_read(tmp_path, stream: io.BytesIO) -> NDArray[np.int64]:
    file = tmp_path / "photo"
    file.write_bytes(stream.getvalue())
    return np.asarray(read_image(file)).astype(np.int64)


def test_every_opacity_of_every_value_is_put_on_white_as_the_page_says(tmp_path):
    value, opacity = np.mgrid[0:256, 0:256]
    pixels = np.stack([value, value[::-1], np.full_like(value, 128), opacity], axis=2).astype(np.uint8)
    t = 128 * (pixels[..., :3].astype(np.int64) * opacity[..., None] + 255 * (255 - opacity[..., None])) + 16384
    assert np.array_equal(as_read(tmp_path, saved(Image.fromarray(pixels), "png")), ((t >> 8) + t) >> 15)


def test_cmyk_becomes_rgb_as_the_page_says(tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (256, 256, 4), dtype=np.uint8)
    stream = saved(Image.fromarray(pixels, "CMYK"), "tiff")
    k = 255 - pixels[..., 3:].astype(np.int64)
    t = pixels[..., :3] * k + 128
    assert np.array_equal(as_read(tmp_path, stream), (k - (((t >> 8) + t) >> 8)).clip(0))


def test_grey_of_16_bits_becomes_8_as_the_page_says(tmp_path):
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    expected = np.repeat(((values.astype(np.int64) + 128) // 257)[..., None], 3, axis=2)
    assert np.array_equal(as_read(tmp_path, saved(Image.fromarray(values), "png")), expected)


TURNED = {
    1: lambda rows: rows,
    2: lambda rows: rows[:, ::-1],
    3: lambda rows: rows[::-1, ::-1],
    4: lambda rows: rows[::-1],
    5: lambda rows: rows.swapaxes(0, 1),
    6: lambda rows: np.rot90(rows, -1),
    7: lambda rows: rows.swapaxes(0, 1)[::-1, ::-1],
    8: lambda rows: np.rot90(rows, 1),
    9: lambda rows: rows,
}


@pytest.mark.parametrize("orientation", TURNED)
def test_exif_turns_a_photo_as_the_page_says(tmp_path, orientation):
    rows = np.random.default_rng(1).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[274] = orientation
    found = as_read(tmp_path, saved(Image.fromarray(rows), "png", exif=exif))
    assert np.array_equal(found, TURNED[orientation](rows))


@pytest.mark.parametrize(("bits", "factor"), [(1, 255), (2, 85), (4, 17)])
def test_grey_of_few_bits_is_spread_as_the_page_says(tmp_path, bits, factor):
    values = np.arange(2**bits)
    found = as_read(tmp_path, png_of(values.reshape(1, -1), bits, kind=0))
    assert np.array_equal(found[0, :, 0], values * factor)


def test_rgb_of_16_bits_loses_the_lower_8_as_the_page_says(tmp_path):
    values = np.random.default_rng(2).integers(0, 65536, (4, 5 * 3))
    assert np.array_equal(as_read(tmp_path, png_of(values, 16, kind=2)), values.reshape(4, 5, 3) // 256)


def test_grey_of_16_bits_with_transparency_loses_the_lower_8_as_the_page_says(tmp_path):
    values = np.random.default_rng(3).integers(0, 65536, (4, 5, 2))
    values[..., 1] = 65535
    found = as_read(tmp_path, png_of(values.reshape(4, -1), 16, kind=4))
    assert np.array_equal(found[..., 0], values[..., 0] // 256)


def test_cmyk_in_a_jpeg_with_adobe_s_marker_is_turned_back_as_the_page_says(tmp_path):
    ink = np.full((16, 16, 4), (200, 30, 90, 60), np.uint8)
    stream = saved(Image.fromarray(ink, "CMYK"), "jpeg", quality=100)  # which Pillow writes inverted
    assert b"Adobe" in stream.getvalue()
    k = 255 - ink[..., 3:].astype(np.int64)
    t = ink[..., :3] * k + 128
    assert np.abs(as_read(tmp_path, stream) - (k - (((t >> 8) + t) >> 8)).clip(0)).max() <= 2


def test_a_transparent_colour_becomes_white_as_the_page_says(tmp_path):
    rows = np.zeros((1, 3, 3), np.uint8)
    rows[0, 1] = (10, 20, 30)
    stream = saved(Image.fromarray(rows), "png", transparency=(10, 20, 30))
    assert as_read(tmp_path, stream)[0].tolist() == [[0, 0, 0], [255, 255, 255], [0, 0, 0]]


def png_of(samples: NDArray[np.int64], bits: int, kind: int) -> io.BytesIO:
    """Return a PNG of rows of samples, which Pillow itself doesn't write in all depths."""
    import struct
    import zlib

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b""
    for row in samples:
        text = "".join(format(int(each), f"0{bits}b") for each in row)
        text += "0" * (-len(text) % 8)
        rows += b"\0" + bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))
    width = samples.shape[1] // {0: 1, 2: 3, 4: 2}[kind]
    head = struct.pack(">IIBBBBB", width, samples.shape[0], bits, kind, 0, 0, 0)
    return io.BytesIO(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
