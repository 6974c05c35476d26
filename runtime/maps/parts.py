"""Each channel of a model's result, in an overview, in place of their mean.

Which outputs are drawn at all is up to `thinning.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from ..artifact.manifest import Output
from .feature_maps import FeatureMap

__all__ = ["PartSource", "extra_channels", "in_parts"]


class PartSource(Protocol):
    """What the maps come from."""

    def channels(self, output: Output, map_: FeatureMap) -> list[FeatureMap]:
        """Return each channel of an output, of which the map is the mean."""


def extra_channels(maps: Sequence[FeatureMap]) -> int:
    """Return how many tiles more it takes to draw each channel of the last map, where that is the model's result."""
    last = maps[-1]
    ends = last.is_mean_of_few and (len(maps) == 1 or maps[-2].size[0] > last.size[0])
    return last.size[0] - 1 if ends else 0


def in_parts(source: PartSource, outputs: Mapping[str, Output], maps: Sequence[FeatureMap]) -> list[FeatureMap]:
    """Return the maps, in place of the mean of a model's few results each of these.

    Args:
        source: of the maps.
        outputs: by name.
        maps: at least one, in the order of execution.
    """
    last = maps[-1]
    return [*maps[:-1], *source.channels(outputs[last.name], last)] if extra_channels(maps) else list(maps)
