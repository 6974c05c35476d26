"""A folder of images, on this machine or elsewhere: its files, and what is in one. Buckets are `bucket.py`."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from socket import gethostname
from typing import BinaryIO, Protocol

from ..artifact.errors import ImageError, InputError, LayerprobeError, first_line
from ..artifact.file_reading import nothing_at, open_regular
from ..runs.image_finding import IMAGE_SUFFIXES, files_below
from ..runs.input_files import mixture, one_kind

__all__ = ["LARGEST_BYTES", "TAR", "Content", "LocalFolder", "Place", "PlaceUnreachable", "files_to_scan"]

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

    def files(self, *, takes_photos: bool) -> list[str]:
        """Return the files to scan, as of `files_to_scan`."""

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

    def files(self, *, takes_photos: bool) -> list[str]:
        """Return the files to scan."""
        if self.tar:
            return [self.tar]
        if not self.path.is_dir():
            raise InputError(
                f"{nothing_at(self.path, 'folder')}\n"
                "Name a folder of images or arrays, a .tar, or an address such as s3://bucket/photos."
            )
        return files_to_scan(files_below(self.path), str(self.path), takes_photos=takes_photos)

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


def files_to_scan(names: Iterable[str], shown: str, *, takes_photos: bool) -> list[str]:
    """Return which files below a place are scanned: its photos or its arrays, as of `one_kind`, or its tars.

    Args:
        names: of its files, in their order.
        shown: what messages call it.
        takes_photos: whether the model does.

    Raises:
        InputError: it holds several kinds.
        ImageError: it holds none.
    """
    every = list(names)
    found = one_kind(every, shown, takes_photos=takes_photos)
    tars = [name for name in every if name.endswith(TAR)]
    if found and tars:
        raise mixture(shown, {"files to scan": found, "tars": tars})
    if not found and not tars:
        raise ImageError(
            f"{shown} holds no images ({IMAGE_SUFFIXES}), no arrays (.npy .npz) and no tars.\n"
            "Name a folder that does; compressed tars are not read."
        )
    return found or tars
