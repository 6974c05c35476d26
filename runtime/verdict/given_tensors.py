"""A file of tensors that another runtime, language or device computed -> what a runner would have returned.

Names equal the outputs'; a tensor in another layout is turned into the output's own, by its shape and its values.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.agreement import Alignment, Tensor, best_alignment
from ..artifact.errors import InputError
from ..artifact.manifest import Manifest
from ..artifact.plain_text import one_line
from ..artifact.reference import Reference, Truth
from ..float64.graph import Float64Graph, Unknown
from ..runners.input_check import check_inputs
from ..runs.recorded_run import InputsHash
from ..runs.tensor_file import INPUT_PREFIX, INPUTS_KEY, TensorFile, listed

__all__ = ["GivenTensors", "read_given", "recorded_input_of"]

RECORDED_INPUT_KEY = "layerprobe.recorded_input"
"""Metadata key of the number of the recorded input from which the tensors were computed."""
SAMPLES_KEY = "layerprobe.samples"
"""Metadata key of JSON: by the name of each tensor of which the file has the sample only, its shape."""
_CLOSE = 0.01
"""Root mean square of the difference, by that of the tensor: what is as near is in the layout that it seems to have."""
_SAME_INPUT = 1e-6
"""The same, for inputs: what may be lost where they were written as text."""


@dataclass
class GivenTensors:
    """The outputs that a file has, in the manifest's layouts."""

    whole: dict[str, NDArray[Any]] = field(default_factory=dict)
    samples: dict[str, NDArray[Any]] = field(default_factory=dict)
    """Of large outputs: the elements that the recorded truth has."""
    reordered: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """By output, the shape that the file has it in, where that is another layout."""
    unknown: list[str] = field(default_factory=list)
    """Tensors of the file that are neither outputs nor inputs."""


def recorded_input_of(file: TensorFile, manifest: Manifest, references: Sequence[Reference]) -> int:
    """Return the number of the recorded input from which the tensors were computed: as the metadata say, or the one
    that equals the inputs in the file or has their hash; else the first.

    Raises:
        InputError: there is none.
    """
    names = ", ".join(reference.name for reference in references)
    number = file.metadata.get(RECORDED_INPUT_KEY)
    if number is not None:
        place = next((place for place in range(len(references)) if str(place) == number), None)
        if place is not None:
            return place
        raise InputError(
            f"{file.path} says that it was computed from the recorded input {listed([number])}; there are "
            f"{len(references)}, counted from 0: {names}."
        )
    inputs = {name: file[key] for name, key in _inputs(file, manifest).items()}
    digest = file.metadata.get(INPUTS_KEY)
    if not inputs and digest is None:
        return 0
    for place, reference in enumerate(references):
        if inputs and all(_is_same_input(array, reference.inputs[name]) for name, array in inputs.items()):
            return place
        if not inputs and _hash(manifest, reference) == digest:
            return place
    raise InputError(
        f"{file.path} was computed from another input than {names}.\n"
        f"Add --input F, its input; {INPUT_PREFIX}NAME in the file is taken as one: --input {file.path}"
    )


def read_given(
    file: TensorFile, manifest: Manifest, graph: Float64Graph, reference: Reference, number: int = 0
) -> GivenTensors:
    """Return the outputs in a file.

    Args:
        file: the file.
        manifest: of the model.
        graph: the ONNX file, which is evaluated in float64 only where a layout is in question.
        reference: the recorded input from which they were computed, and the truth.
        number: its number, for messages.

    Raises:
        InputError: it has none, or a sample isn't that of the reference.
    """
    given, names = GivenTensors(), manifest.output_names
    shapes = _sampled_shapes(file)
    known = {*names, *_inputs(file, manifest).values(), *(each.name for each in manifest.inputs)}
    given.unknown = [one_line(name) for name in file if name not in known]
    present = [name for name in names if name in file]
    if not present:
        raise InputError(
            f"{file.path} has none of the outputs of {manifest.model}: it has {listed(list(file))}.\n"
            f"The names must be the outputs' own: {listed(names)}"
        )
    in_question = []
    for name in present:
        array, truth = file[name], reference.truths[name]
        if name in shapes:
            _add_sample(given, file, name, array, shapes[name], truth, number)
            continue
        given.whole[name] = array
        if array.shape != truth.shape or not _is_close(array, truth):
            in_question.append(name)
    if in_question:
        _restore_layouts(given, graph, reference, in_question)
    return given


def _inputs(file: TensorFile, manifest: Manifest) -> dict[str, str]:
    """Return what the model was given: by the input's name, the tensor's. Of a single input the name may be another."""
    keys = [key for key in file if key.startswith(INPUT_PREFIX)]
    if len(keys) == len(manifest.inputs) == 1:
        return {manifest.inputs[0].name: keys[0]}
    return {each.name: key for each in manifest.inputs if (key := f"{INPUT_PREFIX}{each.name}") in keys}


def _sampled_shapes(file: TensorFile) -> dict[str, tuple[int, ...]]:
    text = file.metadata.get(SAMPLES_KEY, "{}")
    try:
        return {name: tuple(int(size) for size in shape) for name, shape in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise InputError(
            f"{file.path}: {SAMPLES_KEY} in its metadata is not a JSON object of names to shapes, as in "
            '{"conv1": [1, 64, 112, 112]}.'
        ) from error


def _add_sample(
    given: GivenTensors,
    file: TensorFile,
    name: str,
    array: NDArray[Any],
    shape: tuple[int, ...],
    truth: Truth,
    number: int,
) -> None:
    if shape != truth.shape or array.size != truth.sample.size:
        raise InputError(
            f"{file.path} has {array.size} elements of {listed([name])}, {' x '.join(map(str, shape))}. Its sample has "
            f"{truth.sample.size} elements of {' x '.join(map(str, truth.shape))},\n"
            f"at the places of {number}/truth:{name} in reference.safetensors (artifacts/README.md has the formula)."
        )
    if array.size == prod(shape):
        given.whole[name] = array.reshape(shape)
    else:
        given.samples[name] = array.reshape(-1)


def _is_close(array: NDArray[Any], truth: Truth) -> bool:
    """Return whether a tensor of the truth's shape is near it, with NaN or infinity wherever that has some."""
    known = np.isfinite(truth.sample)
    result, expected = truth.sampled(array)[known].astype(np.float64), truth.sample[known]
    with np.errstate(all="ignore"):
        return bool(np.sum(np.square(result - expected)) <= np.square(_CLOSE) * np.sum(np.square(expected)))


def _restore_layouts(
    given: GivenTensors, graph: Float64Graph, reference: Reference, in_question: Sequence[str]
) -> None:
    """Bring tensors into the outputs' layouts, by comparing them with what the file computes in float64."""
    rest = set(in_question)
    for name, value in graph.walk(reference.inputs):
        if name in rest and not isinstance(value, Unknown):
            array = given.whole[name]
            alignment = _alignment(array, value)
            if alignment is not None and value.shape == reference.truths[name].shape:
                given.whole[name] = alignment.undo(array, value.shape)
                given.reordered[name] = array.shape
        rest.discard(name)
        if not rest:
            return


def _alignment(array: NDArray[Any], value: NDArray[Any]) -> Alignment | None:
    """Return in which layout a tensor is; None if it isn't in another."""
    if array.dtype.kind not in "biuf" or value.size != array.size:
        return None
    # A wrong value must not hide in which order the others are.
    best = best_alignment(*(Tensor(np.nan_to_num(each, posinf=0, neginf=0)) for each in (array, value)))
    if best is None:
        return None
    distance, alignment = best
    # Of the same shape, it is another layout only if the values show it: two exchanged axes may be a fault.
    same = array.shape == value.shape
    return None if same and (distance > _CLOSE or not alignment.moves_channels) else alignment


def _is_same_input(array: NDArray[Any], recorded: NDArray[Any]) -> bool:
    found = best_alignment(Tensor(array), Tensor(recorded)) if array.dtype.kind in "biuf" else None
    if found is None or found[0] > _SAME_INPUT:
        return False
    tolerance = _SAME_INPUT * float(np.max(np.abs(recorded), initial=0.0))
    return bool(np.allclose(found[1].undo(array, recorded.shape), recorded, rtol=0.0, atol=tolerance))


def _hash(manifest: Manifest, reference: Reference) -> str:
    digest = InputsHash()
    digest.add(check_inputs(manifest, reference.inputs))
    return str(digest)
