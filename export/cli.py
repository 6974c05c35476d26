"""`layerprobe export`. PyTorch is imported when the command runs, so that `layerprobe --help` stays quick."""

from pathlib import Path
from typing import Annotated, cast

import typer

__all__ = ["export"]


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a list of numbers such as 0.485,0.456,0.406") from error


def export(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="cnn2, torchvision:resnet18, timm:NAME, file.py:factory")
    ],
    folder: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="The artifact's folder.")],
    weights: Annotated[
        Path | None, typer.Option(metavar="F", help=".safetensors, or a .pt state dict; fresh ones otherwise.")
    ] = None,
    outputs: Annotated[
        list[str] | None, typer.Option("--outputs", metavar="GLOB", help="Only these outputs; may be repeated.")
    ] = None,
    input_size: Annotated[int | None, typer.Option(min=1, help="Height and width of the input, in pixels.")] = None,
    mean: Annotated[str | None, typer.Option(help="Per channel, as `layerprobe stats` prints it.")] = None,
    std: Annotated[str | None, typer.Option(help="Per channel, as `layerprobe stats` prints it.")] = None,
    seed: Annotated[int, typer.Option(help="Of fresh weights.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an artifact that is there.")] = False,
) -> None:
    """Write a model's probe as an artifact: ONNX, TorchScript, float64 reference and manifest."""
    # What can be refused at once is refused before PyTorch takes its seconds to load.
    means, stds = (_numbers(text) if text else None for text in (mean, std))
    import torch

    from probe import build_probe, load_model, load_weights
    from runtime.manifest import Interpolation, Preprocessing

    from . import export_artifact

    loaded = load_model(model, seed)
    if weights:
        load_weights(loaded.module, weights)
    means, stds = means or list(loaded.mean), stds or list(loaded.std)
    if len(means) != len(loaded.mean) or len(stds) != len(loaded.mean):
        raise typer.BadParameter(f"{model} takes {len(loaded.mean)} channels: give that many numbers for each")
    if not all(value > 0 for value in stds):
        raise typer.BadParameter("--std must be above 0 in every channel")
    size = input_size or loaded.input_size
    probe = build_probe(loaded.module, torch.zeros(1, len(means), size, size), outputs=outputs or ())
    preprocessing = Preprocessing(
        # With another input size the photo keeps its margin around the crop.
        resize=round(loaded.resize * size / loaded.input_size),
        crop=(size, size),
        mean=means,
        std=stds,
        interpolation=cast("Interpolation", loaded.interpolation),
    )
    export_artifact(probe, folder, name=loaded.name, preprocessing=preprocessing, overwrite=overwrite)
    typer.echo(f"{folder}: {len(probe.outputs)} outputs of {loaded.name}, as ONNX and TorchScript")
