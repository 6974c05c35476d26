"""Which of a candidate's tensors computes what an output of the source is: by value, in one walk through the file.

Each tensor that is found gets the source's value for all that uses it, so an error of one operation doesn't hide what
comes after it, and low precision doesn't add up.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from probe.onnx_model.values import Values
from runtime.artifact.agreement import Alignment, Tensor, best_alignment
from runtime.artifact.manifest import Output
from runtime.float64.ahead import ahead
from runtime.float64.graph import Float64Graph, Unknown

from .operations import is_same_operation

__all__ = ["ROUNDED", "Match", "Matches", "Source", "unfinished", "walk_and_match", "walk_to_end"]

_TIE = 4.0
"""Times the smallest distance, up to which two outputs of the source are as good as each other."""
_FAR, _TIE_OF_FAR = 0.05, 1.5
"""From this distance on, as of a depthwise convolution in 8 bits with one scale for all channels, fewer are."""
_NEARER, _AS_NEAR = 2.0, 1.05
_UNFINISHED = 1e-3
"""The least distance at which what adds or multiplies a constant next may be nearer: a convolution without its bias."""
_NOT_ROUNDED = 1e-5
"""From this distance on, a part of a norm may be near what the norm computes: x - mean, where the deviation is one."""
_STEP_BYTES = 4
"""Up to so many, integers are whole steps of numbers, and their real numbers are beside them."""
_FINISHING = frozenset({"Add", "BatchNormalization", "Div", "Mul", "Sub"})
# fmt: off
_CARRYING = frozenset({
    "Cast", "DequantizeLinear", "Dropout", "Flatten", "Identity", "QuantizeLinear", "Reshape", "Squeeze", "Transpose",
    "Unsqueeze",
})
# fmt: on
"""Operators whose result is their first input, moved, cast or put in steps."""
ROUNDED = 1e-7
"""A distance that rounding to float32 makes of nothing."""


@dataclass(frozen=True)
class Match:
    """A candidate's tensor that computes an output of the source."""

    value: str
    """The candidate's."""
    output: str
    """The source's."""
    alignment: Alignment
    distance: float
    """Between their values, as of `best_alignment`."""


class Source:
    """What a candidate is compared with: every output of the source for one input."""

    def __init__(self, graph: Float64Graph, outputs: Mapping[str, Output], inputs: Mapping[str, NDArray[Any]]) -> None:
        """Compute all outputs in float64."""
        self.graph, self.outputs, self.inputs_of, self.inputs = graph, outputs, graph.inputs_of, inputs
        self.tensors: dict[str, Tensor] = {}
        self._of_size: dict[int, list[str]] = {}
        self._passed_on: dict[str, str | None] = {}
        for name, value in ahead(graph.walk(inputs)):
            if not isinstance(value, Unknown) and value.size:
                self.tensors[name] = Tensor(value)
                self._of_size.setdefault(value.size, []).append(name)
        self.place = {name: number for number, name in enumerate(self.tensors)}

    def on(self, inputs: Mapping[str, NDArray[Any]]) -> "Source":
        """Return the same source on other inputs; itself if they are its own."""
        same = all(array is self.inputs[name] for name, array in inputs.items())
        return self if same else Source(self.graph, self.outputs, inputs)

    def passed_on(self, output: str) -> str | None:
        """Return the output whose values an output has, as of a dropout or a transposition; None if it computes any."""
        if output not in self._passed_on:
            inputs = self._tensors_before(output)
            best = best_alignment(self.tensors[output], self.tensors[inputs[0]]) if len(inputs) == 1 else None
            self._passed_on[output] = inputs[0] if best is not None and best[0] == 0.0 else None
        return self._passed_on[output]

    def follows(self, output: str, other: str) -> bool:
        """Return whether an output has the values of another, or is computed from nothing else, as a ReLU is."""
        values, inputs = self._same_values(other), self._tensors_before(output)
        return self._same_values(output) == values or (
            bool(inputs) and all(self._same_values(name) == values for name in inputs)
        )

    def _tensors_before(self, output: str) -> list[str]:
        return [name for name in self.inputs_of[output] if name in self.tensors]

    def _same_values(self, output: str) -> str:
        """Return the first output on the way whose values an output has."""
        passed_on = self.passed_on(output)
        return output if passed_on is None else self._same_values(passed_on)

    def of_size(self, size: int) -> list[str]:
        """Return the outputs of so many elements, in the order of execution."""
        return self._of_size.get(size, [])


@dataclass
class Matches:
    """What one walk through a candidate found."""

    by_value: dict[str, Match] = field(default_factory=dict)
    by_output: dict[str, Match] = field(default_factory=dict)
    pending: dict[str, Tensor] = field(default_factory=dict)
    """The candidate's tensors that equal no output of the source, in the order of computation."""
    alike: dict[str, Match] = field(default_factory=dict)
    """Those of them that equal an output which another tensor was matched to before."""
    unknown: dict[str, str] = field(default_factory=dict)
    """Values that can't be computed in float64, each with the reason."""
    unfinished: dict[str, float] = field(default_factory=dict)
    """Outputs whose match may be improved upon by the next value, each with its distance."""

    def add(self, match: Match) -> None:
        """Add a match, one to one: a later tensor of the same values takes the place of an earlier one."""
        if match.output in self.by_output:
            del self.by_value[self.by_output[match.output].value]
        self.by_value[match.value] = self.by_output[match.output] = match

    def is_ready(self, output: str, source: Source) -> bool:
        """Return whether all that an output of the source is computed from has been found, or is an input."""
        return all(
            name in self.by_output or name not in source.tensors or self.is_passed_on(name, source)
            for name in source.inputs_of[output]
        )

    def is_passed_on(self, output: str, source: Source) -> bool:
        """Return whether an output has the values of another that has been found."""
        passed_on = source.passed_on(output)
        return passed_on is not None and (passed_on in self.by_output or self.is_passed_on(passed_on, source))


def walk_and_match(
    graph: Float64Graph,
    values: Values,
    source: Source,
    inputs: Mapping[str, NDArray[Any]],
    tolerance: float,
    known: Iterable[Match] = (),
) -> Iterator[tuple[str, Matches]]:
    """Walk through a candidate, and yield each value's name and what has been found so far.

    Args:
        graph: the candidate, with all values as outputs.
        values: what is known of its values.
        source: what it is compared with.
        inputs: of the candidate.
        tolerance: the largest distance of equal tensors.
        known: what is known already, also of values that don't show it, as at a fault. They aren't computed again.
    """
    found, open_ = Matches(), unfinished(values) if tolerance > _UNFINISHED else frozenset()
    arrays = {}
    for match in known:
        found.add(match)
        arrays[match.value] = match.alignment.apply(source.tensors[match.output].array)

    def may_be_unfinished(name: str, match: Match) -> bool:
        if tolerance > _UNFINISHED:
            return name in open_ and match.distance > _UNFINISHED
        same = is_same_operation(values.all[name].node.op_type, source.outputs[match.output])
        return not same and match.distance > _NOT_ROUNDED

    def replaced(name: str, value: Any) -> Any:
        if isinstance(value, Unknown):
            found.unknown[name] = value.reason
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu" or not value.size:
            return value
        if values.all[name].rests_on != "data":
            return value
        if tolerance > _UNFINISHED and (_is_in_steps(name, values) or _is_steps(value)):
            return value
        tensor = Tensor(value)
        match = _match(name, tensor, found, source, values, tolerance)
        # What is still to get its bias equals an output by chance only, unless it is near.
        if match is None or (name in open_ and match.distance > _FAR):
            found.pending[name] = tensor.sampled_only()
            return value
        found.add(match)
        found.unfinished.pop(match.output, None)
        if may_be_unfinished(name, match):
            # With the source's value in its place, what follows would have the bias, or the deviation, twice.
            found.unfinished[match.output] = match.distance
            return value
        return match.alignment.apply(source.tensors[match.output].array).astype(value.dtype)

    for name, _ in graph.walk_replacing(inputs, replaced, arrays):
        yield name, found


def _is_steps(value: NDArray[Any]) -> bool:
    return value.dtype.kind in "iu" and value.dtype.itemsize <= _STEP_BYTES


def _is_in_steps(name: str, values: Values) -> bool:
    """Return whether a value is what a product of integers gave, cast: near the real numbers if its scale is near 1."""
    node = values.all[name].node
    before = values.all.get(node.input[0]) if node.op_type == "Cast" else None
    return before is not None and before.node.op_type.endswith("Integer")


def unfinished(values: Values) -> frozenset[str]:
    """Return the values that only a node of constants uses: a convolution's, before its bias."""
    users: dict[str, list[NodeProto]] = {}
    for value in values.all.values():
        for name in value.node.input:
            users.setdefault(name, []).append(value.node)

    def is_constant(name: str) -> bool:
        return name not in values.inputs and (name not in values.all or values.all[name].rests_on == "constants")

    return frozenset(
        name
        for name, nodes in users.items()
        if len(nodes) == 1
        and nodes[0].op_type in _FINISHING
        and name in values.all
        and name not in values.returned
        and all(is_constant(each) for each in nodes[0].input if each != name)
    )


def walk_to_end(
    graph: Float64Graph,
    values: Values,
    source: Source,
    inputs: Mapping[str, NDArray[Any]],
    tolerance: float,
    known: Iterable[Match] = (),
) -> Matches:
    """Return what `walk_and_match` has found when it ends."""
    found = Matches()
    for _, found in walk_and_match(graph, values, source, inputs, tolerance, known):  # noqa: B007 - the last counts
        pass
    return found


def _match(name: str, tensor: Tensor, found: Matches, source: Source, values: Values, tolerance: float) -> Match | None:
    close: list[Match] = []
    for output in source.of_size(tensor.size):
        other = source.tensors[output]
        if not tensor.may_equal(other, tolerance):
            continue
        best = best_alignment(tensor, other)
        if best is not None and best[0] <= tolerance and (tolerance <= _UNFINISHED or _varies_alike(best[0], other)):
            close.append(Match(name, output, best[1], best[0]))
    carried = _carried(name, values, found)
    if carried is not None:
        close = [match for match in close if source.follows(match.output, carried)]
    # What the file returns is that output, even if the same values were found before a cast or a reshape. Anything else
    # that is nearer to what was found than to what was not only passes that on, as a quantized tensor does.
    if name not in values.returned:
        if carried is None:
            # Nothing is computed where the source only passes on what was found: what is near that is a part of a norm.
            close = [match for match in close if not found.is_passed_on(match.output, source)]
        improved = found.unfinished
        known = [match for match in close if match.output in found.by_output]
        close = [
            match
            for match in close
            if match.output not in found.by_output or match.distance < _AS_NEAR * improved.get(match.output, 0.0)
        ]
        nearest = min(known, key=lambda match: match.distance, default=None)
        if nearest and nearest.alignment.order is None and carried is not None:
            # What is as it was found is not what the source makes of it by moving its axes: that may be the fault. What
            # is computed anew may only be near it.
            close = [match for match in close if match.alignment.order is None or match.distance < nearest.distance]
        if nearest:
            # Behind a block that adds next to nothing, what was found is exact and what is still to come is near.
            close = [
                match
                for match in close
                if match.distance <= _NEARER * nearest.distance
                or (nearest.distance > 0.0 and found.is_ready(match.output, source))
            ]
        if nearest and (not close or max(_NEARER * nearest.distance, ROUNDED) < min(match.distance for match in close)):
            found.alike[name] = nearest
            return None
    if not close:
        return None
    least = min(match.distance for match in close)
    tie = _TIE if least < _FAR else _TIE_OF_FAR
    equal = [match for match in close if match.distance <= max(tie * least, ROUNDED)]
    return min(
        equal,
        key=lambda match: (
            match.output not in found.unfinished,
            match.output in found.by_output,
            not found.is_ready(match.output, source),
            not is_same_operation(values.all[name].node.op_type, source.outputs[match.output]),
            source.place[match.output],
        ),
    )


def _carried(name: str, values: Values, found: Matches) -> str | None:
    """Return the output that is only moved, cast or put in steps on the way to a value; None if it is computed."""
    node = values.all[name].node
    while node.op_type in _CARRYING:
        given = node.input[0]
        match = found.by_value.get(given) or found.alike.get(given)
        if match is not None or given not in values.all:
            return match.output if match else None
        node = values.all[given].node
    return None


def _varies_alike(distance: float, source: Tensor) -> bool:
    """Return whether a distance is small beside what varies: all results of a sigmoid are near a half."""
    varies = source.deviation
    return varies <= _CONSTANT * source.spread or distance * source.spread <= _LIKE_ITS_MEAN * varies


_CONSTANT, _LIKE_ITS_MEAN = 1e-3, 0.5
"""Of the largest value: what varies less is a constant. Of the deviation: what is further away is no likeness."""
