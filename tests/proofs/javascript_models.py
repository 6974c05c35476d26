"""`make javascript-models`: what the JavaScript package computes in Node and in a browser, judged by Python.

    python -m proofs.javascript_models artifacts/javascript.md  # cnn2, two CNNs and a transformer

Each model's first recorded input is run by the package in ONNX Runtime of Node and in ONNX Runtime Web, by WebAssembly
in headless Chromium. The tests do the same for cnn2 alone. It exits with 1 if an output fails.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from javascript_here import run_node

from conftest import ROOT
from runtime import Artifact, open_artifact
from runtime.runners.node_support import find_chromium, why_no_browser
from runtime.verdict.verification import verify

__all__ = ["Row", "main"]

MODELS = ("cnn2", "torchvision:resnet18", "torchvision:mobilenet_v3_small", "timm:vit_tiny_patch16_224")
PLACES = {"Node": "record_runs.js", "Chromium": "record_in_browser.js"}


class Row(NamedTuple):
    """What the package computed of one model in one place."""

    model: str
    place: str
    outputs: int
    verdict: str
    largest_drift: float
    at: str


def judged(place: str, artifact: Artifact, folder: Path) -> Row:
    """Run the first recorded input in Node or in a browser."""
    run_node(f"testing/{PLACES[place]}", artifact.path, folder, LAYERPROBE_CHROMIUM=str(find_chromium()))
    runner = verify(artifact, tensors=[folder / "0.safetensors"]).runners[-1]
    worst = max(runner.outputs, key=lambda each: each.drift or 0.0)
    return Row(artifact.manifest.model, place, len(runner.outputs), str(runner.verdict), worst.drift or 0.0, worst.name)


def rows_of(models: list[str], folder: Path) -> Iterator[Row]:
    """Yield a row for each model and place."""
    for model in models:
        command = [sys.executable, "-m", "runtime", "export", model, "-o", folder / "artifact", "--overwrite"]
        subprocess.run(command, check=True, cwd=ROOT)
        for place in PLACES:
            yield judged(place, open_artifact(folder / "artifact"), folder)


def page_of(rows: list[Row]) -> str:
    """The page, in Markdown."""
    lines = [
        "# The JavaScript package",
        "",
        "What it computes of each model's first recorded input, in onnxruntime-node and, by WebAssembly in headless "
        "Chromium, in onnxruntime-web, judged as `layerprobe verify --tensors` does, on "
        f"{time.strftime('%Y-%m-%d')}. Drift is in multiples of eager float32's own error, up to 16 passes.",
        "",
        "| model | in | outputs | verdict | largest drift | at |",
        "| --- | --- | ---: | --- | ---: | --- |",
        *(
            f"| {each.model} | {each.place} | {each.outputs} | {each.verdict} | {each.largest_drift:.3g} | {each.at} |"
            for each in rows
        ),
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run, judge; write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("page", type=Path)
    parser.add_argument("models", nargs="*", default=list(MODELS))
    asked = parser.parse_args()
    missing = why_no_browser()
    if missing:
        sys.exit(f"It can't be shown here: {missing}.")
    with tempfile.TemporaryDirectory() as folder:
        rows = list(rows_of(asked.models, Path(folder)))
    asked.page.write_text(page_of(rows), encoding="utf-8")
    wrong = [each for each in rows if each.verdict != "pass"]
    for each in wrong:
        print(f"{each.model} in {each.place}: {each.verdict}")
    return 1 if wrong or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
