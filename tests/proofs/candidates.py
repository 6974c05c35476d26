"""`make candidates`: files that other tools make of a model, each judged against the model's artifact; into a page.

    python -m proofs.candidates artifacts/candidates.md
    python -m proofs.candidates artifacts/candidates.md 'torchvision:resnet*'  # these again; other rows stay

Every one of these files is right, so each must pass. The rows are kept beside the page (`candidates.jsonl`). It exits
with 1 if one fails. Faults are planted in `tests/export/candidate/`.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnxruntime

from export.sources import write_candidate_of
from proofs.by_model import ModelProof
from proofs.candidate_makers import MAKERS, Made
from proofs.verdict_models import export_model, sound_model
from proofs.zoo import describe_machine, describe_versions
from runtime import Artifact, LayerprobeError, open_artifact
from runtime.float64.number_types import LARGEST
from runtime.runners.onnx_session import session_options
from runtime.verdict.drift import FILE_RUNNER
from runtime.verdict.verification import verify

__all__ = ["PROOF"]

MODELS = (
    "torchvision:alexnet",
    "torchvision:convnext_tiny",
    "torchvision:densenet121",
    "torchvision:efficientnet_b0",
    "torchvision:googlenet",
    "torchvision:mnasnet0_5",
    "torchvision:mobilenet_v2",
    "torchvision:mobilenet_v3_small",
    "torchvision:regnet_y_400mf",
    "torchvision:resnet18",
    "torchvision:shufflenet_v2_x0_5",
    "torchvision:squeezenet1_1",
    "torchvision:swin_t",
    "timm:dla46x_c",
    "timm:edgenext_xx_small",
    "timm:efficientnet_lite0",
    "timm:ghostnet_050",
    "timm:hrnet_w18_small",
    "timm:mobilevit_xxs",
    "timm:repvgg_a0",
)


@dataclass(frozen=True)
class Row:
    """What became of one file."""

    model: str
    maker: str
    outcome: str
    """`pass`, `fail`, `refused`, `overflow` if the model's values are no numbers of float16, `not made` where the tool
    itself failed or ONNX Runtime can't load its file."""
    words: str
    """The headline, or the message."""
    found: int = 0
    fused: int = 0
    unmatched: int = 0
    lowest_sqnr: float | None = None
    """Of the segments of a file in fewer bits, in decibels."""
    seconds: float = 0.0


def rows_of(name: str, folder: Path) -> Iterator[Row]:
    """Yield a row for each maker."""
    module, example = sound_model(name)
    artifact, made = export_model(name, folder / "artifact"), Made(module, example[0], folder)
    for maker, make in MAKERS.items():
        file = folder / f"{len(list(folder.iterdir()))}.onnx"
        try:
            make(made, file)
            onnxruntime.InferenceSession(file, session_options("basic"), providers=["CPUExecutionProvider"])
        except Exception as error:
            reason = (str(error).strip().splitlines() or [""])[-1].replace(f"{folder}/", "")
            yield Row(name, maker, "not made", reason[:120])
            continue
        yield _judge(name, maker, file, artifact, folder / f"{file.stem}-judged")


def _judge(name: str, maker: str, file: Path, source: Artifact, folder: Path) -> Row:
    begun = time.perf_counter()
    try:
        right_values = write_candidate_of(file, source, folder, lambda phase: None)
        report = verify(open_artifact(folder), [FILE_RUNNER, "onnx-cpu"], right_values=right_values)
    except LayerprobeError as error:
        return Row(name, maker, "refused", str(error).splitlines()[0])
    seconds, known = time.perf_counter() - begun, report.candidate
    assert known is not None
    lost = [each.sqnr_db for each in report.runners[0].outputs if each.sqnr_db is not None]
    # Right to fail, whoever judges it: what float16 can't hold is infinite.
    largest = max(truth.scale for truth in source.reference().truths.values())
    overflows = known.precision == "float16" and largest > LARGEST["float16"]
    return Row(
        name,
        maker,
        "pass" if report.passed else "overflow" if overflows else "fail",
        report.headline,
        known.matched,
        len(known.fused),
        len(known.unmatched),
        min(lost, default=None) if known.precision != "float32" else None,
        seconds,
    )


def as_page(rows: Sequence[Row]) -> str:
    """Return the Markdown page."""
    counts = Counter(row.outcome for row in rows)
    judged = counts["pass"] + counts["fail"]
    absent = [name for name in MODELS if all(row.model != name for row in rows)]
    lines = [
        "# Files that other tools make",
        "",
        "Made by `make candidates` (`tests/proofs/candidates.py`): what 14 makers of ONNX files make of a model, each",
        "judged against the model's artifact, at 64 x 64 pixels, with batch norms that look trained. All these files",
        "are right, so a file that fails is a false alarm. *Found* are the source's outputs that the file computes,",
        "*fused* those that it computes in another or has removed, *lost* those that were not found although they are",
        "neither. The lowest signal-to-noise ratio is of a file in fewer bits: of the segment that loses most.",
        "",
        f"**Of {judged} files that were judged, {counts['pass']} pass and {counts['fail']} fail**;"
        f" {counts['refused']} are refused in words; {counts['not made']} could not be made by their tool, or can't be"
        f" loaded by ONNX Runtime. {counts['overflow']} in float16 are of a model whose values float16 can't hold, and"
        " are told that.",
        *([f"**Not run: {', '.join(absent)}.**"] if absent else []),
        "",
        f"{describe_machine()}; {time.strftime('%Y-%m-%d')}; {describe_versions()}.",
        "",
        "| model | maker | result | found | fused | lost | lowest SQNR | seconds |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |",
        *map(_line, rows),
    ]
    return "\n".join(lines) + "\n"


def _line(row: Row) -> str:
    numbers = ["", "", "", "", ""]
    if row.outcome in {"pass", "fail", "overflow"}:
        sqnr = "" if row.lowest_sqnr is None else f"{row.lowest_sqnr:.1f} dB"
        numbers = [str(row.found), str(row.fused), str(row.unmatched), sqnr, f"{row.seconds:.1f}"]
    outcome = row.outcome if row.outcome == "pass" else f"{row.outcome}: {row.words}".replace("|", "/")
    return f"| {row.model} | {row.maker} | {outcome} | {' | '.join(numbers)} |"


PROOF = ModelProof(
    "make candidates",
    MODELS,
    Row,
    rows_of,
    place=lambda row: (MODELS.index(row.model), list(MAKERS).index(row.maker)),
    said=lambda row: f"{row.maker}: {row.outcome} {row.words[:100]}",
    as_page=as_page,
    is_good=lambda row: row.outcome != "fail",
)


if __name__ == "__main__":
    PROOF.main()
