"""What an overview leaves out beside what shows nothing: what looks alike, noise, and most of what is weak.

What shows nothing at all is found in `feature_maps.py`; which blocks an overview is of, in `runs/photo_pages.py`.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..artifact.manifest import Output
from .colour_maps import value_range
from .feature_maps import BRANCH, WEAK, FeatureMap
from .sections import blocks_of

__all__ = [
    "MOST_SHOWN",
    "aligned",
    "are_weak",
    "badged",
    "closed_blocks",
    "differing",
    "is_branch",
    "last_of_sizes",
    "means_say_little",
    "strongest_and_last",
    "with_branch_ends",
    "with_branches",
    "with_counts",
    "without_branches",
    "without_checkerboards",
]

MOST_SHOWN = 15
"""Maps of an overview: with the photo, 16 tiles, whose text is read also on paper."""

_WEAK = 1e-4
"""Of what the strongest map varies by: what varies less is mostly chance, or rounding of what was computed before."""
_SIMILAR, _ALIKE_AT_A_GLANCE = 0.97, (0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6)
"""Pearson's correlation of two maps of one size, a little blurred, from which on the second tells nothing new: where
all have room; and in an overview, the first by which few enough are left."""
_STRICTER = (0.93, 0.95, 0.97, 0.98, 0.99)
"""The same where hardly any are left."""
_FEWEST = 7
_CHANCE = 0.4
"""The correlation of neighbouring pixels, below which a map looks like noise."""
_PERIODIC = 0.2
"""Of a map's variance, by which its pixels agree more with the second next than with the next: a checkerboard."""
_LEAST_SIDE = 7
"""Pixels of a map, in which neighbours can be told from chance."""
_TOO_MANY = 0.2
"""Of the maps, whose mean is noise: it is no picture of this model."""
_LARGEST_SHARE = 0.5
"""Of the outputs, that a block of several may hold."""
_BLURRED = 28
"""Pixels: a larger map is averaged down to about as many, a smaller one over 3 x 3."""


def badged(map_: FeatureMap, badge: str) -> FeatureMap:
    """Return a map with one more badge."""
    return replace(map_, badges=(*map_.badges, badge))


def are_weak(maps: Sequence[FeatureMap]) -> list[bool]:
    """Return which maps hardly vary beside the strongest."""
    spans = [high - low for low, high in (value_range(each.values) or (0.0, 0.0) for each in maps)]
    return [span < _WEAK * max(spans) for span in spans]


def means_say_little(maps: Sequence[FeatureMap]) -> bool:
    """Return whether the mean over the channels shows nothing in one of the maps, or noise in too many."""
    shown = [each for each in maps if each.left_out is None]
    noise = sum(_is_noise(each.values) for each in shown)
    return any(each.reduction != "mean" for each in shown) or noise > _TOO_MANY * len(shown)


def differing(maps: Sequence[FeatureMap], *, few: bool = False) -> tuple[list[FeatureMap], list[str], list[str]]:
    """Return the maps without those that look like an earlier one among their neighbours of one size, the names of
    those, and of those that are noise, like an earlier one.

    A map that is kept says on itself how many it stands for, too.

    Args:
        maps: in the order of execution.
        few: whether what looks alike at a glance is enough. Of many maps it always is.
    """
    few = few or len(maps) > MOST_SHOWN
    limits = _ALIKE_AT_A_GLANCE if few else (_SIMILAR,)
    pictures = [_blurred(each.values) for each in maps]
    noise = [few and _is_noise(each.values) for each in maps]
    for limit in limits:
        twins = _twins(maps, pictures, noise, limit)
        if twins.count(None) <= MOST_SHOWN:
            break
    for limit in _STRICTER:
        more = _twins(maps, pictures, noise, limit)
        if twins.count(None) >= min(_FEWEST, len(maps)) or more.count(None) > MOST_SHOWN:
            break
        twins = more
    if few:
        twins = _led_by_the_last(maps, twins)
    alike: dict[int, int] = {}
    for twin in twins:
        if twin is not None:
            alike[twin] = alike.get(twin, 0) + 1
    kept = [
        badged(each, f"{alike[index]} more alike") if index in alike else each
        for index, (each, twin) in enumerate(zip(maps, twins, strict=True))
        if twin is None
    ]
    left = [(each.name, is_noise) for each, is_noise, twin in zip(maps, noise, twins, strict=True) if twin is not None]
    return kept, [name for name, is_noise in left if not is_noise], [name for name, is_noise in left if is_noise]


def _twins(
    maps: Sequence[FeatureMap], pictures: Sequence[NDArray[np.float64]], noise: Sequence[bool], limit: float
) -> list[int | None]:
    """Return for each map the index of the one that stands for it, too, if one does."""
    twins: list[int | None] = []
    kept: list[int] = []
    for index, map_ in enumerate(maps):
        if index and maps[index - 1].values.shape != map_.values.shape:
            kept = []
        twin = next(
            (
                each
                for each in reversed(kept)
                if (noise[each] and noise[index]) or float(np.vdot(pictures[each], pictures[index])) >= limit
            ),
            None,
        )
        twins.append(twin)
        if twin is None:
            kept.append(index)
    return twins


def without_checkerboards(maps: Sequence[FeatureMap]) -> tuple[list[FeatureMap], list[str]]:
    """Return the maps without checkerboards, as of a fresh transposed convolution, that a map of the same size follows,
    and the others' names.
    """
    left = [
        each.name
        for each, after in pairwise(maps)
        if each.values.shape == after.values.shape and _is_checkerboard(each.values)
    ]
    return [each for each in maps if each.name not in left], left


def _is_checkerboard(values: NDArray[np.float64]) -> bool:
    """Return whether pixels are more like the second next than the next, as with a stride of two."""
    if min(values.shape) < 2 * _LEAST_SIDE or not np.isfinite(values).all():
        return False
    inner = values[2:-2, 2:-2]  # the padding's edge is no part of it
    centred = inner - inner.mean()
    next_, second = (
        float((centred[:, step:] * centred[:, :-step]).mean() + (centred[step:] * centred[:-step]).mean()) / 2
        for step in (1, 2)
    )
    return second - next_ > _PERIODIC * float((centred**2).mean())


def last_of_sizes(maps: Sequence[FeatureMap]) -> set[str]:
    """Return the names of what each stage returns: of the last before the size changes, and of the last of all.

    What only prepares the change, as the norm before a strided convolution in one module with it, is not the last.
    """
    found = set()
    for index, map_ in enumerate(maps):
        following = maps[index + 1] if index + 1 < len(maps) else None
        if following and following.values.shape == map_.values.shape:
            continue
        around = map_.path.rpartition(".")[0]
        before = maps[index - 1] if index else None
        prepares = (
            before
            and following
            and around
            and before.values.shape == map_.values.shape
            and _within(following.path, around)
            and not _within(before.path, around)
        )
        found.add(before.name if before and prepares else map_.name)
    return found


def _led_by_the_last(maps: Sequence[FeatureMap], twins: Sequence[int | None]) -> list[int | None]:
    """Return the twins, with what a stage returns in place of the earlier map that stood for it."""
    stays = last_of_sizes(maps)
    led = {twin: index for index, twin in enumerate(twins) if twin is not None and maps[index].name in stays}
    return [
        None if index in led.values() else led.get(index if twin is None else twin, twin)
        for index, twin in enumerate(twins)
    ]


def strongest_and_last(maps: Sequence[FeatureMap]) -> tuple[list[FeatureMap], list[str]]:
    """Return the maps without those that are weak, of which the last of each block stays, and the others' names."""
    weak = are_weak(maps)
    blocks = blocks_of([each.path for each in maps])
    followed = [
        later and block != "" and block == after
        for (block, after), later in zip(pairwise([*blocks, ""]), [*weak[1:], False], strict=True)
    ]
    kept = [
        badged(each, WEAK) if is_weak else each
        for each, is_weak, is_followed in zip(maps, weak, followed, strict=True)
        if not (is_weak and is_followed)
    ]
    names = {each.name for each in kept}
    return kept, [each.name for each in maps if each.name not in names]


def with_branches(
    maps: Sequence[FeatureMap], repeats: Collection[tuple[FeatureMap, FeatureMap]], sums: Collection[str] = ()
) -> list[FeatureMap]:
    """Return the maps, those that aren't weak marked which are a branch of a block.

    Args:
        maps: that are drawn.
        repeats: what looks like one of them, and that one: a block's sum that looks like what the block was given.
        sums: the blocks that are known to return something else than what their last module does.
    """
    blocks = {each.path for each, twin in repeats if each.path and not _within(twin.path, each.path)} | {*sums}
    return [badged(each, BRANCH) if not each.is_weak and is_branch(each.path, blocks) else each for each in maps]


def aligned(maps: Sequence[FeatureMap], photo: NDArray[np.float64] | None) -> list[FeatureMap]:
    """Return the maps, those that are principal components with the sign by which they look most like the map before.

    Args:
        maps: one after the other.
        photo: its brightness, H W, which stands before the first, if there is one.
    """
    found: list[FeatureMap] = []
    before = photo
    for each in maps:
        turned = each.share is not None and before is not None and _agreement(before, each.values) < 0
        found.append(replace(each, values=-each.values) if turned else each)
        before = found[-1].values
    return found


def _agreement(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return the covariance of two maps, whose sign says whether they are bright in the same places."""
    sides = [min(*pair, _BLURRED) for pair in zip(one.shape, other.shape, strict=True)]
    first, second = (_coarse(each, sides) for each in (one, other))
    agreement = float(np.vdot(first - first.mean(), second - second.mean()))
    return agreement if np.isfinite(agreement) else 0.0


def _coarse(values: NDArray[np.float64], sides: Sequence[int]) -> NDArray[np.float64]:
    """Return a map averaged down to so many rows and columns."""
    scaled = values / (float(np.abs(values).max()) or 1.0)
    for axis, side in enumerate(sides):
        edges = np.linspace(0, scaled.shape[axis], side + 1).round().astype(int)
        sums = np.add.reduceat(scaled, edges[:-1], axis=axis)
        scaled = sums / np.expand_dims(np.diff(edges), 1 - axis)
    return scaled


def with_counts(maps: Sequence[FeatureMap], whole: Sequence[FeatureMap], order: Sequence[str]) -> list[FeatureMap]:
    """Return the maps of an overview, each with how many of the whole it stands for: those since the one before it,
    and the last ones of their size.

    Args:
        maps: of the overview.
        whole: all maps that say something.
        order: the names of all outputs, in the order of execution.
    """
    places = {name: index for index, name in enumerate(order)}
    counts = [1] * len(maps)
    drawn = {each.name for each in maps}
    for each in whole:
        if each.name in drawn:
            continue
        after = next((index for index, it in enumerate(maps) if places[it.name] > places[each.name]), len(maps))
        same = [
            index for index in (after, after - 1) if 0 <= index < len(maps) and maps[index].size[1:] == each.size[1:]
        ]
        counts[same[0] if same else min(after, len(maps) - 1)] += 1
    return [replace(each, stands_for=count) for each, count in zip(maps, counts, strict=True)]


def without_branches(outputs: Sequence[Output]) -> list[Output]:
    """Return the outputs without those inside of a block that ends with an operation of its own, as a residual block
    with its sum: that, and no branch of it, is what the block returns.
    """
    blocks = closed_blocks(outputs)
    return [each for each in outputs if not is_branch(each.module_path, blocks)]


def with_branch_ends(some: Sequence[Output], outputs: Sequence[Output]) -> list[Output]:
    """Return some outputs and, of each block among them that ends with an operation of its own, what its last module
    returns: what a residual block adds to its input.
    """
    blocks = {each.module_path for each in some} & closed_blocks(outputs)
    ends = {block: each.name for each in outputs for block in blocks if is_branch(each.module_path, [block])}
    names = {*ends.values(), *(each.name for each in some)}
    return [each for each in outputs if each.name in names]


def closed_blocks(outputs: Sequence[Output]) -> set[str]:
    """Return the modules around some of the outputs that end with an operation of their own, which is among them."""
    paths = [each.module_path for each in outputs]
    held = {path: sum(is_branch(each, [path]) for each in paths) for path in {*paths} if path}
    # What holds more is around the whole model.
    return {path for path, count in held.items() if 0 < count <= _LARGEST_SHARE * len(outputs)}


def is_branch(path: str, blocks: Collection[str]) -> bool:
    """Return whether a module is inside of one of the blocks."""
    return any(path.startswith(f"{block}.") for block in blocks)


def _within(path: str, block: str) -> bool:
    return path == block or path.startswith(f"{block}.")


def _blurred(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a smaller or smoother map, so scaled that the product of two is their correlation; 0 if there is none."""
    if not np.isfinite(values).all():
        return np.zeros(1)
    step = max(values.shape) // _BLURRED
    if step > 1:
        height, width = (max(side // step, 1) * step if side >= step else side for side in values.shape)
        rows = np.add.reduceat(values[:height, :width], np.arange(0, height, step), axis=0)
        small = np.add.reduceat(rows, np.arange(0, width, step), axis=1)
    else:
        padded = np.pad(values, 1, mode="edge")
        rows = padded[:-2] + padded[1:-1] + padded[2:]
        small = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    with np.errstate(all="ignore"):
        centred = small - small.mean()
        norm = float(np.linalg.norm(centred))
        return centred / norm if norm and np.isfinite(norm) else np.zeros_like(centred)


def _is_noise(values: NDArray[np.float64]) -> bool:
    """Return whether neighbouring pixels have little to do with one another."""
    if min(values.shape) < _LEAST_SIDE or not np.isfinite(values).all():
        return False
    with np.errstate(all="ignore"):
        centred = values - values.mean()
        power = float((centred**2).mean())
        along = float((centred[:, 1:] * centred[:, :-1]).mean() + (centred[1:] * centred[:-1]).mean()) / 2
        return bool(abs(along) < _CHANCE * power)  # a checkerboard is none
