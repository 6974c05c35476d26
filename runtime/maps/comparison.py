"""Pictures of runs side by side: a row for each output, a column for each run, and of two their difference.

Maps are matched by their output's name. A page of rows becomes a picture in `comparison_page.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from ..artifact.errors import UsageError
from ..artifact.manifest import Output
from .comparison_page import ComparisonPages, MapRow, likeness_note
from .feature_grid import marked, refuse_mapless
from .feature_maps import FeatureMap, worth_drawing
from .footer import badge_notes, explained, left_out_notes, listed, token_notes
from .grid_style import DEFAULT_STYLE, GridStyle
from .map_reading import read_map
from .photo import Photo
from .picture import Picture
from .reductions import AUTO, AUTO_COMPARED, REDUCTIONS
from .tile_places import COMPARISON_PAGE

__all__ = ["Column", "check_columns", "comparison_pages", "draw_comparison"]

_NAMED = 4
"""Outputs of each that an error names."""


@dataclass(frozen=True)
class Column:
    """One of the runs."""

    outputs: Sequence[Output]
    """What it has."""
    read: Callable[[Sequence[Output], str], Sequence[FeatureMap]]
    """Returns the maps of some of them by one reduction."""
    photo: Photo | None = None


def draw_comparison(
    runs: Mapping[str, Mapping[str, Any]],
    outputs: Sequence[Output],
    *,
    page: int = 1,
    title: str | None = None,
    photos: Mapping[str, Photo] | None = None,
    style: GridStyle = DEFAULT_STYLE,
    **choices: Any,
) -> Picture:
    """Draw the same outputs of several runs side by side, each row in one scale; of two also the second less the first.

    Args:
        runs: what to call each run (a photo, a model), to its arrays: output name to NumPy array or PyTorch tensor. Of
            each, the first image is drawn.
        outputs: the outputs to draw, in this order. Those that a run lacks are named in the footer.
        page: which of the picture's `pages`, from 1 on. A page holds at most 12 rows.
        title: a line above.
        photos: by run, what its maps are of; shown above them. With `overlay=True` the maps lie over them.
        style: how it is to look. There is a column for each run: its `columns` doesn't apply.
        choices: fields of `GridStyle` by name, in place of the style's.

    Raises:
        UsageError: fewer runs than 2 or more than 8, no output that all have, a reduction whose maps can't be compared,
            or as of `draw_grid`.
    """
    columns = {
        name: Column(
            [output for output in outputs if output.name in arrays],
            partial(_read_arrays, arrays),
            (photos or {}).get(name),
        )
        for name, arrays in runs.items()
    }
    return comparison_pages(columns, style.but(**choices), title).picture(page)


def check_columns(count: int, style: GridStyle) -> None:
    """Check what is asked of a comparison, before models are run for it.

    Raises:
        UsageError: there are too few or too many columns, or a choice makes no sense.
    """
    most = COMPARISON_PAGE.most_columns
    if not 2 <= count <= most:
        given = "1 photo or model was" if count == 1 else f"{count} photos or models were"
        raise UsageError(f"{given} given to compare: give 2 to {most}, which fit side by side.")
    if style.columns is not None:
        raise UsageError("A comparison has one column for each photo or model: omit --columns.")
    if style.reduce != AUTO and not REDUCTIONS[style.reduce].comparable:
        comparable = ", ".join(name for name, row in REDUCTIONS.items() if row.comparable)
        raise UsageError(
            f"Maps by {style.reduce} can't be compared: it finds another direction in each tensor.\n"
            f"Choose one of {comparable}."
        )


def comparison_pages(columns: Mapping[str, Column], style: GridStyle, title: str | None = None) -> ComparisonPages:
    """Return the pages of runs side by side; the arguments are those of `draw_comparison`.

    Raises:
        UsageError: as of `draw_comparison`, but for the page.
    """
    check_columns(len(columns), style)
    names, alone = _matched(columns)
    maps = _read(columns, names, style.reduce)
    joined = [_joined(maps[name]) for name in names]
    found = worth_drawing(joined, aliases=style.aliases, shared=bool(style.shared))
    left_out = [*alone, *left_out_notes(found.left_out)]
    if not found.maps:
        raise UsageError(f"Nothing to draw of the {len(names)} outputs: {' '.join(left_out)}")
    rows = [
        MapRow(row.name, row.detail, row.path, [each.values for each in maps[row.name]]) for row in marked(found.maps)
    ]
    apart = [row.name for row in rows if len(columns) == 2 and row.difference is None]
    if apart:
        left_out.append(f"{len(apart)} of other sizes in the two, without a difference: {listed(apart)}.")
    left_out += _renamed(columns, [row.name for row in rows])
    outputs = [each for each in next(iter(columns.values())).outputs if each.name in names]
    return ComparisonPages(
        rows=rows,
        heads=list(columns),
        photos=[each.photo for each in columns.values() if each.photo],
        style=style,
        kind=COMPARISON_PAGE,
        shared=bool(style.shared),
        title=title,
        lead=likeness_note(rows),
        opening=explained(found.maps, "row"),
        closing=[*badge_notes(found.maps), *token_notes(outputs), *left_out],
    )


def _read_arrays(arrays: Mapping[str, Any], outputs: Sequence[Output], reduce: str) -> list[FeatureMap]:
    return [read_map(arrays, output, reduce) for output in outputs]


def _matched(columns: Mapping[str, Column]) -> tuple[list[str], list[str]]:
    """Return the outputs that all have, in the first one's order, and sentences of what the others are.

    Raises:
        UsageError: there is none, or none has a height and a width in all.
    """
    have = {head: {each.name: each for each in column.outputs} for head, column in columns.items()}
    first, *others = have.values()
    names = [name for name in first if all(name in each for each in others)]
    if not names:
        there = "; ".join(f"{head} has {_few(list(each))}" for head, each in have.items())
        raise UsageError(f"No output is in all that are to be compared: {there}.\nCompare models of one architecture.")
    refuse_mapless([each[name] for name in names for each in have.values()])
    alone = {head: [name for name in each if name not in names] for head, each in have.items()}
    return names, [
        f"{len(missing)} {'output that only' if len(missing) == 1 else 'outputs that only'} {head} has: "
        f"{listed(missing)}."
        for head, missing in alone.items()
        if missing
    ]


def _renamed(columns: Mapping[str, Column], names: Sequence[str]) -> list[str]:
    """Return which names are of another operation in another run: a quantizer calls what is before a ReLU like it."""
    (head, first), *others = (
        (head, {each.name: each.label for each in column.outputs}) for head, column in columns.items()
    )
    found = [
        f"{name} ({first[name]} in {head}, {labels[name]} in {other})"
        for name in names
        for other, labels in others
        if not _alike(first[name], labels[name])
    ]
    return [f"Named alike, of different operations: {listed(found, 2)}."] if found else []


def _alike(one: str, other: str) -> bool:
    """Return whether two labels are of one operation, by PyTorch's or ONNX's name: `Conv2d` and `Conv 3x3`."""
    first, second = (each.partition(" ")[0].casefold().replace("_", "") for each in (one, other))
    return first.startswith(second) or second.startswith(first)


def _few(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}" if names else "none of them"


def _read(columns: Mapping[str, Column], names: Sequence[str], reduce: str) -> dict[str, list[FeatureMap]]:
    """Return each output's maps, one of each column, all by the same reduction."""
    first, *others = AUTO_COMPARED if reduce == AUTO else (reduce,)
    found = _read_one(columns, names, first)
    for other in others:
        means = {each.name for column in columns.values() for each in column.outputs if each.averaged is not None}
        unseen = [
            name
            for name, maps in found.items()
            if name not in means and all(each.left_out in ("constant", "rounding") for each in maps)
        ]
        again = _read_one(columns, unseen, other) if unseen else {}
        found |= {name: maps for name, maps in again.items() if any(each.left_out is None for each in maps)}
    return found


def _read_one(columns: Mapping[str, Column], names: Sequence[str], reduce: str) -> dict[str, list[FeatureMap]]:
    found: dict[str, list[FeatureMap]] = {name: [] for name in names}
    for column in columns.values():
        by_name = {each.name: each for each in column.outputs}
        for each in column.read([by_name[name] for name in names], reduce):
            found[each.name].append(each)
    return found


def _joined(maps: Sequence[FeatureMap]) -> FeatureMap:
    """All maps of a row as one, of one line of pixels: whether it shows anything is decided for all at once."""
    values = np.concatenate([each.values.ravel() for each in maps])[None]
    reasons = [each.left_out for each in maps]
    if "flat" in reasons:
        return replace(maps[0], values=values, left_out="flat")
    constants_differ = set(reasons) == {"constant"} and values.min() != values.max()
    return replace(maps[0], values=values, left_out=reasons[0] if all(reasons) and not constants_differ else None)
