"""Several maps of a tensor, in an overview, in place of one: each channel of a model's result of few; where there are
few maps, also the principal components after the first, in rows of their own.

Which outputs are drawn at all is up to `thinning.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from ..artifact.manifest import Output
from .feature_maps import FeatureMap

__all__ = ["PartSource", "extra_channels", "in_parts"]

_FEW = 4
"""Maps, below which there is room for another component of each."""
_LEAST_SHARE = 0.1
"""Of the channels' variance: a component that holds less in one of the tensors isn't drawn of any."""


class PartSource(Protocol):
    """What the maps come from."""

    def parts(self, outputs: Sequence[Output], maps: Sequence[FeatureMap]) -> list[list[FeatureMap]]:
        """Return for each output its channels, of which its map is the mean; or the principal components, of which that
        is the first.
        """


def extra_channels(maps: Sequence[FeatureMap]) -> int:
    """Return how many tiles more it takes to draw each channel of the last map, where that is the model's result."""
    last = maps[-1]
    ends = last.is_mean_of_few and (len(maps) == 1 or maps[-2].size[0] > last.size[0])
    return last.size[0] - 1 if ends else 0


def in_parts(source: PartSource, outputs: Mapping[str, Output], maps: Sequence[FeatureMap]) -> list[FeatureMap]:
    """Return the maps, in place of the mean of a model's few results each of these; after the first principal
    components of few tensors, the second ones of all, if they say something, and the third ones.

    Args:
        source: of the maps.
        outputs: by name.
        maps: at least one, in the order of execution.
    """
    if extra_channels(maps):
        return [*maps[:-1], *source.parts([outputs[maps[-1].name]], maps[-1:])[0]]
    if len(maps) > _FEW or any(each.share is None for each in maps):
        return list(maps)
    rows = list(zip(*source.parts([outputs[each.name] for each in maps], maps), strict=False))
    telling = [row for row in rows[1:] if min(each.share or 0.0 for each in row) >= _LEAST_SHARE]
    return [*rows[0], *(each for row in telling for each in row)] if telling else list(maps)
