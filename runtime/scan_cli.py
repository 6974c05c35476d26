"""The subcommand `scan`: its options and the order of its steps."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .artifact.cli_options import DepthOption, OperationsOption, OutputsOption, QuietOption
from .artifact.errors import ImageError
from .artifact.plain_text import say
from .cli_options import (
    ArtifactArgument,
    InputSizeOption,
    ProviderOption,
    RuntimeOption,
    image_size,
    takes_settings,
)
from .terminal import print_table, progress, run_by

if TYPE_CHECKING:
    from .artifact.folder import Artifact
    from .runners.base import Runner
    from .runners.settings import Settings
    from .scan.scanning import ScanResult
    from .scan.shard_worker import Opening, RemoteRunner, Workers

__all__ = ["scan"]

_SHOWN = 10
"""Broken images that are printed; all are in the table."""


@takes_settings()
def scan(
    artifact: ArtifactArgument,
    folder: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER", help="Images, .npy, .npz, or WebDataset tars: a folder, a .tar, s3://BUCKET/..., gs://..."
        ),
    ],
    *,
    target: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the tables and the page.")],
    against: Annotated[
        str | None,
        typer.Option(
            metavar="RUNNER=RUNNER",
            help="Compare two runners on every image (onnx-cpu=openvino); verify judges both on the worst ones.",
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="At most N images, the first ones.")] = None,
    sample: Annotated[int | None, typer.Option(min=1, metavar="N", help="N images at random.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, metavar="N", help="Of --sample.")] = 0,
    classes: Annotated[
        bool, typer.Option("--classes", help="Also for each class: the first folder below FOLDER, as of ImageFolder.")
    ] = False,
    keep: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Also store these outputs' tensors, as safetensors. May be repeated."),
    ] = None,
    keep_dtype: Annotated[
        Literal["float32", "float16"],
        typer.Option("--keep-dtype", help="What they are rounded to; float16 ends at 65,504."),
    ] = "float32",
    batch: Annotated[
        int | None, typer.Option(min=1, max=65_536, metavar="N", help="Images that are computed together.")
    ] = None,
    shard: Annotated[
        int | None, typer.Option(min=1, max=2**20, metavar="N", help="Images between two points to go on from (256).")
    ] = None,
    input_size: InputSizeOption = None,
    outputs: OutputsOption = None,
    operations: OperationsOption = None,
    depth: DepthOption = None,
    ray: Annotated[
        str | None,
        typer.Option("--ray", metavar="ADDRESS", help="Compute on a Ray cluster: auto, HOST:PORT, or local."),
    ] = None,
    runner: RuntimeOption = "onnx",
    provider: ProviderOption = "auto",
    settings: "Settings",
    quiet: QuietOption = False,
) -> None:
    """Measure every layer over a folder of images.

    Each image runs once. For every output and channel: count, mean, variance, range, zeros, NaN, dead and saturated
    channels, and the images that gave the extremes; for every output also quantiles and a histogram. Stopped at any
    moment, the same command goes on. Images that can't be read are listed and left out.

    With --against, exit code 1 if one of the two runners fails on the images on which they differ most.

    Example: layerprobe scan resnet18 photos -o statistics

    Example: layerprobe scan resnet18 photos -o compared --against onnx-cpu=openvino

    Example: layerprobe scan resnet18 imagenet/val -o statistics --classes --sample 5000 --op relu
    """
    from dataclasses import replace

    from .artifact.folder import open_artifact
    from .artifact.selection import select_outputs
    from .reporting.scan_page import write_scan_page
    from .scan.scanning import SHARD, Choices, broken_images
    from .scan.scanning import scan as scan_folder
    from .scan.shard_worker import Opening
    from .scan.tables import require_parquet

    if limit and sample:
        raise typer.BadParameter("give either --limit or --sample")
    if ray and against:
        raise typer.BadParameter("--against compares on this machine: omit --ray")
    require_parquet()
    opened = open_artifact(artifact)
    chosen = select_outputs(opened.manifest.outputs, outputs or (), operations or (), depth)
    names = [each.name for each in chosen] if outputs or operations or depth else None
    pair = _pair(against)
    # Waiting in a loop would take the cores from the threads that read and reduce meanwhile.
    opening = Opening(runner, provider, replace(settings, spins=False), names)
    choices = Choices(
        input_size=image_size(input_size),
        batch=batch,
        shard=shard or SHARD,
        limit=limit,
        sample=sample,
        seed=seed,
        classes=classes,
        keep=tuple(keep or ()),
        keep_dtype=keep_dtype,
    )
    with _computing(opened, opening, pair, ray) as by_it, progress("images", None, quiet, rate=True) as advance:
        session, other, workers, by = by_it
        found = scan_folder(opened, session, folder, target, choices, other, on_progress=advance, workers=workers)
    page = write_scan_page(opened, found, target, by=by)
    if not quiet:
        for name, why in found.left_out.items():
            say(f"{name} is left out: {why}", err=True)
        if found.earlier:
            say(f"images that an earlier scan had done: {found.earlier}", err=True)
    read = found.images - found.broken
    say(f"{page}: outputs: {len(found.outputs)}, images: {read}, {by}")
    failed = pair is not None and _judge(opened, found, target, pair, settings, choices.input_size)
    if found.broken:
        for number, (image, reason) in enumerate(broken_images(target)):
            if number == _SHOWN:
                break
            say(f"{image}: {reason.partition(chr(10))[0]}", err=True)
        where = f"{target}/images/*.parquet lists them"
        say(f"layerprobe: {found.broken} of {found.images} images can't be read, and were left out; {where}.", err=True)
    if failed:
        raise typer.Exit(1)
    if found.broken:
        raise typer.Exit(ImageError.exit_code)


@contextmanager
def _computing(
    artifact: "Artifact", opening: "Opening", pair: tuple[str, str] | None, ray: str | None
) -> "Iterator[tuple[Runner | RemoteRunner, Runner | None, Workers | None, str]]":
    """Yield the runner, the one that is compared with it, the cluster on which it is, and how it is called."""
    if ray is not None:
        from .scan.ray_cluster import connected

        with connected(ray, artifact, opening) as cluster:
            remote = cluster.describe()
            yield remote, None, cluster, f"by {remote.name} on {remote.providers[0]}, with Ray"
        return
    if pair:
        from .runners.registry import open_runner

        session, other = (open_runner(artifact, each, opening.settings, opening.outputs) for each in pair)
        yield session, other, None, f"by {session.name}, against {other.name}"
        return
    only = opening.open(artifact)
    yield only, None, None, run_by(only, opening.provider)


def _pair(against: str | None) -> tuple[str, str] | None:
    if against is None:
        return None
    one, equals, other = against.partition("=")
    if not equals or one == other:
        raise typer.BadParameter(f"--against {against!r}: give two runners, as in onnx-cpu=openvino")
    return one, other


def _judge(
    artifact: "Artifact",
    found: "ScanResult",
    target: Path,
    pair: tuple[str, str],
    settings: "Settings",
    size: tuple[int, int] | None,
) -> bool:
    """Keep the inputs of the worst images, judge both runners on them, and return whether one fails."""
    from .reporting.forms import write_forms
    from .reporting.table import report_table
    from .scan.differences import save_worst
    from .verdict.verification import verify

    comparison = found.comparison
    assert comparison is not None
    for name, (same, count) in comparison.top.items():
        say(f"top class of {name}: the same on {same} of {count} images")
    for worst in comparison.worst:
        say(f"{worst.image}: {worst.drift:.3g} times float32's noise at {worst.output}")
    inputs = save_worst(artifact.manifest, comparison, found.file_of, target / "worst", size)
    report = verify(artifact, pair, inputs=inputs, settings=settings)
    write_forms(report, {"json": target / "worst.json", "html": target / "worst.html"}, None)
    print_table(report_table(report, everything=False))
    say(f"`layerprobe verify {artifact.path} --input {target / 'worst'}` shows the same.")
    return any(runner.verdict.fails for runner in report.runners)
