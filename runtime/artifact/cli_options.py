"""The command-line options shared by commands of all three packages, and the headings that `--help` groups options by.

The commands are in `probe/cli.py`, `export/cli.py`, `runtime/cli.py` and `runtime/*_cli.py`.
"""

from pathlib import Path
from typing import Annotated, Literal

import typer

from .errors import UsageError

__all__ = [
    "HEADINGS",
    "MODEL_FORMS",
    "REPORTS",
    "Capture",
    "CaptureOption",
    "DepthOption",
    "InputFilesOption",
    "LeafOption",
    "MeanOption",
    "OperationsOption",
    "OutputsOption",
    "QuietOption",
    "SeedOption",
    "SubmoduleOption",
    "WeightsOption",
    "parse_numbers",
    "parse_size",
]

REPORTS = "Reports"
HEADINGS = {
    name: heading
    for heading, names in {
        "Input": "given tensors limit sample classes input_size dynamic_size recorded_input save_input model weights "
        "seed mean std",
        "What to run": "outputs operations depth channels cam class_ method top submodule capture leaf runner provider "
        "batch repeats page all_pages averaged full trust allow_fallback",
        "Picture": "show_photo overlay reduce shared symmetric clip cmap columns width font_size aliases",
        REPORTS: "everything skipped as_json json picture baseline",
        "Settings": "graph_optimization tf32 threads convolution_search",
    }.items()
    for name in names.split()
}
"""By parameter: what `--help` groups its option under; the others are under Options."""

MODEL_FORMS = "cnn11, cnn2, cnn3, torchvision:NAME, timm:NAME, file.py:factory, package.module:factory or an ONNX file."
Capture = Literal["auto", "trace", "export"]

WeightsOption = Annotated[
    Path | None, typer.Option(metavar="F", help=".safetensors, or a .pt/.pth state dict; random by default.")
]
SeedOption = Annotated[int, typer.Option(min=0, max=2**63 - 1, metavar="N", help="Seed of random weights.")]
MeanOption = Annotated[
    str | None,
    typer.Option(
        metavar="R,G,B",
        help="Per channel, for pixels in 0 to 1; `layerprobe stats` prints both. The model's own by default.",
    ),
]
"""Of `--mean` and of `--std`."""
SubmoduleOption = Annotated[
    str | None, typer.Option(metavar="PATH", help="Only this part of the model, with the input passed to it.")
]
CaptureOption = Annotated[
    Capture,
    typer.Option("--capture", help="torch.fx symbolic tracing, torch.export, or the first of the two that works."),
]
LeafOption = Annotated[
    list[str] | None,
    typer.Option(
        "--leaf",
        metavar="CLASS",
        help="Modules of this class stay whole: SqueezeExcitation, 'torchvision.ops.*'. May be repeated.",
    ),
]
OutputsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--outputs",
        metavar="GLOB",
        help="Only these outputs: names, module paths (each module's last output), or globs of both, in which * also "
        "matches dots. May be repeated.",
    ),
]
OperationsOption = Annotated[
    list[str] | None,
    typer.Option("--op", metavar="LABEL", help="Only outputs with this label: Conv2d, '*Norm*'. May be repeated."),
]
DepthOption = Annotated[
    int | None,
    typer.Option(
        "--depth",
        min=1,
        metavar="N",
        help="Only what each block returns: the modules N deep, and layers and blocks above them.",
    ),
]
InputFilesOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--input",
        metavar="F",
        help="Instead of the usual inputs: a photo, .npy, .npz or .safetensors by name, or a folder of them.",
    ),
]
InputSizeOption = Annotated[
    str | None,
    typer.Option(metavar="N|HxW|CxHxW", help="Size of the input image, in pixels; the model's own by default."),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print only results and errors.")]


def parse_numbers(text: str | None) -> list[float] | None:
    """Parse `0.485,0.456,0.406`; None stays None.

    Raises:
        UsageError: `text` is not a list of numbers.
    """
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(f"{text!r} is not a list of numbers such as 0.485,0.456,0.406.") from error


def parse_size(text: str | None, *, channels: bool = False) -> tuple[int, ...]:
    """Parse `224` or `320x480` as height and width, and `1x28x28` as channels, height and width; None gives ().

    Args:
        text: the option's value.
        channels: whether three numbers are allowed.

    Raises:
        UsageError: `text` is not a size.
    """
    if text is None:
        return ()
    parts = text.lower().split("x")
    if len(parts) > 2 + channels or not all(part.isascii() and part.isdecimal() and int(part) for part in parts):
        forms = "224, 320x480 (height x width)" + (" or 1x28x28 (channels first)" if channels else "")
        raise UsageError(f"{text!r} is not a size: give {forms}.")
    sizes = tuple(map(int, parts))
    return sizes * 2 if len(sizes) == 1 else sizes
