"""What an overview shows, in one sentence of what is measured: values that fade, maps that hardly change, or how far
the photo's outlines are seen.

The other sentences of a page are in `footer.py`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from .colour_maps import value_range
from .feature_maps import FeatureMap, size_text
from .likeness import blurred, correlation, outlines_correlation

__all__ = ["takeaway"]

_CLEAR, _GONE = 0.7, 0.4
"""The correlation of a map's outlines with the photo's, from which on they are seen, and below which they aren't."""
_INVERTED = -0.6
"""The correlation with the photo's brightness, up to which a mean is its negative."""
_FADED = 1e-3
"""Of the first map's largest value, below which the last one's has faded."""
_STEADY, _VERY_ALIKE = 8, 0.95
"""Maps that look like tiles drawn, and their least correlation, from which on it is said that they hardly change."""


def takeaway(
    maps: Sequence[FeatureMap],
    alike: Mapping[str, Sequence[FeatureMap]],
    photo: NDArray[np.float64] | None,
) -> str:
    """Return the sentence: the first that there is something to say for; empty if there is none.

    Args:
        maps: of the overview, at least one, with their stages.
        alike: by what is drawn, those that look like it.
        photo: as the model sees it, H W 3.
    """
    whole = [each for each in maps if not each.part] or maps
    said = _faded(whole) or _steady(whole, alike) or _outlines(whole, photo) or _sizes(whole)
    return f"{said[0].upper()}{said[1:]}." if said else ""


def _faded(maps: Sequence[FeatureMap]) -> str:
    first, last = (_largest(each) for each in (maps[0], maps[-1]))
    if not 0 < last < _FADED * first:
        return ""
    (start, _), *_, (end, _) = _called(maps)
    return f"values fade from {_short(first)} in {start} to {_short(last)} in {end}"


def _largest(map_: FeatureMap) -> float:
    return max(map(abs, value_range(map_.values) or (0.0,)))


def _short(value: float) -> str:
    """Return `4e−7` or `3.7`."""
    number, _, exponent = f"{value:.1e}".partition("e")
    return f"{float(f'{value:.1e}'):g}" if abs(int(exponent)) < 3 else f"{number}e{int(exponent)}".replace("-", "−")


def _steady(maps: Sequence[FeatureMap], alike: Mapping[str, Sequence[FeatureMap]]) -> str:
    """Return that maps of one size hardly change, if many look like those that are drawn, and very much so."""
    pairs = [(each, other) for each in maps for other in alike.get(each.name, ())]
    if len(pairs) < _STEADY or len({each.size[1:] for each in maps}) > 1:
        return ""
    least = min(abs(float(np.vdot(blurred(each.values), blurred(other.values)))) for each, other in pairs)
    what = "PC1" if maps[0].share is not None else "the mean"
    outputs = len(pairs) + len(maps)
    return f"{what} hardly changes over {outputs} outputs (r ≥ {_floored(least)})" if least >= _VERY_ALIKE else ""


def _outlines(maps: Sequence[FeatureMap], photo: NDArray[np.float64] | None) -> str:
    """Return how far the photo's outlines are seen: in all maps, up to one of them, or lost and back again."""
    if photo is None:
        return ""
    likeness = [(name, outlines_correlation(photo, map_.values)) for name, map_ in _called(maps)]
    found = [(name, r) for name, r in likeness if r is not None]
    clear = [each for each in found if each[1] >= _CLEAR]
    if not clear:
        return ""
    if clear == likeness:
        return f"all tiles keep the photo's outlines (r ≥ {_floored(min(r for _, r in clear))})"
    inverted = maps[0].share is None and correlation(photo.mean(axis=2), maps[0].values) <= _INVERTED
    lead = f"in {found[0][0]} the photo is inverted; its outlines are" if inverted else "the photo's outlines are"
    lowest = min(found[found.index(clear[0]) : found.index(clear[-1]) + 1], key=lambda each: each[1])
    if lowest[1] < _GONE:
        return f"{lead} lost by {_with(lowest)} and back in {_with(clear[-1])}"
    seen = f"up to {_with(clear[-1])}" if clear[-1] != found[0] else f"in {_with(found[0])}"
    return f"{lead} clear {seen}" + (f", gone in {_with(found[-1])}" if found[-1][1] < _GONE else "")


def _called(maps: Sequence[FeatureMap]) -> list[tuple[str, FeatureMap]]:
    """Return each map with what to call it: its stage, unless others are of it, too."""
    counts = Counter(each.stage for each in maps)
    return [(each.stage if counts[each.stage] == 1 else each.name, each) for each in maps]


def _with(named: tuple[str, float]) -> str:
    return f"{named[0]} (r {named[1]:.2f})".replace("-0.00", "0.00").replace("(r -", "(r −")


def _floored(r: float) -> str:
    return f"{np.floor(r * 100) / 100:.2f}"


def _sizes(maps: Sequence[FeatureMap]) -> str:
    stages = list(dict.fromkeys((each.stage, each.size[1:]) for each in maps))
    if len(stages) < 2:
        return ""
    first, smallest, last = stages[0][1], min((size for _, size in stages), key=np.prod), stages[-1][1]
    if smallest != last:
        return f"from {size_text(first)} down to {size_text(smallest)} and up to {size_text(last)} pixels"
    return f"from {size_text(first)} to {size_text(last)} pixels in {len(stages)} stages"
