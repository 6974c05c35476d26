"""The subcommand that draws: grid, of one photo or of several things side by side.

It imports what it needs when it runs, so that it starts fast. What a picture shows is in `maps/`.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .artifact.by_name import load
from .artifact.cli_options import DepthOption, OperationsOption, OutputsOption, QuietOption, parse_size
from .artifact.errors import UsageError
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
    from .artifact.manifest import Manifest, Output
    from .maps.grid_style import GridStyle
    from .maps.pages import Pages
    from .runners.base import Runner
    from .runs.photo_maps import PhotoRun

__all__ = ["grid"]

_Select = Callable[["Manifest"], list["Output"]]
_MODEL_CODE = "probe.cli:model_code"


@takes_style()
@takes_choices()
def grid(
    artifact: DrawnArgument,
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGE",
            help="A photo, or several to compare side by side; .npy, .npz or .safetensors for other inputs.",
        ),
    ],
    file: Annotated[
        Path, typer.Option("-o", "--output", metavar="OUT.{jpg,png,webp,svg,pdf}", help="File for the picture.")
    ],
    against: Annotated[
        Path | None,
        typer.Option(metavar="ARTIFACT|MODEL", help="A second one of the same architecture, to compare on one photo."),
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
        bool, typer.Option("--photo/--no-photo", help="Whether the photo is shown first, as the model saw it.")
    ] = True,
    *,
    choices: "Mapping[str, Any]",
    style: "GridStyle",
    quiet: QuietOption = False,
) -> None:
    """Draw a photo's feature maps in a model, or one output's channels.

    A model that is no artifact is captured for this photo, and not exported.

    Several photos, or two artifacts with --against, are drawn side by side: a row for each output, in one scale, and
    of two also their difference.

    Example: layerprobe grid torchvision:resnet18 photo.jpg -o maps.png --weights best.pt

    Example: layerprobe grid resnet18 photo.jpg -o maps.png --outputs 'layer1.*'

    Example: layerprobe grid resnet18 photo.jpg -o channels.pdf --channels layer1.0.conv1 --top 16

    Example: layerprobe grid resnet18 cat.jpg dog.jpg -o both.png --depth 2
    """
    from .artifact.selection import select_outputs
    from .drawn_model import opened_to_draw, runs_source
    from .maps.picture_saving import PICTURE_MARK, picture_format
    from .runs.photo_maps import PhotoRun
    from .runs.photo_pages import check_choices, photo_pages

    check_choices(style, channels, top, chosen=bool(outputs or operations or depth))
    if all_pages and page > 1:
        raise typer.BadParameter("give either --page or --all-pages")
    if style.overlay and not show_photo:
        raise typer.BadParameter("--overlay draws the maps over the photo: omit --no-photo")
    if against and len(images) > 1:
        raise typer.BadParameter("--against compares two artifacts on one photo: give only one")
    several = len(images) + bool(against) if against or len(images) > 1 else 0
    if several:
        from .maps.comparison import check_columns

        check_columns(several, style)
    picture_format(file)
    artifacts = [artifact, against] if against else [artifact]
    for each in artifacts:
        refuse_unwritable(file, PICTURE_MARK, each, images)
    live = [each for each in artifacts if runs_source(each)]
    with phases(quiet) as on_phase, ExitStack() as stack:
        if live:
            stack.enter_context(load(_MODEL_CODE)())
        open_it = partial(
            opened_to_draw,
            photo=images[0],
            runner=runner,
            provider=provider,
            size=parse_size(input_size, channels=True),
            on_phase=on_phase,
        )
        # Beside a model, an artifact isn't meant by them.
        opened = [
            stack.enter_context(open_it(each, choices=choices if each in live or not live else {}))
            for each in artifacts
        ]
        runners = _LastRunner(on_phase)
        runs = [
            PhotoRun(each.artifact, image, partial(runners.open, each.open_runner), each.size)
            for each in opened
            for image in images
        ]

        def select(manifest: "Manifest") -> list["Output"]:
            return select_outputs(manifest.outputs, outputs or (), operations or (), depth)

        if several:
            heads = _told_apart(artifacts if against else images)
            pages = _side_by_side(
                dict(zip(heads, runs, strict=True)), select, channels, top, style, show_photo=show_photo
            )
        else:
            title = f"{_title(runs[0].artifact)} · {images[0].name}"
            pages = photo_pages(runs[0], select, channels, top, style, title, show_photo=show_photo)
    for note in () if quiet else [note for each in opened for note in each.notes]:
        say(note, err=True)
    _save(pages, file, page if not all_pages else None, run_by(runners.last, provider), quiet=quiet)


class _LastRunner:
    """Opens runners, and keeps the last one for the next photo."""

    def __init__(self, on_phase: Callable[[str], None]) -> None:
        self._on_phase = on_phase
        self._opened: tuple[tuple[object, bool, Sequence[str] | None], Runner] | None = None

    @property
    def last(self) -> "Runner":
        assert self._opened is not None
        return self._opened[1]

    def open(
        self,
        open_runner: "Callable[[Artifact, Sequence[str] | None], Runner]",
        probe: "Artifact",
        names: Sequence[str] | None,
    ) -> "Runner":
        wanted = open_runner, probe.is_averaged, names
        if self._opened is None or self._opened[0] != wanted:
            self._opened = None  # before the next takes its memory
            self._opened = wanted, open_runner(probe, names)
            self._on_phase(f"running {self.last.name}")
        return self.last


def _side_by_side(
    runs: "dict[str, PhotoRun]",
    select: _Select,
    channels: str | None,
    top: int | None,
    style: "GridStyle",
    *,
    show_photo: bool,
) -> "Pages":
    """Return the pages of several photos, or of two artifacts, by what to call them."""
    first, *others = runs.values()
    seen = {head: run.seen() for head, run in runs.items()}  # what can't be read ends it before a model is run
    if others[0].artifact is first.artifact:
        title = f"{_title(first.artifact)} · {' and '.join(runs) if len(runs) == 2 else f'{len(runs)} photos'}"
    else:
        title = f"{' and '.join(runs)} · {first.photo.name}"
    if channels is None:
        from .maps.comparison import Column, comparison_pages

        columns = {}
        for head, run in runs.items():
            chosen = select(run.artifact.manifest) if run is first else _selected(select, run.artifact.manifest)
            columns[head] = Column(chosen, run.maps, seen[head] if show_photo else None)
        return comparison_pages(columns, style, title)
    from .maps.channel_comparison import channel_comparison
    from .maps.channel_grid import channels_to_draw
    from .runs.photo_pages import output_of

    of_each = {head: output_of(run, channels) for head, run in runs.items()}
    tensors = {head: channels_to_draw(run.tensors([channels]), of_each[head]) for head, run in runs.items()}
    photos = [each for each in seen.values() if each] if show_photo else ()
    return channel_comparison(tensors, next(iter(of_each.values())), top, style, f"{title} · {channels}", photos)


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
    if page < pages.count and not quiet:
        say(
            f"Next page: --page {page + 1}; --all-pages draws all. Or select fewer outputs (--depth, --outputs).",
            err=True,
        )


def _title(artifact: "Artifact") -> str:
    recipe = artifact.manifest.recipe
    return f"{artifact.manifest.model}{' (random weights)' if recipe and recipe.fresh_weights else ''}"


def _selected(select: _Select, manifest: "Manifest") -> list["Output"]:
    """Return what is selected of a second artifact, which need not have it."""
    try:
        return select(manifest)
    except UsageError:
        return []


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
