"""The subcommand that draws: grid, of one photo or of several things side by side.

It imports what it needs when it runs, so that it starts fast. What a picture shows is in `maps/`.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .artifact.cli_options import DepthOption, OperationsOption, OutputsOption, QuietOption
from .artifact.errors import UsageError
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
    from .artifact.manifest import Manifest, Output
    from .cli_options import CamChoices
    from .maps.grid_style import GridStyle
    from .maps.pages import Pages
    from .runners.base import Runner
    from .runs.photo_maps import PhotoRun

__all__ = ["grid"]

_Select = Callable[["Manifest"], list["Output"]]


@takes_cam()
@takes_style()
def grid(
    artifact: ArtifactArgument,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE", help="A photo, or several to compare side by side.")],
    file: Annotated[
        Path, typer.Option("-o", "--output", metavar="OUT.{jpg,png,webp,svg,pdf}", help="File for the picture.")
    ],
    against: Annotated[
        Path | None,
        typer.Option(metavar="ARTIFACT", help="A second artifact of the same architecture, to compare on one photo."),
    ] = None,
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
        bool, typer.Option("--photo/--no-photo", help="Whether the photo is shown first, as the model saw it.")
    ] = True,
    *,
    cam: "CamChoices | None",
    style: "GridStyle",
    quiet: QuietOption = False,
) -> None:
    """Draw the feature maps of a photo, or where a class is seen.

    Several photos, or two artifacts with --against, are drawn side by side: a row for each output, in one scale, and
    of two also their difference.

    Example: layerprobe grid resnet18 photo.jpg -o maps.png --outputs 'layer1.*'

    Example: layerprobe grid resnet18 photo.jpg -o channels.pdf --channels layer1.0.conv1 --top 16

    Example: layerprobe grid resnet18 cat.jpg dog.jpg -o both.png --depth 2

    Example: layerprobe grid resnet18 photo.jpg -o classes.png --cam --class 281 --class 207
    """
    from .artifact.folder import open_artifact
    from .artifact.selection import select_outputs
    from .maps.picture_saving import PICTURE_MARK, picture_format
    from .runners.registry import open_image_runner
    from .runs.photo_maps import PhotoRun

    chosen = bool(outputs or operations or depth)
    several = len(images) + bool(against) if against or len(images) > 1 else 0
    _refuse_contradictions(style, cam, channels, top, chosen=chosen, several=bool(several), show_photo=show_photo)
    if all_pages and page > 1:
        raise typer.BadParameter("give either --page or --all-pages")
    if against and len(images) > 1:
        raise typer.BadParameter("--against compares two artifacts on one photo: give only one")
    if several:
        from .maps.comparison import check_columns

        check_columns(several, style)
    picture_format(file)
    artifacts = [artifact, against] if against else [artifact]
    for each in artifacts:
        refuse_unwritable(file, PICTURE_MARK, each, images)
    opened, size = [open_artifact(each) for each in artifacts], image_size(input_size)
    with phases(quiet) as on_phase:
        runners = _LastRunner(lambda probe, names: open_image_runner(probe, runner, provider, outputs=names), on_phase)
        runs = [PhotoRun(each, image, runners.open, size) for each in opened for image in images]

        def select(manifest: "Manifest") -> list["Output"]:
            return select_outputs(manifest.outputs, outputs or (), operations or (), depth)

        if cam is not None:
            pages = _class_activations(runs[0], cam, select if chosen else None, top, style, on_phase)
        elif several:
            heads = _told_apart(artifacts if against else images)
            pages = _side_by_side(
                dict(zip(heads, runs, strict=True)), select, channels, top, style, show_photo=show_photo
            )
        else:
            pages = _alone(runs[0], select, channels, top, style, show_photo=show_photo)
    _save(pages, file, page if not all_pages else None, run_by(runners.last, provider), quiet=quiet)


def _refuse_contradictions(
    style: "GridStyle",
    cam: "CamChoices | None",
    channels: str | None,
    top: int | None,
    *,
    chosen: bool,
    several: bool,
    show_photo: bool,
) -> None:
    """Refuse options of which one would have no effect beside another."""
    if channels is None and cam is None and top is not None:
        raise typer.BadParameter("--top chooses among the channels of one output: give --channels, or --cam")
    if cam is not None and several:
        raise typer.BadParameter("--cam draws one photo in one artifact: give one IMAGE, and omit --against")
    if cam is not None and (channels is not None or style.reduce != AUTO or not show_photo):
        raise typer.BadParameter("--cam draws its own maps over the photo: omit --channels, --reduce and --no-photo")
    if channels is not None and (chosen or style.reduce != AUTO):
        raise typer.BadParameter("--channels draws one output as it is: omit --outputs, --op, --depth and --reduce")
    if style.overlay and not show_photo:
        raise typer.BadParameter("--overlay draws the maps over the photo: omit --no-photo")


class _LastRunner:
    """Opens runners, and keeps the last one for the next photo."""

    def __init__(
        self,
        open_runner: "Callable[[Artifact, Sequence[str] | None], Runner]",
        on_phase: Callable[[str], None],
    ) -> None:
        self._open, self._on_phase = open_runner, on_phase
        self._opened: tuple[tuple[Path, bool, Sequence[str] | None], Runner] | None = None

    @property
    def last(self) -> "Runner":
        assert self._opened is not None
        return self._opened[1]

    def open(self, probe: "Artifact", names: Sequence[str] | None) -> "Runner":
        wanted = probe.path, probe.is_averaged, names
        if self._opened is None or self._opened[0] != wanted:
            self._opened = None  # before the next takes its memory
            self._opened = wanted, self._open(probe, names)
            self._on_phase(f"running {self.last.name}")
        return self.last


def _alone(
    run: "PhotoRun", select: _Select, channels: str | None, top: int | None, style: "GridStyle", *, show_photo: bool
) -> "Pages":
    """Return the pages of one photo."""
    title = f"{_title(run.artifact)} · {run.photo.name}"
    if channels is None:
        from .maps.feature_grid import grid_pages

        chosen = select(run.artifact.manifest)
        maps = run.maps(chosen, style.reduce)
        return grid_pages(maps, chosen, style, title, run.seen() if show_photo else None)
    from .maps.channel_grid import channel_pages

    output = _output(run, channels)
    tensors = run.tensors([channels])
    return channel_pages(tensors, output, top, style, f"{title} · {channels}", run.seen() if show_photo else None)


def _class_activations(
    run: "PhotoRun",
    cam: "CamChoices",
    select: _Select | None,
    top: int | None,
    style: "GridStyle",
    on_phase: Callable[[str], None],
) -> "Pages":
    """Return the pages of one photo's class activation maps, of the layers that are selected, or the default one."""
    from .cam.cam_pages import pages_of_photo
    from .cam.class_run import ClassRun

    layers = select(run.artifact.manifest) if select else ()
    classes = ClassRun(run.artifact, run.photo, run.open_runner, run.size, on_phase)
    title = f"{_title(run.artifact)} · {run.photo.name}"
    return pages_of_photo(classes, run.seen(), cam.classes, cam.methods, layers, top, style, title)


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

    of_each = {head: _output(run, channels) for head, run in runs.items()}
    tensors = {head: channels_to_draw(run.tensors([channels]), of_each[head]) for head, run in runs.items()}
    photos = list(seen.values()) if show_photo else ()
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


def _output(run: "PhotoRun", name: str) -> "Output":
    from .artifact.selection import known_outputs

    known_outputs(run.artifact.manifest, [name])
    return next(each for each in run.artifact.manifest.outputs if each.name == name)


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
