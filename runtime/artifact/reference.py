"""The reference inside an artifact: a recorded input, the float64 truth of each output, and its noise floor.

Both reading and writing are here; `export` calls the writing half. Comparing outputs with it is in `verdict/`.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, NonNegativeFloat, NonNegativeInt, PositiveFloat, TypeAdapter

from .errors import ArtifactError, first_line

__all__ = ["SAMPLE_LIMIT", "Reference", "Truth", "as_array", "load_reference", "sample", "save_reference"]

SAMPLE_LIMIT = 65_536
"""Elements kept per output; a smaller output is kept whole."""


@dataclass(frozen=True)
class Truth:
    """What is known about one output for the recorded input."""

    sample: NDArray[np.float64]
    """`sample(tensor)` of the float64 result."""
    shape: tuple[int, ...]
    """Of the whole tensor."""
    scale: float
    """The largest absolute value of the whole float64 tensor (1 if that is 0)."""
    noise_floor: float
    """Eager float32's largest absolute error on the sample, divided by `scale`."""
    nonfinite: int
    """How many elements of eager float32's whole tensor are NaN or infinite."""


@dataclass(frozen=True)
class Reference:
    """What eager PyTorch computes for a recorded input."""

    inputs: dict[str, NDArray[Any]]
    """In the model's dtypes, except that bfloat16 is recorded as float32."""
    truths: Mapping[str, Truth]
    """By output, in the order of execution. From a file, each is read on access: those of a large network are as large
    as its weights, and only one is needed at a time."""

    @property
    def noise_floors(self) -> dict[str, float]:
        """By output; read without the truths."""
        return {name: facts.noise_floor for name, facts in self._facts().items()}

    @property
    def largest_noise(self) -> dict[str, float]:
        """Eager float32's largest absolute error by output; read without the truths."""
        return {name: facts.noise_floor * facts.scale for name, facts in self._facts().items()}

    def _facts(self) -> "Mapping[str, Truth] | Mapping[str, _Facts]":
        return self.truths.facts if isinstance(self.truths, _TruthsInFile) else self.truths


class _Facts(BaseModel):
    """A `Truth` without its sample, as it is in the file's metadata."""

    model_config = ConfigDict(allow_inf_nan=False)

    shape: tuple[NonNegativeInt, ...]
    scale: PositiveFloat
    noise_floor: NonNegativeFloat
    nonfinite: NonNegativeInt


_FACTS = TypeAdapter(dict[str, _Facts])


def as_array(tensor: Any) -> NDArray[Any]:
    """Return a PyTorch tensor as a NumPy array; bfloat16, which NumPy lacks, as float32, which holds all its values."""
    # Compared by name, because this package doesn't need PyTorch.
    wide = tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor
    # The imaginary part of a conjugate is a view that is negated as it is read, which NumPy can't do.
    array: NDArray[Any] = wide.detach().resolve_conj().resolve_neg().cpu().contiguous().numpy()
    return array


def sample(tensor: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return at most `SAMPLE_LIMIT` elements of the tensor, flat, always from the same positions.

    One element is taken from each of `SAMPLE_LIMIT` equal stretches, at an offset that follows the golden ratio: every
    channel and row is sampled, and no period of the layout is always hit or missed, as by a fixed stride.
    """
    flat = tensor.reshape(-1)
    if flat.size <= SAMPLE_LIMIT:
        return flat
    return flat[(_places() * (flat.size / SAMPLE_LIMIT)).astype(np.int64)]


@cache
def _places() -> NDArray[np.float64]:
    """Return the samples' positions, in stretches. Cached, since the modulo takes ten times as long as the sampling."""
    stretch = np.arange(SAMPLE_LIMIT, dtype=np.float64)
    return stretch + (stretch * 0.6180339887498949) % 1.0


def save_reference(file: Path, reference: Reference) -> None:
    """Write a reference as safetensors: `input:NAME` and `truth:NAME` tensors, the numbers in the metadata."""
    # save() writes the arrays' memory as it is, hence contiguous; save_file() would make the file private (0600).
    from safetensors.numpy import save

    tensors: dict[str, NDArray[np.generic]] = {
        f"input:{name}": np.asarray(array, order="C") for name, array in reference.inputs.items()
    }
    facts = {}
    for name, truth in reference.truths.items():
        tensors[f"truth:{name}"] = np.ascontiguousarray(truth.sample)
        facts[name] = _Facts(
            shape=truth.shape, scale=truth.scale, noise_floor=truth.noise_floor, nonfinite=truth.nonfinite
        )
    file.write_bytes(save(tensors, metadata={"layerprobe.reference": _FACTS.dump_json(facts).decode()}))


def load_reference(file: Path) -> Reference:
    """Read what `save_reference` wrote; each truth is read on access, so the file must remain.

    Raises:
        ArtifactError: the file isn't a reference. Also from `Reference.truths`, if the file is altered later.
    """
    from safetensors import SafetensorError, safe_open

    try:
        before = _state(file)
        with safe_open(file, framework="np") as opened:
            facts = _FACTS.validate_json(opened.metadata()["layerprobe.reference"])
            names = [key for key in opened.keys() if key.startswith("input:")]  # noqa: SIM118 - it can't be iterated
            inputs = {key.removeprefix("input:"): opened.get_tensor(key) for key in names}
            sizes = {name: opened.get_slice(f"truth:{name}").get_shape() for name in facts}
        truths = _TruthsInFile(file, before, facts)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{file} is not a reference: {first_line(error)}.\nExport the artifact again.") from error
    for name, fact in facts.items():
        if sizes[name] != [min(math.prod(fact.shape), SAMPLE_LIMIT)]:
            raise ArtifactError(f"{file} is not a reference: the size of the truth of {name} doesn't match its shape.")
    return Reference(inputs, truths)


class _TruthsInFile(Mapping[str, Truth]):
    """The truths in a checked safetensors file, none of which is kept in memory.

    safetensors' own reader maps the file, and each page that it has read stays in the process's memory.
    """

    def __init__(self, file: Path, state: tuple[int, ...], facts: Mapping[str, _Facts]) -> None:
        self._file, self._state, self.facts = file, state, facts
        with file.open("rb") as stream:
            header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
            self._data_start = stream.tell()
        self._spans: dict[str, tuple[int, int]] = {}
        for name in facts:
            entry = header[f"truth:{name}"]
            if entry["dtype"] != "F64":
                raise ValueError(f"the truth of {name} is not float64")
            self._spans[name] = tuple(entry["data_offsets"])

    def __getitem__(self, name: str) -> Truth:
        begin, end = self._spans[name]
        try:
            if _state(self._file) != self._state:
                raise ArtifactError(f"{self._file} was altered while it was in use.\nRun the command again.")
            with self._file.open("rb") as stream:
                stream.seek(self._data_start + begin)
                content = stream.read(end - begin)
        except OSError as error:
            raise ArtifactError(f"{self._file} can't be read: {error.strerror}.") from error
        return Truth(sample=np.frombuffer(content, "<f8"), **vars(self.facts[name]))

    def __iter__(self) -> Iterator[str]:
        return iter(self.facts)

    def __len__(self) -> int:
        return len(self.facts)


def _state(file: Path) -> tuple[int, ...]:
    """Return what changes when a file is altered or replaced."""
    found = file.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
