"""What is kept of a large tensor: no change of an element goes unseen, nor seems larger than it is."""

import numpy as np
import pytest

from runtime.artifact.tensor_summary import channel_maximum, channel_statistics, sample, sample_places


@pytest.mark.parametrize(("shape", "axis"), [((2, 5, 6, 7), 1), ((2, 6, 7, 5), 3), ((2, 9, 5), 2), ((4, 6), None)])
def test_the_statistics_of_a_channel_are_over_all_its_elements(shape, axis):
    tensor = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    by_channel = np.moveaxis(tensor, axis, 0).reshape(shape[axis], -1) if axis is not None else tensor.reshape(1, -1)
    wide = by_channel.astype(np.float64)
    expected = [wide.mean(1), np.sqrt((wide**2).mean(1)), wide.min(1), wide.max(1)]
    np.testing.assert_allclose(channel_statistics(tensor, axis), expected, rtol=1e-12)
    np.testing.assert_array_equal(channel_maximum(tensor, axis), wide.max(1))


def test_no_statistic_moves_further_than_the_worst_element():
    generator = np.random.default_rng(0)
    for _ in range(50):
        tensor = generator.normal(size=(1, 3, 8, 8)) * generator.uniform(0, 10)
        error = generator.normal(size=tensor.shape) * (generator.uniform(size=tensor.shape) > 0.9)
        moved = np.abs(channel_statistics(tensor + error, 1) - channel_statistics(tensor, 1))
        assert (moved <= channel_maximum(np.abs(error), 1) + 1e-12).all()


@pytest.mark.parametrize(("size", "limit"), [(10, 10), (10, 4), (100_000, 4096)])
def test_the_sample_takes_one_element_from_each_stretch(size, limit):
    places = sample_places(size, limit)
    starts = np.arange(limit + 1) * size / limit
    assert (np.floor(starts[:-1]) <= places).all()
    assert (places <= starts[1:]).all()
    np.testing.assert_array_equal(sample(np.arange(size), limit), places)
