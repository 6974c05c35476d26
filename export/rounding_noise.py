"""How far rounding alone may move each output on one input, found by running the model with every step's result shaken
in its last bits (Monte Carlo arithmetic: Parker, 1997).

A noise floor that is relative to the result can't tell: of `x - x.mean()` where x is constant, the result is nothing
but rounding errors of x, and a normalisation after it enlarges them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx
from torch.utils._pytree import tree_leaves, tree_map

from probe import Probe
from probe.capture.labels import name_operation
from runtime.artifact.reference import Truth

from .reference_recording import is_inexact
from .sampler import Sampler

__all__ = ["RoundingNoise", "rounding_noise"]

_RUNS = 4
_BOUNDED = {"sigmoid", "hardsigmoid", "softmax", "tanh", "silu", "gelu", "erf", "exp", "softplus", "mish", "elu"}
"""What goes through exp, whose error is relative to 1, whatever the result: ONNX Runtime's sigmoid is off by 1e-7."""


@dataclass(frozen=True)
class RoundingNoise:
    """What rounding may do to one output."""

    spread: float
    """The largest change of an element of the sample."""
    overflows: NDArray[np.bool_]
    """Where the sample is infinite or NaN in some run."""


def rounding_noise(
    probe: Probe, inputs: tuple[torch.Tensor, ...], expected: Mapping[str, Truth]
) -> dict[str, RoundingNoise]:
    """Return the noise of each output of `probe` around `expected`, what it returns for `inputs`."""
    spread = dict.fromkeys(expected, 0.0)
    overflows = {name: ~np.isfinite(truth.sample) for name, truth in expected.items()}
    for seed in range(_RUNS):
        for name, shaken in _ShakenSampler(probe, expected, seed).sample_run(inputs).items():
            result = shaken.sample.astype(np.float64)
            overflows[name] |= ~np.isfinite(result)
            with np.errstate(invalid="ignore"):  # infinity minus infinity, left out in the next line
                change = np.abs(result - expected[name].sample)
            spread[name] = max(spread[name], float(np.max(change, initial=0.0, where=np.isfinite(change))))
    return {name: RoundingNoise(spread[name], overflows[name]) for name in expected}


class _ShakenSampler(Sampler):
    """Runs a graph with each new result moved by up to one unit in its last place, at random."""

    def __init__(self, probe: Probe, expected: Mapping[str, Truth], seed: int) -> None:
        super().__init__(probe)
        self._sizes = {name: truth.sample.size for name, truth in expected.items()}
        self._graph = probe.traced.module
        self._generator = torch.Generator().manual_seed(seed)
        self._bounded = False

    def _limit(self, name: str) -> int:
        return self._sizes[name]

    def run_node(self, n: fx.Node) -> object:
        self._bounded = name_operation(self._graph, n)[0].removeprefix("log_") in _BOUNDED
        return super().run_node(n)

    def placeholder(self, target: Any, args: Any, kwargs: Any) -> Any:
        return self._shaken(super().placeholder(target, args, kwargs), ())

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        return self._shaken(super().call_function(target, args, kwargs), (args, kwargs))

    def call_method(self, target: Any, args: Any, kwargs: Any) -> Any:
        return self._shaken(super().call_method(target, args, kwargs), (args, kwargs))

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        return self._shaken(super().call_module(target, args, kwargs), (args, kwargs))

    def _shaken(self, value: Any, given: Any) -> Any:
        """Return a result with its last bits moved; a view, or what was written to in place, as it is."""
        memory = {each.untyped_storage().data_ptr() for each in tree_leaves(given) if isinstance(each, torch.Tensor)}

        def shake(leaf: Any) -> Any:
            if not isinstance(leaf, torch.Tensor) or not leaf.is_floating_point():
                return leaf
            if leaf.untyped_storage().data_ptr() in memory:
                return leaf
            step = torch.rand(leaf.shape, generator=self._generator, dtype=torch.float32).mul_(2).sub_(1)
            step = step.to(leaf) * torch.finfo(leaf.dtype).eps
            return leaf + (step if self._bounded else (leaf * step).where(is_inexact(leaf), 0))

        return tree_map(shake, value)
