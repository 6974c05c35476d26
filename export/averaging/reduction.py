"""The mean over the channels by `ReduceMean`: for NHWC, tokens, half precision and integers.

NHWC   mean over the last axis, then N H W -> N 1 H W
NLC    the tokens that are patches, L = before + height * width + after; mean over the last axis; -> N 1 height width
"""

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from runtime.artifact.manifest import Output

__all__ = ["reduced_mean"]


def reduced_mean(tensor: ir.Value, spec: Output, weight: Callable[[NDArray[np.generic]], ir.Value]) -> list[ir.Node]:
    """Return the nodes, in order, the last of which computes the map of `tensor`.

    Args:
        tensor: the tensor to average.
        spec: its description.
        weight: adds a constant to the graph and returns it.
    """

    def integers(*numbers: int) -> ir.Value:
        return weight(np.array(numbers, np.int64))

    nodes: list[ir.Node] = []

    def then(operation: str, *others: ir.Value, **attributes: int) -> None:
        before = nodes[-1].outputs[0] if nodes else tensor
        nodes.append(ir.node(operation, [before, *others], attributes))

    if spec.dtype not in ("float32", "float64"):
        then("Cast", to=int(ir.DataType.FLOAT))
    if spec.layout == "NCHW":
        then("ReduceMean", integers(1), keepdims=1)
        return nodes
    if spec.layout == "NHWC":
        then("ReduceMean", integers(3), keepdims=0)
        then("Unsqueeze", integers(1))
        return nodes
    grid = spec.tokens
    assert grid is not None
    if grid.before or grid.after:
        then("Slice", integers(grid.before), integers(grid.before + grid.height * grid.width), integers(1))
    then("ReduceMean", integers(2), keepdims=0)
    then("Reshape", integers(0, 1, grid.height, grid.width))
    return nodes
