"""Whether a fault changes what a model computes at all, and which kind of input is needed to see it."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx

from runtime.float64.graph import Float64Graph, Unknown

__all__ = ["INPUTS", "shown_by"]

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


def shown_by(right: Path, wrong: Path, outputs: list[str], recorded: Arrays) -> str | None:
    """Return the first kind of input for which two files differ in any output, evaluated in float64; None for none."""
    # As the verdict reads them: a cast to half precision rounds, unless the whole model is of that.
    rounds = all(array.dtype != np.float16 for array in recorded.values())
    graphs = [Float64Graph(file, outputs, rounds=rounds) for file in (right, wrong)]
    shapes = _shapes(right)
    for kind, make in INPUTS.items():
        inputs = {name: make(array) for name, array in recorded.items()}
        if all(_fits(array, shapes[name]) for name, array in inputs.items()) and _differ(graphs, inputs):
            return kind
    return None


def _shapes(file: Path) -> dict[str, list[int | str]]:
    graph = onnx.load(file, load_external_data=False).graph
    return {
        value.name: [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in graph.input
    }


def _fits(array: np.ndarray, shape: list[int | str]) -> bool:
    return all(isinstance(open_, str) or size == open_ for size, open_ in zip(array.shape, shape, strict=True))


def _differ(graphs: list[Float64Graph], inputs: Arrays) -> bool:
    with np.errstate(all="ignore"):
        for (_, one), (_, other) in zip(*(graph.walk(inputs) for graph in graphs), strict=True):
            if isinstance(one, Unknown):
                continue
            if isinstance(other, Unknown) or one.shape != other.shape:
                return True
            if not np.allclose(other, one, rtol=_LEAST, atol=0, equal_nan=True):
                return True
    return False
