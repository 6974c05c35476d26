"""--introduced: what each operation introduced and inherited on every image, and the tables of it.

Judging an image is not done here: it takes float64, and is given as a function. What is judged already stays.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import OutputError, first_line
from ..artifact.manifest import Manifest
from .image_place import Content
from .pipeline import read_item
from .tables import read_columns, read_table, write_table

if TYPE_CHECKING:
    import pyarrow

__all__ = ["FOLDER", "Judged", "JudgedImage", "Judging", "judge_images", "write_judged"]

FOLDER = "introduced"
_AT_ONCE = 8
"""Images that are judged by one call: their tensors in float64 are held together."""

_Inputs = Mapping[str, NDArray[Any]]


class JudgedImage(NamedTuple):
    """Which image is judged."""

    image: str
    """Its path, as it is shown."""
    number: int
    row: int
    """In a file of arrays."""


class Judged(NamedTuple):
    """One output of one image in one runner, as `verify` judges it; numbers are None where there is none to measure."""

    of: JudgedImage
    runner: str
    output: str
    verdict: str
    drift: float | None
    introduced: float | None
    inherited: float | None
    at_fault: bool
    """Whether the operation itself fails, and not what comes before it."""


Judging = Callable[[Sequence[JudgedImage], Sequence[_Inputs]], Sequence[Judged]]
"""From some images and the inputs of each to what is found."""


def judge_images(
    manifest: Manifest,
    folder: Path,
    file_of: Callable[[int], Path | Content],
    input_size: tuple[int, int] | None,
    judge: Judging,
    on_progress: Callable[[int, int], None],
) -> None:
    """Judge every image of a finished scan that isn't judged yet, shard by shard, and write the tables.

    Args:
        manifest: of the scanned model.
        folder: of the scan.
        file_of: from an image's number to its file, or its content.
        input_size: of the photos.
        judge: judges some images.
        on_progress: called with the number of images judged, and of all.

    Raises:
        OutputError: a table can't be written.
        ArtifactError: a file of the scan is damaged.
        ImageError: an image can't be read any more.
    """
    try:
        (folder / FOLDER).mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder / FOLDER} can't be written: {first_line(error)}.") from error
    images = {part.name: _images(part) for part in sorted((folder / "images").glob("part-*.parquet"))}
    parts = {name: folder / FOLDER / name for name, there in images.items() if there}
    waiting = [name for name, part in parts.items() if not part.exists()]
    of_all = sum(map(len, images.values()))
    done = of_all - sum(len(images[name]) for name in waiting)
    on_progress(done, of_all)
    for name in waiting:
        found: list[Judged] = []
        following = iter(images[name])
        while some := list(islice(following, _AT_ONCE)):
            found += judge(some, [_one(manifest, file_of(each.number), each.row, input_size) for each in some])
            done += len(some)
            on_progress(done, of_all)
        write_judged(parts[name], found)
    write_table(folder / "introduced.parquet", _over_all([read_table(part) for part in parts.values()]))


def _images(part: Path) -> list[JudgedImage]:
    """Return the images of a shard that could be read."""
    import pyarrow as pa

    kinds = {"image": pa.string(), "number": pa.int64(), "row": pa.int32(), "error": pa.string()}
    rows = read_columns(part, kinds).to_pylist()
    return [JudgedImage(row["image"], row["number"], row["row"]) for row in rows if row["error"] is None]


def _one(manifest: Manifest, image: Path | Content, row: int, input_size: tuple[int, int] | None) -> _Inputs:
    """Return the inputs in one row of a file."""
    batched = {each.name for each in manifest.inputs if each.shape[:1] == ("N",)}
    arrays = read_item(manifest, image, input_size)
    return {name: array[row : row + 1] if name in batched else array for name, array in arrays.items()}


def write_judged(file: Path, found: Sequence[Judged]) -> None:
    """Write a row for each image, runner and output.

    Raises:
        OutputError: it can't be written.
    """
    import pyarrow as pa

    kinds = {
        "image": pa.string(),
        "number": pa.int64(),
        "row": pa.int32(),
        **dict.fromkeys(("runner", "output", "verdict"), pa.string()),
        **dict.fromkeys(("drift", "introduced", "inherited"), pa.float64()),
        "at_fault": pa.bool_(),
    }
    rows = [{**each.of._asdict(), **each._asdict()} for each in found]
    write_table(file, pa.table({key: pa.array([row[key] for row in rows], kind) for key, kind in kinds.items()}))


def _over_all(parts: Sequence["pyarrow.Table"]) -> "pyarrow.Table":
    """Return a row for each runner and output."""
    import pyarrow as pa

    whole = pa.concat_tables(parts)
    codes, names = {}, {}
    for key in ("runner", "output"):
        encoded = whole[key].combine_chunks().dictionary_encode()
        codes[key], names[key] = encoded.indices.to_numpy(), encoded.dictionary.to_pylist()
    introduced, inherited, at_fault = (
        whole[key].to_numpy().astype(np.float64) for key in ("introduced", "inherited", "at_fault")
    )
    rows = []
    for runner, name in enumerate(names["runner"]):
        for output, label in enumerate(names["output"]):
            here = np.flatnonzero((codes["runner"] == runner) & (codes["output"] == output))
            if not len(here):
                continue
            worst = here[int(np.argmax(np.nan_to_num(introduced[here], nan=-1.0)))]
            rows.append(
                {
                    "runner": name,
                    "output": label,
                    "images": len(here),
                    **_sizes("introduced", introduced[here]),
                    **_sizes("inherited", inherited[here]),
                    "max_image": whole["image"][int(worst)].as_py(),
                    "images_at_fault": int(at_fault[here].sum()),
                }
            )
    sizes = [f"{size}_{of}" for of in ("introduced", "inherited") for size in ("median", "max")]
    kinds = {"runner": pa.string(), "output": pa.string(), "images": pa.int64(), **dict.fromkeys(sizes, pa.float64())}
    return pa.Table.from_pylist(rows, pa.schema({**kinds, "max_image": pa.string(), "images_at_fault": pa.int64()}))


def _sizes(of: str, values: NDArray[np.float64]) -> dict[str, float | None]:
    known = values[np.isfinite(values)]
    return {
        f"median_{of}": float(np.median(known)) if len(known) else None,
        f"max_{of}": float(known.max()) if len(known) else None,
    }
