"""`layerprobe scan`: the order of its steps, from a folder of images to the tables; going on where it was stopped."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..artifact.errors import ArtifactError, ImageError
from ..artifact.folder import Artifact
from ..artifact.manifest import Output, fixed_batch
from ..artifact.selection import select_outputs
from ..runners.base import Runner
from ..runners.memory_need import bytes_of
from ..runs.input_files import is_photo
from .changed_images import drop_rows, dropped_tars, superseded
from .compiled_loops import reduced_by
from .differences import Comparison, compared, noise_floors
from .going_on import check_tables, class_numbers, done_shards, listed_shards
from .image_list import Shard, chosen_items
from .image_place import TAR, Content
from .image_source import ImageSource, open_source
from .kept_tensors import KeptDtype, KeptTensors
from .merge_tree import MergeTree
from .other_model import OtherModel
from .partial_statistics import PartialStatistics, folded
from .pipeline import ScanJob, scan_shards
from .scan_folder import ScanRecord, artifact_hash, opened_folder
from .scanned_outputs import ScannedOutput, scanned_outputs
from .shard_reduction import ShardReduction
from .shard_worker import Arrivals, RemoteRunner, WorkerPlan, Workers, write_shard
from .statistics_tables import write_statistics
from .tables import read_columns, require_parquet, shown_path

__all__ = ["SHARD", "Choices", "ScanResult", "broken_images", "broken_words", "default_batch", "scan"]

SHARD = 256
"""Images between two points at which a scan can go on: seconds of work, and megabytes on the disk."""
_BUFFER_BYTES = 160_000_000
"""Of one batch's outputs, by default: larger batches are no faster on a CPU."""
_LARGEST_BATCH = 16


@dataclass(frozen=True)
class Choices:
    """What is scanned, and how: all that changes the numbers."""

    input_size: tuple[int, int] | None = None
    """Height and width of the preprocessed photos, instead of those of the export."""
    batch: int | None = None
    shard: int = SHARD
    limit: int | None = None
    """At most so many images, the first ones; of a scan that goes on, those that it has already count."""
    sample: int | None = None
    """So many images, at random."""
    seed: int = 0
    classes: bool = False
    """Whether to split the statistics by the images' first folder."""
    keep: tuple[str, ...] = ()
    """Patterns of outputs whose tensors are stored."""
    keep_dtype: KeptDtype = "float32"


@dataclass(frozen=True)
class ScanResult:
    """What a scan found."""

    outputs: Sequence[ScannedOutput]
    left_out: dict[str, str]
    """Outputs that can't be scanned, each with the reason."""
    statistics: PartialStatistics
    """Of all images."""
    images: int
    """In the list: read or not."""
    broken: int
    """Of them, those that can't be read, tars included."""
    broken_tars: int
    """Tars that can't be read, or not to their end, or with members that can't be taken."""
    earlier: int
    """Images that an earlier call had done."""
    paths: Callable[[int], str] = field(repr=False)
    """From an image's number to its path below the folder, as it is shown."""
    file_of: Callable[[int], Path | Content] = field(repr=False)
    """From an image's number to its file, or its content."""
    comparison: Comparison | None = None
    """With another model."""


def default_batch(outputs: Sequence[Output]) -> int:
    """Return how many images are computed together, a power of two, which divides a shard: their outputs take at most
    160 MB if possible.
    """
    each = sum(bytes_of(output, {"N": 1}) for output in outputs)
    most = max(1, min(_LARGEST_BATCH, _BUFFER_BYTES // max(each, 1)))
    return 1 << (most.bit_length() - 1)


def scan(
    artifact: Artifact,
    runner: Runner | RemoteRunner,
    folder: Path | str,
    target: Path,
    choices: Choices | None = None,
    other: OtherModel | None = None,
    on_progress: Callable[[int, int], None] = lambda done, of_all: None,  # noqa: ARG005
    workers: Workers | None = None,
) -> ScanResult:
    """Run every image below `folder` once, and write the statistics of the runner's outputs into `target`.

    What an earlier call with the same choices has done is kept, whether that was complete, stopped or killed; images
    that are new since are added. The tables are the same, to the last bit, as of one call without an interruption.

    Args:
        artifact: an open artifact.
        runner: an open runner of it, cut to the outputs to scan.
        folder: of images or of arrays, as of `open_source`.
        target: the folder to write.
        choices: the defaults if None.
        other: what is compared with `runner` on every image.
        on_progress: called with the number of images done, and of all.
        workers: what computes the shards somewhere else, by `runner`; None for this process.

    Raises:
        RunnerUnavailable: pyarrow isn't installed.
        ImageError: there are no images, or none can be read.
        InputError: there is no such folder.
        UsageError: `target` holds something else or another scan; the choices don't fit the model.
        ArtifactError: the artifact has changed since, or takes no images; or a file of the scan is damaged.
        OutputError: the disk is full; what was written stays, and a later call goes on from there.
    """
    require_parquet()
    choices = choices or Choices()
    chosen = [each for each in artifact.manifest.outputs if each.name in runner.names]
    outputs, left_out = scanned_outputs(artifact.manifest, chosen)
    kept = [each.name for each in select_outputs([x.output for x in outputs], choices.keep)] if choices.keep else []
    source = open_source(folder, takes_photos=artifact.manifest.preprocessing is not None)
    items = chosen_items(source.items, choices.sample, choices.seed)
    if is_photo(Path(items[0])):
        artifact.manifest.image_input(choices.input_size)
    batch = fixed_batch(artifact.manifest.inputs) or (other and other.batch) or choices.batch or default_batch(chosen)
    record = _record(artifact, runner, outputs, source, choices, kept, batch, other)
    floors = noise_floors(artifact) if other is not None else {}
    with opened_folder(target, record):
        tree = MergeTree(target / "partial", outputs[-1].end, len(outputs))
        shards = listed_shards(
            target,
            source,
            items,
            tree,
            choices.shard,
            choices.limit,
            sampled=choices.sample is not None,
            classes=choices.classes,
        )
        # From here on, the shards alone hold the paths of a million images.
        source, items = replace(source, items=()), []
        numbers, done = class_numbers(shards), done_shards(tree, shards)
        check_tables(target, shards, done, differences=other is not None)
        gone = superseded(shards, source.whole_tars()) | dropped_tars(shards, done, target / "images")
        waiting = [each for each in shards if each.rank not in done[each.class_name]]
        to_do = sum(len(each.items) for each in waiting)
        earlier = sum(len(each.items) for each in shards) - len(gone) - to_do
        keeper = KeptTensors(target / "tensors", kept, choices.keep_dtype) if kept else None
        counter = _Counter(earlier, earlier + to_do, on_progress)

        def merge(shard: Shard, partial: PartialStatistics) -> None:
            # Last: with it, the shard counts as done.
            tree.add(numbers[shard.class_name], shard.rank, partial)

        if isinstance(runner, RemoteRunner):
            assert workers is not None
            other_facts = other.facts if other is not None else None
            plan = WorkerPlan(
                batch, choices.input_size, tuple(kept), choices.keep_dtype, runner.facts, other_facts, floors
            )
            arrivals = Arrivals(target, waiting, merge, counter.add, (outputs[-1].end, len(outputs)))
            for file in workers.compute(plan, source, waiting) if waiting else ():
                arrivals.add(file)
        else:
            job = ScanJob(artifact.manifest, runner, outputs, source, batch, choices.input_size, other, kept)

            def complete(reduction: ShardReduction) -> None:
                write_shard(reduction, target, keeper, floors if other is not None else None)
                merge(reduction.shard, reduction.statistics())

            scan_shards(job, waiting, complete, counter.add, keeper.add if keeper else None)
        # A tar may be repaired before what listed it is counted, so only now all of their rows are there.
        drop_rows(shards, gone, target / "images")
        found = _finished(
            source,
            target,
            outputs,
            left_out,
            shards,
            gone,
            tree,
            numbers,
            keeper,
            earlier,
            classes=choices.classes,
        )
        if other is None:
            return found
        comparison = compared(
            artifact,
            target,
            outputs,
            [each.number for each in shards],
            floors,
            found.paths,
            other=other.name,
            names=other.outputs,
            is_exact=other.is_exact,
            is_judged=other.is_judged,
        )
        return replace(found, comparison=comparison)


def _record(
    artifact: Artifact,
    runner: Runner | RemoteRunner,
    outputs: Sequence[ScannedOutput],
    source: ImageSource,
    choices: Choices,
    kept: Sequence[str],
    batch: int,
    other: OtherModel | None,
) -> ScanRecord:
    return ScanRecord(
        model=artifact.manifest.model,
        artifact=artifact_hash(artifact),
        images_below=shown_path(source.shown),
        outputs=tuple(each.output.name for each in outputs),
        runner=runner.name,
        runtime={"sums": reduced_by(), **runner.facts},
        input_size=choices.input_size,
        batch=batch,
        shard=choices.shard,
        sample=choices.sample,
        seed=choices.seed,
        classes=choices.classes,
        keep=tuple(kept),
        keep_dtype=choices.keep_dtype,
        against=other.name if other is not None else None,
        against_hash=other.file_hash if other is not None else None,
        against_runtime=other.facts if other is not None else {},
    )


def _finished(
    source: ImageSource,
    target: Path,
    outputs: Sequence[ScannedOutput],
    left_out: dict[str, str],
    shards: Sequence[Shard],
    gone: set[int],
    tree: MergeTree,
    numbers: dict[str, int],
    keeper: KeptTensors | None,
    earlier: int,
    *,
    classes: bool,
) -> ScanResult:
    """Merge what the shards gave, and write the tables over all images."""

    def by_class() -> Iterator[tuple[str, PartialStatistics]]:
        # One at a time, and each read twice: a thousand of them are gigabytes.
        yield from ((name, tree.statistics(number)) for name, number in sorted(numbers.items()))

    whole = folded((each for _, each in by_class()), outputs[-1].end)
    images = sum(len(each.items) for each in shards) - len(gone)
    if not whole.images:
        raise ImageError(f"None of {images} images can be read: {_first_reason(target)}")
    item_of = _items(shards)

    def tables() -> Iterator[tuple[str | None, PartialStatistics]]:
        yield None, whole
        if classes:
            yield from by_class()

    write_statistics(target, outputs, tables(), lambda number: shown_path(item_of(number)))
    if keeper is not None:
        keeper.write_index(target / "tensors.parquet")
    return ScanResult(
        outputs,
        left_out,
        whole,
        images,
        images - whole.images,
        sum(
            item.endswith(TAR) and number not in gone
            for shard in shards
            for number, item in enumerate(shard.items, shard.first)
        ),
        earlier,
        lambda number: shown_path(item_of(number)),
        lambda number: source.get(item_of(number)),
    )


def _first_reason(target: Path) -> str:
    """Return why the first image that can't be read can't be."""
    return next((reason for _, reason in broken_images(target)), "")


def broken_images(target: Path) -> Iterator[tuple[str, str]]:
    """Yield the images that could not be read, each with the reason, in their order."""
    import pyarrow as pa

    for part in sorted((target / "images").glob("part-*.parquet")):
        table = read_columns(part, {"image": pa.string(), "error": pa.string()})
        for image, error in zip(table["image"].to_pylist(), table["error"].to_pylist(), strict=True):
            if error is not None:
                yield image, error


def broken_words(found: ScanResult) -> str:
    """Return how many images, and how many tars, can't be read."""
    tars = found.broken_tars
    broken, images = found.broken - tars, found.images - tars
    said = [f"{broken:,} of {images:,} images can't be read, and were left out"] if broken else []
    if tars:
        said.append(f"{tars:,} {'tars' if tars > 1 else 'tar'} can't be read whole")
    return "; ".join(said)


def _items(shards: Sequence[Shard]) -> Callable[[int], str]:
    """Return what gives an image's path below the folder by its number."""
    firsts = [shard.first for shard in shards]

    count = firsts[-1] + len(shards[-1].items) if shards else 0

    def item(number: int) -> str:
        if not 0 <= number < count:
            raise ArtifactError(
                f"The statistics speak of image {number}, and the list has {count}.\nScan into another folder."
            )
        shard = shards[bisect_right(firsts, number) - 1]
        return shard.items[number - shard.first]

    return item


class _Counter:
    """How many images are done."""

    def __init__(self, done: int, of_all: int, on_progress: Callable[[int, int], None]) -> None:
        self._done, self._of_all, self._on_progress = done, of_all, on_progress
        on_progress(done, of_all)

    def add(self, count: int) -> None:
        self._done += count
        self._on_progress(self._done, self._of_all)
