"""`layerprobe export`. PyTorch is imported when the command runs, so that `layerprobe --help` stays quick."""

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from probe.cli import InputSizeOption, ModelArgument, OperationsOption, OutputsOption

__all__ = ["export"]


def _numbers(text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a list of numbers such as 0.485,0.456,0.406") from error


def export(
    model: ModelArgument,
    folder: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="The artifact's folder.")],
    weights: Annotated[
        Path | None, typer.Option(metavar="F", help=".safetensors, or a .pt/.pth state dict; fresh ones otherwise.")
    ] = None,
    outputs: OutputsOption = None,
    operations: OperationsOption = None,
    input_size: InputSizeOption = None,
    mean: Annotated[str | None, typer.Option(help="Per channel, as `layerprobe stats` prints it.")] = None,
    std: Annotated[str | None, typer.Option(help="Per channel, as `layerprobe stats` prints it.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Of fresh weights.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an artifact that is there.")] = False,
) -> None:
    """Write a model's probe as an artifact: ONNX, TorchScript, float64 reference and manifest."""
    # A slip is told before PyTorch takes its seconds to load.
    means, stds = _numbers(mean), _numbers(std)
    import torch
    from pydantic import ValidationError
    from rich.console import Console

    from probe import build_probe, load_model, load_weights
    from runtime.manifest import Preprocessing

    from . import export_artifact

    # What a model's own code prints is no result of ours.
    with redirect_stdout(sys.stderr), Console(stderr=True).status("making the model") as status:
        loaded = load_model(model, seed)
        size = input_size or loaded.input_size
        try:
            preprocessing = Preprocessing.model_validate(
                {
                    # With another input size the photo keeps its margin around the crop.
                    "resize": round(loaded.resize * size / loaded.input_size),
                    "crop": (size, size),
                    "mean": means or loaded.mean,
                    "std": stds or loaded.std,
                    "interpolation": loaded.interpolation,
                }
            )
        except ValidationError as error:
            first = error.errors()[0]
            where, what = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
            raise typer.BadParameter(f"{where}: {what}" if where else what) from error
        if len(preprocessing.mean) != len(loaded.mean):
            raise typer.BadParameter(f"{model} takes {len(loaded.mean)} channels: give that many numbers for each")
        if weights:
            load_weights(loaded.module, weights)
        status.update("tracing")
        example = torch.zeros(1, len(loaded.mean), size, size)
        probe = build_probe(loaded.module, example, outputs=outputs or (), operations=operations or ())
        export_artifact(
            probe,
            folder,
            name=loaded.name,
            preprocessing=preprocessing,
            overwrite=overwrite,
            on_phase=status.update,
        )
    fixed = "" if probe.inputs[0].shape[0] == "N" else f"; the batch is fixed at {probe.inputs[0].shape[0]}"
    typer.echo(f"{folder}: {loaded.name} as ONNX and TorchScript, outputs: {len(probe.outputs)}{fixed}")
