"""The folder that a scan writes: what the scan is of, so that another one is refused; one process at a time."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ..artifact.errors import ArtifactError, OutputError, UsageError, first_line
from ..artifact.file_hash import file_hash
from ..artifact.file_reading import LARGEST_DOCUMENT_BYTES, read_bounded
from ..artifact.file_replacement import replace_file
from ..artifact.folder import Artifact
from ..artifact.folder_replacement import refuse_no_folder
from ..artifact.manifest import MANIFEST_FILE
from ..artifact.unfinished import UNFINISHED
from ..artifact.versioned_json import Line, read_versioned
from .other_options import told_apart

__all__ = ["IMAGE_LIST", "ScanRecord", "artifact_hash", "opened_folder"]

IMAGE_LIST = "images.jsonl"
"""As `image_list.py` writes it."""
_FILE = "scan.json"
_MARK = '"images_below"'
_PARTS = ("images", "summaries", "partial", "tensors", "differences")

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


class ScanRecord(BaseModel):
    """What the numbers in the folder depend on; a scan that goes on must have the same."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[1] = 1
    model: Line
    artifact: Line
    """SHA-256 of its manifest, which holds those of its files; of a lone model file, its own."""
    images_below: Line
    """The folder of the images, as an absolute path."""
    outputs: tuple[Line, ...]
    runner: Line
    runtime: dict[Line, Line | int | bool]
    """What may change the last bits: versions, threads, device."""
    input_size: tuple[int, int] | None
    batch: int
    shard: int
    sample: int | None
    seed: int
    classes: bool
    keep: tuple[Line, ...]
    keep_dtype: Line
    against: Line | None = None
    """The runner or the file that is compared."""
    against_hash: Line | None = None
    """Of such a file, or of another artifact's manifest."""
    against_runtime: dict[Line, Line | int | bool] = {}


def artifact_hash(artifact: Artifact) -> str:
    """Return what tells an artifact from a changed one."""
    folder = artifact.path
    return file_hash(folder if folder.is_file() else folder / MANIFEST_FILE)


@contextmanager
def opened_folder(folder: Path, record: ScanRecord) -> Iterator[None]:
    """Make the folder, or go on in the one that is there, which no other process uses meanwhile.

    Raises:
        UsageError: it holds something else, another scan, or one that a process is at work on.
        ArtifactError: its record is damaged, or the artifact has changed.
        OutputError: it can't be written to.
    """
    file = folder / _FILE
    with ExitStack() as held:
        try:
            if not file.exists() and folder.is_dir() and not all(map(_is_begun, folder.iterdir())):
                raise UsageError(f"{folder} is not empty, and holds no scan.\nChoose another folder with -o.")
            refuse_no_folder(folder)
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(_locked(folder))
            _refuse_links(folder)
            # One that failed before it listed its images holds nothing that another couldn't begin anew.
            begun = file.exists() and (folder / IMAGE_LIST).exists()
            if begun:
                _refuse_another(folder, read_record(file), record)
            else:
                # First of all: by it, what a kill leaves is known as a scan.
                with replace_file(file, _MARK) as stream:
                    stream.write(record.model_dump_json(indent=1).encode() + b"\n")
            for part in _PARTS:
                (folder / part).mkdir(exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder} can't be written: {first_line(error)}.") from error
        held.callback(_remove_empty, folder)
        try:
            yield
        except OutputError as error:
            advice = "What was written stays: with room for more, the same command goes on from there."
            raise OutputError(f"{first_line(error)}\n{advice}") from error


def _is_begun(entry: Path) -> bool:
    """Return whether that is all that a killed scan may leave before its record is written."""
    return entry.name == ".lock" or entry.match(UNFINISHED)


def _refuse_links(folder: Path) -> None:
    """Refuse a folder of somebody's in which a file is a link: writing it would replace what that leads to."""
    for place in (folder, *(folder / name for name in (*_PARTS, "worst", "introduced"))):
        with os.scandir(place) if place.is_dir() else nullcontext(()) as entries:
            for entry in entries:
                if entry.is_symlink():
                    raise ArtifactError(f"{entry.path} is a link, and a scan writes none.\nScan into another folder.")


def _remove_empty(folder: Path) -> None:
    for part in _PARTS:
        with suppress(OSError):  # because something is in it
            (folder / part).rmdir()


def read_record(file: Path) -> ScanRecord:
    """Read what a scan is of.

    Raises:
        ArtifactError: it is damaged, or can't be read.
    """
    try:
        content = read_bounded(file, LARGEST_DOCUMENT_BYTES)
    except OSError as error:
        raise ArtifactError(f"{file} can't be read: {first_line(error)}.\nScan into another folder.") from error
    return read_versioned(ScanRecord, content, file, "the record of a scan", "Scan into another folder.")


def _refuse_another(folder: Path, earlier: ScanRecord, record: ScanRecord) -> None:
    for name in ScanRecord.model_fields:
        there, asked = getattr(earlier, name), getattr(record, name)
        if there == asked:
            continue
        if name == "artifact":
            raise ArtifactError(
                f"{folder} holds a scan of {earlier.model} as it was; the artifact has changed since.\n"
                "Choose another folder with -o."
            )
        if name == "against_hash":
            raise ArtifactError(
                f"{folder} holds a scan against {earlier.against} as it was; {record.against} has changed since.\n"
                "Choose another folder with -o."
            )
        begun, this = told_apart(name, there, asked)
        raise UsageError(
            f"The scan in {folder} was begun {begun}, this one is {this}: it can't go on there.\n"
            "Repeat the options of the first, or choose another folder with -o."
        )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which ends with the process, however that ends."""
    if fcntl is None:
        yield
        return
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                f"Another process is scanning into {folder}.\nWait for it, or choose another folder with -o."
            ) from error
        yield
    finally:
        with suppress(OSError):
            os.close(handle)
