"""The subcommand that draws: grid.

It imports what it needs when it runs, so that it starts fast. What a picture shows is in `maps/`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .artifact.cli_options import DepthOption, OperationsOption, OutputsOption, QuietOption
from .artifact.plain_text import say
from .cli_options import (
    ArtifactArgument,
    InputSizeOption,
    ProviderOption,
    RuntimeOption,
    image_size,
    takes_style,
)
from .maps.reductions import AUTO
from .overwrite_check import refuse_unwritable
from .terminal import phases, run_by

if TYPE_CHECKING:
    from .artifact.folder import Artifact
    from .maps.grid_style import GridStyle
    from .runners.base import Runner

__all__ = ["grid"]


@takes_style()
def grid(
    artifact: ArtifactArgument,
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="A photo.")],
    file: Annotated[
        Path, typer.Option("-o", "--output", metavar="OUT.{jpg,png,webp,svg,pdf}", help="File for the picture.")
    ],
    input_size: InputSizeOption = None,
    outputs: OutputsOption = None,
    operations: OperationsOption = None,
    depth: DepthOption = None,
    channels: Annotated[
        str | None, typer.Option(metavar="OUTPUT", help="Draw every channel of this one output instead.")
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Only the N channels that vary most over the image (standard deviation)."
        ),
    ] = None,
    page: Annotated[int, typer.Option(min=1, metavar="N", help="The page, if the tiles fill several.")] = 1,
    all_pages: Annotated[
        bool, typer.Option("--all-pages", help="All pages: in one PDF, or else as OUT-1, OUT-2, ...")
    ] = False,
    runner: RuntimeOption = "onnx",
    provider: ProviderOption = "auto",
    *,
    style: "GridStyle",
    quiet: QuietOption = False,
) -> None:
    """Draw the feature maps of a photo, or one output's channels.

    Example: layerprobe grid resnet18 photo.jpg -o maps.png --outputs 'layer1.*'

    Example: layerprobe grid resnet18 photo.jpg -o channels.pdf --channels layer1.0.conv1 --top 16
    """
    from .artifact.folder import open_artifact
    from .artifact.selection import known_outputs, select_outputs
    from .maps.feature_grid import grid_pages
    from .maps.picture_saving import PICTURE_MARK, picture_format, save_picture, save_pictures
    from .runners.registry import open_image_runner
    from .runs.photo_maps import PhotoRun

    if channels is None and top is not None:
        raise typer.BadParameter("--top chooses among the channels of one output: give --channels")
    if channels is not None and (outputs or operations or depth or style.reduce != AUTO):
        raise typer.BadParameter("--channels draws one output as it is: omit --outputs, --op, --depth and --reduce")
    if all_pages and page > 1:
        raise typer.BadParameter("give either --page or --all-pages")
    picture_format(file)
    refuse_unwritable(file, PICTURE_MARK, artifact, [image])
    opened = open_artifact(artifact)
    recipe = opened.manifest.recipe
    fresh = " (random weights)" if recipe and recipe.fresh_weights else ""
    title = f"{opened.manifest.model}{fresh} · {image.name}"
    ran: list[Runner] = []
    with phases(quiet) as on_phase:

        def open_runner(probe: "Artifact", names: Sequence[str] | None) -> "Runner":
            ran.append(open_image_runner(probe, runner, provider, outputs=names))
            on_phase(f"running {ran[-1].name}")
            return ran[-1]

        photo = PhotoRun(opened, image, open_runner, image_size(input_size))
        if channels is None:
            chosen = select_outputs(opened.manifest.outputs, outputs or (), operations or (), depth)
            pages = grid_pages(photo.maps(chosen, style.reduce), chosen, style, title)
        else:
            from .maps.channel_grid import channel_pages

            known_outputs(opened.manifest, [channels])
            output = next(each for each in opened.manifest.outputs if each.name == channels)
            pages = channel_pages(photo.tensors([channels]), output, top, style, f"{title} · {channels}")
    by = run_by(ran[0], provider)
    if all_pages:
        files = save_pictures(pages.pictures(), file)
        say(f"{', '.join(map(str, files))}: pages: {pages.count}, {by}")
        return
    picture = pages.picture(page)
    save_picture(picture, file)
    which = f", page {page} of {pages.count}" if pages.count > 1 else ""
    say(f"{file}: {picture.width} x {picture.height} px{which}, {by}")
    if page < pages.count and not quiet:
        say(
            f"Next page: --page {page + 1}; --all-pages draws all. Or select fewer outputs (--depth, --outputs).",
            err=True,
        )
