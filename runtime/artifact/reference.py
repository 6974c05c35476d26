"""The references inside an artifact: recorded inputs, the float64 truth of each output, and its noise floor.

Both reading and writing are here; `export` calls the writing half. Comparing outputs with it is in `verdict/`.
"""

import errno
import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, NonNegativeFloat, NonNegativeInt, PositiveFloat, TypeAdapter

from .errors import ArtifactError, first_line
from .file_hash import file_state
from .file_reading import refuse_endless_header
from .tensor_summary import SAMPLE_LIMIT, channel_statistics, sample

__all__ = ["Reference", "Truth", "load_references", "save_references"]


@dataclass(frozen=True)
class Truth:
    """What is known about one output for a recorded input."""

    sample: NDArray[np.float64]
    """`sample(tensor, limit)` of the float64 result."""
    shape: tuple[int, ...]
    """Of the whole tensor."""
    scale: float
    """The largest absolute value of the whole float64 tensor (1 if that is 0)."""
    noise_floor: float
    """Eager float32's largest absolute error on the sample, divided by `scale`."""
    nonfinite: int
    """How many elements of eager float32's whole tensor are NaN or infinite."""
    nonfinite_in_float64: int = 0
    """How many are so in float64, by no overflow and no rounding: the model itself is. 0 where that isn't known."""
    channels: NDArray[np.float64] | None = None
    """5 C: `channel_statistics` of the whole float64 tensor, and below them eager float32's largest absolute error in
    each channel. None where the sample is the whole tensor, or an element isn't finite."""
    channel_axis: int | None = None
    """The axis of C; None if the tensor has none, and counts as one channel."""
    map: NDArray[np.float32] | None = None
    """H W: the mean over the channels of the first image; None where there is no height or width, and in all references
    but the first."""

    @classmethod
    def of(cls, tensor: NDArray[Any], noise_floor: float = 0.0) -> "Truth":
        """Return a whole tensor as the truth, without statistics."""
        finite = np.isfinite(tensor)
        return cls(
            sample=sample(tensor).astype(np.float64),
            shape=tensor.shape,
            scale=float(np.max(np.abs(tensor), initial=0.0, where=finite)) or 1.0,
            noise_floor=noise_floor,
            nonfinite=int(tensor.size - np.count_nonzero(finite)),
        )

    def of_sample(self) -> "Truth":
        """Return the truth of the sample alone, as of a flat tensor."""
        alone = replace(self, shape=self.sample.shape, channels=None, channel_axis=None, map=None)
        return replace(alone, nonfinite_in_float64=0)  # how many of these are in the sample isn't known

    def of_values(self, tensor: NDArray[Any]) -> "Truth":
        """Return the truth that another tensor of this shape is, with this one's scale and float32's own error."""
        channels = self.channels
        if channels is not None:
            channels = np.vstack([channel_statistics(tensor, self.channel_axis), channels[-1:]])
        return replace(self, sample=self.sampled(tensor).astype(np.float64), channels=channels)

    def sampled(self, tensor: NDArray[Any]) -> NDArray[Any]:
        """Return the elements of a tensor of this shape that `sample` holds of the truth."""
        return sample(tensor, self.sample.size)


@dataclass(frozen=True)
class Reference:
    """What eager PyTorch computes for one recorded input."""

    inputs: dict[str, NDArray[Any]]
    """In the model's dtypes, except that bfloat16 is recorded as float32."""
    truths: Mapping[str, Truth]
    """By output, in the order of execution. From a file, each is read on access: those of a large network are as large
    as its weights, and only one is needed at a time."""
    name: str = "noise"
    """What the input is: `noise`, `strong noise`, `a photo`, `a batch of 3`."""
    untried: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By output, what this input leaves untried of the operation, in words, if anything."""
    zero_channels: Mapping[str, frozenset[int]] = field(default_factory=dict)
    """By output, the channels that are 0 throughout, if any."""

    @property
    def noise_floors(self) -> dict[str, float]:
        """By output; read without the truths."""
        return {name: facts.noise_floor for name, facts in self._facts().items()}

    @property
    def largest_noise(self) -> dict[str, float]:
        """Eager float32's largest absolute error by output; read without the truths."""
        return {name: facts.noise_floor * facts.scale for name, facts in self._facts().items()}

    @property
    def scales(self) -> dict[str, float]:
        """The truth's largest absolute value by output; read without the truths."""
        return {name: facts.scale for name, facts in self._facts().items()}

    @property
    def elements(self) -> int:
        """How many all outputs have together; read without the truths."""
        return sum(math.prod(facts.shape) for facts in self._facts().values())

    def _facts(self) -> "Mapping[str, Truth] | Mapping[str, _Facts]":
        return self.truths.facts if isinstance(self.truths, _TruthsInFile) else self.truths


class _Facts(BaseModel):
    """A `Truth` without its arrays, as it is in the file's metadata."""

    model_config = ConfigDict(allow_inf_nan=False)

    shape: tuple[NonNegativeInt, ...]
    scale: PositiveFloat
    noise_floor: NonNegativeFloat
    nonfinite: NonNegativeInt
    nonfinite_in_float64: NonNegativeInt = 0
    channel_axis: NonNegativeInt | None = None


class _Recorded(BaseModel):
    """A reference without its arrays."""

    name: str
    outputs: dict[str, _Facts]
    untried: dict[str, frozenset[str]] = {}
    zero_channels: dict[str, frozenset[NonNegativeInt]] = {}


_RECORDED = TypeAdapter(list[_Recorded])
_ARRAYS = {"truth": ("sample", "F64"), "channels": ("channels", "F64"), "map": ("map", "F32")}
"""The arrays of a truth: prefix in the file, to field and type."""


def save_references(file: Path, references: Sequence[Reference]) -> None:
    """Write references as safetensors: `NUMBER/input:NAME`, `NUMBER/truth:NAME`, ..., the numbers in the metadata.

    Raises:
        OSError: the system refuses to write the file.
    """
    # save_file() writes the arrays' memory as it is, hence contiguous; save() would copy all of it first.
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    tensors: dict[str, NDArray[np.generic]] = {}
    recorded = []
    for number, reference in enumerate(references):
        for name, array in reference.inputs.items():
            tensors[f"{number}/input:{name}"] = np.asarray(array, order="C")
        facts = {}
        for name, truth in reference.truths.items():
            for prefix, (attribute, _) in _ARRAYS.items():
                if (part := getattr(truth, attribute)) is not None:
                    tensors[f"{number}/{prefix}:{name}"] = np.ascontiguousarray(part)
            facts[name] = _Facts(**{field: getattr(truth, field) for field in _Facts.model_fields})
        recorded.append(
            _Recorded(
                name=reference.name,
                outputs=facts,
                untried=dict(reference.untried),
                zero_channels=dict(reference.zero_channels),
            )
        )
    file.touch()
    mode = file.stat().st_mode
    try:
        save_file(tensors, file, metadata={"layerprobe.reference": _RECORDED.dump_json(recorded).decode()})
    except SafetensorError as error:
        refused = re.search(r"\(os error (\d+)\)", str(error))
        code = int(refused[1]) if refused else errno.EIO
        raise OSError(code, os.strerror(code)) from error
    file.chmod(mode)  # a new file's, as of every other: safetensors makes its own private


def load_references(file: Path) -> tuple[Reference, ...]:
    """Read what `save_references` wrote; each truth is read on access, so the file must remain.

    Raises:
        ArtifactError: the file isn't a reference. Also from `Reference.truths`, if the file is altered later.
    """
    from safetensors import SafetensorError, safe_open

    try:
        before = file_state(file)
        refuse_endless_header(file)
        with safe_open(file, framework="np") as opened:
            recorded = _RECORDED.validate_json(opened.metadata()["layerprobe.reference"])
            inputs: list[dict[str, NDArray[Any]]] = [{} for _ in recorded]
            for key in opened.keys():  # noqa: SIM118 - it can't be iterated
                number, _, name = key.partition("/input:")
                if name:
                    inputs[int(number)][name] = opened.get_tensor(key)
        arrays = _Arrays(file, before)
        found = tuple(
            Reference(
                inputs[number],
                _TruthsInFile(arrays, number, each.outputs),
                each.name,
                each.untried,
                each.zero_channels,
            )
            for number, each in enumerate(recorded)
        )
    except (OSError, SafetensorError, AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise ArtifactError(f"{file} is not a reference: {first_line(error)}.\nExport the artifact again.") from error
    if not found:
        raise ArtifactError(f"{file} is not a reference: it records no input.\nExport the artifact again.")
    return found


class _Arrays:
    """The arrays in a checked safetensors file, none of which is kept in memory.

    safetensors' own reader maps the file, and each page that it has read stays in the process's memory.
    """

    def __init__(self, file: Path, state: tuple[int, ...]) -> None:
        self._file, self._state = file, state
        with file.open("rb") as stream:
            self.header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
            self._start = stream.tell()

    def read(self, key: str) -> NDArray[Any]:
        entry = self.header[key]
        begin, end = entry["data_offsets"]
        try:
            if file_state(self._file) != self._state:
                raise ArtifactError(f"{self._file} was altered while it was in use.\nRun the command again.")
            with self._file.open("rb") as stream:
                stream.seek(self._start + begin)
                content = stream.read(end - begin)
        except OSError as error:
            raise ArtifactError(f"{self._file} can't be read: {error.strerror or error}.") from error
        array: NDArray[Any] = np.frombuffer(content, "<f8" if entry["dtype"] == "F64" else "<f4")
        return array.reshape(entry["shape"])


class _TruthsInFile(Mapping[str, Truth]):
    """The truths of one recorded input."""

    def __init__(self, arrays: _Arrays, number: int, facts: Mapping[str, _Facts]) -> None:
        self._arrays, self._number, self.facts = arrays, number, facts
        for name, fact in facts.items():
            self._check(name, fact)

    def _check(self, name: str, fact: _Facts) -> None:
        shapes = {}
        for prefix, (_, dtype) in _ARRAYS.items():
            entry = self._arrays.header.get(f"{self._number}/{prefix}:{name}")
            if entry is not None and entry["dtype"] != dtype:
                raise ValueError(f"the {prefix} of {name} is not {'float64' if dtype == 'F64' else 'float32'}")
            shapes[prefix] = entry and entry["shape"]
        size, axis, sampled = math.prod(fact.shape), fact.channel_axis, shapes["truth"]
        # All of a tensor is kept, or a part of it.
        if not sampled or len(sampled) != 1 or not (sampled[0] == size or 0 < sampled[0] < min(size, SAMPLE_LIMIT + 1)):
            raise ValueError(f"the size of the truth of {name} doesn't match its shape")
        channels = 1 if axis is None else fact.shape[axis]
        if shapes["channels"] not in (None, [5, channels]) or len(shapes["map"] or (0, 0)) != 2:
            raise ValueError(f"the channels of {name} don't match its shape")

    def __getitem__(self, name: str) -> Truth:
        facts = self.facts[name]
        keys = {attribute: f"{self._number}/{prefix}:{name}" for prefix, (attribute, _) in _ARRAYS.items()}
        held: dict[str, Any] = {
            field: self._arrays.read(key) for field, key in keys.items() if key in self._arrays.header
        }
        return Truth(**held, **vars(facts))

    def __iter__(self) -> Iterator[str]:
        return iter(self.facts)

    def __len__(self) -> int:
        return len(self.facts)
