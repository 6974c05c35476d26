"""A source's reference -> the candidate's: the same truths, in the candidate's layout.

What was recorded of a tensor is enough where the candidate has it as the source has, and where all of it was recorded.
Else the source is computed once more.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.artifact.agreement import Alignment
from runtime.artifact.errors import ModelError
from runtime.artifact.manifest import Manifest, Output
from runtime.artifact.reference import Reference, Truth

from ..input_kinds import batch_of
from ..kept_tensors import Keep, channel_axis
from .search import Found
from .source_values import SourceValues

__all__ = ["candidate_reference", "check_source"]

_PASSING_NOISE = 64.0
"""Times float32's own error, by which the source's own ONNX file may be off its truth."""


def check_source(manifest: Manifest, found: Found, reference: Reference) -> None:
    """Check the source's ONNX file, by which the candidate's tensors were found, against the recorded truth.

    Raises:
        ModelError: it is itself wrong.
    """
    assert manifest.candidate
    if not _same(found.source.inputs, reference.inputs):
        return
    for name in manifest.output_names:
        truth, exact = reference.truths[name], found.source.tensors[name].array
        if exact.shape != truth.shape:  # of another batch
            continue
        known = np.isfinite(truth.sample)
        error = np.max(np.abs(truth.sampled(exact)[known] - truth.sample[known]), initial=0.0)
        if error > _PASSING_NOISE * max(truth.noise_floor, float(np.finfo(np.float32).eps)) * truth.scale:
            raise ModelError(
                f"The ONNX file of the source, {manifest.candidate.source}, is itself wrong at {name}.\n"
                "Verify the source first: layerprobe verify names what is at fault there."
            )


def candidate_reference(
    reference: Reference, manifest: Manifest, found: Found, values: SourceValues, keep: Keep
) -> Reference | None:
    """Return a source's reference as one of the candidate; None if that doesn't take the input."""
    given = found.fitting(reference.inputs)
    if given is None:
        return None
    cut = any(given[name].shape != array.shape for name, array in reference.inputs.items())
    if cut and any(reference.name == batch_of(len(array)) for array in reference.inputs.values() if array.ndim):
        return None  # of the candidate's batch, it is noise as any other
    values.inputs[reference.name] = given
    specs, truths = {output.name: output for output in manifest.outputs}, dict[str, Truth]()
    for name, spec in specs.items() if _same(given, reference.inputs) else ():
        moved = _moved(reference.truths[name], values.alignments[name], spec)
        if moved is not None:
            truths[name] = moved
    if len(truths) < len(specs):
        try:
            for name, aligned in values.walk(reference.name):
                if name not in truths:
                    result = name in manifest.result_names
                    truths[name] = _truth(specs[name], aligned, reference.truths[name], keep, result=result)
        except ValueError:
            # A batch or a size for which the candidate's layout isn't known.
            return None
    inputs = dict(zip((each.name for each in manifest.inputs), found.inputs.apply(given).values(), strict=True))
    return Reference(
        inputs,
        {name: truths[name] for name in manifest.output_names},
        reference.name,
        {name: words for name, words in reference.untried.items() if name in truths},
        _zero_channels(reference, specs),
    )


def _same(given: Mapping[str, NDArray[Any]], recorded: Mapping[str, NDArray[Any]]) -> bool:
    """Return whether the source is given what was recorded: not cut to another batch, nor made whole."""
    return all(np.array_equal(given[name], array) for name, array in recorded.items())


def _zero_channels(reference: Reference, specs: Mapping[str, Output]) -> dict[str, frozenset[int]]:
    return {
        name: channels
        for name, channels in reference.zero_channels.items()
        if name in specs and channel_axis(specs[name]) is not None
    }


def _moved(truth: Truth, alignment: Alignment, spec: Output) -> Truth | None:
    """Return a source's truth in the candidate's layout, if what was recorded tells it."""
    if alignment.order is None and alignment.shape is None:
        return truth
    if truth.sample.size < prod(truth.shape):
        return None
    moved = alignment.apply(truth.sample.reshape(truth.shape))
    return replace(truth, sample=moved.reshape(-1), shape=moved.shape, channel_axis=channel_axis(spec))


def _truth(spec: Output, aligned: NDArray[Any], old: Truth, keep: Keep, *, result: bool) -> Truth:
    kept, axis = keep.of(spec, aligned, result=result), channel_axis(spec)
    noise, channels = old.noise_floor * old.scale, None
    if kept.statistics is not None:
        count = kept.statistics.shape[1]
        of_channels = old.channels[-1] if old.channels is not None and old.channels.shape[1] == count else noise
        channels = np.vstack([kept.statistics, np.broadcast_to(of_channels, count)])
    return Truth(
        sample=kept.sample.astype(np.float64),
        shape=aligned.shape,
        scale=kept.scale,
        noise_floor=noise / kept.scale,
        nonfinite=old.nonfinite,
        channels=channels,
        channel_axis=axis,
        map=kept.map,
    )
