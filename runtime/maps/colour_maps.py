"""Colours for the values of one feature map: the table of a named colour map, and its look-up.

Reading tensors, placing tiles and writing text is in `feature_grid.py`.
"""

import difflib
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import UsageError

__all__ = ["colour_map_image", "colour_table", "finite_values", "not_finite_colour", "table_of", "value_range"]

# matplotlib's own tables, copied: importing matplotlib takes 0.15 to 0.2 s, a third of what a cold `layerprobe grid`
# takes. A test compares each with the installed matplotlib's; `make colour-tables` regenerates them.
_TABLES = Path(__file__).with_name("colour_tables.npz")

AnyFloat = TypeVar("AnyFloat", bound=np.floating[Any])

_VIVID = np.array([[255, 0, 70], [0, 225, 255], [60, 255, 0], [255, 0, 255], [0, 0, 0], [128, 128, 128]], np.uint8)


def colour_table(name: str) -> NDArray[np.uint8]:
    """The colours of matplotlib's colour map `name`, from lowest to highest: levels x 3 (RGB), 256 levels for most.

    Raises:
        UsageError: matplotlib has no such colour map.
    """
    shipped = _shipped_table(name)
    if shipped is not None:
        return shipped
    # From a later matplotlib, or registered there by the caller. pyplot, which sets up a window system, is never
    # imported.
    from matplotlib import colormaps

    if name not in colormaps:
        near = difflib.get_close_matches(name.lower(), list(colormaps), n=4)
        hint = f"near names: {', '.join(near)}" if near else "for example: viridis, magma, cividis, gray"
        raise UsageError(f"There is no colour map {name!r} among matplotlib's {len(colormaps)}; {hint}.")
    return table_of(colormaps[name])


@lru_cache(maxsize=8)
def _shipped_table(name: str) -> NDArray[np.uint8] | None:
    with np.load(_TABLES) as tables:
        if name not in tables:
            return None
        table = np.asarray(tables[name], dtype=np.uint8)
    table.flags.writeable = False  # all callers share it
    return table


def table_of(colour_map: Any) -> NDArray[np.uint8]:
    """The colours of a matplotlib `Colormap`, from lowest to highest: levels x 3 (RGB)."""
    return np.asarray(colour_map(np.arange(colour_map.N), bytes=True), dtype=np.uint8)[:, :3]


def not_finite_colour(table: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The colour (3, RGB) for NaN and infinite values: of a few vivid ones, the furthest from any in `table`."""
    apart = np.abs(_VIVID[:, None].astype(int) - table[None].astype(int)).sum(axis=2).min(axis=1)
    return np.asarray(_VIVID[apart.argmax()])


def value_range(values: NDArray[np.floating]) -> tuple[float, float] | None:
    """The lowest and the highest finite value, or None where no value is finite."""
    finite = finite_values(values)
    return (float(finite.min()), float(finite.max())) if finite.size else None


def finite_values(values: NDArray[AnyFloat]) -> NDArray[AnyFloat]:
    """The finite values, in one dimension."""
    # A NaN is the lowest and the highest of all: where these are finite, as in nearly every map, nothing is copied.
    if values.size and np.isfinite(values.min()) and np.isfinite(values.max()):
        return values.ravel()
    finite: NDArray[AnyFloat] = values[np.isfinite(values)]
    return finite


def colour_map_image(
    values: NDArray[np.floating], table: NDArray[np.uint8], ends: tuple[float, float] | None = None
) -> NDArray[np.uint8]:
    """Colour `values` (H W) between two ends, by default their own: H W 3 (RGB), as matplotlib's `imshow` does.

    Values beyond the ends get the end's colour, a constant map the lowest one, and NaN and infinite values
    `not_finite_colour(table)`.
    """
    finite = np.isfinite(values)
    whole = bool(finite.all())
    low, high = ends or value_range(values) or (0.0, 0.0)
    # Halved, because the range itself may be larger than the largest float64; halving is exact.
    half_range = high / 2 - low / 2
    positions = ((values if whole else np.where(finite, values, low)) / 2 - low / 2) / (half_range or 1.0)
    image = table[np.clip(positions * len(table), 0, len(table) - 1).astype(np.intp)]
    if not whole:
        image[~finite] = not_finite_colour(table)
    return image
