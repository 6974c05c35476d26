"""Arrays by output to the maps that a picture shows, and what is left out because it would show nothing new.

How a tensor becomes a map is in `reductions.py`; drawing maps is in `feature_grid.py`.
"""

import difflib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import UsageError
from ..artifact.manifest import Output
from ..artifact.tensors import as_array
from .channel_mean import channels_of
from .colour_maps import value_range
from .reductions import AUTO, AUTO_ORDER, REDUCTIONS, Reduction, principal_components

__all__ = [
    "BRANCH",
    "LEFT_OUT",
    "LOW",
    "WEAK",
    "FeatureMap",
    "FeatureMaps",
    "LeftOut",
    "badged",
    "output_tensor",
    "read_channels",
    "read_components",
    "read_map",
    "size_text",
    "worth_drawing",
]

_ROUNDING = 8
"""Machine epsilons of the magnitude, up to which a map's range counts as rounding. For fresh LayerNorms, whose mean
over the channels is 0 by definition, it is less than 1 in a Swin-T."""
_FEW_CHANNELS = 3
"""Up to so many are each of a meaning of its own, as the classes of a U-Net: that a map is their mean is said."""
_ALIKE = 0.02
"""Of a map's range: two maps that nowhere differ by more look the same."""
WEAK, BRANCH = "weak", "branch"
"""The badges of a map that hardly varies beside the others; of what a block adds to its input, where the sum looks like
the input."""
LOW, _LOW = "low", 0.2
"""What is said of a first principal component that holds less of the channels' variance: it is one pattern of many."""

LeftOut = Literal[
    "inside",
    "preactivation",
    "repeat",
    "similar",
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
    part: str = ""
    """Which of several maps of its tensor it is, if there are: `PC2`, `channel 0`."""
    stage: str = ""
    """Of an overview: what the neighbours of its size are called, as of `with_stages`."""

    @property
    def is_mean_of_few(self) -> bool:
        """Whether it is the mean of channels of which each may have a meaning of its own."""
        return self.reduction == "mean" and not self.part and 2 <= (self.size or (0,))[0] <= _FEW_CHANNELS

    @property
    def remarks(self) -> list[str]:
        """What else is to be said of it: `PC1 43 %`, `+2 alike`."""
        if self.share is None:
            return [each for each in self.badges if each not in (WEAK, BRANCH)]
        share = f"{self.part or 'PC1'} {self.share:.0%}".replace("%", " %") + f" {LOW}" * self.is_low
        return [share, *(each for each in self.badges if each not in (WEAK, BRANCH, self.reduction))]

    @property
    def is_low(self) -> bool:
        """Whether it is a first principal component that holds little of the channels' variance."""
        return self.share is not None and self.share < _LOW and self.part in ("", "PC1")

    @property
    def detail(self) -> str:
        """All of it in a line: `Conv2d · 64 × 56 × 56 · pca`."""
        return " · ".join(filter(None, (self.operation, size_text(self.size), *self.badges)))

    @property
    def is_weak(self) -> bool:
        """Whether it hardly varies beside the others, and is drawn fainter."""
        return WEAK in self.badges


@dataclass
class FeatureMaps:
    """What is drawn, in this order, and what is not."""

    maps: list[FeatureMap] = field(default_factory=list)
    left_out: dict[LeftOut, list[str]] = field(default_factory=dict)
    """Each kind's outputs, with what is to be said of one: `bn1 ≈ conv1`, `relu (0)`."""
    repeats: list[tuple[FeatureMap, FeatureMap]] = field(default_factory=list)
    """Each that looks like one that is drawn, and that one."""


def read_map(
    arrays: Mapping[str, Any], output: Output, reduce: str = AUTO, noise: Mapping[str, float] | None = None
) -> FeatureMap:
    """Return the map of one output, which may show nothing.

    Args:
        arrays: output name to NumPy array or PyTorch tensor, in the output's layout. Only the first image is read.
        output: the output.
        reduce: a row of `REDUCTIONS`, or auto.
        noise: by output that is a mean already (`Output.averaged`), how far it may be off by rounding.

    Raises:
        UsageError: the array is missing or contradicts its output, or a mean can't be reduced as requested.
    """
    if not output.has_map:
        return FeatureMap(output.name, output.label, output.module_path, np.empty((0, 0)), left_out="flat")
    tensor = output_tensor(arrays, output)
    if output.averaged is not None:
        if reduce not in (AUTO, "mean"):
            raise UsageError(
                f"{output.name!r} is a mean over the channels already: it has no {reduce}.\n"
                "Draw the full probe's tensors: export without --no-full."
            )
        reduce = "mean"
    tried = []
    for name in AUTO_ORDER if reduce == AUTO else (reduce,):
        row = REDUCTIONS[name]
        with np.errstate(all="ignore"):  # inf - inf is a NaN, and the picture shows it
            values = row.reduce(tensor)
            left_out = _shows_nothing(values, tensor, row, output, (noise or {}).get(output.name, 0.0))
        size = output.averaged or tensor.shape[0], *tensor.shape[1:]
        share = row.share(tensor, values) if row.share and left_out is None else None
        found = FeatureMap(output.name, _operation(output), output.module_path, values, size, name, left_out)
        tried.append(replace(found, share=share))
        if left_out not in ("constant", "rounding"):
            return tried[-1]
    return tried[0]


def read_components(arrays: Mapping[str, Any], output: Output, map_: FeatureMap, count: int) -> list[FeatureMap]:
    """Return an output's first principal components, of which `map_` is the first; that alone if there are no more.

    Raises:
        UsageError: as of `read_map`.
    """
    found = principal_components(output_tensor(arrays, output), count)
    others = [
        replace(map_, values=values, share=share, part=f"PC{number}", badges=())
        for number, (values, share) in enumerate(found[1:], 2)
    ]
    return [map_, *others]


def read_channels(arrays: Mapping[str, Any], output: Output, map_: FeatureMap) -> list[FeatureMap]:
    """Return the map of each of an output's channels, of which `map_` is the mean.

    Raises:
        UsageError: as of `read_map`.
    """
    tensor = output_tensor(arrays, output)
    return [
        replace(map_, values=np.asarray(each, np.float64), part=f"channel {index}") for index, each in enumerate(tensor)
    ]


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


def output_tensor(arrays: Mapping[str, Any], output: Output) -> NDArray[Any]:
    """Return the first image of an output's array, C H W.

    Raises:
        UsageError: there is no array, or it contradicts the output.
    """
    if output.name not in arrays:
        near = ", ".join(difflib.get_close_matches(output.name, list(arrays))) or "none"
        raise UsageError(f"No array for output {output.name!r} among the {len(arrays)} given; near names: {near}.")
    try:
        return channels_of(as_array(arrays[output.name]), output.layout, output.tokens)
    except UsageError as error:
        raise UsageError(f"Output {output.name!r} can't be drawn. {error}") from error


def _shows_nothing(
    values: NDArray[np.float64], tensor: NDArray[Any], row: Reduction, output: Output, noise: float
) -> LeftOut | None:
    if values.size == 1:
        return "point"
    low, high = float(values.min()), float(values.max())
    if low == high:
        return "constant"
    if output.averaged is not None:
        return "rounding" if high - low <= _ROUNDING * noise else None
    if tensor.dtype.kind != "f" or not np.isfinite(high - low):
        return None
    # A bfloat16 array arrives as float32.
    epsilon = 2.0**-7 if output.dtype == "bfloat16" else float(np.finfo(tensor.dtype).eps)
    # The largest magnitude takes as long as the map: a bound of it settles nearly all.
    bound = float(np.linalg.norm(tensor.ravel())) if tensor.flags.c_contiguous else np.inf
    if high - low > _ROUNDING * epsilon * bound:
        return None
    return "rounding" if high - low <= _ROUNDING * epsilon * float(row.magnitude(tensor).max()) else None


def _joined(*parts: str) -> str:
    return " · ".join(filter(None, parts))


def size_text(size: Sequence[int]) -> str:
    """Return `64 × 56 × 56`."""
    return " × ".join(map(str, size))


def _operation(output: Output) -> str:
    # An operation without a module of its own is called by its label already.
    return "" if re.sub(r"_\d+$", "", output.name.rpartition(".")[2]) == output.label else output.label


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
