"""Images in a bucket (S3, Google Cloud Storage) or in another file system that pyarrow knows by its address."""

import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, BinaryIO
from urllib.parse import urlsplit, urlunsplit

from ..artifact.errors import InputError, LayerprobeError, UsageError, first_line
from .image_place import LARGEST_BYTES, TAR, Content, PlaceUnreachable, files_to_scan

__all__ = ["Bucket"]

_BUFFER_BYTES = 2**16
"""Read at once where a tar's headers are: as quick as the 512 bytes of one."""


@dataclass(frozen=True)
class Bucket:
    """A folder in a bucket, by its address. It can be sent to another machine, whose own credentials count there."""

    address: str
    """As of `pyarrow.fs.FileSystem.from_uri`."""
    tar: str | None = None
    """The only file that counts."""

    @classmethod
    def of_address(cls, address: str) -> "Bucket":
        """Return the folder or the tar at an address."""
        parts = urlsplit(address)
        if not parts.path.endswith(TAR):
            return cls(address)
        above, _, name = parts.path.rpartition("/")
        return cls(urlunsplit(parts._replace(path=above)), name)

    @property
    def shown(self) -> str:
        """The address without a key."""
        parts = urlsplit(self.address)
        shown = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=""))
        return f"{shown.rstrip('/')}/{self.tar}" if self.tar else shown

    def files(self, *, takes_photos: bool) -> list[str]:
        """Return the files to scan; in the order of a folder on the disk.

        Raises:
            ImageError: there are none.
            InputError: there is no such folder, or it holds several kinds of them.
            PlaceUnreachable: it can't be listed.
        """
        if self.tar:
            return [self.tar]
        from pyarrow.fs import FileSelector, FileType

        base = self._base
        try:
            # For what isn't there, Google's raises another error than the others: only the answer tells.
            listed = self._files.get_file_info(FileSelector(base, recursive=True, allow_not_found=True))
            if not listed and self._files.get_file_info(base).type == FileType.NotFound:
                raise InputError(f"There is no folder {self.shown}. Check the address.")
        except OSError as error:
            raise self._unreachable(error) from error
        names = [each.path[len(base) :].lstrip("/") for each in listed if each.type == FileType.File]
        # Of these, only a file on the disk can be read a tensor at a time.
        shown = (PurePosixPath(name) for name in names if not _hidden(name) and not name.endswith(".safetensors"))
        return files_to_scan(map(str, sorted(shown)), self.shown, takes_photos=takes_photos)

    def absolute(self) -> "Bucket":
        """Return itself."""
        return self

    def check(self) -> None:
        """Nothing: a worker's first read shows whether it reaches the bucket."""

    def file(self, path: str) -> Content:
        """Return an object's content.

        Raises:
            InputError: it isn't there, or is too large.
            PlaceUnreachable: it can't be read.
        """
        try:
            stream, size = self.opened(path)
            with stream:
                if size > LARGEST_BYTES:
                    raise InputError(f"{path} has {size:,} bytes; the limit is {LARGEST_BYTES:,}.")
                return Content(path, stream.read(size))
        except OSError as error:
            raise self.failure(path, error) from error

    def opened(self, path: str) -> tuple[BinaryIO, int]:
        """Open an object for searching; return it with its size in bytes."""
        stream = self._files.open_input_file(f"{self._base}/{path}")
        return io.BufferedReader(stream, _BUFFER_BYTES), stream.size()

    def failure(self, path: str, error: OSError) -> LayerprobeError:
        """Return the error for an object that can't be read: of one that is gone, another than of all."""
        if isinstance(error, FileNotFoundError):
            return InputError(f"{path} is no longer there.")
        return self._unreachable(error)

    @property
    def _base(self) -> str:
        return self._opened[1]

    @property
    def _files(self) -> Any:
        return self._opened[0]

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        from pyarrow import ArrowInvalid, ArrowNotImplementedError
        from pyarrow.fs import FileSystem

        try:
            files, base = FileSystem.from_uri(self.address)
        except (ArrowInvalid, ArrowNotImplementedError, ValueError) as error:
            # Its message would quote the address, and with it a key.
            raise UsageError(f"{self.shown} is no address that pyarrow reads: s3://, gs://, file:///, ...") from error
        except OSError as error:
            raise self._unreachable(error) from error
        return files, base.rstrip("/")

    def __getstate__(self) -> dict[str, Any]:
        """Leave what is open to this machine."""
        return {"address": self.address, "tar": self.tar}

    def _unreachable(self, error: OSError) -> PlaceUnreachable:
        return PlaceUnreachable(
            f"{self.shown} can't be read: {first_line(error)}.\n"
            "Check the address, the network and the credentials; the same command then goes on."
        )


def _hidden(path: str) -> bool:
    return any(part.startswith(".") for part in PurePosixPath(path).parts)
