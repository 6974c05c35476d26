"""model -> references: the float64 truth of each output for an input, and eager float32's own error against it.

The truth is not taken from the probe: the traced graph is run node by node, and each tensor is read as soon as it is
computed. So an error in how the probe captures tensors shows as drift; that the graph computes what the model does is
checked when the probe is built (`probe/faithfulness.py`).
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from probe import Probe
from probe.model.shared_copy import deep_copy
from runtime.artifact.errors import ExportError, first_line
from runtime.artifact.reference import Reference, Truth, as_array
from runtime.artifact.tensor_summary import sample_places

from .exercise import ExerciseSampler
from .recorded_inputs import RecordedInput
from .sampler import Keep, Kept, Sampler, WideSampler, channel_axis

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
    samplers = [watched, Sampler(probe, of_eager), Sampler(probe, of_eager)]
    eager = [sampler.sample_run(each) for sampler, each in zip(samplers, _jittered(inputs), strict=True)]
    truth = _sample_in_float64(probe, inputs, keep, watched.copies)
    truths = {
        spec.name: _truth(truth[spec.name], [run[spec.name] for run in eager], channel_axis(spec))
        for spec in probe.outputs
    }
    arrays = {spec.name: as_array(tensor) for spec, tensor in zip(probe.inputs, inputs, strict=True)}
    return Reference(arrays, truths, name, watched.untried, watched.zero_channels)


def _truth(exact: Kept, eager: list[Kept], axis: int | None) -> Truth:
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


def _channel_noise(run: Kept, exact: Kept, axis: int | None) -> NDArray[np.float64]:
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


def _nonfinite(reference: Reference) -> bool:
    return any(truth.nonfinite for truth in reference.truths.values())


def _sample_in_float64(
    probe: Probe, inputs: tuple[torch.Tensor, ...], keep: Keep, copies: set[str]
) -> Mapping[str, Kept]:
    """Run the traced graph in float64; `copies` are the nodes (fx names) whose values share no memory with others."""
    # The copy's graph has its own nodes, under the same fx names.
    module = deep_copy(probe.traced.module).double()
    assert isinstance(module, fx.GraphModule)
    by_name = {node.name: node for node in module.graph.nodes}
    nodes = {name: by_name[node.name] for name, node in probe.nodes.items()}
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
