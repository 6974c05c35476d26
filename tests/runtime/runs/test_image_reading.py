"""Reading image files: what a viewer would show of each kind, and what a user is told where it can't be read."""

import os
import struct
import warnings
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from runtime.artifact.errors import ImageError
from runtime.runs.image_reading import read_image

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)
GREY_RAMP = np.array([[0, 1, 200, 257], [4_096, 30_000, 65_278, 65_535]], dtype=np.uint16)
GREY_RAMP_8_BIT = [[0, 0, 1, 1], [16, 117, 254, 255]]


def scene(width: int = 6, height: int = 4) -> Image.Image:
    """An image that differs in every pixel, so that no rotation of it equals another."""
    red, green = np.meshgrid(np.arange(width) * 20, np.arange(height) * 30)
    return Image.fromarray(np.stack([red, green, red + green], axis=-1).astype(np.uint8))


def orientation(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = value
    return exif


def raw_exif(*entries: tuple[int, int, int, bytes]) -> bytes:
    """An EXIF block of (tag, type, count, four value bytes), also of such as Pillow would not write."""
    packed = b"".join(struct.pack("<HHI4s", *entry) for entry in entries)
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + packed + b"\0\0\0\0"


def png_header(width: int, height: int) -> bytes:
    """A PNG file that promises pixels and holds none."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"")
    chunks = [struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)) for body in (header, data)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def pixels(image: Image.Image) -> NDArray[np.uint8]:
    assert image.mode == "RGB"
    return np.asarray(image)


def refusal(path: Path) -> str:
    """The message a user reads; every one of them names the file in at most two lines."""
    with pytest.raises(ImageError) as caught:
        read_image(path)
    message = str(caught.value)
    assert str(path) in message
    assert len(message.splitlines()) <= 2
    assert caught.value.exit_code == 3
    return message


# What a viewer shows


@pytest.mark.parametrize("suffix", ["bmp", "gif", "jp2", "jpg", "pgm", "png", "ppm", "tif", "webp"])
def test_an_image_of_one_pixel_is_read_in_every_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"pixel.{suffix}"
    Image.new("L" if suffix == "pgm" else "RGB", (1, 1), "white").save(path)

    assert pixels(read_image(path)).tolist() == [[[255, 255, 255]]]


def test_a_plain_colour_image_keeps_every_pixel(tmp_path: Path) -> None:
    scene().save(tmp_path / "scene.png")

    assert np.array_equal(pixels(read_image(tmp_path / "scene.png")), np.asarray(scene()))


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("value", range(1, 9))
def test_a_photo_is_turned_as_its_exif_orientation_says(tmp_path: Path, value: int, suffix: str) -> None:
    path = tmp_path / f"photo.{suffix}"
    scene().save(path, exif=orientation(value))
    with Image.open(path) as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored).convert("RGB"))
    assert expected.shape[:2] == ((4, 6) if value < 5 else (6, 4))

    assert np.array_equal(pixels(read_image(path)), expected)


def test_a_photo_taken_with_the_phone_upright_stands_upright(tmp_path: Path) -> None:
    # EXIF 2.32: in orientation 6 the stored top row is the right side of the scene.
    lying = Image.new("RGB", (64, 32), BLUE)
    lying.paste(RED, (0, 0, 64, 16))
    lying.save(tmp_path / "photo.png", exif=orientation(6))

    upright = read_image(tmp_path / "photo.png")

    assert upright.size == (32, 64)
    assert upright.getpixel((31, 5)) == RED
    assert upright.getpixel((0, 5)) == BLUE


def test_a_photo_that_was_turned_is_not_turned_again_by_the_next_reader(tmp_path: Path) -> None:
    scene().save(tmp_path / "photo.jpg", exif=orientation(6))

    image = read_image(tmp_path / "photo.jpg")

    assert ImageOps.exif_transpose(image).size == image.size == (4, 6)


def test_a_photo_whose_exif_block_is_badly_written_is_turned_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    width_as_text, turned = (0x100, 2, 4, b"abc\0"), (0x112, 3, 1, b"\6\0\0\0")
    scene().save(path, exif=raw_exif(width_as_text, turned))
    with Image.open(path) as stored, pytest.raises(struct.error):
        ImageOps.exif_transpose(stored)

    assert read_image(path).size == (4, 6)


def test_a_photo_whose_exif_block_is_damaged_is_shown_as_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    scene().save(path, exif=b"Exif\0\0not a TIFF header")
    with Image.open(path) as stored, pytest.raises(SyntaxError):
        stored.getexif()

    assert np.array_equal(pixels(read_image(path)), np.asarray(scene()))


def test_grey_images_become_equal_channels(tmp_path: Path) -> None:
    levels = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
    Image.fromarray(levels).save(tmp_path / "grey.png")

    assert np.array_equal(pixels(read_image(tmp_path / "grey.png")), np.stack([levels] * 3, axis=-1))


def test_black_and_white_images_become_black_and_white(tmp_path: Path) -> None:
    image = Image.new("1", (2, 1), 0)
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "fax.png")

    assert pixels(read_image(tmp_path / "fax.png")).tolist() == [[list(BLACK), list(WHITE)]]


@pytest.mark.parametrize("suffix", ["gif", "png"])
def test_palette_images_show_their_colours(tmp_path: Path, suffix: str) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *BLUE])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / f"palette.{suffix}")

    assert pixels(read_image(tmp_path / f"palette.{suffix}")).tolist() == [[list(RED), list(BLUE)]]


@pytest.mark.parametrize("transparency", [1, b"\xff\x00"], ids=["one index", "alpha for each index"])
def test_what_is_transparent_in_a_palette_lies_on_white(tmp_path: Path, transparency: int | bytes) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *BLUE])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "sticker.png", transparency=transparency)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pixels(read_image(tmp_path / "sticker.png")).tolist() == [[list(RED), list(WHITE)]]


@pytest.mark.parametrize(
    ("mode", "colours", "expected"),
    [
        ("RGBA", [(255, 0, 0, 255), (255, 0, 0, 0), (0, 0, 0, 128)], [RED, WHITE, (127, 127, 127)]),
        ("LA", [(100, 255), (100, 0), (0, 128)], [(100, 100, 100), WHITE, (127, 127, 127)]),
    ],
)
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_transparent_images_lie_on_white(
    tmp_path: Path, mode: str, colours: list[tuple[int, ...]], expected: list[tuple[int, ...]], suffix: str
) -> None:
    image = Image.new(mode, (3, 1))
    image.putdata(colours)
    image.save(tmp_path / f"logo.{suffix}")

    assert pixels(read_image(tmp_path / f"logo.{suffix}")).tolist() == [[list(colour) for colour in expected]]


@pytest.mark.parametrize(("mode", "key", "other"), [("RGB", GREEN, RED), ("L", 7, 100)])
def test_a_colour_that_stands_for_transparent_becomes_white(
    tmp_path: Path, mode: str, key: tuple[int, ...] | int, other: tuple[int, ...] | int
) -> None:
    image = Image.new(mode, (2, 1), other)
    image.putpixel((1, 0), key)
    image.save(tmp_path / "keyed.png", transparency=key)

    shown = read_image(tmp_path / "keyed.png")

    assert shown.getpixel((0, 0)) == (RED if mode == "RGB" else (100, 100, 100))
    assert shown.getpixel((1, 0)) == WHITE


@pytest.mark.parametrize("suffix", ["jp2", "pgm", "png", "tif"])
def test_16_bit_grey_is_scaled_and_not_clipped(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"scan.{suffix}"
    Image.fromarray(GREY_RAMP).save(path)
    with Image.open(path) as stored:
        clipped = np.asarray(stored.convert("L"))
    assert (clipped == 255).sum() > 1, "Pillow's own conversion scales by now: is ours still needed?"

    shown = pixels(read_image(path))

    assert shown[..., 0].tolist() == GREY_RAMP_8_BIT
    assert np.array_equal(shown, np.stack([shown[..., 0]] * 3, axis=-1))


def test_16_bit_grey_is_read_in_either_byte_order(tmp_path: Path) -> None:
    Image.fromarray(GREY_RAMP.astype(">u2")).save(tmp_path / "motorola.tif")
    with Image.open(tmp_path / "motorola.tif") as stored:
        assert stored.mode == "I;16B"

    assert pixels(read_image(tmp_path / "motorola.tif"))[..., 0].tolist() == GREY_RAMP_8_BIT


def test_the_transparent_level_of_16_bit_grey_becomes_white(tmp_path: Path) -> None:
    Image.fromarray(GREY_RAMP).save(tmp_path / "scan.png", transparency=30_000)

    assert pixels(read_image(tmp_path / "scan.png"))[..., 0].tolist() == [[0, 0, 1, 1], [16, 255, 254, 255]]


def test_16_bit_grey_is_turned_too(tmp_path: Path) -> None:
    Image.fromarray(GREY_RAMP).save(tmp_path / "scan.png", exif=orientation(3))

    assert pixels(read_image(tmp_path / "scan.png"))[::-1, ::-1, 0].tolist() == GREY_RAMP_8_BIT


def test_print_colours_become_screen_colours(tmp_path: Path) -> None:
    image = Image.new("CMYK", (3, 1))
    image.putdata([(0, 0, 0, 0), (0, 255, 255, 0), (0, 0, 0, 255)])
    image.save(tmp_path / "print.tif")

    assert pixels(read_image(tmp_path / "print.tif")).tolist() == [[list(WHITE), list(RED), list(BLACK)]]


def test_a_cmyk_jpeg_is_not_inverted(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "print.jpg", quality=95)

    assert np.allclose(pixels(read_image(tmp_path / "print.jpg")), RED, atol=4)


@pytest.mark.parametrize("suffix", ["gif", "png", "tif", "webp"])
def test_of_an_animation_the_first_frame_is_read(tmp_path: Path, suffix: str) -> None:
    first, second = Image.new("RGB", (5, 3), BLACK), Image.new("RGB", (5, 3), WHITE)
    path = tmp_path / f"film.{suffix}"
    first.save(path, save_all=True, append_images=[second])
    with Image.open(path) as film:
        assert film.n_frames == 2

    assert pixels(read_image(path)).max() == 0


def test_the_picture_outlives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "scene.tif"
    scene().save(path)
    image = read_image(path)
    path.unlink()

    assert np.array_equal(pixels(image), np.asarray(scene()))


# What a user is told


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "no file" in refusal(tmp_path / "holiday.jpg")


def test_a_folder_in_place_of_a_file_is_told_apart(tmp_path: Path) -> None:
    assert "is a folder" in refusal(tmp_path)


def test_an_empty_file_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()

    assert "empty" in refusal(tmp_path / "empty.png")


def test_a_file_that_is_no_image_is_told_by_how_it_starts(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_text("<!DOCTYPE html><title>404")

    assert "not an image" in refusal(path)
    assert "<!DOCTYPE html>" in refusal(path)


@pytest.mark.parametrize("suffix", ["bmp", "gif", "jpg", "png", "ppm", "webp"])
def test_a_file_that_is_cut_off_is_refused_rather_than_half_read(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, size=(64, 64, 3), dtype=np.uint8)
    path = tmp_path / f"photo.{suffix}"
    Image.fromarray(noise).save(path)
    whole = path.read_bytes()
    assert read_image(path).size == (64, 64)
    path.write_bytes(whole[: len(whole) // 2])

    assert "damaged" in refusal(path)


def test_wrong_bytes_are_refused_whatever_the_decoder_raises(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    noise = np.random.default_rng(0).integers(0, 256, size=(64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    data = bytearray(path.read_bytes())
    chunk = data.index(b"IDAT")
    data[chunk - 4 : chunk] = struct.pack(">I", 8)  # the chunk's length, far too short
    path.write_bytes(data)
    with Image.open(path) as broken, pytest.raises(SyntaxError):
        broken.load()

    assert "damaged" in refusal(path)


def test_a_file_that_can_not_be_opened_is_told_with_the_system_s_reason(tmp_path: Path) -> None:
    path = tmp_path / "loop.jpg"
    path.symlink_to(path)

    assert "can't be opened" in refusal(path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may read every file")
def test_a_file_without_permission_is_told(tmp_path: Path) -> None:
    path = tmp_path / "private.png"
    scene().save(path)
    path.chmod(0)

    assert "permission" in refusal(path).lower()


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.ones((2, 2), dtype=np.float32), "mode F"),
        (np.array([[0, 70_000]], dtype=np.int32), "from 0 to 70000"),
        (np.array([[-5, 3]], dtype=np.int32), "from -5 to 3"),
    ],
    ids=["floats", "32-bit", "negative"],
)
def test_pixels_without_a_range_are_refused_rather_than_guessed(
    tmp_path: Path, array: NDArray[np.float32], found: str
) -> None:
    Image.fromarray(array).save(tmp_path / "heights.tif")

    assert found in refusal(tmp_path / "heights.tif")


@pytest.mark.parametrize(
    ("side", "count"), [(10_000, "100,000,000"), (20_000, "400,000,000")], ids=["Pillow warns", "Pillow raises"]
)
def test_a_decompression_bomb_is_refused_by_its_header(tmp_path: Path, side: int, count: str) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(side, side))

    message = refusal(path)

    assert count in message
    assert f"{Image.MAX_IMAGE_PIXELS:,}" in message


def test_the_limit_of_pixels_is_pillow_s_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "scene.png"
    scene(6, 4).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 24)
    assert read_image(path).size == (6, 4)

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 23)
    assert "24 pixels" in refusal(path)
    assert "the limit is 23" in refusal(path)

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert read_image(path).size == (6, 4)


def test_the_cause_is_chained(tmp_path: Path) -> None:
    scene(64, 64).save(tmp_path / "photo.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "photo.png").read_bytes()[:60])
    for path in (tmp_path / "cut.png", tmp_path / "missing.png"):
        with pytest.raises(ImageError) as caught:
            read_image(path)
        assert isinstance(caught.value.__cause__, OSError)


def encoded(suffix: str) -> bytes:
    stream = BytesIO()
    scene(16, 12).save(stream, suffix, exif=orientation(6))
    return stream.getvalue()


def test_what_libtiff_writes_past_python_is_not_seen(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "packed.tif"
    scene(60, 40).save(file, compression="tiff_lzw")
    content = bytearray(file.read_bytes())
    content[40:80] = b"\xff" * 40
    file.write_bytes(content)
    with Image.open(file) as picture, pytest.raises(OSError, match="-2"):
        picture.load()
    assert "Using code not yet in table" in capfd.readouterr().err
    with pytest.raises(ImageError, match="can't be decoded"):
        read_image(file)
    os.write(2, b"what others write is seen")
    assert capfd.readouterr().err == "what others write is seen"


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged") / "photo"


@pytest.mark.filterwarnings("ignore::UserWarning")
@given(
    whole=st.sampled_from([encoded("jpeg"), encoded("png"), encoded("webp")]),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
    kept=st.floats(0, 1),
)
@settings(max_examples=150, deadline=None)
def test_whatever_is_damaged_a_file_gives_a_picture_or_a_message(
    scratch: Path, whole: bytes, changes: list[tuple[float, int]], kept: float
) -> None:
    data = bytearray(whole)
    for place, value in changes:
        data[int(place * len(data))] = value
    scratch.write_bytes(data[: int(kept * len(data))])

    try:
        outcome = read_image(scratch).mode
    except ImageError as error:
        outcome = str(error)

    assert outcome == "RGB" or (str(scratch) in outcome and len(outcome.splitlines()) <= 2)
