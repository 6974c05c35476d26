"""The statistics of some images over all outputs: what a shard gives, merged exactly, and as a file.

Merging is associative but for the last bits of means and variances; `merge_tree.py` fixes its order.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import ArtifactError, first_line
from .channel_moments import ChannelMoments
from .value_histogram import BUCKETS

__all__ = ["PARTIAL_MARK", "PartialStatistics", "folded", "largest_partial"]

_KEY = "layerprobe.scan_partial"
PARTIAL_MARK = f'"{_KEY}"'
"""What a file of partial statistics has at its start."""
_MOST = 2**53
"""Of anything that is counted: float64 holds it exactly, and a thousand of them add up."""


@dataclass(frozen=True)
class PartialStatistics:
    """Of O outputs, whose channels follow one another: P in all."""

    images: int
    """How many could be read."""
    moments: ChannelMoments
    """P"""
    counts: NDArray[np.int64]
    """O x 65,536: the histogram of each output."""

    @classmethod
    def none(cls, channels: int, outputs: int) -> "PartialStatistics":
        """Return the statistics of no images, with P channels and O outputs."""
        return cls(0, ChannelMoments.none(channels), np.zeros((outputs, BUCKETS), np.int64))

    def merged(self, later: "PartialStatistics") -> "PartialStatistics":
        """Return the statistics of both, of which the other one's images come later."""
        return PartialStatistics(
            self.images + later.images, self.moments.merged(later.moments), self.counts + later.counts
        )

    def to_bytes(self) -> bytes:
        """Return the content of a file: safetensors, with the histograms' empty buckets left out."""
        from safetensors.numpy import save

        places = np.flatnonzero(self.counts)
        arrays: dict[str, NDArray[Any]] = {each.name: getattr(self.moments, each.name) for each in fields(self.moments)}
        arrays |= {"places": places, "counts": self.counts.reshape(-1)[places]}
        facts = {"images": self.images}
        return bytes(save(arrays, {_KEY: json.dumps(facts)}))

    @classmethod
    def from_bytes(cls, content: bytes, source: object, channels: int, outputs: int) -> "PartialStatistics":
        """Read what `to_bytes` returned; `source` is the file, for messages.

        Raises:
            ArtifactError: it is damaged, or of other outputs.
        """
        from safetensors.numpy import load

        try:
            header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
            images, arrays = int(json.loads(header["__metadata__"][_KEY])["images"]), load(content)
            counts = np.zeros(outputs * BUCKETS, np.int64)
            counts[arrays.pop("places")] = arrays.pop("counts")
            moments = ChannelMoments(**arrays)
            _check(images, moments, counts, channels)
            found = cls(images, moments, counts.reshape(outputs, BUCKETS))
        except Exception as error:  # of a damaged file, safetensors and NumPy raise many types
            raise ArtifactError(f"{source} is damaged: {first_line(error)}\nScan into another folder.") from error
        return found


def _check(images: int, moments: ChannelMoments, counts: NDArray[Any], channels: int) -> None:
    right = ChannelMoments.none(channels)
    for each in fields(moments):
        array, like = getattr(moments, each.name), getattr(right, each.name)
        if array.shape != like.shape or array.dtype != like.dtype:
            raise ValueError("it is of other outputs")
        if array.dtype.kind == "i" and array.size and not (array.min() >= -1 and array.max() < _MOST):
            raise ValueError(f"its {each.name} are no counts")
    if not 0 <= images < _MOST or counts.min() < 0 or counts.max() >= _MOST:
        raise ValueError("it has no counts")


def largest_partial(channels: int, outputs: int) -> int:
    """Return how many bytes a file of them has at most."""
    return 2**20 + 8 * channels * len(fields(ChannelMoments)) + 16 * outputs * BUCKETS


def folded(parts: Sequence[PartialStatistics], channels: int, outputs: int) -> PartialStatistics:
    """Return the statistics of all parts, merged one after another."""
    found = PartialStatistics.none(channels, outputs)
    for part in parts:
        found = found.merged(part)
    return found
