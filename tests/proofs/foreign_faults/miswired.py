"""Operations that were taken for others, or wired wrongly, by whatever made the file."""

from collections.abc import Iterator
from dataclasses import replace
from math import pi, sqrt

import numpy as np
from onnx import NodeProto, helper

from proofs.planted_faults.model import Model, Place, Places, attribute_of, set_attribute
from proofs.planted_faults.wiring import cast_to_half

__all__ = [
    "added_twice",
    "became",
    "dropped_operand",
    "erf_as_tanh",
    "half_and_back",
    "hard_swish_as_swish",
    "image_transposed",
    "other_perm",
    "shifted_index",
    "shifted_slice",
    "swapped_parts",
    "window_maximum",
]


def became(operators: str, other: str, **attributes: object) -> Places:
    """Return the places where an operator of one input is taken for another one."""

    def places(model: Model, rng: np.random.Generator) -> Iterator[Place]:
        for node in model.nodes(*operators.split()):

            def change(node: NodeProto = node) -> None:
                node.op_type = other
                del node.attribute[:]
                del node.input[1:]
                for name, value in attributes.items():
                    set_attribute(node, name, value)

            yield Place(node, f"{node.op_type} made {other}", change)

    return places


def window_maximum(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    """The maximum of each window for its mean, or the other way round."""
    other = {"AveragePool": "MaxPool", "MaxPool": "AveragePool", "ReduceMean": "ReduceMax"}
    other |= {"GlobalAveragePool": "GlobalMaxPool"}
    for node in model.nodes(*other):

        def change(node: NodeProto = node) -> None:
            node.op_type = other[node.op_type]
            kept = [each for each in node.attribute if each.name not in ("count_include_pad", "storage_order")]
            del node.attribute[:]
            node.attribute.extend(kept)

        yield Place(node, f"{node.op_type} made {other[node.op_type]}", change)


def erf_as_tanh(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    """GELU by its approximation with tanh, where the file has it by the error function."""
    for node in model.nodes("Gelu"):
        if attribute_of(node, "approximate", b"none") == b"none" and not node.domain:

            def approximate(node: NodeProto = node) -> None:
                set_attribute(node, "approximate", "tanh")

            yield Place(node, "approximate none made tanh", approximate)
    for node in model.nodes("Erf"):

        def change(node: NodeProto = node) -> None:
            # It is erf(u) with u = x / sqrt(2), of which tanh approximates sqrt(2 / pi) (x + 0.044715 x^3).
            given, made = node.input[0], node.output[0]
            numbers = {"three": 3, "share": 2 * 0.044715, "slope": 2 / sqrt(pi)}
            three, share, slope = (model.add(f"{made} {name}", np.float32(value)) for name, value in numbers.items())
            _replace(
                model,
                node,
                helper.make_node("Pow", [given, three], [f"{made} cubed"]),
                helper.make_node("Mul", [f"{made} cubed", share], [f"{made} inner"]),
                helper.make_node("Add", [given, f"{made} inner"], [f"{made} whole"]),
                helper.make_node("Mul", [f"{made} whole", slope], [f"{made} scaled"]),
                helper.make_node("Tanh", [f"{made} scaled"], [made]),
            )

        yield Place(node, "erf approximated by tanh", change)


def hard_swish_as_swish(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    for node in model.nodes("HardSwish"):

        def change(node: NodeProto = node) -> None:
            given, made = node.input[0], node.output[0]
            _replace(
                model,
                node,
                helper.make_node("Sigmoid", [given], [f"{made} gate"]),
                helper.make_node("Mul", [given, f"{made} gate"], [made]),
            )

        yield Place(node, "HardSwish made x * sigmoid(x)", change)


def _replace(model: Model, node: NodeProto, *others: NodeProto) -> None:
    model.insert(model.position(node) + 1, *others)
    model.graph.node.remove(node)


def swapped_parts(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    """The first two parts of a concatenation in the other order."""
    for node in model.nodes("Concat"):
        ranks = [len(model.shapes.get(name, [])) for name in node.input]
        if len(node.input) > 1 and min(ranks) > 1 and node.input[0] != node.input[1]:

            def change(node: NodeProto = node) -> None:
                node.input[0], node.input[1] = node.input[1], node.input[0]

            yield Place(node, "the first two parts swapped", change)


def added_twice(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    """A residual that is added once more."""
    for node, name in _residuals(model):

        def change(node: NodeProto = node, name: str = name) -> None:
            made = node.output[0]
            node.output[0] = f"{made} once"
            model.insert(model.position(node) + 1, helper.make_node("Add", [f"{made} once", name], [made]))

        yield Place(node, "one of the two added twice", change, also=_readers(model, node))


def half_and_back(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    """A cast to half precision and back, behind what is right."""
    for place in cast_to_half(model, rng):
        yield replace(place, also=_readers(model, place.node))


def _readers(model: Model, node: NodeProto) -> list[NodeProto]:
    """Return the nodes that use what a node computes: where another one is inserted, it is a part of their steps."""
    return [user for user in model.graph.node if not set(node.output).isdisjoint(user.input)]


def dropped_operand(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    """A residual that isn't added."""
    for node, name in _residuals(model):

        def change(node: NodeProto = node, name: str = name) -> None:
            node.op_type = "Identity"
            node.input[:] = [each for each in node.input if each != name][:1]

        yield Place(node, "one of the two not added", change)


def _residuals(model: Model) -> Iterator[tuple[NodeProto, str]]:
    for node in model.nodes("Add"):
        shapes = [model.shapes.get(name) for name in node.input]
        weights = any(name in model.weights for name in node.input)
        if not weights and shapes[0] == shapes[1] and shapes[0] and len(shapes[0]) > 1 and len(set(node.input)) == 2:
            yield node, node.input[1]


def shifted_slice(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    """A slice off by one along its axis, of as many elements: the rest is rolled in."""
    for node in model.nodes("Slice"):
        if len(node.input) < 4 or any(name not in model.weights for name in node.input[1:3]):
            continue
        starts, ends = model.array(node.input[1]), model.array(node.input[2])
        axes = model.array(node.input[3]) if node.input[3] in model.weights else np.zeros(0, np.int64)
        shape = model.shapes.get(node.input[0], [])
        if starts.size != 1 or axes.size != 1 or len(shape) < 2:
            continue
        length = shape[int(axes[0])]
        end = min(int(ends[0]), length)
        by = 1 if end < length else -1
        if not 0 <= starts[0] + by < end or end - starts[0] >= length:
            continue

        def change(node: NodeProto = node, start: int = int(starts[0]), end: int = end, by: int = by) -> None:
            node.input[1] = model.add(f"{node.output[0]} start", np.array([start + by], np.int64))
            node.input[2] = model.add(f"{node.output[0]} end", np.array([end + by], np.int64))

        yield Place(node, f"{int(starts[0])} to {end} shifted by {by}", change)


def shifted_index(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    """The element beside the one that is meant."""
    for node in model.nodes("Gather"):
        if node.input[1] in model.weights and len(model.shapes.get(node.output[0], [])) > 1:
            index = model.array(node.input[1])
            length = model.shapes[node.input[0]][attribute_of(node, "axis", 0)]

            def change(node: NodeProto = node, index: np.ndarray = index, length: int = length) -> None:
                node.input[1] = model.add(f"{node.output[0]} index", np.asarray((index + 1) % length, index.dtype))

            yield Place(node, "the index one larger", change)


def other_perm(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    """Two axes of equal length the other way round."""
    for node in model.nodes("Transpose"):
        shape, perm = model.shapes.get(node.output[0], []), list(attribute_of(node, "perm", []))
        for one in range(1, len(perm) - 1):
            if shape[one] == shape[one + 1] and shape[one] != 1:
                other = [*perm[:one], perm[one + 1], perm[one], *perm[one + 2 :]]

                def change(node: NodeProto = node, other: list[int] = other) -> None:
                    set_attribute(node, "perm", other)

                yield Place(node, f"perm {perm} made {other}", change)
                break


def image_transposed(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    """Rows for columns before the pixels are flattened."""
    for node in model.nodes("Flatten", "Reshape"):
        shape = model.shapes.get(node.input[0], [])
        if len(shape) == 4 and shape[2] == shape[3] > 1 and len(model.shapes.get(node.output[0], [])) == 2:

            def change(node: NodeProto = node, given: str = node.input[0]) -> None:
                node.input[0] = f"{given} moved"
                model.insert(
                    model.position(node), helper.make_node("Transpose", [given], [node.input[0]], perm=[0, 1, 3, 2])
                )

            # What is named is the node that is too many, at the output that it turns or at the one behind it.
            turned = [each for each in model.graph.node if node.input[0] in each.output]
            yield Place(node, "rows for columns", change, also=turned)
