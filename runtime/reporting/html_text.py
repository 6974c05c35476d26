"""Names and numbers as they are written in an HTML report, whatever a name holds."""

import html
import math
import re

from ..verdict.drift import OutputComparison
from ..verdict.report import RunnerReport
from ..verdict.verdict_kinds import Verdict
from .outcome_words import mark

__all__ = ["badge", "multiple", "output_badge", "safe"]

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def safe(text: object) -> str:
    """Return the text escaped for an element or a quoted attribute."""
    return html.escape(_CONTROL.sub("\ufffd", str(text)), quote=True)


def multiple(value: float | None, digits: int = 3) -> str:
    """Return a multiple of float32's own error, or a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    if value and not 1e-3 <= abs(value) < 1e5:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        return f"{mantissa}e{int(exponent)}".replace("-", "−")
    return f"{value:.{digits}g}" if abs(value) < 1000 else f"{value:.0f}"


def badge(verdict: Verdict, word: str = "") -> str:
    """Return a verdict as a label: colour, sign and word, its own if none is given."""
    return f'<span class="badge {verdict.tone}">{verdict.sign} {safe(word or verdict)}</span>'


def output_badge(runner: RunnerReport, found: OutputComparison) -> str:
    """Return the verdict on an output in a runner as a label; of a culprit that only drifts, that it is the culprit."""
    culprit = badge(Verdict.DRIFT, mark(runner, found)) if runner.is_culprit(found.name) else ""
    return culprit if culprit and found.verdict is Verdict.DRIFT else f"{culprit} {badge(found.verdict)}".lstrip()
