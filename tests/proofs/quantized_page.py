"""The rows of `make quantized-candidates`, and their page in Markdown."""

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from proofs.zoo import describe_machine, describe_versions

__all__ = ["Row", "as_page"]


@dataclass(frozen=True)
class Row:
    """What became of one file."""

    section: str
    """`right`, `faulty`, or `told` of what is worse than it could be and right."""
    model: str
    kind: str
    """The maker, or the fault."""
    outcome: str
    """`pass`, `fail`, `refused`, or `not made`."""
    words: str
    lowest_sqnr: float | None = None
    most: float | None = None
    """The largest error in multiples of what the bits explain."""
    place: str = ""
    named: bool = False
    peer: bool | None = None
    """Whether ONNX Runtime's worst tensor or weight is the faulty one."""

    @property
    def good(self) -> bool:
        return {"right": self.outcome == "pass", "told": self.outcome == "pass" and self.named}.get(
            self.section, self.outcome == "fail" and self.named
        )


def as_page(rows: Sequence[Row]) -> str:
    """Return the page."""
    right, faulty, told = ([row for row in rows if row.section == each] for each in ("right", "faulty", "told"))
    made = [row for row in right if row.outcome != "not made"]
    measured = [row for row in faulty if row.peer is not None]
    largest = max((row.most for row in right if row.outcome == "pass" and row.most is not None), default=0.0)
    refused, passing = (sum(row.outcome == each for row in faulty) for each in ("refused", "pass"))
    lines = [
        "# Files in few bits, right and faulty",
        "",
        "Made by `make quantized-candidates` (`tests/proofs/quantized_candidates.py`). Right files in 8 bits (QDQ,",
        "QLinear operators, dynamic), 4 bits, float8, float16 and bfloat16 have to pass, whatever they were calibrated",
        "by; a fault that is planted into one has to fail at its layer. They are judged as they are, in float64",
        "(`onnx-float64`): kernels of 8-bit integers saturate on some processors, which is the runtime's fault then.",
        "",
        f"**Of {len(made)} right files, {sum(row.good for row in made)} pass.** The largest error of a segment in these"
        f" is {largest:.1f} times what its bits explain; up to 4 pass.",
        f"{len(right) - len(made)} could not be made by their tool.",
        "",
        f"**Of {len(faulty)} faults, {sum(row.outcome == 'fail' for row in faulty)} fail,"
        f" {sum(row.good for row in faulty)} of them at their layer**; {refused} are refused as another model's, and"
        f" {passing} pass.",
        f"ONNX Runtime's `qdq_loss_debug`, which needs the names of its own quantizer, can measure {len(measured)}",
        f"of the files; in {sum(bool(row.peer) for row in measured)} of them the tensor or the weight of the lowest"
        " signal-to-noise ratio is the faulty one.",
        "It doesn't say how low is too low.",
        "",
        f"**{len(told)} right files have a layer of another precision than the others: {sum(row.good for row in told)}"
        " pass, and the layer is told.**",
        "",
        f"{describe_machine()}; {time.strftime('%Y-%m-%d')}; {describe_versions()}.",
        "",
        "## Right files",
        "",
        "| model | maker | result | lowest SQNR | largest error |",
        "| --- | --- | --- | ---: | ---: |",
        *(f"| {row.model} | {row.kind} | {_outcome(row)} | {_numbers(row)} |" for row in right),
        "",
        "## Planted faults",
        "",
        "The layer is the operation that computes the faulty tensor, or the one that reads it.",
        "",
        *_faults([*faulty, *told]),
    ]
    return "\n".join(lines) + "\n"


def _faults(rows: Sequence[Row]) -> Iterator[str]:
    yield "| fault | model | at | result | named | qdq_loss_debug's worst |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for row in sorted(rows, key=lambda row: row.section):
        peer = "" if row.peer is None else "is it" if row.peer else "another"
        named = "yes" if row.named else "no"
        yield f"| {row.kind} | {row.model} | {row.place} | {_outcome(row, brief=True)} | {named} | {peer} |"


def _outcome(row: Row, *, brief: bool = False) -> str:
    if row.outcome == "pass" or (brief and row.outcome == "fail" and row.named):
        return row.outcome
    words = re.sub(r"\S*/(\d+|faulty)\.onnx", "the file", row.words)
    return f"{row.outcome}: {words}".replace("|", "/")


def _numbers(row: Row) -> str:
    if row.outcome not in {"pass", "fail"}:
        return " | "
    sqnr = "" if row.lowest_sqnr is None else f"{row.lowest_sqnr:.1f} dB"
    return f"{sqnr} | {'' if row.most is None else f'{row.most:.2f}'}"
