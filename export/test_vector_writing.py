"""The test vectors of an artifact for images: a small photo, its pixels, and the input that it must become.

By these anybody can check preprocessing that was written in another language; the rules are in artifacts/README.md.
"""

import hashlib
import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from runtime.artifact.errors import ImageError
from runtime.artifact.manifest import TEST_PHOTO_FILE, TEST_VECTORS_FILE, Manifest
from runtime.runs.image_reading import read_image
from runtime.runs.input_files import as_input
from runtime.runs.preprocessing import cropped_pixels, preprocess_files

__all__ = ["write_test_vectors"]

_PHOTO: Final = Path(__file__).with_name(TEST_PHOTO_FILE)
"""161 x 97 pixels, both odd; `tests/make_test_photo.py` made it."""
_KEY = "layerprobe.test_vectors"


def write_test_vectors(manifest: Manifest, folder: Path) -> None:
    """Write the photo and what it becomes, if the model takes images."""
    with suppress(ImageError):  # larger than any photo may be: no preprocessing takes it, here or elsewhere
        _write(manifest, folder)


def _write(manifest: Manifest, folder: Path) -> None:
    from safetensors.numpy import save

    steps = manifest.preprocessing
    if steps is None:
        return
    (spec,) = manifest.inputs
    image = read_image(_PHOTO)
    arrays: dict[str, NDArray[Any]] = {
        "pixels": np.array(image),
        "cropped": np.ascontiguousarray(cropped_pixels(image, steps)),
        f"input:{spec.name}": as_input(preprocess_files([_PHOTO], steps), spec),
    }
    facts = {
        "photo": TEST_PHOTO_FILE,
        "sizes": {name: list(array.shape) for name, array in arrays.items()},
        "sha256": {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in arrays.items()},
    }
    (folder / TEST_VECTORS_FILE).write_bytes(save(arrays, metadata={_KEY: json.dumps(facts)}))
    shutil.copyfile(_PHOTO, folder / TEST_PHOTO_FILE)
