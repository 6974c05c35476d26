"""Photos' runs -> the pages of their maps, or of one output's channels, alone or side by side."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ..artifact.errors import UsageError
from ..artifact.folder import Artifact
from ..artifact.manifest import Manifest, Output
from ..artifact.selection import known_outputs, select_outputs
from ..maps.feature_grid import grid_pages
from ..maps.feature_maps import FeatureMap
from ..maps.grid_style import GridStyle
from ..maps.map_page import MapPages
from ..maps.overview import means_say_little, with_branch_ends, with_counts, without_branches
from ..maps.pages import Pages
from ..maps.reductions import AUTO, AUTO_ORDER
from .photo_maps import PhotoRun

__all__ = ["Selection", "pages_side_by_side", "photo_pages", "picture_title"]

_CROWDED, _ENOUGH, _TELLING = 32, 10, 6
"""Maps from which on an overview is of blocks only; of how many the outermost blocks are taken; how many it has at
least."""
_FEW = 6
"""Tiles, of which fewer leave room for the branches of blocks."""


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
            UsageError: there is no such output.
        """
        assert self.channels is not None
        known_outputs(manifest, [self.channels])
        return next(each for each in manifest.outputs if each.name == self.channels)


def picture_title(manifest: Manifest, photo: str = "") -> str:
    """Return what a picture is called: the model, where its weights are from, and the photo."""
    return " · ".join(filter(None, (manifest.title, _weights(manifest), photo)))


def _weights(manifest: Manifest) -> str:
    """Return what is known of a model's weights; empty if nothing is."""
    recipe = manifest.recipe
    if manifest.capture == "onnx":
        return "weights of the ONNX file"
    if recipe is None:  # whoever had the model in memory knows
        return ""
    if recipe.weights_file:
        return "weights from a file"
    return f"untrained: random weights, seed {recipe.seed}" if recipe.fresh_weights else "weights as its code sets them"


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
        maps = run.maps(chosen, style.reduce)

        def pages_of(some: Sequence[Output], **how: bool) -> MapPages:
            return grid_pages(_of(maps, some), some, style, title, photo, **how)

        if not selection.is_open or style.aliases:
            return pages_of(chosen)
        every = pages_of(chosen)
        some, said = _overview(every, chosen, pages_of)
        branches = with_branch_ends(some, chosen) if said else some
        if said and style.reduce == AUTO and not run.artifact.is_averaged and means_say_little(_of(maps, some)):
            maps = run.maps(branches, AUTO_ORDER[-1])
        pages = pages_of(some, thin=True, few=bool(said))
        if len(pages.maps) < _FEW and len(branches) > len(some):  # in a fresh ConvNeXt, the sums are their inputs
            more = pages_of(branches, thin=True, few=True)
            pages = more if len(more.maps) > len(pages.maps) else pages
        shown = with_counts(pages.maps, every.maps, [each.name for each in chosen])
        whole = max(len(every.maps), sum(each.stands_for for each in shown))
        opening, facts = [*pages.opening], [*pages.facts]
        if len(shown) < whole:
            opening.append(f"{len(shown)} of {whole} maps: {said.partition(' (')[0] or 'those that look different'}.")
            facts.insert(0, f"Drawn: {said or 'the maps that look different'}. --all-pages draws all.")
        return replace(pages, maps=shown, opening=opening, facts=facts)
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
    if selection.channels is None:
        from ..maps.comparison import Column, comparison_pages

        depth, blocks = _depth_of_a_page(first.manifest) if selection.is_open else None, ""
        if depth is not None:
            selection, blocks = replace(selection, depth=depth), _blocks(depth)
        columns = {
            head: Column(
                selection.of(first.manifest) if run.artifact is first else _selected(selection, run.artifact),
                run.maps,
                seen[head] if selection.show_photo else None,
            )
            for head, run in runs.items()
        }
        pages = comparison_pages(columns, style, title)
        return replace(pages, opening=[f"An overview: {blocks}.", *pages.opening]) if blocks else pages
    from ..maps.channel_comparison import channel_comparison
    from ..maps.channel_grid import channels_to_draw

    of_each = {head: selection.with_channels(run.artifact.manifest) for head, run in runs.items()}
    tensors = {head: channels_to_draw(run.tensors([selection.channels]), of_each[head]) for head, run in runs.items()}
    photos = [photo for photo in seen.values() if photo is not None]
    shown = photos if selection.show_photo and len(photos) == len(runs) else ()
    output = next(iter(of_each.values()))
    return channel_comparison(tensors, output, selection.top, style, f"{title} · {output.name}", shown)


def _overview(
    every: MapPages, outputs: Sequence[Output], pages_of: Callable[[Sequence[Output]], MapPages]
) -> tuple[Sequence[Output], str]:
    """Return what the outermost blocks return that are enough, or else the deepest that aren't too many, and what they
    are in words; all, if there are no blocks.

    Args:
        every: of all outputs.
        outputs: all.
        pages_of: returns the pages of some.
    """
    best, said = outputs, ""
    if len(every.maps) <= _CROWDED:
        return best, said
    for depth, selected in _by_depth(outputs):
        if len(selected) == len(outputs):
            break
        some = without_branches(selected)
        try:
            maps = len(pages_of(some).maps)
        except UsageError:  # none of these shows anything
            break
        if maps > _CROWDED:
            break
        if maps >= _TELLING:
            best, said = some, _blocks(depth)
        if best is some and sum(each.has_map for each in some) >= _ENOUGH:
            break
    return best, said


def _depth_of_a_page(manifest: Manifest) -> int | None:
    """Return how deep the blocks are that fit on a page of comparisons, at least 1; None if all outputs fit."""
    from ..maps.page_layout import COMPARISON_PAGE

    def rows(outputs: Sequence[Output]) -> int:
        return sum(each.has_map and each.alias_of is None and each.shape[2:] != (1, 1) for each in outputs)

    best = None
    if rows(manifest.outputs) > COMPARISON_PAGE.most_tiles:
        for depth, some in _by_depth(manifest.outputs):
            if best and rows(some) > COMPARISON_PAGE.most_tiles:
                break
            best = depth
    return best


def _by_depth(outputs: Sequence[Output]) -> Iterator[tuple[int, list[Output]]]:
    """Yield what blocks return, from the outermost blocks to the deepest layers, with their depth."""
    paths = [output.module_path for output in outputs if output.module_path]
    for depth in range(1, max((path.count(".") + 1 for path in paths), default=0) + 1):
        yield depth, select_outputs(outputs, depth=depth)


def _blocks(depth: int) -> str:
    return f"what each block returns (--depth {depth})"


def _of(maps: Sequence[FeatureMap], outputs: Sequence[Output]) -> list[FeatureMap]:
    names = {output.name for output in outputs}
    return [each for each in maps if each.name in names]


def _selected(selection: Selection, artifact: Artifact) -> list[Output]:
    """Return what is selected of a second artifact, which need not have it."""
    try:
        return selection.of(artifact.manifest)
    except UsageError:
        return []
