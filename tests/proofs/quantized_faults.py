"""Faults planted into right files in few bits: a table of kinds, each a function from a file to its places."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import onnx
from onnx import NodeProto, numpy_helper

__all__ = ["FAULTS", "TOLD", "Fault", "Graph"]


@dataclass(frozen=True)
class Fault:
    """What was planted where."""

    values: tuple[str, ...]
    """Of the nodes at which it shows: the layers are the nearest that are known there, before or after."""
    detail: str
    tensors: tuple[str, ...]
    """The float tensors and weights concerned, by the names that they have in the float file."""
    of_activation: bool = False
    """Whether what reads the tensor may be named as well as what computes it."""


@dataclass
class Graph:
    """A file that is changed: its nodes, its constants, and which of its quantizers are of what."""

    model: onnx.ModelProto
    floats: Mapping[str, np.ndarray] = field(default_factory=dict)
    """The weights of the float file, by name."""
    constants: dict[str, np.ndarray] = field(init=False)

    def __post_init__(self) -> None:
        self.constants = {each.name: numpy_helper.to_array(each) for each in self.model.graph.initializer}
        self.producers = {name: node for node in self.model.graph.node for name in node.output}

    def nodes(self, *operators: str) -> list[NodeProto]:
        return [node for node in self.model.graph.node if node.op_type in operators]

    def users(self, name: str) -> list[NodeProto]:
        return [node for node in self.model.graph.node if name in node.input]

    def new(self, name: str, array: np.ndarray) -> str:
        """Change a constant, or add one beside it if others read it as well, and return its name."""
        stored = next((each for each in self.model.graph.initializer if each.name == name), None)
        if stored is not None and len(self.users(name)) == 1:
            # Under its own name, by which other tools know it.
            stored.CopyFrom(numpy_helper.from_array(np.asarray(array), name))
            self.constants[name] = array
            return name
        fresh = f"{name}_planted"
        while fresh in self.constants:
            fresh += "_"
        self.constants[fresh] = array
        self.model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), fresh))
        return fresh

    def pairs(self) -> list[tuple[NodeProto, NodeProto]]:
        """Return QuantizeLinear and DequantizeLinear of each activation, without those of the input and the result."""
        found = []
        for node in self.nodes("QuantizeLinear"):
            users = [each for each in self.users(node.output[0]) if each.op_type == "DequantizeLinear"]
            if len(users) == 1 and node.input[0] in self.producers and self.users(users[0].output[0]):
                found.append((node, users[0]))
        return found

    def weights(self, *, dims: int = 2) -> list[NodeProto]:
        """Return what dequantizes weights of so many axes or more, or biases of one."""
        return [
            node
            for node in self.nodes("DequantizeLinear")
            if node.input[0] in self.constants
            and (self.constants[node.input[0]].ndim >= dims if dims > 1 else self.constants[node.input[0]].ndim == 1)
        ]


Plant = Callable[[Graph], Iterator[Callable[[], Fault]]]
"""Yields the places for a fault in a file; called, one plants it."""


def _float_name(name: str) -> str:
    return name.removesuffix("_quantized")


_CUTTING = frozenset({"Clip", "Conv", "Relu"})
"""What returns many zeros, with the ReLU that a quantizer has left to the zero point."""


def _after_relu(graph: Graph) -> Iterator[tuple[NodeProto, NodeProto]]:
    for first, second in graph.pairs():
        zero = graph.constants[first.input[2]]
        made_by = graph.producers[first.input[0]].op_type
        if zero.dtype.kind in "iu" and int(zero.reshape(-1)[0]) == np.iinfo(zero.dtype).min and made_by in _CUTTING:
            yield first, second


def _activation(scale: float = 1.0, shift: int = 0, *, both: bool = True, relu: bool = False) -> Plant:
    """Return what changes scale and zero point of an activation, on both sides or where it is read."""

    def places(graph: Graph) -> Iterator[Callable[[], Fault]]:
        for first, second in _after_relu(graph) if relu else graph.pairs():
            yield lambda first=first, second=second: plant(graph, first, second)

    def plant(graph: Graph, first: NodeProto, second: NodeProto) -> Fault:
        old, zero = graph.constants[second.input[1]], graph.constants[second.input[2]]
        moved = zero
        if shift:
            limits = np.iinfo(zero.dtype)
            moved = np.clip(zero.astype(np.int64) + shift, limits.min, limits.max).astype(zero.dtype)
        names = (
            graph.new(second.input[1], (old * np.float32(scale)).astype(old.dtype)),
            graph.new(second.input[2], moved),
        )
        for node in (first, second) if both else (second,):
            node.input[1:3] = names
        where = "of both" if both else "of DequantizeLinear"
        detail = f"scale {where} times {scale}" if scale != 1 else f"zero point {where} plus {shift}"
        return Fault((first.output[0],), detail, (first.input[0],), of_activation=True)

    return places


def _weight(
    change: Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray] | None],
    detail: str,
    dims: int = 2,
) -> Plant:
    """Return what changes a weight's steps, scale and zero point."""

    def places(graph: Graph) -> Iterator[Callable[[], Fault]]:
        for node in graph.weights(dims=dims):
            changed = change(*(graph.constants[name] for name in node.input))
            if changed is not None:
                yield lambda node=node, changed=changed: plant(graph, node, changed)

    def plant(graph: Graph, node: NodeProto, changed: tuple[np.ndarray, ...]) -> Fault:
        names = list(node.input)
        node.input[:] = [graph.new(name, array) for name, array in zip(names, changed, strict=True)]
        return Fault((node.output[0],), detail, (_float_name(names[0]),))

    return places


def _swapped(of_weights: bool) -> Plant:
    """Return what swaps the scales of two neighbouring layers."""

    def places(graph: Graph) -> Iterator[Callable[[], Fault]]:
        sites = [(each,) for each in graph.weights()] if of_weights else graph.pairs()
        for one, other in pairwise(sites):
            first, second = (graph.constants[each[0].input[1]] for each in (one, other))
            # Scales that are nearly the same may be swapped.
            if first.shape == second.shape and not 0.6 < float(np.max(first) / np.max(second)) < 1.7:
                yield lambda one=one, other=other: plant(graph, one, other)

    def plant(graph: Graph, one: tuple[NodeProto, ...], other: tuple[NodeProto, ...]) -> Fault:
        first, second = one[0].input[1], other[0].input[1]
        for node in one:
            node.input[1] = second
        for node in other:
            node.input[1] = first
        inputs = one[0].input[0], other[0].input[0]
        return Fault(
            (one[0].output[0], other[0].output[0]),
            f"swapped with that of {other[0].output[0]}",
            tuple(map(_float_name, inputs)),
        )

    return places


def _transposed_scales(graph: Graph) -> Iterator[Callable[[], Fault]]:
    """Apply a scale per output channel to the input channels."""
    for node in graph.weights():
        steps, scale = graph.constants[node.input[0]], graph.constants[node.input[1]]
        axis = next((each for each in node.attribute if each.name == "axis"), None)
        if axis is not None and scale.size > 1 and steps.shape[0] == steps.shape[1]:

            def plant(node: NodeProto = node, axis: onnx.AttributeProto = axis) -> Fault:
                axis.i = 1 - axis.i
                return Fault((node.output[0],), f"axis={axis.i}", (_float_name(node.input[0]),))

            yield plant


def _left_in_float(graph: Graph) -> Iterator[Callable[[], Fault]]:
    """Leave the weights of a layer in float."""
    for node in graph.nodes("Conv"):
        weight = graph.producers.get(node.input[1])
        if weight is not None and _float_name(weight.input[0]) not in graph.floats:
            continue
        if weight is None or weight.op_type != "DequantizeLinear":
            continue

        def plant(node: NodeProto = node, weight: NodeProto = weight) -> Fault:
            node.input[1] = graph.new(weight.input[0], graph.floats[_float_name(weight.input[0])])
            return Fault((node.output[0],), "weights in float32", (_float_name(weight.input[0]),))

        yield plant


def _one_scale(graph: Graph) -> Iterator[Callable[[], Fault]]:
    """Give the channels of a weight one scale."""
    for node in graph.weights():
        steps, scale = graph.constants[node.input[0]], graph.constants[node.input[1]]
        if scale.size < 2 or steps.ndim < 4:
            continue

        def plant(node: NodeProto = node, steps: np.ndarray = steps, scale: np.ndarray = scale) -> Fault:
            real = steps.astype(np.float32) * scale.reshape(-1, 1, 1, 1)
            whole = np.float32(np.abs(real).max() / 127)
            names = list(node.input)
            node.input[:] = [
                graph.new(names[0], np.rint(real / whole).astype(steps.dtype)),
                graph.new(names[1], np.asarray(whole)),
                graph.new(names[2], np.zeros((), steps.dtype)),
            ]
            return Fault((node.output[0],), "one scale for all channels", (_float_name(names[0]),))

        yield plant


def _signed_steps(graph: Graph) -> Iterator[Callable[[], Fault]]:
    """Let a tensor of uint8 be int8 with the same scale and zero point."""
    for first, second in graph.pairs():
        zero = graph.constants[first.input[2]]
        if zero.dtype != np.uint8 or int(zero) > 127:
            continue

        def plant(first: NodeProto = first, second: NodeProto = second, zero: np.ndarray = zero) -> Fault:
            name = graph.new(first.input[2], zero.astype(np.int8))
            first.input[2] = second.input[2] = name
            return Fault((first.output[0],), "int8 for uint8", (first.input[0],), of_activation=True)

        yield plant


def _input_of(operator: str, place: int, change: Callable[[np.ndarray], np.ndarray], detail: str) -> Plant:
    """Return what changes a constant that an operator reads, for that operator alone."""

    def places(graph: Graph) -> Iterator[Callable[[], Fault]]:
        for node in graph.nodes(operator):
            if len(node.input) <= place or node.input[place] not in graph.constants:
                continue

            def plant(node: NodeProto = node) -> Fault:
                old = graph.constants[node.input[place]]
                node.input[place] = graph.new(node.input[place], change(old).astype(old.dtype))
                return Fault((node.output[0],), detail, (), of_activation=place > 5)

            yield plant

    return places


def _scale_of_dynamic(graph: Graph) -> Iterator[Callable[[], Fault]]:
    """Double the scale of a weight where both scales are multiplied."""
    for node in graph.nodes("Mul"):
        if not node.input[1].endswith("_scale") or node.input[1] not in graph.constants:
            continue

        def plant(node: NodeProto = node) -> Fault:
            node.input[1] = graph.new(node.input[1], graph.constants[node.input[1]] * np.float32(2))
            return Fault((node.output[0],), "scale times 2", ())

        yield plant


def _doubled(steps: np.ndarray, scale: np.ndarray, *zero: np.ndarray) -> tuple[np.ndarray, ...] | None:
    # What is 0 stays so: a fresh network's biases.
    return (steps, scale * np.float32(2), *zero) if np.any(steps) else None


def _halved_steps(steps: np.ndarray, scale: np.ndarray, *zero: np.ndarray) -> tuple[np.ndarray, ...]:
    return np.rint(steps.astype(np.float32) / 2).astype(steps.dtype), scale * np.float32(2), *zero


def _saturated(steps: np.ndarray, scale: np.ndarray, *zero: np.ndarray) -> tuple[np.ndarray, ...] | None:
    if steps.dtype != np.int8:
        return None
    return np.clip(steps.astype(np.int32) * 3, -128, 127).astype(np.int8), scale / np.float32(3), *zero


def _as_unsigned(steps: np.ndarray, scale: np.ndarray, *zero: np.ndarray) -> tuple[np.ndarray, ...] | None:
    if steps.dtype != np.int8:
        return None
    return steps.view(np.uint8), scale, *(each.view(np.uint8) for each in zero)


def _shifted_zero(steps: np.ndarray, scale: np.ndarray, *zero: np.ndarray) -> tuple[np.ndarray, ...]:
    return steps, scale, *((each.astype(np.int64) + 6).astype(each.dtype) for each in zero)


def _rolled(steps: np.ndarray, scale: np.ndarray, *zero: np.ndarray) -> tuple[np.ndarray, ...] | None:
    # Channels of nearly the same scale may be exchanged.
    differs = scale.size > 1 and np.max(np.abs(np.log2(np.roll(scale, 1) / scale))) > 0.5
    return (steps, np.roll(scale, 1), *zero) if differs else None


def _twice(array: np.ndarray) -> np.ndarray:
    return array * 2


def _later(array: np.ndarray) -> np.ndarray:
    return array.astype(np.int64) + 8


def _halves(array: np.ndarray) -> np.ndarray:
    return (array >> 4) | (array << 4)


def _roll(array: np.ndarray) -> np.ndarray:
    return np.roll(array, 1, 0)


def _negated(array: np.ndarray) -> np.ndarray:
    return np.concatenate([-array[:1], array[1:]])


_PER_TENSOR, _PER_CHANNEL = "QDQ", "QDQ, per channel"

FAULTS: Mapping[str, tuple[str, Plant]] = {
    "zero point of an activation, where it is read": (_PER_TENSOR, _activation(shift=8, both=False)),
    "zero point of an activation behind a ReLU": (_PER_TENSOR, _activation(shift=12, relu=True)),
    "zero point of an activation, far off": (_PER_TENSOR, _activation(shift=80)),
    "scale of an activation doubled": (_PER_TENSOR, _activation(scale=2.0)),
    "scale of an activation doubled where it is read": (_PER_TENSOR, _activation(scale=2.0, both=False)),
    "scale of an activation halved (range clipped)": (_PER_TENSOR, _activation(scale=0.5)),
    "range of an activation cut to a third": (_PER_CHANNEL, _activation(scale=1 / 3)),
    "scales of two activations swapped": (_PER_TENSOR, _swapped(of_weights=False)),
    "int8 for uint8": (_PER_TENSOR, _signed_steps),
    "scale of a weight doubled": (_PER_TENSOR, _weight(_doubled, "scale times 2")),
    "scale of a weight doubled, its steps halved": (_PER_CHANNEL, _weight(_halved_steps, "half of the steps")),
    "weight clipped": (_PER_CHANNEL, _weight(_saturated, "clipped at a third")),
    "weight read as uint8": (_PER_TENSOR, _weight(_as_unsigned, "uint8 for int8")),
    "zero point of a weight": (_PER_TENSOR, _weight(_shifted_zero, "plus 6")),
    "scales of two weights swapped": (_PER_TENSOR, _swapped(of_weights=True)),
    "scales of channels moved on by one": (_PER_CHANNEL, _weight(_rolled, "one channel on")),
    "scale per channel on the wrong axis": (_PER_CHANNEL, _transposed_scales),
    "scale of a bias doubled": (_PER_TENSOR, _weight(_doubled, "scale times 2", dims=1)),
    "y_scale of QLinearConv doubled": ("QLinear operators", _input_of("QLinearConv", 6, _twice, "y_scale times 2")),
    "x_scale of QLinearConv doubled": ("QLinear operators", _input_of("QLinearConv", 1, _twice, "x_scale times 2")),
    "zero point of x of QLinearConv": ("QLinear operators", _input_of("QLinearConv", 2, _later, "x_zero_point plus 8")),
    "scale of a weight doubled, dynamic": ("dynamic", _scale_of_dynamic),
    "zero point of a weight, dynamic": ("dynamic", _input_of("ConvInteger", 3, _later, "w_zero_point plus 8")),
    "scale where it is read doubled, float8": ("QDQ, float8", _activation(scale=2.0, both=False)),
    "scale too small, float8": ("QDQ, float8", _activation(scale=0.2)),
    "scales of int4 weights doubled": ("int4 weights", _weight(_doubled, "scale times 2")),
    "scales of int4 channels moved on by one": ("int4 weights", _weight(_rolled, "one channel on")),
    "halves of bytes swapped, MatMulNBits": (
        "4-bit MatMulNBits",
        _input_of("MatMulNBits", 1, _halves, "high bits first"),
    ),
    "scales moved on by one, MatMulNBits": ("4-bit MatMulNBits", _input_of("MatMulNBits", 2, _roll, "one block on")),
    "overflow, float16": ("float16", _input_of("Conv", 1, lambda array: array * 5e4, "weights times 50,000")),
    "weights 1 % off, float16": ("float16", _input_of("Conv", 1, lambda array: array * 1.01, "weights times 1.01")),
    "a channel's sign, bfloat16": ("bfloat16", _input_of("Conv", 1, _negated, "first channel negated")),
}
"""By name, the right file that it is planted into, and how. Each is broken, and has to fail."""

TOLD: Mapping[str, tuple[str, Plant]] = {
    "a layer left in float": (_PER_CHANNEL, _left_in_float),
    "one scale for all channels": (_PER_CHANNEL, _one_scale),
}
"""Likewise what is right, and has to pass and be told."""
