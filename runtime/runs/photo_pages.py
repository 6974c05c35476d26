"""A photo's run -> the pages of its maps, or of one output's channels: what `grid` and `show` draw."""

from collections.abc import Callable, Sequence

from ..artifact.errors import UsageError
from ..artifact.manifest import Manifest, Output
from ..artifact.selection import known_outputs
from ..maps.feature_grid import grid_pages
from ..maps.grid_style import GridStyle
from ..maps.map_page import MapPages
from ..maps.reductions import AUTO
from .photo_maps import PhotoRun

__all__ = ["check_choices", "output_of", "photo_pages"]


def check_choices(style: GridStyle, channels: str | None, top: int | None, *, chosen: bool) -> None:
    """Check what is to be drawn, before anything is run.

    Args:
        style: how it is to look.
        channels: the output whose channels are drawn, if any.
        top: so many of them.
        chosen: whether outputs are chosen in another way.

    Raises:
        UsageError: two choices exclude each other.
    """
    if channels is None and top is not None:
        raise UsageError("--top chooses among the channels of one output: give --channels.")
    if channels is not None and (chosen or style.reduce != AUTO):
        raise UsageError("--channels draws one output as it is: omit --outputs, --op, --depth and --reduce.")


def photo_pages(
    run: PhotoRun,
    select: Callable[[Manifest], Sequence[Output]],
    channels: str | None,
    top: int | None,
    style: GridStyle,
    title: str,
    *,
    show_photo: bool,
) -> MapPages:
    """Return the pages of one photo.

    Args:
        run: of the photo.
        select: returns the outputs that are drawn.
        channels: the one whose channels are drawn instead, if any.
        top: only so many of them.
        style: how they are to look.
        title: the line above.
        show_photo: whether the first tile is the photo, if there is one.

    Raises:
        LayerprobeError: what is chosen doesn't exist, there is nothing to draw, or the run fails.
    """
    if channels is None:
        chosen = select(run.artifact.manifest)
        maps = run.maps(chosen, style.reduce)
        return grid_pages(maps, chosen, style, title, run.seen() if show_photo else None)
    from ..maps.channel_grid import channel_pages

    output = output_of(run, channels)
    tensors = run.tensors([channels])
    return channel_pages(tensors, output, top, style, f"{title} · {channels}", run.seen() if show_photo else None)


def output_of(run: PhotoRun, name: str) -> Output:
    """Return an output of the model that is run.

    Raises:
        UsageError: it has none of that name; the message has the nearest.
    """
    known_outputs(run.artifact.manifest, [name])
    return next(each for each in run.artifact.manifest.outputs if each.name == name)
