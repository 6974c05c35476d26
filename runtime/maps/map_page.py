"""Maps to pages of tiles: the names of blocks, the photo, and each map with its texts and colour bar.

Which maps, and what is said of them, is up to `feature_grid.py` and `channel_grid.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from ..artifact.errors import UsageError
from .colour_scales import ColourScale, own_scale, scales_of
from .feature_maps import FeatureMap
from .footer import clip_notes, photo_notes, scale_notes
from .page_layout import GridLayout, lay_out
from .pages import Pages, draw_footer
from .photo import Photo
from .picture import Picture, Text
from .sections import sections_of
from .tile import INK, cmap_of, draw_fitted, draw_heading, draw_map, draw_name, draw_photo, draw_range, not_finite

__all__ = ["MapPages"]


@dataclass(frozen=True)
class MapPages(Pages):
    """All pages of some maps."""

    maps: Sequence[FeatureMap]
    photo: Photo | None = None
    """What the maps are of: the first tile of each page."""

    def __post_init__(self) -> None:
        """Check that there is a photo where the maps are to lie over it."""
        if self.style.overlay and self.photo is None:
            raise UsageError("Maps can be laid over a photo only if there is one: give photo=.")

    @property
    def _entries(self) -> str:
        return "tiles"

    @property
    def _paths(self) -> list[str]:
        return [each.path for each in self.maps]

    @cached_property
    def _scales(self) -> list[ColourScale | None]:
        return scales_of([each.values for each in self.maps], self.style, shared=self.shared)

    @cached_property
    def _sections(self) -> list[str]:
        return sections_of(self._paths)

    def _layout(self, shown: slice, notes: Sequence[str], *, has_title: bool) -> GridLayout:
        photo, whole, maps = self.photo, self.style.overlay, self.maps[shown]
        first = [photo.shape(whole)] if photo else []
        return lay_out(
            first + [first[0] if whole else each.values.shape for each in maps],
            self.kind,
            self.style,
            names=[each.name for each in maps],
            notes=[
                *self.opening,
                *scale_notes(self._scales[shown], self.style, shared=self.shared),
                *clip_notes(self._scales[shown], self.style),
                *photo_notes([photo] if photo else [], overlay=whole),
                *self.closing,
                *notes,
            ],
            has_title=has_title,
            details=any(each.detail for each in maps),
            sections=any(self._sections[shown]),
        )

    def _draw(self, picture: Picture, layout: GridLayout, shown: slice) -> None:
        photo, whole, first = self.photo, self.style.overlay, 1 if self.photo else 0
        if photo:
            _draw_photo(picture, layout, photo, whole=whole)
        _draw_sections(picture, layout, [""] * first + self._sections[shown])
        drawn = list(zip(self.maps[shown], self._scales[shown], strict=True))
        for index, (map_, scale) in enumerate(drawn, first):
            _draw_tile(picture, layout, index, map_, scale, bar=not self.shared, over=photo if whole else None)
        scale = self._scales[0]
        marked = [cmap_of(its) for map_, its in drawn if not_finite(map_.values)]
        draw_footer(picture, layout, [scale] if self.shared and scale else [], marked)


def _draw_sections(picture: Picture, layout: GridLayout, sections: Sequence[str]) -> None:
    """Add a rule above the tiles of each block, and its name where it begins, and where its next row does."""
    size = layout.text - 2
    for row in range(0, len(sections), layout.columns):
        places = range(row, min(row + layout.columns, len(sections)))
        for block, tiles in groupby(places, key=lambda index: sections[index]):
            if block:
                first, *others = tiles
                x, y = layout.corner(first)
                width = layout.corner((others or [first])[-1])[0] + layout.side - x
                draw_heading(picture, (x, y), block, size, width)


def _draw_photo(picture: Picture, layout: GridLayout, photo: Photo, *, whole: bool) -> None:
    """Add the first tile: the photo, with its name on one line and its size where maps have theirs."""
    x, y = layout.corner(0)
    y += layout.section_height + layout.titles_height
    above = layout.line if layout.details else 0
    baseline = y - layout.titles_height + layout.name_lines * layout.line - layout.line + layout.text
    draw_name(picture, (x, baseline), photo.name, layout.text, layout.side)
    height = draw_photo(picture, (x, y), layout.side, photo, whole=whole)
    size = layout.text - (1 if above else 2)
    place = (x, baseline + above) if above else (x, y + height + 6 + size)
    draw_fitted(picture, place, photo.detail, size, layout.side)


def _draw_tile(
    picture: Picture,
    layout: GridLayout,
    index: int,
    map_: FeatureMap,
    scale: ColourScale | None,
    *,
    bar: bool,
    over: Photo | None,
) -> None:
    x, y = layout.corner(index)
    y += layout.section_height
    lines = layout.name_lines_of(map_.name)
    baseline = y + (layout.name_lines - len(lines)) * layout.line + layout.text  # so that the lines end at the map
    for line in lines:
        picture.parts.append(Text(x, baseline, line, layout.text, INK, bold=True))
        baseline += layout.line
    if map_.detail:
        draw_fitted(picture, (x, baseline), map_.detail, layout.text - 1, layout.side)
    y += layout.titles_height
    width, height = draw_map(picture, (x, y), layout.side, map_.values, scale, over, faint=map_.weak)
    # Without a bar the scale is in the footer, and the tile says what is its own.
    ends = scale if bar else own_scale(map_.values)
    room = max(width, layout.side // 2)  # the numbers stay below a narrow map
    draw_range(picture, (x, y + height + 6), room, layout.text - 2, ends, bar=bar, bad=not_finite(map_.values))
