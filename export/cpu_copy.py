"""A probe that was built on a GPU -> the same on the CPU, where it is exported: an artifact runs on any machine."""

from dataclasses import replace
from typing import Any

import torch
from torch import fx
from torch.utils._pytree import tree_map

from probe import Probe
from probe.model.shared_copy import deep_copy

__all__ = ["on_cpu"]

_CPU = torch.device("cpu")


def on_cpu(probe: Probe) -> Probe:
    """Return `probe` itself if all its tensors are on the CPU, else a copy there."""
    tensors = (*probe.example, *probe.module.parameters(), *probe.module.buffers())
    if all(tensor.device == _CPU for tensor in tensors):
        return probe
    moved = probe.over(_moved(probe.module), _moved(probe.traced.module))
    return replace(moved, example=tuple(tensor.cpu() for tensor in probe.example))


def _moved(module: fx.GraphModule) -> fx.GraphModule:
    moved = deep_copy(module).cpu()
    for node in moved.graph.nodes:
        if node.op == "call_method" and node.target == "cuda":
            node.target, node.args, node.kwargs = "cpu", node.args[:1], {}
        node.args = tree_map(_device_on_cpu, node.args)
        node.kwargs = {
            key: "cpu" if key == "device" and isinstance(value, str | int) else tree_map(_device_on_cpu, value)
            for key, value in node.kwargs.items()
        }
    moved.recompile()
    return moved


def _device_on_cpu(value: Any) -> Any:
    if isinstance(value, str) and value.partition(":")[0] == "cuda":
        return "cpu"
    return _CPU if isinstance(value, torch.device) else value
