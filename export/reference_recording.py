"""model -> references: the float64 truth of each output for an input, and eager float32's own error against it.

The truth is not taken from the probe: the traced graph is run node by node, and each tensor is read as soon as it is
computed. So an error in how the probe captures tensors shows as drift; that the graph computes what the model does is
checked when the probe is built (`probe/faithfulness.py`).
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch

from probe import Probe
from probe.model.shared_copy import deep_copy
from probe.pixel_input import Normalise
from runtime.artifact.errors import ExportError, first_line
from runtime.artifact.reference import Reference
from runtime.artifact.tensors import as_array

from .exercise import ExerciseSampler
from .kept_tensors import Keep, Kept, channel_axis, truth_of
from .recorded_inputs import RecordedInput
from .sampler import Sampler, WideSampler

__all__ = ["is_inexact", "record_reference", "record_references"]


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
    # The truth's map alone is kept, and what the input itself leaves untried, not the jittered ones.
    of_eager = replace(keep, maps=False)
    watched = ExerciseSampler(probe, of_eager)
    samplers = [watched, *(_JitteredPixels(probe, of_eager, seed) for seed in (1, 2))]
    eager = [sampler.sample_run(each) for sampler, each in zip(samplers, _jittered(inputs), strict=True)]
    truth = _sample_in_float64(probe, inputs, keep, watched.copies)
    truths = {
        spec.name: truth_of(truth[spec.name], [run[spec.name] for run in eager], channel_axis(spec))
        for spec in probe.outputs
    }
    arrays = {spec.name: as_array(tensor) for spec, tensor in zip(probe.inputs, inputs, strict=True)}
    return Reference(arrays, truths, name, watched.untried, watched.zero_channels)


class _JitteredPixels(Sampler):
    """Where the model is given pixels, which have no last bit to jitter: what they become, normalised, is jittered."""

    def __init__(self, probe: Probe, keep: Keep, seed: int) -> None:
        super().__init__(probe, keep)
        self._generator = torch.Generator().manual_seed(seed)

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        value = super().call_module(target, args, kwargs)
        return _jitter(value, self._generator) if isinstance(self.fetch_attr(target), Normalise) else value


def _nonfinite(reference: Reference) -> bool:
    return any(truth.nonfinite for truth in reference.truths.values())


def _sample_in_float64(
    probe: Probe, inputs: tuple[torch.Tensor, ...], keep: Keep, copies: set[str]
) -> Mapping[str, Kept]:
    """Run the traced graph in float64; `copies` are the nodes (fx names) whose values share no memory with others."""
    module = deep_copy(probe.traced.module).double()
    copied = probe.traced.copied_nodes(module)
    nodes = {name: copied[node] for name, node in probe.nodes.items()}
    sampler = WideSampler(probe, keep, module, nodes, copies)
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
