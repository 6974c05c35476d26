"""A photo in a picture: what the model saw of it, and a map over it, which shows where in the photo a layer responds.

Reading and preprocessing photos is in `runs/`; where a photo lies on a page is up to `map_page.py`.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .colour_maps import colour_map_image, colour_table, value_range
from .colour_scales import SEQUENTIAL

__all__ = ["Photo", "map_over_photo", "photo_with_map"]

_STRENGTH = 0.6
"""Of the map's colours. Of trained and fresh networks' maps, less loses the weak ones, more loses the photo's faces."""
_LUMA = np.array([0.299, 0.587, 0.114])
"""ITU-R BT.601, as of Pillow's grey."""
_DIMMED = 0.35
"""How much is left, over white, of what the model didn't see."""
_OUTLINE = np.array([255, 255, 255], np.uint8), np.array([28, 28, 28], np.uint8)
"""The crop's outline: light within, dark outside, so that it shows on any photo."""


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo and what the model saw of it. `runs.preprocessing.seen_photo` makes one of an image file."""

    name: str
    image: Image.Image
    """The whole photo, upright, in RGB. Millions of pixels: they become an array at the size that is drawn only."""
    seen: NDArray[np.uint8]
    """H W 3 (RGB): what is left after resize and crop, not normalised; grey where the model takes one channel."""
    region: tuple[float, float, float, float]
    """Where `seen` lies in `image`: left, top, right, bottom in the photo's pixels; beyond it where it was padded."""
    _scaled: dict[tuple[int, int], NDArray[np.uint8]] = field(default_factory=dict, init=False, repr=False)

    @property
    def detail(self) -> str:
        """The sizes, width first, as photo viewers say them: `224 × 224 of 640 × 480`."""
        seen, whole = (f"{width} × {height}" for height, width in map(self.shape, (False, True)))
        return f"{seen} of {whole}"

    def shape(self, whole: bool) -> tuple[int, int]:
        """Return height and width of the whole photo, or of what the model saw."""
        return (self.image.height, self.image.width) if whole else (self.seen.shape[0], self.seen.shape[1])

    @property
    def is_cropped(self) -> bool:
        """Whether the model saw less than the whole photo, by more than a pixel."""
        height, width = self.shape(whole=True)
        left, top, right, bottom = self.region
        return left >= 1 or top >= 1 or right <= width - 1 or bottom <= height - 1

    def scaled(self, size: tuple[int, int]) -> NDArray[np.uint8]:
        """Return a copy of the whole photo in another size, height and width; made once for all maps of a page."""
        if size not in self._scaled:
            image = self.image.resize(size[::-1], Image.Resampling.LANCZOS, reducing_gap=3.0)
            self._scaled.clear()
            self._scaled[size] = np.asarray(image)
        return self._scaled[size].copy()


def map_over_photo(
    photo: NDArray[np.uint8],
    values: NDArray[np.floating],
    *,
    ends: tuple[float, float] | None = None,
    cmap: str = SEQUENTIAL,
) -> NDArray[np.uint8]:
    """Show a map over the photo that it is of, as pixels of the photo's size.

    The photo is shown in grey, so that every colour is the map's own; its values, not their colours, are interpolated
    (bilinear).

    Args:
        photo: H W 3 (RGB), or what the model saw of it (`Photo.seen`), to which the map belongs.
        values: h w, of any size; it covers the whole of `photo`.
        ends: the values of the lowest and the highest colour; by default the map's own.
        cmap: a matplotlib colour map.

    Returns:
        H W 3 (RGB). Values that aren't finite have the colour `not_finite_colour`.

    Raises:
        UsageError: there is no such colour map.

    Example:
        `Pixels(x, y, width, height, map_over_photo(photo.seen, heat))`
    """
    height, width = photo.shape[:2]
    colours = colour_map_image(_resized_map(values, (height, width), ends), colour_table(cmap), (0.0, 1.0))
    grey = (photo @ _LUMA)[..., None]
    blended: NDArray[np.uint8] = np.rint(grey * (1 - _STRENGTH) + colours * _STRENGTH).astype(np.uint8)
    return blended


def photo_with_map(
    photo: Photo,
    size: tuple[int, int],
    values: NDArray[np.floating] | None = None,
    *,
    ends: tuple[float, float] | None = None,
    cmap: str = SEQUENTIAL,
) -> NDArray[np.uint8]:
    """Show the whole photo with a map over the region that the model saw, as pixels of a given size.

    Where the model saw a crop only, the rest is dimmed and the crop outlined.

    Args:
        photo: the photo.
        size: height and width of the pixels returned, in the photo's aspect ratio.
        values: h w, over `photo.region`; None for the photo alone, in colour.
        ends: as of `map_over_photo`.
        cmap: as of `map_over_photo`.

    Returns:
        H W 3 (RGB).

    Raises:
        UsageError: there is no such colour map.
    """
    height, width = size
    pixels = photo.scaled(size)
    left, top, right, bottom = _placed(photo, size)
    inside = _within((top, bottom), height), _within((left, right), width)
    if values is not None:
        # Padding, outside the photo, has its part of the map, too.
        canvas = np.zeros((bottom - top, right - left, 3), np.uint8)
        rows, columns = (
            slice(part.start - start, part.stop - start) for part, start in zip(inside, (top, left), strict=True)
        )
        canvas[rows, columns] = pixels[inside]
        pixels[inside] = map_over_photo(canvas, values, ends=ends, cmap=cmap)[rows, columns]
    if photo.is_cropped:
        kept = pixels[inside].copy()
        pixels = np.rint(255 - (255.0 - pixels) * _DIMMED).astype(np.uint8)
        pixels[inside] = kept
        _outline(pixels, (left, top, right, bottom))
    return pixels


def _resized_map(
    values: NDArray[np.floating], size: tuple[int, int], ends: tuple[float, float] | None
) -> NDArray[np.float32]:
    """A map as positions between its ends, 0 to 1, in another size; NaN where its nearest pixel isn't finite."""
    low, high = ends or value_range(values) or (0.0, 0.0)
    finite = np.isfinite(values)
    # Halved, because the range may be larger than the largest float64.
    half = high / 2 - low / 2
    positions = (np.where(finite, values, low) / 2 - low / 2) / (half or 1.0)
    height, width = size
    resized = Image.fromarray(np.clip(positions, 0, 1).astype(np.float32)).resize(
        (width, height), Image.Resampling.BILINEAR
    )
    found = np.array(resized)
    if not finite.all():
        mask = Image.fromarray(finite).resize((width, height), Image.Resampling.NEAREST)
        found[~np.asarray(mask)] = np.nan
    return found


def _placed(photo: Photo, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The region in pixels of the photo in another size."""
    down, across = (new / old for new, old in zip(size, photo.shape(whole=True), strict=True))
    left, top, right, bottom = photo.region
    left, right, top, bottom = round(left * across), round(right * across), round(top * down), round(bottom * down)
    return left, top, max(right, left + 1), max(bottom, top + 1)


def _within(ends: tuple[int, int], length: int) -> slice:
    return slice(min(max(ends[0], 0), length - 1), min(max(ends[1], 1), length))


def _outline(pixels: NDArray[np.uint8], region: tuple[int, int, int, int]) -> None:
    """Draw two frames, one in the other, on the edge of the region; an edge outside the photo isn't drawn."""
    height, width = pixels.shape[:2]
    for inset, ink in enumerate(reversed(_OUTLINE), -1):
        left, top, right, bottom = (edge + sign * inset for edge, sign in zip(region, (1, 1, -1, -1), strict=True))
        rows, columns = slice(max(top, 0), max(bottom, 0)), slice(max(left, 0), max(right, 0))
        for row in (top, bottom - 1):
            if 0 <= row < height:
                pixels[row, columns] = ink
        for column in (left, right - 1):
            if 0 <= column < width:
                pixels[rows, column] = ink
