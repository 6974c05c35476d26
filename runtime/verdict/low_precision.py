"""A candidate in lower precision: what each of its segments loses, measured in decibels against what its bits explain.

Each segment is given the source's own tensors, so what it loses is its own. Its signal-to-noise ratio is compared with
that of an ideal quantization of what goes in and out, by as many bits, over the range that the values have: noise of a
twelfth of a step squared for each (Bennett, 1948). A right file is near that, also where it clips a little; a wrong
zero point or scale is far from it. float32's rule does not apply: there 8 bits would be a fault everywhere.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.reference import Reference
from ..float64.graph import Float64Graph, Unknown
from .drift import FILE_PASSING_DRIFT, OutputComparison, compare_output
from .error_shares import FileValues, RightValues
from .verdict_kinds import Verdict

__all__ = ["evaluate_low_precision", "expected_sqnr", "worst_segments"]

_Arrays = Mapping[str, NDArray[Any]]
_STEPS = 255
"""Of 8 bits."""
_OF_FLOATS = {"float16": 71.0, "bfloat16": 53.0}
"""Decibels of rounding to nearest: 2^-11 and 2^-8 of a value, at most."""


_LEAST_STEP = 2.0**-24
"""Of float16's subnormal numbers, as which a layer scale of 1e-6 has two digits."""


def evaluate_low_precision(
    graph: Float64Graph, reference: Reference, dtypes: Mapping[str, str], right_values: RightValues, precision: str
) -> FileValues:
    """Walk the file in float64, and judge each output computed from right inputs.

    The drift is the error's root mean square in multiples of what the bits explain, and passes up to the limit of the
    file's own (4 times, 12 dB).
    """
    right: dict[str, NDArray[Any]] = {**reference.inputs, **right_values(list(dtypes))}
    file = FileValues([], {})
    noise, walk = graph.walk_with_noise(reference.inputs, right)
    for name, value, explained in walk:
        if isinstance(value, Unknown):
            file.unknown[name] = value.reason
            continue
        truth = right.get(name)
        # The numbers, and whether there is NaN or infinity; nothing is too far by float32's rule.
        found = compare_output(name, reference.truths[name], value, dtypes[name], loss=_ANYTHING, in_float64=True)
        if truth is None or found.failed or value.dtype.kind != "f":
            if found.failed:
                file.faults[name] = math.inf
            file.comparisons.append(found)
            continue
        own = _decibels(truth, value - truth)
        expected = _decibels(truth, np.broadcast_to(explained.own, truth.shape))
        drift = 10 ** ((expected - own) / 20)
        failed = drift > FILE_PASSING_DRIFT
        file.comparisons.append(
            found.model_copy(
                update={
                    "drift": drift,
                    "sqnr_db": own if math.isfinite(own) else None,
                    "verdict": Verdict.DRIFT if failed else Verdict.PASS,
                }
            )
        )
        if failed:
            file.faults[name] = found.max_abs if found.max_abs is not None else math.inf
            file.corrections[name] = reference.truths[name].sampled(truth) - reference.truths[name].sampled(value)
    return file


_ANYTHING = np.asarray(np.inf)


def expected_sqnr(passed: Iterable[NDArray[Any]], weights: Iterable[NDArray[Any]], precision: str) -> float:
    """Return the signal-to-noise ratio in decibels that a segment of right bits has.

    Args:
        passed: what goes into it and what comes out.
        weights: its weights, in whole steps.
        precision: `float16`, `bfloat16`, or `integers` of 8 bits.
    """
    floats = [array for array in passed if array.dtype.kind == "f" and array.size]
    if precision in _OF_FLOATS:
        small = [_of_step(array, _LEAST_STEP) for array in floats] if precision == "float16" else []
        parts = [*[_OF_FLOATS[precision]] * 3, *small]
    else:
        parts = [*map(_of_steps, weights), *map(_of_range, floats)]
    return -10 * math.log10(sum(10 ** (-part / 10) for part in parts))


def _of_steps(steps: NDArray[Any]) -> float:
    """Return the signal-to-noise ratio of weights that were rounded to whole steps: noise of a twelfth."""
    # Around their mean, since the zero point of unsigned ones is elsewhere.
    power = float(np.var(steps.astype(np.float64)))
    return 10 * math.log10(12 * power) if power else math.inf


def _of_range(array: NDArray[Any]) -> float:
    """Return the signal-to-noise ratio of an ideal quantization to 8 bits over the range of the values."""
    finite = array[np.isfinite(array)]
    step = (max(float(finite.max(initial=0.0)), 0.0) - min(float(finite.min(initial=0.0)), 0.0)) / _STEPS
    return _of_step(finite, step)


def _of_step(array: NDArray[Any], step: float) -> float:
    """Return the signal-to-noise ratio of values that are rounded to multiples of a step."""
    finite = array[np.isfinite(array)].astype(np.float64)
    power = float(np.mean(np.square(finite))) if finite.size else 0.0
    return 10 * math.log10(12 * power / step**2) if power and step else math.inf


def _decibels(signal: NDArray[Any], noise: NDArray[Any]) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        power, lost = float(np.mean(np.square(signal.astype(np.float64)))), float(np.mean(np.square(noise)))
    if not lost:
        return math.inf
    return 10 * math.log10(power / lost) if power and math.isfinite(lost) else -math.inf


def worst_segments(outputs: Iterable[OutputComparison], count: int) -> list[OutputComparison]:
    """Return the outputs whose segments lose most, the worst first."""
    measured = [output for output in outputs if output.sqnr_db is not None]
    return sorted(measured, key=lambda output: output.sqnr_db or 0.0)[:count]
