"""Runs a model's own graph and keeps a part of each output, as it is computed: in its own dtypes, or in float64.

What the parts are compared with is `reference_recording.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx
from torch.utils._pytree import tree_leaves, tree_map

from probe import Probe
from runtime.artifact.manifest import Output
from runtime.artifact.reference import as_array
from runtime.artifact.tensor_summary import SAMPLE_LIMIT, channel_statistics, sample

__all__ = ["Keep", "Kept", "Sampler", "WideSampler", "channel_axis"]


@dataclass(frozen=True)
class Keep:
    """How much of each output is kept."""

    elements: int = SAMPLE_LIMIT
    """Of each output, at most."""
    of_results: int = SAMPLE_LIMIT
    channels: bool = True
    """Whether the statistics of each channel are kept where the sample is a part of the tensor."""
    maps: bool = False

    @classmethod
    def beside(cls, model_bytes: int, outputs: int) -> "Keep":
        """Return what keeps the reference at about the size of the model or, beside a small one, small."""
        wanted = model_bytes // (8 * max(1, outputs))
        elements = min(SAMPLE_LIMIT, max(_LEAST_ELEMENTS, 1 << (wanted.bit_length() - 1)))
        return cls(elements, elements, maps=True)

    def of_another(self, briefly: bool) -> "Keep":
        """Return what is kept of an input that isn't the first."""
        elements = self.elements // 4
        return Keep(elements // 4 if briefly else elements, elements, channels=not briefly)

    def limit(self, *, result: bool) -> int:
        """Return how many elements of an output are kept."""
        return self.of_results if result else self.elements


_LEAST_ELEMENTS = 4096


class Kept(NamedTuple):
    """What is kept of one output in one run."""

    sample: NDArray[np.generic]
    shape: tuple[int, ...]
    scale: float
    nonfinite: int
    statistics: NDArray[np.float64] | None
    """4 C"""
    map: NDArray[np.float32] | None


def channel_axis(spec: Output) -> int | None:
    """Return the axis of an output's channels; None if it has none."""
    return spec.layout.index("C") if "C" in spec.layout and len(spec.layout) == len(spec.shape) else None


def _map(spec: Output, whole: NDArray[Any]) -> NDArray[np.float32] | None:
    """Return the mean over the channels of the first image, H W."""
    if sorted(spec.layout) != sorted("NCHW"):
        return None
    image = whole.transpose([spec.layout.index(axis) for axis in "NCHW"])[0]
    return np.asarray(np.mean(image, axis=0, dtype=np.float64), np.float32)


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
            self._kept_of[spec.name] = self._kept(spec, as_array(value))
        return value

    def _limit(self, name: str) -> int:
        return self._keep.limit(result=name in self._results)

    def _kept(self, spec: Output, whole: NDArray[Any]) -> Kept:
        finite = np.isfinite(whole)
        nonfinite = int(whole.size - np.count_nonzero(finite))
        limit = self._limit(spec.name)
        real = whole.dtype.kind == "f" and not nonfinite
        return Kept(
            # sample() of a small tensor is a view of it: an in-place operation can't change the copy.
            sample=sample(whole, limit).copy(),
            shape=whole.shape,
            scale=float(np.max(np.abs(whole), initial=0.0, where=finite)) or 1.0,
            nonfinite=nonfinite,
            statistics=channel_statistics(whole, channel_axis(spec))
            if self._keep.channels and real and whole.size > limit
            else None,
            map=_map(spec, whole) if self._keep.maps and real and whole.size > limit else None,
        )

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
