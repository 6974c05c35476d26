"""Photos and folders of photos -> image files: which files of a folder are images, and in which order they come.

What is in them is read by `image_reading.py`.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

from ..artifact.errors import ImageError
from ..artifact.file_reading import nothing_at, real_path

__all__ = ["IMAGE_SUFFIXES", "NoImages", "files_below", "find_images", "is_image_name", "no_such_path"]

IMAGE_SUFFIXES = ".avif .bmp .gif .jfif .jp2 .jpeg .jpg .pbm .pgm .png .ppm .tif .tiff .webp"
_IMAGE_SUFFIXES = frozenset(IMAGE_SUFFIXES.split())
"""Suffixes of images in a folder, case-insensitive. A file that is named directly may have any suffix."""


class NoImages(ImageError):
    """A folder can be listed, and holds none."""


def find_images(paths: Sequence[Path]) -> list[Path]:
    """List the image files in `paths`: a file itself, or every image below a folder, sorted.

    In folders, hidden files and folders are left out (`._photo.jpg`, `.ipynb_checkpoints`), and links are followed.

    Raises:
        ImageError: `paths` is empty, or one of them is missing, can't be listed, or is a folder without images.
    """
    if not paths:
        raise ImageError("No image was named. Name an image file, or a folder of images.")
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            if not path.exists():
                raise no_such_path(path)
            found.append(path)
            continue
        found += [path / name for name in _images_below(path)]
    return found


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


def _images_below(folder: Path) -> list[str]:
    found = [name for name in files_below(folder) if is_image_name(name)]
    if not found:
        raise NoImages(f"The folder {folder} holds no images ({IMAGE_SUFFIXES}). Name a folder that does.")
    return found


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
