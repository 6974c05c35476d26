"""Where a runner's error comes from: what each operation brought in itself, and what it was given with its inputs.

Three tensors stand behind each number, all of the same output. The *truth* is what the model computes in float64. The
*file's value* is what model.onnx says in float64, from the recorded input on: it differs from the truth where the
export is at fault. The *expected value* is what the file says in float64 of the very inputs that the operation was
given in that runner (`Float64Graph.walk` with `forced`). So

    result - truth  =  (result - expected)  +  (expected - truth)
    the error       =  what was introduced  +  what was inherited

Where the file itself goes wrong, its own operation can't say what to expect. But there the inputs are still right, so
`expected + truth - file's value` can: the fault is in both and cancels out, what the inputs inherited remains.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .comparison import FILE_PASSING_DRIFT, OutputComparison, compare_output, drift_unit, largest_error
from .float64.graph import Float64Graph, Unknown
from .reference import Reference, sample

__all__ = ["FileValues", "Share", "evaluate_file", "shares_of_error"]


@dataclass(frozen=True)
class FileValues:
    """What model.onnx says in float64."""

    comparisons: list[OutputComparison]
    """Each output's value against the truth, by a rule that leaves room for float32 constants alone."""
    unknown: dict[str, str]
    """Outputs that can't be evaluated, each with the reason."""
    corrections: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    """Of the outputs at which the file goes wrong though their inputs are right: truth less file's value, sampled."""


@dataclass(frozen=True)
class Share:
    """The two parts of an output's error, in multiples of its noise floor, as its drift."""

    introduced: float
    inherited: float


def evaluate_file(graph: Float64Graph, reference: Reference, dtypes: Mapping[str, str]) -> FileValues:
    """Walk the file in float64 from the recorded input on, and judge each output."""
    comparisons: list[OutputComparison] = []
    unknown: dict[str, str] = {}
    corrections: dict[str, NDArray[np.float64]] = {}
    right: set[str] = set(reference.inputs)
    for name, value in graph.walk(reference.inputs):
        if isinstance(value, Unknown):
            unknown[name] = value.reason
            continue
        truth = reference.truths[name]
        found = compare_output(name, truth, value, dtypes[name], passing=FILE_PASSING_DRIFT)
        comparisons.append(found)
        if not found.failed:
            right.add(name)
        elif found.verdict == "drift" and right.issuperset(graph.inputs_of[name]):
            corrections[name] = truth.sample - sample(value).astype(np.float64)
    return FileValues(comparisons, unknown, corrections)


def shares_of_error(
    graph: Float64Graph,
    reference: Reference,
    file: FileValues,
    arrays: Mapping[str, NDArray[Any]],
    dtypes: Mapping[str, str],
) -> Iterator[tuple[str, Share]]:
    """Yield the two shares of each output of a runner, in the order of execution, where they can be told."""
    for name, value in graph.walk(reference.inputs, forced=arrays):
        result, truth = arrays.get(name), reference.truths[name]
        if isinstance(value, Unknown) or result is None or not value.shape == result.shape == truth.shape:
            continue
        expected = sample(value).astype(np.float64) + file.corrections.get(name, 0.0)
        unit = drift_unit(truth, dtypes[name])
        introduced = largest_error(sample(result), expected) / unit
        inherited = largest_error(expected, truth.sample) / unit
        if math.isfinite(introduced) and math.isfinite(inherited):
            yield name, Share(introduced, inherited)
