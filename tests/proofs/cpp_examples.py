"""`make cpp-examples`: the C++ examples, built, run on a recorded input and a photo, judged as `verify --tensors` does.

    python -m proofs.cpp_examples artifacts/cpp.md  # cnn2, two CNNs and a transformer; libtorch of the torch package
    python -m proofs.cpp_examples artifacts/cpp.md --ort FOLDER  # and ONNX Runtime's release in FOLDER

First it does what docs/deploy.md shows of them. It is not among the tests because the headers of libtorch alone take
over 20 s to compile. It exits with 1 if an output fails, or if a photo's input is not Python's to the bit. An example
whose runtime isn't found is named on the page.
"""

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import numpy as np
import torch
from PIL import Image
from safetensors.numpy import load_file

from code_blocks import blocks_of
from conftest import ROOT
from proofs.recorded_elsewhere import MODELS, Row, exported, judged, shown_wrong, table
from runtime import Artifact
from runtime.runs.preprocessing import preprocess

__all__ = ["main"]

EXAMPLES = {"with_onnxruntime": "ONNX Runtime", "with_libtorch": "libtorch"}
PHOTO = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"


def build(folder: Path, ort: Path | None) -> list[str]:
    """Return the names of the examples that could be built."""
    options = [f"-DTORCH_ROOT={Path(torch.__file__).parent}", *([f"-DORT_ROOT={ort}"] if ort else [])]
    subprocess.run(["cmake", "-S", ROOT / "runtime" / "cpp", "-B", folder, *options], check=True)
    subprocess.run(["cmake", "--build", folder], check=True)
    return [name for name in EXAMPLES if (folder / name).exists()]


def run(binary: Path, artifact: Artifact, place: Path) -> Row:
    """Run one example on the first recorded input and on a photo, if the artifact says how one becomes an input."""
    recorded = place / "recorded.safetensors"
    subprocess.run([binary, artifact.path, "--recorded", "0", "-o", recorded], check=True, stdout=subprocess.DEVNULL)
    row = judged(artifact, recorded)
    return row if artifact.manifest.preprocessing is None else row._replace(photo=_photo(binary, artifact, place))


def _photo(binary: Path, artifact: Artifact, place: Path) -> str:
    photo, seen = place / "photo.ppm", place / "photo.safetensors"
    Image.open(PHOTO).convert("RGB").save(photo)
    words = [binary, artifact.path, photo, "-o", seen, "--grid", place / "grid.ppm"]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    name, steps = artifact.manifest.image_input()
    same = np.array_equal(load_file(seen)[f"input:{name}"], preprocess(Image.open(photo), steps)[None])
    return "equal" if same else "differs"


def follow_documentation(ort: Path | None, place: Path) -> None:
    """Build, run and judge the examples as the page on deployment shows it, in a folder with an artifact `net`.

    Raises:
        CalledProcessError: a command fails, or what an example computed.
    """
    exported("cnn2", place / "net")
    (place / "build").symlink_to(ROOT / "build")
    shown = [block.code for block in blocks_of(ROOT / "docs" / "deploy.md") if block.mark == "slow"]
    assert all("make cpp" in code for code in shown), "nothing else runs what is marked as slow"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for code in shown:
        if "ORT_ROOT" in code and not ort:
            continue
        here = code.replace("make cpp", f"make -C {shlex.quote(str(ROOT))} cpp")
        here = re.sub(r"ORT_ROOT=\S+", lambda _: f"ORT_ROOT={shlex.quote(str(ort and ort.absolute()))}", here)
        subprocess.run(["bash", "-euc", here], cwd=place, env={**os.environ, "PATH": path}, check=True)


def rows_of(models: list[str], ort: Path | None, place: Path) -> Iterator[Row]:
    """Yield a row for each model and example."""
    names = build(place / "build", ort)
    for model in models:
        artifact = exported(model, place / "artifact")
        for name in names:
            yield run(place / "build" / name, artifact, place)


def page_of(rows: list[Row]) -> str:
    """The page, in Markdown."""
    ran = {each.place.rpartition(" ")[0] for each in rows}
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
        *table(rows, "runtime"),
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
        follow_documentation(asked.ort, Path(place))
        rows = list(rows_of(asked.models, asked.ort, Path(place)))
    asked.page.write_text(page_of(rows), encoding="utf-8")
    return shown_wrong(rows)


if __name__ == "__main__":
    sys.exit(main())
