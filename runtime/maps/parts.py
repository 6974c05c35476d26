"""Several maps of one output in an overview: its next principal components, or each channel of a model's result.

Which outputs are drawn at all is up to `thinning.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from ..artifact.manifest import Output
from .feature_maps import FeatureMap
from .likeness import aligned, correlation
from .stages import last_of_sizes
from .thinning import FEW

__all__ = ["PartSource", "extra_channels", "in_parts"]

_COMPONENTS = {1: 4, 2: 3, 3: 3}
"""How many principal components are considered of what each stage returns, by the number of stages; of more, 2."""
_TELLING, _MUCH = 0.1, 0.2
"""The shares of the variance from which on a component after the first may be drawn: what holds less is speckle; and
from which on it is: the largest of those that hold less is drawn only if no other is."""
_MIDDLE = np.pad(np.ones((14, 14)), 7)
"""What a component after the first is turned to look like, where none of its number is before it: it has little to do
with the photo's brightness, which would decide by chance."""
_KNOWN = 0.7
"""The correlation with the same component of the stage before, from which on a component tells nothing new."""


class PartSource(Protocol):
    """What the maps come from."""

    def components(self, of: Sequence[tuple[Output, FeatureMap]], count: int) -> list[list[FeatureMap]]:
        """Return so many principal components of each output, of which its map is the first."""

    def channels(self, output: Output, map_: FeatureMap) -> list[FeatureMap]:
        """Return each channel of an output, of which the map is the mean."""


def extra_channels(maps: Sequence[FeatureMap]) -> int:
    """Return how many tiles more it takes to draw each channel of the last map, where that is the model's result."""
    last = maps[-1]
    ends = last.is_mean_of_few and (len(maps) == 1 or maps[-2].size[0] > last.size[0])
    return last.size[0] - 1 if ends else 0


def in_parts(
    source: PartSource,
    outputs: Mapping[str, Output],
    maps: Sequence[FeatureMap],
) -> list[FeatureMap]:
    """Return the maps; where there are few, which are principal components, the next ones after each that show
    something new; and in place of the mean of a model's few results, each of these.

    Args:
        source: of the maps.
        outputs: by name.
        maps: at least one, in the order of execution.
    """
    if len(maps) < FEW and all(each.share is not None for each in maps):
        return _with_components(source, outputs, maps)
    if extra_channels(maps):
        return [*maps[:-1], *source.channels(outputs[maps[-1].name], maps[-1])]
    return list(maps)


def _with_components(
    source: PartSource,
    outputs: Mapping[str, Output],
    maps: Sequence[FeatureMap],
) -> list[FeatureMap]:
    """Return the maps with the components that are new after each."""
    ends = last_of_sizes(maps)
    some = [each for each in maps if each.name in ends]
    count = _COMPONENTS.get(len(some), 2)
    found = source.components([(outputs[each.name], each) for each in some], count)
    found = [[each for each in parts if each.part == "" or (each.share or 0) >= _TELLING] for parts in found]
    # The eye compares those of one number, as it does the first ones.
    turned = [aligned([each[at] for each in found if at < len(each)], _MIDDLE) for at in range(1, count)]
    more = {parts[0].name: [turned[at].pop(0) for at in range(len(parts) - 1)] for parts in found}
    shown: dict[str, list[FeatureMap]] = {}
    before: list[FeatureMap] = []
    for name, parts in more.items():
        shown[name] = [each for at, each in enumerate(parts) if at >= len(before) or not _alike(before[at], each)]
        before = parts or before
    least = min(_MUCH, max((each.share or 0 for parts in shown.values() for each in parts), default=0))
    return [part for each in maps for part in (each, *shown.get(each.name, ())) if part is each or part.share >= least]


def _alike(one: FeatureMap, other: FeatureMap) -> bool:
    return abs(correlation(one.values, other.values)) >= _KNOWN
