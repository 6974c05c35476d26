"""The source's tensors, whole and in float64, in the layout in which a candidate has them."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from runtime.artifact.agreement import Alignment
from runtime.artifact.reference import Reference
from runtime.float64.graph import Float64Graph, Unknown

from ..input_kinds import are_alike
from .inputs import InputMap

__all__ = ["CandidateLayouts", "RightOutput", "SourceValues"]

_Arrays = Mapping[str, NDArray[Any]]


class RightOutput(NamedTuple):
    """A source's output in the candidate's layout."""

    value: NDArray[Any]
    scale: NDArray[Any]
    """The natural scale of all that computes it from the outputs before it that the candidate computes, too."""


@dataclass(frozen=True)
class CandidateLayouts:
    """How the source's tensors are laid out in the candidate. It can be sent to another machine."""

    taken: InputMap
    alignments: Mapping[str, Alignment]
    """By output that the candidate computes."""

    def as_its_inputs(self, inputs: _Arrays) -> list[NDArray[Any]]:
        """Return the candidate's inputs, in its order, for those of the source."""
        return list(self.taken.apply(inputs).values())

    def in_source_layout(self, name: str, array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        """Return the candidate's tensor of an output as the source has it, of this shape."""
        return self.alignments[name].undo(array, shape)


class SourceValues:
    """What a source computes for each recorded input.

    Attributes:
        layouts: how its tensors are laid out in the candidate.
        inputs: by the recorded input's name, what the source is given.
    """

    def __init__(
        self,
        graph: Float64Graph,
        alignments: Mapping[str, Alignment],
        references: Sequence[Reference],
        taken: InputMap,
    ) -> None:
        """Take the source and, by output that the candidate computes, how it becomes the candidate's; all that is
        recorded of it; and how its inputs become the candidate's.
        """
        self._graph, self.alignments, self._references = graph, alignments, references
        self.layouts = CandidateLayouts(taken, alignments)
        self.inputs: dict[str, _Arrays] = {}

    def walk(self, recorded_input: str) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield each output that the candidate computes, in its layout.

        Raises:
            ValueError: the layout isn't known for this batch or size.
        """
        for name, value in self._graph.walk(self.inputs[recorded_input]):
            if name in self.alignments and not isinstance(value, Unknown):
                yield name, self._aligned(name, value)

    def of(self, recorded_input: str, names: Collection[str]) -> dict[str, NDArray[Any]]:
        """Return some outputs in the candidate's layout."""
        return {name: aligned for name, aligned in self.walk(recorded_input) if name in names}

    def reach(self, recorded_input: str) -> dict[str, float]:
        """Return, by output, how many times as large its values are on other recorded inputs of the same kind."""
        alike = [each.scales for each in self._references if are_alike(each.name, recorded_input)]
        scales = next(each.scales for each in self._references if each.name == recorded_input)
        return {name: max(each[name] for each in alike) / scales[name] for name in self.alignments}

    def one_by_one(self, recorded_input: str) -> Callable[[str], RightOutput | None]:
        """Return what gives an output that the candidate computes, each once, at best in the order of execution."""
        walk, passed = self._walk_with_scales(recorded_input), dict[str, RightOutput]()

        def output(name: str) -> RightOutput | None:
            while name not in passed:
                found = next(walk, None)
                if found is None:
                    return None
                passed[found[0]] = found[1]
            return passed.pop(name)

        return output

    def _walk_with_scales(self, recorded_input: str) -> Iterator[tuple[str, RightOutput]]:
        # What the candidate doesn't compute it has folded into what it does.
        for name, value, scale in self._graph.walk_with_scales(
            self.inputs[recorded_input], folded={}, exact=self.alignments.keys()
        ):
            if name in self.alignments and not isinstance(value, Unknown):
                of_all = self._aligned(name, np.broadcast_to(scale.own, value.shape))
                yield name, RightOutput(self._aligned(name, value), of_all)

    def _aligned(self, name: str, value: NDArray[Any]) -> NDArray[Any]:
        return np.ascontiguousarray(self.alignments[name].apply(value))
