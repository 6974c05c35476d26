"""model -> references: the float64 truth of each output for an input, and eager float32's own error against it.

The truth is not taken from the probe: the traced graph is run node by node, and each tensor is read as soon as it is
computed. So an error in how the probe captures tensors shows as drift; that the graph computes what the model does is
checked when the probe is built (`probe/faithfulness.py`).
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx
from torch.utils._pytree import tree_leaves, tree_map

from probe import Probe
from probe.model.shared_copy import deep_copy
from runtime.artifact.errors import ExportError, first_line
from runtime.artifact.manifest import Output
from runtime.artifact.reference import Reference, Truth, as_array
from runtime.artifact.tensor_summary import SAMPLE_LIMIT, channel_statistics, sample, sample_places

from .exercise import untried
from .recorded_inputs import RecordedInput

__all__ = ["Keep", "Sampler", "is_inexact", "record_reference", "record_references"]


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


class _Shown(NamedTuple):
    """What is kept of one output in one run."""

    sample: NDArray[np.generic]
    shape: tuple[int, ...]
    scale: float
    nonfinite: int
    statistics: NDArray[np.float64] | None
    """4 C"""
    map: NDArray[np.float32] | None


def record_references(probe: Probe, inputs: Iterable[RecordedInput], keep: Keep) -> list[Reference]:
    """Return the reference of each of the inputs that the model takes; it must take the first.

    An input doesn't suit a model that fails on it, or makes NaN or infinity of it and not of the first.

    Raises:
        ExportError: the model can't be run in float64.
    """
    recorded: dict[str, Reference] = {}
    for name, tensors, briefly in inputs:
        if not recorded:
            recorded[name] = record_reference(probe, tensors, keep, name)
            made_nonfinite = _nonfinite(recorded[name])
        elif name not in recorded:
            with contextlib.suppress(Exception):
                reference = record_reference(probe, tensors, keep.of_another(briefly), name)
                if made_nonfinite or not _nonfinite(reference):
                    recorded[name] = reference
    return list(recorded.values())


def record_reference(
    probe: Probe, inputs: tuple[torch.Tensor, ...], keep: Keep | None = None, name: str = "noise"
) -> Reference:
    """Return the reference of `probe` for `inputs` (as the model takes them).

    The noise floor is the largest error of three eager float32 runs: on the input itself, and twice on the input with
    its last bit jittered, which is an equally valid float32 input. With a single run, an output of one element would
    sometimes be exact by luck, and every runtime would seem to drift.

    Where eager float32 itself returns NaN or infinity (by overflow, for example), its value replaces the truth.

    Args:
        probe: what the reference is of.
        inputs: what it is recorded for.
        keep: how much is kept of each output.
        name: of the input.

    Raises:
        ExportError: the model can't be run in float64.
    """
    keep = keep or Keep()
    samplers = [Sampler(probe, keep) for _ in range(3)]
    eager = [sampler.sample_run(each) for sampler, each in zip(samplers, _jittered(inputs), strict=True)]
    truth = _sample_in_float64(probe, inputs, keep, samplers[0].copies)
    truths = {
        spec.name: _truth(truth[spec.name], [run[spec.name] for run in eager], _channel_axis(spec))
        for spec in probe.outputs
    }
    arrays = {spec.name: as_array(tensor) for spec, tensor in zip(probe.inputs, inputs, strict=True)}
    return Reference(arrays, truths, name, samplers[0].untried, samplers[0].zero_channels)


def _truth(exact: _Shown, eager: list[_Shown], axis: int | None) -> Truth:
    own = eager[0].sample.astype(np.float64)
    error = max(_largest_error(run.sample, exact.sample) for run in eager)
    channels = None
    if exact.statistics is not None and eager[0].statistics is not None:
        noise = np.max([_channel_noise(run, exact, axis) for run in eager], axis=0)
        channels = np.vstack([exact.statistics, noise])
    return Truth(
        sample=np.where(np.isfinite(own), exact.sample.astype(np.float64), own),
        shape=exact.shape,
        scale=exact.scale,
        noise_floor=error / exact.scale,
        nonfinite=eager[0].nonfinite,
        channels=channels,
        channel_axis=axis,
        map=exact.map,
    )


def _channel_noise(run: _Shown, exact: _Shown, axis: int | None) -> NDArray[np.float64]:
    """Return the largest absolute error in each channel, C: of the sample, and of the statistics of all elements."""
    assert run.statistics is not None
    assert exact.statistics is not None
    noise: NDArray[np.float64] = np.max(np.abs(run.statistics - exact.statistics), axis=0)
    size = int(np.prod(exact.shape))
    places = sample_places(size, exact.sample.size)
    channels = 0 if axis is None else np.unravel_index(places, exact.shape)[axis]
    error = np.abs(run.sample.astype(np.float64) - exact.sample.astype(np.float64))
    np.maximum.at(noise, np.broadcast_to(channels, places.shape), error)
    return noise


def _channel_axis(spec: Output) -> int | None:
    return spec.layout.index("C") if "C" in spec.layout and len(spec.layout) == len(spec.shape) else None


def _nonfinite(reference: Reference) -> bool:
    return any(truth.nonfinite for truth in reference.truths.values())


def _sample_in_float64(
    probe: Probe, inputs: tuple[torch.Tensor, ...], keep: Keep, copies: set[str]
) -> Mapping[str, _Shown]:
    """Run the traced graph in float64; `copies` are the nodes (fx names) whose values share no memory with others."""
    # The copy's graph has its own nodes, under the same fx names.
    module = deep_copy(probe.traced.module).double()
    assert isinstance(module, fx.GraphModule)
    by_name = {node.name: node for node in module.graph.nodes}
    nodes = {name: by_name[node.name] for name, node in probe.nodes.items()}
    sampler = _WideSampler(probe, keep, module, nodes, copies)
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
        self._module = module or probe.traced.module
        super().__init__(self._module)
        # Interpreter adds a dump of the graph to an error.
        self.extra_traceback = False
        self._keep, self._results = keep or Keep(channels=False), frozenset(probe.results.values())
        specs = {spec.name: spec for spec in probe.outputs}
        self._specs = {node: specs[name] for name, node in (nodes or probe.nodes).items() if name in specs}
        self._shown: dict[str, _Shown] = {}
        self.copies: set[str] = set()
        """The nodes (fx names) whose values share no memory with what they were computed from."""
        self.untried: dict[str, frozenset[str]] = {}
        """By output, what the run leaves untried, if anything."""
        self.zero_channels: dict[str, frozenset[int]] = {}
        """By output, the channels that are 0 throughout, if any."""

    def sample_run(self, inputs: tuple[torch.Tensor, ...]) -> dict[str, _Shown]:
        """Return what is kept of each output, in the order of execution."""
        with torch.inference_mode(False), torch.no_grad():
            self.run(*(tensor.clone() for tensor in inputs))
        return self._shown

    def run_node(self, n: fx.Node) -> object:
        spec = self._specs.get(n)
        # Before the operation, which may overwrite its input.
        if spec and (words := untried(self._module, n, *self.fetch_args_kwargs_from_env(n))):
            self.untried[spec.name] = words
        value = super().run_node(n)
        if isinstance(value, torch.Tensor) and not self._shares_memory(n, value):
            self.copies.add(n.name)
        if spec:
            whole, axis = as_array(value), _channel_axis(spec)
            if axis is not None and whole.shape[axis] > 1:
                used = np.any(whole, axis=tuple(each for each in range(whole.ndim) if each != axis))
                if not used.all():
                    self.zero_channels[spec.name] = frozenset(np.flatnonzero(~used).tolist())
            self._shown[spec.name] = self._kept(spec, whole)
        return value

    def _limit(self, name: str) -> int:
        return self._keep.limit(result=name in self._results)

    def _kept(self, spec: Output, whole: NDArray[Any]) -> _Shown:
        finite = np.isfinite(whole)
        nonfinite = int(whole.size - np.count_nonzero(finite))
        limit = self._limit(spec.name)
        real = whole.dtype.kind == "f" and not nonfinite
        return _Shown(
            # sample() of a small tensor is a view of it: an in-place operation can't change the copy.
            sample=sample(whole, limit).copy(),
            shape=whole.shape,
            scale=float(np.max(np.abs(whole), initial=0.0, where=finite)) or 1.0,
            nonfinite=nonfinite,
            statistics=channel_statistics(whole, _channel_axis(spec))
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


class _WideSampler(Sampler):
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
