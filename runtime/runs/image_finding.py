"""Photos and folders of photos -> image files: which files of a folder are images, and in which order they come.

What is in them is read by `image_reading.py`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

from ..artifact.errors import ImageError
from ..artifact.file_reading import real_path

__all__ = ["find_images", "is_image_name", "no_such_path"]

_SUFFIXES = ".avif .bmp .gif .jfif .jp2 .jpeg .jpg .pbm .pgm .png .ppm .tif .tiff .webp"
_IMAGE_SUFFIXES = frozenset(_SUFFIXES.split())
"""Suffixes of images in a folder, case-insensitive. A file that is named directly may have any suffix."""


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
        try:
            below = sorted(_images_below(path, above=frozenset()))
        except OSError as error:
            raise ImageError(f"The folder {path} can't be listed: {error}. Check its permissions.") from error
        if not below:
            raise ImageError(f"The folder {path} holds no images ({_SUFFIXES}). Name a folder that does.")
        found += below
    return found


def no_such_path(path: Path) -> ImageError:
    """Return the error for a path at which nothing is."""
    return ImageError(f"There is no file or folder {path}. Check the path.")


def _images_below(folder: Path, above: frozenset[Path]) -> Iterator[Path]:
    """Walk `folder`; `above` are the real paths of its parent folders, so that a link to one can't loop."""
    real = real_path(folder)
    if real in above:
        return
    for entry in folder.iterdir():
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _images_below(entry, above | {real})
        elif is_image_name(entry.name):
            yield entry


def is_image_name(name: str) -> bool:
    """Return whether a file in a folder counts as an image, by its suffix."""
    return PurePath(name).suffix.lower() in _IMAGE_SUFFIXES
