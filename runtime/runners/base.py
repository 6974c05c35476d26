"""The base class of all runners: opened on an artifact, they turn arrays into arrays.

A runner is a file with a class that implements `_open` and `_compute`, and a row in `registry.py`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol

from numpy.typing import NDArray

from ..artifact.errors import ExecutionError, LayerprobeError, RunnerUnavailable, first_line
from ..artifact.folder import Artifact
from ..artifact.manifest import Manifest
from ..artifact.selection import known_outputs
from ..artifact.tensors import Tensors
from .input_check import check_inputs
from .machine import Facts
from .memory_need import refuse_large_outputs
from .settings import DEFAULT_SETTINGS, Settings

__all__ = ["BoundRun", "RestOfModel", "Runner", "refuse_bfloat16"]


class BoundRun(Protocol):
    """A runner with its inputs in place, for many runs of one batch size."""

    @property
    def on_device(self) -> bool:
        """Whether the outputs stay in a GPU's memory, or in another process, until `arrays` fetches them."""
        ...

    def run(self) -> None:
        """Compute the outputs from what the inputs hold now, and wait for them."""
        ...

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the outputs of the last run by name."""
        ...


@dataclass(frozen=True)
class RestOfModel:
    """What a model computes from one of its outputs on, with what a caller puts in that output's place."""

    layer: str
    """The output that is given."""
    inputs: tuple[str, ...]
    """The model's own inputs that the rest reads as well."""
    compute: Callable[[Mapping[str, NDArray[Any]]], NDArray[Any]]
    """From the layer and these inputs, by name, to the one value."""


class Runner(ABC):
    """One way to execute an artifact.

    Attributes:
        name: as in `RUNNERS`.
        target: the device that its row in `RUNNERS` names: `cpu`, `cuda`, ...
        file: the artifact's file that it executes, if any.
        providers: what it actually runs on, first choice first.
        misplaced: compute nodes (`Conv layer1.0.conv1`) that run elsewhere than requested.
        facts: what may explain a drift (versions, device, settings), read back from the runtime where it reports them.
    """

    file: ClassVar[str | None] = None
    runtime: ClassVar[str]
    """The runtime's name in messages."""
    elsewhere: ClassVar[bool] = False
    """Whether it computes in another process, whose memory is not this one's."""
    concurrent: bool = False
    """Whether several threads may run it at the same time, each in the memory that `bind` gave it."""

    def __init__(
        self,
        artifact: Artifact,
        name: str,
        target: str = "cpu",
        settings: Settings = DEFAULT_SETTINGS,
        outputs: Sequence[str] | None = None,
    ) -> None:
        """Open the artifact's file.

        Args:
            artifact: an open artifact.
            name: the runner's name.
            target: the device to run on.
            settings: how to run; a runtime ignores those that it has no equivalent for.
            outputs: names of the outputs that the model is cut to; None for all.

        Raises:
            RunnerUnavailable: the target was requested and can't be used, or the runtime can't run this model.
            ArtifactError: the file is missing, altered, invalid, or has other outputs than the manifest lists.
            UsageError: one of `outputs` is not an output of the model.
        """
        self.name, self.target, self.settings = name, target, settings
        self.manifest = artifact.manifest
        self.names = known_outputs(self.manifest, outputs)
        self.providers: list[str] = [target]
        self.misplaced: list[str] = []
        self._open(artifact)

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Tensors[NDArray[Any]]:
        """Return every output by name, in the manifest's order, for inputs by name (N C H W for an image batch).

        Raises:
            InputError: an input is missing, or its shape or dtype isn't the manifest's.
            ExecutionError: the outputs don't fit into the free memory; or the runtime failed: out of memory, or an
                unsupported operation or size.
            ArtifactError: the model returns other outputs than the manifest lists.
        """
        checked = check_inputs(self.manifest, inputs)
        refuse_large_outputs(self.manifest, self.names, checked)
        try:
            return Tensors(self._compute(checked), self.manifest.outputs)
        except LayerprobeError:
            raise
        except Exception as error:
            raise self._failure(error) from error

    def bind(self, inputs: Mapping[str, NDArray[Any]]) -> BoundRun:
        """Fix inputs and outputs in memory as far as the runtime can, and run once.

        Raises:
            InputError: an input is missing, or its shape or dtype isn't the manifest's.
            ExecutionError: the runtime failed.
        """
        return _Repeated(self, inputs)

    def sources(self, name: str) -> set[str] | None:  # noqa: ARG002 - for those that can
        """Return the outputs that an output is computed from; None where the runtime doesn't know."""
        return None

    def rest(self, artifact: Artifact, layer: str, value: str) -> RestOfModel:  # noqa: ARG002 - for those that can
        """Return the model from one of its outputs on, in this runtime.

        Args:
            artifact: that this runner was opened on.
            layer: the output that is given.
            value: what is computed from it, a result or any other value of the graph.

        Raises:
            RunnerUnavailable: the runtime can't start in the middle of a model.
            ArtifactError: the artifact's file is missing or altered.
        """
        raise RunnerUnavailable(
            f"{self.name} runs {self.manifest.model} as a whole, not from {layer} on.\nUse --runner onnx."
        )

    @cached_property
    def facts(self) -> Facts:
        """What may explain a drift: versions, device, settings, as the runtime reports them."""
        return self._read_facts()

    @abstractmethod
    def _open(self, artifact: Artifact) -> None:
        """Load the artifact's file for `names`, and set `providers`, `misplaced` and `facts`."""

    @abstractmethod
    def _compute(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the outputs of `names`, in that order, for checked inputs; any error is a failed run."""

    def _read_facts(self) -> Facts:
        """Return `facts`; asked once, and only where somebody reads them."""
        return {}

    def _failure(self, error: Exception) -> ExecutionError:
        return ExecutionError(f"{self.runtime} failed to run {self.manifest.model}: {self._reason(error)}")

    def _reason(self, error: Exception) -> str:
        """Return the reason in an error of the runtime's."""
        return first_line(error)


class _Repeated:
    """The bound run of a runtime without binding: each run passes the inputs again."""

    on_device = False

    def __init__(self, runner: Runner, inputs: Mapping[str, NDArray[Any]]) -> None:
        self._runner, self._inputs = runner, inputs
        self.run()

    def run(self) -> None:
        self._arrays = self._runner.run(self._inputs)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return self._arrays


def refuse_bfloat16(manifest: Manifest, runner: str) -> None:
    """Refuse a model in bfloat16, for a runner that takes and returns NumPy arrays.

    Raises:
        RunnerUnavailable: the model has inputs or outputs in bfloat16.
    """
    if "bfloat16" in manifest.dtypes:
        raise RunnerUnavailable(
            f"{runner} can't run {manifest.model}, which computes in bfloat16: it returns NumPy arrays, which have no "
            "such type.\nUse --runner torchscript."
        )
