"""The table of verdicts: what comparing an output can come to. To add one, add its row."""

from enum import StrEnum
from typing import Literal

__all__ = ["Verdict"]

Tone = Literal["good", "warning", "bad"]


class Verdict(StrEnum):
    """What an output, or a runner, comes to. In JSON it is its name.

    Attributes:
        fails: whether it fails the runner.
        sign: what stands for it beside the colour.
        tone: how it is coloured.
        words: what is said of an output that has it: `fc has another shape or type`.
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
    UNPROVEN  = "unproven",  False, "?", "warning", "can't be proven: eager float32 is far from float64, or infinite"
    DRIFT     = "drift",     True,  "✕", "bad",     "drifts"
    NONFINITE = "nonfinite", True,  "✕", "bad",     "is NaN or infinite"
    MISSING   = "missing",   True,  "✕", "bad",     "is missing"
    SHAPE     = "shape",     True,  "✕", "bad",     "has another shape or type"
    PLACEMENT = "placement", True,  "⚠", "warning", "ran elsewhere than requested"
    # fmt: on
