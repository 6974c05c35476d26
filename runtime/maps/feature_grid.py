"""Pictures of a run: each output's map as a coloured tile, in the order of execution.

Arrays become maps in `feature_maps.py`, and a page of maps a picture in `map_page.py`. The arrays come from a runner.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import compress
from typing import Any

from ..artifact.errors import UsageError
from ..artifact.manifest import Output
from .colour_maps import value_range
from .feature_maps import FeatureMap, read_map, worth_drawing
from .footer import explained, left_out_notes, token_notes, usual_reduction
from .grid_style import DEFAULT_STYLE, GridStyle
from .map_page import MapPages
from .page_layout import OUTPUT_PAGE
from .photo import Photo
from .picture import Picture

__all__ = ["draw_grid", "draw_pages", "grid_pages", "marked", "refuse_mapless"]

_WEAK = 1e-4
"""Of what the strongest map varies by: what varies less is mostly chance, or rounding of what was computed before."""


def draw_grid(
    arrays: Mapping[str, Any],
    outputs: Sequence[Output],
    *,
    page: int = 1,
    title: str | None = None,
    photo: Photo | None = None,
    style: GridStyle = DEFAULT_STYLE,
    noise: Mapping[str, float] | None = None,
    **choices: Any,
) -> Picture:
    """Draw the first image's map of each output that has a height and a width, as far as it shows something new.

    Args:
        arrays: output name to NumPy array or PyTorch tensor, in the output's layout.
        outputs: the outputs to draw, in this order, of a full or an averaged probe. Token sequences are folded back to
            their patches; what is not drawn is named in the footer, with the reason.
        page: which of the picture's `pages`, from 1 on. A page holds at most 48 tiles.
        title: a line above the grid.
        photo: what the first tile shows: `seen_photo(read_image(file), preprocessing, name)`. With `overlay=True` each
            map lies over it.
        style: how it is to look.
        noise: by output of an averaged probe, how far a map may be off by rounding (`Reference.largest_noise`).
        choices: fields of `GridStyle` by name, as `reduce="pca"`, in place of the style's.

    Raises:
        UsageError: an unknown page, choice or colour map, a missing array or one that contradicts its output, nothing
            to draw, or a picture that would be too large.
    """
    style = style.but(**choices)
    return grid_pages(_read(arrays, outputs, style, noise), outputs, style, title, photo).picture(page)


def draw_pages(
    arrays: Mapping[str, Any],
    outputs: Sequence[Output],
    *,
    title: str | None = None,
    photo: Photo | None = None,
    style: GridStyle = DEFAULT_STYLE,
    noise: Mapping[str, float] | None = None,
    **choices: Any,
) -> Iterator[Picture]:
    """Draw all pages, each as it is asked for; the arguments are those of `draw_grid`.

    Raises:
        UsageError: as of `draw_grid`.
    """
    style = style.but(**choices)
    return grid_pages(_read(arrays, outputs, style, noise), outputs, style, title, photo).pictures()


def grid_pages(
    maps: Sequence[FeatureMap],
    outputs: Sequence[Output],
    style: GridStyle,
    title: str | None = None,
    photo: Photo | None = None,
    *,
    omit_weak: bool = False,
) -> MapPages:
    """Return the pages of maps that were read one by one; those that show nothing are named in the footer.

    With `omit_weak` also those that hardly vary beside the others; else they are drawn fainter.

    Raises:
        UsageError: none shows anything.
    """
    shared = bool(style.shared)
    found = worth_drawing(maps, aliases=style.aliases, shared=shared)
    left_out = left_out_notes(found.left_out)
    if not found.maps:
        refuse_mapless(outputs)
        raise UsageError(f"Nothing to draw of the {len(outputs)} outputs: {' '.join(left_out)}")
    drawn, opening = marked(found.maps), explained(found.maps)
    weak = _are_weak(drawn)
    if any(weak) and omit_weak:
        left_out = left_out_notes(found.left_out | {"weak": [each.name for each in compress(drawn, weak)]})
        drawn = [each for each, is_weak in zip(drawn, weak, strict=True) if not is_weak]
    elif any(weak):
        opening.append(f"{sum(weak)} marked weak, and fainter, vary by less than a ten-thousandth of the strongest.")
        drawn = [
            replace(_with(each, "weak"), weak=True) if is_weak else each
            for each, is_weak in zip(drawn, weak, strict=True)
        ]
    return MapPages(
        maps=drawn,
        style=style,
        kind=OUTPUT_PAGE,
        shared=shared,
        title=title,
        opening=opening,
        closing=[*token_notes(outputs), *left_out],
        photo=photo,
    )


def refuse_mapless(outputs: Sequence[Output]) -> None:
    """Check that there is something to draw, before the model is run for it.

    Raises:
        UsageError: none of the outputs has a height and a width.
    """
    if not any(output.has_map for output in outputs):
        raise UsageError(f"Nothing to draw: none of the {len(outputs)} outputs has a height and a width.")


def _read(
    arrays: Mapping[str, Any], outputs: Sequence[Output], style: GridStyle, noise: Mapping[str, float] | None
) -> list[FeatureMap]:
    return [read_map(arrays, output, style.reduce, noise) for output in outputs]


def marked(maps: Sequence[FeatureMap]) -> list[FeatureMap]:
    """Return the maps, with the reduction in the detail of those that have another than usual."""
    usual = usual_reduction(maps)
    return [each if each.reduction == usual else _with(each, each.reduction) for each in maps]


def _are_weak(maps: Sequence[FeatureMap]) -> list[bool]:
    spans = [high - low for low, high in (value_range(each.values) or (0.0, 0.0) for each in maps)]
    return [span < _WEAK * max(spans) for span in spans]


def _with(map_: FeatureMap, mark: str) -> FeatureMap:
    return replace(map_, detail=f"{map_.detail} · {mark}")
