"""Where a runner's error comes from: what each operation introduced itself, and what it inherited with its inputs.

Each number comes from three tensors of the same output. The *truth* is what the model computes in float64. The *file's
value* is what model.onnx computes in float64 from the recorded input: it differs from the truth where the export is at
fault. The *expected value* is what the file computes in float64 from the very inputs that the operation got in that
runner (`Float64Graph.walk` with `forced`). So

    result - truth  =  (result - expected)  +  (expected - truth)
    the error       =  what was introduced  +  what was inherited

Where the file itself is wrong, its own operation can't give the expected value. But there the inputs are still right,
so `expected + truth - file's value` can: the fault is in both and cancels out, the error of the inputs remains.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.reference import Reference, sample
from ..float64.graph import Float64Graph, Unknown
from .drift import PASSING_DRIFT, ErrorShare, OutputComparison, compare_output, drift_unit, largest_error
from .verdict_kinds import Verdict

__all__ = ["FileValues", "evaluate_file", "shares_of_error"]


@dataclass(frozen=True)
class FileValues:
    """The values of model.onnx in float64."""

    comparisons: list[OutputComparison]
    """Each output's value against the truth, by a rule that allows for float32 constants only."""
    unknown: dict[str, str]
    """Outputs that can't be evaluated, each with the reason."""
    faults: dict[str, float] = field(default_factory=dict)
    """Outputs at which the file is wrong though their inputs are right, each with its drift: infinite where it can't be
    measured, as for NaN or another shape."""
    corrections: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    """For faults of the right shape: truth minus file's value, sampled."""


def evaluate_file(graph: Float64Graph, reference: Reference, dtypes: Mapping[str, str]) -> FileValues:
    """Walk the file in float64 from the recorded input on, and judge each output."""
    file = FileValues([], {})
    right: set[str] = set(reference.inputs)
    for name, value in graph.walk(reference.inputs):
        if isinstance(value, Unknown):
            file.unknown[name] = value.reason
            continue
        truth = reference.truths[name]
        found = compare_output(name, truth, value, dtypes[name], in_float64=True)
        file.comparisons.append(found)
        if not found.failed:
            right.add(name)
        elif right.issuperset(graph.inputs_of[name]):
            file.faults[name] = math.inf if found.drift is None else found.drift
            if value.shape == truth.shape:
                with np.errstate(invalid="ignore"):  # inf - inf, for example
                    file.corrections[name] = truth.sample - sample(value).astype(np.float64)
    return file


def shares_of_error(
    graph: Float64Graph,
    reference: Reference,
    file: FileValues,
    arrays: Mapping[str, NDArray[Any]],
    dtypes: Mapping[str, str],
    comparisons: Sequence[OutputComparison],
) -> Iterator[tuple[str, ErrorShare]]:
    """Yield the two shares of each output of a runner, in the order of execution, where they are known.

    Args:
        graph: the ONNX file.
        reference: the recorded input and the truth.
        file: what `evaluate_file` returned.
        arrays: what the runner returned.
        dtypes: by output, the dtype in which the model computed it.
        comparisons: of `arrays` with the truth.
    """
    found = {each.name: each for each in comparisons}
    failed = {each.name for each in comparisons if each.failed}
    wrong_in_file = {each.name for each in file.comparisons if each.failed}
    for name, value in graph.walk(reference.inputs, forced=arrays):
        result, truth, dtype = arrays.get(name), reference.truths[name], dtypes[name]
        if isinstance(value, Unknown) or result is None or not value.shape == result.shape == truth.shape:
            continue
        if dtype == "float64":  # finer than the file, whose attributes are float32
            continue
        # Where eager PyTorch itself has NaN or infinity, the error has no size.
        known, unit = np.isfinite(truth.sample), drift_unit(truth, dtype)
        exact = truth.sample[known]
        expected = _as_held(sample(value)[known], dtype)
        if name in file.corrections:
            correction = file.corrections[name][known]
            expected = np.where(np.isfinite(correction), expected + correction, exact)
        inherited = largest_error(expected, exact) / unit
        if inherited > PASSING_DRIFT and name in wrong_in_file and failed.isdisjoint(graph.inputs_of[name]):
            # Its inputs were right: another fault of the file, behind the first, in a runner that shares neither.
            expected, inherited = exact, 0.0
        given = sample(result)[known]
        if found[name].verdict is Verdict.NONFINITE:
            # The search is over the whole tensor. Whether an overflow becomes infinity or NaN depends on the order of
            # the additions.
            made = ~np.isfinite(result) & np.isfinite(_as_held(value, dtype))
            both = np.isfinite(given) & np.isfinite(expected)
            new = made.any() or file.faults.get(name) == math.inf
            yield name, ErrorShare(math.inf if new else largest_error(given[both], expected[both]) / unit, inherited)
        elif math.isfinite(introduced := largest_error(given, expected) / unit) and math.isfinite(inherited):
            yield name, ErrorShare(introduced, inherited)


def _as_held(value: NDArray[Any], dtype: str) -> NDArray[np.float64]:
    """Return values as float64, infinite where they exceed that type's range."""
    wide = value.astype(np.float64, copy=False)
    if "float" not in dtype:
        return wide
    with np.errstate(over="ignore"):
        held = wide.astype("float32" if dtype == "bfloat16" else dtype)
    return np.where(np.isfinite(held), wide, held)
