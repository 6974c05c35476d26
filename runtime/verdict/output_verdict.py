"""One output of a runner against its float64 truth: numbers and a verdict. Comparing gives data; it asserts nothing."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from ..artifact.reference import Truth, sample
from .verdicts import Verdict

__all__ = [
    "FILE_PASSING_DRIFT",
    "FILE_RUNNER",
    "PASSING_DRIFT",
    "ErrorShare",
    "OutputComparison",
    "compare_output",
    "drift_unit",
    "largest_error",
    "passing_drift",
]

PASSING_DRIFT = 16.0
"""The largest drift that passes, in multiples of the noise floor.

Two correct float32 programs add up in different orders, so each is off by its own multiple of the rounding error;
16 is far above what that explains (1 to 4 in practice) and far below what a wrong weight causes (thousands)."""

FILE_PASSING_DRIFT = 4.0
"""The largest drift that passes where the ONNX file itself is evaluated in float64. No rounding adds up there, but what
the exporter computed for good (a table of positions, say) it computed in float32, as far off as eager PyTorch's own."""

FILE_RUNNER = "onnx-float64"
"""Not a runtime: what the ONNX file itself says, evaluated in float64. It tells a fault of the export from the rest."""

UNPROVEN_NOISE = 0.01
"""A noise floor above this, times the 16 that pass, is a sixth of the tensor's scale: a wrong result may pass, too."""


class OutputComparison(BaseModel):
    """The result of comparing one output in one runner. The numbers are None where nothing could be compared."""

    model_config = ConfigDict(frozen=True)

    name: str
    verdict: Verdict
    drift: float | None = None
    """The error as a multiple of the noise floor."""
    max_abs: float | None = None
    """Largest absolute error, in the tensor's own unit."""
    relative_to_scale: float | None = None
    """`max_abs` divided by the largest absolute value of the truth."""
    sqnr_db: float | None = None
    """Power of the truth over power of the error, in decibels; None also where there is no error at all."""
    cosine: float | None = None
    """Cosine of the angle between result and truth."""
    introduced: float | None = None
    """What the operation brought in itself, given the inputs that it got; a multiple of the noise floor, as `drift`."""
    inherited: float | None = None
    """What it was given with its inputs."""

    @property
    def failed(self) -> bool:
        """Whether this fails the runner."""
        return self.verdict.fails


@dataclass(frozen=True)
class ErrorShare:
    """The two parts of an output's error, in multiples of its noise floor, as its drift.

    What made NaN or infinity brought in an infinite error; what was handed it inherited one.
    """

    introduced: float
    inherited: float


def compare_output(
    name: str,
    truth: Truth,
    candidate: NDArray[Any] | None,
    dtype: str | None = None,
    *,
    in_float64: bool = False,
) -> OutputComparison:
    """Judge a runner's tensor for the recorded input.

    The drift is the largest error, relative to the tensor's scale, divided by max(noise floor, machine epsilon of the
    candidate's dtype). The numbers are over the reference's sample; the search for NaN and infinity is over the whole
    tensor.

    Args:
        name: the output's name.
        truth: what the artifact's reference says of it.
        candidate: what the runner gave; None if it gave nothing.
        dtype: in which the model computed it, if that isn't the candidate's dtype: bfloat16 comes as float32.
        in_float64: it was computed in float64: then what overflows in float32 need not.
    """
    if candidate is None:
        return OutputComparison(name=name, verdict=Verdict.MISSING)
    if candidate.shape != truth.shape or candidate.dtype.kind not in "biuf":
        return OutputComparison(name=name, verdict=Verdict.SHAPE)
    result, expected = sample(candidate).astype(np.float64), truth.sample
    finite = np.isfinite(expected)
    if in_float64:
        result = np.where(finite, result, expected)
    # Eager PyTorch may itself give infinities (a mask of -inf) or NaN: then these have to be the same ones.
    if (
        np.count_nonzero(~np.isfinite(candidate)) > truth.nonfinite
        or not np.array_equal(np.where(finite, 0, expected), np.where(np.isfinite(result), 0, result), equal_nan=True)
        or (expected.size and np.isnan(expected).all())
    ):
        return OutputComparison(name=name, verdict=Verdict.NONFINITE)
    result, expected = result[finite], expected[finite]
    error = result - expected
    max_abs = float(np.max(np.abs(error), initial=0.0))
    relative = max_abs / truth.scale
    dtype = dtype or str(candidate.dtype)
    # ONNX has float32 for its attributes, an epsilon say, in a float64 model as well.
    coarse = _epsilon("float32") * truth.scale if in_float64 and dtype == "float64" else 0.0
    drift = max_abs / max(drift_unit(truth, dtype), coarse)
    error_power, power = _dot(error, error), _dot(expected, expected)
    proven = truth.noise_floor <= UNPROVEN_NOISE and (finite.any() or not finite.size)
    passing = FILE_PASSING_DRIFT if in_float64 else PASSING_DRIFT
    return OutputComparison(
        name=name,
        verdict=Verdict.DRIFT if drift > passing else Verdict.PASS if proven else Verdict.UNPROVEN,
        drift=drift,
        max_abs=max_abs,
        relative_to_scale=relative,
        sqnr_db=10 * (math.log10(power) - math.log10(error_power)) if power and error_power else None,
        cosine=_cosine(result, expected),
    )


def passing_drift(runner: str) -> float:
    """Return the largest drift that passes in a runner."""
    return FILE_PASSING_DRIFT if runner == FILE_RUNNER else PASSING_DRIFT


def drift_unit(truth: Truth, dtype: str) -> float:
    """Return the error that counts as a drift of 1, in the tensor's own unit.

    Integers and truth values are exact: any difference counts, unless eager float32 differs from float64 as well.
    """
    return max(truth.noise_floor, _epsilon(dtype)) * truth.scale


def largest_error(result: NDArray[Any], expected: NDArray[Any]) -> float:
    """Return the largest absolute difference; of infinity and NaN, the same ones are no difference, others infinite."""
    result, expected = result.astype(np.float64), expected.astype(np.float64)
    with np.errstate(invalid="ignore"):
        error = np.abs(result - expected)
    unknown = np.isnan(error)
    if unknown.any():
        same = (result == expected) | (np.isnan(result) & np.isnan(expected))
        error[unknown] = np.where(same[unknown], 0.0, np.inf)
    return float(np.max(error, initial=0.0))


def _epsilon(dtype: str) -> float:
    if dtype == "bfloat16":
        return 2.0**-7
    return float(np.finfo(dtype if dtype.startswith("float") else "float64").eps)


def _cosine(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    lengths = math.sqrt(_dot(one, one)) * math.sqrt(_dot(other, other))
    if lengths == 0:
        return float(bool(np.array_equal(one, other)))
    return _dot(one, other) / lengths


def _dot(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    # Not `one @ other`: NumPy's BLAS takes all cores for it, and where these are busy its threads wait for one another
    # a thousand times as long as they compute.
    with np.errstate(over="ignore"):  # of huge values, the squares
        return float(np.sum(one * other))
