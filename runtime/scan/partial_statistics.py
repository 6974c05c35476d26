"""The statistics of some images over all outputs: what a shard gives, merged exactly, and as a file.

Merging is associative but for the last bits of means and variances; `merge_tree.py` fixes its order.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import ArtifactError, first_line
from .channel_histogram import ChannelHistograms
from .channel_moments import ChannelMoments
from .value_histogram import BINS, BUCKETS, NO_TOP, NOT_FINITE

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
    histograms: ChannelHistograms
    """P: of each channel."""

    @classmethod
    def none(cls, channels: int, outputs: int) -> "PartialStatistics":
        """Return the statistics of no images, with P channels and O outputs."""
        counts = np.zeros((outputs, BUCKETS), np.int64)
        return cls(0, ChannelMoments.none(channels), counts, ChannelHistograms.none(channels))

    def merged(self, later: "PartialStatistics") -> "PartialStatistics":
        """Return the statistics of both, of which the other one's images come later."""
        return PartialStatistics(
            self.images + later.images,
            self.moments.merged(later.moments),
            self.counts + later.counts,
            self.histograms.merged(later.histograms),
        )

    def to_bytes(self) -> bytes:
        """Return the content of a file: safetensors, with the histograms' empty buckets left out."""
        from safetensors.numpy import save

        places = np.flatnonzero(self.counts)
        arrays: dict[str, NDArray[Any]] = {each.name: getattr(self.moments, each.name) for each in fields(self.moments)}
        arrays |= {"places": places, "counts": self.counts.reshape(-1)[places]}
        arrays |= {"tops": self.histograms.tops, "tables": self.histograms.tables}
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
            histograms = _histograms(arrays.pop("tops"), arrays.pop("tables"), channels)
            moments = ChannelMoments(**arrays)
            _check(images, moments, counts, channels)
            found = cls(images, moments, counts.reshape(outputs, BUCKETS), histograms)
        except Exception as error:  # of a damaged file, safetensors and NumPy raise many types
            raise ArtifactError(f"{source} is damaged: {first_line(error)}\nScan into another folder.") from error
        return found


def _histograms(tops: NDArray[Any], tables: NDArray[Any], channels: int) -> ChannelHistograms:
    """Return the channels' histograms of a file.

    Raises:
        ValueError: they are none.
    """
    if tops.shape != (channels,) or tables.shape != (channels, BINS) or tops.dtype != np.int32:
        raise ValueError("it is of other outputs")
    if tops.min() < NO_TOP or tops.max() >= NOT_FINITE:
        raise ValueError("its tops are no magnitudes")
    if tables.dtype.kind not in "iu" or tables.min() < 0 or tables.max() >= _MOST:
        raise ValueError("its tables are no counts")
    return ChannelHistograms(tops, tables)


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
    of_histograms = channels * (8 * BINS + 4)
    return 2**20 + 8 * channels * len(fields(ChannelMoments)) + 16 * outputs * BUCKETS + of_histograms


def folded(parts: Iterable[PartialStatistics], channels: int, outputs: int) -> PartialStatistics:
    """Return the statistics of all parts, merged one after another."""
    found = None
    for part in parts:  # one is held beside it, however many there are
        found = part if found is None else found.merged(part)
    return PartialStatistics.none(channels, outputs) if found is None else found
