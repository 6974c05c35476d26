"""Attributes and small constants that a tool may misread, in whichever form its file has them."""

from collections.abc import Iterator
from functools import partial

import numpy as np
from onnx import NodeProto

from proofs.planted_faults.model import Model, Place, attribute_of, set_attribute

__all__ = ["epsilon", "padding_mode", "pixel_order", "reduced_axis", "upper_bound", "wider_window"]


def epsilon(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    """The epsilon of a norm a hundred times as large, also where it is a constant that is added to a variance."""
    for node in model.nodes("BatchNormalization", "InstanceNormalization", "LayerNormalization"):
        to = attribute_of(node, "epsilon", 1e-5) * 100
        yield Place(node, f"epsilon made {to:.3g}", partial(set_attribute, node, "epsilon", to))
    for node in model.nodes("Add"):
        for place, name in enumerate(node.input):
            value = model.array(name) if name in model.weights else np.zeros(2)
            if value.size == 1 and 0 < float(value.reshape(-1)[0]) < 1e-3:

                def change(node: NodeProto = node, place: int = place, value: np.ndarray = value) -> None:
                    node.input[place] = model.add(f"{node.output[0]} epsilon", value * np.float32(100))

                yield Place(node, f"the epsilon {float(value.reshape(-1)[0]):.3g} times 100", change)


def reduced_axis(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    """A mean or maximum over the axis beside the right one, of equal length."""
    for node in model.nodes("ReduceMean", "ReduceSum", "ReduceMax"):
        shape = model.shapes.get(node.input[0], [])
        constant = node.input[1] if len(node.input) > 1 else ""
        axes = list(model.array(constant)) if constant in model.weights else attribute_of(node, "axes", [])
        if len(axes) != 1:
            continue
        axis = int(axes[0]) % len(shape)
        for other in (axis - 1, axis + 1):
            if not 0 < other < len(shape) or shape[other] != shape[axis]:
                continue

            def change(node: NodeProto = node, other: int = other, constant: str = constant) -> None:
                if constant:
                    node.input[1] = model.add(f"{node.output[0]} axes", np.array([other], np.int64))
                else:
                    set_attribute(node, "axes", [other])

            yield Place(node, f"axis {axis} made {other}", change)


def padding_mode(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    for node in model.nodes("Pad"):
        if attribute_of(node, "mode", b"constant") == b"reflect":
            yield Place(node, "mode reflect made edge", partial(set_attribute, node, "mode", "edge"))


def pixel_order(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    for node in model.nodes("DepthToSpace"):
        mode = attribute_of(node, "mode", b"DCR").decode()
        other = {"DCR": "CRD", "CRD": "DCR"}[mode]
        yield Place(node, f"mode {mode} made {other}", partial(set_attribute, node, "mode", other))


def wider_window(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    """A pool without its padding, whose window starts as much later: of a border it sees another part."""
    for node in model.nodes("MaxPool", "AveragePool"):
        pads = list(attribute_of(node, "pads", [0, 0, 0, 0]))
        if len(pads) == 4 and pads[:2] == pads[2:] and pads[0] > 0:
            moved = [0, 0, pads[0] + pads[2], pads[1] + pads[3]]
            yield Place(node, f"pads {pads} made {moved}", partial(set_attribute, node, "pads", moved))


def upper_bound(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    """A ReLU6 that clips at 5, or whatever it has less a sixth."""
    for node in model.nodes("Clip"):
        if len(node.input) == 3 and node.input[2] in model.weights:
            bound = model.array(node.input[2])

            def change(node: NodeProto = node, bound: np.ndarray = bound) -> None:
                node.input[2] = model.add(f"{node.output[0]} bound", np.asarray(bound * 5 / 6, bound.dtype))

            yield Place(node, f"the bound {float(bound):.3g} less a sixth", change)
