"""Pictures of a run: each output's map as a coloured tile, in the order of execution.

Arrays become maps in `map_reading.py`, and a page of maps a picture in `map_page.py`. The arrays come from a runner.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from ..artifact.errors import UsageError
from ..artifact.manifest import Output
from .feature_maps import WEAK, FeatureMap, FeatureMaps, badged, worth_drawing
from .footer import badge_notes, explained, hue_notes, left_out_notes, token_notes, usual_reduction
from .grid_style import DEFAULT_STYLE, GridStyle
from .likeness import are_weak, with_turned_hues
from .map_page import MapPages
from .map_reading import read_map
from .photo import Photo
from .picture import Picture
from .tile_places import OUTPUT_PAGE

__all__ = ["draw_grid", "draw_pages", "grid_pages", "marked", "refuse_blank", "refuse_mapless"]


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
) -> MapPages:
    """Return the pages of maps that were read one by one; those that show nothing are named in the footer.

    Raises:
        UsageError: none shows anything.
    """
    shared = bool(style.shared)
    found = worth_drawing(maps, aliases=style.aliases, shared=shared)
    if not found.maps:
        refuse_blank(outputs, found)
    drawn = with_turned_hues(marked(found.maps))
    drawn = [badged(each, WEAK) if is_weak else each for each, is_weak in zip(drawn, are_weak(drawn), strict=True)]
    return MapPages(
        maps=drawn,
        style=style,
        kind=OUTPUT_PAGE,
        shared=shared,
        title=title,
        opening=explained(drawn),
        closing=[*badge_notes(drawn), *hue_notes(drawn), *token_notes(outputs), *left_out_notes(found.left_out)],
        photo=photo,
    )


def refuse_blank(outputs: Sequence[Output], found: FeatureMaps) -> NoReturn:
    """Say that there is nothing to draw.

    Raises:
        UsageError: always.
    """
    refuse_mapless(outputs)
    raise UsageError(f"Nothing to draw of the {len(outputs)} outputs: {' '.join(left_out_notes(found.left_out))}")


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
    names = [output for output in outputs if not isinstance(output, Output)]
    if names:
        raise UsageError(
            f"{names[0]!r} is no output: an output says how its array is laid out, which a name doesn't.\n"
            "Draw those of the manifest: [each for each in artifact.manifest.outputs if each.name in NAMES]."
        )
    return [read_map(arrays, output, style.reduce, noise) for output in outputs]


def marked(maps: Sequence[FeatureMap]) -> list[FeatureMap]:
    """Return the maps, with the reduction as a badge of those that have another than usual."""
    usual = usual_reduction(maps)
    return [each if each.reduction == usual else badged(each, each.reduction) for each in maps]
