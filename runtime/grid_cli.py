"""The subcommand that draws: grid.

It imports what it needs when it runs, so that it starts fast. What a picture shows is in `maps/`.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .artifact.by_name import load
from .artifact.cli_options import DepthOption, OperationsOption, OutputsOption, QuietOption, parse_size
from .artifact.onnx_file import is_onnx
from .artifact.plain_text import say
from .cli_options import (
    DrawnArgument,
    InputSizeOption,
    ProviderOption,
    RuntimeOption,
    takes_cam,
    takes_choices,
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


_MODEL_CODE = "probe.cli:model_code"


@takes_cam()
@takes_style()
@takes_choices()
def grid(
    artifact: DrawnArgument,
    image: Annotated[
        Path, typer.Argument(metavar="IMAGE", help="A photo; .npy, .npz or .safetensors for other inputs.")
    ],
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
    choices: "Mapping[str, Any]",
    style: "GridStyle",
    quiet: QuietOption = False,
) -> None:
    """Draw the feature maps of a photo, or where a class is seen.

    Example: layerprobe grid torchvision:resnet18 photo.jpg -o maps.png --weights best.pt --depth 2

    Example: layerprobe grid resnet18 photo.jpg -o maps.png --outputs 'layer1.*'

    Example: layerprobe grid resnet18 photo.jpg -o channels.pdf --channels layer1.0.conv1 --top 16

    Example: layerprobe grid resnet18 photo.jpg -o classes.png --cam --class 281 --class 207
    """
    from .drawn_model import names_model, opened_to_draw
    from .maps.picture_saving import PICTURE_MARK, picture_format, save_picture, save_pictures
    from .runs.photo_maps import PhotoRun
    from .runs.photo_pages import check_choices, photo_pages

    chosen = outputs or (), operations or (), depth
    if cam is None:
        check_choices(*chosen, channels, top, style, show_photo=show_photo)
    else:
        _check_cam(style, channels, show_photo=show_photo)
    if all_pages and page > 1:
        raise typer.BadParameter("give either --page or --all-pages")
    picture_format(file)
    refuse_unwritable(file, PICTURE_MARK, artifact, [image])
    size = parse_size(input_size, channels=True)
    ran: list[Runner] = []
    with phases(quiet) as on_phase, ExitStack() as stack:
        if names_model(artifact) and not is_onnx(artifact):
            stack.enter_context(load(_MODEL_CODE)())
        drawn = stack.enter_context(
            opened_to_draw(
                artifact, image, runner=runner, provider=provider, size=size, choices=choices, on_phase=on_phase
            )
        )
        manifest = drawn.artifact.manifest
        fresh = " (random weights)" if manifest.recipe and manifest.recipe.fresh_weights else ""
        title = f"{manifest.model}{fresh} · {image.name}"

        def open_runner(probe: "Artifact", names: Sequence[str] | None) -> "Runner":
            ran.append(drawn.open_runner(probe, names))
            on_phase(f"running {ran[-1].name}")
            return ran[-1]

        run = PhotoRun(drawn.artifact, image, open_runner, drawn.size)
        if cam is None:
            pages = photo_pages(
                run,
                style,
                title,
                outputs=outputs or (),
                operations=operations or (),
                depth=depth,
                channels=channels,
                top=top,
                show_photo=show_photo,
            )
        else:
            from .cam.cam_pages import pages_of_photo

            pages = pages_of_photo(run, cam.classes, cam.methods, chosen, top, style, title, on_phase)
    for note in () if quiet else drawn.notes:
        say(note, err=True)
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


def _check_cam(style: "GridStyle", channels: str | None, *, show_photo: bool) -> None:
    if channels is not None or style.reduce != AUTO or not show_photo:
        raise typer.BadParameter("--cam draws its own maps over the photo: omit --channels, --reduce and --no-photo")
