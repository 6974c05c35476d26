"""A shard's tensors, batch by batch -> its partial statistics and a row for each image.

A function of the artifact and the paths alone: it knows no other shard, and writes nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.tensor_summary import sample_places
from .batch_differences import differences_of
from .channel_moments import ChannelMoments, Rows, moments_of, reduced_rows
from .image_list import Shard
from .partial_statistics import PartialStatistics
from .scanned_outputs import ScannedOutput
from .value_histogram import bucket_counts

__all__ = ["COUNTED", "LARGEST_RESULT", "ShardReduction"]

COUNTED = 16_384
"""Elements of one output of one image that the histogram counts, at most: with all 8 million of a ResNet-18 it would
take 11 ms an image, more than all other statistics together. They are taken evenly, as `sample_places` does."""
LARGEST_RESULT = 4096
"""Elements of a result that are kept for each image; a larger one has its summary only."""


class ShardReduction:
    """What is known of a shard so far."""

    def __init__(self, shard: Shard, outputs: Sequence[ScannedOutput], results: Sequence[str]) -> None:
        """Take the shard, the outputs to reduce, and the names of those that the model itself returns."""
        self.shard, self._outputs = shard, outputs
        self._known = {each.output.name: ChannelMoments.none(each.channels) for each in outputs}
        self._counts = PartialStatistics.none(0, len(outputs)).counts
        self._results = [name for name in results if name in self._known]
        self.images: list[dict[str, Any]] = []
        """A row for each image: its path, number, row within its file, class, why it can't be read, its results."""
        self.summaries: list[dict[str, Any]] = []
        """For each batch and output, columns over the batch's images."""
        self.differences: list[dict[str, Any]] = []
        """Likewise, of what another model computed."""
        self._read = 0

    def add(
        self,
        arrays: Mapping[str, NDArray[Any]],
        numbers: Sequence[int],
        rows: Sequence[int],
        others: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        """Reduce a batch.

        Args:
            arrays: the outputs by name.
            numbers: of each image, counted over all shards.
            rows: of each image, its place in its file.
            others: what another model computed, as far as it has the same outputs.
        """
        given = np.asarray(numbers, np.int64)
        self._read += len(set(numbers))
        new = [self._row(number, row) for number, row in zip(numbers, rows, strict=True)]
        if others is not None:
            found_differences = differences_of(self._outputs, arrays, others, len(numbers))
            self.differences += [{"number": given, "row": np.asarray(rows)} | each for each in found_differences]
        for index, each in enumerate(self._outputs):
            name = each.output.name
            values = each.by_channel(arrays[name], len(numbers))
            found = reduced_rows(values)
            known = self._known[name]
            self._known[name] = known.merged(moments_of(found, values, given, known))
            flat = values.reshape(len(numbers), -1)
            sampled = flat if flat.shape[1] <= COUNTED else flat.take(sample_places(flat.shape[1], COUNTED), axis=1)
            self._counts[index] += bucket_counts(sampled)
            self.summaries.append({"number": given, "row": np.asarray(rows)} | _summary(name, found, values.shape[2]))
            if name in self._results and flat.shape[1] <= LARGEST_RESULT:
                for entry, result in zip(new, arrays[name].reshape(len(numbers), -1), strict=True):
                    entry[name] = result.copy()
                if others is not None and name in others:
                    for entry, result in zip(new, others[name].reshape(len(numbers), -1), strict=True):
                        entry[f"other:{name}"] = result.copy()
        self.images += new

    def add_broken(self, number: int, reason: str) -> None:
        """List an image that can't be read, and why."""
        self.images.append(self._row(number, 0) | {"error": reason})

    @property
    def result_names(self) -> list[str]:
        """The results that each image's row may have."""
        return self._results

    def statistics(self) -> PartialStatistics:
        """Return the statistics of the images so far."""
        return PartialStatistics(self._read, ChannelMoments.joined(list(self._known.values())), self._counts)

    def _row(self, number: int, row: int) -> dict[str, Any]:
        item = self.shard.items[number - self.shard.first]
        return {"image": item, "number": number, "row": row, "class": self.shard.class_name, "error": None}


def _summary(name: str, rows: Rows, each: int) -> dict[str, Any]:
    """Return the statistics of each image over all channels of one output."""
    count = rows.count.sum(axis=1)
    mean = rows.total.sum(axis=1) / np.maximum(count, 1)
    apart = rows.count * np.square(rows.means - mean[:, None])
    empty = count == 0
    return {
        "output": name,
        "count": count,
        "mean": np.where(empty, np.nan, mean),
        "std": np.where(empty, np.nan, np.sqrt((rows.squares + apart).sum(axis=1) / np.maximum(count, 1))),
        "min": np.where(empty, np.nan, rows.low.min(axis=1)),
        "max": np.where(empty, np.nan, rows.high.max(axis=1)),
        "zeros": rows.zeros.sum(axis=1),
        "nan": rows.nan.sum(axis=1),
        "infinite": rows.infinite.sum(axis=1),
        "zero_channels": (rows.zeros == each).sum(axis=1),
    }
