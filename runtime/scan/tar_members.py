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
from ..artifact.plain_text import one_line

__all__ = ["Member", "members_of"]

_LARGEST_HEADER = 2**20
"""Bytes of a name or of other facts before a member: more is no name. `tarfile` reads them at once."""
_LONGEST_NAME = 200
"""Of a member, in a message."""
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
    wrong: str = ""
    """Why it can't be taken, as what the tar has: `a member that leads out of it, '../x'`."""


def members_of(stream: BinaryIO, size: int, called: str) -> Iterator[Member]:
    """Yield the regular files of a tar whose names have one suffix: WebDataset's `key.ext`, of `key.seg.png` the rest;
    and those, whatever they are called, that can't be taken.

    Args:
        stream: the tar, which can be searched.
        size: of the tar, in bytes.
        called: its name, for messages.

    Raises:
        InputError: it is damaged from here on, or made to do harm.
        OSError: it can't be read.
    """
    known: set[str] = set()
    last, count = "", 0
    try:
        with tarfile.open(fileobj=_Forwards(stream), mode="r:") as opened:
            while (found := opened.next()) is not None:
                opened.members = []  # type: ignore[attr-defined]  # it would grow with the tar
                if not found.isreg() or found.issparse():
                    continue
                last = f"{one_line(found.name, _LONGEST_NAME)!r}"
                count += 1
                _check(found, size, count)
                wrong = _wrong(found, last, known)
                if wrong or PurePosixPath(found.name).name.count(".") == 1:
                    yield Member(found.name, found.offset_data, found.size, wrong)
            _check_end(stream, opened.offset)
    except OSError:
        raise
    except _CutOffError as error:
        where = f"within its member {last}" if error.within else f"after its member {last}, without a tar's end"
        raise InputError(f"{called} ends {where}: it was cut off.\nCopy it again.") from error
    except Exception as error:  # of a damaged header tarfile raises its own errors, ValueError, RecursionError, others
        what = f"further than its member {last}" if last else "as a tar"
        raise InputError(
            f"{called} can't be read {what}: {first_line(error)}.\nCopy it again; compressed tars are not read."
        ) from error


class _CutOffError(Exception):
    """A tar ends too early."""

    def __init__(self, *, within: bool) -> None:
        self.within = within


def _check(member: tarfile.TarInfo, size: int, count: int) -> None:
    if count > _MOST_MEMBERS:
        raise ValueError(f"it has more than {_MOST_MEMBERS:,} members")
    if member.size < 0:
        raise ValueError("a member's size is negative")
    if member.offset_data + member.size > size:
        raise _CutOffError(within=True)


def _wrong(member: tarfile.TarInfo, called: str, known: set[str]) -> str:
    """Return why a member can't be taken, or nothing; `known` are the names before it."""
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in member.name:
        return f"a member that leads out of it, {called}"
    if path.as_posix() in known:
        return f"a second member {called}"
    known.add(path.as_posix())
    return ""


def _check_end(stream: BinaryIO, offset: int) -> None:
    """Refuse what is no header where the next one should be: for `tarfile` that is the end, too."""
    stream.seek(offset)
    block = stream.read(tarfile.BLOCKSIZE)
    if block.strip(b"\0"):
        raise ValueError("what follows is no header")
    if len(block) < tarfile.BLOCKSIZE:
        raise _CutOffError(within=False)


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
