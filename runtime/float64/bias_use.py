"""The step of a bias in whole steps beside that of the products that it is added to: integers add up only in one.

Whatever quantized a file gave the bias of a Conv or Gemm the scale of its input times that of its weight. Where these
differ, one of the three was changed afterwards; which one, the error that it makes tells.
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
_SAME_STEP = 0.05
"""How far, in parts of it, the step of a bias may be from that of the products: more than rounding makes of it."""
_LEAST_PART = 0.25
"""Of the excess that must be in the error: a ReLU behind the bias takes some of it away."""
_SIGNIFICANT = 5.0
"""Standard deviations by which that part must differ from none."""
_LEAST_CHANNELS = 4


@dataclass(frozen=True)
class BiasUse:
    """A bias whose step is not that of the products."""

    step: float
    """In the channel where it differs most."""
    ratio: float
    """Of it to that of the products."""
    excess: Array
    """C: what of the bias is too much, if the step of the products is the right one."""

    def explains(self, error: Array) -> bool:
        """Return whether an error, computed minus right, has the excess in it, channel by channel.

        A bias in steps of its own is right if it was made in them, and then it hasn't; nor if the step of the input or
        the weight is the one that was changed.
        """
        channels = self.excess.size
        axis = next((place for place in (1, -1) if error.ndim > 1 and error.shape[place] == channels), None)
        if axis is None or channels < _LEAST_CHANNELS:
            return False
        means = np.moveaxis(error, axis, 0).reshape(channels, -1).mean(axis=1)
        power = float(self.excess @ self.excess)
        part = float(means @ self.excess) / power
        rest = means - part * self.excess
        deviation = float(np.sqrt(rest @ rest / (channels - 1) / power))
        return part > max(_LEAST_PART, _SIGNIFICANT * deviation)


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
            if len(steps) == len(node.input) and steps[_INPUT].size == 1:
                # Of Gemm, by which quantizers multiply the step, too.
                beta = next((each.f for each in node.attribute if each.name == "beta"), 1.0)
                products = steps[_INPUT] * steps[_WEIGHT] * beta
                self._compare(self._biases[node.input[_BIAS]], steps[_BIAS], products)

    def _compare(self, bias: Array, step: Array, product: Array) -> None:
        if step.size not in (1, bias.size) or product.size not in (1, bias.size):
            return
        step, product = np.broadcast_to(step, bias.size), np.broadcast_to(product, bias.size)
        counts = (bias != 0) & (step > 0) & (product > 0)
        ratio = np.where(counts, step, 1.0) / np.where(counts, product, 1.0)
        worst = int(np.argmax(np.abs(np.log(ratio))))
        if abs(ratio[worst] - 1) > _SAME_STEP:
            excess = np.where(counts, bias * (step - product), 0.0)
            self.found.append(BiasUse(float(step[worst]), float(ratio[worst]), excess))
