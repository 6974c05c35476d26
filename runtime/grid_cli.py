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
    takes_cam,
    takes_style,
)
from .maps.reductions import AUTO
from .overwrite_check import refuse_unwritable
from .terminal import phases, run_by

if TYPE_CHECKING:
    from .artifact.folder import Artifact
    from .cli_options import CamChoices
    from .maps.grid_style import GridStyle
    from .runners.base import Runner

__all__ = ["grid"]


@takes_cam()
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
            min=1,
            metavar="N",
            help="Of --channels, only the N that vary most over the image (standard deviation). Of --cam, how many of "
            "the strongest are tried (512 by score).",
        ),
    ] = None,
    page: Annotated[int, typer.Option(min=1, metavar="N", help="The page, if the tiles fill several.")] = 1,
    all_pages: Annotated[
        bool, typer.Option("--all-pages", help="All pages: in one PDF, or else as OUT-1, OUT-2, ...")
    ] = False,
    runner: RuntimeOption = "onnx",
    provider: ProviderOption = "auto",
    show_photo: Annotated[
        bool, typer.Option("--photo/--no-photo", help="Whether the first tile is the photo as the model saw it.")
    ] = True,
    *,
    cam: "CamChoices | None",
    style: "GridStyle",
    quiet: QuietOption = False,
) -> None:
    """Draw the feature maps of a photo, one output's channels, or where a class is seen.

    Example: layerprobe grid resnet18 photo.jpg -o maps.png --outputs 'layer1.*'

    Example: layerprobe grid resnet18 photo.jpg -o channels.pdf --channels layer1.0.conv1 --top 16

    Example: layerprobe grid resnet18 photo.jpg -o classes.png --cam --class 281 --class 207
    """
    from .artifact.folder import open_artifact
    from .artifact.selection import known_outputs, select_outputs
    from .maps.feature_grid import grid_pages
    from .maps.picture_saving import PICTURE_MARK, picture_format, save_picture, save_pictures
    from .runners.registry import open_image_runner
    from .runs.photo_maps import PhotoRun

    _refuse_contradictions(
        style, cam, channels, top, chosen=bool(outputs or operations or depth), show_photo=show_photo
    )
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
        if cam is not None:
            from .cam.cam_pages import pages_of_photo
            from .cam.class_run import ClassRun

            named = outputs or operations or depth
            layers = select_outputs(opened.manifest.outputs, outputs or (), operations or (), depth) if named else []
            run = ClassRun(opened, image, open_runner, image_size(input_size), on_phase)
            pages = pages_of_photo(run, photo.seen(), cam.classes, cam.methods, layers, top, style, title)
        elif channels is None:
            chosen = select_outputs(opened.manifest.outputs, outputs or (), operations or (), depth)
            maps = photo.maps(chosen, style.reduce)
            pages = grid_pages(maps, chosen, style, title, photo.seen() if show_photo else None)
        else:
            from .maps.channel_grid import channel_pages

            known_outputs(opened.manifest, [channels])
            output = next(each for each in opened.manifest.outputs if each.name == channels)
            tensors, seen = photo.tensors([channels]), photo.seen() if show_photo else None
            pages = channel_pages(tensors, output, top, style, f"{title} · {channels}", seen)
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


def _refuse_contradictions(
    style: "GridStyle",
    cam: "CamChoices | None",
    channels: str | None,
    top: int | None,
    *,
    chosen: bool,
    show_photo: bool,
) -> None:
    """Refuse options of which one would have no effect beside another."""
    if channels is None and cam is None and top is not None:
        raise typer.BadParameter("--top chooses among the channels of one output: give --channels, or --cam")
    if cam is not None and (channels is not None or style.reduce != AUTO or not show_photo):
        raise typer.BadParameter("--cam draws its own maps over the photo: omit --channels, --reduce and --no-photo")
    if channels is not None and (chosen or style.reduce != AUTO):
        raise typer.BadParameter("--channels draws one output as it is: omit --outputs, --op, --depth and --reduce")
    if style.overlay and not show_photo:
        raise typer.BadParameter("--overlay draws the maps over the photo: omit --no-photo")
