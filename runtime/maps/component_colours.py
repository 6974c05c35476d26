"""The colours of a tensor's first three principal components: the first is the brightness, the others are the hue.

In Oklab (Ottosson, 2020), in which equal steps look equally large: printed in grey, the picture is the first component.
Pixels of one colour have features that are alike. What the components are is in `principal_components.py`.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .colour_maps import colour_table, not_finite_colour

__all__ = ["HUED", "component_image", "hue_key", "table_of_scale"]

HUED = "brightness and hue"
"""In place of the name of a colour map."""
_DARKEST, _BRIGHTEST = 0.25, 0.93
_CHROMA, _MOST_CHROMA = 0.065, 0.16
"""Oklab's chroma of one standard deviation of a component; and the largest, which few screens show brighter."""
_KEY = 2.5
"""Standard deviations that the key shows in each direction."""
_CONES = np.array(
    [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.2914855480]]
)
_LINEAR = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)
"""From Oklab to the cones' responses, and from their cubes to linear sRGB, as published."""


def component_image(
    values: NDArray[np.float64], plane: NDArray[np.float64], ends: tuple[float, float]
) -> NDArray[np.uint8]:
    """Colour the first component, H W, between two ends, and the others, H W 2, around grey: H W 3 (RGB).

    Values beyond the ends get the end's brightness; where one isn't finite, the colour is that of `not_finite_colour`.
    """
    finite = np.isfinite(values)
    low, high = ends
    half = high / 2 - low / 2  # halved, because the range may be larger than the largest float64
    positions = np.clip((np.where(finite, values, low) / 2 - low / 2) / (half or 1.0), 0, 1)
    chroma = plane * _CHROMA
    radius = np.linalg.norm(chroma, axis=-1, keepdims=True)
    chroma = chroma * np.minimum(1.0, _MOST_CHROMA / np.maximum(radius, _MOST_CHROMA))
    lightness = _DARKEST + (_BRIGHTEST - _DARKEST) * positions
    image = _srgb(np.concatenate([lightness[..., None], chroma], axis=-1))
    image[~finite] = not_finite_colour(_brightness_table())
    return image


def table_of_scale(cmap: str) -> NDArray[np.uint8]:
    """Return the colours of a scale from its lowest to its highest value, levels x 3 (RGB).

    Raises:
        UsageError: there is no such colour map.
    """
    return _brightness_table() if cmap == HUED else colour_table(cmap)


@lru_cache(maxsize=1)
def _brightness_table() -> NDArray[np.uint8]:
    """The first component's colours where the others are 0: greys."""
    levels = np.linspace(_DARKEST, _BRIGHTEST, 256)
    return _srgb(np.stack([levels, 0 * levels, 0 * levels], axis=-1))


def hue_key() -> NDArray[np.uint8]:
    """Return the hues of the second and third component, around grey, where the first is in the middle: S S 3 (RGB).

    Which way either points is a tile's own, since hues are turned.
    """
    scores = np.linspace(-_KEY, _KEY, 33)
    plane = np.stack(np.meshgrid(scores, scores[::-1]), axis=-1)
    return component_image(np.zeros(plane.shape[:2]), plane, (-1.0, 1.0))


def _srgb(colours: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Oklab to sRGB in bytes, the last axis each; a colour that no screen shows is cut to what it does show."""
    linear = np.clip((colours @ _CONES.T) ** 3 @ _LINEAR.T, 0, 1)
    part = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(np.floor(part * 255 + 0.5), np.uint8)
