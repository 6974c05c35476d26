"""Adds a convolution by 1 for activations that ONNX Runtime computes in blocks only if fused into a convolution.

ONNX Runtime computes convolutions on blocks of channels (NCHWc), and fuses the activation after each. If a mean reads
the tensor between the two, the activation is computed separately: a ReLU, a sigmoid and a tanh then stay in blocks, but
for a `Clip` (ReLU6) the tensor is copied out of the blocks and back. A depthwise 1 x 1 convolution with weights 1
leaves each number as it is, 1 * y = y, and takes in the activation: one pass instead of three.
"""

import numpy as np
import onnx_ir as ir

from .constants import add_weight
from .convolution import is_constant_convolution

__all__ = ["keep_blocked"]

_FUSED_ONLY = frozenset({"Clip", "LeakyRelu", "HardSigmoid"})


def keep_blocked(graph: ir.Graph) -> None:
    """Put a convolution by 1 before each such activation whose input comes from a convolution and has other readers."""
    for node in list(graph):
        value = node.inputs[0] if node.inputs else None
        if node.op_type not in _FUSED_ONLY or value is None or len(value.uses()) < 2 or not _is_blocked(value):
            continue
        assert value.shape is not None
        channels = value.shape[1]
        assert isinstance(channels, int)
        once = ir.node("Conv", [value, _ones(graph, channels)], {"group": channels, "kernel_shape": [1, 1]})
        once.name = f"{node.name}/Conv::once"
        once.outputs[0].name = f"{once.name}::0"
        once.outputs[0].type, once.outputs[0].shape = value.type, value.shape
        graph.insert_before(node, once)
        node.replace_input_with(0, once.outputs[0])


def _is_blocked(value: ir.Value) -> bool:
    """Return whether a tensor comes from a convolution of images, or from the batch norm after one."""
    node = value.producer()
    if node is not None and node.op_type == "BatchNormalization" and node.inputs[0] is not None:
        node = node.inputs[0].producer()
    return (
        node is not None
        and is_constant_convolution(node)
        and value.dtype == ir.DataType.FLOAT
        and value.shape is not None
        and len(value.shape) == 4
        and isinstance(value.shape[1], int)
    )


def _ones(graph: ir.Graph, channels: int) -> ir.Value:
    name = f"averaged::once::{channels}"
    if name not in graph.initializers:
        add_weight(graph, name, np.ones((channels, 1, 1, 1), np.float32))
    return graph.initializers[name]
