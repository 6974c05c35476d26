"""--ray: the shards of a scan, given to the workers of a Ray cluster by Ray Data.

Who computes which shard, on which machine, and again if a worker is lost, is Ray's to decide. What a worker does is
`shard_worker.py`. This is the only file that knows Ray.
"""

import logging
import os
import pickle
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..artifact.errors import ExecutionError, LayerprobeError, RunnerUnavailable, first_line, how_to_install
from ..artifact.folder import Artifact
from ..artifact.native_stderr import native_stderr_closed
from .image_list import Shard
from .image_source import ImageSource
from .opening import Opening
from .shard_worker import ArtifactFiles, Compared, RemoteRunner, ShardFile, ShardWorker, WorkerPlan, artifact_files

if TYPE_CHECKING:
    import pyarrow

__all__ = ["RayCluster", "connected"]

_QUIET = {
    # Ray would report to its makers that it was used.
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_LOG_TO_DRIVER": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
_ANSWERS_S = 10
_FAILED = -1
"""The number of files of a shard whose content is the error."""
_CPUS = 4
"""Of a worker, where neither --threads nor a smaller machine says otherwise: a runner gains little from more."""


@contextmanager
def connected(
    address: str, artifact: Artifact, opening: Opening, compared: Compared | None = None
) -> Iterator["RayCluster"]:
    """Yield a cluster that is ready to compute shards of an artifact, and leave it at the end.

    Args:
        address: as of `ray.init`: `auto` is the one that runs here, `local` starts one for this process.
        artifact: to put on each machine.
        opening: how each worker opens it.
        compared: what it is compared with.

    Raises:
        RunnerUnavailable: Ray isn't installed, there is no cluster, or the runner can't work on it.
    """
    os.environ.update({name: value for name, value in _QUIET.items() if name not in os.environ})
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise RunnerUnavailable(
            f"--ray needs Ray, which can't be loaded: {first_line(error)}.\n{how_to_install('ray')}"
        ) from error
    with _silenced():
        try:
            _knock(address)
            own = {"include_dashboard": False} if address == "local" else {}
            with native_stderr_closed():  # as that it was told to write less
                ray.init(address, log_to_driver=False, configure_logging=False, **own)
        except (ConnectionError, ValueError, RuntimeError, OSError) as error:
            raise RunnerUnavailable(
                f"There is no Ray cluster at {address}: {_reason(error)}.\n"
                "`ray start --head` starts one on this machine; --ray local needs none."
            ) from error
        try:
            yield RayCluster.of(artifact, opening, compared)
        finally:
            with suppress(Exception):  # what was computed is written
                ray.shutdown()


def _knock(address: str) -> None:
    """Raise OSError where nobody answers at HOST:PORT: Ray would try for minutes."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit() and "/" not in host:
        socket.create_connection((host, int(port)), _ANSWERS_S).close()


def _reason(error: Exception) -> str:
    """Return the first sentence of an error of Ray's."""
    return first_line(error).partition(". ")[0].rstrip(".")


@contextmanager
def _silenced() -> Iterator[None]:
    """Keep Ray from writing between the command's own words: what is wrong is raised, and its logs are its own files.

    Its threads print to stdout what became of workers, also of those that it has replaced.
    """
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):  # noqa: PTH123
            yield
    finally:
        logging.disable(before)


@dataclass(frozen=True)
class RayCluster:
    """A cluster that this process is connected to, and what a worker on it is."""

    artifact: Any
    """The reference of the artifact's files, and of what is compared: Ray brings them to each machine once."""
    opening: Opening
    cpus: int
    """Of a worker."""
    gpus: int
    """Of a worker: 0 or 1."""

    @classmethod
    def of(cls, artifact: Artifact, opening: Opening, compared: Compared | None = None) -> "RayCluster":
        """Put the artifact into the cluster; a worker gets a GPU if there are any, or else a few CPUs.

        Raises:
            RunnerUnavailable: no machine has room for one.
        """
        import ray

        machines = _machines()
        gpus = int(opening.provider != "cpu" and any(gpus >= 1 for _, gpus in machines))
        shares = [each // max(on_it, 1) for each, on_it in machines if each and (on_it or not gpus)]
        cpus = opening.settings.threads or max(1, min([_CPUS, *shares]))
        # Otherwise a runtime that computes one batch at a time would start a thread for every core of its machine.
        threads = opening.settings.threads or (None if gpus or opening.runs_alone else cpus)
        opening = replace(opening, settings=replace(opening.settings, threads=threads))
        if not _room(machines, cpus, gpus):
            needed = f"{cpus} CPUs{' and a GPU' if gpus else ''}"
            raise RunnerUnavailable(
                f"No machine of the cluster has the {needed} of a worker; they have {machines} CPUs and GPUs.\n"
                "Start others, or choose with --threads and --provider cpu."
            )
        own = compared is not None and compared.files is None
        runtimes = opening.against.split("=") if own and opening.against else [opening.runtime]
        return cls(ray.put((dict(artifact_files(artifact, *runtimes)), compared)), opening, cpus, gpus)

    def describe(self) -> RemoteRunner:
        """Open the runner on one of the workers, and return what is known of it.

        Raises:
            RunnerUnavailable: it can't work there.
        """
        import ray

        task = ray.remote(num_cpus=self.cpus, num_gpus=self.gpus)(_described)
        try:
            found: RemoteRunner = ray.get(task.remote(self.artifact, self.opening))
        except ray.exceptions.RayError as error:
            raise _failure(error) from error
        return found

    def compute(self, plan: WorkerPlan, source: ImageSource, shards: Sequence[Shard]) -> Iterator[ShardFile]:
        """Yield the files of the shards, as they come in.

        Raises:
            LayerprobeError: a worker can't go on.
        """
        import ray
        from ray.data import ActorPoolStrategy, DataContext

        DataContext.get_current().enable_progress_bars = False
        DataContext.get_current().print_on_execution_start = False
        work = [{"work": pickle.dumps((shard, source.part(shard.items)))} for shard in shards]
        found = ray.data.from_items(work, override_num_blocks=len(work)).map_batches(
            _Actor,
            fn_constructor_args=(self.artifact, self.opening, plan, self.cpus),
            batch_size=1,
            batch_format="pyarrow",
            compute=ActorPoolStrategy(size=min(_room(_machines(), self.cpus, self.gpus), len(work))),
            num_cpus=self.cpus,
            num_gpus=self.gpus,
        )
        try:
            for table in found.iter_batches(batch_size=None, batch_format="pyarrow"):
                for row in table.to_pylist():
                    if row["files"] == _FAILED:
                        raise pickle.loads(row["content"])
                    yield ShardFile(**row)
        except ray.exceptions.RayError as error:
            raise _failure(error) from error


def _machines() -> list[tuple[int, int]]:
    """Return the CPUs and GPUs of each machine."""
    import ray

    resources = [each["Resources"] for each in ray.nodes() if each["Alive"]]
    return [(int(each.get("CPU", 0)), int(each.get("GPU", 0))) for each in resources]


def _room(machines: Sequence[tuple[int, int]], cpus: int, gpus: int) -> int:
    """Return for how many workers there is room."""
    return sum(min(each // cpus, on_it if gpus else sys.maxsize) for each, on_it in machines)


def _described(sent: tuple[ArtifactFiles, Compared | None], opening: Opening) -> RemoteRunner:
    artifact, compared = sent
    return ShardWorker(artifact, opening, compared=compared).describe()


class _Actor:
    """A worker as Ray Data makes it: shards in, rows of files out."""

    def __init__(self, artifact: Any, opening: Opening, plan: WorkerPlan, cores: int) -> None:
        self._given, self._plan, self._cores = (artifact, opening), plan, cores
        self._worker: ShardWorker | None = None

    def __call__(self, batch: "pyarrow.Table") -> "Iterator[pyarrow.Table]":
        for packed in batch["work"].to_pylist():
            shard, source = pickle.loads(packed)
            try:
                for file in self._opened().compute(self._plan, shard, source):
                    yield _row(file)
            except LayerprobeError as error:  # as data: Ray would print it with its own stack
                yield _row(ShardFile(shard.number, "", pickle.dumps(error), _FAILED))

    def _opened(self) -> ShardWorker:
        import ray

        if self._worker is None:
            sent, opening = self._given
            artifact, compared = ray.get(sent)
            self._worker = ShardWorker(artifact, opening, self._cores, compared)
        return self._worker


def _row(file: ShardFile) -> "pyarrow.Table":
    import pyarrow as pa

    return pa.table(
        {
            "shard": pa.array([file.shard], pa.int64()),
            "name": pa.array([file.name], pa.string()),
            "content": pa.array([file.content], pa.large_binary()),
            "files": pa.array([file.files], pa.int64()),
        }
    )


def _failure(error: Exception) -> LayerprobeError:
    """Return the error of a worker, or what became of it."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, LayerprobeError):
        return cause
    if isinstance(cause, ImportError) or "No module named" in str(error):
        return RunnerUnavailable(
            f"The cluster's machines can't load layerprobe: {_reason(cause or error)}.\n"
            "Install the same version on each of them, with the extra `ray`."
        )
    return ExecutionError(f"A worker of the cluster failed: {_reason(cause or error)}.")
