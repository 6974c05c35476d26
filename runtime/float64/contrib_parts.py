"""The ONNX operators that the fused operators of ONNX Runtime (com.microsoft) consist of: a table of functions.

Only those that ONNX operators state exactly are here; each is tested against ONNX Runtime. For how they are used, see
`contrib.py`; for those of its quantizer, `contrib_quantized.py`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from onnx import NodeProto, helper, numpy_helper

__all__ = ["CONVOLUTION", "FUSED", "Build", "Parts", "simplified_normalization", "split"]


class Parts:
    """Collects the nodes that one node consists of.

    Attributes:
        nodes: those so far.
        opset: of ONNX's operators in this file.
    """

    def __init__(self, node: NodeProto, opset: int) -> None:
        self.nodes: list[NodeProto] = []
        self.opset = opset
        self._node = node
        self._attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}

    def __call__(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Append a node with one output, and return that output's name."""
        return self.several(1, operator, *inputs, **attributes)[0]

    def several(self, count: int, operator: str, *inputs: str, **attributes: Any) -> list[str]:
        """Append a node with some outputs, and return their names."""
        first = next(filter(None, self._node.output))
        outputs = [f"{first}::{len(self.nodes)}::{number}" for number in range(count)]
        node = helper.make_node(operator, inputs, outputs, self._node.name, **attributes)
        node.metadata_props.extend(self._node.metadata_props)
        self.nodes.append(node)
        return outputs

    def constant(self, value: float) -> str:
        """Append a number, and return its name."""
        return self("Constant", value=numpy_helper.from_array(np.asarray(value, np.float64)))

    def inputs(self, count: int | None = None) -> list[str]:
        """Return the names of the node's inputs, or of the first ones, empty where one is omitted."""
        return list(self._node.input) if count is None else [*self._node.input, *[""] * count][:count]

    def attribute(self, name: str, default: Any = None) -> Any:
        """Return an attribute's value."""
        value = self._attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    def attributes(self, *names: str) -> dict[str, Any]:
        """Return those attributes that the node has."""
        return {name: self.attribute(name) for name in names if name in self._attributes}


Build = Callable[[Parts], Sequence[str]]
"""Appends the parts, and returns the names of the results."""


def split(node: NodeProto, opset: int, build: Build) -> list[NodeProto]:
    """Return the parts of a node.

    Raises:
        NotImplementedError: it can't be stated so.
    """
    parts = Parts(node, opset)
    results = build(parts)
    names = [*results, *[""] * len(node.output)]
    renamed = {old: new for old, new in zip(names, node.output, strict=False) if new}
    if "" in renamed:
        raise NotImplementedError(f"{node.op_type} with its results beside the first")
    for part in parts.nodes:
        part.input[:] = [renamed.get(name, name) for name in part.input]
        part.output[:] = [renamed.get(name, name) for name in part.output]
    return parts.nodes


CONVOLUTION = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")


# --- fused with what follows


def _activated(parts: Parts, x: str, numbers: Sequence[float]) -> str:
    """Append the activation that a node names."""
    name = parts.attribute("activation")
    if name in (None, ""):
        return x
    if name in ("Relu", "Sigmoid", "Tanh") and not numbers:
        return parts(name, x)
    if name == "LeakyRelu" and len(numbers) == 1:
        return parts(name, x, alpha=numbers[0])
    if name == "HardSigmoid" and len(numbers) == 2:
        return parts(name, x, alpha=numbers[0], beta=numbers[1])
    if name == "Clip" and len(numbers) == 2:
        return parts("Min", parts("Max", x, parts.constant(numbers[0])), parts.constant(numbers[1]))
    raise NotImplementedError(f"activation={name} with {len(numbers)} numbers")


def _fused_conv(parts: Parts) -> Sequence[str]:
    x, weights, bias, added = parts.inputs(4)
    y = parts("Conv", x, weights, bias, **parts.attributes(*CONVOLUTION))
    return [_activated(parts, parts("Add", y, added) if added else y, parts.attribute("activation_params", []))]


def _fused_gemm(parts: Parts) -> Sequence[str]:
    y = parts("Gemm", *parts.inputs(3), **parts.attributes("alpha", "beta", "transA", "transB"))
    names = ("activation_alpha", "activation_beta", "activation_gamma")
    return [_activated(parts, y, list(parts.attributes(*names).values()))]


def _fused_matmul(parts: Parts) -> Sequence[str]:
    names = ("alpha", "transA", "transB", "transBatchA", "transBatchB")
    return [parts("MatMul", *parts.inputs(2), **parts.attributes(*names))]


# --- functions of each element


def _gelu(parts: Parts) -> Sequence[str]:
    return [parts("Gelu", *parts.inputs(1))]


def _bias_gelu(parts: Parts) -> Sequence[str]:
    return [parts("Gelu", parts("Add", *parts.inputs(2)))]


def _fast_gelu(parts: Parts) -> Sequence[str]:
    x, bias = parts.inputs(2)
    return [parts("Gelu", parts("Add", x, bias) if bias else x, approximate="tanh")]


def _quick_gelu(parts: Parts) -> Sequence[str]:
    (x,) = parts.inputs(1)
    steep = parts("Mul", x, parts.constant(parts.attribute("alpha", 1.702)))
    return [parts("Mul", x, parts("Sigmoid", steep))]


def _grid_sample(parts: Parts) -> Sequence[str]:
    return [parts("GridSample", *parts.inputs(2), **parts.attributes("align_corners", "mode", "padding_mode"))]


# --- normalizations


def _skip_normalization(parts: Parts) -> Sequence[str]:
    x, skip, gain, shift, bias = parts.inputs(5)
    total = _with_skip(parts, x, skip, bias)
    y = parts("LayerNormalization", total, gain, shift, epsilon=parts.attribute("epsilon", 1e-12))
    return [y, "", "", total]


def _skip_simplified_normalization(parts: Parts) -> Sequence[str]:
    x, skip, gain, bias = parts.inputs(4)
    total = _with_skip(parts, x, skip, bias)
    y = parts("RMSNormalization", total, gain, epsilon=parts.attribute("epsilon", 1e-12))
    return [y, "", "", total]


def simplified_normalization(parts: Parts) -> Sequence[str]:
    """Append the parts of the one that is in ONNX's own domain."""
    return [parts("RMSNormalization", *parts.inputs(2), **parts.attributes("axis", "epsilon"))]


def _with_skip(parts: Parts, x: str, skip: str, bias: str) -> str:
    total = parts("Add", x, skip)
    return parts("Add", total, bias) if bias else total


FUSED: dict[str, Build] = {
    "BiasGelu": _bias_gelu,
    "FastGelu": _fast_gelu,
    "FusedConv": _fused_conv,
    "FusedGemm": _fused_gemm,
    "FusedMatMul": _fused_matmul,
    "Gelu": _gelu,
    "GridSample": _grid_sample,
    "QuickGelu": _quick_gelu,
    "SkipLayerNormalization": _skip_normalization,
    "SkipSimplifiedLayerNormalization": _skip_simplified_normalization,
}
