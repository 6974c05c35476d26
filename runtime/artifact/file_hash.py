"""The SHA-256 of a file, as the manifest lists it, and what tells that a file has changed since it was read."""

import hashlib
from functools import lru_cache
from pathlib import Path

from .file_reading import open_regular

__all__ = ["file_hash", "file_state"]


def file_hash(file: Path) -> str:
    """Return the SHA-256 of a file, as `Manifest.files` holds it; computed once for each state of the file."""
    return _hash_of(file, file_state(file))


@lru_cache(maxsize=64)
def _hash_of(file: Path, state: tuple[int, ...]) -> str:  # noqa: ARG001 - the key under which the hash is kept
    with open_regular(file) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def file_state(file: Path) -> tuple[int, ...]:
    """Return what changes when a file is altered or replaced, even where its time of modification is set back."""
    found = file.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
