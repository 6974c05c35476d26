"""--against: two runners on every image: the largest error of each output, and the images on which they differ most.

What a difference means is not decided here: the worst images are judged by `verdict/`, against float64.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import ArtifactError, OutputError, first_line
from ..artifact.file_replacement import replace_file
from ..artifact.folder import Artifact
from ..artifact.manifest import Manifest
from .image_place import Content
from .pipeline import read_item
from .scanned_outputs import ScannedOutput
from .shard_reduction import ShardReduction
from .tables import shown_path, write_table

__all__ = ["Comparison", "Worst", "compared", "noise_floors", "save_worst", "write_differences"]

_LEAST_NOISE = 2.0**-24
"""A rounding of the largest element: where eager float32 had no error at all on the recorded input."""
_WORST = 3


@dataclass(frozen=True)
class Worst:
    """An image on which two runners differ much."""

    image: str
    number: int
    row: int
    output: str
    """Where they differ most."""
    drift: float
    """There, the error in multiples of float32's noise floor."""


@dataclass(frozen=True)
class Comparison:
    """What two runners' differences over all images are."""

    other: str
    """The runner that is held against the scan's own."""
    worst: Sequence[Worst]
    """Images, the worst first."""
    top: Mapping[str, tuple[int, int]]
    """Of each result with a top class: on how many images it is the same, and of how many."""
    outputs: Sequence[Mapping[str, Any]]
    """The rows of `differences.parquet`."""


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


def compared(folder: Path, other: str, outputs: Sequence[ScannedOutput]) -> Comparison:
    """Read what the shards' images differ by, and write `differences.parquet`, a row for each output.

    Args:
        folder: of the scan.
        other: the other runner's name.
        outputs: in their order.

    Raises:
        OutputError: it can't be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    drifts: dict[str, list[NDArray[np.float64]]] = {each.output.name: [] for each in outputs}
    largest: dict[str, tuple[float, str]] = {}
    by_image: dict[tuple[str, int, int], tuple[float, str]] = {}
    for part in sorted((folder / "differences").glob("*.parquet")):
        rows = pq.read_table(part).to_pydict()
        for image, number, row, name, drift in zip(
            *(rows[key] for key in ("image", "number", "row", "output", "drift")), strict=True
        ):
            place = (image, number, row)
            if drift > by_image.get(place, (-1.0, ""))[0]:
                by_image[place] = (drift, name)
            if drift > largest.get(name, (-1.0, ""))[0]:
                largest[name] = (drift, image)
        names, values = np.array(rows["output"]), np.array(rows["drift"])
        for name, parts in drifts.items():
            parts.append(values[names == name])
        # Only the worst are kept, however many images there are.
        by_image = dict(sorted(by_image.items(), key=lambda each: (-each[1][0], each[0][1:]))[:_WORST])
    table = [
        {
            "output": name,
            "images": sum(map(len, parts)),
            "median_drift": float(np.median(np.concatenate(parts))),
            "max_drift": largest[name][0],
            "max_image": largest[name][1],
        }
        for name, parts in drifts.items()
        if name in largest
    ]
    write_table(folder / "differences.parquet", pa.Table.from_pylist(table))
    worst = [Worst(*place, name, drift) for place, (drift, name) in by_image.items()]
    return Comparison(other, worst, _agreement(folder), table)


def save_worst(
    manifest: Manifest,
    comparison: Comparison,
    file_of: Callable[[int], Path | Content],
    folder: Path,
    input_size: tuple[int, int] | None,
) -> dict[str, dict[str, NDArray[Any]]]:
    """Write the inputs of the worst images, which `layerprobe verify --input` takes, and return them by file name.

    Args:
        manifest: of the model.
        comparison: with the worst images.
        file_of: from an image's number to its file, or its content.
        folder: for the inputs; made if it isn't there, and earlier inputs in it are removed.
        input_size: of the photos.

    Raises:
        OutputError: they can't be written.
    """
    try:
        folder.mkdir(exist_ok=True)
        for earlier in folder.glob("[0-9]-*.npz"):
            earlier.unlink()
    except OSError as error:
        raise OutputError(f"{folder} can't be written: {first_line(error)}.") from error
    found = {}
    for rank, worst in enumerate(comparison.worst, start=1):
        arrays = read_item(manifest, file_of(worst.number), input_size)
        batched = {each.name for each in manifest.inputs if each.shape[:1] == ("N",)}
        one: dict[str, Any] = {
            name: array[worst.row :][:1] if name in batched else array for name, array in arrays.items()
        }
        file = folder / f"{rank}-{re.sub(r'[^A-Za-z0-9._-]', '_', worst.image)[-80:]}.npz"
        with replace_file(file, "") as stream:
            np.savez(stream, **one)
        found[file.name] = one
    return found


def _agreement(folder: Path) -> dict[str, tuple[int, int]]:
    import pyarrow.parquet as pq

    found: dict[str, tuple[int, int]] = {}
    for part in sorted((folder / "images").glob("*.parquet")):
        rows = pq.read_table(part)
        for column in rows.column_names:
            name = column.removeprefix("other_top:")
            if name == column:
                continue
            pairs = zip(rows[f"top:{name}"].to_pylist(), rows[column].to_pylist(), strict=True)
            known = [one == other for one, other in pairs if one is not None or other is not None]
            same, count = found.get(name, (0, 0))
            found[name] = (same + sum(known), count + len(known))
    return found
