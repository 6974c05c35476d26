"""Recorded inputs, run outside Python by the C++ examples or the JavaScript package: judged, and a table of them."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from conftest import ROOT
from runtime import Artifact, open_artifact
from runtime.verdict.verification import verify

__all__ = ["MODELS", "Row", "exported", "judged", "shown_wrong", "table"]

MODELS = ("cnn2", "torchvision:resnet18", "torchvision:mobilenet_v3_small", "timm:vit_tiny_patch16_224")
"""The usual: the smallest, two CNNs and a transformer."""


class Row(NamedTuple):
    """What was computed of one model in one place."""

    model: str
    place: str
    """A runtime with its version, or where the JavaScript package ran."""
    outputs: int
    verdict: str
    largest_drift: float
    at: str
    photo: str | None = None
    """Whether a photo's input is Python's to the bit; None if none was made."""

    @property
    def is_right(self) -> bool:
        return self.verdict == "pass" and self.photo != "differs"


def exported(model: str, folder: Path) -> Artifact:
    """Export a model into a folder, over the one before."""
    command = [sys.executable, "-m", "runtime", "export", model, "-o", folder, "--overwrite"]
    subprocess.run(command, check=True, cwd=ROOT)
    return open_artifact(folder)


def judged(artifact: Artifact, recorded: Path, place: str | None = None) -> Row:
    """Judge a file as `layerprobe verify --tensors` does; the place is the runtime that it names, unless given."""
    runner = verify(artifact, tensors=[recorded]).runners[-1]
    worst = max(runner.outputs, key=lambda each: each.drift or 0.0)
    return Row(
        artifact.manifest.model,
        place or f"{runner.facts.get('runtime')} {runner.facts.get('version')}",
        len(runner.outputs),
        str(runner.verdict),
        worst.drift or 0.0,
        worst.name,
    )


def table(rows: Iterable[Row], place: str) -> list[str]:
    """Return a row for each, in Markdown; with a column of photos if any was turned into an input."""
    rows = list(rows)
    photos = any(each.photo for each in rows)
    return [
        f"| model | {place} | outputs | verdict | largest drift | at |{' photo |' if photos else ''}",
        f"| --- | --- | ---: | --- | ---: | --- |{' --- |' if photos else ''}",
        *(
            f"| {each.model} | {each.place} | {each.outputs} | {each.verdict} | {each.largest_drift:.3g} | {each.at} |"
            + (f" {each.photo or 'none'} |" if photos else "")
            for each in rows
        ),
    ]


def shown_wrong(rows: list[Row]) -> int:
    """Print what is wrong; return the exit code: 1 if anything is, or if nothing was judged."""
    wrong = [each for each in rows if not each.is_right]
    for each in wrong:
        print(f"{each.model} in {each.place}: {each.verdict}, photo {each.photo or 'none'}")
    return 1 if wrong or not rows else 0
