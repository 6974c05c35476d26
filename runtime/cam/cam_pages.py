"""Class activation maps to pictures: each over the photo, with its class, probability, method and layer."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ..artifact.errors import UsageError
from ..artifact.manifest import Output
from ..maps.feature_maps import FeatureMap
from ..maps.footer import token_notes
from ..maps.grid_style import DEFAULT_STYLE, GridStyle
from ..maps.map_page import MapPages
from ..maps.pages import Pages
from ..maps.photo import Photo
from ..maps.picture import Picture
from ..maps.tile_places import PageKind
from ..runs.photo_maps import PhotoRun
from ..runs.photo_pages import Selection
from .cam_rows import CamRow, CamRows
from .class_activation import ClassActivation, class_activations
from .class_run import ClassRun
from .layer_choice import layers_with_maps
from .methods import METHODS

__all__ = ["cam_pages", "draw_class_activations", "pages_of_photos"]

_PAGE = PageKind(most_tiles=24, most_columns=4, sides=range(320, 449))
"""Large: what a map points at has to be recognised."""


def draw_class_activations(
    found: Sequence[ClassActivation],
    photo: Photo,
    *,
    page: int = 1,
    title: str | None = None,
    style: GridStyle = DEFAULT_STYLE,
    **choices: Any,
) -> Picture:
    """Draw class activation maps over their photo, as `layerprobe grid --cam` does.

    Args:
        found: as `class_activation` returns them.
        photo: that they are of: `seen_photo(read_image(file), preprocessing, name)`.
        page: which of the picture's `pages`, from 1 on.
        title: a line above them.
        style: how they are to look.
        choices: fields of `GridStyle` by name, in place of the style's.

    Raises:
        UsageError: there is none, an unknown page, choice or colour map, or a picture that would be too large.
    """
    if not found:
        raise UsageError("There is no class activation map to draw: give at least one.")
    return cam_pages(found, (), photo, style.but(**choices), title).picture(page)


def pages_of_photos(
    runs: Sequence[PhotoRun],
    classes: Sequence[int],
    methods: Sequence[str],
    selection: Selection,
    style: GridStyle,
    title: str | None,
    on_phase: Callable[[str], None],
) -> Pages:
    """Compute the maps of some photos and return their pages.

    Args:
        runs: of each photo, in one model.
        classes: as of `class_activations`, like the methods; if none is given, the most probable of each photo.
        methods: rows of `METHODS`, or auto.
        selection: the layers, that before the head if none is named, and how many of their channels are tried.
        style: how they are to look.
        title: a line above.
        on_phase: called with the name of each phase as it starts.

    Raises:
        UsageError: an input is no photo, no such output, class or method, or the model has no classes.
    """
    manifest = runs[0].artifact.manifest
    photos = [_seen(run) for run in runs]  # what can't be drawn ends it before a model is run
    layers = layers_with_maps(selection.of(manifest)) if selection.is_of_some else ()
    of_each = []
    for run in runs:
        (image,) = run.inputs().values()  # of the photo that is decoded already
        classifier = ClassRun(run.artifact, image, run.open_runner, run.size, on_phase)
        of_each.append(class_activations(classifier, classes, methods, layers, selection.top))
    if len(runs) == 1:
        return cam_pages(of_each[0], manifest.outputs, photos[0], style, title)
    return _rows(of_each, manifest.outputs, photos, style, title)


def _seen(run: PhotoRun) -> Photo:
    photo = run.seen()
    if photo is None:
        raise UsageError("--cam draws maps over a photo, and this input is none.")
    return photo


def _rows(
    of_each: Sequence[Sequence[ClassActivation]],
    outputs: Sequence[Output],
    photos: Sequence[Photo],
    style: GridStyle,
    title: str | None,
) -> CamRows:
    """Return the pages of several photos, each beside its maps."""
    found = [each for of_one in of_each for each in of_one]
    one = cam_pages(found, outputs, photos[0], style, title)
    maps, columns = iter(one.maps), 1 + max(map(len, of_each))
    return CamRows(
        rows=[CamRow(photo, [next(maps) for _ in of_one]) for photo, of_one in zip(photos, of_each, strict=True)],
        style=one.style,
        kind=replace(
            _PAGE, most_tiles=max(_PAGE.most_tiles // columns, 1), most_columns=max(_PAGE.most_columns, columns)
        ),
        shared=one.shared,
        title=title,
        opening=one.opening,
        closing=one.closing,
    )


def cam_pages(
    found: Sequence[ClassActivation],
    outputs: Sequence[Output],
    photo: Photo,
    style: GridStyle,
    title: str | None = None,
) -> MapPages:
    """Return the pages of the maps over their photo, in the order in which they are given.

    Args:
        found: at least one.
        outputs: of the model, for what is said of tokens.
        photo: that they are of.
        style: how they are to look; they are drawn over the photo in any case.
        title: a line above them.
    """
    layers = [output for output in outputs if any(each.layer == output.name for each in found)]
    methods = dict.fromkeys(each.method for each in found)
    return MapPages(
        maps=[FeatureMap(_name(each), f"{each.method} · {each.layer}", "", each.map) for each in found],
        style=replace(style, overlay=True),
        kind=_PAGE,
        shared=bool(style.shared),
        title=title,
        opening=[f"{name}: {METHODS[name].words}." for name in methods],
        closing=[*_notes_on_tries(found), *token_notes(layers)],
        photo=photo,
    )


def _name(found: ClassActivation) -> str:
    if found.class_ is None or found.score is None:
        return "whatever the class"
    return f"class {found.class_} · {_percent(found.score)}"


def _percent(score: float) -> str:
    """Return `93.4 %`, and of what is rare so many digits as show that it isn't 0."""
    return f"{score:.1%}".replace("%", " %") if score >= 0.0005 else f"{100 * score:.1g} %"


def _notes_on_tries(found: Sequence[ClassActivation]) -> list[str]:
    """Return how many channels were tried, where not all that respond were."""
    notes = [
        f"{each.method} tried the {each.tried} strongest of {each.weights.size} channels of {each.layer} (--top)."
        for each in found
        if each.tried is not None and each.weights is not None
    ]
    return list(dict.fromkeys(notes))
