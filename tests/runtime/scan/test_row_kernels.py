"""The statistics of a batch: the loops that numba compiles, and NumPy's, against float64 by hand."""

from contextlib import ExitStack, contextmanager
from unittest import mock

import numpy as np
import pytest

from runtime.scan import channel_histogram, row_moments, sample_counts
from runtime.scan.channel_moments import FLOATS, INTEGERS, ChannelMoments
from runtime.scan.row_moments import added, moments_of, reduced_rows
from runtime.scan.sample_counts import SampleCounts

IMAGES = np.array([7, 8, 9])


@contextmanager
def by_numpy():
    with ExitStack() as held:
        for module in (channel_histogram, row_moments, sample_counts):
            held.enter_context(mock.patch.object(module, "compiled", return_value=None))
        yield


@pytest.fixture(params=["compiled", "NumPy"])
def engine(request):
    if request.param == "NumPy":
        with by_numpy():
            yield
    else:
        pytest.importorskip("numba", reason="the compiled loops need numba: pip install '.[scan]'")
        yield


def tensors(kind: str) -> list[np.ndarray]:
    """Outputs of three images, N C K, of which the first is as `kind` says."""
    random = np.random.default_rng(0)
    values = random.standard_normal((3, 4, 50)).astype(np.float32)
    if kind == "far from zero":
        values = values * np.float32(1e-4) + np.float32(1000)
    elif kind == "rectified":
        values = np.clip(values, 0, np.float32(0.5))
    elif kind == "odd":
        values[0, 0, 3], values[1, 1, 4], values[2, 2, 5] = np.nan, np.inf, -np.inf
        values[:, 3] = np.nan
    elif kind == "zeros of both signs":
        values[:, 1] = np.float32(-0.0)
        values[:, 2, ::2] = np.float32(-0.0)
        values = np.abs(values) * np.sign(values)
    elif kind == "negative":
        values = -np.abs(values) - np.float32(1)
    elif kind == "huge":
        values = values * np.float32(3e38 / 5)
    return [
        values,
        random.standard_normal((3, 2, 7)).astype(np.float64),
        random.integers(0, 3, (3, 5, 1)),
        values[:, :1],
    ]


KINDS = ("usual", "far from zero", "rectified", "odd", "zeros of both signs", "negative", "huge")


@pytest.mark.parametrize("kind", KINDS)
def test_each_channel_has_the_numbers_of_float64(engine, kind):
    outputs = tensors(kind)
    rows, _ = reduced_rows(outputs, ChannelMoments.none(12))
    found = moments_of(rows, IMAGES)
    channels = [part for values in outputs for part in np.moveaxis(values.astype(np.float64), 1, 0)]
    for index, values in enumerate(channels):
        finite = values[np.isfinite(values)]
        assert found.count[index] == finite.size
        assert (found.nan[index], found.infinite[index]) == (np.isnan(values).sum(), np.isinf(values).sum())
        assert found.zeros[index] == (values == 0).sum()
        if not finite.size:
            assert (found.low_image[index], found.high_image[index]) == (-1, -1)
            continue
        assert found.mean[index] == pytest.approx(finite.mean(), rel=1e-12, abs=1e-12 * np.abs(finite).max())
        assert found.squares[index] / finite.size == pytest.approx(finite.var(), rel=1e-12)
        for side, extreme in (("low", finite.min()), ("high", finite.max())):
            assert getattr(found, side)[index] == extreme
            assert not np.signbit(getattr(found, side)[index]) or extreme < 0
            assert getattr(found, f"at_{side}")[index] == (values == extreme).sum()
            first = IMAGES[int((values == extreme).any(axis=1).argmax())]
            assert getattr(found, f"{side}_image")[index] == first


def test_in_parts_it_is_the_same_as_at_once(engine):
    outputs = tensors("rectified")
    rows, _ = reduced_rows(outputs, ChannelMoments.none(12))
    whole = moments_of(rows, IMAGES)
    known = ChannelMoments.none(12)
    for image in range(3):
        part, _ = reduced_rows([values[image : image + 1] for values in outputs], known)
        known = known.merged(moments_of(part, IMAGES[image : image + 1]))
    for name in ("count", "zeros", "nan", "low", "high", "at_low", "at_high", "low_image", "high_image"):
        np.testing.assert_array_equal(getattr(known, name), getattr(whole, name), name)
    np.testing.assert_allclose(known.mean, whole.mean, rtol=1e-12)


def test_merging_in_place_is_merging_to_the_last_bit():
    pytest.importorskip("numba", reason="the compiled loops need numba: pip install '.[scan]'")
    parts = []
    for number, kind in enumerate((*KINDS, *KINDS)):
        rows, _ = reduced_rows(tensors(kind), ChannelMoments.none(12))
        parts.append(moments_of(rows, IMAGES + number * 10))
    merged, known = ChannelMoments.none(12), ChannelMoments.none(12)
    for part in parts:
        merged, known = merged.merged(part), added(known, part)
        for name in (*INTEGERS, *FLOATS):
            assert getattr(known, name).tobytes() == getattr(merged, name).tobytes(), name


def test_both_count_the_same_elements_in_the_same_buckets():
    pytest.importorskip("numba", reason="the compiled loops need numba: pip install '.[scan]'")

    def counted():
        counts = SampleCounts([4, 2, 5, 1])
        for kind in KINDS:
            counts.add(reduced_rows(tensors(kind), ChannelMoments.none(12))[1])
        return counts.results()

    compiled, histograms = counted()
    with by_numpy():
        plain, others = counted()
    np.testing.assert_array_equal(compiled, plain)
    np.testing.assert_array_equal(histograms.tops, others.tops)
    np.testing.assert_array_equal(histograms.tables, others.tables)
    assert histograms.tables.sum() == compiled.sum() > 0
