"""The cost model: what is the cheapest tensor to take a mean from.

The unit is what a 1 x 1 convolution takes for a channel and a pixel of the tensor that it reads. ONNX Runtime computes
convolutions on blocks of 8 or 16 channels, so up to that many maps of one tensor cost as much as one. The numbers were
measured with ONNX Runtime 1.31 in one thread with AVX-512, on 64 channels of 56 x 56: a 1 x 1 convolution to one map
39 us, a 3 x 3 one 333 us (8.5 for its 9 taps), a ReLU of its own 22 us, an addition 41 us.
"""

import onnx_ir as ir

from .convolution import filter_shape

__all__ = ["cost_from_input", "cost_from_result"]

_FUSED = {"Relu": 0.5, "Sigmoid": 0.5, "Tanh": 0.5, "LeakyRelu": 0.7, "Clip": 0.7, "HardSigmoid": 0.7, "Add": 1.4}
"""What ONNX Runtime computes within the convolution before it, if nothing else reads that one's result: the price of
computing it apart, for a channel and a pixel. After an addition, that is also the ReLU's."""


def cost_from_input(convolution: ir.Node, pointwise: bool) -> float:
    """Return the cost of a convolution with one filter, for a pixel of its result."""
    shape = filter_shape(convolution)
    channels = shape[1] * convolution.attributes.get_int("group", 1)
    # A 1 x 1 convolution rides along with the mean of what it reads, which is an output like any other.
    return 0.0 if pointwise else float(channels * shape[2] * shape[3])


def cost_from_result(convolution: ir.Node, result: ir.Value) -> float:
    """Return the cost of reading the result of a convolution, or of the batch norm behind it, for a pixel."""
    readers = {use.node for use in result.uses()}
    apart = max((_FUSED.get(reader.op_type, 0.0) for reader in readers), default=0.0) if len(readers) == 1 else 0.0
    return filter_shape(convolution)[0] * (1 + apart)
