"""A shard of a scan, computed somewhere else: all that a worker is sent, and the files that it sends back.

What a worker is, and who gives it which shard, isn't decided here: `ray_cluster.py` is one way. The files are those
that a scan on one machine writes, to the last bit.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from socket import gethostname
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import ArtifactError, RunnerUnavailable, first_line
from ..artifact.file_replacement import replace_file
from ..artifact.folder import Artifact, open_artifact
from ..artifact.manifest import AVERAGED_FILES, AVERAGED_MANIFEST_FILE, MANIFEST_FILE, OPERATIONS_FILE, REFERENCE_FILE
from ..runners.base import Runner
from ..runners.registry import RUNNERS
from .compiled_loops import reduced_by
from .differences import write_differences
from .image_list import Shard
from .image_source import ImageSource
from .kept_tensors import KeptDtype, KeptTensors
from .opening import Opening
from .other_model import OtherModel
from .other_options import fact_words
from .partial_statistics import PartialStatistics
from .pipeline import ScanJob, scan_shards
from .scanned_outputs import scanned_outputs
from .shard_reduction import ShardReduction
from .tables import part_name, write_tables_of_shard

__all__ = [
    "Arrivals",
    "ArtifactFiles",
    "Compared",
    "RemoteRunner",
    "ShardFile",
    "ShardWorker",
    "WorkerPlan",
    "Workers",
    "artifact_files",
    "write_shard",
]

_MARK = "layerprobe.scan_"
"""What all files of a shard have near their start or their end."""

ArtifactFiles = Mapping[str, NDArray[np.uint8]]
"""The content of an artifact's files by name."""


@dataclass(frozen=True)
class RemoteRunner:
    """What is known of a runner that is open on another machine."""

    name: str
    names: list[str]
    """Of its outputs."""
    providers: list[str]
    facts: dict[str, Any]
    machine: str
    other_facts: dict[str, Any] | None = None
    """Those of the runner that is compared with it, if one is."""


@dataclass(frozen=True)
class Compared:
    """What a worker is sent of --against."""

    other: OtherModel
    """As it is here: its runner is no part of what is sent."""
    files: ArtifactFiles | None = None
    """Of its own artifact; None where it is a runner of the scanned one."""
    runtime: str | None = None
    """As of `Opening.open`, for its own artifact."""
    scanned: str | None = None
    """The runner of the scanned artifact, by name; None if it is opened as the command says."""

    def __getstate__(self) -> dict[str, Any]:
        """Leave the runner here, and remember its name and outputs."""
        unopened = _Unopened(self.other.runner.name, list(self.other.runner.names))
        return {**vars(self), "other": replace(self.other, runner=unopened)}  # type: ignore[arg-type]

    def opened(self, artifact: Artifact, opening: Opening, folder: Path) -> OtherModel:
        """Return it with a runner on this machine.

        Args:
            artifact: the scanned one.
            opening: how the command opens runners.
            folder: an empty one, for its own artifact.

        Raises:
            RunnerUnavailable: the runner can't work on this machine.
        """
        runner = self.other.runner
        if self.files is None:
            return replace(self.other, runner=opening.open_named(artifact, runner.name))
        mine = _artifact_of(self.files, folder)
        return replace(self.other, runner=opening.open(mine, list(runner.names), self.runtime))


class _Unopened(NamedTuple):
    name: str
    names: list[str]


@dataclass(frozen=True)
class WorkerPlan:
    """What all workers of a scan have to know besides the artifact, how to open it, their shard and its images."""

    batch: int
    input_size: tuple[int, int] | None = None
    keep: tuple[str, ...] = ()
    keep_dtype: KeptDtype = "float32"
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Those of the runner whose numbers the scan has: another version or device may compute other last bits."""
    other_facts: Mapping[str, Any] | None = None
    """Those of the runner that is compared with it."""
    floors: Mapping[str, float] = field(default_factory=dict)
    """As of `noise_floors`, for --against."""


class ShardFile(NamedTuple):
    """A file of a shard; the last one has no name, and is its partial statistics."""

    shard: int
    name: str
    """Below the scan's folder."""
    content: bytes
    files: int = 0
    """Of the last one: how many came before it."""


class Workers(Protocol):
    """What computes shards somewhere else."""

    def compute(self, plan: WorkerPlan, source: ImageSource, shards: Sequence[Shard]) -> Iterator[ShardFile]:
        """Yield the files of the shards, in any order.

        Raises:
            LayerprobeError: a worker can't go on.
        """


class ShardWorker:
    """Opens the runner once, and computes one shard after another."""

    def __init__(
        self, artifact: ArtifactFiles, opening: Opening, cores: int | None = None, compared: Compared | None = None
    ) -> None:
        """Open an artifact.

        Args:
            artifact: what `artifact_files` returned.
            opening: how.
            cores: its own; all of the machine if None.
            compared: what it is compared with.

        Raises:
            RunnerUnavailable: the runner can't work on this machine.
        """
        # The runner has read the files when it is open; what is on the disk then needs nobody to remove it later.
        with TemporaryDirectory(prefix="layerprobe-") as made:
            opened = _artifact_of(artifact, Path(made))
            named = compared.scanned if compared else None
            self._runner: Runner = opening.open_named(opened, named) if named else opening.open(opened)
            self._other = compared.opened(opened, opening, Path(made, "other")) if compared else None
        self._facts = {**self._runner.facts, "sums": reduced_by()}
        self._cores = cores

    def describe(self) -> RemoteRunner:
        """Return what is known of the runner."""
        runner = self._runner
        other = self._other.facts if self._other else None
        return RemoteRunner(runner.name, list(runner.names), list(runner.providers), self._facts, gethostname(), other)

    def compute(self, plan: WorkerPlan, shard: Shard, source: ImageSource) -> Iterator[ShardFile]:
        """Yield the files of a shard; `source` has its images.

        Raises:
            LayerprobeError: it can't be computed here.
        """
        source.place.check()
        _refuse_others(plan.facts, self._facts)
        if self._other is not None:
            _refuse_others(plan.other_facts or {}, self._other.facts)
        manifest = self._runner.manifest
        chosen = [each for each in manifest.outputs if each.name in self._runner.names]
        job = ScanJob(
            manifest,
            self._runner,
            scanned_outputs(manifest, chosen)[0],
            source,
            plan.batch,
            plan.input_size,
            self._other,
            keep=plan.keep,
            cores=self._cores,
        )
        with TemporaryDirectory(prefix="layerprobe-") as made:
            folder, found = Path(made), list[PartialStatistics]()
            for part in ("images", "summaries", "tensors", "differences"):
                (folder / part).mkdir()
            keeper = KeptTensors(folder / "tensors", plan.keep, plan.keep_dtype) if plan.keep else None

            def complete(reduction: ShardReduction) -> None:
                write_shard(reduction, folder, keeper, plan.floors if self._other else None)
                found.append(reduction.statistics())

            scan_shards(job, [shard], complete, sink=keeper.add if keeper else None)
            files = sorted(file for file in folder.rglob("*") if file.is_file())
            for file in files:
                yield ShardFile(shard.number, file.relative_to(folder).as_posix(), file.read_bytes())
        yield ShardFile(shard.number, "", found[0].to_bytes(), len(files))


def _artifact_of(files: ArtifactFiles, folder: Path) -> Artifact:
    """Write the files of an artifact into a folder, and open it."""
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content.data)
    return open_artifact(folder if MANIFEST_FILE in files else folder / next(iter(files)))


def _refuse_others(facts: Mapping[str, Any], mine: Mapping[str, Any]) -> None:
    """Refuse to go on here, by a runner of these facts, with what one of other facts has begun."""
    if facts == mine:
        return
    key = next(key for key in (*facts, *mine) if facts.get(key) != mine.get(key))
    raise RunnerUnavailable(
        f"{gethostname()} has {fact_words(mine, key)}, another machine has {fact_words(facts, key)}, so their numbers "
        "may differ.\nScan on machines that are alike."
    )


def write_shard(
    reduction: ShardReduction, folder: Path, keeper: KeptTensors | None, floors: Mapping[str, float] | None = None
) -> None:
    """Write the files of a shard but for its partial statistics; `floors` are those of --against.

    Raises:
        OutputError: one can't be written.
    """
    if keeper is not None:
        keeper.flush()
    write_tables_of_shard(reduction, folder)
    if floors is not None:
        write_differences(reduction, floors, folder / "differences" / part_name(reduction.shard.number))


def artifact_files(artifact: Artifact, *runtimes: str) -> ArtifactFiles:
    """Return the content of those files of an artifact that a worker needs, for each `Opening.runtime` or runner.

    Raises:
        ArtifactError: a file is missing or can't be read.
    """
    if artifact.path.is_file():
        names, folder = [artifact.path.name], artifact.path.parent
    else:
        folder = artifact.path
        needed = {RUNNERS.get(runtime, RUNNERS["onnx-cpu"]).file for runtime in runtimes}
        unneeded = {row.file for row in RUNNERS.values()} - needed | {REFERENCE_FILE, OPERATIONS_FILE}
        if not artifact.is_averaged:
            unneeded |= {AVERAGED_MANIFEST_FILE, *AVERAGED_FILES.values()}
        names = [MANIFEST_FILE, *(name for name in artifact.manifest.files if name not in unneeded)]
    try:
        return {name: np.fromfile(folder / name, np.uint8) for name in names}
    except OSError as error:
        raise ArtifactError(f"{folder} can't be read: {first_line(error)}.") from error


class Arrivals:
    """The files of shards as they come in, in any order, written into the scan's folder."""

    def __init__(
        self,
        folder: Path,
        shards: Sequence[Shard],
        on_shard: Callable[[Shard, PartialStatistics], None],
        on_images: Callable[[int], None],
        sizes: tuple[int, int],
    ) -> None:
        """Take where they belong.

        Args:
            folder: of the scan.
            shards: that are expected.
            on_shard: called with each when it is whole.
            on_images: then called with how many images it has.
            sizes: of partial statistics: channels of all outputs, and outputs.
        """
        self._folder, self._on_shard, self._on_images, self._sizes = folder, on_shard, on_images, sizes
        self._expected = {shard.number: shard for shard in shards}
        self._written: dict[int, set[str]] = {}
        self._ends: dict[int, ShardFile] = {}

    def add(self, file: ShardFile) -> None:
        """Write a file, and hand on its shard if it is whole.

        Raises:
            OutputError: it can't be written.
        """
        shard = self._expected.get(file.shard)
        if shard is None:  # computed twice: the worker was lost after it had sent all
            return
        written = self._written.setdefault(file.shard, set())
        if file.name:
            with replace_file(self._folder / file.name, _MARK) as stream:
                stream.write(file.content)
            written.add(file.name)
        else:
            self._ends[file.shard] = file
        end = self._ends.get(file.shard)
        if end is not None and len(written) == end.files:
            del self._expected[file.shard], self._written[file.shard], self._ends[file.shard]
            self._on_shard(shard, PartialStatistics.from_bytes(end.content, f"shard {shard.number}", *self._sizes))
            self._on_images(len(shard.items))
