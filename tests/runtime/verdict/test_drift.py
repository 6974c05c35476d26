"""The verdict on one output: the rule, and each way to fail it."""

from dataclasses import replace

import numpy as np
import pytest

from runtime import compare_output
from runtime.artifact.reference import Truth
from runtime.artifact.tensor_summary import SAMPLE_LIMIT, sample
from runtime.verdict.drift import largest_error

EXACT = np.random.default_rng(0).standard_normal((2, 8, 4, 4))
SCALE = float(np.abs(EXACT).max())
FLOOR = 1e-6


def _truth(exact=EXACT, floor=FLOOR, nonfinite=0):
    finite = np.abs(exact[np.isfinite(exact)])
    return Truth(sample(exact), exact.shape, float(finite.max(initial=0)) or 1.0, floor, nonfinite)


def _judge(array, **facts):
    return compare_output("out", _truth(**facts), array)


@pytest.mark.parametrize(("multiple", "verdict"), [(0, "pass"), (1, "pass"), (15.9, "pass"), (16.1, "drift")])
def test_sixteen_times_the_noise_floor_is_the_limit(multiple, verdict):
    result = EXACT.copy()
    result[1, 3, 2, 1] += multiple * FLOOR * SCALE
    outcome = _judge(result)
    assert outcome.verdict == verdict
    assert outcome.drift == pytest.approx(multiple, rel=1e-3)
    assert outcome.max_abs == pytest.approx(multiple * FLOOR * SCALE, rel=1e-3)
    assert outcome.relative_to_scale == pytest.approx(multiple * FLOOR, rel=1e-3)


def test_below_the_machine_epsilon_of_the_dtype_no_error_counts():
    result = (EXACT * (1 + 8 * np.finfo(np.float32).eps)).astype(np.float32)
    assert _judge(result, floor=0.0).verdict == "pass"
    assert _judge(result.astype(np.float64), floor=0.0).verdict == "drift"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_their_own_verdict(value):
    result = EXACT.copy()
    result[0, 0, 0, 0] = value
    assert _judge(result).verdict == "nonfinite"


def test_infinity_is_found_outside_the_sample_too():
    exact = np.ones(4 * SAMPLE_LIMIT)
    result = exact.copy()
    for position in range(exact.size):
        result[position] = np.nan
        if not np.isnan(sample(result)).any():
            break
        result[position] = 1
    assert np.isfinite(sample(result)).all()
    assert _judge(result, exact=exact).verdict == "nonfinite"


def test_where_eager_pytorch_has_infinities_the_rest_is_compared():
    exact = EXACT.copy()
    exact[0, 0] = -np.inf
    assert _judge(exact.copy(), exact=exact, nonfinite=16).verdict == "pass"
    wrong = exact.copy()
    wrong[1, 1, 1, 1] += 0.5
    assert _judge(wrong, exact=exact, nonfinite=16).verdict == "drift"


def test_a_missing_output_and_a_wrong_shape_are_their_own_verdicts():
    assert _judge(None).verdict == "missing"
    assert _judge(EXACT[:1]).verdict == "shape"
    assert _judge(EXACT.transpose(0, 1, 3, 2)[..., :3]).verdict == "shape"
    assert _judge(EXACT.astype(str)).verdict == "shape"


def test_a_tensor_of_zeros_can_be_compared():
    zeros = np.zeros((2, 3))
    assert _judge(zeros, exact=zeros, floor=0.0).verdict == "pass"
    assert _judge(zeros + 1e-3, exact=zeros, floor=0.0).verdict == "drift"


def test_sqnr_and_cosine_are_the_textbooks():
    result = EXACT + 0.01 * np.random.default_rng(1).standard_normal(EXACT.shape)
    outcome = _judge(result)
    assert outcome.sqnr_db == pytest.approx(10 * np.log10((EXACT**2).sum() / ((result - EXACT) ** 2).sum()))
    cosine = (EXACT * result).sum() / np.sqrt((EXACT**2).sum() * (result**2).sum())
    assert outcome.cosine == pytest.approx(cosine)
    assert _judge(EXACT).sqnr_db is None


def test_where_eager_pytorch_has_infinities_the_same_are_wanted():
    exact = EXACT.copy()
    exact[0, 0] = -np.inf
    for wrong in (0.0, np.inf, np.nan):
        result = exact.copy()
        result[0, 0, 1, 1] = wrong
        assert _judge(result, exact=exact, nonfinite=16).verdict == "nonfinite", wrong


def test_a_tensor_without_a_single_finite_value_proves_nothing():
    nothing = np.full((2, 3), np.nan)
    assert _judge(nothing, exact=nothing, nonfinite=6).verdict == "unproven"


def test_a_tensor_of_the_same_infinities_is_equal_and_proves_nothing():
    masked = np.full((2, 3), -np.inf)
    assert _judge(masked, exact=masked, nonfinite=6).verdict == "unproven"
    assert _judge(-masked, exact=masked, nonfinite=6).verdict == "nonfinite"


def test_what_overflows_in_float32_need_not_in_float64():
    exact = EXACT.copy()
    exact[0, 0] = np.inf
    wide = EXACT.copy()
    wide[0, 0] = 1e80
    truth = _truth(exact, nonfinite=16)
    assert compare_output("out", truth, wide, in_float64=True).verdict == "pass"
    assert compare_output("out", truth, wide).verdict == "nonfinite"
    wide[1, 1, 1, 1] += 0.5
    assert compare_output("out", truth, wide, in_float64=True).verdict == "drift"


def test_what_is_nan_in_float64_has_to_be_so_in_a_file_in_float64():
    exact = EXACT.copy()
    exact[0, 0] = np.nan
    truth = replace(_truth(exact, nonfinite=16), nonfinite_in_float64=16)
    assert compare_output("out", truth, exact, in_float64=True).verdict == "pass"
    assert compare_output("out", truth, EXACT, in_float64=True).verdict == "nonfinite"
    assert compare_output("out", truth, EXACT).verdict == "nonfinite"
    by_rounding = _truth(exact, nonfinite=16)
    assert compare_output("out", by_rounding, EXACT, in_float64=True).verdict == "pass"


def test_a_number_is_found_outside_the_sample_where_the_model_is_nan():
    exact = np.ones(4 * SAMPLE_LIMIT)
    place = next(place for place in range(exact.size) if sample(np.arange(exact.size))[place] != place)
    exact[place] = np.nan
    truth = replace(_truth(exact, nonfinite=1), nonfinite_in_float64=1)
    assert np.isfinite(truth.sample).all()
    assert compare_output("out", truth, exact).verdict == "pass"
    for in_float64 in (False, True):
        assert compare_output("out", truth, np.ones(exact.size), in_float64=in_float64).verdict == "nonfinite"


def test_nan_beside_a_number_is_an_infinite_error_and_beside_nan_none():
    one, other = np.array([1.0, np.nan, np.inf]), np.array([1.5, np.nan, np.inf])
    assert largest_error(one, other) == 0.5
    assert largest_error(one, np.array([1.0, 2.0, np.inf])) == np.inf
    assert largest_error(one, np.array([1.0, np.nan, -np.inf])) == np.inf


def test_huge_and_tiny_numbers_are_told():
    exact = np.full((2, 3), 1e-150)
    outcome = _judge(np.full((2, 3), 1e150), exact=exact)
    assert outcome.verdict == "drift"
    assert outcome.sqnr_db == pytest.approx(-6000)


def test_integers_and_booleans_are_exact():
    classes = np.array([3, 7])
    exact = classes.astype(np.float64)
    assert _judge(classes, exact=exact, floor=0.0).verdict == "pass"
    assert _judge(np.array([3, 6]), exact=exact, floor=0.0).verdict == "drift"
    assert _judge(np.array([True, False]), exact=np.array([1.0, 0.0]), floor=0.0).verdict == "pass"
    assert _judge(np.array([True, True]), exact=np.array([1.0, 0.0]), floor=0.0).verdict == "drift"
