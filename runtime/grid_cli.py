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
    DrawnSizeOption,
    ProviderOption,
    RuntimeOption,
    takes_choices,
    takes_style,
)
from .overwrite_check import refuse_unwritable
from .terminal import phases, run_by

if TYPE_CHECKING:
    from .artifact.folder import Artifact
    from .maps.grid_style import GridStyle
    from .runners.base import Runner

__all__ = ["grid"]


_MODEL_CODE = "probe.cli:model_code"


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
    input_size: DrawnSizeOption = None,
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
    show_photo: Annotated[
        bool, typer.Option("--photo/--no-photo", help="Whether the first tile is the photo as the model saw it.")
    ] = True,
    *,
    choices: "Mapping[str, Any]",
    style: "GridStyle",
    quiet: QuietOption = False,
) -> None:
    """Draw a photo's feature maps in a model, or one output's channels.

    The model may be an artifact, or any model, which is then captured for this photo and not exported.

    Example: layerprobe grid torchvision:resnet18 photo.jpg -o maps.png --weights best.pt --depth 2

    Example: layerprobe grid resnet18 photo.jpg -o maps.png --outputs 'layer1.*'

    Example: layerprobe grid resnet18 photo.jpg -o channels.pdf --channels layer1.0.conv1 --top 16
    """
    from .drawn_model import names_model, opened_to_draw
    from .maps.picture_saving import PICTURE_MARK, picture_format, save_picture, save_pictures
    from .runs.photo_maps import PhotoRun
    from .runs.photo_pages import check_choices, photo_pages

    check_choices(outputs or (), operations or (), depth, channels, top, style)
    if all_pages and page > 1:
        raise typer.BadParameter("give either --page or --all-pages")
    if style.overlay and not show_photo:
        raise typer.BadParameter("--overlay draws the maps over the photo: omit --no-photo")
    picture_format(file)
    refuse_unwritable(file, PICTURE_MARK, artifact, [image])
    ran: list[Runner] = []
    with phases(quiet) as on_phase, ExitStack() as stack:
        if names_model(artifact) and not is_onnx(artifact):
            stack.enter_context(load(_MODEL_CODE)())
        drawn = stack.enter_context(
            opened_to_draw(
                artifact,
                image,
                runner=runner,
                provider=provider,
                size=parse_size(input_size, channels=True),
                choices=choices,
                on_phase=on_phase,
            )
        )
        opened, size = drawn.artifact, drawn.size
        recipe = opened.manifest.recipe
        fresh = " (random weights)" if recipe and recipe.fresh_weights else ""
        title = f"{opened.manifest.model}{fresh} · {image.name}"

        def open_runner(probe: "Artifact", names: Sequence[str] | None) -> "Runner":
            ran.append(drawn.open_runner(probe, names))
            on_phase(f"running {ran[-1].name}")
            return ran[-1]

        pages = photo_pages(
            PhotoRun(opened, image, open_runner, size),
            style,
            title,
            outputs=outputs or (),
            operations=operations or (),
            depth=depth,
            channels=channels,
            top=top,
            show_photo=show_photo,
        )
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
