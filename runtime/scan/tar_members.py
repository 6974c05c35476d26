"""The members of a tar, as WebDataset writes them, without unpacking it: each one's name and where its bytes are.

Nothing in a tar is trusted: only its headers are read, in chunks that are bounded, always forwards, and names are
names, never paths on the disk. Compressed tars have no places to read from, and are none here.
"""

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO

from ..artifact.errors import InputError, first_line

__all__ = ["Member", "members_of"]

_LARGEST_HEADER = 2**20
"""Bytes of a name or of other facts before a member: more is no name. `tarfile` reads them at once."""
_MOST_MEMBERS = 2**20
"""WebDataset's tars have thousands."""


@dataclass(frozen=True)
class Member:
    """A file within a tar."""

    name: str
    """Its path in the tar, with `/`."""
    offset: int
    """Of its first byte in the tar."""
    size: int
    """In bytes."""


def members_of(stream: BinaryIO, size: int, called: str) -> Iterator[Member]:
    """Yield the regular files of a tar whose names have one suffix: WebDataset's `key.ext`, of `key.seg.png` the rest.

    Args:
        stream: the tar, which can be searched.
        size: of the tar, in bytes.
        called: its name, for messages.

    Raises:
        InputError: it is damaged from here on, or made to do harm.
        OSError: it can't be read.
    """
    known: set[str] = set()
    try:
        with tarfile.open(fileobj=_Forwards(stream), mode="r:") as opened:
            while (found := opened.next()) is not None:
                opened.members = []  # type: ignore[attr-defined]  # it would grow with the tar
                if not found.isreg() or found.issparse():
                    continue
                _check(found, size, known)
                if PurePosixPath(found.name).name.count(".") == 1:
                    yield Member(found.name, found.offset_data, found.size)
            _check_end(stream, opened.offset)
    except OSError:
        raise
    except Exception as error:  # of a damaged header tarfile raises its own errors, ValueError, RecursionError, others
        raise InputError(
            f"{called} can't be read as a tar: {first_line(error)}.\nCopy it again; compressed tars are not read."
        ) from error


def _check(member: tarfile.TarInfo, size: int, known: set[str]) -> None:
    """Refuse a member whose name or place can't be right; `known` are the names before it."""
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in member.name:
        raise ValueError("a member's name leads out of it")
    if path.as_posix() in known:
        raise ValueError(f"it has two members {member.name!r}")
    if member.size < 0 or member.offset_data + member.size > size:
        raise ValueError("a member ends behind its end")
    if len(known) == _MOST_MEMBERS:
        raise ValueError(f"it has more than {_MOST_MEMBERS:,} members")
    known.add(path.as_posix())


def _check_end(stream: BinaryIO, offset: int) -> None:
    """Refuse what is no header where the next one should be: for `tarfile` that is the end, too."""
    stream.seek(offset)
    if stream.read(tarfile.BLOCKSIZE).strip(b"\0"):
        raise ValueError("what follows its last member is no header")


class _Forwards(io.RawIOBase):
    """A tar's stream that reads little at once and never goes back: a header whose size is negative would loop."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._furthest = stream, 0

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _LARGEST_HEADER:
            raise ValueError("a header is too long")
        content = self._stream.read(size)
        self._furthest = max(self._furthest, self._stream.tell())
        return content

    def seek(self, place: int, whence: int = 0) -> int:
        # One byte back: tarfile reads the last one of a member, to see that it is there.
        if whence or place < self._furthest - 1:
            raise ValueError("a member begins before the one before it ends")
        self._furthest = max(self._furthest, place)
        return self._stream.seek(place)

    def tell(self) -> int:
        return self._stream.tell()
