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
from .channel_moments import ChannelMoments
from .output_histograms import OutputHistograms
from .packed_histograms import PackedHistograms, largest_packed
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
    outputs: OutputHistograms
    """O: of each output."""
    histograms: PackedHistograms
    """P: of each channel."""

    @classmethod
    def none(cls, channels: int) -> "PartialStatistics":
        """Return the statistics of no images, with P channels."""
        return cls(0, ChannelMoments.none(channels), OutputHistograms.none(), PackedHistograms.none(channels))

    def merged(self, later: "PartialStatistics") -> "PartialStatistics":
        """Return the statistics of both, of which the other one's images come later."""
        return PartialStatistics(
            self.images + later.images,
            self.moments.merged(later.moments),
            self.outputs.merged(later.outputs),
            self.histograms.merged(later.histograms),
        )

    def to_bytes(self) -> bytes:
        """Return the content of a file: safetensors, with the channels' tables compressed by zstd."""
        from safetensors.numpy import save

        arrays: dict[str, NDArray[Any]] = {each.name: getattr(self.moments, each.name) for each in fields(self.moments)}
        arrays |= {"places": self.outputs.places, "counts": self.outputs.counts}
        return save(arrays | self.histograms.arrays(), {_KEY: json.dumps({"images": self.images})})

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
            of_outputs = _outputs(arrays.pop("places"), arrays.pop("counts"), outputs)
            histograms = PackedHistograms.from_arrays(arrays, channels)
            moments = ChannelMoments(**arrays)
            _check(images, moments, channels)
            found = cls(images, moments, of_outputs, histograms)
        except Exception as error:  # of a damaged file, safetensors and NumPy raise many types
            raise ArtifactError(f"{source} is damaged: {first_line(error)}\nScan into another folder.") from error
        return found


def _outputs(places: NDArray[Any], counts: NDArray[Any], outputs: int) -> OutputHistograms:
    """Return the outputs' histograms of a file.

    Raises:
        ValueError: they are none.
    """
    if not (places.dtype == counts.dtype == np.int64 and places.ndim == 1 and places.shape == counts.shape):
        raise ValueError("it has no counts")
    if places.size and not (places[0] >= 0 and places[-1] < outputs * BUCKETS and (np.diff(places) > 0).all()):
        raise ValueError("it is of other outputs")
    if counts.min(initial=0) < 0 or counts.max(initial=0) >= _MOST:
        raise ValueError("it has no counts")
    return OutputHistograms(places, counts)


def _check(images: int, moments: ChannelMoments, channels: int) -> None:
    right = ChannelMoments.none(channels)
    for each in fields(moments):
        array, like = getattr(moments, each.name), getattr(right, each.name)
        if array.shape != like.shape or array.dtype != like.dtype:
            raise ValueError("it is of other outputs")
        if array.dtype.kind == "i" and array.size and not (array.min() >= -1 and array.max() < _MOST):
            raise ValueError(f"its {each.name} are no counts")
    if not 0 <= images < _MOST:
        raise ValueError("it has no counts")


def largest_partial(channels: int, outputs: int) -> int:
    """Return how many bytes a file of them has at most."""
    return 2**20 + 8 * channels * len(fields(ChannelMoments)) + 16 * outputs * BUCKETS + largest_packed(channels)


def folded(parts: Iterable[PartialStatistics], channels: int) -> PartialStatistics:
    """Return the statistics of all parts, merged one after another."""
    found = None
    for part in parts:  # one is held beside it, however many there are
        found = part if found is None else found.merged(part)
    return PartialStatistics.none(channels) if found is None else found
