"""Which inputs the reference is recorded on: what one kind of input leaves untried, another exercises.

Noise never reaches a clamp that a strong signal does, a model of pictures in 0 to 1 has no value for noise, and one
image at one size says nothing of batches and odd sizes.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from probe import Probe
from probe.other_inputs import noise_places
from probe.pixel_input import PixelProbe
from runtime.artifact.manifest import Preprocessing, leading_input
from runtime.artifact.tensors import as_array

from .input_kinds import (
    ODD_STEPS,
    STRONG_NOISE,
    STRONGEST,
    batch_of,
    black_and_white,
    photo,
    photo_pixels,
    prime_above,
    ramped,
    within_range,
)

__all__ = ["RecordedInput", "odd_sizes", "recorded_inputs"]


class RecordedInput(NamedTuple):
    """An input to record, of which a model may refuse any but the first."""

    name: str
    tensors: tuple[torch.Tensor, ...]
    briefly: bool = False
    """Whether it only tries another batch or size: the model's results are kept as usual, and little of the rest."""


def recorded_inputs(
    probe: Probe, preprocessing: Preprocessing | None, given: Mapping[str, tuple[torch.Tensor, ...]]
) -> Iterator[RecordedInput]:
    """Yield the inputs, the most ordinary first; of several with one name, the first that the model takes is recorded.

    Args:
        probe: takes them.
        preprocessing: how a photo becomes the input, if it is known.
        given: the user's own, by name; then there are no others, besides a batch and another size of the first.
    """
    for name, tensors in given.items():
        yield RecordedInput(name, tensors)
    if not given:
        yield from _kinds(probe, preprocessing)
    if probe.fixed_batch is None:
        several = probe.noise_input(batch=3, seed=5)
        yield RecordedInput(batch_of(_batch(several)), several, briefly=True)
    for tensors in odd_sizes(probe):
        height, width = _size(probe, tensors)
        yield RecordedInput(f"a size of {height} x {width}", tensors, briefly=True)
        return


def odd_sizes(probe: Probe) -> Iterator[tuple[torch.Tensor, ...]]:
    """Yield inputs of prime heights and widths, wide and tall, if the size is open, as halving rounds them."""
    if not any(size in ("H", "W") for spec in probe.inputs for size in spec.shape):
        return
    height, width = _size(probe, probe.example)
    for near, far in ODD_STEPS:
        steps = {"H": prime_above(height + near) - height, "W": prime_above(width + far) - width}
        yield probe.noise_input(batch=1, seed=3, larger=steps)


def _size(probe: Probe, tensors: tuple[torch.Tensor, ...]) -> tuple[int, int]:
    """Return the height and width of the first image among a probe's inputs."""
    first = 1 if isinstance(probe, PixelProbe) else 2
    height, width = next(tensor.shape[first : first + 2] for tensor in tensors if tensor.ndim == 4)
    return height, width


def _kinds(probe: Probe, preprocessing: Preprocessing | None) -> Iterator[RecordedInput]:
    if isinstance(probe, PixelProbe):
        yield from _kinds_of_pixels(probe)
        return
    ordinary = probe.example if probe.own_values else probe.noise_input(larger=True)
    noisy = [] if probe.own_values else noise_places(probe.example)
    leading = leading_input([tensor.shape for tensor in ordinary])
    yield RecordedInput("noise" if noisy else "the example", ordinary)
    another = probe.noise_input(seed=4, larger=True)
    for strongest in STRONGEST if noisy else ():
        strong = tuple(
            _like(tensor, ramped(as_array(drawn), strongest)) if place in noisy else tensor
            for place, (tensor, drawn) in enumerate(zip(ordinary, another, strict=True))
        )
        yield RecordedInput(STRONG_NOISE, strong)
    if leading is None or not ordinary[leading].is_floating_point() or ordinary[leading].ndim < 3:
        return
    image = ordinary[leading]

    def of(name: str, array: NDArray[Any] | None) -> Iterator[RecordedInput]:
        if array is not None:
            yield RecordedInput(name, (*ordinary[:leading], _like(image, array), *ordinary[leading + 1 :]))

    if leading not in noisy:
        yield from of("the example's range", within_range(as_array(image)))
    yield from of("a photo", photo(as_array(image), preprocessing, normalised=leading in noisy))


def _kinds_of_pixels(probe: PixelProbe) -> Iterator[RecordedInput]:
    (drawn,), (another,) = probe.noise_input(larger=True), probe.noise_input(seed=4, larger=True)
    yield RecordedInput("noise", (drawn,))
    yield RecordedInput(STRONG_NOISE, (_like(another, black_and_white(as_array(another))),))
    seen = np.broadcast_to(photo_pixels(*drawn.shape[1:]), drawn.shape)
    yield RecordedInput("a photo", (_like(drawn, np.ascontiguousarray(seen)),))


def _batch(tensors: tuple[torch.Tensor, ...]) -> int:
    leading = leading_input([tensor.shape for tensor in tensors])
    return 1 if leading is None else tensors[leading].shape[0]


def _like(tensor: torch.Tensor, array: NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(array).to(tensor)
