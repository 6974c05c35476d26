"""--against: two models on every image: the largest error of each output, where it starts, and the worst images.

What a difference means is not decided here: the worst images are judged by `verdict/`, against float64.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import ArtifactError
from ..artifact.folder import Artifact
from ..artifact.manifest import ONNX_FILE
from ..float64.graph import Float64Graph
from .scanned_outputs import ScannedOutput
from .shard_reduction import ShardReduction
from .tables import column_names, part_name, read_columns, shown_path, write_table
from .value_histogram import BUCKETS, bucket_counts, buckets_of, quantiles

__all__ = [
    "BEYOND_NOISE",
    "BEYOND_USUAL",
    "Comparison",
    "OutputDifference",
    "Worst",
    "compared",
    "noise_floors",
    "write_differences",
]

_LEAST_NOISE = 2.0**-24
"""A rounding of the largest element: where eager float32 had no error at all on the recorded input."""
BEYOND_NOISE = 16.0
"""The drift from which on an image counts: that which `verify` lets pass in a result."""
BEYOND_USUAL = 4.0
"""The same for a model that differs everywhere, in multiples of an output's median over the images."""
_OTHER_TOP = "other_top:"
_WORST, _MOST = 3, 8
"""Images that are judged: the worst of all, and of each output at which an error starts, the worst; at most so many."""


@dataclass(frozen=True)
class Worst:
    """An image on which two models differ much."""

    number: int
    row: int
    output: str
    """Where they differ most; or, if they differ from there on, where that starts."""
    drift: float
    """There, the error in multiples of float32's noise floor."""


@dataclass
class OutputDifference:
    """How much an output differs over all images."""

    output: str
    noise_floor: float
    before: tuple[str, ...] = ()
    """The compared outputs that it is computed from."""
    images: int = 0
    max_drift: float = -1.0
    max_number: int = -1
    median_drift: float = float("nan")
    images_over: int = 0
    """Images on which it differs beyond noise (`limit`)."""
    images_starting: int = 0
    """Those of them on which none of the outputs before it does."""
    worst_start: Worst | None = None
    limit: float = BEYOND_NOISE
    counts: NDArray[Any] = field(default_factory=lambda: np.zeros(BUCKETS, np.int32), repr=False)
    """Of its drift over the images, by bucket of `value_histogram`."""


@dataclass(frozen=True)
class Comparison:
    """What two models' differences over all images are."""

    other: str
    """What is held against the scanned model."""
    is_exact: bool
    """Whether they should be the same but for noise."""
    is_judged: bool
    """Whether one of them may be wrong: not between two models, each of which is what it is."""
    worst: Sequence[Worst]
    """Images, the worst first."""
    top: Mapping[str, tuple[int, int]]
    """Of each result with a top class: on how many images it is the same, and of how many."""
    outputs: Sequence[OutputDifference]


def noise_floors(artifact: Artifact) -> dict[str, float]:
    """Return by output what float32's own error is, relative to the largest element, as the artifact records it."""
    try:
        known = artifact.reference().noise_floors
    except ArtifactError:  # a lone model file has none
        known = {}
    return {name: max(known.get(name, 0.0), _LEAST_NOISE) for name in artifact.manifest.output_names}


def write_differences(reduction: ShardReduction, floors: Mapping[str, float], file: Path) -> None:
    """Write a row for each image and output of a shard.

    Raises:
        OutputError: it can't be written.
    """
    import pyarrow as pa

    batches = reduction.differences
    if not batches:
        return
    numbers = np.concatenate([each["number"] for each in batches])
    names = [each["output"] for each in batches for _ in each["number"]]
    error, scale = (np.concatenate([each[name] for each in batches]) for name in ("max_abs", "scale"))
    with np.errstate(all="ignore"):
        relative = np.where(error == 0, 0.0, np.where(scale > 0, error / scale, np.inf))
    first, items = reduction.shard.first, reduction.shard.items
    table = pa.table(
        {
            "image": pa.array([shown_path(items[int(number) - first]) for number in numbers], pa.string()),
            "number": pa.array(numbers),
            "row": pa.array(np.concatenate([each["row"] for each in batches]).astype(np.int32)),
            "output": pa.array(names, pa.string()),
            "max_abs": pa.array(error),
            "relative": pa.array(relative),
            "drift": pa.array(relative / np.array([floors[name] for name in names])),
        }
    )
    write_table(file, table)


def compared(
    artifact: Artifact,
    folder: Path,
    outputs: Sequence[ScannedOutput],
    shards: Sequence[int],
    floors: Mapping[str, float],
    path_of: Callable[[int], str],
    *,
    other: str,
    names: Sequence[str],
    is_exact: bool,
    is_judged: bool,
) -> Comparison:
    """Read what the shards' images differ by, and write `differences.parquet`, a row for each output.

    Args:
        artifact: that is scanned.
        folder: of the scan.
        outputs: of the scan, in their order.
        shards: the numbers of all.
        floors: by output, as of `noise_floors`.
        path_of: from an image's number to its path, as it is shown.
        other: what the other model is called.
        names: the outputs that it has, too.
        is_exact: whether it should be the same but for noise.
        is_judged: whether one of the two may be wrong.

    Raises:
        ArtifactError: a file of the scan is damaged.
        OutputError: the table can't be written.
    """
    compared_names = [each.output.name for each in outputs if each.output.name in set(names)]
    before = Float64Graph(artifact.file(ONNX_FILE), compared_names).inputs_of
    known = set(compared_names)
    found = [
        OutputDifference(name, floors[name], tuple(each for each in before[name] if each in known))
        for name in compared_names
    ]
    for part in _parts(folder, shards, compared_names, path_of):
        _add_sizes(found, part)
    for each in found:
        each.median_drift = _median(each)
        if not is_exact:
            each.limit = BEYOND_USUAL * max(each.median_drift, BEYOND_NOISE)
    worst: list[tuple[float, Worst]] = []
    for part in _parts(folder, shards, compared_names, path_of):
        worst = _worst_of(worst + _add_starts(found, part))
    _write(folder / "differences.parquet", found, path_of)
    return Comparison(other, is_exact, is_judged, _to_judge(worst, found), _agreement(folder, shards), found)


@dataclass(frozen=True)
class _Part:
    """A shard's differences: I images of O outputs."""

    numbers: NDArray[np.int64]
    """I"""
    rows: NDArray[np.int64]
    """I"""
    drift: NDArray[np.float64]
    """I x O; -1 where there is none."""


def _parts(folder: Path, shards: Sequence[int], names: Sequence[str], path_of: Callable[[int], str]) -> Iterator[_Part]:
    import pyarrow as pa
    import pyarrow.compute as pc

    kinds = {"number": pa.int64(), "row": pa.int32(), "output": pa.string(), "drift": pa.float64()}
    for shard in shards:
        file = folder / "differences" / part_name(shard)
        if not file.exists():  # of a shard none of whose images can be read
            continue
        table = read_columns(file, kinds).drop_null()
        column = pc.index_in(table["output"], pa.array(names, pa.string())).fill_null(-1).to_numpy()
        numbers, rows, drift = (table[key].to_numpy() for key in ("number", "row", "drift"))
        places, inverse = np.unique(np.stack([numbers, rows], 1).astype(np.int64), axis=0, return_inverse=True)
        for number in places[:, 0]:
            path_of(int(number))  # whether there is one
        matrix = np.full((len(places), len(names)), -1.0)
        matrix[inverse.reshape(-1)[column >= 0], column[column >= 0]] = drift[column >= 0]
        yield _Part(places[:, 0], places[:, 1], np.nan_to_num(matrix, nan=np.inf, posinf=np.inf))


def _add_sizes(found: Sequence[OutputDifference], part: _Part) -> None:
    for each, drift in zip(found, part.drift.T, strict=True):
        each.images += int((drift >= 0).sum())
        finite = drift[(drift >= 0) & np.isfinite(drift)]
        each.counts += bucket_counts(buckets_of(finite[None], len(finite))[0]).astype(np.int32)
        largest = int(drift.argmax())
        if drift[largest] > each.max_drift:
            each.max_drift, each.max_number = float(drift[largest]), int(part.numbers[largest])


def _median(each: OutputDifference) -> float:
    finite = int(each.counts.sum())
    return float(np.inf) if 2 * finite < each.images else quantiles(each.counts, 0.0, max(each.max_drift, 0.0))[0.5]


def _add_starts(found: Sequence[OutputDifference], part: _Part) -> list[tuple[float, Worst]]:
    """Count on which images each output differs beyond noise, and on which that starts there; return the worst ones."""
    limits = np.array([each.limit for each in found])
    over = part.drift > limits
    place = {each.output: number for number, each in enumerate(found)}
    for number, each in enumerate(found):
        starts = over[:, number] & ~over[:, [place[name] for name in each.before]].any(axis=1)
        each.images_over += int(over[:, number].sum())
        each.images_starting += int(starts.sum())
        drift = np.where(starts, part.drift[:, number], -1.0)
        if starts.any() and (each.worst_start is None or drift.max() > each.worst_start.drift):
            each.worst_start = _image(part, int(drift.argmax()), each.output, float(drift.max()))
    with np.errstate(invalid="ignore"):
        scores = np.nan_to_num(part.drift / limits, nan=0.0, posinf=np.inf)
    score, at = scores.max(axis=1), scores.argmax(axis=1)
    images = np.argsort(-score, kind="stable")[:_WORST]
    return [
        (float(score[image]), _image(part, int(image), found[at[image]].output, float(part.drift[image, at[image]])))
        for image in images
    ]


def _image(part: _Part, image: int, output: str, drift: float) -> Worst:
    return Worst(int(part.numbers[image]), int(part.rows[image]), output, drift)


def _worst_of(scored: list[tuple[float, Worst]]) -> list[tuple[float, Worst]]:
    return sorted(scored, key=lambda each: (-each[0], each[1].number, each[1].row))[:_WORST]


def _to_judge(worst: Sequence[tuple[float, Worst]], found: Sequence[OutputDifference]) -> list[Worst]:
    """Return the worst images, and of each output at which an error starts, its worst one: each image once.

    Where none differs beyond noise, the worst all the same: that they pass is what was asked.
    """
    starts = [(each.worst_start.drift / each.limit, each.worst_start) for each in found if each.worst_start is not None]
    chosen: dict[tuple[int, int], Worst] = {}
    beyond = [each for each in worst if each[0] > 1] or worst
    for _, image in [*beyond, *sorted(starts, key=lambda each: -each[0])]:
        chosen.setdefault((image.number, image.row), image)
    return list(chosen.values())[:_MOST]


def _write(file: Path, found: Sequence[OutputDifference], path_of: Callable[[int], str]) -> None:
    import pyarrow as pa

    def numbers(of: Callable[[OutputDifference], float]) -> Any:
        return pa.array([of(each) for each in found], pa.float64())

    def counts(of: Callable[[OutputDifference], int]) -> Any:
        return pa.array([of(each) for each in found], pa.int64())

    def paths(of: Callable[[OutputDifference], int]) -> Any:
        return pa.array([None if of(each) < 0 else path_of(of(each)) for each in found], pa.string())

    columns = {
        "output": pa.array([each.output for each in found], pa.string()),
        "images": counts(lambda each: each.images),
        "median_drift": numbers(lambda each: each.median_drift),
        "max_drift": numbers(lambda each: each.max_drift),
        "median_relative": numbers(lambda each: each.median_drift * each.noise_floor),
        "max_relative": numbers(lambda each: each.max_drift * each.noise_floor),
        "max_image": paths(lambda each: each.max_number),
        "images_over": counts(lambda each: each.images_over),
        "images_starting": counts(lambda each: each.images_starting),
        "starting_image": paths(lambda each: each.worst_start.number if each.worst_start else -1),
    }
    write_table(file, pa.table(columns))


def _agreement(folder: Path, shards: Sequence[int]) -> dict[str, tuple[int, int]]:
    import pyarrow as pa

    found: dict[str, tuple[int, int]] = {}
    for shard in shards:
        file = folder / "images" / part_name(shard)
        columns = column_names(file)
        for name in [each.removeprefix(_OTHER_TOP) for each in columns if each.startswith(_OTHER_TOP)]:
            rows = read_columns(file, dict.fromkeys((f"top:{name}", f"{_OTHER_TOP}{name}"), pa.int32()))
            pairs = zip(rows[f"top:{name}"].to_pylist(), rows[f"{_OTHER_TOP}{name}"].to_pylist(), strict=True)
            known = [one == other for one, other in pairs if one is not None or other is not None]
            same, count = found.get(name, (0, 0))
            found[name] = (same + sum(known), count + len(known))
    return found
