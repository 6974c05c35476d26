"""Runs a model's own graph and keeps a part of each output, as it is computed: in its own dtypes, or in float64.

What the parts are compared with is `reference_recording.py`.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import fx
from torch.utils._pytree import tree_leaves, tree_map

from probe import Probe
from runtime.artifact.tensors import as_array

from .kept_tensors import Keep, Kept

__all__ = ["Sampler", "WideSampler"]


class Sampler(fx.Interpreter):
    """Runs a graph and keeps a part of each output, taken before a later operation can overwrite it."""

    def __init__(
        self,
        probe: Probe,
        keep: Keep | None = None,
        module: fx.GraphModule | None = None,
        nodes: Mapping[str, fx.Node] | None = None,
    ) -> None:
        """Prepare to run the probe's own graph, or `module`, which has `nodes` by output, in its place."""
        super().__init__(module or probe.traced.module)
        # Interpreter adds a dump of the graph to an error.
        self.extra_traceback = False
        self._keep, self._results = keep or Keep(channels=False), frozenset(probe.results.values())
        specs = {spec.name: spec for spec in probe.outputs}
        self.specs = {node: specs[name] for name, node in (nodes or probe.nodes).items() if name in specs}
        """By node, the output that it computes."""
        self._kept_of: dict[str, Kept] = {}
        self.copies: set[str] = set()
        """The nodes (fx names) whose values share no memory with what they were computed from."""

    def sample_run(self, inputs: tuple[torch.Tensor, ...]) -> dict[str, Kept]:
        """Return what is kept of each output, in the order of execution."""
        with torch.inference_mode(False), torch.no_grad():
            self.run(*(tensor.clone() for tensor in inputs))
        return self._kept_of

    def run_node(self, n: fx.Node) -> object:
        value = super().run_node(n)
        if isinstance(value, torch.Tensor) and not self._shares_memory(n, value):
            self.copies.add(n.name)
        if n in self.specs:
            spec = self.specs[n]
            self._kept_of[spec.name] = self._keep.of(spec, as_array(value), result=spec.name in self._results)
        return value

    def _shares_memory(self, node: fx.Node, value: torch.Tensor) -> bool:
        sources = tree_leaves(self.fetch_args_kwargs_from_env(node))
        return any(
            source.untyped_storage().data_ptr() == value.untyped_storage().data_ptr()
            for source in sources
            if isinstance(source, torch.Tensor)
        )


class WideSampler(Sampler):
    """Runs a graph in float64 throughout: where the model requests a narrower float, it gets float64.

    A cast between narrow floats is a copy, but one from float64 to float64 is not: a write to its result would change
    the tensor that was cast. So what was a copy in the model's own dtype is copied here, too.
    """

    _NARROW = frozenset({torch.float32, torch.float16, torch.bfloat16})

    def __init__(
        self, probe: Probe, keep: Keep, module: fx.GraphModule, nodes: Mapping[str, fx.Node], copies: set[str]
    ) -> None:
        super().__init__(probe, keep, module, nodes)
        self._copied = copies

    def run_node(self, n: fx.Node) -> object:
        value = super().run_node(n)
        if isinstance(value, torch.Tensor) and n.name in self._copied and n.name not in self.copies:
            return value.clone()
        return value

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        return super().call_function(target, self._widened(args), self._widened(kwargs))

    def call_method(self, target: Any, args: Any, kwargs: Any) -> Any:
        wide = "double" if target in {"float", "half", "bfloat16"} else target
        return super().call_method(wide, self._widened(args), self._widened(kwargs))

    def _widened(self, arguments: Any) -> Any:
        return tree_map(
            lambda value: torch.float64 if isinstance(value, torch.dtype) and value in self._NARROW else value,
            arguments,
        )
