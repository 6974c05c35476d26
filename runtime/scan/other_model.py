"""--against: what each image's tensors are held against: another runner, a file of the same model, another model.

Opening it is not done here (`runtime/scan_against.py`); what the differences mean is in `differences.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import InputError
from ..artifact.file_hash import file_hash
from ..artifact.manifest import fixed_batch
from ..artifact.onnx_file import read_onnx
from ..runners.base import Runner

__all__ = ["OtherModel", "hash_of_model"]

_Arrays = Mapping[str, NDArray[Any]]


def _same_inputs(inputs: _Arrays) -> _Arrays:
    return inputs


def _same_layout(_name: str, array: NDArray[Any], _shape: tuple[int, ...]) -> NDArray[Any]:
    return array


@dataclass(frozen=True)
class OtherModel:
    """What computes the same outputs once more."""

    name: str
    """The runner's, or the file's."""
    runner: Runner
    file_hash: str | None = None
    """Of another file or artifact: what tells it from a changed one."""
    as_its_inputs: Callable[[_Arrays], _Arrays] = field(default=_same_inputs, repr=False)
    """From the scanned model's inputs to its own."""
    in_layout: Callable[[str, NDArray[Any], tuple[int, ...]], NDArray[Any]] = field(default=_same_layout, repr=False)
    """From an output's name and its own tensor to the scanned model's layout, of that shape."""
    is_exact: bool = True
    """Whether it should compute the same but for float32's noise. Of a file in fewer bits and of another model, what
    differs on every image is no find: only what differs more than it usually does."""

    is_judged: bool = True
    """Whether one of the two may be wrong: not where it is another model, with weights of its own."""
    facts_there: Mapping[str, Any] | None = None
    """What its runner reports of itself where it computes, if that isn't here."""

    @property
    def batch(self) -> int | None:
        """The batch that its file fixes; None if that is open."""
        return fixed_batch(self.runner.manifest.inputs)

    @property
    def facts(self) -> dict[str, Any]:
        """What its runner reports of itself."""
        return dict(self.runner.facts if self.facts_there is None else self.facts_there)

    @property
    def outputs(self) -> list[str]:
        """The outputs that are compared."""
        return list(self.runner.names)

    def run(self, inputs: _Arrays, like: _Arrays) -> dict[str, NDArray[Any]]:
        """Return its outputs for a batch, each in the layout and shape that the scanned model's has in `like`.

        Raises:
            InputError: it takes other inputs, or returns another number of elements for them.
            ExecutionError: its runtime failed.
        """
        found = {}
        for name, array in self.runner.run(self.as_its_inputs(inputs)).items():
            shape = like[name].shape
            if array.size != np.prod(shape, dtype=np.int64):
                raise InputError(
                    f"{self.name} returns {name} of {_sizes(array.shape)}, and the scanned model of {_sizes(shape)}.\n"
                    f"Leave it out: choose others with --outputs."
                )
            found[name] = self.in_layout(name, array, shape)
        return found


def hash_of_model(path: Path) -> str:
    """Return the SHA-256 of an ONNX file, with those of the files in which it has weights."""
    parts = [path, *(path.parent / name for name in read_onnx(path).beside)]
    return "-".join(file_hash(part) for part in parts)


def _sizes(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
