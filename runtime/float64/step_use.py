"""How a quantizer's range fits the values that it is given: what is beyond it, and what is left unused."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["StepUse"]


@dataclass(frozen=True)
class StepUse:
    """The range of whole steps, and the values that are to be told in them, in the tensor's own unit."""

    low: float
    high: float
    """What the steps reach, with zero inside."""
    least: float
    largest: float
    """Of the values."""
    step: float
    """The largest, where each channel has its own."""
    steps: float
    """From low to high."""
    beyond: float
    """Share of the values that are out of range."""
    beyond_power: float
    """Mean square of how far these are."""
    zeros: float
    """Share of the values that are exactly 0."""
    size: int

    @classmethod
    def of(cls, values: NDArray[Any], step: NDArray[Any], low: Any, high: Any) -> "StepUse":
        """Take values, and the steps, which broadcast: `low` to `high` of them."""
        bottom, top = np.asarray(low * step, np.float64), np.asarray(high * step, np.float64)
        off = values - np.clip(values, bottom, top)
        # Half a step is rounded.
        out = np.abs(off) > step / 2
        return cls(
            low=float(np.min(bottom)),
            high=float(np.max(top)),
            least=float(np.min(values, initial=0.0)),
            largest=float(np.max(values, initial=0.0)),
            step=float(np.max(step)),
            steps=float(np.max(high - low)),
            beyond=float(np.mean(out)),
            beyond_power=float(np.mean(np.where(out, np.square(off), 0.0))),
            zeros=float(np.mean(values == 0)),
            size=values.size,
        )

    @property
    def coarse_db(self) -> float:
        """How much coarser the steps are than those from the least value to the largest, in decibels."""
        needed = (self.largest - self.least) / self.steps
        return 20 * math.log10(self.step / needed) if needed else 0.0

    @property
    def clipped_db(self) -> float:
        """The power of what is out of range, in decibels over that of rounding to 255 steps of the values' own range."""
        allowed = ((self.largest - self.least) / _USUAL_STEPS) ** 2 / 12
        return 10 * math.log10(self.beyond_power / allowed) if allowed and self.beyond_power else -math.inf


_USUAL_STEPS = 255
"""Of 8 bits; of more, a value that is out of range by a hair would count as a fault."""
