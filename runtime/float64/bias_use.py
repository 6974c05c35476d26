"""The step of a bias in whole steps beside that of the products that it is added to: integers add up only in one.

Whatever quantized a file gave the bias of a Conv or Gemm the scale of its input times that of its weight. Where these
differ, one of the three was changed afterwards.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

__all__ = ["BiasUse", "BiasUses"]

Array = NDArray[Any]
_INPUT, _WEIGHT, _BIAS = range(3)


@dataclass(frozen=True)
class BiasUse:
    """The steps of a bias and of the products, in the channel where they differ most."""

    step: float
    product: float

    @property
    def ratio(self) -> float:
        """How many times the step of the products that of the bias is."""
        return self.step / self.product


class BiasUses:
    """The biases of a file, collected while it is walked through."""

    def __init__(self) -> None:
        """Start without any."""
        self.found: list[BiasUse] = []
        self._steps: dict[str, Array] = {}
        self._biases: dict[str, Array] = {}

    def note(self, node: NodeProto, inputs: Sequence[Array | None], constants: Collection[str]) -> None:
        """Take a node and its inputs.

        Args:
            node: any, after those that compute its inputs.
            inputs: its inputs.
            constants: the values that no input of the model changes.
        """
        if node.op_type == "DequantizeLinear":
            whole, step = np.asarray(inputs[0]), np.asarray(inputs[1])
            self._steps[node.output[0]] = step.ravel().astype(np.float64)
            if whole.dtype == np.int32 and node.input[0] in constants:
                self._biases[node.output[0]] = whole.ravel()
        elif len(node.input) > _BIAS and node.input[_BIAS] in self._biases:
            steps = [self._steps[name] for name in node.input if name in self._steps]
            if len(steps) == len(node.input):
                # Of Gemm, by which quantizers multiply the step, too.
                beta = next((each.f for each in node.attribute if each.name == "beta"), 1.0)
                products = steps[_INPUT] * steps[_WEIGHT] * beta if steps[_INPUT].size == 1 else np.zeros(0)
                self._add(self._biases[node.input[_BIAS]], steps[_BIAS], products)

    def _add(self, bias: Array, step: Array, product: Array) -> None:
        if step.size not in (1, bias.size) or product.size not in (1, bias.size):
            return
        step, product = np.broadcast_to(step, bias.size), np.broadcast_to(product, bias.size)
        counts = (bias != 0) & (step > 0) & (product > 0)
        if np.any(counts):
            apart = np.abs(np.log(step[counts] / product[counts]))
            worst = np.flatnonzero(counts)[np.argmax(apart)]
            self.found.append(BiasUse(float(step[worst]), float(product[worst])))
