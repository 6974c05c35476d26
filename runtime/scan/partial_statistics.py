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
from .channel_histogram import ChannelHistograms, Tables
from .channel_moments import ChannelMoments
from .output_histograms import OutputHistograms
from .value_histogram import BINS, BUCKETS, NO_TOP, NOT_FINITE

__all__ = ["PARTIAL_MARK", "PartialStatistics", "folded", "largest_partial"]

_KEY = "layerprobe.scan_partial"
PARTIAL_MARK = f'"{_KEY}"'
"""What a file of partial statistics has at its start."""
_KINDS = ("uint16", "uint32", "int64")
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
    histograms: ChannelHistograms
    """P: of each channel."""

    @classmethod
    def none(cls, channels: int) -> "PartialStatistics":
        """Return the statistics of no images, with P channels."""
        return cls(0, ChannelMoments.none(channels), OutputHistograms.none(), ChannelHistograms.none(channels))

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
        arrays |= {"tops": self.histograms.tops, "tables": _packed(self.histograms.tables)}
        facts = {"images": self.images, "table_type": self.histograms.tables.dtype.name}
        return save(arrays, {_KEY: json.dumps(facts)})

    @classmethod
    def from_bytes(cls, content: bytes, source: object, channels: int, outputs: int) -> "PartialStatistics":
        """Read what `to_bytes` returned; `source` is the file, for messages.

        Raises:
            ArtifactError: it is damaged, or of other outputs.
        """
        from safetensors.numpy import load

        try:
            header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
            facts, arrays = json.loads(header["__metadata__"][_KEY]), load(content)
            images, of_outputs = int(facts["images"]), _outputs(arrays.pop("places"), arrays.pop("counts"), outputs)
            tables = _unpacked(arrays.pop("tables"), facts["table_type"], channels)
            histograms = _histograms(arrays.pop("tops"), tables, channels)
            moments = ChannelMoments(**arrays)
            _check(images, moments, channels)
            found = cls(images, moments, of_outputs, histograms)
        except Exception as error:  # of a damaged file, safetensors and NumPy raise many types
            raise ArtifactError(f"{source} is damaged: {first_line(error)}\nScan into another folder.") from error
        return found


def _packed(tables: Tables) -> NDArray[np.uint8]:
    """Return the channels' tables as compressed bytes: most of their buckets are empty."""
    import pyarrow as pa

    return np.frombuffer(pa.Codec("zstd").compress(np.ascontiguousarray(tables)), np.uint8)


def _unpacked(packed: NDArray[Any], kind: str, channels: int) -> Tables:
    """Return the tables that `_packed` was given, P x 256; of a damaged file, never more bytes than these have.

    Raises:
        ValueError: they are none.
    """
    import pyarrow as pa

    if kind not in _KINDS or packed.dtype != np.uint8:
        raise ValueError("its tables are no counts")
    size = channels * BINS * np.dtype(kind).itemsize
    return np.frombuffer(pa.Codec("zstd").decompress(packed, size), kind).reshape(channels, BINS)


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


def _histograms(tops: NDArray[Any], tables: NDArray[Any], channels: int) -> ChannelHistograms:
    """Return the channels' histograms of a file.

    Raises:
        ValueError: they are none.
    """
    if tops.shape != (channels,) or tops.dtype != np.int32:
        raise ValueError("it is of other outputs")
    if tops.min() < NO_TOP or tops.max() >= NOT_FINITE:
        raise ValueError("its tops are no magnitudes")
    if tables.min() < 0 or tables.max() >= _MOST:
        raise ValueError("its tables are no counts")
    return ChannelHistograms(tops, tables)


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
    # What can't be compressed gets longer by less than a hundredth.
    of_histograms = channels * (9 * BINS + 4)
    return 2**20 + 8 * channels * len(fields(ChannelMoments)) + 16 * outputs * BUCKETS + of_histograms


def folded(parts: Iterable[PartialStatistics], channels: int) -> PartialStatistics:
    """Return the statistics of all parts, merged one after another."""
    found = None
    for part in parts:  # one is held beside it, however many there are
        found = part if found is None else found.merged(part)
    return PartialStatistics.none(channels) if found is None else found
