"""A run that `layerprobe run` recorded: tensors by name, and the metadata to compare them without the artifact.

Writing the tensors is in `tensor_recording.py`; reading both is here.
"""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, NonNegativeFloat, model_validator

from ..artifact.consistency import check_outputs_listed
from ..artifact.errors import ArtifactError, first_line
from ..artifact.file_reading import refuse_endless_header
from ..artifact.folder import Artifact
from ..artifact.manifest import Output
from ..artifact.showing import listing
from ..artifact.tensors import Tensors
from ..artifact.versioned_json import Line, read_versioned
from ..runners.base import Runner
from ..runners.machine import Facts, describe_environment
from .tensor_file import INPUT_PREFIX, INPUTS_KEY, RUN_KEY

__all__ = ["InputsHash", "RecordedRun", "RunRecord", "describe_run", "open_run"]


class RunRecord(BaseModel):
    """The metadata of a recorded run."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    format_version: Literal[1] = 1
    model: Line
    runner: Line
    providers: list[Line]
    facts: Facts
    environment: dict[Line, Line | int]
    outputs: tuple[Output, ...]
    """All outputs of the model, including those that were not recorded."""
    noise_floors: dict[Line, NonNegativeFloat]
    """By output, from the artifact's reference; empty for a lone model file."""
    weights: Line | None = None
    """The hash of the model's weights, where the artifact has it."""

    @model_validator(mode="after")
    def _outputs_are_sound(self) -> "RunRecord":
        check_outputs_listed(self.outputs)
        return self


def describe_run(artifact: Artifact, runner: Runner) -> RunRecord:
    """Return the metadata that is recorded beside a run's tensors."""
    try:
        noise_floors = artifact.reference().noise_floors
    except ArtifactError:  # a lone model file, or an artifact without its reference, can be run as well
        noise_floors = {}
    return RunRecord(
        model=artifact.manifest.model,
        runner=runner.name,
        providers=runner.providers,
        facts=runner.facts,
        environment=describe_environment(artifact),
        outputs=artifact.manifest.outputs,
        noise_floors=noise_floors,
        weights=artifact.manifest.weights,
    )


class InputsHash:
    """The SHA-256 of all inputs of a model, batch after batch."""

    LENGTH = 64

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, inputs: Mapping[str, NDArray[Any]]) -> None:
        """Add a batch: names, dtypes, shapes and values."""
        for name in sorted(inputs):
            array = np.ascontiguousarray(inputs[name])
            self._hash.update(f"{name} {array.dtype} {array.shape} ".encode())
            self._hash.update(array.data)

    def __str__(self) -> str:
        return self._hash.hexdigest()


class RecordedRun(Mapping[str, NDArray[Any]]):
    """The tensors of a recorded run, each read on access, so the file must remain.

    Attributes:
        file: where they are.
        record: the run's metadata.
        inputs: the hash of the model's inputs.
    """

    def __init__(self, file: Path, record: RunRecord, inputs: str, names: list[str]) -> None:
        self.file, self.record, self.inputs = file, record, inputs
        self._names = names

    def __getitem__(self, name: str) -> NDArray[Any]:
        from safetensors import SafetensorError, safe_open

        if name not in self._names:
            raise KeyError(name)
        try:
            with safe_open(self.file, framework="np") as opened:
                array: NDArray[Any] = opened.get_tensor(name)
        except (OSError, SafetensorError) as error:
            raise ArtifactError(f"{self.file} can't be read: {first_line(error)}.") from error
        return array

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        done = f"{self.record.model} by {self.record.runner}"
        return listing(f"Run of {done} in {self.file}: {len(self)} tensors", self._names)

    def _repr_html_(self) -> str:
        return Tensors(self, self.record.outputs)._repr_html_()


def open_run(file: str | Path) -> RecordedRun:
    """Open what `layerprobe run` wrote.

    Raises:
        ArtifactError: it isn't a recorded run, is truncated, or has another format version.
    """
    from safetensors import SafetensorError, safe_open

    file = Path(file)
    if file.is_dir():
        raise ArtifactError(
            f"{file} is a folder, not a recorded run.\nIf it is an artifact, `layerprobe run {file} --recorded-input "
            "-o F` records one."
        )
    try:
        refuse_endless_header(file)
        with safe_open(file, framework="np") as opened:
            metadata = opened.metadata() or {}
            names = set(opened.keys())
    except (OSError, ValueError, SafetensorError) as error:
        raise ArtifactError(f"{file} is not a recorded run: {first_line(error)}.") from error
    if RUN_KEY not in metadata or INPUTS_KEY not in metadata:
        raise ArtifactError(f"{file} was not recorded by `layerprobe run`, or by an older version.\nRecord it again.")
    record = read_versioned(RunRecord, metadata[RUN_KEY], file, "a valid recorded run", "Record it again.")
    listed = [output.name for output in record.outputs]
    unknown = {name for name in names.difference(listed) if not name.startswith(INPUT_PREFIX)}
    if unknown:
        raise ArtifactError(f"{file} has tensors that its metadata lack: {', '.join(sorted(unknown))}.")
    return RecordedRun(file, record, metadata[INPUTS_KEY], [name for name in listed if name in names])
