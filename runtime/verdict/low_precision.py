"""A candidate in lower precision: what each of its segments loses, measured against what its own bits explain.

Each segment is given the source's own tensors, so what it loses is its own. What its bits explain is followed through
it from the steps that the file itself has (`float64/bit_noise.py`); right files are within a third of that. Whether the
steps themselves fit the values is in `quantization_faults.py`. float32's rule does not apply: there 8 bits would be a
fault everywhere.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.reference import Reference, Truth
from ..float64.graph import Float64Graph, Unknown
from ..float64.number_types import LARGEST
from .drift import FILE_PASSING_DRIFT, OutputComparison, compare_output, decibels
from .file_values import FileValues, RightValues
from .quantization_faults import Steps
from .verdict_kinds import Verdict

__all__ = ["evaluate_low_precision", "worst_segments"]

_FLOAT32 = 2.0**-18
"""Of a segment's root mean square: what constants that were folded in float32 may cost."""
_CLIPPED = 2e-2
"""Of the deviation, where values are out of range: a calibration on other images leaves about that out."""
_FEW = 64.0
"""Elements, of which one far out is no rarity."""


def evaluate_low_precision(
    graph: Float64Graph,
    reference: Reference,
    dtypes: Mapping[str, str],
    right_values: RightValues,
) -> FileValues:
    """Walk the file in float64, and judge each output computed from right inputs.

    The drift is the error's root mean square in multiples of what the bits explain, and passes up to the limit of the
    file's own (4 times, 12 dB).
    """
    right: dict[str, NDArray[Any]] = {**reference.inputs, **right_values.of(reference.name, list(dtypes))}
    file = FileValues([], {})
    noise, walk = graph.walk_with_noise(reference.inputs, right)
    steps = Steps(noise, frozenset(dtypes), right_values.reach(reference.name))
    for name, value, explained in walk:
        steps.come_to(name)
        if isinstance(value, Unknown):
            file.unknown[name] = value.reason
            continue
        truth = reference.truths[name]
        # The numbers, and whether there is NaN or infinity; nothing is too far by float32's rule.
        found = compare_output(name, truth, value, dtypes[name], loss=_ANYTHING, in_float64=True)
        overflow = steps.overflow
        if overflow is not None and not found.failed:
            found = OutputComparison(name=name, verdict=Verdict.NONFINITE)
        if found.verdict is Verdict.NONFINITE:
            file.words[name] = [_overflow_words(overflow, truth, dtypes[name])]
        elif not found.failed and value.dtype.kind == "f" and name in right:
            found = _measured(found, value, right[name], explained.own, clipped=name in noise.clipped)
            file.corrections[name] = truth.sampled(right[name]) - truth.sampled(value)
            steps.compare_biases(name, value - right[name])
        file.comparisons.append(found)
    _allow_usual_clipping(file, noise.clipped, steps.usually_clipped)
    _add_quantization_faults(file, steps)
    failed = [each for each in file.comparisons if each.failed]
    file.faults.update({each.name: math.inf if each.max_abs is None else each.max_abs for each in failed})
    file.other_kinds.update(steps.other_kinds())
    for name in file.corrections.keys() - file.faults.keys():
        del file.corrections[name]
    return file


_ANYTHING = np.asarray(np.inf)


def _measured(
    found: OutputComparison,
    value: NDArray[Any],
    right: NDArray[Any],
    explained: NDArray[Any],
    *,
    clipped: bool,
) -> OutputComparison:
    """Return a comparison with the error in multiples of what the bits explain."""
    signal, lost, own = _power(right), _power(value - right), _power(np.broadcast_to(explained, right.shape))
    allowed = own + _FLOAT32**2 * signal
    if clipped:
        # Of what varies: the values of a sigmoid are all near a half.
        allowed = max(allowed, _CLIPPED**2 * (1 + _FEW / right.size) * float(np.var(right)))
    drift = math.sqrt(lost / allowed) if allowed else math.inf if lost else 0.0
    return found.model_copy(
        update={
            "drift": drift,
            "sqnr_db": decibels(signal, lost),
            "verdict": Verdict.DRIFT if drift > FILE_PASSING_DRIFT else Verdict.PASS,
        }
    )


def _power(array: NDArray[Any]) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.mean(np.square(array.astype(np.float64)))) if array.size else 0.0


def _overflow_words(overflow: float | None, truth: Truth, dtype: str) -> str:
    largest = truth.scale if overflow is None else overflow
    where = "the model's values there reach" if overflow is None else "the values there reach"
    limit = f", and {dtype} holds up to {LARGEST[dtype]:,.0f}" if dtype in LARGEST else ""
    return f"{where} {largest:,.6g}{limit}"


def _allow_usual_clipping(file: FileValues, clipped: Collection[str], usual: float) -> None:
    """Measure what is out of range by what that costs in most of the file: some calibrations clip on purpose."""
    for place, found in enumerate(file.comparisons):
        if usual > 1 and found.name in clipped and found.drift is not None:
            drift = found.drift / usual
            verdict = Verdict.DRIFT if drift > FILE_PASSING_DRIFT else Verdict.PASS
            file.comparisons[place] = found.model_copy(update={"drift": drift, "verdict": verdict})


def _add_quantization_faults(file: FileValues, steps: Steps) -> None:
    """Fail outputs whose steps don't fit, though they are computed right in them."""
    faults = steps.faults()
    for place, found in enumerate(file.comparisons):
        if found.name not in faults:
            if found.failed:
                file.words.setdefault(found.name, []).extend(steps.clipped(found.name))
            continue
        file.words.setdefault(found.name, []).extend(faults[found.name])
        if not found.failed:
            file.comparisons[place] = found.model_copy(update={"verdict": Verdict.RANGE, "drift": None})


def worst_segments(outputs: Iterable[OutputComparison], count: int) -> list[OutputComparison]:
    """Return the outputs whose segments lose most, the worst first."""
    measured = [output for output in outputs if output.sqnr_db is not None]
    return sorted(measured, key=lambda output: output.sqnr_db or 0.0)[:count]
