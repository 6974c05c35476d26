"""The histograms of channels, compressed while they wait to be merged: most of their buckets are empty.

A shard's are 9 MB of a ResNet-18, and twice that with a few thousand images, where 2 bytes no longer hold the counts;
a merge would hold three of them. By zstd they take a tenth or less, and one block at a time is unpacked.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .channel_histogram import ChannelHistograms, Tops
from .value_histogram import BINS, NO_TOP, NOT_FINITE

__all__ = ["PackedHistograms", "largest_packed"]

_BLOCK = 512
"""Channels that are packed together."""
_KINDS: dict[int, type[np.integer[Any]]] = {2: np.uint16, 4: np.uint32, 8: np.int64}
"""The types of counts by their bytes."""
_MOST = 2**53
"""Of anything that is counted: a thousand of them add up."""


@dataclass(frozen=True)
class PackedHistograms:
    """The histograms of P channels; 512 of them are a block."""

    tops: Tops
    """P, as of `ChannelHistograms`."""
    blocks: tuple[NDArray[np.uint8], ...]
    """The tables of each block, C x 256, as bytes that zstd has compressed."""
    widths: tuple[int, ...]
    """The bytes of each block's counts: 2, 4 or 8."""

    @classmethod
    def of(cls, histograms: ChannelHistograms) -> "PackedHistograms":
        """Compress these."""
        return cls._of(
            ChannelHistograms.of(part.tops, part.tables)
            for begin in range(0, len(histograms.tops), _BLOCK)
            for part in [histograms.part(begin, begin + _BLOCK)]
        )

    @classmethod
    def none(cls, channels: int) -> "PackedHistograms":
        """Return the histograms of nothing."""
        return cls.of(ChannelHistograms.none(channels))

    @classmethod
    def _of(cls, parts: Iterator[ChannelHistograms]) -> "PackedHistograms":
        import pyarrow as pa

        tops, blocks, widths = list[Tops](), list[NDArray[np.uint8]](), list[int]()
        for part in parts:
            content = pa.Codec("zstd").compress(np.ascontiguousarray(part.tables), asbytes=True)
            tops.append(part.tops)
            blocks.append(np.frombuffer(content, np.uint8))
            widths.append(part.tables.itemsize)
        return cls(np.concatenate(tops), tuple(blocks), tuple(widths))

    def merged(self, later: "PackedHistograms") -> "PackedHistograms":
        """Return the counts of both."""
        return self._of(one.merged(other) for one, other in zip(self._parts(), later._parts(), strict=True))

    def unpacked(self) -> ChannelHistograms:
        """Return all of them."""
        return ChannelHistograms.joined(list(self._parts()))

    def _parts(self) -> Iterator[ChannelHistograms]:
        """Yield the blocks one after another."""
        import pyarrow as pa

        for number, (block, width) in enumerate(zip(self.blocks, self.widths, strict=True)):
            tops = self.tops[number * _BLOCK : (number + 1) * _BLOCK]
            # Of a damaged file, never more bytes than these have.
            content = pa.Codec("zstd").decompress(block, len(tops) * BINS * width)
            yield ChannelHistograms(tops, np.frombuffer(content, _KINDS[width]).reshape(-1, BINS))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what a file holds of them."""
        return {
            "tops": self.tops,
            "tables": np.concatenate(self.blocks),
            "table_sizes": np.array([len(each) for each in self.blocks], np.int64),
            "table_widths": np.array(self.widths, np.int64),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]], channels: int) -> "PackedHistograms":
        """Take what `arrays` returned out of a file's arrays.

        Raises:
            ValueError: they are no histograms of so many channels.
        """
        tops, tables, sizes, widths = (arrays.pop(name) for name in ("tops", "tables", "table_sizes", "table_widths"))
        blocks = -(-channels // _BLOCK)
        if tops.shape != (channels,) or tops.dtype != np.int32 or not sizes.shape == widths.shape == (blocks,):
            raise ValueError("it is of other outputs")
        if tops.min() < NO_TOP or tops.max() >= NOT_FINITE:
            raise ValueError("its tops are no magnitudes")
        if tables.dtype != np.uint8 or sizes.min() < 0 or sizes.sum() != tables.size or not set(widths) <= set(_KINDS):
            raise ValueError("its tables are no counts")
        found = cls(tops, tuple(np.split(tables, np.cumsum(sizes)[:-1])), tuple(widths.tolist()))
        if any(part.tables.min() < 0 or part.tables.max() >= _MOST for part in found._parts()):
            raise ValueError("its tables are no counts")
        return found


def largest_packed(channels: int) -> int:
    """Return how many bytes a file has of them at most."""
    # What can't be compressed gets longer by less than a hundredth.
    return 2**16 + channels * (9 * BINS + 4)
