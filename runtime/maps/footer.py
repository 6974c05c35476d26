"""The sentences below a grid: what a tile is, how it is coloured, and what is left out."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from ..artifact.manifest import Output
from .colour_scales import DIVERGING, FLAT, LEAST_STRENGTH, SEQUENTIAL, ColourScale, with_power
from .feature_maps import BRANCH, LEFT_OUT, FeatureMap, LeftOut
from .grid_style import GridStyle
from .likeness import FAINT, is_framed
from .photo import Photo
from .reductions import REDUCTIONS

__all__ = [
    "IN_SHORT",
    "badge_notes",
    "clip_notes",
    "drawn_counts",
    "explained",
    "frame_notes",
    "hue_notes",
    "inner_scale_notes",
    "left_out_notes",
    "listed",
    "overview_explained",
    "photo_notes",
    "scale_notes",
    "token_notes",
    "usual_reduction",
    "weak_notes",
]

_NO_BREAK = "\u00a0"
_FAINT = f"Faint: range under {FAINT:.2%} of the widest.".replace("%", f"{_NO_BREAK}%")
_FLAT = f"Flat: range under {FLAT:.0%} of its values.".replace("%", f"{_NO_BREAK}%")
_BRANCH = "Branch: what a block adds to its input; their sum is what the block returns."
IN_SHORT: Mapping[tuple[str, str], Sequence[LeftOut]] = {
    ("lies inside a block", "lie inside blocks"): ("inside",),
    ("precedes an activation", "precede an activation"): ("preactivation",),
    ("looks like a tile here", "look like a tile here"): ("repeat", "similar", "pooling", "noise"),
    ("is a checkerboard", "are checkerboards"): ("checkerboard",),
    ("is nearly constant", "are nearly constant"): ("weak", "rounding", "constant"),
    ("has no map", "have no map"): ("point", "flat"),
}
"""Why outputs are not drawn, as an overview says it of one and of several: each reason is in one row."""
_NAMES_SHOWN = 6
_ALL_SHOWN = 2
"""Names of what is left out for one reason; of more, one is an example."""


def explained(maps: Sequence[FeatureMap], what: str = "tile") -> list[str]:
    """Return what a tile, or a row, shows."""
    return [f"Each {what} is one output, in the order of execution: {REDUCTIONS[usual_reduction(maps)].words}."]


def overview_explained(maps: Sequence[FeatureMap], *, depth: int) -> list[str]:
    """Return what the tiles of an overview show.

    Args:
        maps: of all tiles.
        depth: of the blocks that it is of; 0 if it is of none.
    """
    usual, whose = REDUCTIONS[usual_reduction(maps)], "a block's channels" if depth else "a layer's channels"
    if not usual.components:
        parts = f", and of {maps[-1].name} each channel" * bool(maps[-1].part)
        return [f"Each tile is {usual.words.replace('the channels', whose)}{parts}."]
    if any(each.hues for each in maps):
        return [f"PC1 as brightness, PC2 and PC3 as hue: principal components of {whose}, with shares of variance."]
    several = list(dict.fromkeys(each.part for each in maps if each.part))
    if several:
        return [f"{', '.join(several)}: the first principal components of {whose}, with shares of variance."]
    return [f"PC1: the first principal component of {whose}, with its share of variance."]


def sign_notes(maps: Sequence[FeatureMap]) -> list[str]:
    """Return what the signs of an overview's principal components are, where there are several."""
    if not REDUCTIONS[usual_reduction(maps)].components or len(maps) < 2:
        return []
    return ["Signs of components are free: each is turned to look like the one before."]


def hue_notes(maps: Sequence[FeatureMap]) -> list[str]:
    """Return what the hues of principal components say, if there are some."""
    if not any(each.hues for each in maps):
        return []
    return [
        "Hues mean nothing by themselves: alike ones are alike features; each tile's are turned to the tile before."
    ]


def frame_notes(maps: Sequence[FeatureMap]) -> list[str]:
    """Return where the frame is from that maps have, if some do."""
    return ["Frame: from padding."] * any(is_framed(each) and not each.is_weak for each in maps)


def badge_notes(maps: Sequence[FeatureMap]) -> list[str]:
    """Return what the tiles' badges say."""
    usual = usual_reduction(maps)
    reductions = Counter(each.reduction for each in maps if each.reduction != usual)
    notes = [
        f"{'PC1' if name == 'pca' else name}: {REDUCTIONS[name].words}, of {count} whose {usual} shows nothing."
        for name, count in reductions.items()
    ]
    return notes + [_BRANCH] * any(BRANCH in each.badges for each in maps)


def usual_reduction(maps: Sequence[FeatureMap]) -> str:
    """Return the reduction that a tile has which isn't marked with another."""
    return next((name for name in REDUCTIONS if any(each.reduction == name for each in maps)), "mean")


def scale_notes(
    scales: Collection[ColourScale | None], style: GridStyle, *, shared: bool, what: str = "tile"
) -> list[str]:
    """Return how the tiles, or rows, are coloured."""
    known = [each for each in scales if each is not None]
    colours = ", ".join(dict.fromkeys(each.cmap for each in known)) or SEQUENTIAL
    own = f"Each {what} is coloured from its own lowest to its own highest value"
    whole = f"All {what}s share one scale" if shared else own
    apart = f" Different {what}s don't compare." if not shared and len(known) > 1 else ""
    # Also where a map is as high as it is low by itself.
    both_signs = any(each.low == -each.high != 0 for each in known)
    diverging = style.symmetric or (not style.cmap and any(each.cmap == DIVERGING for each in known))
    symmetric = "; what has both signs, symmetrically around 0" if diverging and both_signs else ""
    return [f"{whole} ({colours}){symmetric}.{apart}"]


def inner_scale_notes(scales: Collection[ColourScale | None]) -> list[str]:
    """Return how the tiles of an overview are coloured."""
    known = [each for each in scales if each is not None]
    colours = ", ".join(dict.fromkeys(each.cmap for each in known)) or SEQUENTIAL
    clipped = any(each.lowest < each.low or each.highest > each.high for each in known)
    less = f", which ignore its border and its outermost 1{_NO_BREAK}%" if clipped else ""
    around = f"; 0{_NO_BREAK}is the mean over the image" * any(each.cmap == DIVERGING for each in known)
    return [f"Each tile has its own colour limits ({colours}){less}{around}."]


def weak_notes(maps: Sequence[FeatureMap], strengths: Sequence[float] | None, *, flat: bool) -> list[str]:
    """Return which tiles are faint or flat, and what the bars beside the tiles' texts say, as far as there are any.

    Args:
        maps: of these tiles.
        strengths: of all.
        flat: whether one is nearly constant.
    """
    least = with_power(f"{LEAST_STRENGTH:.0e}").removeprefix("1·")
    bars = f"Bars: range on a log scale, full for the widest, empty at {least} of it."
    return [
        *([bars] if strengths else []),
        *([_FAINT] if any(each.is_weak for each in maps) else []),
        *([_FLAT] if flat else []),
    ]


def clip_notes(scales: Collection[ColourScale | None], style: GridStyle, *, marks: bool = True) -> list[str]:
    """Return what an end with two numbers says, if there is one; without marks, that ends are clipped."""
    if not any(each and (each.lowest < each.low or each.highest > each.high) for each in scales):
        return []
    percent = "1" if style.clip is None else f"{style.clip:g}"
    why = ", since so few would take many of the colours" if style.clip is None else ""
    begins = "≤, ≥ and …: up" if marks else "Up"
    return [f"{begins} to {percent} % of the pixels lie farther out and share the end's colour{why}."]


def photo_notes(photos: Sequence[Photo], *, overlay: bool) -> list[str]:
    """Return what is shown of the photos."""
    if not photos:
        return []
    if overlay:
        cropped = " What the model didn't see is dimmed." if any(each.is_cropped for each in photos) else ""
        return [f"Each map is interpolated, over the photo in grey, which weakens its colours.{cropped}"]
    shown, them = ("The photo is", "it") if len(photos) == 1 else ("The photos are", "them")
    return [f"{shown} shown as the model saw {them}, resized and cropped, before normalisation."]


def drawn_counts(maps: Sequence[FeatureMap], outputs: int, left_out: Mapping[LeftOut, Sequence[str]]) -> list[str]:
    """Return how many outputs are drawn, and of the others how many for which reason; each is counted once."""
    counts = {words: sum(len(left_out.get(kind, ())) for kind in kinds) for words, kinds in IN_SHORT.items()}
    why = ", ".join(f"{count} {words[count > 1]}" for words, count in counts.items() if count)
    drawn = len({each.name for each in maps})
    return [f"{drawn} of {outputs} outputs {'are' if drawn > 1 else 'is'} drawn; of the others {why}."] if why else []


def left_out_notes(left_out: Mapping[LeftOut, Sequence[str]]) -> list[str]:
    """Return what is not drawn, and why: how many, and a few of them."""
    found = []
    for kind, (one, several) in LEFT_OUT.items():
        if names := left_out.get(kind):
            few = names[: 1 if len(names) > _ALL_SHOWN else _ALL_SHOWN]
            more = ", …" if len(few) < len(names) else ""
            found.append(f"{len(names)} {one if len(names) == 1 else several} ({', '.join(few)}{more})")
    how = " (--outputs and --aliases draw them)" if set(left_out) & {"repeat", "similar", "noise", "weak"} else ""
    return [f"Left out{how}: {'; '.join(found)}."] if found else []


def token_notes(outputs: Sequence[Output]) -> list[str]:
    """Return how token sequences are laid out."""
    counts = Counter(_extra_tokens(output) for output in outputs if output.layout == "NLC" and output.has_map)
    if not counts:
        return []
    counted = [
        f"{extra} in each of {count} outputs" if count > 1 else f"{extra} in 1 output"
        for extra, count in sorted(counts.items())
        if extra
    ]
    left_out = f"; tokens that are not patches are left out: {', '.join(counted)}" if counted else ""
    return [f"Token sequences are laid out as their grid of patches{left_out}."]


def _extra_tokens(output: Output) -> int:
    """The number of tokens that are not patches, which the map leaves out."""
    return output.tokens.before + output.tokens.after if output.tokens else 0


def listed(names: Sequence[str], shown: int = _NAMES_SHOWN) -> str:
    """Return the names in a row, the last ones counted where there are many."""
    if len(names) <= shown + 1:
        return ", ".join(names)
    return f"{', '.join(names[:shown])} and {len(names) - shown} more"
