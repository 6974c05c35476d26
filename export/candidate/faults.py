"""What a candidate's tensors compute behind a fault: there their values tell nothing, so structure has to.

A fault stands at the first tensor that equals no output of the source though it should. Several outputs may be meant;
the right one is that which makes what comes after it equal the source again, or nearer to it than before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from probe.onnx_model.values import Values
from runtime.artifact.agreement import Alignment, Tensor, best_alignment
from runtime.float64.graph import Float64Graph

from .matching import ROUNDED, Match, Matches, Source, unfinished, walk_and_match, walk_to_end
from .structure import Structure

__all__ = ["match_candidate"]

_MOST_FAULTS = 24
_FEW_FAULTS = 3
_OF_OTHER_WEIGHTS = 0.25
"""The share of faults among what was found, above which the file is another model's: with other weights, each
convolution is at fault."""
_MOST_PENDING = 24
"""Tensors that may be something that is missing, but explain nothing."""
_MOST_GUESSES = 6
"""For one tensor."""
_LOOK_AHEAD = 16
"""Values behind a guess that are computed to see whether it is right."""
_SHARP = 0.01
"""Up to this tolerance, nothing that is behind a fault is taken for right."""
_MOVED = 2e-5
"""The distance of a match from which on something before it has moved it: rounding and folding don't."""
_BETTER = 8.0
"""Times as near as before is what a guess explains."""
_ALIKE = 0.9
_LIKE = 0.5
"""The least likeness of what a faulty operation computes and what it should: the cosine of their angle."""


class _Score(NamedTuple):
    """How convincing a guess is; the larger, the more."""

    exact: int
    """Values after it that equal the source as nearly as nothing that was moved does."""
    gained: int
    """Values after it that equal the source at all."""
    nearness: float
    """Of those, the decimal logarithm of the distance, less."""
    evidence: float


class _Guess(NamedTuple):
    """What a tensor may be meant to be."""

    evidence: float
    match: Match


@dataclass(frozen=True)
class _Search:
    """What all walks through a candidate have in common, and the faults that were found so far."""

    graph: Float64Graph
    values: Values
    source: Source
    inputs: Mapping[str, NDArray[Any]]
    tolerance: float
    structure: Structure
    unfinished: frozenset[str]
    """The values that only a node of constants uses: a convolution's, before its bias."""
    faults: list[Match] = field(default_factory=list)

    @property
    def is_sharp(self) -> bool:
        return self.tolerance <= _SHARP

    def is_complete(self, found: Matches) -> bool:
        """Return whether all results are found."""
        return all(name in found.by_value or self.values.all[name].rests_on != "data" for name in self.values.returned)

    def moved(self, found: Matches) -> set[str]:
        """Return the values that were found, and that something before them has moved."""
        beside = {fault.value for fault in self.faults} if self.is_sharp else found.by_value
        return {value for value, match in found.by_value.items() if match.distance > _MOVED and value not in beside}

    def known_beside(self, fault: Match, found: Matches) -> list[Match]:
        """Return what is known if a fault is taken for granted: what that may have moved is to be found again.

        So is what was found with its axes moved as those of the faulty tensor, if that is the fault.
        """
        moved, before = self.moved(found), found.by_value.get(fault.value)
        turned = before.alignment if before and before.alignment != fault.alignment else None
        again = {
            value
            for value, match in found.by_value.items()
            if (value in moved or match.alignment == turned) and self.structure.depends(value, fault.value)
        }
        again.add(fault.value)
        return [*(match for value, match in found.by_value.items() if value not in again), fault]

    def walked(self, known: Sequence[Match]) -> Matches:
        found = walk_to_end(self.graph, self.values, self.source, self.inputs, self.tolerance, known)
        return self.settled(found)

    def gained(self, fault: Match, found: Matches) -> list[Match]:
        """Return what is found after a fault that wasn't before, or is nearer than it was."""
        known = self.known_beside(fault, found)
        waiting = set(self.structure.after(fault.value, _LOOK_AHEAD, {match.value for match in known}))
        gained = list[Match]()
        if not waiting:
            return gained
        for name, now in walk_and_match(self.graph, self.values, self.source, self.inputs, self.tolerance, known):
            match, before = now.by_value.get(name), found.by_value.get(name)
            nearer = match is not None and (before is None or _BETTER * match.distance < before.distance)
            if name in waiting and match and nearer and self.structure.follows(match.output, fault.output):
                gained.append(match)
            waiting.discard(name)
            if not waiting:
                break
        return gained

    def settled(self, found: Matches) -> Matches:
        """Give each output that several tensors equal to the one that is used like it: a fault may make them equal."""
        for value, match in list(found.alike.items()):
            other = found.by_output[match.output]
            if self.structure.depends(value, other.value) or other.value in self.values.returned:
                continue
            if self.structure.agreeing(value, match.output, found) > self.structure.agreeing(
                other.value, match.output, found
            ):
                found.add(match)
                del found.pending[value]
                displaced = other.alignment.apply(self.source.tensors[match.output].array)
                found.pending[other.value] = Tensor(displaced).sampled_only()
                ordered = self.structure.in_order(found.pending)
                found.pending = {name: found.pending[name] for name in ordered}
        return found


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
    search = _Search(graph, values, source, inputs, tolerance, Structure(values, source), unfinished(values))
    found, faults = search.settled(found), search.faults
    while len(faults) < _MOST_FAULTS:
        # Where all results are found, a fault may have been lost in what fewer bits lose anyway.
        complete = search.is_complete(found)
        if complete and search.is_sharp and not search.moved(found):
            break
        fault = _next_fault(search, found, _ALIKE if complete else _LIKE)
        if fault is None:
            break
        faults.append(fault)
        if len(faults) > _FEW_FAULTS and len(faults) > _OF_OTHER_WEIGHTS * len(found.by_output):
            break
        found = search.walked(search.known_beside(fault, found))
    return found


def _next_fault(search: _Search, found: Matches, like: float) -> Match | None:
    """Return the most convincing match, of at least this likeness, of the first tensor for which there is one."""
    missing = [name for name in search.source.tensors if name not in found.by_output]
    if search.is_sharp:
        moved = search.moved(found)
        pending = [value for value in found.pending if search.structure.is_unexplained(value, moved, found)]
    else:
        sizes = {search.source.tensors[name].size for name in missing}
        pending = [value for value, tensor in found.pending.items() if tensor.size in sizes]
    tried = 0
    for value in pending:
        guesses = [
            *_guesses(search, value, found, missing, like)[:_MOST_GUESSES],
            *_turned(search, value, found),
            *_added(search, value, found),
        ]
        scored = [(score, guess.match) for guess in guesses if (score := _score(search, guess, found))]
        if scored:
            best = max(scored, key=lambda each: each[0])
            return max([best, *_later(search, *best, found)], key=lambda each: each[0].exact)[1]
        tried += bool(guesses)
        if tried == _MOST_PENDING:
            break
    return None


def _turned(search: _Search, value: str, found: Matches) -> list[_Guess]:
    """Return what a tensor is computed from and was found in another order of axes, though it has the source's shape.

    That is a layout of the file's own, or the fault itself: two axes of equal length the wrong way round.
    """
    straight = Alignment(None, None)
    turned = []
    for name in search.structure.before(value, found):
        match = found.by_value[name]
        shape = search.source.tensors[match.output].shape
        order = match.alignment.order if match.alignment.shape is None and search.is_sharp else None
        if order is not None and tuple(shape[axis] for axis in order) == shape:
            for value_there in dict.fromkeys((_first_turned(search, name, found), name)):
                output = found.by_value[value_there].output
                turned.append(_Guess(0.0, Match(value_there, output, straight, 1.0)))
    return turned


def _first_turned(search: _Search, name: str, found: Matches) -> str:
    """Return the first tensor on the way to one that an operation, no transposition, gave with its axes moved alike.

    Of a symmetric tensor, a transposed kernel makes the transpose of the right result, and so does all behind it.
    """
    alignment, first = found.by_value[name].alignment, name
    waiting = [name]
    for each in waiting:
        nearest = sorted(search.structure.before(each, found))
        alike = [one for one in nearest if found.by_value[one].alignment == alignment]
        waiting += [one for one in alike if one not in waiting]
        if not alike and search.values.all[each].node.op_type != "Transpose":
            first = each
    return first


def _added(search: _Search, value: str, found: Matches) -> list[_Guess]:
    """Return the outputs that a tensor is computed from, which the file changes once more before it uses them.

    Where the source ends, the file may go on.
    """
    added = []
    for name in search.structure.before(value, found) if search.is_sharp else ():
        match = found.by_value[name]
        if search.structure.is_end(match.output):
            continue
        usual = {match.alignment.order}
        source = search.source.tensors[match.output]
        meant = best_alignment(found.pending[value], source, by_angle=True, usual=usual)
        if meant:
            added.append(_Guess(0.0, Match(value, match.output, meant[1], meant[0])))
    return added


def _score(search: _Search, guess: _Guess, found: Matches) -> _Score | None:
    """Return how convincing a guess is; None if it explains nothing."""
    gained, value = search.gained(guess.match, found), guess.match.value
    copies = search.structure.copies(value) - search.values.returned.keys()
    if value not in search.values.returned and copies.issuperset(each.value for each in gained):
        return None
    exact = sum(each.distance <= _MOVED for each in gained)
    nearness = -float(np.mean([np.log10(max(each.distance, ROUNDED)) for each in gained] or [0.0]))
    return _Score(exact, len(gained), round(nearness, 1), guess.evidence)


def _later(search: _Search, score: _Score, best: Match, found: Matches) -> list[tuple[_Score, Match]]:
    """Return the other values behind one that may be the same output, if what it explains is left inexact.

    What a norm is given looks like what it returns, and passes through it once more nearly as it is; so does what a
    bias is still to be added to.
    """
    if score.exact == score.gained or not (search.is_sharp or best.value in search.unfinished):
        return []
    usual, source = {best.alignment.order}, search.source.tensors[best.output]
    scored = []
    for value in search.structure.after(best.value, _LOOK_AHEAD):
        tensor = found.pending.get(value)
        meant = tensor and best_alignment(tensor, source, by_angle=True, usual=usual)
        if meant:
            match = Match(value, best.output, meant[1], meant[0])
            other = _score(search, _Guess(1 - meant[0], match), found)
            scored += [(other, match)] if other else []
    return scored


def _guesses(search: _Search, value: str, found: Matches, missing: Sequence[str], like: float) -> list[_Guess]:
    """Return what a pending tensor may be meant to be, the most likely first.

    It is like it, or is computed from the same, or by the same operation.
    """
    tensor, structure = found.pending[value], search.structure
    usual = {match.alignment.order for match in found.by_value.values()}
    inputs = structure.inputs(value, found)
    guesses = []
    for output in missing:
        meant = best_alignment(tensor, search.source.tensors[output], by_angle=True, usual=usual)
        if meant is None:
            continue
        likeness = 1 - meant[0]
        same = structure.may_compute(value, output, found)
        placed = search.is_sharp and inputs == structure.inputs_of_output(output, found)
        if likeness >= like or placed or (same and like <= _LIKE):
            evidence = likeness + same + placed - _PER_STEP * structure.steps_to(output, found)
            guesses.append(_Guess(evidence, Match(value, output, meant[1], meant[0])))
    return sorted(guesses, key=lambda guess: -guess.evidence)


_PER_STEP = 0.1
"""Evidence that an output loses for each one before it that is missing, too."""
