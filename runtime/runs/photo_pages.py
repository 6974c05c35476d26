"""Photos' runs -> the pages of their maps, or of one output's channels, alone or side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..artifact.errors import UsageError
from ..artifact.folder import Artifact
from ..artifact.manifest import Manifest, Output
from ..artifact.selection import select_outputs
from ..maps.feature_grid import grid_pages
from ..maps.grid_style import GridStyle
from ..maps.pages import Pages
from ..maps.reductions import AUTO
from .photo_maps import PhotoRun
from .top_class import top_class

__all__ = ["Selection", "pages_side_by_side", "photo_pages", "picture_title"]


@dataclass(frozen=True)
class Selection:
    """What of a run is drawn."""

    outputs: Sequence[str] = ()
    """As of `select_outputs`, like the next two; all if all are empty."""
    operations: Sequence[str] = ()
    depth: int | None = None
    channels: str | None = None
    """The output whose channels are drawn instead."""
    top: int | None = None
    """Only so many of them."""
    show_photo: bool = True
    """Whether the photo is shown first, if there is one."""
    overview: bool = False
    """Whether of more maps than a page holds those of whole blocks are drawn, where nothing else is chosen."""

    def check(self, style: GridStyle) -> None:
        """Check it before anything is run.

        Raises:
            UsageError: two choices exclude each other.
        """
        if self.channels is None and self.top is not None:
            raise UsageError("--top chooses among the channels of one output: give --channels.")
        if self.channels is not None and (self.is_of_some or style.reduce != AUTO):
            raise UsageError("--channels draws one output as it is: omit --outputs, --op, --depth and --reduce.")
        if style.overlay and not self.show_photo:
            raise UsageError("--overlay draws the maps over the photo: omit --no-photo.")

    @property
    def is_of_some(self) -> bool:
        """Whether it names outputs."""
        return bool(self.outputs or self.operations or self.depth)

    @property
    def is_open(self) -> bool:
        """Whether an overview may be drawn."""
        return self.overview and not self.is_of_some

    def of(self, manifest: Manifest) -> list[Output]:
        """Return the outputs.

        Raises:
            UsageError: there are none.
        """
        return select_outputs(manifest.outputs, self.outputs, self.operations, self.depth)

    def with_channels(self, manifest: Manifest) -> Output:
        """Return the output whose channels are drawn.

        Raises:
            UsageError: there is no such output, or there are several.
        """
        assert self.channels is not None
        found = select_outputs(manifest.outputs, [self.channels])
        if len(found) > 1:
            few = ", ".join(each.name for each in found[:3])
            raise UsageError(
                f"The channels of one output can be drawn at a time; {self.channels!r} matches {len(found)}: {few}"
                f"{', …' * (len(found) > 3)}.\nName one of them."
            )
        return found[0]


def picture_title(manifest: Manifest, photo: str = "", weights: str | Path | None = None) -> str:
    """Return what a picture is called: the model, where its weights are from (the file, if known), and the photo."""
    return " · ".join(filter(None, (manifest.title, _weights(manifest, Path(weights or "").name), photo)))


def _weights(manifest: Manifest, file: str) -> str:
    """Return what is known of a model's weights."""
    recipe = manifest.recipe
    if manifest.capture == "onnx":
        return "weights of the ONNX file"
    if recipe is not None and recipe.weights_file:
        return f"weights {file}" if file else "weights from a file"
    if recipe is not None and recipe.fresh_weights:
        return f"random weights (seed {recipe.seed}), nothing learned"
    # A function that makes a model may have loaded trained ones, and so may whoever had the model in memory.
    return "weights unknown" if recipe is None else "weights from its code"


def photo_pages(run: PhotoRun, selection: Selection, style: GridStyle, title: str) -> Pages:
    """Return the pages of one photo.

    Raises:
        UsageError: what is selected doesn't exist, or there is nothing to draw.
    """
    manifest, photo = run.artifact.manifest, run.seen() if selection.show_photo else None
    if style.overlay and photo is None:
        raise UsageError("--overlay draws the maps over a photo, and this input is none: omit it.")
    if selection.channels is None:
        chosen = selection.of(manifest)
        if selection.is_open and not style.aliases:
            from ..maps.overview import overview_pages

            pages = overview_pages(run, chosen, style, title, photo)
            return replace(pages, lead=" ".join(filter(None, (pages.lead, top_class(run)))))
        return grid_pages(run.maps(chosen, style.reduce), chosen, style, title, photo)
    from ..maps.channel_grid import channel_pages

    output = selection.with_channels(manifest)
    heading = f"{title} · {output.name}"
    return channel_pages(run.tensors([output.name]), output, selection.top, style, heading, photo)


def pages_side_by_side(runs: Mapping[str, PhotoRun], selection: Selection, style: GridStyle, title: str) -> Pages:
    """Return the pages of several photos, or of two artifacts, by what to call them.

    Raises:
        UsageError: as of `photo_pages`, or they have nothing in common.
    """
    first = next(iter(runs.values())).artifact
    seen = {head: run.seen() for head, run in runs.items()}  # what can't be read ends it before a model is run
    if style.overlay and None in seen.values():
        raise UsageError("--overlay draws the maps over photos, and one of these inputs is none: omit it.")
    has_photos = selection.show_photo and None not in seen.values()  # an array beside a photo has none above it
    if selection.channels is None:
        from ..maps.blocks import depth_of_rows
        from ..maps.comparison import Column, comparison_pages
        from ..maps.tile_places import COMPARISON_PAGE

        outputs = first.manifest.outputs
        depth = depth_of_rows(outputs, COMPARISON_PAGE.most_tiles) if selection.is_open else None
        selection = replace(selection, depth=depth) if depth is not None else selection
        columns = {
            head: Column(
                selection.of(first.manifest) if run.artifact is first else _selected(selection, run.artifact),
                run.maps,
                seen[head] if has_photos else None,
            )
            for head, run in runs.items()
        }
        pages = comparison_pages(columns, style, title)
        said = f"An overview: what each block returns (--depth {depth})."
        return pages if depth is None else replace(pages, opening=[said, *pages.opening])
    from ..maps.channel_comparison import channel_comparison
    from ..maps.channel_grid import channels_to_draw

    of_each = {head: selection.with_channels(run.artifact.manifest) for head, run in runs.items()}
    tensors = {head: channels_to_draw(run.tensors([of_each[head].name]), of_each[head]) for head, run in runs.items()}
    shown = [photo for photo in seen.values() if photo is not None and has_photos]
    output = next(iter(of_each.values()))
    return channel_comparison(tensors, output, selection.top, style, f"{title} · {output.name}", shown)


def _selected(selection: Selection, artifact: Artifact) -> list[Output]:
    """Return what is selected of a second artifact, which need not have it."""
    try:
        return selection.of(artifact.manifest)
    except UsageError:
        return []
