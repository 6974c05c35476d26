"""Where a runner's error comes from: what each operation introduced itself, and what it inherited with its inputs.

Each number comes from three tensors of the same output. The *truth* is what the model computes in float64. The *file's
value* is what model.onnx computes in float64 from the recorded input: it differs from the truth where the export is at
fault. The *expected value* is what the file computes in float64 from the very inputs that the operation got in that
runner (`Float64Graph.walk` with `forced`). So

    result - truth  =  (result - expected)  +  (expected - truth)
    the error       =  what was introduced  +  what was inherited

What was introduced is judged in every element by what float32 arithmetic may lose there, what was inherited in the unit
of the drift: by the noise floor, or by what may be lost where that is more. Where the file itself is wrong, its own
operation can't give the expected value. But there the inputs are still right, so `expected + truth - file's value` can:
the fault is in both and cancels out, the error of the inputs remains.
"""

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.reference import Reference, Truth
from ..float64.ahead import ahead
from ..float64.graph import Float64Graph, Unknown
from ..float64.losses import Scale
from .drift import (
    PASSING_ERROR,
    OutputComparison,
    compare_output,
    drift_unit,
    error_from_truth,
    largest_error,
    largest_ratio,
    rounding_loss,
    sampled_loss,
)
from .file_values import FileValues
from .missing_tensors import PartialRun
from .verdict_kinds import Verdict

__all__ = [
    "ErrorShare",
    "SplitError",
    "accumulated_losses",
    "shares_of_error",
]


@dataclass(frozen=True)
class ErrorShare:
    """The two parts of an output's error.

    An operation that makes NaN or infinity introduced an infinite error; one that was given it inherited one.
    """

    introduced: float
    """In multiples of what the operation may lose, in the element where that is largest."""
    inherited: float
    """In the unit of the drift, in each element, so that what only moves values inherits the whole of its drift."""


@dataclass(frozen=True)
class SplitError:
    """An output of a runner compared with its truth."""

    comparison: OutputComparison
    share: ErrorShare | None
    """None where it isn't known."""
    loss: NDArray[np.float64] | None
    """What the operation may lose in each element, in the tensor's own unit; it broadcasts. None where not known."""


def shares_of_error(
    graph: Float64Graph,
    reference: Reference,
    file: FileValues,
    arrays: Mapping[str, NDArray[Any]],
    dtypes: Mapping[str, str],
    part: PartialRun | None = None,
    *,
    low_precision: bool = False,
) -> Iterator[SplitError]:
    """Yield each output of a runner compared with its truth, in the order of execution.

    Args:
        graph: the ONNX file.
        reference: the recorded input and the truth.
        file: what `evaluate_file` returned.
        arrays: what the runner returned.
        dtypes: by output, the dtype in which the model computed it.
        part: if `arrays` need not have all outputs: what is known of the others. Then only those that are there are
            yielded.
        low_precision: whether each operation may lose as much as the file itself, which is a candidate in fewer bits,
            is off: a kernel of integers may take another step, and what it loses is not float32's.
    """
    wrong: set[str] = set()
    samples = part.samples if part else {}
    wrong_in_file = {each.name for each in file.comparisons if each.failed}
    for name, value, scale in ahead(graph.walk_with_scales(reference.inputs, arrays)):
        result, whole, dtype = arrays.get(name, samples.get(name)), reference.truths[name], dtypes[name]
        if part and result is None:
            wrong |= {name} if not wrong.isdisjoint(graph.inputs_of[name]) else set()
            continue
        truth = whole.of_sample() if name in samples else whole
        # Of float64, the file's attributes are float32 and so is what is expected of it.
        comparable = dtype != "float64" and result is not None and result.shape == truth.shape
        loss = None
        if comparable and not isinstance(value, Unknown) and value.shape == whole.shape:
            loss = _loss(name, scale, truth, dtype, graph, part)
        if isinstance(value, Unknown) or result is None or loss is None or not _spreads(loss, whole.shape):
            split = SplitError(compare_output(name, truth, result, dtype), None, None)
        else:
            expected = value
            if low_precision:
                loss = np.maximum(loss, drift_unit(truth, dtype))
            if name in samples:
                expected, loss = whole.sampled(value), sampled_loss(loss, whole)
            found = compare_output(name, truth, result, dtype, loss=loss, low_precision=low_precision)
            inputs_right = wrong.isdisjoint(graph.inputs_of[name])
            another_fault = name in wrong_in_file and inputs_right
            share = _share(
                result, expected, loss, truth, dtype, file.corrections.get(name), another_fault=another_fault
            )
            if found.verdict is Verdict.NONFINITE and share:
                arose_here = file.faults.get(name) == math.inf or _is_number_beyond(result, expected)
                share = ErrorShare(math.inf, share.inherited) if arose_here else share
            if name in file.unsampled and found.failed and share:
                share = ErrorShare(max(share.introduced, found.drift or 0.0), share.inherited)
            if part and inputs_right and not file.faults.keys().isdisjoint(part.absent_before.get(name, ())):
                # Where the file is wrong, nothing is there: only the truth tells whether the runner shares that.
                share = ErrorShare(error_from_truth(truth, result, sampled_loss(loss, truth)), 0.0)
            split = SplitError(found, share, loss)
        if split.comparison.failed or (split.share and split.share.introduced > PASSING_ERROR):
            wrong.add(name)
        yield split


def _is_number_beyond(result: NDArray[Any], expected: NDArray[Any]) -> bool:
    """Return whether a result is a number where what it is computed from makes NaN or infinity."""
    return bool(np.any(np.isfinite(result) & ~np.isfinite(expected)))


def _spreads(loss: NDArray[Any], shape: tuple[int, ...]) -> bool:
    """Return whether a loss is one of a tensor of this shape: not where an input of another batch had a part in it."""
    return len(loss.shape) <= len(shape) and all(
        size in (1, whole) for size, whole in zip(reversed(loss.shape), reversed(shape), strict=False)
    )


def _loss(
    name: str, scale: Scale, truth: Truth, dtype: str, graph: Float64Graph, part: PartialRun | None
) -> NDArray[Any]:
    """Return what an output may lose in each element, given the tensors that it is computed from."""
    unit = drift_unit(truth, dtype)
    loss = rounding_loss(scale.own, dtype) if name in graph.single_operations else np.asarray(unit)
    if part and name in part.absent_before:
        # Several operations at once: what they may lose together, or what float32 does.
        return np.maximum(loss + part.losses.get(name, 0.0), unit)
    # Integers lose nothing but a step at a tie, of rounding to one; and a constant is what the exporter may have
    # computed, and a runner of another file computes itself.
    return loss if "float" in dtype and name not in graph.constants else np.maximum(loss, unit)


def accumulated_losses(graph: Float64Graph, reference: Reference, names: Collection[str]) -> dict[str, float]:
    """Return how far outputs move where every operation errs by up to one rounding of its own, in the tensor's unit.

    The noise floor is PyTorch's own error, and PyTorch may lose nothing where another runtime may: its sigmoid is exact
    to the last bit of a tiny score, ONNX Runtime's only to 1e-7.
    """
    moved = dict.fromkeys(names, 0.0)
    for seed in range(_SHAKEN):
        for name, value in graph.shaken_walk(reference.inputs, seed):
            truth = reference.truths[name]
            if name in moved and not isinstance(value, Unknown) and value.shape == truth.shape:
                moved[name] = max(moved[name], error_from_truth(truth, value))
    return moved


_SHAKEN = 3
"""Walks, since by one an output of one element would move little by luck."""


def _share(
    result: NDArray[Any],
    value: NDArray[Any],
    loss: NDArray[Any],
    truth: Truth,
    dtype: str,
    correction: NDArray[np.float64] | None,
    *,
    another_fault: bool,
) -> ErrorShare | None:
    """Return the shares of one output's error.

    Args:
        result: what the runner returned.
        value: what the file gives in float64 for the inputs that the runner had there.
        loss: what the operation may lose in each element.
        truth: of the model.
        dtype: in which the model computed it.
        correction: truth minus file's value, sampled, if the file is wrong here.
        another_fault: whether the file is wrong here or before, and the runner's inputs are right all the same.
    """
    # Where eager PyTorch itself has NaN or infinity, the error has no size.
    known, unit = np.isfinite(truth.sample), drift_unit(truth, dtype)
    held = _as_held(value, dtype)
    exact, expected = truth.sample[known], truth.sampled(held)[known].astype(np.float64)
    lost = sampled_loss(loss, truth)[known]
    of_drift = np.maximum(lost, unit)
    if correction is None and not another_fault:
        inherited = largest_error(expected, exact, of_drift)
        introduced = _largest_introduced(result, held, loss)
    else:
        # What is known of the fault is known in the sample only.
        given, may_lose = truth.sampled(result)[known], lost
        if correction is not None:
            with np.errstate(all="ignore"):
                expected = np.where(np.isfinite(correction[known]), expected + correction[known], exact)
            # Measured at the right inputs: the fault may also scale what is off in those that the runner had.
            fault = float(np.max(np.abs(correction), initial=0.0, where=np.isfinite(correction))) / truth.scale
            may_lose = may_lose + fault * np.abs(expected - exact)
        inherited = largest_error(expected, exact, of_drift)
        introduced = largest_error(given, expected, may_lose)
        # A runner that doesn't share the fault, or shares another one only, is nearer to the truth itself.
        allowed = may_lose if correction is not None else np.maximum(may_lose, unit)
        from_truth = largest_error(given, exact, allowed)
        if another_fault and from_truth < introduced:
            introduced, inherited = from_truth, 0.0
    return None if math.isnan(introduced + inherited) else ErrorShare(introduced, inherited)


def _largest_introduced(result: NDArray[Any], expected: NDArray[np.float64], loss: NDArray[Any]) -> float:
    with np.errstate(all="ignore"):
        error = np.asarray(result - expected)
        finite = math.isfinite(float(np.sum(error)))
    if not finite:
        # Whether an overflow becomes infinity or NaN depends on the order of the additions.
        error = np.where(np.isfinite(expected), np.where(np.isfinite(error), error, np.inf), 0.0)
    return largest_ratio(np.abs(error, out=error), loss)


def _as_held(value: NDArray[Any], dtype: str) -> NDArray[np.float64]:
    """Return values as float64, infinite where they exceed that type's range."""
    wide = value.astype(np.float64, copy=False)
    if "float" not in dtype or not wide.size:
        return wide
    limit = float(np.finfo("float32" if dtype == "bfloat16" else dtype).max)
    if -limit <= np.min(wide) and np.max(wide) <= limit:
        return wide
    return np.where(np.abs(wide) > limit, np.copysign(np.inf, wide), wide)
