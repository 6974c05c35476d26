"""The statistics of a batch: the loops that numba compiles, and NumPy's, against float64 by hand."""

from unittest import mock

import numpy as np
import pytest

from runtime.scan import row_moments
from runtime.scan.channel_moments import ChannelMoments
from runtime.scan.row_moments import moments_of, reduced_rows

LIMIT = 64
IMAGES = np.array([7, 8, 9])


@pytest.fixture(params=["compiled", "NumPy"])
def engine(request):
    if request.param == "NumPy":
        with mock.patch.object(row_moments, "compiled", return_value=None):
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
    rows, _ = reduced_rows(outputs, ChannelMoments.none(12), LIMIT)
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
    rows, _ = reduced_rows(outputs, ChannelMoments.none(12), LIMIT)
    whole = moments_of(rows, IMAGES)
    known = ChannelMoments.none(12)
    for image in range(3):
        part, _ = reduced_rows([values[image : image + 1] for values in outputs], known, LIMIT)
        known = known.merged(moments_of(part, IMAGES[image : image + 1]))
    for name in ("count", "zeros", "nan", "low", "high", "at_low", "at_high", "low_image", "high_image"):
        np.testing.assert_array_equal(getattr(known, name), getattr(whole, name), name)
    np.testing.assert_allclose(known.mean, whole.mean, rtol=1e-12)


def test_both_count_the_same_elements_in_the_same_buckets():
    pytest.importorskip("numba", reason="the compiled loops need numba: pip install '.[scan]'")
    outputs = tensors("odd")
    _, compiled = reduced_rows(outputs, ChannelMoments.none(12), LIMIT)
    with mock.patch.object(row_moments, "compiled", return_value=None):
        _, plain = reduced_rows(outputs, ChannelMoments.none(12), LIMIT)
    assert [len(each) for each in plain] == [3 * LIMIT, 3 * 14, 3 * 5, 3 * 50]
    for one, other in zip(compiled, plain, strict=True):
        np.testing.assert_array_equal(one, other)
