"""The subcommand `scan`: its options and the order of its steps."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .artifact.cli_options import DepthOption, OperationsOption, OutputsOption, QuietOption
from .artifact.errors import ImageError
from .artifact.plain_text import say
from .cli_options import (
    ArtifactArgument,
    InputSizeOption,
    ProviderOption,
    RuntimeOption,
    image_size,
    takes_settings,
)
from .terminal import progress, run_by

if TYPE_CHECKING:
    from .runners.settings import Settings

__all__ = ["scan"]

_SHOWN = 10
"""Broken images that are printed; all are in the table."""


@takes_settings()
def scan(
    artifact: ArtifactArgument,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of images, or of .npy or .npz files.")],
    *,
    target: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the tables and the page.")],
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="At most N images, the first ones.")] = None,
    sample: Annotated[int | None, typer.Option(min=1, metavar="N", help="N images at random.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, metavar="N", help="Of --sample.")] = 0,
    classes: Annotated[
        bool, typer.Option("--classes", help="Also for each class: the first folder below FOLDER, as of ImageFolder.")
    ] = False,
    keep: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Also store these outputs' tensors, as safetensors. May be repeated."),
    ] = None,
    keep_dtype: Annotated[
        Literal["float32", "float16"],
        typer.Option("--keep-dtype", help="What they are rounded to; float16 ends at 65,504."),
    ] = "float32",
    batch: Annotated[
        int | None, typer.Option(min=1, max=65_536, metavar="N", help="Images that are computed together.")
    ] = None,
    shard: Annotated[
        int | None, typer.Option(min=1, max=2**20, metavar="N", help="Images between two points to go on from (256).")
    ] = None,
    input_size: InputSizeOption = None,
    outputs: OutputsOption = None,
    operations: OperationsOption = None,
    depth: DepthOption = None,
    runner: RuntimeOption = "onnx",
    provider: ProviderOption = "auto",
    settings: "Settings",
    quiet: QuietOption = False,
) -> None:
    """Measure every layer over a folder of images.

    Each image runs once. For every output and channel: count, mean, variance, range, zeros, NaN, dead and saturated
    channels, and the images that gave the extremes; for every output also quantiles and a histogram. Stopped at any
    moment, the same command goes on. Images that can't be read are listed and left out.

    Example: layerprobe scan resnet18 photos -o statistics

    Example: layerprobe scan resnet18 imagenet/val -o statistics --classes --sample 5000 --op relu
    """
    from dataclasses import replace

    from .artifact.folder import open_artifact
    from .artifact.selection import select_outputs
    from .reporting.scan_page import write_scan_page
    from .runners.registry import open_image_runner
    from .scan.scanning import SHARD, Choices, broken_images
    from .scan.scanning import scan as scan_folder
    from .scan.tables import require_parquet

    if limit and sample:
        raise typer.BadParameter("give either --limit or --sample")
    require_parquet()
    opened = open_artifact(artifact)
    chosen = select_outputs(opened.manifest.outputs, outputs or (), operations or (), depth)
    names = [each.name for each in chosen] if outputs or operations or depth else None
    # Waiting in a loop would take the cores from the threads that read and reduce meanwhile.
    session = open_image_runner(opened, runner, provider, replace(settings, spins=False), names)
    choices = Choices(
        input_size=image_size(input_size),
        batch=batch,
        shard=shard or SHARD,
        limit=limit,
        sample=sample,
        seed=seed,
        classes=classes,
        keep=tuple(keep or ()),
        keep_dtype=keep_dtype,
    )
    with progress("images", None, quiet, rate=True) as advance:
        found = scan_folder(opened, session, folder, target, choices, on_progress=advance)
    page = write_scan_page(opened, found, target, by=run_by(session, provider))
    if not quiet:
        for name, why in found.left_out.items():
            say(f"{name} is left out: {why}", err=True)
        if found.earlier:
            say(f"images that an earlier scan had done: {found.earlier}", err=True)
    read = found.images - found.broken
    say(f"{page}: outputs: {len(found.outputs)}, images: {read}, {run_by(session, provider)}")
    if found.broken:
        for number, (image, reason) in enumerate(broken_images(target)):
            if number == _SHOWN:
                break
            say(f"{image}: {reason.partition(chr(10))[0]}", err=True)
        where = f"{target}/images/*.parquet lists them"
        say(f"layerprobe: {found.broken} of {found.images} images can't be read, and were left out; {where}.", err=True)
        raise typer.Exit(ImageError.exit_code)
