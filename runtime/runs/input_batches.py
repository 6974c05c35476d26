"""Files -> what a model is run on: batches of inputs, each read when its turn comes, so that a folder has no bound."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ..artifact.manifest import Manifest, Preprocessing, fixed_batch
from ..runners.input_check import check_inputs
from .input_files import is_photo, read_input_file
from .preprocessing import preprocess_files

__all__ = ["Batch", "batch_of", "batches_of"]

_Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Batch:
    """One run of the model."""

    size: int
    """N"""
    read: Callable[[], _Arrays]
    """Returns the inputs by name, as the model takes them."""


def batches_of(
    manifest: Manifest, files: Sequence[Path], size: int, input_size: tuple[int, int] | None = None
) -> Iterator[Batch]:
    """Yield the batches: photos that follow one another together, each file with arrays by itself.

    Args:
        manifest: of the model.
        files: as `input_files` returns them.
        size: photos in a batch, at most.
        input_size: height and width of the preprocessed photos, instead of those of the export.

    Raises:
        ArtifactError: there are photos, and the model takes none.
        InputError: a file has other inputs than the model takes.
    """
    for photos, group in groupby(files, is_photo):
        found = list(group)
        if photos:
            name, steps = manifest.image_input(input_size)
            for start in range(0, len(found), size):
                part = found[start : start + size]
                yield Batch(len(part), partial(_photos, manifest, name, part, steps))
        else:
            for file in found:
                # Read once more when it is run: here for its batch, and so that what is wrong is told before the work.
                yield batch_of(manifest, partial(_arrays, manifest, file))


def batch_of(manifest: Manifest, read: Callable[[], _Arrays]) -> Batch:
    """Return as one batch what `read` returns, which `check_inputs` has passed."""
    arrays = read()
    leading = next((arrays[spec.name].shape[0] for spec in manifest.inputs if spec.shape[:1] == ("N",)), None)
    return Batch(leading or fixed_batch(manifest.inputs) or 1, read)


def _photos(manifest: Manifest, name: str, part: Sequence[Path], steps: Preprocessing) -> _Arrays:
    return check_inputs(manifest, {name: preprocess_files(part, steps)})


def _arrays(manifest: Manifest, file: Path) -> _Arrays:
    return check_inputs(manifest, read_input_file(file, manifest.inputs, None, manifest.model), str(file))
