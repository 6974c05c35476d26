"""The values of an ONNX graph: which are outputs and which are not, and the file with the outputs marked."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper

from runtime.artifact.manifest import NODE_STEP_KEY, SIZE_NODE_PREFIX, Dimension
from runtime.artifact.onnx_file import OnnxFile
from runtime.float64.nodes import reads

from .reading import SoundModel

__all__ = ["Seen", "Value", "Values", "described_value"]

_CONSTANT_MAKERS = frozenset({"Constant", "ConstantOfShape", "EyeLike", "Identity", "Range"})
"""What they make of constants is a constant; another operator computes, as one that unpacks a quantized weight."""
_VIEWS = frozenset({"Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})


@dataclass(frozen=True)
class Seen:
    """What was observed of a value: None for what is no tensor of numbers."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class Value:
    """A value that a node computes."""

    name: str
    """As it is called in the marked file."""
    node: NodeProto
    rests_on: str
    """What it depends on: `data`, `sizes` of the inputs alone, or `constants`."""

    def reason_to_skip(self, seen: Seen | None) -> str | None:
        """Return why it is no output; None if it is one."""
        if seen is None:
            return "it is no tensor of numbers"
        if self.rests_on == "sizes":
            return "it depends on the sizes of the inputs alone"
        if self.rests_on == "constants" and (self.node.op_type in _CONSTANT_MAKERS or seen.dtype.kind != "f"):
            return "it is a constant"
        return None


class Values:
    """All values that the nodes of a sound model compute.

    Attributes:
        inputs: names of the model's inputs.
        returned: by value, what the file calls the result.
        all: by name, in the order of computation.
        types: ONNX types of inputs, weights and values, by name, as far as they are known.
    """

    def __init__(self, sound: SoundModel) -> None:
        self._file, self._model = sound.file, sound.model
        self.inputs = [value.name for value in sound.model.graph.input]
        self.returned = sound.returned
        self.all = {value.name: value for value in self._values()}
        self.types = _types(self._model)

    def _values(self) -> Iterator[Value]:
        rests_on = dict.fromkeys(self.inputs, "data")
        for node in self._model.graph.node:
            kinds = {rests_on.get(name, "constants") for name in reads(node)}
            if node.op_type in {"Shape", "Size"} and "data" in kinds:
                kinds = {"sizes"}
            kind = next((each for each in ("data", "sizes") if each in kinds), "constants")
            for name in filter(None, node.output):
                rests_on[name] = kind
                yield Value(name, node, kind)

    def numbers(self) -> dict[str, list[int]]:
        """Return the short lists of integers among the weights: axes, ends of slices."""
        found = {}
        for tensor in self._model.graph.initializer:
            integers = tensor.data_type in (TensorProto.INT64, TensorProto.INT32)
            if integers and tensor.data_location != TensorProto.EXTERNAL and len(tensor.dims) < 2:
                found[tensor.name] = onnx.numpy_helper.to_array(tensor).reshape(-1).tolist()
        return found

    def dtype(self, name: str, seen: Seen) -> str:
        """Return a value's dtype in the file: in float64, where it is observed, all floats are wide."""
        return self.dtype_of(name) if seen.dtype.kind == "f" and name in self.types else seen.dtype.name

    def dtype_of(self, name: str) -> str:
        """Return a value's dtype by its type in the file; float32 where that isn't known."""
        return str(helper.tensor_dtype_to_np_dtype(self.types.get(name, TensorProto.FLOAT)).name)

    def alias(self, value: Value, outputs: Collection[str]) -> str | None:
        """Return the input or output that a value only shows in another shape or order."""
        given = value.node.input[0] if value.node.input else ""
        known = given in outputs or given in self.inputs
        return given if value.node.op_type in _VIEWS and known and value.node.output[0] == value.name else None

    def marked(self, outputs: Mapping[str, tuple[Dimension, ...]] | None = None) -> OnnxFile:
        """Return the file with some of its values as outputs, and these written into each node.

        What the file leaves open of its inputs stays open in it: a branch that isn't taken may fit no other size.

        Args:
            outputs: by name, their shapes; all values, if they aren't known yet.
        """
        marked = self.all if outputs is None else outputs
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        graph = model.graph
        # What other tools have noted may be stale.
        del graph.value_info[:]
        del graph.output[:]
        for name in self.all:
            if name in marked:
                graph.output.append(described_value(name, self.types.get(name, 0), (outputs or {}).get(name)))
        for node in graph.node if outputs is not None else ():
            first = next(filter(None, node.output), None)
            if first is not None:
                node.metadata_props.append(onnx.StringStringEntryProto(key=NODE_STEP_KEY, value=first))
                if self.all[first].rests_on != "data" and first not in marked:
                    node.name = f"{SIZE_NODE_PREFIX}{node.name or first}"
        return replace(self._file, content=model.SerializeToString())


def _types(model: onnx.ModelProto) -> dict[str, int]:
    """Return the ONNX types of values: as onnx infers them, else, for another domain's operators, the first input's in
    floating point, or the zero point's where the result is in steps of it.
    """
    try:
        graph = onnx.shape_inference.infer_shapes(model).graph
    except Exception:  # of several types, for a model that isn't sound, which the walk tells better
        graph = model.graph
    types = {
        value.name: value.type.tensor_type.elem_type
        for value in (*graph.input, *graph.value_info, *graph.output)
        if value.type.tensor_type.elem_type
    }
    types |= {tensor.name: tensor.data_type for tensor in graph.initializer}
    for node in model.graph.node:
        names, kinds = (reversed(node.input), _STEPS) if _is_in_steps(node) else (iter(node.input), _FLOATS)
        like = next((types[name] for name in names if types.get(name) in kinds), None)
        for name in filter(None, node.output):
            if like and name not in types:
                types[name] = like
    return types


_FLOATS = frozenset({TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16})
_STEPS = frozenset({TensorProto.INT8, TensorProto.UINT8, TensorProto.INT16, TensorProto.UINT16})


def _is_in_steps(node: onnx.NodeProto) -> bool:
    """Return whether an operator of ONNX Runtime's returns whole steps. Its last input is then their zero point."""
    is_gemm = node.op_type == "QGemm" and len(node.input) == _GEMM_IN_STEPS and bool(node.input[-1])
    return is_gemm or node.op_type.startswith(("QLinear", "QuantizeLinear"))


_GEMM_IN_STEPS = 9
"""Its inputs; with fewer, it returns real numbers."""


def described_value(name: str, type_: int, shape: tuple[Dimension, ...] | None) -> onnx.ValueInfoProto:
    """Return an input's or output's description: `N`, `H` and `W` are open sizes, any other symbol is left out."""
    if not type_:
        return helper.make_empty_tensor_value_info(name)
    sizes = shape and [size if isinstance(size, int) or size.isalpha() else None for size in shape]
    return helper.make_tensor_value_info(name, type_, sizes)
