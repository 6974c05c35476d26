"""The algebra behind layouts: axes as products of factors, so that what a reshape splits can be recognised when merged.

An axis is a tuple of factors, outermost first. A window partition splits H = 56 into 8 windows of 7 rows; both pieces
record that they are pieces of one H, and where they are in it. When a later reshape brings them together in order, they
are H again. This file knows no operations, only sizes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from math import prod

from runtime.artifact.manifest import TokenGrid

__all__ = [
    "Axis",
    "drop",
    "fresh",
    "grid_of",
    "is_known",
    "letter_of",
    "merge",
    "narrow",
    "reshape",
    "resize",
    "settle",
    "size_of",
    "with_tokens",
]

_MERGED = {"HW": "L", "DHW": "L"} | dict.fromkeys(("CHW", "HWC", "CDHW", "DHWC", "CL", "LC"), "C")
"""What neighbouring axes are called when they are flattened into one."""


@dataclass(frozen=True)
class Factor:
    """A piece of an axis of size `whole`: index `i` of the piece is `i * stride` places along the axis."""

    letter: str
    whole: int
    stride: int
    size: int
    grid: TokenGrid | None = None
    """How the patches are laid out in an axis L that has other tokens, too; without others it consists of H and W."""

    @property
    def complete(self) -> bool:
        """The piece is the whole axis."""
        return self.size == self.whole

    @property
    def outermost(self) -> bool:
        """No other piece of the axis is outside this one."""
        return self.size * self.stride == self.whole

    def is_sibling(self, other: "Factor") -> bool:
        """Both are pieces of the same axis."""
        return (self.letter, self.whole, self.grid) == (other.letter, other.whole, other.grid)


Axis = tuple[Factor, ...]
"""Never empty. Normalised: consecutive pieces are joined into one."""


def fresh(letter: str, size: int, grid: TokenGrid | None = None) -> Axis:
    """Return a whole axis; letter `?` for an unknown one."""
    return (Factor(letter, size, 1, size, grid),)


def size_of(axis: Axis) -> int:
    """Return how long the axis is."""
    return prod(factor.size for factor in axis)


def is_known(axis: Axis) -> bool:
    """Return whether anything is known of the axis, even if only a part of a letter."""
    return any(factor.letter != "?" for factor in axis)


def letter_of(axis: Axis) -> str:
    """Return the axis's letter; `?` unless its factors are one whole axis, or several that merge into one."""
    if not all(factor.complete for factor in axis):
        return "?"
    letters = "".join(factor.letter for factor in axis)
    # A flattened N C 1 1 is N C. For N, a size of 1 does count: one image is an example of many.
    longer = "".join(factor.letter for factor in axis if factor.size > 1 or factor.letter == "N")
    for each in (letters, longer):
        if len(each) == 1 or each in _MERGED:
            return _MERGED.get(each, each)
    return "?"


def grid_of(axis: Axis) -> TokenGrid | None:
    """Return how the tokens of an axis L are laid out in the image, if that is known."""
    if letter_of(axis) != "L":
        return None
    if "".join(factor.letter for factor in axis) == "HW":
        return TokenGrid(0, axis[0].size, axis[1].size, 0)
    return axis[0].grid if len(axis) == 1 else None


def resize(axis: Axis, size: int) -> Axis:
    """Return the axis with another size and the same letter; if the letter isn't known, nothing is."""
    return axis if size_of(axis) == size else fresh(letter_of(axis), size)


def with_tokens(axis: Axis, before: int, after: int) -> Axis:
    """Return an axis L with this many more tokens (fewer, if negative) before and after the patches."""
    size, grid = size_of(axis) + before + after, grid_of(axis)
    if grid is None or grid.before + before < 0 or grid.after + after < 0:
        return resize(axis, size)
    grid = replace(grid, before=grid.before + before, after=grid.after + after)
    if grid.before == grid.after == 0:
        return (*fresh("H", grid.height), *fresh("W", grid.width))
    return fresh("L", size, grid)


def narrow(axis: Axis, start: int, stop: int) -> Axis:
    """Return the part `[start:stop]` of the axis."""
    return with_tokens(axis, -start, stop - size_of(axis))


def merge(axes: Sequence[Axis], size: int) -> Axis:
    """Combine what is known of several tensors' axes of one size: letters come before pieces, pieces before nothing."""
    known = [axis for axis in axes if is_known(axis)]
    known = [axis for axis in known if letter_of(axis) != "?"] or known
    if known and all(axis == known[0] for axis in known):
        return known[0]
    letters = {letter_of(axis) for axis in known}
    return fresh(letters.pop() if len(letters) == 1 else "?", size)


def drop(axes: Sequence[Axis], index: int) -> list[Axis]:
    """Return the axes without one of them, which was indexed or reduced.

    If it was a piece (the 3, when 3C is split into query, key and value), the other pieces now make up the whole axis.
    """
    rest = [*axes[:index], *axes[index + 1 :]]
    if len(axes[index]) != 1:
        return rest
    gone = axes[index][0]

    def remaining(factor: Factor) -> Factor:
        if not factor.is_sibling(gone):
            return factor
        stride = factor.stride // gone.size if factor.stride > gone.stride else factor.stride
        return replace(factor, whole=factor.whole // gone.size, stride=stride)

    return [_join(remaining(factor) for factor in axis) for axis in rest]


def reshape(axes: Sequence[Axis], shape: Sequence[int]) -> list[Axis]:
    """Return the axes of the same elements, in the same order, in another shape.

    Factors and new axes are laid along one line, on which each begins at the product of the sizes before it; a new axis
    consists of the pieces of factors between its ends.
    """
    if prod(map(size_of, axes)) != prod(shape) or not all(shape):
        return [fresh("?", size) for size in shape]
    places = list(pairwise(accumulate(shape, int.__mul__, initial=1)))
    old_places = set(pairwise(accumulate(map(size_of, axes), int.__mul__, initial=1)))
    parts: list[list[Factor | None]] = [[] for _ in shape]
    begin = 1
    for factor in (factor for axis in axes for factor in axis):
        end = begin * factor.size
        if begin == end and factor.letter != "?":
            home = _home_of_single(begin, places, old_places, parts)
            if home is not None:
                parts[home].append(factor)
        for part, (low, high) in zip(parts, places, strict=True):
            first, last = max(begin, low), min(end, high)
            if first < last:
                part.append(_piece(factor, begin, first, last))
        begin = end
    return [
        _join(factor for factor in part if factor) if part and None not in part else fresh("?", size)
        for part, size in zip(parts, shape, strict=True)
    ]


def _piece(factor: Factor, begin: int, first: int, last: int) -> Factor | None:
    """Return the part from `first` to `last` of a factor that begins at `begin`; None if that isn't a block of it."""
    end = begin * factor.size
    if first % begin or last % first or end % last:
        return None
    return replace(factor, stride=factor.stride * (end // last), size=last // first)


def _home_of_single(
    place: int, places: list[tuple[int, int]], old_places: set[tuple[int, int]], parts: list[list[Factor | None]]
) -> int | None:
    """Return the new axis that a factor of size 1 goes to: sizes don't decide it, since it changes no product."""
    empty = [i for i, (low, high) in enumerate(places) if low == high == place and not parts[i]]
    around = [i for i, (low, high) in enumerate(places) if low <= place <= high and low < high]
    if empty or not around:
        return empty[0] if empty else None
    left, right = around[0], around[-1]
    # (L, N=1, C) -> (L, heads, C / heads): for several images it is (L, N * heads, C / heads). If C isn't split, it is
    # (L * N, C) instead.
    low, high = places[right]
    is_split = any(begin <= low and high <= end and (begin, end) != (low, high) for begin, end in old_places)
    return right if is_split else left


def _join(factors: Iterable[Factor]) -> Axis:
    """Return the normalised axis: consecutive pieces of an axis become one."""
    joined: list[Factor] = []
    for factor in factors:
        last = joined[-1] if joined else None
        if last and last.is_sibling(factor) and last.stride == factor.stride * factor.size:
            joined[-1] = replace(last, stride=factor.stride, size=last.size * factor.size)
        else:
            joined.append(factor)
    return tuple(joined)


def settle(axes: list[Axis]) -> list[Axis]:
    """Return the axes after pixels were moved into channels or out of them, which redefines H, W and C."""
    return _pixels_into_channels(axes) or _channels_into_pixels(axes) or axes


def _pixels_into_channels(axes: list[Axis]) -> list[Axis] | None:
    """N, H/2, W/2, (2 2 C) -> N H W C, when patches are merged; N, (H/16 W/16), (16 16 C) -> N L C."""
    mixed = [axis for axis in axes if len(axis) > 1 and any(f.letter == "C" and f.complete for f in axis)]
    outer = {f for axis in axes for f in axis if not f.complete and f.outermost and f.letter in "DHW"}
    if len(mixed) != 1 or not outer:
        return None
    inner = [f for f in mixed[0] if f.letter != "C"]
    unmixed = all(outer.issuperset(axis) or letter_of(axis) != "?" for axis in axes if axis is not mixed[0])
    left_over = any(f.stride != prod(i.size for i in inner if i.is_sibling(f)) for f in outer)
    if not unmixed or left_over or any(not any(i.is_sibling(f) for f in outer) for i in inner):
        return None
    return [
        fresh("C", size_of(axis))
        if axis is mixed[0]
        else tuple(replace(f, whole=f.size, stride=1) if f in outer else f for f in axis)
        for axis in axes
    ]


def _channels_into_pixels(axes: list[Axis]) -> list[Axis] | None:
    """N, C/4, (H 2), (W 2) -> N C H W, where both 2s are pieces of C: pixel shuffle, and patches put together."""

    def is_channel_piece(factor: Factor) -> bool:
        return factor.letter == "C" and not factor.complete

    grown = [
        axis
        for axis in axes
        if len(axis) > 1 and axis[0].letter in "DHW" and axis[0].complete and all(map(is_channel_piece, axis[1:]))
    ]
    channels = [
        axis for axis in axes if axis not in grown and (all(map(is_channel_piece, axis)) or axis == fresh("?", 1))
    ]
    pieces = {f for axis in (*grown, *channels) for f in axis if is_channel_piece(f)}
    if not grown or len(channels) != 1 or any(letter_of(a) == "?" for a in axes if a not in (*grown, *channels)):
        return None
    if any(prod(f.size for f in pieces) != f.whole for f in pieces):
        return None
    return [
        fresh(axis[0].letter if axis in grown else "C", size_of(axis)) if axis in (*grown, *channels) else axis
        for axis in axes
    ]
