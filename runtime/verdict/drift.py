"""One output of a runner against its float64 truth: numbers and a verdict. It compares and asserts nothing."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from ..artifact.reference import Truth
from ..artifact.tensor_summary import channel_maximum, channel_statistics
from ..artifact.versioned_json import Line
from .verdict_kinds import Verdict

__all__ = [
    "FILE_PASSING_DRIFT",
    "FILE_RUNNER",
    "PASSING_DRIFT",
    "PASSING_ERROR",
    "OutputComparison",
    "compare_output",
    "drift_unit",
    "largest_error",
    "largest_ratio",
    "passing_drift",
    "passing_verdict",
    "rounding_loss",
    "sampled_loss",
]

PASSING_DRIFT = 16.0
"""The largest drift of a result that passes, in multiples of the noise floor.

Two correct float32 programs add up in different orders, so each is off by its own multiple of the rounding error;
16 is far above what that explains (1 to 4 in practice) and far below what a wrong weight causes (thousands)."""

PASSING_ERROR = 16.0
"""The largest error that an operation may introduce, given its inputs, in any element: in multiples of machine epsilon
times the operation's natural scale there (`float64/natural_scale.py`). Right runtimes reach 1 to 4, a weight that is
1 % off comes to thousands."""

FILE_PASSING_DRIFT = 4.0
"""The same limit where the ONNX file itself is evaluated in float64. No rounding adds up there, but constants that the
exporter computed, and attributes such as an epsilon, are float32: right files reach 0.5, and more only where a tiny
error of an input is amplified, which is then allowed as well."""

FILE_RUNNER = "onnx-float64"
"""Not a runtime: the ONNX file itself, evaluated in float64. It separates faults of the export from all others."""

UNPROVEN_NOISE = 0.01
"""Times the 16 that pass, this noise floor is a sixth of the tensor's scale: above it, a wrong result may pass, too."""


class OutputComparison(BaseModel):
    """The result of comparing one output in one runner. The numbers are None where nothing could be compared."""

    model_config = ConfigDict(frozen=True)

    name: Line
    verdict: Verdict
    drift: float | None = None
    """The error as a multiple of the noise floor; for the ONNX file itself, of what float32 constants explain."""
    max_abs: float | None = None
    """Largest absolute error, in the tensor's own unit."""
    relative_to_scale: float | None = None
    """`max_abs` divided by the largest absolute value of the truth."""
    sqnr_db: float | None = None
    """Power of the truth over power of the error, in decibels; None also where there is no error at all."""
    cosine: float | None = None
    """Cosine of the angle between result and truth."""
    introduced: float | None = None
    """The largest error that the operation itself introduced, given the inputs that it got: in multiples of machine
    epsilon times the size of the numbers that it adds up or passes through in that element."""
    inherited: float | None = None
    """The error that came with its inputs, in the unit of the drift."""

    @property
    def failed(self) -> bool:
        """Whether this fails the runner."""
        return self.verdict.fails


def compare_output(
    name: str,
    truth: Truth,
    candidate: NDArray[Any] | None,
    dtype: str | None = None,
    *,
    loss: NDArray[np.float64] | None = None,
    in_float64: bool = False,
    low_precision: bool = False,
) -> OutputComparison:
    """Compare a tensor for the recorded input with the truth.

    The drift is the largest error in multiples of max(noise floor, machine epsilon of the candidate's dtype) times the
    tensor's scale, or of `loss` where that is larger. It is over the reference's sample and, by the statistics of each
    channel, over all elements, whose unit is that of their channel alone; the other numbers are over the sample, and
    the search for NaN and infinity over the whole tensor.

    Args:
        name: the output's name.
        truth: its truth in the artifact's reference.
        candidate: what the runner returned; None if it returned nothing.
        dtype: the dtype in which the model computed it, if not the candidate's: bfloat16 arrives as float32.
        loss: what the operation may lose in each element, given its inputs, in the tensor's own unit; it broadcasts.
        in_float64: whether it was computed in float64: what overflows in float32 need not, and nothing but `loss` is
            allowed.
        low_precision: whether the noise floor is that of a file in fewer bits: a large one then leaves nothing
            unproven.
    """
    if candidate is None:
        return OutputComparison(name=name, verdict=Verdict.MISSING)
    if candidate.shape != truth.shape or candidate.dtype.kind not in "biuf":
        return OutputComparison(name=name, verdict=Verdict.SHAPE)
    compared = _finite_elements(truth, candidate, in_float64=in_float64)
    if compared is None:
        return OutputComparison(name=name, verdict=Verdict.NONFINITE)
    result, expected, known = compared
    error = result - expected
    size = np.abs(error)
    dtype = dtype or str(candidate.dtype)
    unit = _CANCELLED * truth.scale if in_float64 else drift_unit(truth, dtype)
    lost = 0.0 if loss is None else sampled_loss(loss, truth)[known] if loss.ndim else float(loss)
    drift, max_abs = largest_ratio(size, np.maximum(lost, unit)), float(np.max(size, initial=0.0))
    if truth.channels is not None:
        moved = np.abs(channel_statistics(candidate, truth.channel_axis) - truth.channels[:-1])
        of_channels = np.full(moved.shape[1], unit) if in_float64 else _channel_units(truth, truth.channels, dtype)
        if loss is not None:
            of_channels = np.maximum(of_channels, _channel_losses(loss, truth))
        drift = max(drift, largest_ratio(moved, of_channels))
        max_abs = max(max_abs, float(np.max(moved, initial=0.0)))
    error_power, power = _dot(error, error), _dot(expected, expected)
    proven = (in_float64 or low_precision or truth.noise_floor <= UNPROVEN_NOISE) and (
        expected.size or not truth.sample.size
    )
    passing = FILE_PASSING_DRIFT if in_float64 else PASSING_DRIFT
    return OutputComparison(
        name=name,
        verdict=Verdict.DRIFT if drift > passing else Verdict.PASS if proven else Verdict.UNPROVEN,
        drift=drift,
        max_abs=max_abs,
        relative_to_scale=max_abs / truth.scale,
        sqnr_db=decibels(power, error_power),
        cosine=_cosine(result, expected, power),
    )


def _finite_elements(
    truth: Truth, candidate: NDArray[Any], *, in_float64: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_] | slice] | None:
    """Return the sampled elements of candidate and truth where the truth is finite, and their places in the sample.

    None where the candidate has NaN or infinity that the truth has not, or has not those that it has: eager PyTorch may
    itself return infinities (a mask of -inf) or NaN.
    """
    result, expected = truth.sampled(candidate).astype(np.float64, copy=False), truth.sample
    nonfinite = candidate.size - np.count_nonzero(np.isfinite(candidate))
    undefined = min(truth.nonfinite, truth.nonfinite_in_float64)
    if not undefined <= nonfinite <= truth.nonfinite:
        return None
    finite = np.isfinite(expected)
    if not nonfinite and finite.all():  # as nearly always: no copies
        return result, expected, slice(None)
    if in_float64:
        result = np.where(finite, result, expected)
    same = np.array_equal(np.where(finite, 0, expected), np.where(np.isfinite(result), 0, result), equal_nan=True)
    return (result[finite], expected[finite], finite) if same else None


def passing_drift(runner: str) -> float:
    """Return the largest drift that passes in a runner."""
    return FILE_PASSING_DRIFT if runner == FILE_RUNNER else PASSING_DRIFT


def passing_verdict(outputs: Iterable[OutputComparison]) -> Verdict:
    """Return the verdict on a runner none of whose outputs fails."""
    unproven = any(output.verdict is Verdict.UNPROVEN for output in outputs)
    return Verdict.UNPROVEN if unproven else Verdict.PASS


def drift_unit(truth: Truth, dtype: str) -> float:
    """Return the error that counts as a drift of 1, in the tensor's own unit.

    Integers and booleans are exact: any difference counts, unless eager float32 differs from float64 as well.
    """
    return max(truth.noise_floor, _epsilon(dtype)) * truth.scale


def sampled_loss(loss: NDArray[Any], truth: Truth) -> NDArray[np.float64]:
    """Return a loss in the elements of the truth's sample."""
    if not loss.ndim:
        return np.full(truth.sample.size, float(loss))
    return truth.sampled(np.broadcast_to(loss, truth.shape)).astype(np.float64)


def rounding_loss(scale: NDArray[Any], dtype: str) -> NDArray[Any]:
    """Return what an operation of this natural scale may lose by one rounding, in the tensor's own unit."""
    # Runtimes may flush what is smaller than a normal number to zero; 16-bit floats keep it.
    least = np.finfo(np.float16).smallest_subnormal if dtype == "float16" else np.finfo(np.float32).tiny
    return scale * _epsilon("float32") + float(least)


def decibels(power: float, error_power: float) -> float | None:
    """Return the signal-to-noise ratio of two powers; None if there is no signal, or no noise."""
    return 10 * (math.log10(power) - math.log10(error_power)) if power and error_power else None


def error_from_truth(truth: Truth, result: NDArray[Any], unit: NDArray[Any] | float = 1.0) -> float:
    """Return the largest error where the truth is finite, in multiples of `unit`, which has its sample's elements."""
    known = np.isfinite(truth.sample)
    return largest_error(
        truth.sampled(result)[known], truth.sample[known], unit[known] if isinstance(unit, np.ndarray) else unit
    )


def largest_error(result: NDArray[Any], expected: NDArray[Any], unit: NDArray[Any] | float = 1.0) -> float:
    """Return the largest absolute difference, in multiples of `unit`.

    It is 0 between the same infinities or NaN, infinite between different ones.
    """
    result, expected = result.astype(np.float64, copy=False), expected.astype(np.float64, copy=False)
    with np.errstate(invalid="ignore"):
        error = np.asarray(result - expected)
    np.abs(error, out=error)
    if not math.isfinite(float(np.max(error, initial=0.0))):
        unknown = np.isnan(error)
        same = (result == expected) | (np.isnan(result) & np.isnan(expected))
        error[unknown] = np.where(same[unknown], 0.0, np.inf)
    return largest_ratio(error, unit)


def largest_ratio(error: NDArray[np.float64], unit: NDArray[Any] | float) -> float:
    """Return the largest error, of positive numbers, in multiples of `unit`."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        # fmax passes over the NaN of 0 / 0: no error where none is allowed.
        return float(np.fmax.reduce((error / unit).reshape(-1), initial=0.0))


def _channel_units(truth: Truth, channels: NDArray[np.float64], dtype: str) -> NDArray[np.float64]:
    """Return the error that counts as a drift of 1 in each channel, C: by its own noise and its own size."""
    size = np.max(np.abs(channels[2:4]), axis=0)
    units: NDArray[np.float64] = np.maximum(channels[-1], max(truth.noise_floor, _epsilon(dtype)) * size)
    return np.maximum(units, float(np.finfo(np.float32).tiny))


def _channel_losses(loss: NDArray[Any], truth: Truth) -> NDArray[np.float64] | float:
    return channel_maximum(np.broadcast_to(loss, truth.shape), truth.channel_axis) if loss.ndim else float(loss)


_CANCELLED = 2.0**-44
"""Times the tensor's scale: what float64 itself may lose."""


def _epsilon(dtype: str) -> float:
    if dtype == "bfloat16":
        return 2.0**-7
    return float(np.finfo(dtype if dtype.startswith("float") else "float64").eps)


def _cosine(result: NDArray[np.float64], expected: NDArray[np.float64], power: float) -> float:
    lengths = math.sqrt(_dot(result, result)) * math.sqrt(power)
    if lengths == 0:
        return float(bool(np.array_equal(result, expected)))
    return _dot(result, expected) / lengths


def _dot(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    # Not `one @ other`: NumPy's BLAS uses all cores for it, and where these are busy its threads wait for one another
    # a thousand times as long as they compute.
    with np.errstate(over="ignore"):  # of huge values, the squares
        return float(np.sum(one * other))
