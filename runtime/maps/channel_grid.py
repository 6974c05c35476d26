"""Pictures of one output: each of its channels as a tile, by default in one scale.

A page of maps becomes a picture in `map_page.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import UsageError
from ..artifact.manifest import Output
from .feature_maps import FeatureMap
from .footer import listed
from .grid_style import DEFAULT_STYLE, GridStyle
from .map_page import MapPages
from .map_reading import output_tensor
from .photo import Photo
from .picture import Picture
from .tile_places import CHANNEL_PAGE

__all__ = [
    "channel_pages",
    "channel_style",
    "channels_explained",
    "channels_to_draw",
    "constant_channels",
    "draw_channels",
    "ranked",
]


def draw_channels(
    arrays: Mapping[str, Any],
    output: Output,
    *,
    top: int | None = None,
    page: int = 1,
    title: str | None = None,
    photo: Photo | None = None,
    style: GridStyle = DEFAULT_STYLE,
    **choices: Any,
) -> Picture:
    """Draw each channel of one output's first image; those that are constant are counted in the footer.

    Args:
        arrays: output name to NumPy array or PyTorch tensor, in the output's layout.
        output: the output, of a full probe.
        top: only so many, those that vary most over the image (by their standard deviation), in that order.
        page: which of the picture's `pages`, from 1 on. A page holds at most 100 tiles.
        title: a line above the grid.
        photo: as of `draw_grid`.
        style: how it is to look. Its `reduce` doesn't apply.
        choices: fields of `GridStyle` by name, in place of the style's.

    Raises:
        UsageError: an unknown page, choice or colour map, a missing array or one that contradicts the output, no
            channel that varies, or a picture that would be too large.
    """
    return channel_pages(arrays, output, top, style.but(**choices), title, photo).picture(page)


def channel_pages(
    arrays: Mapping[str, Any],
    output: Output,
    top: int | None,
    style: GridStyle,
    title: str | None = None,
    photo: Photo | None = None,
) -> MapPages:
    """Return the pages of one output's channels; the arguments are those of `draw_channels`.

    Raises:
        UsageError: as of `draw_channels`, but for the page.
    """
    tensor = channels_to_draw(arrays, output)
    drawn, dead = ranked(tensor, output, top)
    style = channel_style(style)
    return MapPages(
        maps=[FeatureMap(str(number), "", "", tensor[number].astype(np.float64)) for number in drawn],
        style=style,
        kind=CHANNEL_PAGE,
        shared=bool(style.shared),
        title=title,
        lead=_strongest(tensor, drawn),
        opening=channels_explained("tile", output, tensor, len(drawn) if top else None),
        closing=constant_channels(dead, len(tensor)),
        photo=photo,
    )


def channel_style(style: GridStyle) -> GridStyle:
    """Return the style of channels: a channel's zero means that the unit doesn't respond, and one scale for all shows
    which responds most.
    """
    return style.but(
        symmetric=True if style.symmetric is None else style.symmetric,
        shared=True if style.shared is None else style.shared,
    )


def channels_to_draw(arrays: Mapping[str, Any], output: Output) -> NDArray[Any]:
    """Return an output's channels, C H W.

    Raises:
        UsageError: it has none, or the array is missing or contradicts the output.
    """
    if not output.has_map:
        raise UsageError(f"{output.name} has no channels to draw: it has no height and width.")
    if output.averaged is not None:
        raise UsageError(
            f"{output.name} is the mean of {output.averaged} channels, which are not here.\n"
            "Draw the full probe's tensors: export without --no-full."
        )
    return output_tensor(arrays, output)


def channels_explained(what: str, output: Output, tensor: NDArray[Any], strongest: int | None) -> list[str]:
    """Return what a tile, or a row, is."""
    chosen = f"; the {strongest} that vary most, in that order" if strongest else ""
    shape = " × ".join(map(str, tensor.shape))
    return [f"Each {what} is one channel of {output.name} ({output.label} · {shape}), by its number from 0 on{chosen}."]


def _strongest(tensor: NDArray[Any], drawn: Sequence[int]) -> str:
    """Return which of at least two channels varies most, and which least."""
    with np.errstate(all="ignore"):
        spread = tensor[drawn].std(axis=(1, 2), dtype=np.float64)
    if len(drawn) < 2 or not np.isfinite(spread).all():
        return ""
    most, least = int(spread.argmax()), int(spread.argmin())
    return (
        f"Channel {drawn[most]} varies most over the image (standard deviation {spread[most]:.3g}), of those drawn "
        f"{drawn[least]} least ({spread[least]:.3g})."
    )


def constant_channels(dead: Sequence[int], channels: int) -> list[str]:
    """Return which channels are left out."""
    are = "is" if len(dead) == 1 else "are"
    left_out = f"{len(dead)} of the {channels} channels {are} constant over the image and left out"
    return [f"{left_out}: {listed(list(map(str, dead)))}."] if dead else []


def ranked(tensor: NDArray[Any], output: Output, top: int | None) -> tuple[list[int], list[int]]:
    """Return the numbers of the channels to draw, and of those that are constant.

    Raises:
        UsageError: all are constant, or none is asked for.
    """
    if top is not None and top < 1:
        raise UsageError(f"The {top} strongest channels were requested; it takes at least 1.")
    lowest, highest = tensor.min(axis=(1, 2)), tensor.max(axis=(1, 2))
    varying = (lowest != highest) | np.isinf(lowest)  # a NaN differs from itself, and is shown, too
    numbers, dead = np.flatnonzero(varying), np.flatnonzero(~varying)
    if not numbers.size:
        size = f"{len(tensor)} channels of {' × '.join(map(str, tensor.shape[1:]))} pixels"
        raise UsageError(f"Nothing to draw: {output.name} has {size}, all of them constant over the image.")
    if top is not None:
        with np.errstate(all="ignore"):
            spread = np.nan_to_num(tensor.std(axis=(1, 2), dtype=np.float64), nan=np.inf)
        numbers = numbers[np.argsort(-spread[numbers], kind="stable")][:top]
    return numbers.tolist(), dead.tolist()
