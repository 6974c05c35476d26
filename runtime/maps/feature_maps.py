"""What a map is and says of itself, and which are left out because they would show nothing new.

How an array becomes a map is in `map_reading.py`; drawing maps is in `feature_grid.py`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .colour_maps import value_range
from .principal_components import Hues
from .reductions import REDUCTIONS

__all__ = [
    "BRANCH",
    "FIRST_COMPONENT",
    "FLAT_MAP",
    "FRAMED",
    "LEFT_OUT",
    "WEAK",
    "FeatureMap",
    "FeatureMaps",
    "LeftOut",
    "badged",
    "size_text",
    "worth_drawing",
]

_FEW_CHANNELS = 3
"""Up to so many are each of a meaning of its own, as the classes of a U-Net: that a map is their mean is said."""
_ALIKE = 0.02
"""Of a map's range: two maps that nowhere differ by more look the same."""
FLAT_MAP, FRAMED = "flat", "frame"
"""What is said of a map whose values hardly differ, and of one whose padding is seen."""
WEAK, BRANCH = "faint", "branch"
"""The badges of a map that hardly varies beside the others; of what a block adds to its input, where the sum looks like
the input."""
FIRST_COMPONENT = "PC1"

LeftOut = Literal[
    "inside",
    "preactivation",
    "repeat",
    "similar",
    "pooling",
    "noise",
    "checkerboard",
    "weak",
    "rounding",
    "constant",
    "point",
    "flat",
]

LEFT_OUT: Mapping[LeftOut, tuple[str, str]] = {
    "inside": ("is inside a block", "are inside blocks"),
    "preactivation": ("precedes its activation", "precede their activation"),
    "repeat": ("looks like another", "look like another"),
    "similar": ("looks like a tile drawn", "look like tiles drawn"),
    "pooling": ("is a tile pooled", "are tiles pooled"),
    "noise": ("is noise like a tile drawn", "are noise like tiles drawn"),
    "checkerboard": ("is a checkerboard", "are checkerboards"),
    "weak": ("is weak, too", "are weak, too"),
    "rounding": ("varies only by rounding", "vary only by rounding"),
    "constant": ("is constant over the image", "are constant over the image"),
    "point": ("has 1 × 1 pixel", "have 1 × 1 pixel"),
    "flat": ("has no height and width", "have no height and width"),
}
"""Why an output is not drawn, in the footer's words: of one, and of several."""


@dataclass(frozen=True)
class FeatureMap:
    """What one tile shows."""

    name: str
    operation: str
    """`Conv2d`; empty where the name says it."""
    path: str
    """The module it ran in: neighbours of one block belong together."""
    values: NDArray[np.float64]
    """H W; 0 0 where there is none."""
    size: tuple[int, ...] = ()
    """C H W of the tensor; empty for a channel."""
    reduction: str = ""
    """A row of `REDUCTIONS`; empty for a channel."""
    left_out: LeftOut | None = None
    """Why it shows nothing, if it does."""
    badges: tuple[str, ...] = ()
    """What is unusual about it: `WEAK`, `BRANCH`, another reduction than most have, `+2 alike`."""
    share: float | None = None
    """Of a principal component: how much of the channels' variance it holds."""
    hues: Hues | None = None
    """Of the first principal component: the next two, if they are drawn as its hue."""
    part: str = ""
    """Which of several maps of its tensor it is, if there are: `channel 0`, `PC2`."""
    stage: str = ""
    """Of an overview: what the neighbours of its size are called, as of `with_stages`."""

    @property
    def is_mean_of_few(self) -> bool:
        """Whether it is the mean of channels of which each may have a meaning of its own."""
        return self.reduction == "mean" and not self.part and 2 <= (self.size or (0,))[0] <= _FEW_CHANNELS

    @property
    def remarks(self) -> list[str]:
        """What else is to be said of it: `PC1 43 %`, `PC1–3 81 %`, `+2 alike`."""
        if self.share is None:
            return [each for each in self.badges if each not in (WEAK, BRANCH)]
        shares = {self.part or FIRST_COMPONENT: self.share}
        if self.hues and self.hues.count > 1:
            shares[f"PC1–{self.hues.count}"] = self.hues.share
        said = [f"{name} {share:.0%}".replace("%", " %") for name, share in shares.items()]
        return [*said, *(each for each in self.badges if each not in (WEAK, BRANCH, self.reduction))]

    @property
    def is_component(self) -> bool:
        """Whether it is a principal component; of one that isn't finite everywhere the share isn't known."""
        return self.reduction in REDUCTIONS and REDUCTIONS[self.reduction].components is not None

    @property
    def is_further_component(self) -> bool:
        """Whether it is a principal component, and not the first."""
        return self.share is not None and self.part not in ("", FIRST_COMPONENT)

    @property
    def detail(self) -> str:
        """All of it in a line: `Conv2d · 64 × 56 × 56 · pca`."""
        return " · ".join(filter(None, (self.operation, size_text(self.size), *self.badges)))

    @property
    def is_weak(self) -> bool:
        """Whether it hardly varies beside the others."""
        return WEAK in self.badges


@dataclass
class FeatureMaps:
    """What is drawn, in this order, and what is not."""

    maps: list[FeatureMap] = field(default_factory=list)
    left_out: dict[LeftOut, list[str]] = field(default_factory=dict)
    """Each kind's outputs, with what is to be said of one: `bn1 ≈ conv1`, `relu (0)`."""
    repeats: list[tuple[FeatureMap, FeatureMap]] = field(default_factory=list)
    """Each that looks like one that is drawn, and that one."""


def badged(map_: FeatureMap, badge: str) -> FeatureMap:
    """Return a map with one more badge."""
    return replace(map_, badges=(*map_.badges, badge))


def worth_drawing(
    maps: Iterable[FeatureMap], *, aliases: bool = False, shared: bool = False, stay: Collection[str] = ()
) -> FeatureMaps:
    """Return the maps that show something new.

    Args:
        maps: in the order of drawing.
        aliases: whether to keep also those that look like an earlier one.
        shared: whether all are drawn in one scale, in which twice the values are another picture.
        stay: the names of those to keep although they look like an earlier one.
    """
    found = FeatureMaps()
    seen = _Pictures(shared)
    for map_ in maps:
        why = map_.left_out
        said = f" ({_number(map_.values)})" if why in ("constant", "rounding") else ""
        if why is None and not aliases and map_.name not in stay:
            twin = seen.like(map_)
            if twin:
                why, said = "repeat", f" ≈ {twin.name}"
                found.repeats.append((map_, twin))
        if why:
            found.left_out.setdefault(why, []).append(map_.name + said)
        else:
            found.maps.append(map_)
    return found


def size_text(size: Sequence[int]) -> str:
    """Return `64 × 56 × 56`."""
    return " × ".join(map(str, size))


class _Pictures:
    """What was drawn: each map, one of its pixels and all of them, by its size."""

    def __init__(self, shared: bool) -> None:
        self._shared = shared
        self._drawn: dict[tuple[int, ...], list[tuple[FeatureMap, float, NDArray[np.float64]]]] = {}

    def like(self, map_: FeatureMap) -> FeatureMap | None:
        """Return the earlier map that looks the same; keep this one, if none does."""
        values = map_.values
        low, high = value_range(values) or (0.0, 0.0)
        # Halved, because the range may be larger than the largest float64.
        half = high / 2 - low / 2
        picture = values / 2 if self._shared else (values / 2 - low / 2) / (half or 1.0)
        apart = _ALIKE * (half if self._shared else 1.0)
        pixel = float(picture[picture.shape[0] // 2, picture.shape[1] // 2])
        drawn = self._drawn.setdefault(values.shape, [])
        for earlier, theirs, other in drawn:
            # Of most maps one pixel says it. A NaN is not apart.
            if not abs(pixel - theirs) > apart and np.allclose(picture, other, rtol=0, atol=apart, equal_nan=True):
                return earlier
        drawn.append((map_, pixel, picture))
        return None


def _number(values: NDArray[np.float64]) -> str:
    # Not the median, for which NumPy imports its masked arrays.
    return f"{values[values.shape[0] // 2, values.shape[1] // 2] + 0.0:.3g}".replace("-", "−")
