"""What is known of a shard, batch after batch: its partial statistics and a row for each image.

A function of the artifact and the paths alone: it knows no other shard, and writes nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from .batch_reduction import BatchReduction, reduced_batch
from .channel_moments import ChannelMoments
from .image_list import Shard
from .output_histograms import OutputHistograms
from .packed_histograms import PackedHistograms
from .partial_statistics import PartialStatistics
from .row_moments import added
from .sample_counts import SampleCounts
from .scanned_outputs import ScannedOutput

__all__ = ["ShardReduction"]


class ShardReduction:
    """What is known of a shard so far."""

    def __init__(self, shard: Shard, outputs: Sequence[ScannedOutput], results: Sequence[str]) -> None:
        """Take the shard, the outputs to reduce, and the names of those that the model itself returns."""
        self.shard, self.outputs = shard, outputs
        self._known = ChannelMoments.none(outputs[-1].end)
        self._samples = SampleCounts([each.channels for each in outputs])
        names = {each.output.name for each in outputs}
        self.result_names = [name for name in results if name in names]
        """The results that each image's row may have."""
        self.images: list[dict[str, Any]] = []
        """A row for each image: its path, number, row within its file, class, why it can't be read, its results."""
        self.summaries: list[Mapping[str, NDArray[Any]]] = []
        """For each batch, columns over its images, N, or over these and the outputs, N O."""
        self.differences: list[dict[str, Any]] = []
        """For each batch and output, columns over the batch's images: of what another model computed."""
        self._read = 0

    def reduced(
        self,
        arrays: Mapping[str, NDArray[Any]],
        numbers: Sequence[int],
        rows: Sequence[int],
        others: Mapping[str, NDArray[Any]] | None = None,
    ) -> BatchReduction:
        """Reduce a batch of the shard, and count its samples, without adding the rest of it; from any thread.

        Args:
            arrays: the outputs by name.
            numbers: of each image, counted over all shards.
            rows: of each image, its place in its file.
            others: what another model computed, as far as it has the same outputs.
        """
        found, samples = reduced_batch(self.outputs, self.result_names, self._known, arrays, numbers, rows, others)
        self._samples.add(samples)
        return found

    def add(self, batch: BatchReduction) -> None:
        """Add a batch. Their order decides about the last bits of means and variances."""
        self._known = added(self._known, batch.moments)
        self._read += len(set(batch.numbers.tolist()))
        self.summaries.append({"number": batch.numbers, "row": batch.rows, **batch.summary})
        self.differences += batch.differences
        for index, (number, row) in enumerate(zip(batch.numbers.tolist(), batch.rows.tolist(), strict=True)):
            entry = self._row(number, row)
            entry |= {name: values[index] for name, values in batch.results.items()}
            entry |= {f"other:{name}": values[index] for name, values in batch.other_results.items()}
            self.images.append(entry)

    def add_broken(self, number: int, reason: str) -> None:
        """List an image that can't be read, and why."""
        self.images.append(self._row(number, 0) | {"error": reason})

    def statistics(self) -> PartialStatistics:
        """Return the statistics of all images; once, as the counts are then given up."""
        counts, histograms = self._samples.results()
        return PartialStatistics(self._read, self._known, OutputHistograms.of(counts), PackedHistograms.of(histograms))

    def _row(self, number: int, row: int) -> dict[str, Any]:
        item = self.shard.items[number - self.shard.first]
        return {"image": item, "number": number, "row": row, "class": self.shard.class_name, "error": None}
