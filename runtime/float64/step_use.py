"""How the steps of a file fit its numbers: those of a quantizer its tensor, those of weights these."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .quantization import integer_limits

__all__ = ["StepUse", "WeightUse"]

Array = NDArray[Any]


@dataclass(frozen=True)
class StepUse:
    """The range of whole steps, and the values that are to be told in them, in the tensor's own unit."""

    given: str
    """The tensor that is quantized."""
    real: str
    """Its real numbers again, if a node returns these."""
    low: float
    high: float
    """What the steps reach."""
    least: float
    largest: float
    """Of the values and 0; what a range that starts at 0 cuts off, as a ReLU does, is none."""
    step: float
    """The largest, where each channel has its own."""
    steps: float
    """From low to high."""
    beyond: float
    """Mean square of how far values are out of range."""
    zeros: float
    """Share of the values that are exactly 0."""
    size: int

    @classmethod
    def of(cls, given: str, real: str, values: Array, step: Array, low: Any, high: Any) -> "StepUse":
        """Take values, and the steps, which broadcast: `low` to `high` of them."""
        bottom, top = float(np.min(low * step)), float(np.max(high * step))
        least = float(np.min(values, initial=0.0))
        return cls(
            given=given,
            real=real,
            low=bottom,
            high=top,
            least=least if bottom < 0 else 0.0,
            largest=float(np.max(values, initial=0.0)),
            step=float(np.max(step)),
            steps=float(np.max(high - low)),
            beyond=_beyond(values, bottom, top),
            zeros=float(np.mean(values == 0)),
            size=values.size,
        )

    @property
    def clipped(self) -> float:
        """How much larger the error of rounding is made by what is out of range."""
        return math.sqrt(1 + self.beyond / (max(self.step, self.needed) ** 2 / 12))

    @property
    def is_shifted(self) -> bool:
        """Whether one end of the range is short while the other is left unused: the zero point is elsewhere."""
        ends = (self.least - self.low, self.high - self.largest)
        span = self.high - self.low
        return not self.is_symmetric and min(ends) < -_SHORT * span and max(ends) > _UNUSED * span

    @property
    def is_symmetric(self) -> bool:
        """Whether the range has its zero in the middle."""
        return abs(self.low + self.high) <= 1.5 * self.step

    @property
    def is_of_operation(self) -> bool:
        """Whether the range is 0 to 1, which quantizers give a softmax or a sigmoid whatever its values are."""
        return self.low == 0.0 and abs(self.high - 1.0) <= 1.5 * self.step

    @property
    def needed(self) -> float:
        """The step from the least value to the largest, or as far below 0 as above in a symmetric range."""
        span = 2 * max(-self.least, self.largest) if self.is_symmetric else self.largest - self.least
        return span / self.steps

    @property
    def coarse_db(self) -> float:
        """How much coarser the steps are than needed, in decibels: 6 where they are twice as large."""
        return 20 * math.log10(self.step / self.needed) if self.needed else 0.0

    @property
    def starts_too_low(self) -> bool:
        """Whether it reaches below 0 for values that a ReLU has cut off there; a symmetric one always does."""
        return not self.is_symmetric and self.low <= -self.step and self.least == 0.0 and self.zeros >= _CUT_OFF


def _beyond(values: Array, low: float, high: float) -> float:
    off = np.maximum(values - high, 0.0) if low >= 0 else values - np.clip(values, low, high)
    return float(np.mean(np.square(off)))


_SHORT, _UNUSED = 0.08, 0.2
"""Of the range; a calibration on other images may differ by half as much."""
_CUT_OFF = 0.01
"""The least share of zeros that a ReLU leaves."""


@dataclass(frozen=True)
class WeightUse:
    """What kind of numbers weights are, and how far they use it."""

    kind: str
    """`float32`, `int8 with one scale`, `int8 with a scale per channel`."""
    reach: float | None = None
    """The largest weight, in parts of the largest number that the steps reach."""
    operator: str = ""
    """That multiplies by them."""

    @classmethod
    def of(cls, weights: Array, scale: Array | None, zero: Array | None = None) -> "WeightUse":
        """Take weights in whole steps; `scale`, or what is as long, has one or more elements."""
        several = scale is not None and scale.size > 1
        blocks = several and scale is not None and scale.ndim > 1
        scales = "a scale per block" if blocks else "a scale per channel" if several else "one scale"
        kind = f"{weights.dtype.name} with {scales}"
        limits = integer_limits(weights.dtype)
        if limits is None or not weights.size:
            return cls(kind)
        middle = float(np.mean(zero.astype(np.float64))) if zero is not None and zero.size else 0.0
        largest = max(limits[1] - middle, middle - limits[0] - 1)
        return cls(kind, float(np.max(np.abs(weights.astype(np.float64) - middle))) / largest)
