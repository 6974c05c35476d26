"""How a scan opens its runners: as the command was told, and so that none of them waits for another."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..artifact.folder import Artifact
from ..runners.base import Runner
from ..runners.registry import open_image_runner, open_runner
from ..runners.settings import Settings

__all__ = ["Opening"]


@dataclass(frozen=True)
class Opening:
    """What the command says of its runners."""

    runtime: str
    provider: str
    settings: Settings
    outputs: Sequence[str] | None = None
    """Those to scan; None for all."""
    against: str | None = None
    """What is compared."""

    def open(self, artifact: Artifact, outputs: Sequence[str] | None = None, runtime: str | None = None) -> Runner:
        """Open a runner, cut to some outputs.

        Raises:
            RunnerUnavailable: it can't work on this machine.
        """
        chosen = outputs or self.outputs
        return open_image_runner(artifact, runtime or self.runtime, self.provider, self._calm, chosen)

    def open_named(self, artifact: Artifact, runner: str) -> Runner:
        """Open the runner of this name.

        Raises:
            RunnerUnavailable: it can't work on this machine.
        """
        return open_runner(artifact, runner, self._calm, self.outputs)

    @property
    def _calm(self) -> Settings:
        # Waiting in a loop would take the cores from the threads that read and reduce meanwhile; and where every core
        # computes a batch of its own, none has to wait for another.
        return replace(self.settings, spins=False, threads=self.settings.threads or (1 if self.runs_alone else None))

    @property
    def runs_alone(self) -> bool:
        """Whether each core can compute a batch of its own: all runners are such that several may run at once."""
        runtimes = self.against.split("=") if self.against and "=" in self.against else [self.runtime]
        return set(runtimes) <= {"onnx", "onnx-cpu"}
