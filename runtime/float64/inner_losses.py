"""What a node may lose inside of its subgraphs: a branch or the body of a loop can be a whole network.

Its result is computed once more, with each operation inside off by up to one rounding of its largest value, at random.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import AttributeProto, GraphProto, NodeProto, helper
from onnx.reference.op_run import OpRun

__all__ = ["INNER_DOMAIN", "Jolt", "jolted", "largest_losses"]

INNER_DOMAIN = "layerprobe.float64"
_TRIALS = 3
_EPSILON = float(np.finfo(np.float32).eps)


class Jolt(OpRun):
    """Returns floats that are off by up to one rounding of the largest one, and anything else as it is."""

    op_domain = INNER_DOMAIN
    generator = np.random.default_rng(0)

    def _run(self, value: Any) -> tuple[Any]:
        # It may be a sequence.
        array = np.asarray(value) if isinstance(value, np.ndarray | np.generic) else None
        if array is None or array.dtype.kind != "f" or not array.size:
            return (value,)
        largest = _EPSILON * float(np.max(np.abs(array)))
        return (np.asarray(array + largest * self.generator.uniform(-1, 1, array.shape)),)


def jolted(node: NodeProto) -> NodeProto:
    """Return a node with a `Jolt` after each operation of its subgraphs, also of those inside of these."""
    copied = NodeProto()
    copied.CopyFrom(node)
    for attribute in copied.attribute:
        for graph in (attribute.g,) if attribute.type == AttributeProto.GRAPH else attribute.graphs:
            _jolt(graph)
    return copied


def _jolt(graph: GraphProto) -> None:
    nodes = []
    for node in graph.node:
        inner = jolted(node)
        # What takes nothing is a constant.
        names = [name for name in node.output if name] if node.input or node.op_type == "If" else []
        inner.output[:] = [f"{name}::exact" if name in names else name for name in node.output]
        nodes.append(inner)
        nodes += [helper.make_node("Jolt", [f"{name}::exact"], [name], domain=INNER_DOMAIN) for name in names]
    del graph.node[:]
    graph.node.extend(nodes)


def largest_losses(evaluator: Any, feeds: Mapping[str, Any], results: Sequence[Any]) -> list[float]:
    """Return by how much each result moves at most, in multiples of epsilon.

    Args:
        evaluator: of a jolted node.
        feeds: its inputs, and what its subgraphs use from outside.
        results: what the node itself returns for them.
    """
    Jolt.generator = np.random.default_rng(0)
    lost = [0.0] * len(results)
    for _ in range(_TRIALS):
        for place, (moved, result) in enumerate(zip(evaluator.run(None, dict(feeds)), results, strict=True)):
            if np.shape(moved) == np.shape(result) and np.asarray(result).dtype.kind == "f" and np.size(result):
                largest = float(np.max(np.abs(moved - result)) / _EPSILON)
                lost[place] = max(lost[place], largest if np.isfinite(largest) else 0.0)
    return lost
