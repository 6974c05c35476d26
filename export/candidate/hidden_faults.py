"""Faults that the input by which a file is matched doesn't show, as a ReLU hides a channel that is negative there.

The faulty tensor then equals nothing, though all around it is found. Another recorded input shows the fault: what comes
after it is wrong there, given right tensors. A tensor is taken for an output of the source only if that puts it right.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probe.onnx_model.values import Values
from runtime.artifact.agreement import best_alignment
from runtime.float64.graph import Float64Graph

from .inputs import InputMap
from .matching import Match, Matches, Source
from .structure import Structure

__all__ = ["match_hidden_faults"]

_Arrays = Mapping[str, NDArray[Any]]
_Distances = dict[str, float]

_WRONG = 2e-5
"""The least distance of what is computed from right tensors that no rounding explains."""
_BETTER = 8.0
"""Times as near as before is what a match has to make all that comes after it."""
_MOST_TRIED = 24


def match_hidden_faults(
    graph: Float64Graph,
    values: Values,
    source: Source,
    found: Matches,
    taken: InputMap,
    others: Iterable[_Arrays],
) -> None:
    """Add to what was found the tensors whose faults show on other inputs only, and what is behind each.

    Args:
        graph: the candidate, with all values as outputs.
        values: what is known of its values.
        source: what it was compared with.
        found: by value, and by what explains the faults that showed.
        taken: how it takes the source's inputs.
        others: more of the source's inputs, of the same shapes.
    """
    structure = Structure(values, source)
    for inputs in others:
        pairs = _placed_alike(structure, source, found)
        if not pairs:
            return
        there = source.on(inputs)
        _add_faults(_Other(graph, there, taken.apply(there.inputs)), structure, found, pairs)


def _placed_alike(structure: Structure, source: Source, found: Matches) -> list[Match]:
    """Return what each tensor between matched ones may be: an output between the same, by an operation of the kind."""
    missing = [name for name in source.tensors if name not in found.by_output]
    usual = {match.alignment.order for match in found.by_value.values()}
    pairs = []
    for value, tensor in found.pending.items() if missing else ():
        users = structure.users(value, found)
        if not users or value in found.alike:
            continue
        inputs, used_by = structure.inputs(value, found), {found.by_value[user].output for user in users}
        for output in missing:
            meant = best_alignment(tensor, source.tensors[output], by_angle=True, usual=usual)
            if (
                meant is not None
                and structure.may_compute(value, output, found)
                and structure.inputs_of_output(output, found) == inputs
                and structure.users_of_output(output, found) == used_by
            ):
                pairs.append(Match(value, output, meant[1], meant[0]))
    return pairs


def _add_faults(other: "_Other", structure: Structure, found: Matches, pairs: Sequence[Match]) -> None:
    """Add each match without which what comes after it is wrong, and with which it is right; the first in order."""
    users = {pair.value: structure.users(pair.value, found) for pair in pairs}
    behind = set[str]().union(*users.values())
    rest = [match for value, match in found.by_value.items() if value not in behind]
    watched = [found.by_value[value] for value in behind]
    before = other.distances(rest, watched)
    wrong = [pair for pair in pairs if any(before[value] > _WRONG for value in users[pair.value])]
    for pair in wrong[:_MOST_TRIED]:
        if pair.value in found.by_value or pair.output in found.by_output:
            continue
        between = [each for each in pairs if structure.depends(each.value, pair.value) and each.value != pair.value]
        after = other.distances([*rest, pair], [*(found.by_value[value] for value in users[pair.value]), *between])
        if all(after[value] <= max(_WRONG, before[value]) for value in users[pair.value]) and all(
            _BETTER * after[value] <= before[value] for value in users[pair.value] if before[value] > _WRONG
        ):
            _add(found, pair)
            for each in between:
                if after[each.value] <= _WRONG and each.output not in found.by_output:
                    _add(found, each)


def _add(found: Matches, match: Match) -> None:
    found.add(match)
    found.pending.pop(match.value, None)


@dataclass(frozen=True)
class _Other:
    """Both models on another input."""

    graph: Float64Graph
    source: Source
    inputs: _Arrays

    def distances(self, known: Sequence[Match], watched: Sequence[Match]) -> _Distances:
        """Return how far values are from what they are matched with, if what is known is right."""
        return dict(self._distances({match.value: match for match in known}, {each.value: each for each in watched}))

    def _distances(self, known: Mapping[str, Match], watched: Mapping[str, Match]) -> Iterator[tuple[str, float]]:
        right = {value: self._right(match) for value, match in known.items()}
        left = set(watched)
        for name, value in self.graph.walk_replacing(self.inputs, _as_it_is, right):
            if name in left:
                left.discard(name)
                yield name, self._distance(value, watched[name])
            if not left:
                break
        for name in left:  # not computed, as behind what can't be
            yield name, np.inf

    def _right(self, match: Match) -> NDArray[Any]:
        return match.alignment.apply(self.source.tensors[match.output].array)

    def _distance(self, value: object, match: Match) -> float:
        """Return the largest difference, by the root mean square of what it should be."""
        right = self._right(match)
        if not isinstance(value, np.ndarray) or value.shape != right.shape:
            return np.inf
        spread = self.source.tensors[match.output].spread
        with np.errstate(all="ignore"):
            same = (value == right) | (np.isnan(value) & np.isnan(right))  # infinities, too, as in a mask's scores
            off = float(np.max(np.abs(value.astype(np.float64) - right), initial=0.0, where=~same))
        return off / spread if spread and np.isfinite(off) else 0.0 if off == 0.0 else np.inf


def _as_it_is(_: str, value: Any) -> Any:
    return value
