"""model -> reference: the float64 truth of each output for one input, and eager float32's own error against it.

The truth is not taken from the probe: the model's own graph is run node by node, and each tensor is read the moment
it is computed. So a fault in how the probe captures would show as drift.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from probe import Probe
from runtime.reference import Reference, Truth, sample

__all__ = ["record_reference"]


@dataclass(frozen=True)
class _Sample:
    sample: NDArray[np.generic]
    shape: tuple[int, ...]
    scale: float
    nonfinite: int


def record_reference(probe: Probe, inputs: tuple[torch.Tensor, ...]) -> Reference:
    """Return the reference of `probe` for `inputs` (as the model takes them, float32).

    The noise floor is the largest error of three eager float32 runs: on the input itself, and twice on the input with
    its last bit jittered, which any float32 runtime might as well have been given. With a single run, an output of
    one element would pass for exact now and then by luck, and every runtime for drifting.
    """
    truth = _sample_in_float64(probe, inputs)
    eager = [_Sampler(probe.traced.module, probe.nodes).sample_run(variant) for variant in _jittered(inputs)]
    truths = {}
    for name, exact in truth.items():
        error = max(_largest_error(run[name].sample, exact.sample) for run in eager)
        truths[name] = Truth(
            sample=exact.sample.astype(np.float64),
            shape=exact.shape,
            scale=exact.scale,
            noise_floor=error / exact.scale,
            nonfinite=eager[0][name].nonfinite,
        )
    return Reference({name: tensor.numpy() for name, tensor in zip(probe.input_names, inputs, strict=True)}, truths)


def _sample_in_float64(probe: Probe, inputs: tuple[torch.Tensor, ...]) -> dict[str, "_Sample"]:
    # The graph of the copy has nodes of its own, under the same fx names.
    module = copy.deepcopy(probe.traced.module).double()
    by_name = {node.name: node for node in module.graph.nodes}
    sampler = _Sampler(module, {name: by_name[node.name] for name, node in probe.nodes.items()})
    return sampler.sample_run(tuple(tensor.double() if tensor.is_floating_point() else tensor for tensor in inputs))


def _largest_error(result: NDArray[np.generic], exact: NDArray[np.generic]) -> float:
    with np.errstate(invalid="ignore"):  # infinity minus infinity, left out in the next line
        error = np.abs(result.astype(np.float64) - exact.astype(np.float64))
    return float(np.max(error, initial=0.0, where=np.isfinite(error)))


def _jittered(inputs: tuple[torch.Tensor, ...]) -> Iterator[tuple[torch.Tensor, ...]]:
    yield inputs
    generator = torch.Generator().manual_seed(0)
    for _ in range(2):
        yield tuple(
            tensor * (1 + torch.finfo(tensor.dtype).eps * (torch.rand(tensor.shape, generator=generator) - 0.5))
            if tensor.is_floating_point()
            else tensor
            for tensor in inputs
        )


class _Sampler(fx.Interpreter):
    """Runs a graph and keeps of each wanted node a sample, taken before a later operation can overwrite it."""

    def __init__(self, module: fx.GraphModule, nodes: dict[str, fx.Node]) -> None:
        super().__init__(module)
        self._names = {node: name for name, node in nodes.items()}
        self._samples: dict[str, _Sample] = {}

    def sample_run(self, inputs: tuple[torch.Tensor, ...]) -> dict[str, _Sample]:
        """Return what is kept of each wanted node, in the order of execution."""
        with torch.no_grad():
            self.run(*(tensor.clone() for tensor in inputs))
        return self._samples

    def run_node(self, n: fx.Node) -> object:
        value = super().run_node(n)
        if n in self._names:
            whole = value.detach().contiguous().numpy()
            finite = np.isfinite(whole)
            self._samples[self._names[n]] = _Sample(
                # sample() of a small tensor is a view of it: the copy is what an in-place operation can't reach.
                sample=sample(whole).copy(),
                shape=whole.shape,
                scale=float(np.max(np.abs(whole), initial=0.0, where=finite)) or 1.0,
                nonfinite=int(whole.size - np.count_nonzero(finite)),
            )
        return value
