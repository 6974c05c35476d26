"""`layerprobe nodes`. PyTorch is imported when the command runs, so that `layerprobe --help` stays quick."""

import sys
from contextlib import redirect_stdout
from typing import Annotated

import typer

__all__ = ["InputSizeOption", "ModelArgument", "OutputsOption", "nodes"]


ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="cnn11, cnn2, cnn3, torchvision:NAME, timm:NAME, file.py:factory")
]
OutputsOption = Annotated[
    list[str] | None, typer.Option("--outputs", metavar="GLOB", help="Only these, and what the model returns.")
]
InputSizeOption = Annotated[
    int | None, typer.Option(min=1, help="Height and width of the input, in pixels; the model's own by default.")
]


def nodes(model: ModelArgument, outputs: OutputsOption = None, input_size: InputSizeOption = None) -> None:
    """List every output of a model's probe: name, label, shape, where in the source."""
    import torch
    from rich.console import Console
    from rich.table import Table

    from . import build_probe, load_model

    # What a model's own code prints is no result of ours.
    with redirect_stdout(sys.stderr):
        loaded = load_model(model)
        size = input_size or loaded.input_size
        probe = build_probe(loaded.module, torch.zeros(1, len(loaded.mean), size, size), outputs=outputs or ())
    table = Table("name", "label", "shape", "source", "alias of", box=None, pad_edge=False)
    for output in probe.outputs:
        source = f"{output.source_file}:{output.source_line}" if output.source_file else ""
        shape = " x ".join(map(str, output.shape))
        table.add_row(output.name, output.label, shape, source, output.alias_of or "")
    # On a pipe there is no width to fit: nothing is cut. Typer prints, because rich ends the process with exit code 1
    # where the reader has gone.
    console = Console(width=None if sys.stdout.isatty() else 10_000, soft_wrap=True)
    with console.capture() as text:
        console.print(table)
    typer.echo(text.get(), nl=False)
    typer.echo(f"outputs: {len(probe.outputs)}, skipped: {len(probe.skipped)}", err=True)
