"""Which files are below a folder, in which order they come, and which of them are images.

What is in them is read by `image_reading.py`.
"""

import os
from collections.abc import Iterator
from pathlib import Path, PurePath

from ..artifact.errors import ImageError
from ..artifact.file_reading import nothing_at, real_path

__all__ = ["IMAGE_SUFFIXES", "NoImages", "files_below", "is_image_name", "no_such_path"]

IMAGE_SUFFIXES = ".avif .bmp .gif .jfif .jp2 .jpeg .jpg .pbm .pgm .png .ppm .tif .tiff .webp"
_IMAGE_SUFFIXES = frozenset(IMAGE_SUFFIXES.split())
"""Suffixes of images in a folder, case-insensitive. A file that is named directly may have any suffix."""


class NoImages(ImageError):
    """A folder can be listed, and holds none."""


def files_below(folder: Path) -> Iterator[str]:
    """Yield the path of each file below a folder, relative to it, with `/`, in the order of the paths' parts; as text,
    of which a million are smaller. Hidden files and folders are left out, and links are followed.

    Raises:
        ImageError: it can't be listed.
    """
    try:
        yield from _files_below(folder, "", above=frozenset())
    except OSError as error:
        raise ImageError(f"The folder {folder} can't be listed: {error}. Check its permissions.") from error


def no_such_path(path: Path) -> ImageError:
    """Return the error for a path at which nothing is."""
    return ImageError(f"{nothing_at(path)} Check the path.")


def _files_below(folder: Path, name: str, above: frozenset[Path]) -> Iterator[str]:
    """Walk `folder` in the order of its paths' parts; `name` is its own path with a `/` after it, and `above` are the
    real paths of its parent folders, so that a link to one can't loop.
    """
    real = real_path(folder)
    if real in above:
        return
    with os.scandir(folder) as entries:
        within = sorted((entry.name, _is_folder(entry)) for entry in entries if not entry.name.startswith("."))
    for each, is_folder in within:
        if is_folder:
            yield from _files_below(folder / each, f"{name}{each}/", above | {real})
        else:
            yield f"{name}{each}"


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def is_image_name(name: str) -> bool:
    """Return whether a file in a folder counts as an image, by its suffix."""
    return PurePath(name).suffix.lower() in _IMAGE_SUFFIXES
