"""A run of which not all is there: some outputs are missing, of others there is only the sample.

An operation whose inputs aren't there is judged together with those before it that aren't: what it should return is
computed in float64 from the nearest tensors that are, and it may lose what all of them may.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.reference import Reference
from ..float64.graph import Float64Graph, Unknown
from .drift import largest_error

__all__ = ["PartialRun", "partial_run"]

_Arrays = Mapping[str, NDArray[Any]]

_SHAKEN = 3
"""Walks, since by one a tensor of few elements would move little by luck."""


@dataclass(frozen=True)
class PartialRun:
    """What is known of the outputs that aren't there as a whole."""

    samples: _Arrays
    """By output: the elements that `Truth.sample` has, flat."""
    absent_before: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By output: the outputs on the way to it that aren't there as a whole, if any."""
    losses: dict[str, float] = field(default_factory=dict)
    """By output with such: how far it moves where each of these, and it, errs by one rounding, in its own unit."""


def partial_run(graph: Float64Graph, reference: Reference, arrays: _Arrays, samples: _Arrays) -> PartialRun:
    """Return what `arrays`, the whole outputs that are there, leave open.

    Args:
        graph: the ONNX file.
        reference: the recorded input.
        arrays: output to tensor.
        samples: output to sample.
    """
    found = PartialRun(samples)
    for name in reference.truths:
        absent: dict[str, None] = {}
        for source in graph.inputs_of[name]:
            if source not in arrays and source not in reference.inputs:
                absent |= dict.fromkeys((*found.absent_before.get(source, ()), source))
        if absent:
            found.absent_before[name] = tuple(absent)
    wanted = found.absent_before.keys() & {*arrays, *samples}
    if wanted:
        shaken = [graph.shaken_walk(reference.inputs, seed, arrays) for seed in range(_SHAKEN)]
        for (name, value), *others in zip(graph.walk(reference.inputs, arrays), *shaken, strict=True):
            if name in wanted and not isinstance(value, Unknown):
                known = np.isfinite(value)
                moved = [
                    largest_error(other[known], value[known]) for _, other in others if not isinstance(other, Unknown)
                ]
                found.losses[name] = max(moved, default=0.0)
    return found
