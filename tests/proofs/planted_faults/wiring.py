"""Operations that are wired wrongly, lost or added."""

from collections.abc import Iterator

import numpy as np
from onnx import NodeProto, TensorProto, helper

from .model import Model, Place, Places, attribute_of, set_attribute

__all__ = [
    "behind",
    "cast_to_half",
    "factor_of_variance",
    "kept_axis",
    "lost_shuffle",
    "swapped_inputs",
    "wrong_residual",
]


def behind(model: Model, node: NodeProto, *steps: tuple[str, list[np.ndarray], dict[str, object]]) -> None:
    """Let operations with constants follow a node, the last of which takes over its output's name."""
    name = node.output[0]
    node.output[0] = value = f"{name} before"
    made = []
    for number, (operation, constants, attributes) in enumerate(steps):
        weights = [model.add(f"{name} constant {number} {i}", array) for i, array in enumerate(constants)]
        result = name if number == len(steps) - 1 else f"{name} step {number}"
        made.append(helper.make_node(operation, [value, *weights], [result], f"{node.name} {number}", **attributes))
        value = result
    model.insert(model.position(node) + 1, *made)


def cast_to_half(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    for node in model.nodes("Conv", "BatchNormalization", "Relu", "Add", "Mul", "Gemm", "MatMul", "Softmax"):
        if model.types.get(node.output[0]) != TensorProto.FLOAT:
            continue

        def change(node: NodeProto = node) -> None:
            behind(model, node, ("Cast", [], {"to": TensorProto.FLOAT16}), ("Cast", [], {"to": TensorProto.FLOAT}))

        yield Place(node, "cast to half precision and back", change)


def factor_of_variance(factor: float) -> Places:
    """Return the places where E[y2] - E[y]2 is scaled."""

    def places(model: Model, rng: np.random.Generator) -> Iterator[Place]:
        for node in model.nodes("Sub"):
            makers = [model.made_by[name].op_type for name in node.input if name in model.made_by]
            if makers and set(makers) <= {"ReduceMean", "Pow", "Mul"}:

                def change(node: NodeProto = node) -> None:
                    behind(model, node, ("Mul", [np.float32(factor)], {}))

                yield Place(node, f"the variance times {factor}", change)

    return places


def swapped_inputs(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    for node in model.nodes("Sub", "Div", "MatMul"):
        shapes = [model.shapes.get(name) for name in node.input]
        if shapes[0] and shapes[1] and (node.op_type != "MatMul" or shapes[0] == shapes[1]):

            def change(node: NodeProto = node) -> None:
                node.input[:] = list(node.input)[::-1]

            yield Place(node, f"the inputs of {node.op_type} swapped", change)


def wrong_residual(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    """What is added is the value before the right one."""
    for node in model.nodes("Add", "Mul"):
        if any(name in model.weights for name in node.input):
            continue
        for place, name in enumerate(node.input):
            maker = model.made_by.get(name)
            shape = model.shapes.get(name)
            earlier = maker.input[0] if maker is not None and maker.input else ""
            if not shape or len(shape) < 2 or model.shapes.get(earlier) != shape:
                continue

            def change(node: NodeProto = node, place: int = place, earlier: str = earlier) -> None:
                node.input[place] = earlier

            yield Place(node, f"{earlier} taken instead of {name}", change)


def lost_shuffle(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    """A channel shuffle without its transposition."""
    for node in model.nodes("Transpose"):
        perm = list(attribute_of(node, "perm", []))
        if perm == [0, 2, 1, 3, 4]:

            def change(node: NodeProto = node) -> None:
                set_attribute(node, "perm", [0, 1, 2, 3, 4])

            yield Place(node, "the channels not shuffled", change)


def kept_axis(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    """The axis that a mean removes is kept, and a Reshape behind hides it."""
    for node in model.nodes("ReduceMean", "ReduceMax", "ReduceSum"):
        users = [user.op_type for user in model.graph.node if node.output[0] in user.input]
        if not attribute_of(node, "keepdims", 1) and users and set(users) == {"Reshape"}:

            def change(node: NodeProto = node) -> None:
                set_attribute(node, "keepdims", 1)

            yield Place(node, "keepdims 0 made 1", change)
