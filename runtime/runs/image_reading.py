"""Image files as a photo viewer shows them: upright, in colour, without transparency, 8 bits per channel.

This is not the model's preprocessing: nothing is resized, cropped or normalised here.
"""

import re
import warnings
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from io import BufferedReader, BytesIO
from pathlib import Path
from threading import Lock
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from ..artifact.errors import ImageError
from ..artifact.native_stderr import native_stderr_closed
from .image_finding import no_such_path

__all__ = ["decode_image", "read_image", "readable_images", "upright_rgb"]

_TURN = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation to the transposition that undoes it."""
_EIGHT_BIT_MODES = frozenset({"1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"})
_ALPHA_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
_RUN_PROGRAMS = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "WMF"})
"""Formats that Pillow hands on: to Ghostscript, which runs PostScript, or to what another library has registered."""
_ONE_AT_A_TIME = Lock()
"""Around what changes the whole process, not the thread alone: what becomes of a warning, and where stderr goes."""
_SIDE_BY_SIDE = frozenset({"JPEG", "MPO", "PNG", "WEBP"})
"""Formats whose sizes are all in the header, which is checked; others' are checked once more as they are decoded."""
_SIXTEEN_BIT_MODES = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})


def read_image(path: str | Path) -> Image.Image:
    """Read one image file as an 8-bit RGB picture without metadata.

    EXIF rotation is applied, transparent images are put on white, an animation gives its first frame, and 16-bit grey
    is scaled to 8 bits, not clipped. Colour profiles are not applied, as in torchvision.

    Raises:
        ImageError: the file is missing, a folder, empty, damaged, not an image, has pixels without a defined range
            (32-bit integers, floats), or has more pixels than Pillow's decompression bomb limit. That limit is
            checked on the file's header, before pixels are decoded.
    """
    path = Path(path)
    if path.is_dir():
        raise ImageError(f"{path} is a folder, not an image file. Name a file in it.")
    if path.exists() and not path.is_file():
        raise ImageError(f"{path} is neither a file nor a folder. Name an image file.")
    try:
        stream = path.open("rb")
    except FileNotFoundError as error:
        raise no_such_path(path) from error
    except (OSError, ValueError) as error:
        raise ImageError(f"{path} can't be opened: {error}. Check the path and its permissions.") from error
    with stream:
        return _read_stream(stream, path)


def decode_image(content: bytes, name: str | Path) -> Image.Image:
    """Read the content of an image file as `read_image` does; `name` is what messages call it.

    Raises:
        ImageError: it is empty, damaged, or no image; as of `read_image`.
    """
    return _read_stream(BufferedReader(BytesIO(content)), Path(name))


def _read_stream(stream: BufferedReader, path: Path) -> Image.Image:
    start = stream.peek(16)[:16]
    if not start:
        raise ImageError(f"{path} is an empty file, not an image. Copy or download it again.")
    try:
        return _read_rgb(stream, path)
    except ImageError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise _too_many_pixels(path, error) from error
    except UnidentifiedImageError as error:
        raise ImageError(
            f"{path} is not an image that Pillow can read: it starts with {start!r}.\n"
            "Give a JPEG, PNG, WebP, TIFF, BMP or GIF; copy a damaged file again."
        ) from error
    except Exception as error:
        # On damaged files Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error and others.
        raise ImageError(
            f"{path} can't be decoded, it is damaged or truncated: {error or type(error).__name__}.\n"
            "Copy or download it again."
        ) from error


def upright_rgb(image: Image.Image) -> Image.Image:
    """Return a picture of Pillow's, which stays unchanged, as `read_image` would return it from a file.

    Raises:
        ImageError: it has pixels without a defined range.
    """
    picture = _as_rgb(_upright(image), Path("the picture"))
    picture.info.clear()
    return picture


def readable_images(files: Sequence[Path]) -> tuple[list[Path], dict[Path, str]]:
    """Return the images that can be read, and why each of the others can't: each is decoded, whole.

    Raises:
        ImageError: none can be read; it is the first one's.
    """
    read, broken = list[Path](), dict[Path, ImageError]()
    for file in files:
        try:
            read_image(file)
        except ImageError as error:
            broken[file] = error
        else:
            read.append(file)
    if broken and not read:
        raise next(iter(broken.values()))
    return read, {file: str(error) for file, error in broken.items()}


def _read_rgb(stream: IO[bytes], path: Path) -> Image.Image:
    with _header_read(stream) as image:
        image.load()
        picture = _as_rgb(_upright(image), path)
    picture.info.clear()  # otherwise the next reader of its EXIF block would rotate it again
    return picture


def _header_read(stream: IO[bytes]) -> Image.Image:
    """Open an image, and decode it unless that can be left to several threads at a time."""
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        image = _opened(stream)
        if image.format not in _SIDE_BY_SIDE:
            with native_stderr_closed() if image.format == "TIFF" else nullcontext():  # libtiff tells of damage there
                image.load()
    return image


def _opened(stream: IO[bytes]) -> Image.Image:
    """Open an image of a format that Pillow reads by itself."""
    # The usual ones first: importing the rest of forty takes a tenth of the time that drawing a photo's maps does.
    for import_formats in (Image.preinit, Image.init):
        import_formats()
        with suppress(UnidentifiedImageError):
            stream.seek(0)
            return Image.open(stream, formats=_formats())
    raise UnidentifiedImageError


def _formats() -> list[str]:
    return [name for name in Image.OPEN if name not in _RUN_PROGRAMS]


def _upright(image: Image.Image) -> Image.Image:
    # ImageOps.exif_transpose would do, but it also rewrites the EXIF block, and fails on a malformed one.
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # A viewer doesn't rotate a photo whose EXIF block is damaged; the decoders raise many types.
        return image
    return image.transpose(_TURN[orientation]) if orientation in _TURN else image


def _as_rgb(image: Image.Image, path: Path) -> Image.Image:
    if image.mode in _SIXTEEN_BIT_MODES or image.mode == "I":
        return _from_sixteen_bits(image, path)
    if image.mode not in _EIGHT_BIT_MODES | _ALPHA_MODES:
        raise _unsupported(path, f"mode {image.mode}")
    if not image.has_transparency_data:
        return image.convert("RGB")
    picture = image.convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture).convert("RGB")


def _from_sixteen_bits(image: Image.Image, path: Path) -> Image.Image:
    """Scale 0..65535 to 0..255, rounded. Pillow's own `convert` clips instead, which turns most of a photo white."""
    values = np.asarray(image)
    lowest, highest = int(values.min()), int(values.max())
    if lowest < 0 or highest > 65535:
        raise _unsupported(path, f"mode {image.mode} with values from {lowest} to {highest}")
    grey: NDArray[np.uint8] = ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey[values == transparent] = 255
    return Image.fromarray(grey).convert("RGB")


def _unsupported(path: Path, pixels: str) -> ImageError:
    return ImageError(
        f"{path} has pixels of {pixels}, without a defined range from black to white.\n"
        "Convert it to 8 or 16 bits per channel first."
    )


def _too_many_pixels(path: Path, error: Exception) -> ImageError:
    # Pillow's message quotes its doubled limit when it raises, and the plain one when it warns: only the count is kept.
    count = re.search(r"\d+", str(error))
    pixels = f"{int(count.group()):,}" if count else "too many"
    return ImageError(
        f"{path} has {pixels} pixels; the limit is {Image.MAX_IMAGE_PIXELS:,} (a decompression bomb?).\n"
        "Make it smaller, or raise PIL.Image.MAX_IMAGE_PIXELS if you trust it."
    )
