"""Faults of exporters and runtimes, planted into an artifact's model.onnx, to see whether they are found.

Each kind picks, by the seed, a random place where it changes anything at all. `plant` also sets the manifest's hashes
to those of the faulty file, as an exporter with that fault would.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

__all__ = ["KINDS", "Fault", "plant", "rehash"]


@dataclass(frozen=True)
class Fault:
    """What was planted. One of the `expected` outputs must be named: the nearest from there on."""

    kind: str
    node: str
    detail: str
    expected: frozenset[str]


class _Model:
    """A loaded model, with what planting needs to know about it."""

    def __init__(self, file: Path) -> None:
        self.proto = onnx.load(file)
        self.graph = self.proto.graph
        self.outputs = [value.name for value in self.graph.output]
        self.weights = {tensor.name: tensor for tensor in self.graph.initializer}
        inferred = onnx.shape_inference.infer_shapes(self.proto).graph
        values = [*inferred.value_info, *inferred.output, *inferred.input]
        self.shapes = {
            value.name: [size.dim_value or size.dim_param for size in value.type.tensor_type.shape.dim]
            for value in values
        }

    def nodes(self, *operations: str) -> Iterator[onnx.NodeProto]:
        return (node for node in self.graph.node if node.op_type in operations)

    def array(self, name: str) -> np.ndarray:
        return numpy_helper.to_array(self.weights[name]).copy()

    def put(self, name: str, array: np.ndarray) -> None:
        self.weights[name].CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array), name))

    def floats(self, node: onnx.NodeProto, indices: Sequence[int] | None = None) -> list[str]:
        """Return the node's weights that are floating point and not all zero."""
        names = [name for index, name in enumerate(node.input) if indices is None or index in indices]
        return [n for n in names if n in self.weights and self.array(n).dtype.kind == "f" and self.array(n).any()]

    def values(self) -> dict[str, np.ndarray]:
        """Return the outputs for one input of noise."""
        session = onnxruntime.InferenceSession(self.proto.SerializeToString(), providers=["CPUExecutionProvider"])
        rng = np.random.default_rng(0)
        inputs = {
            each.name: rng.standard_normal([1 if isinstance(size, str) else size for size in each.shape], np.float32)
            for each in session.get_inputs()
        }
        return dict(zip(self.outputs, session.run(self.outputs, inputs), strict=True))

    def nearest(self, node: onnx.NodeProto) -> frozenset[str]:
        """Return the outputs in which this node's value shows first."""
        found, waiting, seen = set(), list(node.output), set()
        while waiting:
            name = waiting.pop()
            if name in self.outputs:
                found.add(name)
            elif name not in seen:
                seen.add(name)
                waiting += [value for user in self.graph.node if name in user.input for value in user.output]
        return frozenset(found)


@dataclass(frozen=True)
class _Place:
    """Where a fault may be planted."""

    node: onnx.NodeProto
    detail: str
    change: Callable[[], None]
    weight: str | None = None
    """What is changed, if it is a weight: other nodes may use it as well."""


_WEIGHTED = ("Conv", "Gemm", "MatMul", "BatchNormalization", "LayerNormalization", "ConvTranspose", "Mul", "Add")


def _scaled_weight(model: _Model, rng: np.random.Generator) -> Iterator[_Place]:
    for node in model.nodes("Conv", "Gemm", "MatMul", "BatchNormalization", "LayerNormalization"):
        for name in model.floats(node):

            def change(name: str = name) -> None:
                values = model.array(name)
                position = rng.choice(np.flatnonzero(values))
                values.reshape(-1)[position] *= 1.01
                model.put(name, values)

            yield _Place(node, f"one number of {name} scaled by 1 %", change, name)


def _swapped_channels(model: _Model, rng: np.random.Generator) -> Iterator[_Place]:
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

            yield _Place(node, f"two output channels of {name} swapped", change, name)


def _changed_epsilon(model: _Model, rng: np.random.Generator) -> Iterator[_Place]:
    for node in model.nodes("BatchNormalization", "LayerNormalization"):

        def change(node: onnx.NodeProto = node) -> None:
            _set(node, "epsilon", _get(node, "epsilon", 1e-5) * 10)

        yield _Place(node, "epsilon times ten", change)


def _changed_padding(model: _Model, rng: np.random.Generator) -> Iterator[_Place]:
    for node in model.nodes("Conv", "MaxPool", "AveragePool"):
        pads = list(_get(node, "pads", []))
        if len(pads) == 4 and min(pads) > 0:
            shifted = [pads[0] - 1, pads[1] - 1, pads[2] + 1, pads[3] + 1]
            yield _Place(
                node, f"pads {pads} shifted to {shifted}", lambda node=node, to=shifted: _set(node, "pads", to)
            )
        if node.op_type == "AveragePool" and any(pads):
            flipped = 1 - _get(node, "count_include_pad", 0)
            yield _Place(
                node,
                f"count_include_pad made {flipped}",
                lambda node=node, to=flipped: _set(node, "count_include_pad", to),
            )
        if node.op_type == "MaxPool" and _ceil_mode_matters(model, node, pads):
            flipped = 1 - _get(node, "ceil_mode", 0)
            yield _Place(node, f"ceil_mode made {flipped}", lambda node=node, to=flipped: _set(node, "ceil_mode", to))
    for node in model.nodes("Pad"):
        if _get(node, "mode", b"constant") != b"edge":
            yield _Place(node, "padding mode made edge", lambda node=node: _set(node, "mode", "edge"))


def _ceil_mode_matters(model: _Model, node: onnx.NodeProto, pads: Sequence[int]) -> bool:
    sizes = model.shapes.get(node.input[0], [])[2:]
    kernel, strides = _get(node, "kernel_shape", []), _get(node, "strides", [1, 1])
    if len(sizes) != 2 or not all(isinstance(size, int) for size in sizes):
        return False
    both = [*pads] or [0, 0, 0, 0]
    return any((sizes[i] + both[i] + both[i + 2] - kernel[i]) % strides[i] for i in range(2))


def _crossed_outputs(model: _Model, rng: np.random.Generator) -> Iterator[_Place]:
    made_by = {name: node for node in model.graph.node for name in node.output}
    values = model.values()
    for position, one in enumerate(model.outputs):
        for other in model.outputs[position + 1 :]:
            if model.shapes.get(one) != model.shapes.get(other) or len(model.shapes.get(one, [])) < 2:
                continue
            if np.array_equal(values[one], values[other]):  # a ReLU of what is positive
                continue

            def change(one: str = one, other: str = other) -> None:
                swap = {one: other, other: one}
                for node in model.graph.node:
                    node.input[:] = [swap.get(name, name) for name in node.input]
                    node.output[:] = [swap.get(name, name) for name in node.output]

            yield _Place(made_by[one], f"{one} and {other} renamed crosswise", change)


def _dropped_bias(model: _Model, rng: np.random.Generator) -> Iterator[_Place]:
    for node in model.nodes("Conv", "Gemm", "BatchNormalization"):
        for name in model.floats(node, [2]):
            change = partial(model.put, name, np.zeros_like(model.array(name)))
            yield _Place(node, f"{name} dropped", change, name)


def _halved_constant(model: _Model, rng: np.random.Generator) -> Iterator[_Place]:
    for node in model.nodes(*_WEIGHTED):
        for name in model.floats(node):
            exact = model.array(name)
            rounded = exact.astype(np.float16).astype(exact.dtype)
            if not np.array_equal(rounded, exact):
                yield _Place(node, f"{name} rounded to float16", partial(model.put, name, rounded), name)


KINDS: dict[str, Callable[[_Model, np.random.Generator], Iterator[_Place]]] = {
    "one weight scaled by 1 %": _scaled_weight,
    "two channels swapped": _swapped_channels,
    "epsilon changed": _changed_epsilon,
    "padding or pool mode changed": _changed_padding,
    "two outputs renamed crosswise": _crossed_outputs,
    "bias dropped": _dropped_bias,
    "constant rounded to float16": _halved_constant,
}


def plant(folder: Path, kind: str, seed: int) -> Fault | None:
    """Plant a fault of a kind into an artifact, at a random place; None if the model has no place for it."""
    rng = np.random.default_rng(seed)
    model = _Model(folder / "model.onnx")
    places = list(KINDS[kind](model, rng))
    if not places:
        return None
    place = places[rng.integers(len(places))]
    faulty = [place.node, *(node for node in model.graph.node if place.weight in node.input)]
    if kind == "two outputs renamed crosswise":
        faulty = [node for node in model.graph.node if set(place.detail.split(" ")).intersection(node.output)]
    expected = frozenset[str]().union(*map(model.nearest, faulty))
    place.change()
    onnx.save(model.proto, folder / "model.onnx")
    rehash(folder)
    return Fault(kind, place.node.name, place.detail, expected)


def rehash(folder: Path) -> None:
    """Set the manifest's hashes to those of the files."""
    file = folder / "manifest.json"
    manifest = json.loads(file.read_text())
    for name in manifest["files"]:
        manifest["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    file.write_text(json.dumps(manifest))


def _get(node: onnx.NodeProto, name: str, default):
    return next((onnx.helper.get_attribute_value(each) for each in node.attribute if each.name == name), default)


def _set(node: onnx.NodeProto, name: str, value) -> None:
    kept = [each for each in node.attribute if each.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, onnx.helper.make_attribute(name, value)])
