"""Gives a clamp two floating-point bounds where it has an integer and a float, as `x.clamp(-100, 1.2)` has.

torch.onnx makes a tensor of the integer, to promote it, and not of the float: no overload of clamp takes one of each.
"""

from typing import Any

import torch
from torch import fx

__all__ = ["give_clamps_one_kind_of_bounds"]

_NAMES = ("clamp", "clamp_", "clip", "clip_")
_TARGETS = {
    *_NAMES,  # called as methods
    *(getattr(torch, name) for name in _NAMES),
    *(getattr(torch.ops.aten, name).default for name in _NAMES),  # as torch.export captures them
}


def give_clamps_one_kind_of_bounds(module: fx.GraphModule) -> None:
    """Make an integer bound a float wherever the other one is a float: PyTorch computes the same."""
    for node in module.graph.nodes:
        if node.op not in ("call_method", "call_function") or node.target not in _TARGETS:
            continue
        bounds = {type(each) for each in (*node.args[1:], *node.kwargs.values())}
        if {int, float} <= bounds:
            node.args = (*node.args[:1], *map(_as_float, node.args[1:]))
            node.kwargs = {name: _as_float(each) for name, each in node.kwargs.items()}
    module.recompile()


def _as_float(bound: Any) -> Any:
    return float(bound) if type(bound) is int else bound
