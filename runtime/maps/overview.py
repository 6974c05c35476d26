"""An overview of a model: the few of its maps that say the most, on one page; the order of the steps.

Which blocks it is of is decided in `blocks.py`, what looks alike in `thinning.py`. The maps come from a photo's run.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..artifact.manifest import Output
from .blocks import closed_blocks, is_branch, of_whole_blocks, with_branch_ends, without_preactivations
from .feature_grid import marked, refuse_blank
from .feature_maps import FeatureMap, LeftOut, badged, worth_drawing
from .footer import badge_notes, explained, left_out_counts, left_out_notes, sign_notes, token_notes
from .grid_style import GridStyle
from .likeness import aligned, blurred
from .map_page import MapPages
from .page_layout import OUTPUT_PAGE
from .photo import Photo
from .reductions import AUTO, AUTO_ORDER
from .stages import with_stages
from .thinning import (
    MOST_SHOWN,
    Differing,
    differing,
    last_of_sizes,
    means_say_little,
    strongest_and_last,
    with_branches,
    without_checkerboards,
)

__all__ = ["MapSource", "overview_pages"]

_FEW = 6
"""Maps, of which fewer leave room for the branches of blocks."""
_COMPONENTS = {1: 4, 2: 3, 3: 3, 4: 2, 5: 2}
"""How many principal components are drawn of what each stage returns, by the number of stages, where few maps are."""
_TELLING = 0.1
"""The share of the variance from which on a component after the first is drawn: what holds less is speckle."""
_STEADY, _VERY_ALIKE = 8, 0.95
"""Maps that look like tiles drawn, and their least correlation, from which on it is said that they hardly change."""

_THINNED = frozenset[LeftOut](("inside", "preactivation", "similar", "noise", "checkerboard", "weak"))
"""Why an overview leaves out what another page draws."""


class MapSource(Protocol):
    """What the maps come from."""

    @property
    def has_channels(self) -> bool:
        """Whether there are tensors, and not their means alone."""

    def maps(self, outputs: Sequence[Output], reduce: str = AUTO) -> list[FeatureMap]:
        """Return the map of each output."""

    def components(self, of: Sequence[tuple[Output, FeatureMap]], count: int) -> list[list[FeatureMap]]:
        """Return so many principal components of each output, of which its map is the first."""

    def channels(self, output: Output, map_: FeatureMap) -> list[FeatureMap]:
        """Return each channel of an output, of which the map is the mean."""


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
    brightness = photo.seen[..., :3].mean(axis=2, dtype=np.float64) if photo else None
    draft = _drafted(maps, some, brightness, few=few, shared=shared)
    if len(draft.maps) < _FEW and len(branches) > len(some):  # in a fresh ConvNeXt, the sums are their inputs
        more = _drafted(maps, branches, brightness, few=True, shared=shared)
        if len(more.maps) > len(draft.maps):
            some, draft = branches, more
    _account(draft, outputs, blocks, some)
    drawn = with_stages(draft.maps) if few else draft.maps
    drawn = _in_parts(source, outputs, drawn, brightness) if few and free else drawn
    thinned = bool(draft.left_out.keys() & _THINNED)
    tiles = f"{len(drawn)} tiles of " if len(drawn) > len(draft.maps) else ""
    counted = f"{tiles}{len(draft.maps)} of {len(outputs)} outputs"
    said = ["what each block returns" if depth else "those that look different", *_steady(draft)]
    which = f"what each block returns (--depth {depth})" if depth else "the maps that look different"
    return MapPages(
        maps=drawn,
        style=style,
        kind=OUTPUT_PAGE,
        shared=shared,
        title=title,
        opening=[*explained(drawn, pages_of_components=few), *([f"{counted}: {'; '.join(said)}."] if thinned else [])],
        closing=[*badge_notes(drawn), *(sign_notes(drawn) if few else []), *left_out_counts(draft.left_out)],
        photo=photo,
        brief=True,
        facts=[
            *([f"Drawn: {which}. --all-pages draws all."] if thinned else []),
            *token_notes(outputs),
            *left_out_notes(draft.left_out),
        ],
    )


def _drafted(
    maps: Sequence[FeatureMap],
    outputs: Sequence[Output],
    photo: NDArray[np.float64] | None,
    *,
    few: bool,
    shared: bool,
) -> _Draft:
    """Return some outputs' maps without what says little beside the others."""
    maps, boards = without_checkerboards(_of(maps, outputs)) if few else (_of(maps, outputs), [])
    stay = last_of_sizes([each for each in maps if each.left_out is None]) if few else ()
    found = worth_drawing(maps, shared=shared, stay=stay)
    if not found.maps:
        refuse_blank(outputs, found)
    drawn, weak = strongest_and_last(marked(found.maps))
    sums = closed_blocks(outputs) if few else ()
    if sums:  # the signal doesn't fade where a branch adds little to it
        faint = [each.name for each in drawn if each.is_weak and is_branch(each.path, sums)]
        drawn, weak = [each for each in drawn if each.name not in faint], [*weak, *faint]
    apart = differing(drawn, few=few)
    noise = [name for name in apart.twins if name in apart.noise]
    similar = [name for name in apart.twins if name not in apart.noise]
    left_out: dict[LeftOut, list[str]] = {"similar": similar, "noise": noise, "checkerboard": boards, "weak": weak}
    left_out = {kind: names for kind, names in left_out.items() if names}
    alike = _alike(drawn, apart, found.repeats)
    turned = aligned(apart.maps, photo) if few else apart.maps
    counted = [badged(each, f"+{len(alike[each.name])} alike") if each.name in alike else each for each in turned]
    return _Draft(with_branches(counted, found.repeats, sums), found.left_out | left_out, alike)


def _alike(
    maps: Sequence[FeatureMap], apart: Differing, repeats: Sequence[tuple[FeatureMap, FeatureMap]]
) -> dict[str, list[FeatureMap]]:
    """Return what looks like each map that is drawn, also what repeats one of those."""
    found: dict[str, list[FeatureMap]] = {}
    twins = [(each, apart.twins[each.name]) for each in maps if each.name in apart.twins]
    for each, twin in [*twins, *((one, apart.twins.get(other.name, other.name)) for one, other in repeats)]:
        found.setdefault(twin, []).append(each)
    return found


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


def _in_parts(
    source: MapSource, outputs: Sequence[Output], maps: Sequence[FeatureMap], photo: NDArray[np.float64] | None
) -> list[FeatureMap]:
    """Return the maps; where there are few principal components, the next ones after each; and in place of the mean of
    a model's few results, each of these.
    """
    by_name = {each.name: each for each in outputs}
    ends = last_of_sizes(maps)
    count = _COMPONENTS.get(len(ends), 1) if len(maps) < _FEW and all(each.share is not None for each in maps) else 1
    if count > 1:
        some = [each for each in maps if each.name in ends]
        found = source.components([(by_name[each.name], each) for each in some], count)
        found = [[each for each in parts if each.part == "" or (each.share or 0) >= _TELLING] for parts in found]
        # The eye compares those of one number, as it does the first ones.
        turned = [aligned([each[number] for each in found if number < len(each)], photo) for number in range(1, count)]
        more = {parts[0].name: [turned[at].pop(0) for at in range(len(parts) - 1)] for parts in found}
        return [part for each in maps for part in (each, *more.get(each.name, ()))]
    last = maps[-1]
    if last.is_mean_of_few and (len(maps) == 1 or maps[-2].size[0] > last.size[0]):
        return [*maps[:-1], *source.channels(by_name[last.name], last)]
    return list(maps)


def _steady(draft: _Draft) -> list[str]:
    """Return that the maps hardly change, if many look like those that are drawn, and very much so."""
    pairs = [(each, other) for each in draft.maps for other in draft.alike.get(each.name, ())]
    if len(pairs) < _STEADY:
        return []
    least = min(abs(float(np.vdot(blurred(each.values), blurred(other.values)))) for each, other in pairs)
    if least < _VERY_ALIKE:
        return []
    what = "PC1" if draft.maps[0].share is not None else "the mean"
    where = " within a stage" if len({each.size[1:] for each in draft.maps}) > 1 else ""
    return [f"{what} hardly changes{where} (r ≥ {np.floor(least * 100) / 100:.2f})"]


def _of(maps: Sequence[FeatureMap], outputs: Sequence[Output]) -> list[FeatureMap]:
    names = {output.name for output in outputs}
    return [each for each in maps if each.name in names]
