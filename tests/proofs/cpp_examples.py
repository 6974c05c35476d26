"""`make cpp-examples`: the C++ examples, built, run on a recorded input and a photo, judged as `verify --tensors` does.

    python -m proofs.cpp_examples artifacts/cpp.md  # cnn2, two CNNs and a transformer; libtorch of the torch package
    python -m proofs.cpp_examples artifacts/cpp.md --ort FOLDER  # and ONNX Runtime's release in FOLDER

It is not among the tests because the headers of libtorch alone take over 20 s to compile. It exits with 1 if an output
fails, or if a photo's input is not Python's to the bit. An example whose runtime isn't found is named on the page.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import torch
from PIL import Image
from safetensors.numpy import load_file

from conftest import ROOT
from runtime import Artifact, open_artifact
from runtime.runs.preprocessing import preprocess
from runtime.verdict.verification import verify

__all__ = ["Row", "main"]

MODELS = ("cnn2", "torchvision:resnet18", "torchvision:mobilenet_v3_small", "timm:vit_tiny_patch16_224")
EXAMPLES = {"with_onnxruntime": "ONNX Runtime", "with_libtorch": "libtorch"}
PHOTO = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"


class Row(NamedTuple):
    """What one example computed of one model."""

    model: str
    runtime: str
    outputs: int
    verdict: str
    largest_drift: float
    at: str
    photo: str
    """Whether the photo's input is Python's, `equal`; `none` where the artifact has no preprocessing."""

    @property
    def is_right(self) -> bool:
        return self.verdict == "pass" and self.photo != "differs"


def build(folder: Path, ort: Path | None) -> list[str]:
    """Return the names of the examples that could be built."""
    options = [f"-DTORCH_ROOT={Path(torch.__file__).parent}", *([f"-DORT_ROOT={ort}"] if ort else [])]
    subprocess.run(["cmake", "-S", ROOT / "runtime" / "cpp", "-B", folder, *options], check=True)
    subprocess.run(["cmake", "--build", folder], check=True)
    return [name for name in EXAMPLES if (folder / name).exists()]


def judged(binary: Path, artifact: Artifact, place: Path) -> Row:
    """Run one example on the first recorded input and on a photo."""
    recorded = place / "recorded.safetensors"
    subprocess.run([binary, artifact.path, "--recorded", "0", "-o", recorded], check=True, stdout=subprocess.DEVNULL)
    runner = verify(artifact, tensors=[recorded]).runners[-1]
    worst = max(runner.outputs, key=lambda each: each.drift or 0.0)
    return Row(
        artifact.manifest.model,
        f"{runner.facts.get('runtime')} {runner.facts.get('version')}",
        len(runner.outputs),
        str(runner.verdict),
        worst.drift or 0.0,
        worst.name,
        "none" if artifact.manifest.preprocessing is None else _photo(binary, artifact, place),
    )


def _photo(binary: Path, artifact: Artifact, place: Path) -> str:
    photo, seen = place / "photo.ppm", place / "photo.safetensors"
    Image.open(PHOTO).convert("RGB").save(photo)
    words = [binary, artifact.path, photo, "-o", seen, "--grid", place / "grid.ppm"]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    name, steps = artifact.manifest.image_input()
    same = np.array_equal(load_file(seen)[f"input:{name}"], preprocess(Image.open(photo), steps)[None])
    return "equal" if same else "differs"


def rows_of(models: list[str], ort: Path | None, place: Path) -> Iterator[Row]:
    """Yield a row for each model and example."""
    names = build(place / "build", ort)
    for model in models:
        folder = place / "artifact"
        command = [sys.executable, "-m", "runtime", "export", model, "-o", folder, "--overwrite"]
        subprocess.run(command, check=True, cwd=ROOT)
        for name in names:
            yield judged(place / "build" / name, open_artifact(folder), place)


def page_of(rows: list[Row]) -> str:
    """The page, in Markdown."""
    ran = {each.runtime.rpartition(" ")[0] for each in rows}
    missing = [name for name, runtime in EXAMPLES.items() if not any(each.startswith(runtime) for each in ran)]
    lines = [
        "# The C++ examples",
        "",
        "What `runtime/cpp/examples` computed, judged as `layerprobe verify --tensors` does, on "
        f"{time.strftime('%Y-%m-%d')}. Drift is in multiples of eager float32's own error, up to 16 passes. `photo`: "
        "whether the input that the headers make of a photo is Python's to the bit; none: the artifact "
        "was exported without preprocessing.",
        "",
        *(f"`{name}` was not built: its runtime's headers were not found.\n" for name in missing),
        "| model | runtime | outputs | verdict | largest drift | at | photo |",
        "| --- | --- | ---: | --- | ---: | --- | --- |",
        *(
            f"| {each.model} | {each.runtime} | {each.outputs} | {each.verdict} | {each.largest_drift:.3g} | {each.at} "
            f"| {each.photo} |"
            for each in rows
        ),
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Build, run, judge; write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("page", type=Path)
    parser.add_argument("--ort", type=Path, help="a release of ONNX Runtime, with include/ and lib/")
    parser.add_argument("models", nargs="*", default=list(MODELS))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        rows = list(rows_of(asked.models, asked.ort, Path(place)))
    asked.page.write_text(page_of(rows), encoding="utf-8")
    wrong = [each for each in rows if not each.is_right]
    for each in wrong:
        print(f"{each.model} in {each.runtime}: {each.verdict}, photo {each.photo}")
    return 1 if wrong or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
