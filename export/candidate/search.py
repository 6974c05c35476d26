"""Finds a source's outputs in a candidate: with the input that it wants, as near as its precision allows."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from probe.onnx_model.reading import SoundModel, uncomputed
from probe.onnx_model.values import Values
from runtime.artifact.agreement import best_alignment
from runtime.artifact.errors import ModelError
from runtime.artifact.folder import Artifact
from runtime.artifact.manifest import ONNX_FILE, Dimension, Input, Preprocessing
from runtime.artifact.reference import Reference
from runtime.float64.graph import Float64Graph
from runtime.float64.number_types import SIXTEEN_BITS

from .faults import match_candidate
from .hidden_faults import match_hidden_faults
from .inputs import InputMap, map_inputs, other_inputs
from .matching import Match, Matches, Source, walk_to_end

__all__ = ["Found", "find_matches"]

Precision = Literal["float32", "float16", "bfloat16", "integers"]
_TOLERANCES: dict[Precision, float] = {"float32": 1e-3, "float16": 0.05, "bfloat16": 0.1, "integers": 0.15}
"""The largest distance of tensors that compute the same, by the precision of the file."""
_ENOUGH = 0.3
"""The least share of the source's outputs that are found in a file of the same model: fusions leave some out."""
_MOST = 0.5
"""The share of which one that is faulty near its end is of the model all the same; or of what a file computes."""
_QUANTIZED = ("Quantize", "Dequantize", "QLinear", "Integer", "QGemm", "NBits", "QAttention")
"""Parts of the names of operators that compute with integers."""


@dataclass(frozen=True)
class Found:
    """What was found of a source in a candidate."""

    values: Values
    source: Source
    source_inputs: tuple[Input, ...]
    inputs: InputMap
    matches: Matches
    precision: Precision

    def dtype(self, value: str) -> str:
        """Return a candidate's value's dtype."""
        return self.values.dtype_of(value)

    def is_open(self, symbol: Dimension) -> bool:
        """Return whether a size that is open in the source is open in the candidate, too."""
        if isinstance(symbol, int):
            return False
        open_ = {size for name in self.inputs.names for size in self.input_shape(name) if isinstance(size, str)}
        return all(letter in open_ for letter in symbol if letter in "NHW") and symbol != "?"

    def input_shape(self, name: str) -> tuple[Dimension, ...]:
        """Return the shape of one of the candidate's inputs: open where it and the source's are."""
        spec = next(each for each in self.source_inputs if each.name == self.inputs.names[name])
        shape, order = self.inputs.shapes[name], self.inputs.orders[name]
        symbols = spec.shape if order is None else tuple(spec.shape[axis] for axis in order)
        lengths = self.inputs.apply(self.source.inputs)[name].shape
        return tuple(
            size if size is not None else symbol if isinstance(symbol, str) else length
            for size, symbol, length in zip(shape or [None] * len(lengths), symbols, lengths, strict=True)
        )

    def fitting(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]] | None:
        """Return a source's input as the candidate can take it, in its batch and dtype; None if it can't."""
        fitted = self.inputs.fitted(arrays, self.source_inputs)
        return None if fitted is None else self.inputs.whole(fitted)


def find_matches(sound: SoundModel, source: Artifact, references: Sequence[Reference]) -> Found:
    """Return what was found of a source in a candidate.

    Args:
        sound: the candidate.
        source: its artifact.
        references: the inputs by whose values they are compared: by the first; by the others where it shows no fault.

    Raises:
        ModelError: it is another model, or can't be evaluated.
        InputError: it takes other inputs.
    """
    file, manifest, reference = sound.file.path, source.manifest, references[0]
    values = Values(sound)
    graph = Float64Graph(values.marked(), list(values.all), real_values=True)
    source_graph = Float64Graph(source.file(ONNX_FILE), manifest.output_names)
    straight = map_inputs(file.name, sound.model.graph, manifest.inputs, reference.inputs)
    given = straight.fitted(reference.inputs, manifest.inputs)
    if given is None:
        raise ModelError(f"{file} takes inputs of other sizes than {manifest.model} was recorded on.")
    outputs = {output.name: output for output in manifest.outputs}
    compared = Source(source_graph, outputs, given)
    precision = _precision(sound)
    tolerance = _TOLERANCES[precision]
    inputs, compared, matches = _wanted_inputs(graph, values, compared, straight, tolerance, manifest.preprocessing)
    # A source may have far more outputs than a file computes: dropouts, norms, activations.
    is_all = len(matches.by_output) >= _MOST * sum(value.rests_on == "data" for value in values.all.values())
    matches = match_candidate(graph, values, compared, inputs.apply(compared.inputs), tolerance, matches)
    if precision == "float32":
        others = _of_same_shapes(references[1:], inputs, compared, manifest.inputs)
        match_hidden_faults(graph, values, compared, matches, inputs, others)
    elif len(matches.by_output) >= _MOST * len(compared.tensors):
        _add_results(matches, values, compared, manifest.result_names)
    if matches.unknown and not all(name in matches.by_value for name in values.returned):
        name, reason = next(iter(matches.unknown.items()))
        raise ModelError(f"{file} can't be evaluated at {uncomputed(values.all[name].node, reason)}")
    returned = [name for name in values.returned if values.all[name].rests_on == "data"]
    # One of the two may go on where the other ends: with a softmax at the end, or without the head.
    ends = not matches.by_value.keys().isdisjoint(returned) or not matches.by_output.keys().isdisjoint(
        manifest.result_names
    )
    if not (is_all or len(matches.by_output) >= _ENOUGH * len(compared.tensors)) or not ends:
        raise ModelError(_another_model(sound, source, matches, compared))
    return Found(values, compared, manifest.inputs, inputs, matches, precision)


def _of_same_shapes(
    references: Iterable[Reference], inputs: InputMap, compared: Source, specs: Sequence[Input]
) -> Iterator[Mapping[str, NDArray[Any]]]:
    """Yield the recorded inputs that the candidate can take, of the shapes of those that it was compared on."""
    for reference in references:
        given = inputs.fitted(reference.inputs, specs)
        if given is not None and all(given[name].shape == array.shape for name, array in compared.inputs.items()):
            yield inputs.whole(given)


def _add_results(matches: Matches, values: Values, source: Source, results: Collection[str]) -> None:
    """Match what the file returns with what the source does, also where a fault before it leaves nothing alike."""
    mine = [name for name in values.returned if name not in matches.by_value and name in matches.pending]
    theirs = [name for name in results if name not in matches.by_output and name in source.tensors]
    if len(values.returned) != len(results) or len(mine) != len(theirs):
        return
    for value, output in zip(mine, theirs, strict=True):
        alignment = best_alignment(matches.pending[value], source.tensors[output], by_angle=True)
        if alignment is not None:
            matches.add(Match(value, output, alignment[1], alignment[0]))
            del matches.pending[value]


def _precision(sound: SoundModel) -> Precision:
    operators = {node.op_type for node in sound.model.graph.node}
    if any(part in operator for operator in operators for part in _QUANTIZED):
        return "integers"
    types = {tensor.data_type for tensor in sound.model.graph.initializer}
    return next((name for type_, name in SIXTEEN_BITS.items() if type_ in types), "float32")


def _wanted_inputs(
    graph: Float64Graph,
    values: Values,
    source: Source,
    straight: InputMap,
    tolerance: float,
    preprocessing: Preprocessing | None,
) -> tuple[InputMap, Source, Matches]:
    """Return the way to give the candidate its inputs by which most is found in it, the source on them, and what is."""

    def walked(inputs: InputMap) -> tuple[InputMap, Source, Matches]:
        compared = source.on(inputs.whole(source.inputs))
        return inputs, compared, walk_to_end(graph, values, compared, inputs.apply(compared.inputs), tolerance)

    def count(found: tuple[InputMap, Source, Matches]) -> int:
        return len(found[2].by_output)

    first = next(iter(straight.names.values()))
    found, enough = walked(straight), _ENOUGH * len(source.tensors)
    if count(found) >= enough:
        return found
    others = other_inputs(straight, preprocessing, source.inputs[first].shape)
    best = max(map(walked, others), key=count, default=found)
    return best if count(best) > 2 * count(found) and count(best) >= enough else found


def _another_model(sound: SoundModel, source: Artifact, matches: Matches, compared: Source) -> str:
    mine = [tensor.dims for tensor in sound.model.graph.initializer if len(tensor.dims) > 1]
    sizes = {int(np.prod(dims)) for dims in mine}
    nodes = source.exported_nodes()
    theirs = {
        int(np.prod(parameter.shape))
        for each in nodes.values()
        for node in each
        for parameter in node.parameters.values()
        if not isinstance(parameter, str) and len(parameter.shape) > 1
    }
    same = len(sizes & theirs) >= 0.8 * max(1, len(theirs))
    what = "the same model with other weights, or given another input" if same else "another model"
    return (
        f"{sound.file.path} computes {len(matches.by_output)} of {len(compared.tensors)} tensors of "
        f"{source.manifest.model}: it seems to be {what}.\nCheck which weights and which preprocessing it was exported "
        "with."
    )
