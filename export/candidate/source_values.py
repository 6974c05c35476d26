"""The source's tensors, whole and in float64, in the layout in which a candidate has them."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.artifact.agreement import Alignment
from runtime.float64.graph import Float64Graph, Unknown

__all__ = ["SourceValues"]

_Arrays = Mapping[str, NDArray[Any]]


class SourceValues:
    """What a source computes for each recorded input.

    Attributes:
        inputs: by the recorded input's name, what the source is given.
    """

    def __init__(self, graph: Float64Graph, alignments: Mapping[str, Alignment]) -> None:
        """Take the source and, by output, how it becomes the candidate's."""
        self._graph, self._alignments = graph, alignments
        self.inputs: dict[str, _Arrays] = {}

    def walk(self, recorded_input: str) -> Iterator[tuple[str, NDArray[Any], NDArray[Any]]]:
        """Yield each output that the candidate computes: its name, the source's tensor, and that in its layout.

        Raises:
            ValueError: the layout isn't known for this batch or size.
        """
        for name, value in self._graph.walk(self.inputs[recorded_input]):
            alignment = self._alignments.get(name)
            if alignment is not None and not isinstance(value, Unknown):
                yield name, value, np.ascontiguousarray(alignment.apply(value))

    def of(self, recorded_input: str, names: Collection[str]) -> dict[str, NDArray[Any]]:
        """Return some outputs in the candidate's layout."""
        return {name: aligned for name, _, aligned in self.walk(recorded_input) if name in names}
