"""Pictures of one output: each of its channels as a tile, by default in one scale.

A page of maps becomes a picture in `map_page.py`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import UsageError
from ..artifact.manifest import Output
from .feature_maps import FeatureMap, output_tensor
from .footer import listed
from .grid_style import DEFAULT_STYLE, GridStyle
from .map_page import MapPages
from .page_layout import CHANNEL_PAGE
from .photo import Photo
from .picture import Picture

__all__ = ["channel_pages", "draw_channels"]


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
    if not output.has_map:
        raise UsageError(f"{output.name} has no channels to draw: it has no height and width.")
    if output.averaged is not None:
        raise UsageError(
            f"{output.name} is the mean of {output.averaged} channels, which are not here.\n"
            "Draw the full probe's tensors: export without --no-full."
        )
    if top is not None and top < 1:
        raise UsageError(f"The {top} strongest channels were requested; it takes at least 1.")
    tensor = output_tensor(arrays, output)
    channels, height, width = tensor.shape
    drawn, dead = _ranked(tensor, top)
    if not drawn:
        size = f"{channels} channels of {height} × {width} pixels"
        raise UsageError(f"Nothing to draw: {output.name} has {size}, all of them constant over the image.")
    chosen = f", the {len(drawn)} that vary most over the image (standard deviation), in that order" if top else ""
    # A channel's zero means that the unit doesn't respond, and one scale shows which responds most.
    style = style.but(
        symmetric=True if style.symmetric is None else style.symmetric,
        shared=True if style.shared is None else style.shared,
    )
    are = "is" if len(dead) == 1 else "are"
    left_out = f"{len(dead)} of the {channels} channels {are} constant over the image and left out"
    return MapPages(
        maps=[FeatureMap(str(number), "", "", tensor[number].astype(np.float64)) for number in drawn],
        style=style,
        kind=CHANNEL_PAGE,
        shared=bool(style.shared),
        title=title,
        opening=[
            f"Each tile is one channel of {output.name} ({output.label} · {channels} × {height} × {width}), "
            f"by its number from 0 on{chosen}."
        ],
        closing=[f"{left_out}: {listed(list(map(str, dead)))}."] if dead else [],
        photo=photo,
    )


def _ranked(tensor: NDArray[Any], top: int | None) -> tuple[list[int], list[int]]:
    """Return the numbers of the channels to draw, and of those that are constant."""
    lowest, highest = tensor.min(axis=(1, 2)), tensor.max(axis=(1, 2))
    varying = lowest != highest  # a NaN differs from itself, and is shown
    numbers, dead = np.flatnonzero(varying), np.flatnonzero(~varying)
    if top is not None:
        with np.errstate(all="ignore"):
            spread = np.nan_to_num(tensor.std(axis=(1, 2), dtype=np.float64), nan=np.inf)
        numbers = numbers[np.argsort(-spread[numbers], kind="stable")][:top]
    return numbers.tolist(), dead.tolist()
