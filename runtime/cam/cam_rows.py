"""Class activation maps of several photos on a page: each photo, and beside it its maps, over it.

Of one photo they are drawn in `cam_pages.py`; which maps there are is decided there, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from ..maps.colour_scales import ColourScale, own_scale, scales_of
from ..maps.feature_maps import FeatureMap
from ..maps.footer import clip_notes, photo_notes, scale_notes
from ..maps.page_layout import GridLayout, lay_out
from ..maps.pages import Pages, draw_footer
from ..maps.photo import Photo
from ..maps.picture import Picture
from ..maps.tile import cmap_of, draw_details, draw_map, draw_name, draw_photo, draw_range, not_finite

__all__ = ["CamRow", "CamRows"]

_BELOW = 6
"""From a map to its colour bar."""


@dataclass(frozen=True)
class CamRow:
    """A photo and its maps."""

    photo: Photo
    maps: Sequence[FeatureMap]


@dataclass(frozen=True)
class CamRows(Pages):
    """All pages of some photos, each with as many maps."""

    rows: Sequence[CamRow]

    @property
    def _entries(self) -> str:
        return "photos"

    @property
    def _paths(self) -> list[str]:
        return [""] * len(self.rows)

    @property
    def _columns(self) -> int:
        """So many that no photo is apart from its maps."""
        beside = 1 + len(self.rows[0].maps)
        return beside * min(max(self.kind.most_columns // beside, 1), len(self.rows))

    @cached_property
    def _scales(self) -> list[list[ColourScale | None]]:
        """Of each photo's maps."""
        found = iter(scales_of([each.values for row in self.rows for each in row.maps], self.style, shared=self.shared))
        return [[next(found) for _ in row.maps] for row in self.rows]

    def _layout(self, shown: slice, notes: Sequence[str], *, has_title: bool) -> GridLayout:
        rows, scales = self.rows[shown], list(chain.from_iterable(self._scales[shown]))
        return lay_out(
            [row.photo.shape(whole=True) for row in rows for _ in range(1 + len(row.maps))],
            self.kind,
            self.style if self.style.columns else self.style.but(columns=self._columns),
            names=[name for row in rows for name in (row.photo.name, *(each.name for each in row.maps))],
            notes=[
                *([] if has_title else self.opening),
                *scale_notes(scales, self.style, shared=self.shared),
                *clip_notes(scales, self.style),
                *photo_notes([row.photo for row in rows], overlay=True),
                *self.closing,
                *notes,
            ],
            caption=self.opening if has_title else (),
            has_title=has_title,
            legend=self.shared or any(not_finite(each.values) for row in rows for each in row.maps),
        )

    def _draw(self, picture: Picture, layout: GridLayout, shown: slice) -> None:
        marked, index = list[str](), 0
        for row, scales in zip(self.rows[shown], self._scales[shown], strict=True):
            x, y = layout.corner(index)
            _draw_texts(picture, layout, (x, y), row.photo.name, row.photo.detail)
            draw_photo(picture, (x, y + layout.titles_height), layout.side, row.photo, whole=True)
            for at, (map_, scale) in enumerate(zip(row.maps, scales, strict=True), index + 1):
                self._draw_map(picture, layout, at, row.photo, map_, scale)
                marked += [cmap_of(scale)] if not_finite(map_.values) else []
            index += 1 + len(row.maps)
        shared = self._scales[0][0]
        draw_footer(picture, layout, [shared] if self.shared and shared else [], marked)

    def _draw_map(
        self, picture: Picture, layout: GridLayout, at: int, photo: Photo, map_: FeatureMap, scale: ColourScale | None
    ) -> None:
        x, y = layout.corner(at)
        _draw_texts(picture, layout, (x, y), map_.name, map_.operation)
        y += layout.titles_height
        width, height = draw_map(picture, (x, y), layout.side, map_.values, scale, photo)
        ends, size = own_scale(map_.values) if self.shared else scale, layout.text - 1
        place, room = (x, y + height + _BELOW), max(width, layout.side // 2)
        bad = not_finite(map_.values)
        draw_range(picture, place, room, size, ends, bar=not self.shared, bad=bad, most=layout.side)


def _draw_texts(picture: Picture, layout: GridLayout, place: tuple[int, int], name: str, detail: str) -> None:
    """Add the name of a tile, in the line right above what is said of it."""
    x, y = place
    baseline = y + (layout.name_lines - 1) * layout.line + layout.text
    draw_name(picture, (x, baseline), name, layout.name_text, layout.side)
    draw_details(picture, (x, baseline + layout.line), [detail], layout.text - 1, layout.line, layout.side)
