"""Whether a fault changes what a model computes at all, and which kind of input is needed to see it."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx

from runtime.float64.graph import Float64Graph, Unknown

__all__ = ["INPUTS", "Difference"]

Arrays = Mapping[str, np.ndarray]


def _noise(recorded: np.ndarray, shape: tuple[int, ...], strength: float = 1.0) -> np.ndarray:
    if recorded.dtype.kind != "f":
        return np.resize(recorded, shape)
    return (np.random.default_rng(0).standard_normal(shape) * strength).astype(recorded.dtype)


def _odd(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[:-2], *(size + 1 - size % 2 for size in shape[-2:]))


INPUTS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "the recorded input": lambda recorded: recorded,
    "values from 0 to 1": lambda recorded: np.abs(np.sin(_noise(recorded, recorded.shape))).astype(recorded.dtype),
    "strong noise": lambda recorded: _noise(recorded, recorded.shape, 20),
    "a batch of 3": lambda recorded: _noise(recorded, (3, *recorded.shape[1:])),
    "an odd size": lambda recorded: _noise(recorded, _odd(recorded.shape)),
}
"""Kinds of inputs, each made from the recorded one, from the one that is at hand to the rarest."""

_LEAST = 1e-6
"""The relative difference of any element that counts; both sides are computed in float64."""


class Difference:
    """What a right file computes in float64, to be compared with faulty ones."""

    def __init__(self, right: Path, outputs: list[str], recorded: Arrays) -> None:
        self._outputs, self._recorded = outputs, recorded
        self._graph, self._shapes = self._opened(right), _shapes(right)
        self._values: dict[str, list[object]] = {}

    def shown_by(self, wrong: Path) -> str | None:
        """Return the first kind of input for which a file differs in any output; None if none shows a difference."""
        graph = self._opened(wrong)
        for kind, make in INPUTS.items():
            inputs = {name: make(array) for name, array in self._recorded.items()}
            if not all(_fits(array, self._shapes[name]) for name, array in inputs.items()):
                continue
            with np.errstate(all="ignore"):
                if kind not in self._values:
                    self._values[kind] = [value for _, value in self._graph.walk(inputs)]
                values = (value for _, value in graph.walk(inputs))
                if any(_differ(*pair) for pair in zip(self._values[kind], values, strict=True)):
                    return kind
        return None

    def _opened(self, file: Path) -> Float64Graph:
        # As the verdict reads it: a cast to half precision rounds, unless the whole model is of that.
        rounds = all(array.dtype != np.float16 for array in self._recorded.values())
        return Float64Graph(file, self._outputs, rounds=rounds)


def _shapes(file: Path) -> dict[str, list[int | str]]:
    graph = onnx.load(file, load_external_data=False).graph
    return {
        value.name: [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in graph.input
    }


def _fits(array: np.ndarray, shape: list[int | str]) -> bool:
    return all(isinstance(open_, str) or size == open_ for size, open_ in zip(array.shape, shape, strict=True))


def _differ(right: object, wrong: object) -> bool:
    if isinstance(right, Unknown):
        return False
    if isinstance(wrong, Unknown) or np.shape(right) != np.shape(wrong):
        return True
    return not np.allclose(wrong, right, rtol=_LEAST, atol=0, equal_nan=True)
