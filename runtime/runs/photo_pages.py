"""A photo's run -> the pages of its maps, or of one output's channels: what `grid` and `show` draw."""

from collections.abc import Sequence

from ..artifact.errors import UsageError
from ..artifact.selection import known_outputs, select_outputs
from ..maps.feature_grid import grid_pages
from ..maps.grid_style import GridStyle
from ..maps.map_page import MapPages
from ..maps.reductions import AUTO
from .photo_maps import PhotoRun

__all__ = ["check_choices", "photo_pages"]


def check_choices(
    outputs: Sequence[str],
    operations: Sequence[str],
    depth: int | None,
    channels: str | None,
    top: int | None,
    style: GridStyle,
    *,
    show_photo: bool,
) -> None:
    """Check what is to be drawn, before anything is run; the arguments are those of `photo_pages`.

    Raises:
        UsageError: two choices exclude each other.
    """
    if channels is None and top is not None:
        raise UsageError("--top chooses among the channels of one output: give --channels.")
    if channels is not None and (outputs or operations or depth or style.reduce != AUTO):
        raise UsageError("--channels draws one output as it is: omit --outputs, --op, --depth and --reduce.")
    if style.overlay and not show_photo:
        raise UsageError("--overlay draws the maps over the photo: omit --no-photo.")


def photo_pages(
    run: PhotoRun,
    style: GridStyle,
    title: str,
    *,
    outputs: Sequence[str] = (),
    operations: Sequence[str] = (),
    depth: int | None = None,
    channels: str | None = None,
    top: int | None = None,
    show_photo: bool = True,
) -> MapPages:
    """Return the pages of the outputs that are chosen, or of one output's channels.

    Args:
        run: of the photo.
        style: how they are to look.
        title: the line above.
        outputs: as of `select_outputs`, like the next two.
        operations: labels.
        depth: of the blocks.
        channels: the output whose channels are drawn instead.
        top: only so many of them.
        show_photo: whether the first tile is the photo, if there is one.

    Raises:
        UsageError: they don't exist, or there is nothing to draw.
    """
    known, photo = run.artifact.manifest.outputs, run.seen() if show_photo else None
    if style.overlay and photo is None:
        raise UsageError("--overlay draws the maps over a photo, and this input is none: omit it.")
    if channels is None:
        chosen = select_outputs(known, outputs, operations, depth)
        return grid_pages(run.maps(chosen, style.reduce), chosen, style, title, photo)
    from ..maps.channel_grid import channel_pages

    known_outputs(run.artifact.manifest, [channels])
    output = next(each for each in known if each.name == channels)
    return channel_pages(run.tensors([channels]), output, top, style, f"{title} · {channels}", photo)
