"""Histograms while they wait to be merged: the same counts as without compression, in little memory."""

import tracemalloc

import numpy as np

from runtime.scan.channel_histogram import ChannelHistograms
from runtime.scan.output_histograms import OutputHistograms
from runtime.scan.packed_histograms import PackedHistograms
from runtime.scan.value_histogram import BINS, BUCKETS, NO_TOP


def histograms(channels: int, seed: int, largest: int = 60_000) -> ChannelHistograms:
    random = np.random.default_rng(seed)
    tables = np.zeros((channels, BINS), np.int64)
    tables[:, 100:110] = random.integers(0, largest, (channels, 10))
    return ChannelHistograms.of(random.integers(NO_TOP, 2000, channels).astype(np.int32), tables)


def assert_same(one: ChannelHistograms, other: ChannelHistograms) -> None:
    np.testing.assert_array_equal(one.tops, other.tops)
    np.testing.assert_array_equal(one.tables, other.tables)


def test_compressed_and_unpacked_they_are_the_same():
    for channels in (1, 511, 512, 1300):
        whole = histograms(channels, channels)
        packed = PackedHistograms.of(whole)
        assert_same(packed.unpacked(), whole)
        assert_same(PackedHistograms.from_arrays(packed.arrays(), channels).unpacked(), whole)


def test_merged_compressed_they_are_as_merged_without():
    one, other = histograms(1300, 1), histograms(1300, 2, largest=2**40)
    assert_same(PackedHistograms.of(one).merged(PackedHistograms.of(other)).unpacked(), one.merged(other))
    nothing = PackedHistograms.none(1300)
    assert_same(nothing.merged(PackedHistograms.of(one)).unpacked(), one)


def test_merging_takes_less_memory_than_the_tables():
    one, other = (PackedHistograms.of(histograms(20_000, seed)) for seed in (1, 2))
    tracemalloc.start()
    try:
        merged = one.merged(other)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < merged.unpacked().tables.nbytes / 2


def test_the_filled_buckets_of_outputs_add_up():
    random = np.random.default_rng(0)
    one, other = random.integers(0, 1000, (2, 3, BUCKETS)) * (random.random((2, 3, BUCKETS)) < 0.01)
    one[1] = 0
    merged = OutputHistograms.of(one).merged(OutputHistograms.of(other))
    for index in range(3):
        np.testing.assert_array_equal(merged.of_output(index), one[index] + other[index])
    assert len(merged.places) == np.count_nonzero(one + other)
    assert not OutputHistograms.none().of_output(0).any()
