"""Pictures of one output's channels in several runs side by side: a row for each channel, a column for each run.

The channels of one run are drawn in `channel_grid.py`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import UsageError
from ..artifact.manifest import Output
from .channel_grid import channel_style, channels_explained, constant_channels, ranked
from .comparison import check_columns
from .comparison_page import ComparisonPages, MapRow, likeness_note
from .grid_style import GridStyle
from .photo import Photo
from .tile_places import COMPARISON_PAGE

__all__ = ["channel_comparison"]


def channel_comparison(
    tensors: Mapping[str, NDArray[np.generic]],
    output: Output,
    top: int | None,
    style: GridStyle,
    title: str | None = None,
    photos: Sequence[Photo] = (),
) -> ComparisonPages:
    """Return the pages of one output's channels side by side; those that are constant and equal in all are counted.

    Args:
        tensors: what to call each run, to the output's channels, C H W.
        output: the output.
        top: only so many, those that vary most over all images together, in that order.
        style: how it is to look.
        title: a line above.
        photos: one of each run, or none.

    Raises:
        UsageError: as of `draw_comparison` and `draw_channels`, or the runs have different numbers of channels.
    """
    check_columns(len(tensors), style)
    counts = {head: len(tensor) for head, tensor in tensors.items()}
    if len(set(counts.values())) > 1:
        have = ", ".join(f"{count} in {head}" for head, count in counts.items())
        raise UsageError(f"{output.name} has other channels in each: {have}.\nCompare models of one architecture.")
    first = next(iter(tensors.values()))
    together = np.concatenate([each.reshape(len(each), 1, -1) for each in tensors.values()], axis=2)
    drawn, dead = ranked(together, output, top)
    style = channel_style(style)
    rows = [
        MapRow(str(number), "", "", [each[number].astype(np.float64) for each in tensors.values()]) for number in drawn
    ]
    return ComparisonPages(
        rows=rows,
        heads=list(tensors),
        photos=photos,
        style=style,
        kind=COMPARISON_PAGE,
        shared=bool(style.shared),
        title=title,
        lead=likeness_note(rows, "channel "),
        opening=channels_explained("row", output, first, len(drawn) if top else None),
        closing=constant_channels(dead, len(first)),
    )
