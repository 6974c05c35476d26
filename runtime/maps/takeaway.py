"""What an overview shows, in one sentence of what is measured: the maps' sizes, how much they are like the photo.

The other sentences of a page are in `footer.py`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from .feature_maps import FeatureMap, size_text
from .likeness import blurred, correlation

__all__ = ["takeaway"]

_FOLLOWS = ((0.6, "follows", "follow", "does"), (0.4, "partly follows", "partly follow", "does in part"))
_HARDLY = (0.0, "hardly follows", "hardly follow", "hardly does")
"""The absolute correlation from which on a map does so: of one, of two, and of the second after the first."""
_FEWEST_PIXELS = 49
"""Of a map that is compared with the photo: with fewer, likeness is mostly chance."""
_SAME = 0.05
"""The difference of correlations up to which one is as large as the other."""
_STEADY, _VERY_ALIKE = 8, 0.95
"""Maps that look like tiles drawn, and their least correlation, from which on it is said that they hardly change."""


def takeaway(
    maps: Sequence[FeatureMap],
    alike: Mapping[str, Sequence[FeatureMap]],
    brightness: NDArray[np.float64] | None,
) -> str:
    """Return the sentence; empty if there is nothing to say.

    Args:
        maps: of the overview, at least one, with their stages; of each output the first.
        alike: by what is drawn, those that look like it.
        brightness: of the photo as the model sees it, H W.
    """
    followed, steady = _followed(maps, brightness), _steady(maps, alike)
    if steady and (_has_stages(maps) or not followed):  # else they have one subject
        steady = f"{_what(maps)} {steady}"
    seen = " and ".join(filter(None, [followed, steady]))
    said = "; ".join(filter(None, [_sizes(maps), seen]))
    return f"{said[0].upper()}{said[1:]}." if said else ""


def _sizes(maps: Sequence[FeatureMap]) -> str:
    stages = list(dict.fromkeys((each.stage, each.size[1:]) for each in maps))
    if len(stages) < 2:
        return ""
    first, smallest, last = stages[0][1], min((size for _, size in stages), key=np.prod), stages[-1][1]
    if smallest != last:
        return f"from {size_text(first)} down to {size_text(smallest)} and up to {size_text(last)} pixels"
    return f"from {size_text(first)} to {size_text(last)} pixels in {len(stages)} stages"


def _followed(maps: Sequence[FeatureMap], brightness: NDArray[np.float64] | None) -> str:
    """Return how much the maps are like the photo's brightness or its edges, whichever some map is more like."""
    large = [each for each in maps if each.values.size >= _FEWEST_PIXELS]
    if brightness is None or min(brightness.shape) < 2 or not large:
        return ""
    of_photo = {"brightness": brightness, "edges": np.hypot(*np.gradient(brightness))}
    found = {what: [abs(correlation(of, each.values)) for each in large] for what, of in of_photo.items()}
    what, likeness = max(found.items(), key=lambda each: max(each[1]))
    highest = max(likeness)
    if highest < _FOLLOWS[-1][0]:
        neither = "hardly a stage follows" if _has_stages(maps) else f"{_what(maps)} hardly follows"
        return f"{neither} the photo's brightness or edges (|r| up to {highest:.2f})"
    if _has_stages(maps) and len(large) == len(maps) and min(likeness) >= _FOLLOWS[0][0]:
        return f"all stages follow the photo's {what} (|r| ≥ {np.floor(min(likeness) * 100) / 100:.2f})"
    best = next(index for index, r in enumerate(likeness) if r > highest - _SAME)
    names = [each.stage if _has_stages(maps) else _what(maps) for each in large]
    return _of_two(names, what, likeness, best)


def _of_two(names: Sequence[str], what: str, likeness: Sequence[float], best: int) -> str:
    """Return how much two maps are like the photo: the best one and the last, or if that is the best, the first."""
    other = len(names) - 1 if names[best] != names[-1] else 0
    at = sorted({best, other}) if names[other] != names[best] else [best]
    one, *others = (next((each for each in _FOLLOWS if likeness[index] >= each[0]), _HARDLY) for index in at)
    texts, names = [f"{likeness[index]:.2f}" for index in at], [names[index] for index in at]
    if not others:
        return f"{names[0]} {one[1]} the photo's {what} (|r| {texts[0]})"
    if others == [one]:
        return f"{names[0]} and {names[1]} {one[2]} the photo's {what} (|r| {texts[0]} and {texts[1]})"
    return f"{names[0]} {one[1]} the photo's {what} (|r| {texts[0]}), {names[1]} {others[0][3]} ({texts[1]})"


def _steady(maps: Sequence[FeatureMap], alike: Mapping[str, Sequence[FeatureMap]]) -> str:
    """Return that the maps hardly change, if many look like those that are drawn, and very much so."""
    pairs = [(each, other) for each in maps for other in alike.get(each.name, ())]
    if len(pairs) < _STEADY:
        return ""
    least = min(abs(float(np.vdot(blurred(each.values), blurred(other.values)))) for each, other in pairs)
    if least < _VERY_ALIKE:
        return ""
    where = "hardly changes within a stage" if _has_stages(maps) else f"is nearly the same in {len(pairs)} more outputs"
    return f"{where} (|r| ≥ {np.floor(least * 100) / 100:.2f})"


def _has_stages(maps: Sequence[FeatureMap]) -> bool:
    return len({each.size[1:] for each in maps}) > 1


def _what(maps: Sequence[FeatureMap]) -> str:
    return "PC1" if maps[0].share is not None else "the mean"
