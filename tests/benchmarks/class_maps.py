"""`make bench`: how long a class activation map takes by each method, beside one run of the model.

Not a test: nothing here asserts a time. In CPU seconds of one thread, which other processes don't change much.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import matplotlib
import torch
import torchvision

from benchmarks.page import describe_machine, write_section
from benchmarks.timing import interleave
from export import export_artifact
from probe import build_probe
from runtime import (
    ClassActivation,
    Preprocessing,
    Settings,
    class_activation,
    open_artifact,
    open_runner,
    preprocess_files,
)
from runtime.cam.methods import METHODS

PHOTO = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
STEPS = Preprocessing(resize=256, crop=(224, 224), mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])
SETTINGS = Settings(threads=1)
ROUNDS = 3


def measure(folder: Path) -> dict[str, tuple[float, ClassActivation | None]]:
    """Return by way the seconds of a ResNet-18, from the photo to the map, and the map."""
    torch.manual_seed(0)
    probe = build_probe(torchvision.models.resnet18().eval(), torch.zeros(1, 3, 224, 224))
    artifact = open_artifact(export_artifact(probe, folder / "resnet18", preprocessing=STEPS))
    runner = open_runner(artifact, "onnx-cpu", SETTINGS, artifact.manifest.result_names)
    found: dict[str, ClassActivation] = {}

    def draw(method: str) -> None:
        found[method] = class_activation(artifact, PHOTO, 0, method, runner="onnx-cpu", settings=SETTINGS)

    ways: dict[str, Callable[[], object]] = {
        "the model, once": lambda: runner.run({"x": preprocess_files([PHOTO], STEPS)})
    }
    seconds = interleave(ways | {name: partial(draw, name) for name in METHODS}, ROUNDS, clock=time.process_time)
    return {name: (statistics.median(times), found.get(name)) for name, times in seconds.items()}


def report(measured: dict[str, tuple[float, ClassActivation | None]]) -> str:
    lines = [
        "# Class activation maps",
        "",
        f"Measured by `make bench` on {time.strftime('%Y-%m-%d')}: {describe_machine()}.",
        "A ResNet-18 in ONNX Runtime, of a photo at 224 x 224: its last layer has 512 channels of 7 x 7 pixels.",
        f"CPU seconds in one thread, medians of {ROUNDS} in turns after one that warms up. Those of a map are from the",
        "path of the artifact on: opening the ONNX file and reading its graph are part of them, not of the first row.",
        "",
        "| from the photo to | seconds | channels that count |",
        "| --- | ---: | ---: |",
    ]
    for name, (seconds, found) in measured.items():
        counted = "" if found is None or found.weights is None else str(int((found.weights != 0).sum()))
        lines.append(f"| {'the result' if found is None else f'the map by {name}'} | {seconds:.2f} | {counted} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        text = report(measure(Path(temporary)))
    print(text)
    if len(sys.argv) > 1:
        write_section(Path(sys.argv[1]), text)
