"""What a candidate's tensors compute behind a fault: there their values tell nothing, so structure has to.

A fault stands at the first tensor that equals no output of the source though it should. Several outputs may be meant;
the right one is that which makes what comes after it equal the source again.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from probe.onnx_model.values import Values
from runtime.artifact.agreement import Tensor, best_alignment
from runtime.float64.graph import Float64Graph
from runtime.float64.nodes import reads

from .matching import ROUNDED, Match, Matches, Source, is_same_operation, walk_and_match, walk_to_end

__all__ = ["match_candidate"]

_MOST_FAULTS = 24
_FEW_FAULTS = 3
_OF_OTHER_WEIGHTS = 0.25
"""The share of faults among what was found, above which the file is another model's: with other weights, each
convolution is at fault."""
_MOST_PENDING = 24
_MOST_GUESSES = 4
"""For one tensor."""
_LOOK_AHEAD = 16
"""Values behind a guess that are computed to see whether it is right."""
_SHARP = 0.01
"""Up to this tolerance, nothing that is behind a fault is taken for right."""
_ALIKE = 0.9
_LIKE = 0.5
"""The least likeness of what a faulty operation computes and what it should: the cosine of their angle."""


class _Score(NamedTuple):
    """How convincing a guess is; the larger, the more."""

    gained: int
    """Values after it that equal the source."""
    nearness: float
    """Of those, the decimal logarithm of the distance, less."""
    likeness: float


@dataclass(frozen=True)
class _Walks:
    """What all walks through a candidate have in common."""

    graph: Float64Graph
    values: Values
    source: Source
    inputs: Mapping[str, NDArray[Any]]
    tolerance: float

    def gained(self, known: Sequence[Match], ahead: set[str]) -> list[Match]:
        """Return what is found of the values `ahead`."""
        waiting, gained = set(ahead), list[Match]()
        for name, found in walk_and_match(self.graph, self.values, self.source, self.inputs, self.tolerance, known):
            if name in waiting and name in found.by_value:
                gained.append(found.by_value[name])
            waiting.discard(name)
            if not waiting:
                break
        return gained


def match_candidate(
    graph: Float64Graph,
    values: Values,
    source: Source,
    inputs: Mapping[str, NDArray[Any]],
    tolerance: float,
    found: Matches,
) -> Matches:
    """Return what the candidate's tensors compute, given what was `found` by their values in a walk.

    A fault that moves a tensor by less than `tolerance` is found by its value, and judged by `verify`.
    """
    walks = _Walks(graph, values, source, inputs, tolerance)
    users = _users(values)
    faults: list[Match] = []
    while len(faults) < _MOST_FAULTS:
        # Where all results are found, a fault may have been lost in what fewer bits lose anyway.
        complete = all(name in found.by_value or values.all[name].rests_on != "data" for name in values.returned)
        if complete and tolerance <= _SHARP:
            break
        fault = _next_fault(walks, users, found, _ALIKE if complete else _LIKE)
        if fault is None:
            break
        faults.append(fault)
        if len(faults) > _FEW_FAULTS and len(faults) > _OF_OTHER_WEIGHTS * len(found.by_output):
            break
        found = walk_to_end(graph, values, source, inputs, tolerance, [*found.by_value.values(), fault])
    return found


def _next_fault(walks: _Walks, users: Mapping[str, list[str]], found: Matches, like: float) -> Match | None:
    """Return the most convincing match, of at least this likeness, of the first tensor for which there is one."""
    known = list(found.by_value.values())
    missing = [name for name in walks.source.tensors if name not in found.by_output]
    sizes = {walks.source.tensors[name].size for name in missing}
    pending = [value for value, tensor in found.pending.items() if tensor.size in sizes]
    for value in pending[:_MOST_PENDING]:
        ahead = _after(users, value) - found.by_value.keys()
        scored: list[tuple[_Score, Match]] = []
        usual = {match.alignment.order for match in known}
        for likeness, match in _guesses(walks, value, found.pending[value], missing, usual, like)[:_MOST_GUESSES]:
            gained = walks.gained([*known, match], ahead) if ahead else []
            if gained or value in walks.values.returned:
                nearness = -float(np.mean([np.log10(max(each.distance, ROUNDED)) for each in gained] or [0.0]))
                scored.append((_Score(len(gained), round(nearness, 1), likeness), match))
        if scored:
            return max(scored, key=lambda each: each[0])[1]
    return None


def _guesses(
    walks: _Walks,
    value: str,
    tensor: Tensor,
    missing: Sequence[str],
    usual: Collection[tuple[int, ...] | None],
    like: float,
) -> list[tuple[float, Match]]:
    """Return what a pending tensor may be meant to be, with the likeness, the most likely first."""
    guesses = []
    for output in missing:
        source = walks.source.tensors[output]
        best = best_alignment(tensor, source, by_angle=True, usual=usual)
        if best is None:
            continue
        same = _may_compute(walks.values.all[value].node.op_type, output, walks.source, missing)
        likeness = 1 - best[0]
        if likeness >= like or (same and like <= _LIKE):
            guesses.append((likeness, Match(value, output, best[1], best[0])))
    return sorted(guesses, key=lambda each: -each[0])


def _may_compute(operator: str, output: str, source: Source, missing: Sequence[str]) -> bool:
    """Return whether an operator is that of an output, or of one before it that may be fused into it."""
    chain = [output]
    while len(chain) < _FUSED:
        before = [name for name in source.inputs_of[chain[-1]] if name in missing]
        if len(before) != 1:
            break
        chain += before
    return any(is_same_operation(operator, source.outputs[name]) for name in chain)


_FUSED = 3
"""Operations of the source that one of the candidate computes, at most: a convolution, a batch norm and a clamp."""


def _users(values: Values) -> dict[str, list[str]]:
    users: dict[str, list[str]] = {}
    for name, value in values.all.items():
        for each in reads(value.node):
            users.setdefault(each, []).append(name)
    for name, value in values.all.items():
        # Real numbers beside whole steps that operators pass on to each other.
        if value.node.op_type == "DequantizeLinear" and name not in users:
            users[name] = [each for each in users[value.node.input[0]] if each != name]
    return users


def _after(users: Mapping[str, list[str]], value: str) -> set[str]:
    """Return the nearest values that are computed from a value."""
    after: list[str] = []
    for name in (waiting := [value]):
        for user in users.get(name, ()):
            if user not in after and len(after) < _LOOK_AHEAD:
                after.append(user)
                waiting.append(user)
    return set(after)
