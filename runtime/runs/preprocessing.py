"""A photo as the model wants it: torchvision's Resize, CenterCrop, ToTensor and Normalize, without torchvision.

Equal to torchvision on PIL input to the last bit. Reading files is `image_reading.py`.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..artifact.errors import ImageError
from ..artifact.free_memory import free_bytes
from ..artifact.manifest import Preprocessing
from ..maps.photo import Photo
from .image_reading import read_image

__all__ = ["cropped_pixels", "preprocess", "preprocess_files", "scaled_pixels", "seen_photo"]


def preprocess(image: Image.Image, steps: Preprocessing) -> NDArray[np.float32 | np.uint8]:
    """Turn an RGB or grey 8-bit picture, as `read_image` returns it, into the model's input.

    Returns:
        C H W, normalised: `(scaled_pixels - mean) / std` for each channel; the pixels themselves, uint8, where the
        model normalises them.

    Raises:
        ImageError: the resized picture or the crop would have more pixels than Pillow's decompression bomb limit.
    """
    if steps.mean is None or steps.std is None:
        return cropped_pixels(image, steps).transpose(2, 0, 1)
    mean = np.asarray(steps.mean, dtype=np.float32)[:, None, None]
    std = np.asarray(steps.std, dtype=np.float32)[:, None, None]
    return (scaled_pixels(image, steps) - mean) / std


def scaled_pixels(image: Image.Image, steps: Preprocessing) -> NDArray[np.float32]:
    """Resize, crop and scale, but don't normalise: the colours that the model sees.

    Returns:
        C H W from 0 to 1. C is `steps.depth`: 3 is RGB, 1 is grey.

    Raises:
        ImageError: the resized picture or the crop would have more pixels than Pillow's decompression bomb limit.
    """
    pixels = cropped_pixels(image, steps).transpose(2, 0, 1)
    return np.ascontiguousarray(pixels).astype(np.float32) / np.float32(255)


def cropped_pixels(image: Image.Image, steps: Preprocessing) -> NDArray[np.uint8]:
    """Resize and crop only: integers, so that any language can compute the same to the bit.

    Returns:
        H W C, C as of `scaled_pixels`.

    Raises:
        ImageError: the resized picture or the crop would have more pixels than Pillow's decompression bomb limit.
    """
    picture = _center_cropped(_resized(_in_mode(image, steps), steps), steps)
    return np.asarray(picture).reshape(picture.height, picture.width, steps.depth)


def seen_photo(image: Image.Image, steps: Preprocessing, name: str) -> Photo:
    """Return a photo for pictures, with what the model sees of it: resized and cropped, not normalised.

    Args:
        image: as `read_image` returns it.
        steps: of the model (`Manifest.preprocessing`, or for another size `Manifest.image_input(size)[1]`).
        name: what to call it: the file's name.

    Raises:
        ImageError: as of `scaled_pixels`.
    """
    resized = _resized(_in_mode(image, steps), steps)
    height, width = steps.crop
    left, top = _crop_start(resized.width, width), _crop_start(resized.height, height)
    across, down = image.width / resized.width, image.height / resized.height
    return Photo(
        name,
        image if image.mode == "RGB" else image.convert("RGB"),
        np.asarray(_center_cropped(resized, steps).convert("RGB")),
        (left * across, top * down, (left + width) * across, (top + height) * down),
    )


def preprocess_files(
    paths: Sequence[str | Path], steps: Preprocessing, read: Callable[[str | Path], Image.Image] = read_image
) -> NDArray[np.float32 | np.uint8]:
    """Read and preprocess image files into one batch in the order of `paths`, N C H W or as the model has its axes.

    Args:
        paths: the files.
        steps: of the model.
        read: what reads a file, as `read_image` does.

    Raises:
        ImageError: a file, which the message names, can't be read or preprocessed; or the crop has more pixels than
            Pillow's decompression bomb limit, or all don't fit into the free memory.
    """
    _check_crop(steps)
    dtype = np.dtype(np.uint8 if steps.mean is None else np.float32)
    need, free = dtype.itemsize * len(paths) * steps.depth * math.prod(steps.crop), free_bytes()
    if free is not None and need > free:
        raise ImageError(
            f"{len(paths)} images of {steps.crop[0]} x {steps.crop[1]} take {need / 1e6:,.0f} MB; "
            f"{free / 1e6:,.0f} MB are free.\nGive fewer images at once, or use a smaller size."
        )
    batch = np.empty((len(paths), steps.depth, *steps.crop), dtype=dtype)
    for index, path in enumerate(paths):
        image = read(path)
        try:
            batch[index] = preprocess(image, steps)
        except ImageError as error:
            raise ImageError(f"{path}: {error}") from error
    return batch if steps.layout == "NCHW" else np.ascontiguousarray(batch.transpose(0, 2, 3, 1))


def _in_mode(image: Image.Image, steps: Preprocessing) -> Image.Image:
    mode = "L" if steps.depth == 1 else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _resized(picture: Image.Image, steps: Preprocessing) -> Image.Image:
    width, height = picture.size
    short, long = sorted(picture.size)
    # torchvision truncates here; rounding would give another size for every second image.
    new_long = int(steps.resize * long / short)
    new_size = (steps.resize, new_long) if width <= height else (new_long, steps.resize)
    if new_size == picture.size:
        return picture
    _check_size(new_size, f"An image of {width} x {height} pixels, resized so that its shorter side is {steps.resize},")
    filtered = Image.Resampling[steps.interpolation.upper()]
    # Pixels are rounded after the first pass, so its direction shows. Pillow 13 chooses it by this rule, and all before
    # shortened the rows first (pull request 9549): with each pass by itself, every version gives the same.
    rows_lost, columns_lost = height - new_size[1], width - new_size[0]
    height_first = rows_lost > max(0, 2 * columns_lost)
    return picture.resize((width, new_size[1]) if height_first else (new_size[0], height), filtered).resize(
        new_size, filtered
    )


def _center_cropped(picture: Image.Image, steps: Preprocessing) -> Image.Image:
    height, width = steps.crop
    if (width, height) == picture.size:
        return picture
    _check_crop(steps)
    left, top = _crop_start(picture.width, width), _crop_start(picture.height, height)
    # Outside the picture, Pillow's crop is zero, like torchvision's padding.
    return picture.crop((left, top, left + width, top + height))


def _crop_start(size: int, crop: int) -> int:
    """Where the crop starts on one axis; negative means padding, whose odd pixel torchvision puts at the end."""
    return round((size - crop) / 2) if size >= crop else -((crop - size) // 2)


def _check_crop(steps: Preprocessing) -> None:
    height, width = steps.crop
    _check_size((width, height), "The crop of the preprocessing")


def _check_size(size: tuple[int, int], what: str) -> None:
    width, height = size
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and width * height > limit:
        raise ImageError(
            f"{what} would be {width:,} x {height:,} = {width * height:,} pixels; the limit is {limit:,}.\n"
            "Crop the image closer to a square, or use a smaller size."
        )
