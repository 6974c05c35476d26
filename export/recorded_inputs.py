"""Which inputs the reference is recorded on: what one kind of input leaves untried, another exercises.

Noise never reaches a clamp that a strong signal does, a model of pictures in 0 to 1 has no value for noise, and one
image at one size says nothing of batches and odd sizes.
"""

import math
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import torch
from PIL import Image, ImageOps

from probe import Probe
from probe.other_inputs import noise_places
from runtime.artifact.manifest import Preprocessing, leading_input

__all__ = ["RecordedInput", "odd_sizes", "recorded_inputs"]

_PHOTO = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
_STRONGEST = (32.0, 4.0)
"""Times the noise, at one edge of the image; at the other it is as much weaker. The second
where the first overflows."""
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_AT_AN_END = 0.1
"""The share of values at either end of the example's range."""


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
        yield RecordedInput(f"a batch of {_batch(several)}", several, briefly=True)
    for tensors in odd_sizes(probe):
        height, width = next(tensor.shape[2:] for tensor in tensors if tensor.ndim == 4)
        yield RecordedInput(f"a size of {height} x {width}", tensors, briefly=True)
        return


def odd_sizes(probe: Probe) -> Iterator[tuple[torch.Tensor, ...]]:
    """Yield inputs of prime heights and widths, wide and tall, if the size is open, as halving rounds them."""
    if not any(size in ("H", "W") for spec in probe.inputs for size in spec.shape):
        return
    height, width = next(tuple(tensor.shape[2:]) for tensor in probe.example if tensor.ndim == 4)
    for near, far in ((3, 21), (21, 3)):
        steps = {"H": _prime_above(height + near) - height, "W": _prime_above(width + far) - width}
        yield probe.noise_input(batch=1, seed=3, larger=steps)


def _kinds(probe: Probe, preprocessing: Preprocessing | None) -> Iterator[RecordedInput]:
    ordinary = probe.example if probe.own_values else probe.noise_input(larger=True)
    noisy = [] if probe.own_values else noise_places(probe.example)
    leading = leading_input([tensor.shape for tensor in ordinary])
    yield RecordedInput("noise" if noisy else "the example", ordinary)
    another = probe.noise_input(seed=4, larger=True)
    for strongest in _STRONGEST if noisy else ():
        strong = tuple(
            _ramped(drawn, strongest) if place in noisy else tensor
            for place, (tensor, drawn) in enumerate(zip(ordinary, another, strict=True))
        )
        yield RecordedInput("strong noise", strong)
    if leading is None or not ordinary[leading].is_floating_point() or ordinary[leading].ndim < 3:
        return
    image = ordinary[leading]

    def of(name: str, tensor: torch.Tensor | None) -> Iterator[RecordedInput]:
        if tensor is not None:
            yield RecordedInput(name, (*ordinary[:leading], tensor, *ordinary[leading + 1 :]))

    if leading not in noisy:
        yield from of("the example's range", _of_range(image))
    yield from of("a photo", _photo(image, preprocessing, normalised=leading in noisy))


def _batch(tensors: tuple[torch.Tensor, ...]) -> int:
    leading = leading_input([tensor.shape for tensor in tensors])
    return 1 if leading is None else tensors[leading].shape[0]


def _ramped(tensor: torch.Tensor, strongest: float) -> torch.Tensor:
    exponents = torch.linspace(-1, 1, tensor.shape[-1], dtype=torch.float64)
    return (tensor.double() * strongest**exponents).to(tensor)


def _of_range(image: torch.Tensor) -> torch.Tensor:
    """Return values between the example's lowest and highest, some of them at the ends."""
    generator = torch.Generator().manual_seed(4)
    low, high = image.double().aminmax()
    drawn = torch.rand(image.shape, generator=generator, dtype=torch.float64)
    stretched = ((drawn - _AT_AN_END) / (1 - 2 * _AT_AN_END)).clamp(0, 1)
    return (low + (high - low) * stretched).to(image)


def _photo(image: torch.Tensor, preprocessing: Preprocessing | None, *, normalised: bool) -> torch.Tensor | None:
    """Return a photo as N C H W like `image`: normalised, or from 0 to 1 or 255 as the example; None if it is none."""
    if image.ndim != 4 or image.shape[1] not in (1, 3):
        return None
    channels, height, width = image.shape[1:]
    with Image.open(_PHOTO) as opened:
        fitted = ImageOps.fit(opened.convert("L" if channels == 1 else "RGB"), (width, height))
    pixels = np.asarray(fitted, np.float32).reshape(height, width, channels).transpose(2, 0, 1) / np.float32(255)
    if preprocessing is not None or normalised:
        mean, std = (
            (preprocessing.mean, preprocessing.std) if preprocessing else (each[:channels] for each in _IMAGENET)
        )
        pixels = (pixels - np.asarray(mean, np.float32)[:, None, None]) / np.asarray(std, np.float32)[:, None, None]
    elif image.max() > 2:
        pixels = pixels * 255
    return torch.from_numpy(np.ascontiguousarray(pixels)).to(image).expand_as(image).contiguous()


def _prime_above(number: int) -> int:
    return next(each for each in count(number + 1) if all(each % factor for factor in range(2, math.isqrt(each) + 1)))
