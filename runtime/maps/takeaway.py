"""What an overview shows, in a sentence of what is measured: values that aren't finite or fade, components that follow
the photo's colours, maps that hardly change, how far the photo's outlines are seen; none where there is nothing to say.

The other sentences of a page are in `footer.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, takewhile
from math import prod
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from .colour_scales import ColourScale, with_power
from .feature_maps import FIRST_COMPONENT, FeatureMap, size_text
from .footer import usual_reduction
from .likeness import LEAST_OUTLINED, correlation, middle_correlation, outlines_correlation, steadiness

__all__ = ["takeaway"]

_CLEAR, _GONE = 0.55, 0.3
"""The correlation of a map's edges with the photo's, from which on outlines are seen, and below which they aren't."""
_COLOUR_AXES = {"brightness": (1, 1, 1), "red against blue": (1, 0, -1), "green against magenta": (-1, 2, -1)}
"""What weights of red, green and blue show."""
_SAME, _APART = 0.9, 0.6
"""The correlation from which on a component follows such a colour; and with what is bright in the middle, from which on
that is set apart."""
_FADED = 1e-3
"""Of the first map's range, below which the last one's has faded."""
_RISEN = 10
"""Of the same, above which ranges don't shrink: a last sigmoid is small where it finds nothing."""
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
    usual = usual_reduction(maps)
    subject = _SUBJECTS.get(usual, usual)
    firsts = [each for each in maps if not each.is_further_component]
    whole = [each for each in firsts if not each.part or each.share is not None] or firsts
    sentence = _not_finite(maps) or _faded(firsts, scales, subject)
    if not sentence:
        steady = _steady(whole, alike, subject)
        sentence = steady if photo is None else _of_photo(maps, whole, photo, steady, subject)
    return f"{sentence[0].upper()}{sentence[1:]}." if sentence else ""


def _of_photo(
    maps: Sequence[FeatureMap], whole: Sequence[FeatureMap], photo: NDArray[np.float64], steady: str, subject: str
) -> str:
    """Return what is seen of the photo, with what is said besides: that maps are steady."""
    axes = {axis: photo @ weights for axis, weights in _COLOUR_AXES.items()}
    seen = _colours(maps, axes)
    outlines = "" if seen or steady else _outlines(whole, photo, subject)
    return "; ".join(filter(None, [seen, steady, outlines, _middle(whole, axes)]))


def _not_finite(maps: Sequence[FeatureMap]) -> str:
    first = next((each.name for each in maps if not np.isfinite(each.values).all()), None)
    return f"the first tile with values that aren't finite is {first}" if first is not None else ""


def _faded(maps: Sequence[FeatureMap], scales: Sequence[ColourScale | None], subject: str) -> str:
    first, last = scales[0], scales[len(maps) - 1]
    widths = [each.high - each.low if each else 0.0 for each in scales[: len(maps)]]
    shrinks = 0 < widths[-1] < _FADED * widths[0] and max(widths) <= _RISEN * widths[0]
    if not first or not last or not shrinks:
        return ""
    was, became = (each.name if maps[0].stage == maps[-1].stage else each.stage for each in (maps[0], maps[-1]))
    return f"the range of {subject} shrinks from {_range(first)} in {was} to {_range(last)} in {became}"


def _range(scale: ColourScale) -> str:
    sign, width = ("±", scale.high) if scale.low == -scale.high else ("", scale.high - scale.low)
    return sign + with_power(f"{width:.3g}")


def _steady(maps: Sequence[FeatureMap], alike: Mapping[str, Sequence[FeatureMap]], subject: str) -> str:
    """Return that maps of one size hardly change, if they are many."""
    least = steadiness([*(other for each in maps for other in alike.get(each.name, ())), *maps])
    if least is None:
        return ""
    what = "block" if maps[0].stage.endswith("blocks") else "tile"
    return f"{subject} hardly changes from {what} to {what} ({_least(least)})"


@dataclass(frozen=True)
class _Stage:
    """What is measured of all tiles of a stage."""

    name: str
    size: tuple[int, ...]
    lowest: float
    """Correlation of edges."""
    highest: float

    @property
    def is_clear(self) -> bool:
        """Whether the photo's outlines are seen in each."""
        return self.lowest >= _CLEAR


def _outlines(maps: Sequence[FeatureMap], photo: NDArray[np.float64], subject: str) -> str:
    """Return how far the photo's outlines are seen: down to a size, up to a stage, or lost and back again."""
    groups = (list(group) for _, group in groupby(maps, key=lambda each: each.stage))
    stages = [stage for group in groups if (stage := _measured(group, photo))]
    seen = list(takewhile(lambda each: each.is_clear, stages))
    if not seen:
        return ""
    how = _edges_of(min(each.lowest for each in seen))
    if len(seen) == len(stages):
        smallest = size_text(min((each.size for each in seen), key=prod))
        return f"{subject} shows the photo's outlines down to {smallest} pixels{how}"
    lost = list(takewhile(lambda each: not each.is_clear, stages[len(seen) :]))
    back = stages[len(seen) + len(lost) :]
    if not back:
        return f"{subject} shows the photo's outlines up to {seen[-1].name}{how}"
    said = (
        f"the photo's outlines are lost in {lost[0].name} and first back in {back[0].name}{_edges_of(back[0].lowest)}"
    )
    return said * (max(each.highest for each in lost) < _GONE)


def _edges_of(r: float) -> str:
    return f" (edges correlate: {_least(r)})"


def _measured(maps: Sequence[FeatureMap], photo: NDArray[np.float64]) -> _Stage | None:
    """Return what is measured of a stage's tiles; None of tiles in which outlines can't be seen."""
    found = [r for each in maps if (r := outlines_correlation(photo, each.values)) is not None]
    if not found:
        return None
    return _Stage(maps[0].stage, maps[0].size[1:], min(found), max(found))


def _colours(maps: Sequence[FeatureMap], axes: Mapping[str, NDArray[np.float64]]) -> str:
    """Return which components are hardly more than the photo's brightness, or one colour of it against another."""
    said: list[str] = []
    for part in dict.fromkeys(each.part for each in maps if each.share is not None):
        values = [each.values for each in maps if each.part == part]
        least = {axis: min(abs(correlation(colour, each)) for each in values) for axis, colour in axes.items()}
        axis = max(least, key=lambda each: least[each])
        if least[axis] >= _SAME:
            follows = "its" if said else "follows the photo's"
            said.append(f"{part or FIRST_COMPONENT} {follows} {axis} ({_least(least[axis])})")
    return ", ".join(said)


def _middle(maps: Sequence[FeatureMap], axes: Mapping[str, NDArray[np.float64]]) -> str:
    """Return which map of one component sets the middle of the image apart, where most photos have what they are of,
    among those that are too small for outlines, if it isn't rather a colour of the photo.
    """
    small = [each for each in maps if each.share is not None and min(each.values.shape) < LEAST_OUTLINED]
    most, map_ = max(
        ((abs(middle_correlation(each.values)), each) for each in small), key=itemgetter(0), default=(0, None)
    )
    if map_ is None or most < _APART:
        return ""
    rather = max(abs(correlation(colour, map_.values)) for colour in axes.values())
    return f"in {map_.name}, the image's middle is set apart ({_least(most)})" * bool(rather < most)


def _least(r: float) -> str:
    return f"|r| ≥ {np.floor(r * 100) / 100:.2f}"
