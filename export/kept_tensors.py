"""What a reference keeps of each output: a sample, statistics of its channels, a map."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from runtime.artifact.manifest import Output
from runtime.artifact.reference import Truth
from runtime.artifact.tensor_summary import SAMPLE_LIMIT, channel_statistics, sample, sample_places

__all__ = ["Keep", "Kept", "channel_axis", "nan_words", "truth_of"]

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

    def of(self, spec: Output, whole: NDArray[Any], *, result: bool) -> Kept:
        """Return what is kept of an output; `result` says whether the model returns it."""
        limit = self.of_results if result else self.elements
        finite = np.isfinite(whole)
        nonfinite = int(whole.size - np.count_nonzero(finite))
        in_part = whole.dtype.kind == "f" and not nonfinite and whole.size > limit
        return Kept(
            # sample() of a small tensor is a view of it: an in-place operation can't change the copy.
            sample=sample(whole, limit).copy(),
            shape=whole.shape,
            scale=float(np.max(np.abs(whole), initial=0.0, where=finite)) or 1.0,
            nonfinite=nonfinite,
            statistics=channel_statistics(whole, channel_axis(spec)) if self.channels and in_part else None,
            map=_map(spec, whole) if self.maps and in_part else None,
        )


def channel_axis(spec: Output) -> int | None:
    """Return the axis of an output's channels; None if it has none."""
    return spec.layout.index("C") if "C" in spec.layout and len(spec.layout) == len(spec.shape) else None


def truth_of(exact: Kept, runs: Sequence[Kept], axis: int | None) -> Truth:
    """Return an output's truth: the float64 value, and how far the runs in its own dtype are from it.

    Args:
        exact: of the run in float64.
        runs: of those in its own dtype, the first on the very input.
        axis: of the channels.
    """
    own = runs[0].sample.astype(np.float64)
    error = max(_largest_error(run.sample, exact.sample) for run in runs)
    channels = None
    if exact.statistics is not None and runs[0].statistics is not None:
        noise = np.max([_channel_noise(run, exact, axis) for run in runs], axis=0)
        channels = np.vstack([exact.statistics, noise])
    return Truth(
        sample=np.where(np.isfinite(own), exact.sample.astype(np.float64), own),
        shape=exact.shape,
        scale=exact.scale,
        noise_floor=error / exact.scale,
        nonfinite=runs[0].nonfinite,
        nonfinite_in_float64=exact.nonfinite,
        channels=channels,
        channel_axis=axis,
        map=exact.map,
    )


def nan_words(value: NDArray[Any]) -> frozenset[str]:
    """Return in words that an output is NaN in the model itself: there, any runtime's NaN is right."""
    count = np.count_nonzero(np.isnan(value)) if value.dtype.kind == "f" else 0
    return frozenset({f"{'all' if count == value.size else 'some'} of it is NaN in the model itself"} if count else ())


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


def _largest_error(result: NDArray[np.generic], exact: NDArray[np.generic]) -> float:
    with np.errstate(invalid="ignore"):  # infinity minus infinity, left out in the next line
        error = np.abs(result.astype(np.float64) - exact.astype(np.float64))
    return float(np.max(error, initial=0.0, where=np.isfinite(error)))


def _map(spec: Output, whole: NDArray[Any]) -> NDArray[np.float32] | None:
    """Return the mean over the channels of the first image, H W."""
    if sorted(spec.layout) != sorted("NCHW"):
        return None
    image = whole.transpose([spec.layout.index(axis) for axis in "NCHW"])[0]
    return np.asarray(np.mean(image, axis=0, dtype=np.float64), np.float32)
