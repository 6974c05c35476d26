"""Parquet files: writing and reading one, and those with a row for each image; the same bytes for the same content.

The statistics over all images are in `statistics_tables.py`; `artifacts/README.md` describes all.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import ArtifactError, RunnerUnavailable, first_line, how_to_install
from ..artifact.file_reading import open_regular, refuse_special
from ..artifact.file_replacement import replace_file
from .shard_reduction import ShardReduction

if TYPE_CHECKING:
    import pyarrow
__all__ = [
    "check_whole",
    "column_names",
    "part_name",
    "read_columns",
    "read_table",
    "require_parquet",
    "shown_path",
    "words",
    "write_row_groups",
    "write_table",
    "write_tables_of_shard",
]

_MARK = "layerprobe.scan_table"
_MAGIC = b"PAR1"
"""With which a Parquet file begins and ends."""


def require_parquet() -> None:
    """Check that Parquet can be written, before the work whose result it will hold.

    Raises:
        RunnerUnavailable: pyarrow isn't installed.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise RunnerUnavailable(
            f"A scan is written as Parquet, but pyarrow can't be loaded.\n{how_to_install('scan')}"
        ) from error


def shown_path(item: str) -> str:
    """Return a path as UTF-8, which a file's name need not be: other bytes are escaped."""
    return os.fsencode(item).decode("utf-8", "backslashreplace")


def write_tables_of_shard(reduction: ShardReduction, folder: Path) -> None:
    """Write a row for each image into `images/`, and one for each image and output into `summaries/`.

    Raises:
        OutputError: a file can't be written.
    """
    import pyarrow as pa

    rows = sorted(reduction.images, key=lambda row: (row["number"], row["row"]))
    columns: dict[str, Any] = {
        "image": pa.array([shown_path(row["image"]) for row in rows], pa.string()),
        "number": pa.array([row["number"] for row in rows], pa.int64()),
        "row": pa.array([row["row"] for row in rows], pa.int32()),
        "class": pa.array([shown_path(row["class"]) or None for row in rows], pa.string()),
        "error": pa.array([row["error"] and shown_path(row["error"]) for row in rows], pa.string()),
    }
    for name in reduction.result_names:
        values = [row.get(name) for row in rows]
        columns[f"top:{name}"] = pa.array([None if each is None else _top(each) for each in values], pa.int32())
        floats = [None if each is None else each.astype(np.float32) for each in values]
        columns[f"result:{name}"] = pa.array(floats, pa.list_(pa.float32()))
        if any(f"other:{name}" in row for row in rows):
            others = [row.get(f"other:{name}") for row in rows]
            tops = [None if each is None else _top(each) for each in others]
            columns[f"other_top:{name}"] = pa.array(tops, pa.int32())
    write_table(folder / "images" / part_name(reduction.shard.number), pa.table(columns))
    if reduction.summaries:
        write_table(folder / "summaries" / part_name(reduction.shard.number), _summaries(reduction))


def part_name(shard: int) -> str:
    """Return the name of the files of the shard of this number."""
    return f"part-{shard:07d}.parquet"


def _top(values: NDArray[Any]) -> int | None:
    """Return the place of the largest number, the first of several; None where there is one number, or one isn't."""
    if values.size < 2 or np.isnan(values.astype(np.float64)).any():
        return None
    return int(values.argmax())


def _summaries(reduction: ShardReduction) -> "pyarrow.Table":
    import pyarrow as pa

    names = [each.output.name for each in reduction.outputs]
    whole = {name: np.concatenate([each[name] for each in reduction.summaries]) for name in reduction.summaries[0]}
    numbers = whole.pop("number")
    # An image has several rows in its file, and each of them one for every output.
    each_row = np.repeat(np.arange(len(numbers)), len(names))
    first, items = reduction.shard.first, reduction.shard.items
    paths = pa.array([shown_path(items[number - first]) for number in numbers.tolist()], pa.string())
    columns = {
        "image": paths.take(pa.array(each_row)),
        "number": pa.array(numbers[each_row]),
        "row": pa.array(whole.pop("row")[each_row].astype(np.int32)),
        "output": words(names).take(pa.array(np.tile(np.arange(len(names)), len(numbers)))),
    }
    return pa.table(columns | {name: pa.array(values.reshape(-1)) for name, values in whole.items()})


def words(texts: Sequence[str | None]) -> Any:
    """Return a column of texts."""
    import pyarrow as pa

    return pa.array(texts, pa.string())


def write_table(file: Path, table: "pyarrow.Table") -> None:
    """Write one file, whole or not at all.

    Raises:
        OutputError: it can't be written.
    """
    write_row_groups(file, [table])


def write_row_groups(file: Path, tables: "Iterable[pyarrow.Table]") -> None:
    """Write one file, whole or not at all, of tables with the same columns, of which one at a time is in memory.

    Raises:
        OutputError: it can't be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    content, writer = pa.BufferOutputStream(), None
    for table in tables:
        # The mark is in the footer, where the files of ours are known by it.
        marked = table.replace_schema_metadata({_MARK: "1"})
        writer = writer or pq.ParquetWriter(content, marked.schema, compression="zstd")
        writer.write_table(marked)
    if writer is not None:
        writer.close()
    with replace_file(file, _MARK) as stream:
        stream.write(content.getvalue())


def read_columns(file: Path, kinds: Mapping[str, "pyarrow.DataType"]) -> "pyarrow.Table":
    """Read some columns of a table of ours, each of which has to be of its type.

    Raises:
        ArtifactError: the file is missing or damaged.
    """
    with _opened(file) as opened:
        for name, kind in kinds.items():
            if opened.schema_arrow.field(name).type != kind:
                raise ValueError(f"its column {name} is of another type")
        return opened.read(columns=list(kinds))


def read_table(file: Path) -> "pyarrow.Table":
    """Read a table of ours.

    Raises:
        ArtifactError: the file is missing or damaged.
    """
    with _opened(file) as opened:
        return opened.read()


def check_whole(file: Path) -> None:
    """Check that a table is there, and begins and ends as Parquet does; more of it would take a thousand times as long.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    try:
        with open_regular(file) as stream:
            start = stream.read(len(_MAGIC))
            stream.seek(max(os.fstat(stream.fileno()).st_size - len(_MAGIC), 0))
            if start == stream.read(len(_MAGIC)) == _MAGIC:
                return
        reason = "it is no Parquet file"
    except OSError as error:
        reason = first_line(error)
    raise ArtifactError(f"{file} is damaged: {reason}.\nScan into another folder.")


def column_names(file: Path) -> list[str]:
    """Return the names of a table's columns.

    Raises:
        ArtifactError: the file is missing or damaged.
    """
    with _opened(file) as opened:
        return list(opened.schema_arrow.names)


@contextmanager
def _opened(file: Path) -> "Iterator[pyarrow.parquet.ParquetFile]":
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        refuse_special(file)
        with pq.ParquetFile(file) as opened:
            yield opened
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise ArtifactError(
            f"{file} is damaged: {first_line(error).rstrip('.')}.\nScan into another folder."
        ) from error
