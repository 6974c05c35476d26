"""What a converted file returns that the model doesn't: which output first, by how much, and why, in words.

Rounding is no difference (`verify` judges it), and neither is an infinity or a NaN that the model itself may return.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from probe import Probe
from runtime.artifact.manifest import Origin, Output
from runtime.artifact.reference import Truth
from runtime.artifact.showing import shape_words
from runtime.artifact.tensor_summary import sample_places

from .export_hints import steps_before, way_around
from .rounding_noise import RoundingNoise

__all__ = ["Difference", "difference_message", "find_differences"]

_TOLERANCE = 1e-2
"""Relative to a tensor's scale. A wrong constant shows as more; float32 in a deep network shows as less."""
_FLOORS = 16
"""Multiples of the noise that are always allowed, as in `verify`."""
_FLIPPED = 1000
"""One element in this many may differ: rounding alone can flip a comparison."""
_READS = {"item", "tolist", "_local_scalar_dense"}
"""What hands a tensor's values to Python."""


@dataclass(frozen=True)
class Difference:
    """One output that isn't as expected."""

    spec: Output
    how: str
    """What it returns instead; follows `returns`."""
    details: str = ""
    """The element that differs most."""
    overflows: bool = False
    """It differs by infinities or NaN alone."""


def find_differences(
    probe: Probe,
    expected: Mapping[str, Truth],
    noise: Mapping[str, RoundingNoise],
    arrays: Mapping[str, NDArray[Any]],
) -> Iterator[Difference]:
    """Yield the outputs that aren't as expected, in the order of execution."""
    for spec in probe.outputs:
        truth, array = expected[spec.name], arrays.get(spec.name)
        if array is None:
            yield Difference(spec, "nothing")
        elif array.shape != truth.shape:
            yield Difference(spec, f"a tensor of {shape_words(array.shape)} instead of {shape_words(truth.shape)}")
        elif (found := _wrong_values(spec, truth, noise[spec.name], array)) is not None:
            yield found


def _wrong_values(spec: Output, truth: Truth, noise: RoundingNoise, array: NDArray[Any]) -> Difference | None:
    allowed = max(_TOLERANCE * truth.scale, _FLOORS * max(noise.spread, _epsilon(spec.dtype) * truth.scale))
    result = truth.sampled(array).astype(np.float64)
    same = np.isclose(result, truth.sample, rtol=0, atol=allowed, equal_nan=True)
    wrong = ~same & ~noise.overflows
    overflown = wrong & ~np.isfinite(result)
    finite, infinite = (int(np.count_nonzero(each)) for each in (wrong & ~overflown, overflown))
    # Where rounding decides which elements overflow, it may be others in another runtime, about as many.
    excess = max(infinite - int(np.count_nonzero(noise.overflows)), 0)
    tolerated = result.size // _FLIPPED
    if finite + excess <= tolerated:
        return None
    if finite <= tolerated:
        return Difference(spec, f"{infinite} infinite or NaN of {result.size} values", overflows=True)
    error = np.where(wrong & ~overflown, np.abs(result - truth.sample), 0.0)
    worst = int(np.argmax(error))
    place = np.unravel_index(int(sample_places(array.size, truth.sample.size)[worst]), array.shape)
    return Difference(
        spec,
        "wrong values",
        f": {result[worst]:.4g} instead of {truth.sample[worst]:.4g} at {list(map(int, place))}, where the largest is "
        f"{truth.scale:.4g}",
    )


def difference_message(
    probe: Probe,
    converted: str,
    input_words: str,
    right_on: str | None,
    differing: list[Difference],
) -> str:
    """Return the message for the user.

    Args:
        probe: what was converted.
        converted: `ONNX` or `TorchScript`.
        input_words: the input's shapes.
        right_on: the shapes of an input for which the file is right, if any.
        differing: what `find_differences` yielded.
    """
    first = differing[0]
    place = first.spec.located
    if first.overflows and first.spec.dtype in ("float16", "float32", "bfloat16"):
        largest = torch.finfo(getattr(torch, first.spec.dtype)).max
        return (
            f"{_RUNTIMES[converted]} overflows at {place} where PyTorch doesn't: it returns {first.how} on "
            f"{input_words}, and {first.spec.dtype} ends at {largest:.4g}.\n"
            "Export the model in float32 (model.float()), or keep its values smaller."
        )
    read = next((step for step in steps_before(probe, first.spec.name) if _reads(step)), None)
    cause = (
        f"{read.located} reads a number from a tensor, which the conversion keeps as a constant."
        if read is not None
        else f"It is right on {right_on}: a size or a value of the input it was converted with was kept as a constant."
        if right_on is not None
        else _BLAMED[converted]
    )
    return (
        f"As {converted}, {place} returns {first.how} on {input_words}{first.details}. {cause}\n"
        f"{way_around(probe, {each.spec.name for each in differing})}"
    )


_RUNTIMES = {"ONNX": "ONNX Runtime", "TorchScript": "TorchScript"}
_BLAMED = {
    "ONNX": "torch.onnx converts this operation to one that computes something else.",
    "TorchScript": "torch.jit converts this operation to one that computes something else.",
}


def _reads(step: Origin) -> bool:
    return step.label in _READS


def _epsilon(dtype: str) -> float:
    return torch.finfo(getattr(torch, dtype)).eps if "float" in dtype else 0.0
