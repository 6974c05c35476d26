"""What an overview shows, in one sentence of what is measured: values that aren't finite or fade, maps that hardly
change, or how far the photo's outlines are seen. There is none where there is nothing of it to say.

The other sentences of a page are in `footer.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, takewhile
from math import prod

import numpy as np
from numpy.typing import NDArray

from .colour_scales import ColourScale, range_text
from .feature_maps import FeatureMap, size_text
from .likeness import blurred, correlation, outlines_correlation

__all__ = ["takeaway"]

_CLEAR, _GONE = 0.55, 0.3
"""The correlation of a map's edges with the photo's, from which on outlines are seen, and below which they aren't."""
_INVERTED = -0.4
"""The correlation with the photo's brightness, up to which a mean is mostly its negative."""
_FADED = 1e-3
"""Of the first map's largest colour, below which the last one's has faded."""
_RISEN = 10
"""Of the same, above which values don't fade: a last sigmoid is small where it finds nothing."""
_STEADY, _VERY_ALIKE = 8, 0.95
"""Maps of one size, and their least correlation with the last, from which on it is said that they hardly change."""
_SUBJECTS = {"mean": "the mean", "pca": "PC1", "pca3": "PC1"}


def takeaway(
    maps: Sequence[FeatureMap],
    alike: Mapping[str, Sequence[FeatureMap]],
    photo: NDArray[np.float64] | None,
    scales: Sequence[ColourScale | None],
) -> str:
    """Return the sentence: the first that there is something to say for; empty if there is none.

    Args:
        maps: of the overview, at least one, with their stages.
        alike: by what is drawn, those that look like it.
        photo: as the model sees it, H W 3.
        scales: of each map, whose ends are the numbers below it.
    """
    subject = _SUBJECTS.get(maps[0].reduction, maps[0].reduction)
    whole = [each for each in maps if not each.part] or maps
    said = (
        _not_finite(maps)
        or _faded(maps, scales)
        or _steady(whole, alike)
        or (_outlines(whole, photo) if photo is not None else "")
    )
    sentence = said.replace("IT", subject)
    return f"{sentence[0].upper()}{sentence[1:]}." if said else ""


def _not_finite(maps: Sequence[FeatureMap]) -> str:
    first = next((each.name for each in maps if not np.isfinite(each.values).all()), None)
    return f"the first tile with values that aren't finite is {first}" if first is not None else ""


def _faded(maps: Sequence[FeatureMap], scales: Sequence[ColourScale | None]) -> str:
    largest = [_largest(each) for each in scales]
    (first, was), (last, became) = largest[0], largest[-1]
    if not 0 < last < _FADED * first or max(each for each, _ in largest) > _RISEN * first:
        return ""
    return f"the values of IT fade from {was} in {maps[0].stage} to {became} in {maps[-1].stage}"


def _largest(scale: ColourScale | None) -> tuple[float, str]:
    """Return the end that is farther from 0, without its sign, and as it is written."""
    if scale is None:
        return 0.0, ""
    ends = zip((scale.low, scale.high), range_text(scale, short=True, marks=False), strict=True)
    return max((abs(end), text.lstrip("−")) for end, text in ends)


def _steady(maps: Sequence[FeatureMap], alike: Mapping[str, Sequence[FeatureMap]]) -> str:
    """Return that maps of one size hardly change, if they are many."""
    every = [*maps, *(other for each in maps for other in alike.get(each.name, ()))]
    if len(every) < _STEADY or len({each.size[1:] for each in maps}) > 1:
        return ""
    last = blurred(maps[-1].values)
    least = min(abs(float(np.vdot(blurred(each.values), last))) for each in every)
    what = "block" if maps[0].stage.endswith("blocks") else "tile"
    said = f"IT hardly changes from the first {what} to the last: each correlates with the last by {_least(least)}"
    return said * (least >= _VERY_ALIKE)


@dataclass(frozen=True)
class _Stage:
    """What is measured of all tiles of a stage."""

    name: str
    size: tuple[int, ...]
    lowest: float
    """Correlation of edges."""
    highest: float
    is_inverted: bool

    @property
    def is_clear(self) -> bool:
        """Whether the photo's outlines are seen in each."""
        return self.lowest >= _CLEAR


def _outlines(maps: Sequence[FeatureMap], photo: NDArray[np.float64]) -> str:
    """Return how far the photo's outlines are seen: down to a size, up to a stage, or lost and back again."""
    groups = (list(group) for _, group in groupby(maps, key=lambda each: each.stage))
    stages = [stage for group in groups if (stage := _measured(group, photo))]
    seen = list(takewhile(lambda each: each.is_clear, stages))
    if not seen:
        return ""
    inverted = all(each.is_inverted for each in seen)
    how = ", mostly as a negative" * inverted + _edges_of(min(each.lowest for each in seen))
    if len(seen) == len(stages):
        smallest = size_text(min((each.size for each in seen), key=prod))
        return f"IT shows the photo's outlines down to {smallest} pixels{how}"
    lost = list(takewhile(lambda each: not each.is_clear, stages[len(seen) :]))
    back = stages[len(seen) + len(lost) :]
    if not back:
        return f"IT shows the photo's outlines up to {seen[-1].name}{how}"
    said = (
        f"the photo's outlines are lost in {lost[0].name} and first back in {back[0].name}{_edges_of(back[0].lowest)}"
    )
    return said * (max(each.highest for each in lost) < _GONE)


def _edges_of(r: float) -> str:
    return f": its edges correlate with the photo's by {_least(r)}"


def _measured(maps: Sequence[FeatureMap], photo: NDArray[np.float64]) -> _Stage | None:
    """Return what is measured of a stage's tiles; None of tiles in which outlines can't be seen."""
    found = [r for each in maps if (r := outlines_correlation(photo, each.values)) is not None]
    if not found:
        return None
    brightness = photo.mean(axis=2)
    inverted = all(each.share is None and correlation(brightness, each.values) <= _INVERTED for each in maps)
    return _Stage(maps[0].stage, maps[0].size[1:], min(found), max(found), inverted)


def _least(r: float) -> str:
    return f"{np.floor(r * 100) / 100:.2f} or more"
