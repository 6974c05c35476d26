"""Weights in another order than the operator reads them, or left out."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from onnx import NodeProto

from proofs.planted_faults.model import Model, Place, Places

__all__ = ["channel_off", "left_out", "rearranged", "rounded", "scaled"]


def channel_off(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    """One output channel of a weight is 1 % off."""
    for node in model.nodes("Conv", "ConvTranspose", "Gemm", "MatMul"):
        for name in model.floats(node, [1]):

            def change(name: str = name, node: NodeProto = node) -> None:
                values = model.array(name)
                axis = _channels(node, values)
                index: list[slice | int] = [slice(None)] * values.ndim
                index[axis] = int(rng.integers(values.shape[axis]))
                values[tuple(index)] *= np.float32(1.01)
                model.put(name, values)

            yield Place(node, "one channel of the weight scaled by 1.01", change, name)


def _channels(node: NodeProto, values: np.ndarray) -> int:
    if node.op_type == "ConvTranspose":
        return 1
    transposed = node.op_type == "Gemm" and any(each.name == "transB" and each.i for each in node.attribute)
    return 0 if "Conv" in node.op_type or transposed else values.ndim - 1


def rearranged(detail: str, operators: str, change: Callable[[np.ndarray], np.ndarray | None]) -> Places:
    """Return the places where a weight is rearranged: `change` returns None where that isn't possible."""

    def places(model: Model, rng: np.random.Generator) -> Iterator[Place]:
        for node in model.nodes(*operators.split()):
            for name in model.floats(node, [1]):
                wrong = change(model.array(name))
                if wrong is not None and not np.array_equal(wrong, model.array(name)):
                    yield Place(node, detail, partial(model.put, name, wrong), name)

    return places


def left_out(operators: str, index: int, value: float, detail: str) -> Places:
    """Return the places where an input of a node, as a bias or a scale, is a constant, which is made another one."""

    def places(model: Model, rng: np.random.Generator) -> Iterator[Place]:
        for node in model.nodes(*operators.split()):
            for name in model.floats(node, [index]):
                wrong = np.full_like(model.array(name), value)
                if not np.array_equal(wrong, model.array(name)):
                    yield Place(node, detail, partial(model.put, name, wrong), name)

    return places


def scaled(operators: str, index: int, factor: float) -> Places:
    """Return the places where a constant input of a node is off by a factor."""

    def places(model: Model, rng: np.random.Generator) -> Iterator[Place]:
        for node in model.nodes(*operators.split()):
            for name in model.floats(node, [index]):
                wrong = (model.array(name) * factor).astype(np.float32)
                yield Place(node, f"input {index} scaled by {factor}", partial(model.put, name, wrong), name)

    return places


def rounded(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    """A weight kept with 8 bits and a scale for each tensor, as a compressed checkpoint has it."""
    for node in model.nodes("Conv", "Gemm", "MatMul"):
        for name in model.floats(node, [1]):
            exact = model.array(name)
            step = np.abs(exact).max() / 127
            wrong = (np.rint(exact / step) * step).astype(exact.dtype)
            yield Place(node, "the weight rounded to 8 bits", partial(model.put, name, wrong), name)
