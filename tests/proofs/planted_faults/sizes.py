"""What is right for the example, and wrong for a larger batch or another size."""

from collections.abc import Iterator

import numpy as np
from onnx import NodeProto

from .model import Model, Place, Places, set_attribute
from .wiring import behind

__all__ = ["baked", "cropped_to_one_image", "folded_batch", "truncated"]

_SHAPE_INPUTS = {"Reshape": [1], "Expand": [1], "Resize": [3], "Slice": [1, 2], "Tile": [1]}


def baked(*operators: str) -> Places:
    """Return the places where a size or shape that is computed is made the example's."""

    def places(model: Model, rng: np.random.Generator) -> Iterator[Place]:
        for node, place in _computed(model, *operators):

            def change(node: NodeProto = node, place: int = place) -> None:
                value = model.run([node.input[place]])[node.input[place]]
                node.input[place] = model.add(f"{node.output[0]} baked {place}", value)

            yield Place(node, f"{node.input[place]} baked into {node.op_type}", change)

    return places


def folded_batch(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    """A Reshape of one image that takes what else there is into its longest axis."""
    for node, place in _computed(model, "Reshape"):

        def change(node: NodeProto = node, place: int = place) -> None:
            shape = model.run([node.input[place]])[node.input[place]]
            shape[0] = 1
            shape[1 + np.argmax(shape[1:])] = -1
            node.input[place] = model.add(f"{node.output[0]} folded", shape)

        if len(model.shapes.get(node.output[0], [])) > 1:
            yield Place(node, "all images folded into one", change)


def cropped_to_one_image(operator: str) -> Places:
    """Return the places where only the first image goes on, which is broadcast to the others."""
    first = np.array([0], np.int64)
    steps = {"Slice": ([first, first + 1, first], {}), "Gather": ([first], {"axis": 0})}

    def places(model: Model, rng: np.random.Generator) -> Iterator[Place]:
        for node in model.graph.node:
            users = [user for user in model.graph.node if node.output[0] in user.input]
            if len(users) != 1 or users[0].op_type not in ("Add", "Sub", "Mul"):
                continue
            other = next((name for name in users[0].input if name != node.output[0]), "")
            shape = model.shapes.get(node.output[0], [])
            if len(shape) < 2 or not isinstance(shape[0], str) or model.shapes.get(other, [])[:1] != shape[:1]:
                continue

            def change(node: NodeProto = node) -> None:
                constants, attributes = steps[operator]
                behind(model, node, (operator, constants, attributes))

            yield Place(node, f"{operator} of the first image alone", change)

    return places


def truncated(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    """A division that rounds down made one that truncates, in the computation of a size."""
    for node in model.nodes("Mod"):

        def change(node: NodeProto = node) -> None:
            set_attribute(node, "fmod", 1)

        if not model.nearest(node) <= set(node.output):
            yield Place(node, "floor made truncation", change)


def _computed(model: Model, *operators: str) -> Iterator[tuple[NodeProto, int]]:
    """Yield each node of some operators with the place of an input that says a shape and is computed."""
    for node in model.nodes(*operators):
        for place in _SHAPE_INPUTS[node.op_type]:
            if len(node.input) > place and node.input[place] in model.made_by:
                yield node, place
