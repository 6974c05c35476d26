"""Seven kinds that every exporter could make in every CNN: the hundred faults of the first proof."""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from .model import Model, Place, attribute_of, set_attribute

__all__ = [
    "changed_epsilon",
    "changed_padding",
    "crossed_outputs",
    "dropped_bias",
    "halved_constant",
    "scaled_weight",
    "swapped_channels",
]

_WEIGHTED = ("Conv", "Gemm", "MatMul", "BatchNormalization", "LayerNormalization", "ConvTranspose", "Mul", "Add")


def scaled_weight(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    for node in model.nodes("Conv", "Gemm", "MatMul", "BatchNormalization", "LayerNormalization"):
        for name in model.floats(node):

            def change(name: str = name) -> None:
                values = model.array(name)
                position = rng.choice(np.flatnonzero(values))
                values.reshape(-1)[position] *= 1.01
                model.put(name, values)

            yield Place(node, f"one number of {name} scaled by 1 %", change, name)


def swapped_channels(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    for node in model.nodes("Conv"):
        for name in model.floats(node, [1]):
            channels = len(model.array(name))
            if channels < 2:
                continue

            def change(name: str = name, channels: int = channels) -> None:
                values = model.array(name)
                one, other = rng.choice(channels, 2, replace=False)
                values[[one, other]] = values[[other, one]]
                model.put(name, values)

            yield Place(node, f"two output channels of {name} swapped", change, name)


def changed_epsilon(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    for node in model.nodes("BatchNormalization", "LayerNormalization"):
        to = attribute_of(node, "epsilon", 1e-5) * 10
        yield Place(node, "epsilon times ten", partial(set_attribute, node, "epsilon", to))


def changed_padding(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    for node in model.nodes("Conv", "MaxPool", "AveragePool"):
        pads = list(attribute_of(node, "pads", []))
        if len(pads) == 4 and min(pads) > 0:
            shifted = [pads[0] - 1, pads[1] - 1, pads[2] + 1, pads[3] + 1]
            yield Place(node, f"pads {pads} shifted to {shifted}", partial(set_attribute, node, "pads", shifted))
        if node.op_type == "AveragePool" and any(pads):
            flipped = 1 - attribute_of(node, "count_include_pad", 0)
            change = partial(set_attribute, node, "count_include_pad", flipped)
            yield Place(node, f"count_include_pad made {flipped}", change)
        if node.op_type == "MaxPool" and _ceil_mode_matters(model, node, pads):
            flipped = 1 - attribute_of(node, "ceil_mode", 0)
            yield Place(node, f"ceil_mode made {flipped}", partial(set_attribute, node, "ceil_mode", flipped))
    for node in model.nodes("Pad"):
        if attribute_of(node, "mode", b"constant") != b"edge":
            yield Place(node, "padding mode made edge", partial(set_attribute, node, "mode", "edge"))


def _ceil_mode_matters(model: Model, node, pads: Sequence[int]) -> bool:
    sizes = model.shapes.get(node.input[0], [])[2:]
    kernel, strides = attribute_of(node, "kernel_shape", []), attribute_of(node, "strides", [1, 1])
    if len(sizes) != 2 or not all(isinstance(size, int) for size in sizes):
        return False
    both = [*pads] or [0, 0, 0, 0]
    return any((sizes[i] + both[i] + both[i + 2] - kernel[i]) % strides[i] for i in range(2))


def crossed_outputs(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    for position, one in enumerate(model.outputs):
        for other in model.outputs[position + 1 :]:
            if model.shapes.get(one) != model.shapes.get(other) or len(model.shapes.get(one, [])) < 2:
                continue
            if np.array_equal(model.values[one], model.values[other]):  # a ReLU of what is positive
                continue

            def change(one: str = one, other: str = other) -> None:
                swap = {one: other, other: one}
                for node in model.graph.node:
                    node.input[:] = [swap.get(name, name) for name in node.input]
                    node.output[:] = [swap.get(name, name) for name in node.output]

            detail = f"{one} and {other} renamed crosswise"
            yield Place(model.made_by[one], detail, change, also=[model.made_by[other]])


def dropped_bias(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    for node in model.nodes("Conv", "Gemm", "BatchNormalization"):
        for name in model.floats(node, [2]):
            change = partial(model.put, name, np.zeros_like(model.array(name)))
            yield Place(node, f"{name} dropped", change, name)


def halved_constant(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    for node in model.nodes(*_WEIGHTED):
        for name in model.floats(node):
            exact = model.array(name)
            rounded = exact.astype(np.float16).astype(exact.dtype)
            if not np.array_equal(rounded, exact):
                yield Place(node, f"{name} rounded to float16", partial(model.put, name, rounded), name)
