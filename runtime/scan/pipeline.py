"""Reading, computing and reducing at the same time: shards in, each handed on when its last image is reduced.

Photos are decoded in threads of their own, ahead of the model; while that computes one batch, in place, the one before
is reduced, from a second set of buffers. So memory stays the same however many images there are.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import ExecutionError, LayerprobeError, first_line
from ..artifact.manifest import Manifest
from ..runners.base import BoundRun, Runner
from ..runners.input_check import check_inputs
from ..runners.memory_need import refuse_large_outputs
from ..runs.image_reading import decode_image, read_image
from ..runs.input_files import is_photo, read_input_content, read_input_file
from ..runs.preprocessing import preprocess_files
from .image_list import Shard
from .image_place import Content, PlaceUnreachable
from .image_source import ImageSource
from .scanned_outputs import ScannedOutput
from .shard_reduction import ShardReduction

__all__ = ["ScanJob", "Sink", "read_item", "scan_shards"]

_Arrays = dict[str, NDArray[Any]]
_Read = _Arrays | str
"""The inputs in a file, or why it can't be read."""
_AHEAD = 3
"""Batches that are read before their turn."""

Sink = Callable[[Shard, Mapping[str, NDArray[Any]], Sequence[int], Sequence[int]], None]
"""Takes the tensors of a batch: its shard, the arrays, the number and the row of each image."""


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
    other: Runner | None = None
    """Computes the same images, to be compared."""

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
    """One batch that is being read."""

    shard: Shard
    numbers: Sequence[int]
    read: Sequence["Future[_Read]"]
    last: bool


@dataclass(frozen=True)
class _Computed:
    """A batch of those images that could be read."""

    arrays: _Arrays = field(default_factory=dict)
    others: _Arrays | None = None
    """The other runner's."""
    numbers: Sequence[int] = ()
    """Of each image, that of its file."""
    rows: Sequence[int] = ()
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
        on_shard: called with each in its order, in another thread, when it is complete.
        on_images: called with how many images were done since.
        sink: given each batch's tensors before they are overwritten.

    Raises:
        ExecutionError: the runtime failed, or the outputs of a batch don't fit into the free memory.
        LayerprobeError: what `on_shard` or `sink` raises.
    """
    buffers = cycle([_Buffers(job), _Buffers(job)])
    reductions: dict[int, ShardReduction] = {}

    def reduce(work: _Work, computed: _Computed, broken: dict[int, str]) -> None:
        shard = work.shard
        known = reductions.get(shard.number)
        if known is None:
            known = reductions[shard.number] = ShardReduction(shard, job.outputs, job.manifest.result_names)
        for number, reason in broken.items():
            known.add_broken(number, reason)
        if computed.numbers:
            known.add(computed.arrays, computed.numbers, computed.rows, computed.others)
            if sink is not None:
                sink(shard, computed.arrays, computed.numbers, computed.rows)
        on_images(len(work.numbers))
        if work.last:
            on_shard(reductions.pop(shard.number))

    with ThreadPoolExecutor(os.cpu_count()) as readers, ThreadPoolExecutor(1) as reducer, _one_blas_thread():
        try:
            for work in _read_ahead(job, shards, readers):
                read = {number: each.result() for number, each in zip(work.numbers, work.read, strict=True)}
                broken = {number: each for number, each in read.items() if isinstance(each, str)}
                good = [(number, each) for number, each in read.items() if not isinstance(each, str)]
                slot = next(buffers)
                slot.wait()
                slot.reduced = reducer.submit(reduce, work, slot.compute(good) if good else _Computed(), broken)
            for _ in range(2):
                next(buffers).wait()
        finally:
            readers.shutdown(wait=False, cancel_futures=True)
            reducer.shutdown(wait=True, cancel_futures=True)


def _read_ahead(job: ScanJob, shards: Iterable[Shard], readers: ThreadPoolExecutor) -> Iterator[_Work]:
    waiting: deque[_Work] = deque()
    for shard in shards:
        # Arrays may have sizes of their own: each file is a batch.
        size = job.batch if is_photo(Path(shard.items[0])) else 1
        for begin in range(0, len(shard.items), size):
            items = shard.items[begin : begin + size]
            numbers = range(shard.first + begin, shard.first + begin + len(items))
            last = begin + size >= len(shard.items)
            waiting.append(_Work(shard, numbers, [readers.submit(job.read, item) for item in items], last))
            if len(waiting) > _AHEAD:
                yield waiting.popleft()
    yield from waiting


class _Buffers:
    """Inputs and outputs in place for a full batch, and the reduction that still reads them."""

    def __init__(self, job: ScanJob) -> None:
        self._job = job
        self.reduced: Future[None] | None = None
        self._inputs: _Arrays = {}
        self._bound: BoundRun | None = None

    def wait(self) -> None:
        """Wait until the outputs may be overwritten."""
        if self.reduced is not None:
            self.reduced.result()

    def compute(self, read: Sequence[tuple[int, _Arrays]]) -> _Computed:
        """Return the outputs of a batch, and for each of its images the file's number and the row in the file."""
        names = [each.name for each in self._job.manifest.inputs]
        batched = self._job.manifest.inputs[0].shape[:1] == ("N",)
        sizes = [len(arrays[names[0]]) if batched else 1 for _, arrays in read]
        numbers = [number for (number, _), size in zip(read, sizes, strict=True) for _ in range(size)]
        rows = [row for size in sizes for row in range(size)]
        given = [arrays for _, arrays in read]
        if len(numbers) == self._job.batch == len(read) and self._bind(given[0]):
            for name in names:
                np.concatenate([arrays[name] for arrays in given], out=self._inputs[name])
            return _Computed(self._run(), self._others(self._inputs), numbers, rows)
        stacked = {name: np.concatenate([arrays[name] for arrays in given]) for name in names} if len(given) > 1 else {}
        whole = stacked or given[0]
        return _Computed(dict(self._job.runner.run(whole)), self._others(whole), numbers, rows)

    def _others(self, inputs: _Arrays) -> _Arrays | None:
        return dict(self._job.other.run(inputs)) if self._job.other is not None else None

    def _bind(self, one: Mapping[str, NDArray[Any]]) -> bool:
        """Put a full batch in place at the first one; return whether what is written into it is what runs."""
        job = self._job
        if len(job.manifest.inputs) > 1 or job.manifest.preprocessing is None:
            return False
        if self._bound is None:
            self._inputs = {
                name: np.zeros((job.batch * len(each), *each.shape[1:]), each.dtype) for name, each in one.items()
            }
            refuse_large_outputs(job.manifest, job.runner.names, self._inputs)
            self._bound = job.runner.bind(self._inputs)
        return not self._bound.on_device

    def _run(self) -> _Arrays:
        assert self._bound is not None
        try:
            self._bound.run()
        except LayerprobeError:
            raise
        except Exception as error:
            model = self._job.manifest.model
            raise ExecutionError(f"{self._job.runner.runtime} failed to run {model}: {first_line(error)}") from error
        return self._bound.arrays()


def _one_blas_thread() -> Any:
    """Keep NumPy's own sums of products to one thread: how they are split among several changes their last bits."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(internal_api="openblas").limit(limits=1)
