"""A batch's tensors -> all that is kept of them: a function of the batch alone, which several threads compute at once.

What depends on the batches before it, merging, is in `shard_reduction.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .batch_differences import differences_of
from .channel_moments import ChannelMoments
from .row_moments import Rows, moments_of, reduced_rows
from .sample_counts import Samples
from .scanned_outputs import ScannedOutput

__all__ = ["LARGEST_RESULT", "BatchReduction", "reduced_batch"]

LARGEST_RESULT = 4096
"""Elements of a result that are kept for each image; a larger one has its summary only."""

_Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class BatchReduction:
    """What is kept of a batch of N images."""

    numbers: NDArray[np.int64]
    """Of each image, counted over all shards."""
    rows: NDArray[np.int64]
    """Of each image, its place in its file."""
    moments: ChannelMoments
    """Of all outputs' channels."""
    summary: Mapping[str, NDArray[Any]]
    """Statistics of each image over all channels of each output, N O, by column."""
    results: _Arrays = field(default_factory=dict)
    """The model's results that each image's row has, N K."""
    other_results: _Arrays = field(default_factory=dict)
    """Another runner's."""
    differences: Sequence[dict[str, Any]] = ()
    """For each output, columns over the batch's images: what another runner's tensors differ by."""


def reduced_batch(
    outputs: Sequence[ScannedOutput],
    results: Sequence[str],
    known: ChannelMoments,
    arrays: _Arrays,
    numbers: Sequence[int],
    rows: Sequence[int],
    others: _Arrays | None = None,
) -> tuple[BatchReduction, Samples]:
    """Reduce a batch, and return with it the elements that the histograms count.

    Args:
        outputs: to reduce.
        results: those that the model itself returns.
        known: of images before, as of `reduced_rows`.
        arrays: the tensors by name.
        numbers: of each image, counted over all shards.
        rows: of each image, its place in its file.
        others: what another runner computed.
    """
    images, places = np.asarray(numbers, np.int64), np.asarray(rows, np.int64)
    tensors = [each.by_channel(arrays[each.output.name], len(images)) for each in outputs]
    found, samples = reduced_rows(tensors, known)
    kept = [name for name in results if arrays[name].size <= LARGEST_RESULT * len(images)]
    differences = differences_of(outputs, arrays, others, len(images)) if others is not None else ()
    reduction = BatchReduction(
        images,
        places,
        moments_of(found, images),
        _summary(found, outputs, [values.shape[2] for values in tensors]),
        _rows_of(arrays, kept, len(images)),
        _rows_of(others, [name for name in kept if name in others], len(images)) if others is not None else {},
        [{"number": images, "row": places} | each for each in differences],
    )
    return reduction, samples


def _rows_of(arrays: _Arrays, names: Sequence[str], images: int) -> dict[str, NDArray[Any]]:
    """Return copies, N K: the next batch overwrites the arrays."""
    return {name: np.array(arrays[name]).reshape(images, -1) for name in names}


def _summary(rows: Rows, outputs: Sequence[ScannedOutput], sizes: Sequence[int]) -> dict[str, NDArray[Any]]:
    """Return the statistics of each image over all channels of each output, N O; `sizes` is K of each."""
    begins, channels = [each.begin for each in outputs], [each.channels for each in outputs]

    def added(values: NDArray[Any]) -> NDArray[Any]:
        return np.add.reduceat(values, begins, axis=1)

    count = added(rows.count)
    mean = added(rows.sums[0]) / np.maximum(count, 1)
    apart = rows.count * np.square(rows.means - np.repeat(mean, channels, axis=1))
    empty = count == 0
    return {
        "count": count,
        "mean": np.where(empty, np.nan, mean),
        "std": np.where(empty, np.nan, np.sqrt(added(rows.sums[1] + apart) / np.maximum(count, 1))),
        "min": np.where(empty, np.nan, np.minimum.reduceat(rows.extremes[0], begins, axis=1)),
        "max": np.where(empty, np.nan, np.maximum.reduceat(rows.extremes[1], begins, axis=1)),
        "zeros": added(rows.counts[0]),
        "nan": added(rows.nan),
        "infinite": added(rows.infinite),
        "zero_channels": added(rows.counts[0] == np.repeat(sizes, channels)),
    }
