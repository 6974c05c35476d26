"""A folder of images, on this machine or elsewhere: its files, and what is in one. Buckets are `bucket.py`."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from socket import gethostname
from typing import BinaryIO, Protocol

from ..artifact.errors import ImageError, InputError, LayerprobeError, first_line
from ..artifact.file_reading import open_regular
from ..runs.image_finding import IMAGE_SUFFIXES, NoImages
from ..runs.input_files import ARRAY_SUFFIXES, names_within

__all__ = ["LARGEST_BYTES", "TAR", "Content", "LocalFolder", "Place", "PlaceUnreachable", "nested_files", "nothing_in"]

TAR = ".tar"
LARGEST_BYTES = 2**30
"""Of one image or array that is held in memory: an object in a bucket, or a member of a tar."""


class PlaceUnreachable(LayerprobeError):
    """Nothing can be read from a bucket at present: its images aren't broken, and the scan is to go on later."""


@dataclass(frozen=True)
class Content:
    """A file that is on no disk here."""

    name: str
    """As messages call it; its suffix says what it is."""
    data: bytes


class Place(Protocol):
    """A folder, wherever it is. Paths are below it, with `/`."""

    @property
    def shown(self) -> str:
        """What messages and the scan's record call it, without secrets."""

    def files(self) -> list[str]:
        """Return the files to scan: arrays or photos as of `input_files`, else arrays further below, else tars."""

    def absolute(self) -> "Place":
        """Return it as another process knows it."""

    def check(self) -> None:
        """Raise InputError if it isn't there."""

    def file(self, path: str) -> Path | Content:
        """Return a file."""

    def opened(self, path: str) -> tuple[BinaryIO, int]:
        """Open a file for searching; return it with its size in bytes."""

    def failure(self, path: str, error: OSError) -> LayerprobeError:
        """Return the error for a file that can't be read."""


@dataclass(frozen=True)
class LocalFolder:
    """A folder on this machine, or one tar in it."""

    path: Path
    tar: str | None = None
    """The only file that counts."""

    @property
    def shown(self) -> str:
        """The absolute path."""
        folder = self.path.resolve()
        return str(folder / self.tar if self.tar else folder)

    def files(self) -> list[str]:
        """Return the files to scan."""
        if self.tar:
            return [self.tar]
        if not self.path.is_dir():
            raise InputError(
                f"There is no folder {self.path}.\nName a folder of images, a .tar, or an address such as s3://bucket/photos."
            )
        try:
            return names_within(self.path)
        except NoImages as error:
            nested = nested_files(path.relative_to(self.path).as_posix() for path in _files_below(self.path))
            if not nested:
                raise nothing_in(str(self.path)) from error
            return nested

    def absolute(self) -> "LocalFolder":
        """Return it by its absolute path."""
        return replace(self, path=self.path.absolute())

    def check(self) -> None:
        """Raise InputError if it isn't there."""
        if not self.path.is_dir():
            raise InputError(
                f"There is no folder {self.path} on {gethostname()}.\n"
                "Name a folder that all machines share, or a bucket."
            )

    def file(self, path: str) -> Path:
        """Return a file's path."""
        return self.path / path

    def opened(self, path: str) -> tuple[BinaryIO, int]:
        """Open a file."""
        stream = open_regular(self.path / path)
        return stream, os.fstat(stream.fileno()).st_size

    def failure(self, path: str, error: OSError) -> InputError:
        """Return the error for a file that can't be read."""
        return InputError(f"{self.path / path} can't be read: {first_line(error)}.")


def nothing_in(folder: str) -> ImageError:
    """Return the error for a folder in which there is nothing to scan."""
    return ImageError(
        f"{folder} holds no images ({IMAGE_SUFFIXES}), no arrays (.npy .npz) and no tars.\n"
        "Name a folder that does; compressed tars are not read."
    )


def nested_files(paths: Iterable[str]) -> list[str]:
    """Return the arrays among the files of a folder, else the tars, in the order of their paths."""
    found = sorted(map(PurePosixPath, paths))
    for suffixes in (ARRAY_SUFFIXES, (TAR,)):
        if chosen := [path.as_posix() for path in found if path.suffix in suffixes]:
            return chosen
    return []


def _files_below(folder: Path) -> Iterator[Path]:
    for home, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(home, name) for name in files if not name.startswith("."))
