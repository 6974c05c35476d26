"""A file whose operators pass whole steps on to each other, with the real numbers beside them: what can be compared."""

from collections.abc import Iterator
from dataclasses import replace

import onnx
from onnx import NodeProto, helper

from probe.onnx_model.reading import SoundModel
from probe.onnx_model.value_names import unused_name

__all__ = ["with_real_outputs"]

_STEPS_OF = {
    "QLinearAdd": (6, 7),
    "QLinearAveragePool": (3, 4),
    "QLinearConcat": (0, 1),
    "QLinearConv": (6, 7),
    "QLinearGlobalAveragePool": (3, 4),
    "QLinearLeakyRelu": (3, 4),
    "QLinearMatMul": (6, 7),
    "QLinearMul": (6, 7),
    "QLinearSigmoid": (3, 4),
    "QLinearSoftmax": (3, 4),
    "QLinearWhere": (7, 8),
    "QGemm": (7, 8),
}
"""By operator that returns whole steps, which of its inputs are their scale and zero point."""
_PASSING_ON = frozenset(
    {"Flatten", "Identity", "MaxPool", "NhwcMaxPool", "Reshape", "Resize", "Slice", "Squeeze", "Transpose", "Unsqueeze"}
)
"""Operators that leave the steps of their first input as they are."""


def with_real_outputs(sound: SoundModel) -> SoundModel:
    """Return a model with a DequantizeLinear after each tensor of whole steps that has none."""
    graph = sound.model.graph
    known = {tuple(node.input) for node in graph.node if node.op_type == "DequantizeLinear"}
    steps: dict[str, tuple[str, str]] = {}
    nodes: list[NodeProto] = []
    taken = {name for node in graph.node for name in node.output} | {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        nodes.append(node)
        for name, scale, zero in _steps(node, steps):
            steps[name] = scale, zero
            if (name, scale, zero) not in known:
                real = unused_name(f"{name}_real", taken)
                taken.add(real)
                nodes.append(helper.make_node("DequantizeLinear", [name, scale, zero], [real]))
    if len(nodes) == len(graph.node):
        return sound
    model = onnx.ModelProto()
    model.CopyFrom(sound.model)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return replace(sound, model=model)


def _steps(node: NodeProto, steps: dict[str, tuple[str, str]]) -> Iterator[tuple[str, str, str]]:
    """Yield a result of whole steps with its scale and zero point."""
    places = _STEPS_OF.get(node.op_type)
    if places and len(node.input) > places[1] and node.input[places[0]] and node.input[places[1]]:
        yield node.output[0], node.input[places[0]], node.input[places[1]]
    elif node.op_type in _PASSING_ON and node.input[0] in steps:
        yield node.output[0], *steps[node.input[0]]
