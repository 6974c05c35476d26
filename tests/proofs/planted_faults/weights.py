"""Weights that are a little off in one place, and clamps that are lost."""

from collections.abc import Iterator
from functools import partial

import numpy as np
from onnx import NodeProto

from .model import Model, Place, Places, attribute_of

__all__ = [
    "bound_changed",
    "bound_lost",
    "clamp_lost",
    "halved_and_off",
    "lost_bias",
    "one_channel",
    "one_pixel",
    "permuted_groups",
]


def one_channel(factor: float, beside: float = 0) -> Places:
    """Return the places where one output channel of a weight is scaled, but for the largest one.

    Args:
        factor: by which it is off.
        beside: how many times as large as the others the largest channel must be.
    """

    def places(model: Model, rng: np.random.Generator) -> Iterator[Place]:
        for node in model.nodes("Conv", "Gemm"):
            if node.op_type == "Gemm" and not attribute_of(node, "transB", 0):
                continue
            for name in model.floats(node, [1]):

                def change(name: str = name) -> None:
                    values = model.array(name)
                    sizes = np.abs(values).reshape(len(values), -1).max(1)
                    channel = rng.choice(np.flatnonzero((sizes > 0) & (sizes < sizes.max())))
                    values[channel] *= np.asarray(factor, values.dtype)
                    model.put(name, values)

                sizes = sorted(np.abs(channel).max() for channel in model.array(name))
                if len(sizes) > 1 and sizes[-1] >= beside * sizes[-2]:
                    yield Place(node, f"one channel of {name} scaled by {factor}", change, name)

    return places


def one_pixel(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    for node in model.nodes("Mul", "Add"):
        for name in model.floats(node):

            def change(name: str = name) -> None:
                values = model.array(name)
                values.reshape(-1)[rng.integers(values.size)] *= np.float32(1.01)
                model.put(name, values)

            if model.array(name).size >= 1000:
                yield Place(node, f"one pixel of {name} off by 1 %", change, name)


def halved_and_off(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    for node in model.nodes("Conv", "Gemm", "MatMul"):
        for name in model.floats(node, [1]):
            exact = model.array(name)
            wrong = (exact * np.asarray(1.003, exact.dtype)).astype(np.float16).astype(exact.dtype)
            yield Place(node, f"{name} rounded to float16, 0.3 % off", partial(model.put, name, wrong), name)


def permuted_groups(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    """The weights of one group are those of the next one."""
    for node in model.nodes("Conv"):
        groups = attribute_of(node, "group", 1)
        for name in model.floats(node, [1]):
            values = model.array(name)
            if groups > 1:
                wrong = np.roll(values, len(values) // groups, axis=0)
                yield Place(node, f"the {groups} groups of {name} rolled by one", partial(model.put, name, wrong), name)


def lost_bias(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    """The bias input itself is gone."""
    for node in model.nodes("Conv", "Gemm", "LayerNormalization"):
        if model.floats(node, [2]):

            def change(node: NodeProto = node) -> None:
                del node.input[2]

            yield Place(node, f"without its bias {node.input[2]}", change)
    for node in model.nodes("Add"):
        for name in model.floats(node):
            if model.array(name).ndim == 1 and name.endswith("bias"):
                change = partial(model.put, name, np.zeros_like(model.array(name)))
                yield Place(node, f"{name} made 0", change, name)


def bound_lost(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    """ReLU6 made ReLU: a Clip without its upper bound."""
    for node in model.nodes("Clip"):

        def change(node: NodeProto = node) -> None:
            del node.input[2:]

        if len(node.input) == 3 and all(node.input):
            yield Place(node, "without its upper bound", change)


def bound_changed(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    for node in model.nodes("Clip"):
        for place, factor in ((2, 1.01), (1, 0.99)):
            if len(node.input) <= place or node.input[place] not in model.weights:
                continue
            bound = model.array(node.input[place])
            new = np.asarray(bound * factor if bound.any() else bound - 0.01, bound.dtype)

            def change(node: NodeProto = node, place: int = place, new: np.ndarray = new) -> None:
                node.input[place] = model.add(f"{node.output[0]} bound", new)

            yield Place(node, f"the bound {bound:.6g} made {new:.6g}", change)


def clamp_lost(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    for node in model.nodes("Clip", "Relu"):

        def change(node: NodeProto = node) -> None:
            node.op_type = "Identity"
            del node.input[1:]

        yield Place(node, f"{node.op_type} lost", change)
