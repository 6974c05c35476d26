"""Whether the inputs and outputs that a model file declares are those of the manifest."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..artifact.errors import ArtifactError
from ..artifact.folder import Artifact
from ..artifact.manifest import ONNX_FILE
from ..artifact.showing import shape_words

__all__ = ["Declared", "dtype_name", "refuse_other_tensors"]


class Declared(NamedTuple):
    """An input or output as a runtime reads it from the file."""

    name: str
    dtype: str
    """NumPy's name."""
    shape: Sequence[int | str | None]
    """Of a size that is open, a text or None."""


def refuse_other_tensors(
    artifact: Artifact, inputs: Sequence[Declared], outputs: Sequence[Declared], names: Sequence[str]
) -> None:
    """Refuse a model file whose inputs or outputs are not the ones that the manifest lists.

    Args:
        artifact: of the manifest and the file.
        inputs: that the file declares, in its order.
        outputs: likewise.
        names: the outputs that the model was cut to.

    Raises:
        ArtifactError: they differ.
    """
    manifest = artifact.manifest
    for kind, found, listed in (
        ("inputs", inputs, manifest.inputs),
        ("outputs", outputs, [entry for entry in manifest.outputs if entry.name in names]),
    ):
        inside = [each._replace(shape=_sizes(each.shape)) for each in found]
        expected = [Declared(entry.name, entry.dtype, _sizes(entry.shape)) for entry in listed]
        if len(inside) == len(expected) and all(map(_fits, inside, expected)):
            continue
        wrong = next(
            ((a, b) for a, b in zip(inside, expected, strict=False) if not _fits(a, b)),
            (f"{len(inside)} of them", f"{len(expected)} of them"),
        )
        raise ArtifactError(
            f"{artifact.path}: the manifest's {kind} are not those of {ONNX_FILE}: the model has {_words(wrong[0])}, "
            f"the manifest {_words(wrong[1])}.\nExport the artifact again."
        )


def dtype_name(onnx_type: str) -> str:
    """Return NumPy's name for ONNX Runtime's `tensor(float)`."""
    name = onnx_type.removeprefix("tensor(").removesuffix(")")
    return {"float": "float32", "double": "float64"}.get(name, str(np.dtype(name)) if name in np.sctypeDict else name)


def _sizes(shape: Sequence[int | str | None]) -> tuple[int | str, ...]:
    return tuple(size if isinstance(size, int) else "any" for size in shape)


def _fits(inside: Declared, listed: Declared) -> bool:
    """Return whether what the manifest lists is what the model has: the manifest may fix a size that is open there."""
    return (
        inside[:2] == listed[:2]
        and len(inside.shape) == len(listed.shape)
        and all(size in ("any", other) for size, other in zip(inside.shape, listed.shape, strict=True))
    )


def _words(fact: Declared | str) -> str:
    return fact if isinstance(fact, str) else f"{fact.name} ({fact.dtype}, {shape_words(fact.shape)})"
