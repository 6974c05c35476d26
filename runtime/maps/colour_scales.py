"""Which value of a map gets which colour: each map's own ends or one pair for all, clipped, symmetric around zero.

The colours themselves are in `colour_maps.py`.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .colour_maps import finite_values
from .grid_style import GridStyle

__all__ = [
    "DIVERGING",
    "FLAT",
    "LEAST_STRENGTH",
    "SEQUENTIAL",
    "ColourScale",
    "around_zero",
    "difference_scales",
    "is_flat",
    "own_scale",
    "range_text",
    "scales_of",
    "strengths_of",
    "with_power",
]

SEQUENTIAL, DIVERGING = "viridis", "RdBu_r"
_WHOLE_RANGE = GridStyle(clip=0)
_CLIPPED_BY_DEFAULT = 1.0
"""Percent of the pixels at either end."""
_FEWEST_PIXELS = 20
"""Of a map that is clipped by default: in a smaller one, a single pixel is a large part."""
_WASHED_OUT = 0.45
"""Of a map's range: if all but the clipped pixels lie within this part of it, those few take many of the colours. Of
50,000 normally distributed values, they lie within 0.5 of it."""
_MANY_PIXELS, _WASHED_OUT_FEW = 100, 0.3
"""With fewer pixels, what is clipped is one of them, and less is."""
_FAR = 0.2
"""Of a map's range: how far an end lies from the others that is clipped."""
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_PLAIN, _LEAST_POWER = range(-3, 5), -307
"""The powers of ten of numbers that are written without one; and the least by which a number can be divided."""

LEAST_STRENGTH, _SIMILAR = 1e-8, 1e-3
"""Of the widest range: what is no strength, and from which on ranges are similar."""
FLAT = 0.1
"""Of the largest value, that a map's colours span at least, or else it is nearly constant."""
_EDGE, _SMALLEST_EDGED = 0.07, 12
"""Of a map's side, what is its edge; and the shortest side of which that is a small part."""


@dataclass(frozen=True)
class ColourScale:
    """The colours of one map: the ends, and what lies beyond them and shares their colour."""

    low: float
    high: float
    cmap: str
    lowest: float
    highest: float
    pale: bool = False
    """Whether the colours are pale, since the map says little."""


def scales_of(
    maps: Sequence[NDArray[np.float64]], style: GridStyle, *, shared: bool, inner: bool = False
) -> list[ColourScale | None]:
    """Return each map's scale; None where no value is finite.

    Args:
        maps: H W each.
        style: what is chosen.
        shared: whether all have the same.
        inner: whether a map's edge, which is computed from padding, and its pixels farthest out share the ends'
            colours, unless something else is asked for.
    """
    found = _scales(maps, style, _scale, shared=shared)
    if not inner or shared or style.clip is not None or style.symmetric:
        return found
    return [_of_most(values, scale) for values, scale in zip(maps, found, strict=True)]


def _of_most(values: NDArray[np.float64], scale: ColourScale | None) -> ColourScale | None:
    """Return the scale of what is inside of a map's edge, less 1 % of these pixels, at least one, at either end."""
    edge = max(1, round(min(values.shape) * _EDGE)) if min(values.shape) >= _SMALLEST_EDGED else 0
    if scale is None:
        return None
    inside = finite_values(values[edge:-edge, edge:-edge] if edge else values)
    count = math.ceil(inside.size * _CLIPPED_BY_DEFAULT / 100)
    if inside.size < _FEWEST_PIXELS:
        return replace(scale, low=scale.lowest, high=scale.highest)
    ends = np.partition(inside, (0, count, inside.size - 1 - count, inside.size - 1))
    for left in (count, 0):
        low, high = float(ends[left]), float(ends[inside.size - 1 - left])
        if low < high:  # else the few are all there is to see
            return replace(scale, low=low, high=high)
    return replace(scale, low=scale.lowest, high=scale.highest)


def difference_scales(
    maps: Sequence[NDArray[np.float64]], style: GridStyle, *, shared: bool
) -> list[ColourScale | None]:
    """Return the scale of each difference of two maps: diverging, as far below 0 as above, whatever its signs are."""
    return _scales(maps, style, _difference_scale, shared=shared)


def is_flat(scale: ColourScale | None) -> bool:
    """Return whether the colours span little of the values: what is seen is nearly constant."""
    return scale is not None and scale.high / 2 - scale.low / 2 < FLAT * max(abs(scale.low), abs(scale.high)) / 2


def strengths_of(scales: Sequence[ColourScale | None]) -> list[float] | None:
    """Return how wide each range is beside the widest, on a scale of powers of ten from 0, for `LEAST_STRENGTH` of it
    or less, to 1; None where all are of a similar width.
    """
    spans = [each.high / 2 - each.low / 2 if each else 0.0 for each in scales]
    widest, narrowest = max(spans, default=0.0), min((each for each in spans if each), default=0.0)
    if not 0 < narrowest < _SIMILAR * widest:
        return None
    whole = -math.log10(LEAST_STRENGTH)
    return [max(1 + math.log10(each / widest) / whole, 0.0) if each / widest else 0.0 for each in spans]


def around_zero(scale: ColourScale | None) -> ColourScale | None:
    """Return the scale with colours that diverge from 0, as far below it as above."""
    if scale is None or not scale.low < 0 < scale.high:
        return scale
    end = max(-scale.low, scale.high)
    return replace(scale, low=-end, high=end, cmap=DIVERGING)


def own_scale(values: NDArray[np.float64]) -> ColourScale | None:
    """Return the scale from a map's lowest to its highest value; None where none is finite."""
    return _scale(finite_values(values), _WHOLE_RANGE)


def _scales(
    maps: Sequence[NDArray[np.float64]],
    style: GridStyle,
    scale_of: Callable[[NDArray[np.float64], GridStyle], ColourScale | None],
    *,
    shared: bool,
) -> list[ColourScale | None]:
    finite = [finite_values(values) for values in maps]
    if not shared:
        return [scale_of(values, style) for values in finite]
    one = scale_of(np.concatenate(finite), style) if finite else None
    return [one] * len(maps)


def _difference_scale(values: NDArray[np.float64], style: GridStyle) -> ColourScale | None:
    if not values.size:
        return None
    lowest, highest = float(values.min()) + 0.0, float(values.max()) + 0.0  # not -0
    low, high = _clipped(values, lowest, highest, style.clip)
    end = max(-low, high) or 1.0  # so that no difference has the colour of 0
    return ColourScale(-end, end, DIVERGING, lowest, highest)


def _scale(values: NDArray[np.float64], style: GridStyle) -> ColourScale | None:
    """The scale of finite values, in one dimension."""
    if not values.size:
        return None
    lowest, highest = float(values.min()) + 0.0, float(values.max()) + 0.0  # not -0
    low, high = _clipped(values, lowest, highest, style.clip)
    if style.symmetric and low < 0 < high:
        high = max(-low, high)
        return ColourScale(-high, high, style.cmap or DIVERGING, lowest, highest)
    return ColourScale(low, high, style.cmap or SEQUENTIAL, lowest, highest)


def _clipped(values: NDArray[np.float64], lowest: float, highest: float, clip: float | None) -> tuple[float, float]:
    percent = _CLIPPED_BY_DEFAULT if clip is None else clip
    count = math.ceil(values.size * percent / 100)
    if not count or 2 * count >= values.size or (clip is None and values.size < _FEWEST_PIXELS):
        return lowest, highest
    ends = np.partition(values, (count, values.size - 1 - count))
    low, high = float(ends[count]), float(ends[values.size - 1 - count])
    if low == high:  # the few are all there is to see
        return lowest, highest
    if clip is None:
        # Halved, because the range may be larger than the largest float64.
        inner = high / 2 - low / 2
        whole = highest / 2 - lowest / 2
        washed_out, far = (_WASHED_OUT, _FAR * whole) if values.size >= _MANY_PIXELS else (_WASHED_OUT_FEW, inner)
        if inner >= washed_out * whole:
            return lowest, highest
        # An end that is near the others stays: a map with one peak keeps its darkest pixels apart.
        return (
            low if low / 2 - lowest / 2 > far else lowest,
            high if highest / 2 - high / 2 > far else highest,
        )
    return low, high


def range_text(scale: ColourScale, *, short: bool = False, marks: bool = True) -> tuple[str, str]:
    """Return the ends as `−30 … −0.25` and `1.5`, with as many digits as tell them apart; equal for a constant.

    In short, `≤ −0.25`: how far what shares the end's colour lies isn't said; and both have as many decimals. Without
    marks, nothing is said of it.
    """
    if scale.lowest == scale.highest:
        return (f"{scale.lowest:.4g}".replace("-", "−"),) * 2
    low, high = (_in_one_form if short else _apart)(scale.low, scale.high)
    if marks and scale.lowest < scale.low:
        low = f"≤ {low}" if short else f"{scale.lowest:.3g} … {low}"
    if marks and scale.highest > scale.high:
        high = f"≥ {high}" if short else f"{high} … {scale.highest:.3g}"
    return (with_power(low), with_power(high)) if short else (low.replace("-", "−"), high.replace("-", "−"))


def with_power(text: str) -> str:
    """Return a number as it is set in print: `−3.69·10⁻⁷` for `-3.69e-07`."""
    digits, _, power = text.partition("e")
    raised = f"·10{str(int(power)).translate(_RAISED)}" if power else ""
    return digits.replace("-", "−") + raised


def _apart(low: float, high: float) -> tuple[str, str]:
    """Return two numbers with as many digits as tell them apart, at least 3."""
    texts = ((f"{low:.{digits}g}", f"{high:.{digits}g}") for digits in range(3, 18))
    return next(pair for pair in texts if pair[0] != pair[1])


def _in_one_form(low: float, high: float) -> tuple[str, str]:
    """Return the same with as many decimals, of one power of ten: `-0.0200` and `0.0249`, `0.80e-4` and `2.44e-4`."""
    power = max(int(f"{max(abs(low), abs(high)):.2e}".partition("e")[2]), _LEAST_POWER)
    decimals, unit, suffix = (2 - power, 1.0, "") if power in _PLAIN else (2, float(f"1e{power}"), f"e{power}")

    def text(end: float, decimals: int) -> str:
        return re.sub(r"^-(?=[0.]*$)", "", f"{end / unit:.{decimals}f}") + suffix if end else "0"

    pairs = ((text(low, digits), text(high, digits)) for digits in range(max(decimals, 0), 18 - min(power, 0)))
    return next(pair for pair in pairs if pair[0] != pair[1])
