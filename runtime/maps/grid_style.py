"""How a grid is to look: every choice that a caller or the command line has, with its default and its limits."""

import difflib
from dataclasses import dataclass, fields, replace
from typing import Any

from ..artifact.errors import UsageError
from .reductions import AUTO, HUED_REDUCTION, REDUCTIONS

__all__ = ["DEFAULT_STYLE", "LARGEST_FONT", "LARGEST_WIDTH", "SMALLEST_FONT", "SMALLEST_WIDTH", "GridStyle"]

SMALLEST_WIDTH, LARGEST_WIDTH = 320, 16_383
SMALLEST_FONT, LARGEST_FONT = 8, 72


@dataclass(frozen=True)
class GridStyle:
    """The choices; None means what suits the picture.

    Raises:
        UsageError: a choice is not among those there are.
    """

    reduce: str = "auto"
    """How a tensor becomes a map: a row of `REDUCTIONS`, or auto: the mean, and where that says nothing, `pca`."""
    shared: bool | None = None
    """One scale for all tiles instead of one each. By default, the channels of one output share theirs."""
    symmetric: bool | None = None
    """Colours from −x to x for what has both signs, with `cmap` or a diverging colour map. By default for channels
    only: their zero means that the unit doesn't respond, a mean's zero means little."""
    clip: float | None = None
    """Percent of the pixels, at either end, that share the end's colour; at least one pixel. By default 1, and only
    where those few would take most of the colours."""
    cmap: str | None = None
    """The name of a matplotlib colour map. By default viridis, and RdBu_r where the scale is symmetric."""
    overlay: bool = False
    """Whether each map lies over its photo, interpolated, instead of showing its own few pixels."""
    aliases: bool = False
    """Whether to draw also what looks like an earlier tile: dropout in eval mode, a view, a fresh batch norm."""
    columns: int | None = None
    """Tiles per row."""
    width: int | None = None
    """Of the picture, in pixels."""
    font_size: int | None = None
    """Of the names, in pixels; the rest is one smaller."""

    def __post_init__(self) -> None:
        """Check each choice."""
        if self.reduce != AUTO and self.reduce not in REDUCTIONS:
            raise UsageError(f"There is no reduction {self.reduce!r}: choose {AUTO}, {', '.join(REDUCTIONS)}.")
        if self.reduce == HUED_REDUCTION and (self.cmap or self.shared or self.symmetric or self.overlay):
            raise UsageError(
                f"{HUED_REDUCTION} has colours of its own: with a colour map, a shared or symmetric scale, or over the "
                "photo, choose pca."
            )
        if self.clip is not None and not 0 <= self.clip < 50:
            raise UsageError(f"{self.clip:g} percent can't be clipped at either end: give 0 to less than 50.")
        if self.columns is not None and self.columns < 1:
            raise UsageError(f"A grid of {self.columns} columns was requested; it needs at least 1.")
        for what, value, low, high in (
            ("width", self.width, SMALLEST_WIDTH, LARGEST_WIDTH),
            ("font size", self.font_size, SMALLEST_FONT, LARGEST_FONT),
        ):
            if value is not None and not low <= value <= high:
                raise UsageError(f"A {what} of {value} pixels was requested: give {low} to {high}.")

    def but(self, **changes: Any) -> "GridStyle":
        """Return this style with other choices.

        Raises:
            UsageError: there is no such choice, or it is not among those there are.
        """
        names = [each.name for each in fields(self)]
        unknown = next((name for name in changes if name not in names), None)
        if unknown is not None:
            near = difflib.get_close_matches(unknown, names, n=3) or names
            raise UsageError(f"A grid has no choice {unknown!r}: there is {', '.join(near)}.")
        return replace(self, **changes)


DEFAULT_STYLE = GridStyle()
