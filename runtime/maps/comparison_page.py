"""Rows of maps to pages: the columns' heads with their photos, each row with one colour bar, and its difference.

Which rows, and what is said of them, is up to `comparison.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import UsageError
from .colour_scales import ColourScale, difference_scales, own_scale, scales_of
from .footer import clip_notes, photo_notes, scale_notes
from .likeness import correlation
from .page_layout import GridLayout, lay_out, least_width
from .pages import Pages, draw_footer
from .photo import Photo
from .picture import Picture
from .tile import cmap_of, draw_fitted, draw_heading, draw_map, draw_name, draw_photo, draw_range, not_finite

__all__ = ["ComparisonPages", "MapRow", "likeness_note"]

_DIFFERENCE, _ORDER = "difference", "second − first"
_ALIKE = 0.99
"""The correlation from which on maps are alike."""
_BELOW = 6
"""From a map to the line below it."""


@dataclass(frozen=True)
class MapRow:
    """One output, or one channel, in each of the columns."""

    name: str
    detail: str
    path: str
    maps: Sequence[NDArray[np.float64]]
    """H W each."""

    @cached_property
    def difference(self) -> NDArray[np.float64] | None:
        """The second of two maps less the first; None for other than two of one size."""
        if len(self.maps) != 2 or self.maps[0].shape != self.maps[1].shape:
            return None
        with np.errstate(all="ignore"):  # inf - inf is a NaN, and the picture shows it
            return np.asarray(self.maps[1] - self.maps[0])

    @property
    def likeness(self) -> float:
        """The least correlation of two of the maps."""
        return min(correlation(one, other) for one, other in combinations(self.maps, 2))

    @property
    def values(self) -> NDArray[np.float64]:
        """All values of the row, in one line of pixels."""
        return np.concatenate([each.ravel() for each in self.maps])[None]


@dataclass(frozen=True)
class ComparisonPages(Pages):
    """All pages of some rows."""

    rows: Sequence[MapRow]
    heads: Sequence[str]
    """What each column is called."""
    photos: Sequence[Photo]
    """One of each column, or none."""

    def __post_init__(self) -> None:
        """Check that there are photos where the maps are to lie over them."""
        if self.photos and len(self.photos) != len(self.heads):
            raise UsageError(f"{len(self.heads)} columns have {len(self.photos)} photos: give one of each, or none.")
        if self.style.overlay and not self.photos:
            raise UsageError("Maps can be laid over photos only if there are some: give photos=.")
        least = least_width(self._columns)
        if self.style.width is not None and self.style.width < least:
            raise UsageError(
                f"{self._columns} columns don't fit in {self.style.width} pixels: give a width of at least {least}."
            )

    @property
    def _entries(self) -> str:
        return "rows"

    @property
    def _paths(self) -> list[str]:
        return [each.path for each in self.rows]

    @property
    def _columns(self) -> int:
        return len(self.heads) + self._differs

    @cached_property
    def _differs(self) -> bool:
        return any(each.difference is not None for each in self.rows)

    @cached_property
    def _scales(self) -> list[ColourScale | None]:
        return scales_of([each.values for each in self.rows], self.style, shared=self.shared)

    @cached_property
    def _difference_scales(self) -> list[ColourScale | None]:
        none = np.empty((0, 0))
        found = [none if each.difference is None else each.difference for each in self.rows]
        return difference_scales(found, self.style, shared=self.shared)

    def _layout(self, shown: slice, notes: Sequence[str], *, has_title: bool) -> GridLayout:
        whole, rows = self.style.overlay, self.rows[shown]
        heads = [each.shape(whole) for each in self.photos]
        shapes = [*heads, *(each.shape for row in rows for each in row.maps)]
        scales, differences = self._scales[shown], self._difference_scales[shown]
        differs = []
        if self._differs:
            differs = [
                f"{_DIFFERENCE.capitalize()}: {self.heads[1]} less {self.heads[0]}, in colours from −x to x; red is "
                f"where {self.heads[1]} is higher."
            ]
        return lay_out(
            # Each row fills all columns.
            (shapes * self._columns)[: (len(rows) + bool(heads)) * self._columns],
            self.kind,
            self.style.but(columns=self._columns),
            names=[""],  # a row's name is in its heading
            notes=[
                *([] if has_title else filter(None, [self.lead, *self.opening])),
                *scale_notes(scales, self.style, shared=self.shared, what="row"),
                *differs,
                *clip_notes([*scales, *differences], self.style),
                *photo_notes(self.photos, overlay=whole),
                *self.closing,
                *notes,
            ],
            lead=[self.lead] if has_title and self.lead else (),
            caption=self.opening if has_title else (),
            has_title=has_title,
            details=0,
            heads=not heads,
            legend=self.shared or any(not_finite(each.values) for each in rows),
        )

    def _draw(self, picture: Picture, layout: GridLayout, shown: slice) -> None:
        self._draw_heads(picture, layout)
        rows = zip(self.rows[shown], self._scales[shown], self._difference_scales[shown], strict=True)
        marked = []
        for index, (row, scale, difference) in enumerate(rows, 1 if self.photos else 0):
            self._draw_row(picture, layout, index * layout.columns, row, scale, difference)
            both = [(row.values, scale), (row.difference, difference)]
            marked += [cmap_of(its) for values, its in both if values is not None and not_finite(values)]
        shared = [self._scales[0], *self._difference_scales[: int(self._differs)]] if self.shared else []
        draw_footer(picture, layout, [each for each in shared if each], marked)

    def _draw_heads(self, picture: Picture, layout: GridLayout) -> None:
        """Add each column's name, and its photo if there are photos."""
        for index, head in enumerate([*self.heads, _DIFFERENCE][: self._columns]):
            x, y = layout.corner(index)
            if not self.photos:
                draw_name(picture, (x, y - layout.text), head, layout.text, layout.side)
                continue
            photo = self.photos[index] if index < len(self.photos) else None
            size, below = layout.text - 1, y + layout.titles_height
            draw_heading(picture, (x, y), head, size, layout.side)
            if photo:
                height = draw_photo(picture, (x, below), layout.side, photo, whole=self.style.overlay)
                below += height + _BELOW
            draw_fitted(picture, (x, below + size), photo.detail if photo else _ORDER, size, layout.side)

    def _draw_row(
        self,
        picture: Picture,
        layout: GridLayout,
        index: int,
        row: MapRow,
        scale: ColourScale | None,
        difference: ColourScale | None,
    ) -> None:
        x, y = layout.corner(index)
        width = layout.span(len(row.maps))
        draw_heading(picture, (x, y), row.name, layout.text - 1, layout.span(layout.columns), beside=row.detail)
        y += layout.titles_height
        sizes = [
            draw_map(picture, (layout.corner(index + place)[0], y), layout.side, values, scale, over)
            for place, (values, over) in enumerate(zip(row.maps, self._over, strict=True))
        ]
        bar, size, below = not self.shared, layout.text - 2, y + max(height for _, height in sizes) + _BELOW
        ends = scale if bar else own_scale(row.values)
        draw_range(
            picture,
            (x, below),
            width - layout.side + _bar_width(sizes[-1], layout),
            size,
            ends,
            bar=bar,
            bad=not_finite(row.values),
            most=width,
        )
        if row.difference is not None:
            x = layout.corner(index + len(row.maps))[0]
            drawn = draw_map(picture, (x, y), layout.side, row.difference, difference)
            if not row.difference.any():
                draw_fitted(picture, (x, below + size), "no difference", size, layout.side)
                return
            ends = difference if bar else own_scale(row.difference)
            place, room = (x, below), _bar_width(drawn, layout)
            draw_range(picture, place, room, size, ends, bar=bar, bad=not_finite(row.difference), most=layout.side)

    @property
    def _over(self) -> Sequence[Photo | None]:
        return self.photos if self.style.overlay else [None] * len(self.heads)


def likeness_note(rows: Sequence[MapRow], what: str = "") -> str:
    """Return in which of at least two rows the maps are most alike, and in which least; of finite ones."""
    rows = [each for each in rows if np.isfinite(each.values).all()]
    if len(rows) < 2:
        return ""
    found = [each.likeness for each in rows]
    most, least = found.index(max(found)), found.index(min(found))
    if found[least] >= _ALIKE:
        return f"The maps are alike in all rows (r ≥ {np.floor(100 * found[least] + 1e-6) / 100:.2f})."
    ends = [f"{what}{rows[at].name} (r {found[at]:.2f})".replace("-", "−") for at in (most, least)]
    return f"The maps are most alike in {ends[0]}, least in {ends[1]}."


def _bar_width(size: tuple[int, int], layout: GridLayout) -> int:
    return max(size[0], layout.side // 2)  # the numbers stay below a narrow map
