"""The table of verdicts: the possible results of comparing an output. To add one, add its row."""

from enum import StrEnum
from typing import Literal

__all__ = ["Verdict"]

Tone = Literal["good", "warning", "bad"]


class Verdict(StrEnum):
    """The verdict on an output or a runner. In JSON it is its name.

    Attributes:
        fails: whether it fails the runner.
        sign: the symbol shown beside the colour.
        tone: its colour.
        words: what follows the name of an output with it: `fc has a different shape or type`.
    """

    fails: bool
    sign: str
    tone: Tone
    words: str

    def __new__(cls, name: str, fails: bool, sign: str, tone: Tone, words: str) -> "Verdict":
        row = str.__new__(cls, name)
        row._value_ = name
        row.fails, row.sign, row.tone, row.words = fails, sign, tone, words
        return row

    # fmt: off
    PASS      = "pass",      False, "✓", "good",    "passes"
    INHERITED = "inherited", False, "↳", "warning", "inherits its error"
    UNPROVEN  = "unproven",  False, "?", "warning", "can't be proven: float32 is far from float64, or infinite"
    DRIFT     = "drift",     True,  "✕", "bad",     "drifts"
    NONFINITE = "nonfinite", True,  "✕", "bad",     "is NaN or infinite"
    MISSING   = "missing",   True,  "✕", "bad",     "is missing"
    SHAPE     = "shape",     True,  "✕", "bad",     "has a different shape or type"
    RANGE     = "range",     True,  "✕", "bad",     "is quantized in steps that do not fit its values"
    PLACEMENT = "placement", True,  "⚠", "warning", "ran elsewhere than requested"
    # fmt: on
