"""Whether the steps of a quantized file fit its numbers, by its own scales and zero points against the source's values.

A file can compute right in wrong steps: twice as coarse as the values need, or from below 0 for what a ReLU returns.
How far the range of a sane calibration is from that of one recorded input differs from file to file, so a tensor is
compared with the file's others.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..float64.bias_use import BiasUse
from ..float64.bit_noise import BitNoise
from ..float64.step_use import StepUse, WeightUse

__all__ = ["Steps"]

_COARSE_DB = 5.0
"""How much coarser than the file's median steps may be: 6 dB is a scale twice too large."""
_COARSE_OF_FEW_DB = 9.0
_FEW = 1024
"""Values, of fewer than which the range differs more from image to image, as that of the model's own input does."""
_SPREADS = 3.0
"""How many times further from the median than 95 % of the file's others: a calibration on other images differs by a
factor of 2 in a layer or two."""
_REACH = 0.6
"""Of what the file's other weights reach of their steps: what is at half of it has a scale twice too large."""
_MOST = 0.7
"""The share of weights of one kind that makes another an exception."""
_LEAST_WEIGHTS = 3
_MOST_CLIPPED = 4.0
"""Times: a moving average over four images reaches 3.1, percentiles 1.2."""


class _At(NamedTuple):
    output: str
    use: StepUse


class Steps:
    """The steps in which the outputs of a file are computed, collected while it is walked through."""

    def __init__(self, noise: BitNoise, outputs: Collection[str], reach: Mapping[str, float]) -> None:
        """Take what the walk collects, the outputs, and how many times as large they are on other inputs of a kind."""
        self._noise, self._outputs, self._reach = noise, outputs, reach
        self._used: list[_At] = []
        self._weights: list[tuple[str, WeightUse]] = []
        self._biases: list[tuple[str, str]] = []
        self._pending: list[BiasUse] = []
        self._overflows = 0
        self.overflow: float | None = None
        """The largest value on the way to this output, if float16 can't hold it."""

    def come_to(self, output: str) -> None:
        """Take what the walk met on its way to an output."""
        for use in self._noise.used[len(self._used) :]:
            owner = next((each for each in (use.real, use.given) if each in self._outputs), output)
            self._used.append(_At(owner, use))
        self._weights += [(output, use) for use in self._noise.weights[len(self._weights) :]]
        self._pending, self._noise.biases.found = self._noise.biases.found, []
        new = list(self._noise.overflows.values())[self._overflows :]
        self._overflows, self.overflow = self._overflows + len(new), new[0] if new else None

    def compare_biases(self, output: str, error: NDArray[Any]) -> None:
        """Take the error of this output, computed minus right, in which the biases on the way to it have their part."""
        self._biases += [
            (output, f"its bias's scale of {use.step:.3g} is {use.ratio:.3g} times its input's times its weight's")
            for use in self._pending
            if use.explains(error)
        ]

    def faults(self) -> dict[str, list[str]]:
        """Return the outputs whose steps don't fit, each with how, as the end of a sentence."""
        found = defaultdict[str, list[str]](list)
        for output, words in (*self._too_coarse(), *self._misplaced(), *self._half_used(), *self._biases):
            found[output].append(words)
        return dict(found)

    def clipped(self, output: str) -> list[str]:
        """Return, of an output that is wrong, the range that clips its values most, if one clips more than is usual."""
        used = [use for name, use in self._used if name == output]
        worst = max(used, key=lambda use: use.clipped, default=None)
        if worst is None or worst.clipped <= _MOST_CLIPPED:
            return []
        reached = f"values from {worst.least:.3g} to {worst.largest:.3g}"
        return [f"its range from {worst.low:.3g} to {worst.high:.3g} clips {reached}"]

    def other_kinds(self) -> dict[str, str]:
        """Return the outputs whose weights are of another kind than most are, each with both kinds."""
        found: dict[str, str] = {}
        for operator in {use.operator for _, use in self._weights}:
            kinds = Counter(use.kind for _, use in self._weights if use.operator == operator)
            usual, count = kinds.most_common(1)[0]
            if kinds.total() >= _LEAST_WEIGHTS and count >= _MOST * kinds.total():
                found |= {
                    output: f"{use.kind}, most others {usual}"
                    for output, use in self._weights
                    if use.operator == operator and use.kind != usual
                }
        return found

    @property
    def usually_clipped(self) -> float:
        """How much larger what is out of range makes the error of rounding: in three of four tensors, less.

        A range that was calibrated on other data than these inputs clips more than any calibration does on purpose.
        """
        usual = float(np.quantile([use.clipped for _, use in self._used], 0.75)) if self._used else 1.0
        return min(usual, _MOST_CLIPPED)

    def _too_coarse(self) -> Iterator[tuple[str, str]]:
        used = [(output, self._of_all_in_its_range(output, use)) for output, use in self._used]
        tested = [(output, use) for output, use in used if use.needed and use.given not in self._noise.inputs]
        for output, use in tested:
            others = [each.coarse_db for _, each in tested if (each.low, each.high) != (use.low, use.high)]
            if len(others) < _LEAST_WEIGHTS:
                continue
            usual, most = np.quantile(others, [0.5, 0.95])
            allowed = max(_COARSE_DB if use.size >= _FEW else _COARSE_OF_FEW_DB, _SPREADS * float(most - usual))
            if use.coarse_db - float(usual) > allowed and not use.is_of_operation:
                yield output, f"its scale of {use.step:.3g} is {use.step / use.needed:.3g} times what its values need"

    def _of_all_in_its_range(self, output: str, use: StepUse) -> StepUse:
        """Return how a range is used by all tensors that have it, since those that are concatenated get one, and by all
        inputs of the kind, since one image may reach half as far as the next.
        """
        sharing = [each for _, each in self._used if (each.low, each.high) == (use.low, use.high)]
        reach = self._reach.get(output, 1.0)
        least, largest = min(each.least for each in sharing), max(each.largest for each in sharing)
        return replace(use, least=reach * least, largest=reach * largest)

    def _misplaced(self) -> Iterator[tuple[str, str]]:
        for output, use in self._used:
            if use.starts_too_low:
                yield output, f"its zero point makes the range start at {use.low:.3g}, and its values start at 0"
            elif use.is_shifted:
                where = (
                    f"from {use.low:.3g} to {use.high:.3g}, and its values from {use.least:.3g} to {use.largest:.3g}"
                )
                yield output, f"its zero point makes the range {where}"

    def _half_used(self) -> Iterator[tuple[str, str]]:
        reached = [(output, use.reach) for output, use in self._weights if use.reach]
        usual = float(np.median([reach for _, reach in reached])) if reached else 0.0
        for output, reach in reached:
            if reach < _REACH * usual:
                yield output, f"its weights use {reach:.0%} of their steps, those of the others {usual:.0%}"
