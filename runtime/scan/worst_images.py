"""--against: the inputs of the worst images, kept so that `layerprobe verify --input` shows them."""

import re
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import OutputError, first_line
from ..artifact.file_replacement import replace_file
from ..artifact.manifest import Manifest
from .differences import Comparison
from .image_place import Content
from .pipeline import read_item

__all__ = ["save_worst"]

_OURS = "[0-9]-*.npz"


def save_worst(
    manifest: Manifest,
    comparison: Comparison,
    file_of: Callable[[int], Path | Content],
    folder: Path,
    input_size: tuple[int, int] | None,
) -> dict[str, dict[str, NDArray[Any]]]:
    """Write the inputs of the worst images, which `layerprobe verify --input` takes, and return them by file name.

    Args:
        manifest: of the model.
        comparison: with the worst images.
        file_of: from an image's number to its file, or its content.
        folder: for the inputs; made if it isn't there, and earlier inputs in it are removed.
        input_size: of the photos.

    Raises:
        OutputError: they can't be written.
        ImageError: an image can't be read any more.
    """
    try:
        folder.mkdir(exist_ok=True)
        for earlier in folder.glob(_OURS):
            earlier.unlink()
    except OSError as error:
        raise OutputError(f"{folder} can't be written: {first_line(error)}.") from error
    batched = {each.name for each in manifest.inputs if each.shape[:1] == ("N",)}
    found = {}
    for rank, worst in enumerate(comparison.worst, start=1):
        image = file_of(worst.number)
        arrays = read_item(manifest, image, input_size)
        one: dict[str, Any] = {
            name: array[worst.row :][:1] if name in batched else array for name, array in arrays.items()
        }
        file = folder / f"{rank}-{re.sub(r'[^A-Za-z0-9._-]', '_', PurePath(image.name).name)[-80:]}.npz"
        with replace_file(file, "") as stream:
            np.savez(stream, **one)
        found[file.name] = one
    return found
