"""Shards in, each handed on when its last image is reduced: a batch a core, from its files to its statistics.

Each worker reads a batch, computes it in place, and reduces it while it is in the cache; a core then never waits for
another. The batches are added in their order, whichever is ready first. So memory stays the same however many images
there are, and the numbers however many cores.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from queue import LifoQueue
from threading import BoundedSemaphore
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import ExecutionError, LayerprobeError, first_line
from ..artifact.manifest import Manifest
from ..runners.base import BoundRun, Runner
from ..runners.input_check import check_inputs
from ..runners.machine import usable_cores
from ..runners.memory_need import refuse_large_outputs
from ..runs.image_reading import decode_image, read_image
from ..runs.input_files import is_photo, read_input_content, read_input_file
from ..runs.preprocessing import preprocess_files
from .batch_reduction import BatchReduction
from .image_list import Shard
from .image_place import Content, PlaceUnreachable
from .image_source import ImageSource
from .other_model import OtherModel
from .scanned_outputs import ScannedOutput
from .shard_reduction import ShardReduction

__all__ = ["ScanJob", "Sink", "read_item", "runs_at_once", "scan_shards"]

_Arrays = dict[str, NDArray[Any]]
_Read = _Arrays | str
"""The inputs in a file, or why it can't be read."""
_AHEAD = 2
"""Batches of each worker that may be done before their turn."""

Sink = Callable[[Shard, Mapping[str, NDArray[Any]], Sequence[int], Sequence[int]], None]
"""Takes the tensors of a batch that are kept: its shard, the arrays, the number and the row of each image."""


@dataclass(frozen=True)
class ScanJob:
    """All that a worker needs besides shards."""

    manifest: Manifest
    runner: Runner
    outputs: Sequence[ScannedOutput]
    source: ImageSource
    """Where the images are."""
    batch: int
    input_size: tuple[int, int] | None = None
    other: OtherModel | None = None
    """Computes the same images, to be compared."""
    keep: Sequence[str] | None = None
    """Outputs whose tensors the sink is given; None for all."""
    cores: int | None = None
    """How many to use; None for all that this process may use."""

    def read(self, item: str) -> _Read:
        """Return the inputs in a file, or the reason why it can't be read."""
        file: Path | Content = Path(item)
        try:
            file = self.source.get(item)
            return read_item(self.manifest, file, self.input_size)
        except PlaceUnreachable:
            raise
        except LayerprobeError as error:
            # The same words wherever the folder is.
            return str(error).replace(str(file), item) if isinstance(file, Path) else str(error)


def read_item(manifest: Manifest, file: Path | Content, input_size: tuple[int, int] | None) -> _Arrays:
    """Return the inputs in a file by name.

    Raises:
        ImageError: a photo can't be read.
        InputError: it has other inputs than the model takes.
    """
    path, decode = (
        (Path(file.name), partial(decode_image, file.data)) if isinstance(file, Content) else (file, read_image)
    )
    if is_photo(path):
        name, steps = manifest.image_input(input_size)
        return check_inputs(manifest, {name: preprocess_files([path], steps, decode)})
    if isinstance(file, Content):
        return check_inputs(manifest, read_input_content(file.data, file.name, manifest.inputs, manifest.model))
    return check_inputs(manifest, read_input_file(path, manifest.inputs, None, manifest.model))


@dataclass(frozen=True)
class _Work:
    """One batch of a shard."""

    reduction: ShardReduction
    numbers: Sequence[int]
    last: bool


@dataclass(frozen=True)
class _Done:
    """What is left of a batch."""

    broken: Mapping[int, str]
    """Why images can't be read, by their numbers."""
    reduction: BatchReduction | None
    """None if no image could be read."""
    kept: _Arrays = field(default_factory=dict)


@dataclass(frozen=True)
class _Computed:
    """The tensors of those images that could be read."""

    arrays: Mapping[str, NDArray[Any]]
    others: Mapping[str, NDArray[Any]] | None
    """The other model's."""
    numbers: Sequence[int]
    """Of each image, that of its file."""
    rows: Sequence[int]
    """Of each image, its place in its file."""


def scan_shards(
    job: ScanJob,
    shards: Iterable[Shard],
    on_shard: Callable[[ShardReduction], None],
    on_images: Callable[[int], None] = lambda _count: None,
    sink: Sink | None = None,
) -> None:
    """Scan the shards one after another.

    Args:
        job: how.
        shards: which.
        on_shard: called with each in its order when it is complete.
        on_images: called with how many images were done since.
        sink: given the tensors of `job.keep`, batch after batch.

    Raises:
        ExecutionError: the runtime failed, or the outputs of a batch don't fit into the free memory.
        LayerprobeError: what `on_shard` or `sink` raises.
    """
    cores = job.cores or usable_cores()
    runners = [job.runner] if job.other is None else [job.runner, job.other.runner]
    turns = BoundedSemaphore(min(runs_at_once(each, cores) for each in runners))
    buffers: LifoQueue[_Buffers] = LifoQueue()
    kept = () if sink is None else job.runner.names if job.keep is None else job.keep
    for _ in range(cores):
        buffers.put(_Buffers(job, turns, kept))

    def work(each: _Work) -> _Done:
        place = buffers.get()
        try:
            return place.done(each)
        finally:
            buffers.put(place)

    def add(each: _Work, done: _Done) -> None:
        for number, reason in done.broken.items():
            each.reduction.add_broken(number, reason)
        if done.reduction is not None:
            each.reduction.add(done.reduction)
            if sink is not None:
                sink(each.reduction.shard, done.kept, done.reduction.numbers.tolist(), done.reduction.rows.tolist())
        on_images(len(each.numbers))
        if each.last:
            on_shard(each.reduction)

    with ThreadPoolExecutor(cores) as workers, _one_blas_thread():
        waiting: deque[tuple[_Work, Future[_Done]]] = deque()
        try:
            for each in _batches(job, shards):
                waiting.append((each, workers.submit(work, each)))
                if len(waiting) > _AHEAD * cores:
                    first, done = waiting.popleft()
                    add(first, done.result())
            while waiting:
                first, done = waiting.popleft()
                add(first, done.result())
        finally:
            workers.shutdown(wait=True, cancel_futures=True)


def _batches(job: ScanJob, shards: Iterable[Shard]) -> Iterator[_Work]:
    for shard in shards:
        reduction = ShardReduction(shard, job.outputs, job.manifest.result_names)
        # Arrays may have sizes of their own: each file is a batch.
        size = job.batch if is_photo(Path(shard.items[0])) else 1
        for begin in range(0, len(shard.items), size):
            numbers = range(shard.first + begin, shard.first + min(begin + size, len(shard.items)))
            yield _Work(reduction, numbers, begin + size >= len(shard.items))


class _Buffers:
    """Inputs and outputs in place for a full batch, which one worker uses at a time."""

    def __init__(self, job: ScanJob, turns: BoundedSemaphore, keep: Sequence[str]) -> None:
        """Take the job, what lets only so many compute at once, and the outputs whose tensors are copied."""
        self._job, self._turns, self._keep = job, turns, keep
        self._inputs: _Arrays = {}
        self._bound: BoundRun | None = None

    def done(self, work: _Work) -> _Done:
        """Read, compute and reduce a batch."""
        shard = work.reduction.shard
        read = {number: self._job.read(shard.items[number - shard.first]) for number in work.numbers}
        broken = {number: each for number, each in read.items() if isinstance(each, str)}
        good = [(number, each) for number, each in read.items() if not isinstance(each, str)]
        if not good:
            return _Done(broken, None)
        found = self._computed(good)
        kept = {name: np.array(found.arrays[name]) for name in self._keep}
        return _Done(broken, work.reduction.reduced(found.arrays, found.numbers, found.rows, found.others), kept)

    def _computed(self, read: Sequence[tuple[int, _Arrays]]) -> _Computed:
        """Return the outputs of a batch, and for each of its images the file's number and the row in the file."""
        names = [each.name for each in self._job.manifest.inputs]
        batched = self._job.manifest.inputs[0].shape[:1] == ("N",)
        sizes = [len(arrays[names[0]]) if batched else 1 for _, arrays in read]
        numbers = [number for (number, _), size in zip(read, sizes, strict=True) for _ in range(size)]
        rows = [row for size in sizes for row in range(size)]
        given = [arrays for _, arrays in read]
        if len(numbers) == self._job.batch == len(read) and self._runs_in_place:
            self._place(given)
            with self._turns:
                found = self._run()
                return _Computed(found, self._others(self._inputs, found), numbers, rows)
        stacked = {name: np.concatenate([arrays[name] for arrays in given]) for name in names} if len(given) > 1 else {}
        whole = stacked or given[0]
        with self._turns:
            found = dict(self._job.runner.run(whole))
            return _Computed(found, self._others(whole, found), numbers, rows)

    def _others(self, inputs: _Arrays, found: _Arrays) -> _Arrays | None:
        return self._job.other.run(inputs, found) if self._job.other is not None else None

    @property
    def _runs_in_place(self) -> bool:
        """Whether what is written into the inputs is what runs."""
        job = self._job
        return job.runner.concurrent and len(job.manifest.inputs) == 1 and job.manifest.preprocessing is not None

    def _place(self, given: Sequence[_Arrays]) -> None:
        """Write a full batch into the inputs."""
        for name, one in given[0].items():
            if name not in self._inputs:
                self._inputs[name] = np.empty((self._job.batch * len(one), *one.shape[1:]), one.dtype)
            np.concatenate([arrays[name] for arrays in given], out=self._inputs[name])

    def _run(self) -> _Arrays:
        job = self._job
        if self._bound is None:
            refuse_large_outputs(job.manifest, job.runner.names, self._inputs)
            # Binding runs it.
            self._bound = job.runner.bind(self._inputs)
            return self._bound.arrays()
        try:
            self._bound.run()
        except LayerprobeError:
            raise
        except Exception as error:
            model = job.manifest.model
            raise ExecutionError(f"{job.runner.runtime} failed to run {model}: {first_line(error)}") from error
        return self._bound.arrays()


def runs_at_once(runner: Runner, cores: int) -> int:
    """Return how many batches the runner computes at the same time, each on its own cores."""
    return max(1, cores // (runner.settings.threads or cores)) if runner.concurrent else 1


def _one_blas_thread() -> Any:
    """Keep NumPy's own sums of products to one thread: how they are split among several changes their last bits."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(internal_api="openblas").limit(limits=1)
