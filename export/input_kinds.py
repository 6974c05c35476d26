"""Inputs that exercise a model, as arrays: a strong ramp, values of a range, a photo, odd sizes."""

import math
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from runtime.artifact.manifest import Preprocessing

__all__ = [
    "DRAWN",
    "ODD_STEPS",
    "STRONGEST",
    "STRONG_NOISE",
    "are_alike",
    "batch_of",
    "black_and_white",
    "photo",
    "photo_pixels",
    "prime_above",
    "ramped",
    "within_range",
]

STRONG_NOISE = "strong noise"
DRAWN = frozenset({"noise", STRONG_NOISE, "a photo", "the example's range", "values of a range"})
"""What inputs are called that nobody gave."""
_SEVERAL = "a batch of "
STRONGEST = (32.0, 4.0)
"""Times the noise, at one edge of the image; at the other it is as much weaker. The second where the first
overflows."""
ODD_STEPS = ((3, 21), (21, 3))
"""By how many pixels, at least, an odd size is higher and wider than the example."""
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_AT_AN_END = 0.1
"""The share of values at either end of the example's range."""


def batch_of(images: int) -> str:
    """Return what an input is called that only tries another batch."""
    return f"{_SEVERAL}{images}"


def are_alike(one: str, other: str) -> bool:
    """Return whether recorded inputs of these names are of the same kind: noise of any batch, or each a user's own."""
    kinds = [name if name in DRAWN else "noise" if name.startswith(_SEVERAL) else "" for name in (one, other)]
    return kinds[0] == kinds[1]


def ramped(array: NDArray[Any], strongest: float) -> NDArray[Any]:
    """Return an array whose values are multiplied by 1 / strongest at one end of its last axis to strongest at the
    other.
    """
    exponents = np.linspace(-1, 1, array.shape[-1])
    return (array.astype(np.float64) * strongest**exponents).astype(array.dtype)


def within_range(array: NDArray[Any]) -> NDArray[Any]:
    """Return values between an array's lowest and highest, some of them at the ends."""
    wide = array.astype(np.float64)
    drawn = np.random.default_rng(4).random(array.shape)
    stretched = ((drawn - _AT_AN_END) / (1 - 2 * _AT_AN_END)).clip(0, 1)
    low, high = wide.min(), wide.max()
    return np.asarray(low + (high - low) * stretched).astype(array.dtype)


def photo(image: NDArray[Any], preprocessing: Preprocessing | None, *, normalised: bool) -> NDArray[Any] | None:
    """Return matplotlib's photo as N C H W like `image`: normalised, or from 0 to 1 or 255 as that; None if that is no
    image.
    """
    if image.ndim != 4 or image.shape[1] not in (1, 3):
        return None
    channels, height, width = image.shape[1:]
    pixels = photo_pixels(height, width, channels).transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    if preprocessing is not None or normalised:
        known = preprocessing.normalisation if preprocessing else None
        mean, std = (known.mean, known.std) if known else (each[:channels] for each in _IMAGENET)
        pixels = (pixels - np.asarray(mean, np.float32)[:, None, None]) / np.asarray(std, np.float32)[:, None, None]
    elif image.max() > 2:
        pixels = pixels * 255
    return np.ascontiguousarray(np.broadcast_to(pixels, image.shape)).astype(image.dtype)


def photo_pixels(height: int, width: int, channels: int) -> NDArray[np.uint8]:
    """Return matplotlib's photo, H W C, grey for one channel."""
    # A quarter of a second, which a model of no images doesn't need.
    import matplotlib

    file = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    with Image.open(file) as opened:
        fitted = ImageOps.fit(opened.convert("L" if channels == 1 else "RGB"), (width, height))
    return np.asarray(fitted).reshape(height, width, channels)


def black_and_white(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the strongest pixels: each as its nearest end, 0 or 255."""
    return np.where(pixels > 127, np.uint8(255), np.uint8(0))


def prime_above(number: int) -> int:
    """Return the next prime number."""
    return next(each for each in count(number + 1) if all(each % factor for factor in range(2, math.isqrt(each) + 1)))
