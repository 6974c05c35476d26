"""`make bench`: how long the main path takes, against the notebook's way and against plain PyTorch.

Not a test: nothing here asserts a time. Each comparison is interleaved, so that a noisy moment of the machine
affects both sides, and reported as median and spread.
"""

import contextlib
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
import torch

from benchmarks.page import describe_machine, write_section
from benchmarks.timing import Seconds, interleave
from export import export_artifact
from probe import Probe, build_probe, load_model
from runtime import (
    Artifact,
    Preprocessing,
    draw_grid,
    draw_pages,
    open_artifact,
    open_runner,
    preprocess_files,
    save_picture,
    save_pictures,
)
from runtime.artifact.manifest import Output
from runtime.maps.tile_places import OUTPUT_PAGE

VARIANTS = ("cnn11", "cnn2", "cnn3")
PHOTO = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
TILES = 500
TILE_SIZES = ((64, 112), (64, 56), (256, 56), (512, 28), (1024, 14), (2048, 7))
"""Channels, and height and width: those of a ResNet-50, in turns."""
STEPS = Preprocessing(resize=64, crop=(64, 64), mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])


def draw_the_notebook_way(probe: Probe, file: Path, **options: str) -> None:
    """Draw with one figure of 30 x 50 inches and `imshow` for each map, from tensors of eager PyTorch.

    Notebooks save it with `bbox_inches="tight"`, without which most of the picture is margin; it costs a second pass.
    """
    matplotlib.use("Agg")
    from matplotlib import pyplot

    with torch.no_grad():
        tensors = probe(torch.from_numpy(preprocess_files([PHOTO], STEPS)))
    maps = {output.name: tensors[output.name][0].mean(0) for output in probe.outputs if output.layout == "NCHW"}
    figure = pyplot.figure(figsize=(30, 50))
    for number, (name, values) in enumerate(maps.items(), 1):
        axes = figure.add_subplot(5, 4, number)
        axes.imshow(values)
        axes.axis("off")
        axes.set_title(name, fontsize=30)
    figure.savefig(file, **options)
    pyplot.close(figure)


def draw_our_way(artifact: Artifact, file: Path) -> Callable[[], None]:
    runner = open_runner(artifact, "onnx-cpu")

    def draw() -> None:
        arrays = runner.run({"x": preprocess_files([PHOTO], STEPS)})
        save_picture(draw_grid(arrays, artifact.manifest.outputs), file)

    return draw


def draw_many_tiles(folder: Path) -> dict[str, Callable[[], None]]:
    """Return functions that draw and save all pages of a large network, from its tensors and from its averaged maps."""
    rng = np.random.default_rng(0)
    outputs, tensors = [], {}
    for number in range(TILES):
        channels, side = TILE_SIZES[number % len(TILE_SIZES)]
        shape: list[int | str] = ["N", channels, side, side]
        facts = {
            "label": "Conv2d",
            "operation": "conv",
            "module_path": "",
            "source_file": None,
            "source_line": None,
            "alias_of": None,
        }
        outputs.append(Output(name=f"layer{number}", shape=shape, dtype="float32", layout="NCHW", **facts))
        tensors[f"layer{number}"] = rng.standard_normal((1, channels, side, side), np.float32)
    maps = {name: array.mean(1, keepdims=True) for name, array in tensors.items()}

    def draw(arrays: Mapping[str, np.ndarray], of: Sequence[Output]) -> None:
        save_pictures(draw_pages(arrays, of), folder / "page.jpg")

    averaged = [
        each.model_copy(update={"shape": (each.shape[0], 1, *each.shape[2:]), "averaged": each.shape[1]})
        for each in outputs
    ]
    return {"from the tensors": lambda: draw(tensors, outputs), "from averaged maps": lambda: draw(maps, averaged)}


def run_command(*arguments: object) -> Callable[[], object]:
    command = [sys.executable, "-m", "runtime", *map(str, arguments)]
    # As it is installed: where a shell forbids Python to keep what it compiles, it would compile 100 files each time.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return lambda: subprocess.run(command, check=True, capture_output=True, env=environment)


def export_plainly(model: torch.nn.Module, file: Path) -> None:
    """Export the way PyTorch's own documentation shows."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        shapes = ({0: torch.export.Dim("N")},)
        program = torch.onnx.export(model, (torch.zeros(2, 3, 64, 64),), dynamo=True, dynamic_shapes=shapes)
        assert program is not None
        program.save(file)


def measure(folder: Path) -> list[tuple[str, Seconds, str]]:
    """Return each comparison: its title, the seconds of each side, and what the ratio or the median should be."""
    found = []
    for name in VARIANTS:
        model = load_model(name).module.eval()
        probe = build_probe(model, torch.zeros(1, 3, 64, 64))
        artifact = open_artifact(export_artifact(probe, folder / name, preprocessing=STEPS))
        drawing = interleave(
            {
                "the notebook's way, tight": lambda probe=probe: draw_the_notebook_way(
                    probe, folder / "notebook.jpg", bbox_inches="tight"
                ),
                "the notebook's way": lambda probe=probe: draw_the_notebook_way(probe, folder / "notebook.jpg"),
                "layerprobe": draw_our_way(artifact, folder / "ours.jpg"),
            },
            rounds=9,
            warm=True,
        )
        found.append((f"{name}: photo to grid file, warm", drawing, "at least 15 times faster"))
        exporting = interleave(
            {
                "layerprobe, probe + artifact": lambda model=model, name=name: export_artifact(
                    build_probe(model, torch.zeros(1, 3, 64, 64)), folder / name, preprocessing=STEPS, overwrite=True
                ),
                "plain torch.onnx.export": lambda model=model: export_plainly(model, folder / "plain.onnx"),
            },
            rounds=5,
        )
        found.append((f"{name}: export to both formats", exporting, "at most twice the time"))
    cold = interleave(
        {
            "layerprobe grid": run_command("grid", folder / "cnn2", PHOTO, "-o", folder / "cold.jpg"),
            "layerprobe verify --runner onnx-cpu": run_command("verify", folder / "cnn2", "--runner", "onnx-cpu"),
        },
        rounds=9,
    )
    found.append(("cnn2: cold, a new process each", cold, "grid under 0.5 s, verify under 1 s"))
    many = interleave(draw_many_tiles(folder), rounds=9)
    found.append((f"{TILES} tiles to JPEG, in pages of {OUTPUT_PAGE.most_tiles} at most", many, "under 1 s"))
    return found


def report(found: list[tuple[str, Seconds, str]]) -> str:
    lines = [
        "# The main path's times",
        "",
        f"Measured by `make bench` on {time.strftime('%Y-%m-%d')}: {describe_machine()}.",
        "The sides of a comparison ran in turns in one process (the cold ones in a new process each time).",
        "",
        "| what | how | median, s | spread, s | times the last row | wanted |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for what, seconds, wanted in found:
        medians = [statistics.median(times) for times in seconds.values()]
        for number, (name, times) in enumerate(seconds.items()):
            is_last = number == len(medians) - 1
            ratio = "" if is_last or "cold" in what or "tiles" in what else f"{medians[number] / medians[-1]:.2f}"
            spread = f"{min(times):.3f} to {max(times):.3f}"
            cells = (what if not number else "", name, f"{medians[number]:.3f}", spread, ratio, wanted)
            lines.append(f"| {' | '.join(cells if not number else (*cells[:-1], ''))} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        text = report(measure(Path(temporary)))
    print(text)
    if len(sys.argv) > 1:
        write_section(Path(sys.argv[1]), text)
