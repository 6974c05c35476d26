"""The subcommand that draws: grid.

It imports what it needs when it runs, so that it starts fast. What a picture shows is in `maps/`.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .artifact.by_name import load
from .artifact.cli_options import DepthOption, OperationsOption, OutputsOption, QuietOption, parse_size
from .artifact.plain_text import say
from .cli_options import (
    DrawnArgument,
    DrawnSizeOption,
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
    from .drawn_model import DrawnModel
    from .maps.grid_style import GridStyle
    from .maps.pages import Pages
    from .runners.base import Runner

__all__ = ["grid"]

_MODEL_CODE = "probe.cli:model_code"


@takes_cam()
@takes_style()
@takes_choices()
def grid(
    artifact: DrawnArgument,
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGE",
            help="A photo, or several side by side; .npy, .npz or .safetensors for other inputs.",
        ),
    ],
    file: Annotated[
        Path, typer.Option("-o", "--output", metavar="OUT.{jpg,png,webp,svg,pdf}", help="File for the picture.")
    ],
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="ARTIFACT|MODEL",
            help="A second one of the same architecture, to compare on one photo. --weights and the like are those of "
            "the first that is a MODEL.",
        ),
    ] = None,
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
            min=1,
            metavar="N",
            help="Of --channels, only the N that vary most over the image (standard deviation). Of --cam, how many of "
            "the strongest are tried (512 by score).",
        ),
    ] = None,
    page: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="The page of all tiles, if they fill several (an overview of blocks)."),
    ] = None,
    all_pages: Annotated[
        bool, typer.Option("--all-pages", help="All pages: in one PDF, or else as OUT-1, OUT-2, ...")
    ] = False,
    runner: RuntimeOption = "onnx",
    provider: ProviderOption = "auto",
    show_photo: Annotated[
        bool, typer.Option("--photo/--no-photo", help="Whether the photo is shown first, as the model saw it.")
    ] = True,
    *,
    cam: "CamChoices | None",
    choices: "Mapping[str, Any]",
    style: "GridStyle",
    quiet: QuietOption = False,
) -> None:
    """Draw the feature maps of a photo, or where a class is seen.

    A model that is no artifact is captured for this photo, and not exported.

    Several photos, or two models with --against, are drawn side by side: a row for each output, in one scale, and of
    two also their difference.

    Example: layerprobe grid torchvision:resnet18 photo.jpg -o maps.png --weights best.pt --depth 2

    Example: layerprobe grid resnet18 photo.jpg -o channels.pdf --channels layer1.0.conv1 --top 16

    Example: layerprobe grid resnet18 cat.jpg dog.jpg -o both.png --outputs 'layer1.*'

    Example: layerprobe grid resnet18 cat.jpg dog.jpg -o classes.png --cam --class 281 --class 207
    """
    from .drawn_model import opened_to_draw, runs_source
    from .maps.picture_saving import PICTURE_MARK, picture_format
    from .runs.photo_maps import PhotoRun
    from .runs.photo_pages import Selection, pages_side_by_side, photo_pages, picture_title

    selection = Selection(
        outputs or (), operations or (), depth, channels, top, show_photo, page is None and not all_pages
    )
    models = [artifact, against] if against else [artifact]
    if cam is None:
        selection.check(style)
    elif against:
        raise typer.BadParameter("--cam draws photos in one model: omit --against")
    elif channels is not None or style.reduce != AUTO or not show_photo:
        raise typer.BadParameter("--cam draws its own maps over the photo: omit --channels, --reduce and --no-photo")
    if all_pages and page is not None:
        raise typer.BadParameter("give either --page or --all-pages")
    if against and len(images) > 1:
        raise typer.BadParameter("--against compares two models on one photo: give only one")
    if len(models) * len(images) > 1 and cam is None:
        from .maps.comparison import check_columns

        check_columns(len(models) * len(images), style)
    picture_format(file)
    for each in models:
        refuse_unwritable(file, PICTURE_MARK, each, images)
    size = parse_size(input_size, channels=True)
    live = [each for each in models if runs_source(each)]
    with phases(quiet) as on_phase, ExitStack() as stack:
        if live:
            stack.enter_context(load(_MODEL_CODE)())
        opened = [
            stack.enter_context(
                opened_to_draw(
                    each,
                    images[0],
                    runner=runner,
                    provider=provider,
                    size=size,
                    choices=choices if each is (live or models)[0] else {},
                    on_phase=on_phase,
                )
            )
            for each in models
        ]
        runners = _LastRunner(on_phase)
        runs = [PhotoRun(each.artifact, image, runners.opener(each), each.size) for each in opened for image in images]
        manifest = opened[0].artifact.manifest
        weights = choices.get("weights")
        if len(runs) > 1 and cam is None:
            heads = _told_apart([Path(each) for each in models] if against else images)
            of_all = " and ".join(heads) if len(heads) == 2 else f"{len(heads)} photos"
            title = f"{of_all} · {images[0].name}" if against else picture_title(manifest, of_all, weights)
            pages = pages_side_by_side(dict(zip(heads, runs, strict=True)), selection, style, title)
        elif cam is None:
            pages = photo_pages(runs[0], selection, style, picture_title(manifest, images[0].name, weights))
        else:
            from .cam.cam_pages import pages_of_photos

            title = picture_title(manifest, images[0].name if len(images) == 1 else f"{len(images)} photos", weights)
            pages = pages_of_photos(runs, cam.classes, cam.methods, selection, style, title, on_phase)
    for note in () if quiet else dict.fromkeys(note for each in opened for note in each.notes):
        say(note, err=True)
    _save(pages, file, None if all_pages else page or 1, run_by(runners.last, provider), quiet=quiet)


class _LastRunner:
    """Opens runners, and keeps the last one for the next photo."""

    def __init__(self, on_phase: Callable[[str], None]) -> None:
        self._on_phase = on_phase
        self._wanted: tuple[object, ...] = ()
        self._opened: Runner | None = None

    @property
    def last(self) -> "Runner":
        assert self._opened is not None
        return self._opened

    def opener(self, drawn: "DrawnModel") -> "Callable[[Artifact, Sequence[str] | None], Runner]":
        """Return what opens a model's probes."""

        def opened(probe: "Artifact", names: Sequence[str] | None) -> "Runner":
            wanted = id(drawn), probe.is_averaged, names
            if self._opened is None or self._wanted != wanted:
                self._opened = None  # before the next takes its memory
                self._wanted, self._opened = wanted, drawn.open_runner(probe, names)
                self._on_phase(f"running {self.last.name}")
            return self.last

        return opened


def _save(pages: "Pages", file: Path, page: int | None, by: str, *, quiet: bool) -> None:
    """Write one page, or all for None, and say what was written."""
    from .maps.picture_saving import save_picture, save_pictures

    if page is None:
        files = save_pictures(pages.pictures(), file)
        say(f"{', '.join(map(str, files))}: pages: {pages.count}, {by}")
        return
    picture = pages.picture(page)
    save_picture(picture, file)
    which = f", page {page} of {pages.count}" if pages.count > 1 else ""
    say(f"{file}: {picture.width} x {picture.height} px{which}, {by}")
    for fact in () if quiet else pages.said:
        say(fact)
    if page < pages.count and not quiet:
        say(
            f"Next page: --page {page + 1}; --all-pages draws all. Or select fewer outputs (--depth, --outputs).",
            err=True,
        )


def _told_apart(paths: Sequence[Path]) -> list[str]:
    """Return a name for each file or folder: the end of its path that no other has; numbered, if it is repeated."""
    parts = [path.absolute().parts for path in paths]
    names = []
    for index, mine in enumerate(parts):
        others = [each for each in parts if each != mine]
        length = next(n for n in range(1, len(mine) + 1) if all(each[-n:] != mine[-n:] for each in others))
        same = f" ({parts[:index].count(mine) + 1})" if parts.count(mine) > 1 else ""
        names.append("/".join(mine[-length:]) + same)
    return names
