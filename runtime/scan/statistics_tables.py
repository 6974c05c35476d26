"""Statistics -> Parquet: outputs, channels and their histograms; which channels are dead or saturated."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .channel_histogram import ChannelHistograms
from .channel_moments import ChannelMoments
from .partial_statistics import PartialStatistics
from .scanned_outputs import ScannedOutput
from .tables import shown_path, words, write_row_groups, write_table
from .value_histogram import QUANTILES, bucket_edges, quantiles

if TYPE_CHECKING:
    import pyarrow
__all__ = ["dead_and_saturated", "write_statistics"]

_SATURATED = 0.5
"""The share of a channel's elements at one end of its range from which on it counts as saturated."""
_TOGETHER = 8192
"""Channels whose histograms are in one row group of their file."""


def write_statistics(
    folder: Path,
    outputs: Sequence[ScannedOutput],
    statistics: Iterable[tuple[str | None, PartialStatistics]],
    path_of: Callable[[int], str],
) -> None:
    """Write `outputs.parquet`, `channels.parquet`, `histograms.parquet` and `channel_histograms.parquet`.

    Args:
        folder: where.
        outputs: that were scanned.
        statistics: of each class, and of all images with None.
        path_of: from an image's number to its path.

    Raises:
        OutputError: a file can't be written.
    """
    import pyarrow as pa

    tables: dict[str, list[pa.Table]] = {"outputs": [], "channels": [], "histograms": []}
    with ThreadPoolExecutor(1) as beside:
        written = []
        for name, partial in statistics:
            of_class = None if name is None else shown_path(name)
            if name is None:
                # The largest table by far: it is written while the others are made.
                histograms = partial.histograms.unpacked()
                groups = (_channel_histogram_rows(each, histograms) for each in _grouped(outputs))
                written.append(beside.submit(write_row_groups, folder / "channel_histograms.parquet", groups))
            tables["channels"].append(_channel_rows(of_class, outputs, partial, path_of))
            for index, each in enumerate(outputs):
                moments = partial.moments.part(each.begin, each.end)
                counts = partial.outputs.of_output(index)
                tables["outputs"].append(_output_row(of_class, each, moments, counts, path_of))
                tables["histograms"].append(_histogram_rows(of_class, each, counts))
        for table, parts in tables.items():
            write_table(folder / f"{table}.parquet", pa.concat_tables(parts).combine_chunks())
        for future in written:
            future.result()


def _moments(moments: ChannelMoments, path_of: Callable[[int], str]) -> dict[str, Any]:
    """Return the columns that outputs and channels share."""
    import pyarrow as pa

    known = moments.count > 0
    variance = moments.squares / np.maximum(moments.count, 1)

    def number(values: NDArray[np.float64]) -> Any:
        return pa.array(values, pa.float64(), mask=~known)

    def path(images: NDArray[np.int64]) -> Any:
        # Few images give the extremes of thousands of channels.
        found, places = np.unique(images, return_inverse=True)
        return words([None if image < 0 else path_of(image) for image in found.tolist()]).take(pa.array(places))

    return {
        "count": pa.array(moments.count),
        "mean": number(moments.mean),
        "variance": number(variance),
        "std": number(np.sqrt(variance)),
        "min": number(moments.low),
        "max": number(moments.high),
        "zeros": pa.array(moments.zeros),
        "nan": pa.array(moments.nan),
        "infinite": pa.array(moments.infinite),
        "at_min": pa.array(moments.at_low),
        "at_max": pa.array(moments.at_high),
        "min_image": path(moments.low_image),
        "max_image": path(moments.high_image),
    }


def _channel_rows(
    of_class: str | None,
    outputs: Sequence[ScannedOutput],
    statistics: PartialStatistics,
    path_of: Callable[[int], str],
) -> "pyarrow.Table":
    import pyarrow as pa

    moments, histograms = statistics.moments, statistics.histograms.unpacked()
    dead, saturated = dead_and_saturated(moments)
    counted = histograms.totals()
    return pa.table(
        {
            "class": words([of_class] * len(dead)),
            **_places(outputs),
            **_moments(moments, path_of),
            "dead": pa.array(dead),
            "saturated": pa.array(saturated),
            "counted": pa.array(counted),
            **{
                f"q{share:g}": pa.array(values, pa.float64(), mask=counted == 0)
                for share, values in histograms.quantiles(moments.low, moments.high).items()
            },
        }
    )


def _places(outputs: Sequence[ScannedOutput]) -> dict[str, Any]:
    """Return the columns that say which channel a row is of, for all channels of all outputs."""
    import pyarrow as pa

    sizes = [each.channels for each in outputs]
    names = words([each.output.name for each in outputs]).take(pa.array(np.repeat(np.arange(len(sizes)), sizes)))
    numbers = np.concatenate([np.arange(size, dtype=np.int32) for size in sizes])
    return {"output": names, "channel": pa.array(numbers)}


def dead_and_saturated(moments: ChannelMoments) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which channels are zero in every element of every image, and which are at an end of their range, other
    than 0, in at least half of their elements, of which there are several.
    """
    whole = moments.count + moments.nan + moments.infinite
    dead = (moments.zeros == whole) & (whole > 0)
    least = np.maximum(_SATURATED * moments.count, 2)
    at_low = (moments.at_low >= least) & (moments.low != 0)
    at_high = (moments.at_high >= least) & (moments.high != 0)
    return dead, (at_low | at_high) & ~dead


def _output_row(
    of_class: str | None,
    output: ScannedOutput,
    moments: ChannelMoments,
    counts: NDArray[np.int64],
    path_of: Callable[[int], str],
) -> "pyarrow.Table":
    import pyarrow as pa

    dead, saturated = dead_and_saturated(moments)
    whole = moments.pooled()
    values = quantiles(counts, float(whole.low[0]), float(whole.high[0]))
    origin = output.output
    return pa.table(
        {
            "class": words([of_class]),
            "output": words([origin.name]),
            "label": words([origin.label]),
            "shape": words([" x ".join(map(str, origin.shape))]),
            "channels": pa.array([output.channels], pa.int32()),
            **_moments(whole, path_of),
            "dead_channels": pa.array([int(dead.sum())], pa.int32()),
            "saturated_channels": pa.array([int(saturated.sum())], pa.int32()),
            "counted": pa.array([int(counts.sum())]),
            **{
                f"q{share:g}": pa.array([values[share]], pa.float64(), mask=np.array([not counts.any()]))
                for share in QUANTILES
            },
        }
    )


def _histogram_rows(of_class: str | None, output: ScannedOutput, counts: NDArray[np.int64]) -> "pyarrow.Table":
    import pyarrow as pa

    buckets = np.flatnonzero(counts)
    low, high = bucket_edges(buckets)
    order = np.lexsort((high, low))
    return pa.table(
        {
            "class": words([of_class] * len(buckets)),
            "output": words([output.output.name] * len(buckets)),
            "low": pa.array(low[order]),
            "high": pa.array(high[order]),
            "count": pa.array(counts[buckets][order]),
        }
    )


def _channel_histogram_rows(outputs: Sequence[ScannedOutput], histograms: ChannelHistograms) -> "pyarrow.Table":
    """Return the rows of some outputs that follow one another."""
    import pyarrow as pa

    sizes, edges, counts = histograms.part(outputs[0].begin, outputs[-1].end).stretches()
    lists = {}
    for name, lengths, values in (("edges", sizes + (sizes > 0), edges), ("counts", sizes, counts)):
        starts = np.concatenate([[0], np.cumsum(lengths)])
        lists[name] = pa.LargeListArray.from_arrays(pa.array(starts), pa.array(values))
    return pa.table(_places(outputs) | lists)


def _grouped(outputs: Sequence[ScannedOutput]) -> Iterator[list[ScannedOutput]]:
    """Yield the outputs in groups of about so many channels that their histograms take tens of megabytes."""
    group: list[ScannedOutput] = []
    for each in outputs:
        group.append(each)
        if each.end - group[0].begin >= _TOGETHER:
            yield group
            group = []
    if group:
        yield group
