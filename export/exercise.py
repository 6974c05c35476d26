"""What a recorded input leaves untried of an operation: a clamp that it never reaches, a branch that is never taken.

A fault there shows with no recorded input, so `verify` tells it; and where the model itself is NaN.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from probe import Probe
from probe.capture.labels import name_operation
from runtime.artifact.tensors import as_array

from .kept_tensors import Keep, channel_axis, nan_words
from .sampler import Sampler

__all__ = ["ExerciseSampler", "untried"]

_LIMITS: dict[str, tuple[float, float]] = {
    "relu": (0, 0),
    "leakyrelu": (0, 0),
    "prelu": (0, 0),
    "relu6": (0, 6),
    "hardswish": (-3, 3),
    "hardsigmoid": (-3, 3),
}
"""By operation: it does something else below the first, and above the second."""
_CLAMPS = {"hardtanh": (-1.0, 1.0), "clamp": (-math.inf, math.inf), "clip": (-math.inf, math.inf)}
"""Those whose limits are arguments or attributes, with the defaults."""


def untried(graph: fx.GraphModule, node: fx.Node, args: Sequence[Any], kwargs: Mapping[str, Any]) -> frozenset[str]:
    """Return in words what a call of an operation leaves untried; nothing for an operation without such cases.

    Args:
        graph: the graph of the node.
        node: the operation.
        args: what it is called with.
        kwargs: the same, by name.
    """
    given = next((each for each in args if isinstance(each, torch.Tensor) and each.numel()), None)
    if node.op == "placeholder" or given is None:
        return frozenset()
    name = name_operation(graph, node)[0].replace("_", "")
    if name == "where":
        sides = {"true": given.any(), "false": not given.all()}
        return frozenset(f"its condition is never {side}" for side, taken in sides.items() if not taken)
    module = graph.get_submodule(str(node.target)) if node.op == "call_module" else None
    limits = _LIMITS.get(name) or _clamp(name, module, args[1:], kwargs)
    if limits is None or given.is_complex():
        return frozenset()
    lowest, highest = (float(each) for each in given.detach().double().aminmax())
    low, high = limits
    return frozenset(
        words
        for words, missing in (
            (f"its input is never below {low:g}", -math.inf < low <= lowest),
            (f"its input is never above {high:g}", highest <= high < math.inf),
        )
        if missing
    )


def _clamp(
    name: str, module: nn.Module | None, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[float, float] | None:
    if name not in _CLAMPS:
        return None
    found = []
    for place, (side, default) in enumerate(zip(("min", "max"), _CLAMPS[name], strict=True)):
        value = getattr(module, f"{side}_val", args[place] if place < len(args) else None)
        value = kwargs.get(side, kwargs.get(f"{side}_val", value))
        if isinstance(value, torch.Tensor) and value.numel() != 1:
            return None
        found.append(default if value is None else float(value))
    return found[0], found[1]


class ExerciseSampler(Sampler):
    """A sampler that also finds what its run leaves untried.

    Attributes:
        untried: by output, in words, if anything.
        zero_channels: by output, the channels that are 0 throughout, if any.
    """

    def __init__(self, probe: Probe, keep: Keep) -> None:
        super().__init__(probe, keep)
        self._graph = probe.traced.module
        self.untried: dict[str, frozenset[str]] = {}
        self.zero_channels: dict[str, frozenset[int]] = {}

    def run_node(self, n: fx.Node) -> object:
        spec = self.specs.get(n)
        if spec is None:
            return super().run_node(n)
        # Before the operation, which may overwrite its input.
        words = untried(self._graph, n, *self.fetch_args_kwargs_from_env(n))
        value = super().run_node(n)
        whole = as_array(value)
        if words := words | nan_words(whole):
            self.untried[spec.name] = words
        axis = channel_axis(spec)
        if axis is not None:
            used = np.any(whole, axis=tuple(each for each in range(whole.ndim) if each != axis))
            if len(used) > 1 and not used.all():
                self.zero_channels[spec.name] = frozenset(np.flatnonzero(~used).tolist())
        return value
