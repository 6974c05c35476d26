"""An overview of a model: the few of its maps that say the most, on one page; the order of the steps.

Which blocks it is of is decided in `blocks.py`, what looks alike in `thinning.py`. The maps come from a photo's run.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from ..artifact.manifest import Output
from .blocks import (
    branch_names,
    numbered_paths,
    of_whole_blocks,
    residual_blocks,
    with_branch_ends,
    without_preactivations,
)
from .feature_grid import marked, refuse_blank
from .feature_maps import FeatureMap, LeftOut, worth_drawing
from .footer import (
    badge_notes,
    drawn_counts,
    explained,
    frame_notes,
    hue_notes,
    left_out_notes,
    overview_explained,
    sign_notes,
    token_notes,
)
from .grid_style import GridStyle
from .likeness import aligned, steadiness, with_turned_hues
from .map_page import MapPages
from .parts import PartSource, extra_channels, in_parts
from .photo import Photo
from .reductions import AUTO, AUTO_ORDER
from .stages import landmarks, with_stages, without_poolings
from .takeaway import takeaway
from .thinning import (
    MOST_SHOWN,
    Differing,
    Room,
    differing,
    means_say_little,
    strongest_and_last,
    with_branches,
    without_checkerboards,
)
from .tile_places import OVERVIEW_PAGE

__all__ = ["MapSource", "overview_pages"]

_FEWEST = 3
"""Maps, of which fewer leave room for the branches of blocks."""
_THINNED = frozenset[LeftOut](("inside", "preactivation", "similar", "pooling", "noise", "checkerboard", "weak"))
"""Why an overview leaves out what another page draws."""


class MapSource(PartSource, Protocol):
    """What the maps come from."""

    @property
    def has_channels(self) -> bool:
        """Whether there are tensors, and not their means alone."""

    def maps(self, outputs: Sequence[Output], reduce: str = AUTO) -> list[FeatureMap]:
        """Return the map of each output."""


@dataclass
class _Draft:
    """What is drawn, and why the other outputs aren't: each of them is in one place."""

    maps: list[FeatureMap]
    left_out: dict[LeftOut, list[str]] = field(default_factory=dict)
    alike: dict[str, list[FeatureMap]] = field(default_factory=dict)
    """By what is drawn: those that look like it."""


def overview_pages(
    source: MapSource, outputs: Sequence[Output], style: GridStyle, title: str | None, photo: Photo | None
) -> MapPages:
    """Return the pages of an overview: of many outputs one page.

    Raises:
        UsageError: no output shows anything.
    """
    maps = source.maps(outputs, style.reduce)
    shared, free = bool(style.shared), style.reduce == AUTO and source.has_channels

    def shown(some: Sequence[Output]) -> int:
        return len(worth_drawing(_of(maps, some), shared=shared).maps)

    blocks, depth = of_whole_blocks(outputs, shown)
    few = depth > 0 or shown(outputs) > MOST_SHOWN
    some = without_preactivations(blocks, outputs) if few else blocks
    branches = with_branch_ends(some, outputs) if depth else some
    if depth and free and means_say_little(_of(maps, some)):
        maps = source.maps(branches, AUTO_ORDER[-1])
    seen = photo.seen[..., :3].astype(np.float64) if photo else None
    room = Room(int(photo is not None), style.columns)
    draft = _drafted(maps, some, room, few=few, shared=shared)
    if len(draft.maps) < _FEWEST and len(branches) > len(some):  # in a fresh ConvNeXt, the sums are their inputs
        more = _drafted(maps, branches, room, few=True, shared=shared)
        if len(more.maps) > len(draft.maps):
            some, draft = branches, more
    if few and free:
        _leave_out_the_middle(draft)
    _account(draft, outputs, blocks, some)
    numbered = numbered_paths(each.module_path for each in some if each.has_map)
    stages = with_stages(draft.maps, len(numbered) if depth else 0) if few else draft.maps
    by_name = {each.name: each for each in outputs}
    parts = in_parts(source, by_name, stages) if few and free else stages
    drawn = aligned(parts, seen.mean(axis=2) if seen is not None else None) if few else parts
    thinned = bool(draft.left_out.keys() & _THINNED)
    which = f"what each block returns (--depth {depth})" if depth else "the maps that look different"
    pages = MapPages(
        maps=drawn,
        style=style,
        kind=OVERVIEW_PAGE,
        shared=shared,
        title=title,
        opening=overview_explained(drawn, depth=depth) if thinned else explained(drawn),
        closing=[
            *badge_notes(drawn),
            *(sign_notes(drawn) if few else []),
            *hue_notes(drawn),
            *frame_notes(drawn),
            *drawn_counts(drawn, len(outputs), draft.left_out),
        ],
        photo=photo,
        brief=True,
        per_row=len(stages) if any(each.is_further_component for each in drawn) else None,
        facts=[
            *([f"Drawn: {which}. --all-pages draws all."] if thinned else []),
            *token_notes(outputs),
            *left_out_notes(draft.left_out),
        ],
    )
    return replace(pages, lead=takeaway(drawn, draft.alike, seen, pages.scales)) if few else pages


def _drafted(
    maps: Sequence[FeatureMap],
    outputs: Sequence[Output],
    room: Room,
    *,
    few: bool,
    shared: bool,
) -> _Draft:
    """Return some outputs' maps without what says little beside the others."""
    maps, boards = without_checkerboards(_of(maps, outputs)) if few else (_of(maps, outputs), [])
    maps, pooled = without_poolings(maps)
    stay = landmarks([each for each in maps if each.left_out is None]) if few else ()
    found = worth_drawing(maps, shared=shared, stay=stay)
    if not found.maps:
        refuse_blank(outputs, found)
    drawn, weak = strongest_and_last(marked(found.maps))
    sums = residual_blocks(outputs) if few else ()
    if sums:  # the signal doesn't fade where a branch adds little to it
        branches = branch_names(outputs, sums)
        faint = [each.name for each in drawn if each.is_weak and each.name in branches]
        drawn, weak = [each for each in drawn if each.name not in faint], [*weak, *faint]
    apart = differing(drawn, room.less(extra_channels(drawn)), stay) if few else differing(drawn)
    noise = [name for name in apart.twins if name in apart.noise]
    similar = [name for name in apart.twins if name not in apart.noise]
    left_out: dict[LeftOut, list[str]] = {
        "similar": similar,
        "pooling": pooled,
        "noise": noise,
        "checkerboard": boards,
        "weak": weak,
    }
    left_out = {kind: names for kind, names in left_out.items() if names}
    alike = _alike(drawn, apart, found.repeats)
    turned = with_turned_hues(apart.maps)
    return _Draft(with_branches(turned, found.repeats, outputs, sums), found.left_out | left_out, alike)


def _alike(
    maps: Sequence[FeatureMap], apart: Differing, repeats: Sequence[tuple[FeatureMap, FeatureMap]]
) -> dict[str, list[FeatureMap]]:
    """Return what looks like each map that is drawn, also what repeats one of those."""
    found: dict[str, list[FeatureMap]] = {}
    twins = [(each, apart.twins[each.name]) for each in maps if each.name in apart.twins]
    for each, twin in [*twins, *((one, apart.twins.get(other.name, other.name)) for one, other in repeats)]:
        found.setdefault(twin, []).append(each)
    return found


def _leave_out_the_middle(draft: _Draft) -> None:
    """Leave of components that hardly change from block to block the first and the last, beside which others fit."""
    if len(draft.maps) < _FEWEST or draft.maps[-1].share is None:
        return
    first, *between, last = draft.maps
    others = [*(each for twins in draft.alike.values() for each in twins), *between]
    if steadiness([first, *others, last]) is not None:
        draft.maps, draft.alike = [first, last], {last.name: others}
        draft.left_out.setdefault("similar", []).extend(each.name for each in between)


def _account(draft: _Draft, outputs: Sequence[Output], blocks: Sequence[Output], some: Sequence[Output]) -> None:
    """Add to what is left out the outputs that aren't among those of which the overview is, so that the counts close.

    Args:
        draft: of the overview.
        outputs: all.
        blocks: of whole blocks.
        some: of which the overview is.
    """
    whole, names = {each.name for each in blocks}, {each.name for each in some}
    for each in outputs:
        if each.name not in names:
            why: LeftOut = "flat" if not each.has_map else "preactivation" if each.name in whole else "inside"
            draft.left_out.setdefault(why, []).append(each.name)


def _of(maps: Sequence[FeatureMap], outputs: Sequence[Output]) -> list[FeatureMap]:
    names = {output.name for output in outputs}
    return [each for each in maps if each.name in names]
