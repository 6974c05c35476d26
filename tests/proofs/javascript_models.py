"""`make javascript-models`: what the JavaScript package computes in Node and in a browser, judged by Python.

    python -m proofs.javascript_models artifacts/javascript.md  # cnn2, two CNNs and a transformer

Each model's first recorded input is run by the package in ONNX Runtime of Node and in ONNX Runtime Web, by WebAssembly
in headless Chromium. The tests do the same for cnn2 alone. It exits with 1 if an output fails.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from javascript_here import run_node

from proofs.recorded_elsewhere import MODELS, Row, exported, judged, shown_wrong, table
from runtime.runners.node_support import find_chromium, why_no_browser

__all__ = ["main"]

PLACES = {"Node": "record_runs.js", "Chromium": "record_in_browser.js"}


def rows_of(models: list[str], folder: Path) -> Iterator[Row]:
    """Yield a row for each model and place."""
    for model in models:
        artifact = exported(model, folder / "artifact")
        for place, script in PLACES.items():
            run_node(f"testing/{script}", artifact.path, folder, LAYERPROBE_CHROMIUM=str(find_chromium()))
            yield judged(artifact, folder / "0.safetensors", place)


def page_of(rows: list[Row]) -> str:
    """The page, in Markdown."""
    lines = [
        "# The JavaScript package",
        "",
        "What it computes of each model's first recorded input, in onnxruntime-node and, by WebAssembly in headless "
        "Chromium, in onnxruntime-web, judged as `layerprobe verify --tensors` does, on "
        f"{time.strftime('%Y-%m-%d')}. Drift is in multiples of eager float32's own error, up to 16 passes.",
        "",
        *table(rows, "in"),
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
    return shown_wrong(rows)


if __name__ == "__main__":
    sys.exit(main())
