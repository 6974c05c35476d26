"""model -> reference: the float64 truth of each output for one input, and eager float32's own error against it.

The truth is not taken from the probe: the traced graph is run node by node, and each tensor is read as soon as it is
computed. So an error in how the probe captures tensors shows as drift; that the graph computes what the model does is
checked when the probe is built (`probe/faithfulness.py`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx
from torch.utils._pytree import tree_leaves, tree_map

from probe import Probe
from probe.model.shared_copy import deep_copy
from runtime.artifact.errors import ExportError, first_line
from runtime.artifact.reference import Reference, Truth, as_array, sample

__all__ = ["Sampler", "is_inexact", "record_reference"]


@dataclass(frozen=True)
class _Sample:
    sample: NDArray[np.generic]
    shape: tuple[int, ...]
    scale: float
    nonfinite: int


def record_reference(probe: Probe, inputs: tuple[torch.Tensor, ...]) -> Reference:
    """Return the reference of `probe` for `inputs` (as the model takes them).

    The noise floor is the largest error of three eager float32 runs: on the input itself, and twice on the input with
    its last bit jittered, which is an equally valid float32 input. With a single run, an output of one element would
    sometimes be exact by luck, and every runtime would seem to drift.

    Where eager float32 itself returns NaN or infinity (by overflow, for example), its value replaces the truth.

    Raises:
        ExportError: the model can't be run in float64.
    """
    samplers = [Sampler(probe.traced.module, probe.nodes) for _ in range(3)]
    eager = [sampler.sample_run(each) for sampler, each in zip(samplers, _jittered(inputs), strict=True)]
    truth = _sample_in_float64(probe, inputs, samplers[0].copies)
    truths = {}
    for name, exact in truth.items():
        error = max(_largest_error(run[name].sample, exact.sample) for run in eager)
        own = eager[0][name].sample.astype(np.float64)
        truths[name] = Truth(
            sample=np.where(np.isfinite(own), exact.sample.astype(np.float64), own),
            shape=exact.shape,
            scale=exact.scale,
            noise_floor=error / exact.scale,
            nonfinite=eager[0][name].nonfinite,
        )
    arrays = {spec.name: as_array(tensor) for spec, tensor in zip(probe.inputs, inputs, strict=True)}
    return Reference(arrays, truths)


def _sample_in_float64(probe: Probe, inputs: tuple[torch.Tensor, ...], copies: set[str]) -> dict[str, "_Sample"]:
    """Run the traced graph in float64; `copies` are the nodes (fx names) whose values share no memory with others."""
    # The copy's graph has its own nodes, under the same fx names.
    module = deep_copy(probe.traced.module).double()
    assert isinstance(module, fx.GraphModule)
    by_name = {node.name: node for node in module.graph.nodes}
    sampler = _WideSampler(module, {name: by_name[node.name] for name, node in probe.nodes.items()}, copies)
    # What forward creates itself (`torch.zeros(n, 4)`) has the default dtype.
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        return sampler.sample_run(tuple(tensor.double() if tensor.is_floating_point() else tensor for tensor in inputs))
    except Exception as error:
        raise ExportError(
            f"{probe.model_name} can't be run in float64, so there is no truth to verify against: {first_line(error)}\n"
            "Check whether its forward sets a dtype other than by .float(), .to() or dtype=."
        ) from error
    finally:
        torch.set_default_dtype(default)


def _largest_error(result: NDArray[np.generic], exact: NDArray[np.generic]) -> float:
    with np.errstate(invalid="ignore"):  # infinity minus infinity, left out in the next line
        error = np.abs(result.astype(np.float64) - exact.astype(np.float64))
    return float(np.max(error, initial=0.0, where=np.isfinite(error)))


def _jittered(inputs: tuple[torch.Tensor, ...]) -> Iterator[tuple[torch.Tensor, ...]]:
    """Yield the inputs, then twice with each value moved to the next float up or down, or left alone."""
    yield inputs
    generator = torch.Generator().manual_seed(0)
    for _ in range(2):
        yield tuple(_jitter(tensor, generator) if tensor.is_floating_point() else tensor for tensor in inputs)


def _jitter(tensor: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    step = torch.randint(-1, 2, tensor.shape, generator=generator).where(is_inexact(tensor), 0)
    towards = torch.where(step == 0, tensor, step.to(tensor.dtype) * torch.inf)
    return torch.nextafter(tensor, towards)


def is_inexact(tensor: torch.Tensor) -> torch.Tensor:
    """Return which elements may be rounded ones: in a table, a whole number may be an index, and the next float below
    it the index before.
    """
    return (tensor != tensor.round()) | (tensor.ndim > 2)


class Sampler(fx.Interpreter):
    """Runs a graph and keeps a sample of each requested node, taken before a later operation can overwrite it."""

    def __init__(self, module: fx.GraphModule, nodes: dict[str, fx.Node]) -> None:
        super().__init__(module)
        # Interpreter adds a dump of the graph to an error.
        self.extra_traceback = False
        self._names = {node: name for name, node in nodes.items()}
        self._samples: dict[str, _Sample] = {}
        self.copies: set[str] = set()
        """The nodes (fx names) whose values share no memory with what they were computed from."""

    def sample_run(self, inputs: tuple[torch.Tensor, ...]) -> dict[str, _Sample]:
        """Return the sample of each requested node, in the order of execution."""
        with torch.inference_mode(False), torch.no_grad():
            self.run(*(tensor.clone() for tensor in inputs))
        return self._samples

    def run_node(self, n: fx.Node) -> object:
        value = super().run_node(n)
        if isinstance(value, torch.Tensor) and not self._shares_memory(n, value):
            self.copies.add(n.name)
        if n in self._names:
            whole = as_array(value)
            finite = np.isfinite(whole)
            self._samples[self._names[n]] = _Sample(
                # sample() of a small tensor is a view of it: an in-place operation can't change the copy.
                sample=sample(whole).copy(),
                shape=whole.shape,
                scale=float(np.max(np.abs(whole), initial=0.0, where=finite)) or 1.0,
                nonfinite=int(whole.size - np.count_nonzero(finite)),
            )
        return value

    def _shares_memory(self, node: fx.Node, value: torch.Tensor) -> bool:
        sources = tree_leaves(self.fetch_args_kwargs_from_env(node))
        return any(
            source.untyped_storage().data_ptr() == value.untyped_storage().data_ptr()
            for source in sources
            if isinstance(source, torch.Tensor)
        )


class _WideSampler(Sampler):
    """Runs a graph in float64 throughout: where the model requests a narrower float, it gets float64.

    A cast between narrow floats is a copy, but one from float64 to float64 is not: a write to its result would change
    the tensor that was cast. So what was a copy in the model's own dtype is copied here, too.
    """

    _NARROW = frozenset({torch.float32, torch.float16, torch.bfloat16})

    def __init__(self, module: fx.GraphModule, nodes: dict[str, fx.Node], copies: set[str]) -> None:
        super().__init__(module, nodes)
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
