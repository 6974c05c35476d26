"""The histogram of each channel: within its promise, whatever the values; the same in whichever order it is merged."""

from unittest import mock

import numpy as np
import pytest

from runtime.scan import sample_counts
from runtime.scan.channel_histogram import ChannelHistograms
from runtime.scan.sample_counts import SampleCounts, sampled, samples_of
from runtime.scan.value_histogram import QUANTILES

LARGEST = np.finfo(np.float32).max


def channels() -> np.ndarray:
    """Return values of 60 images in 9 channels, N C K, few enough that each is counted."""
    random = np.random.default_rng(0)
    values = random.standard_normal((60, 9, 16)).astype(np.float32)
    values[:, 1] = np.maximum(values[:, 1], 0)
    values[:, 2] *= np.float32(10) ** random.integers(-12, 6, (60, 16)).astype(np.float32)
    values[:, 3] = 0
    values[:, 4] = np.float32(6)
    values[:, 5] *= np.float32(1e-42)
    values[:, 6] = np.where(values[:, 6] > 0, LARGEST, -LARGEST)
    values[::7, 7, ::3], values[1::7, 7, 1], values[2::7, 7, 2] = np.nan, np.inf, -np.inf
    values[:, 8] = np.nan
    return values


def counted(values: np.ndarray) -> ChannelHistograms:
    counts = SampleCounts([values.shape[1]])
    for batch in np.array_split(values, 7):
        counts.add([sampled(batch)])
    return counts.results()[1]


def assert_same(one: ChannelHistograms, other: ChannelHistograms) -> None:
    np.testing.assert_array_equal(one.tops, other.tops)
    assert one.tables.dtype == other.tables.dtype
    np.testing.assert_array_equal(one.tables, other.tables)


def finite(values: np.ndarray) -> list[np.ndarray]:
    """Return the sorted finite values of each channel."""
    return [np.sort(part[np.isfinite(part)]).astype(np.float64) for part in np.moveaxis(values, 1, 0)]


def test_each_quantile_is_within_the_promise():
    values = channels()
    parts = finite(values)
    ends = [(part[0], part[-1]) if part.size else (np.inf, -np.inf) for part in parts]
    found = counted(values).quantiles(*np.array(ends).T)
    for channel, part in enumerate(parts):
        if not part.size:
            assert all(np.isnan(found[share][channel]) for share in QUANTILES)
            continue
        for share in QUANTILES:
            exact = part[max(int(np.ceil(share * part.size)), 1) - 1]
            slack = max(abs(exact) / 32, np.abs(part).max() / 234, 2.0**-130)
            assert abs(found[share][channel] - exact) <= slack, (channel, share)


def test_the_promise_is_not_kept_by_chance():
    # A bucket is so wide that some quantile is off by more than half of what is promised.
    part = np.geomspace(1, 2, 100_000).astype(np.float32)[None, None]
    counts = SampleCounts([1])
    for begin in range(0, part.size, 4096):
        counts.add([sampled(part[..., begin : begin + 4096])])
    found = counts.results()[1].quantiles(np.array([1.0]), np.array([2.0]))
    off = [
        abs(found[share][0] - part[0, 0, int(np.ceil(share * part.size)) - 1]) / found[share][0] for share in QUANTILES
    ]
    assert 1 / 64 < max(off) <= 1 / 32


def test_edges_and_counts_are_those_of_numpy():
    values = channels()
    sizes, edges, counts = counted(values).stretches()
    edge, count = 0, 0
    for channel, (part, size) in enumerate(zip(finite(values), sizes, strict=True)):
        own = edges[edge : edge + size + 1].astype(np.float64)
        edge, count = edge + size + bool(size), count + size
        if not part.size:
            assert size == 0
            continue
        assert (np.diff(own) > 0).all()
        # Of both, a bucket has its edge that is nearer to 0.
        positive = np.histogram(part[part >= 0], own)[0]
        negative = np.histogram(-part[part < 0], -own[::-1])[0][::-1]
        np.testing.assert_array_equal(counts[count - size : count], positive + negative, str(channel))
    assert (edge, count) == (len(edges), len(counts))


def test_in_any_order_and_in_any_parts_the_counts_are_the_same():
    values = channels()
    whole = counted(values)
    random = np.random.default_rng(1)
    assert_same(counted(values[random.permutation(60)]), whole)
    one, two, three = (counted(part) for part in np.array_split(values, 3))
    assert_same(one.merged(two).merged(three), whole)
    assert_same(three.merged(one.merged(two)), whole)
    assert_same(ChannelHistograms.none(9).merged(whole), whole)


def test_counts_get_more_bytes_where_they_need_them():
    many = np.repeat(counted(channels()[:10]).tables, 100, axis=0).astype(np.uint16)
    part = ChannelHistograms.of(np.repeat(counted(channels()[:10]).tops, 100), many)
    found, sums = part, part.tables.astype(np.int64)
    for _ in range(9):
        found, sums = found.merged(found), 2 * sums
        np.testing.assert_array_equal(found.tables, sums)
    assert (part.tables.dtype, found.tables.dtype, part.tables.shape) == (np.uint16, np.uint32, (900, 256))


def test_a_full_table_is_put_aside():
    values = np.zeros((300, 1, 4096), np.float32)
    values[:, :, ::2] = np.arange(300, dtype=np.float32)[:, None, None]
    whole = counted(values)
    with mock.patch.object(sample_counts, "_NARROW", 4096):
        assert_same(counted(values), whole)
    assert whole.totals() == [values.size]


@pytest.mark.parametrize(("channels_of_output", "size", "expected"), [(1, 10_000, 4096), (64, 900, 64), (512, 49, 16)])
def test_so_many_elements_are_counted(channels_of_output, size, expected):
    assert samples_of(channels_of_output) == expected
    assert sampled(np.zeros((2, channels_of_output, size), np.float32)).shape == (channels_of_output, 2, expected)
