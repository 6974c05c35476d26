"""The subcommand `scan`: its options and the order of its steps."""

import shlex
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .artifact.cli_options import DepthOption, OperationsOption, OutputsOption, QuietOption
from .artifact.errors import ImageError, UsageError
from .artifact.plain_text import say
from .cli_options import (
    ArtifactArgument,
    InputSizeOption,
    ProviderOption,
    RuntimeOption,
    image_size,
    takes_settings,
)
from .terminal import phases, print_table, progress, run_by

if TYPE_CHECKING:
    from .artifact.folder import Artifact
    from .runners.base import Runner
    from .runners.settings import Settings
    from .scan.differences import Comparison
    from .scan.opening import Opening
    from .scan.other_model import OtherModel
    from .scan.scanning import ScanResult
    from .scan.shard_worker import RemoteRunner, Workers
    from .scan_against import Against
    from .verdict.report import RunnerReport

__all__ = ["scan"]

_SHOWN = 10
"""Broken images that are printed; all are in the table."""


@takes_settings()
def scan(
    artifact: ArtifactArgument,
    folder: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER",
            help="Folder of images, .npy or .npz files or WebDataset tars; also s3://BUCKET/... or gs://...",
        ),
    ],
    *,
    target: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the tables and the page.")],
    against: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Compare on every image, and judge the worst ones as verify does: an ONNX file of the same model, "
            "another artifact, or two runners (onnx-cpu=openvino).",
        ),
    ] = None,
    introduced: Annotated[
        bool,
        typer.Option(
            "--introduced",
            help="With --against: judge every image, what each operation introduced and inherited; a second each.",
        ),
    ] = False,
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

    Each image runs once. For every output and channel: count, mean, variance, range, zeros, NaN, quantiles, a
    histogram, and the images that gave the extremes; which channels are dead or saturated. Stopped at any moment, the
    same command goes on. Images that can't be read are listed and left out.

    With --against, exit code 1 if verify fails on the images on which the two differ most.

    Example: layerprobe scan resnet18 photos -o statistics

    Example: layerprobe scan resnet18 photos -o compared --against int8.onnx

    Example: layerprobe scan resnet18 photos -o runners --against onnx-cpu=openvino

    Example: layerprobe scan resnet18 imagenet/val -o statistics --classes --sample 5000 --op relu
    """
    from .artifact.folder import open_artifact
    from .artifact.selection import select_outputs
    from .reporting.scan_page import write_scan_page
    from .scan.opening import Opening
    from .scan.scanning import SHARD, Choices, broken_images, broken_words
    from .scan.scanning import scan as scan_folder
    from .scan.tables import require_parquet

    _check_together(limit, sample, against, introduced=introduced)
    if seed and not sample:
        raise typer.BadParameter("it is of --sample N: give both", param_hint="--seed")
    if keep_dtype != "float32" and not keep:
        raise typer.BadParameter("it is of --keep GLOB: give both", param_hint="--keep-dtype")
    require_parquet()
    opened = open_artifact(artifact)
    chosen = select_outputs(opened.manifest.outputs, outputs or (), operations or (), depth)
    names = [each.name for each in chosen] if outputs or operations or depth else None
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
    opening = Opening(runner, provider, settings, names, against)
    with ExitStack() as held:
        pair = _opened_pair(opened, against, opening, held, quiet=quiet, judged=introduced)
        session, other, workers, by = _computing(opened, opening, pair, ray, held)
        with progress("images", None, quiet, rate=True) as advance:
            found = scan_folder(
                opened,
                session,
                folder,
                target,
                choices,
                other,
                on_progress=advance,
                workers=workers,
            )
    page = write_scan_page(opened, found, target, by=by)
    if not quiet:
        for name, why in found.left_out.items():
            say(f"{name} is left out: {why}", err=True)
        if found.earlier:
            say(f"images that an earlier scan had done: {found.earlier}", err=True)
    read = found.images - found.broken
    say(f"{page}: outputs: {len(found.outputs)}, images: {read}, {by}")
    failed = pair is not None and _judge(opened, found, target, pair, choices.input_size, quiet=quiet)
    if introduced and pair is not None:
        failed |= _judge_every(opened, found, target, pair, choices.input_size, quiet=quiet)
    if found.broken:
        for number, (image, reason) in enumerate(broken_images(target)):
            if number == _SHOWN:
                break
            line = reason.partition("\n")[0]
            say(line if image in line else f"{image}: {line}", err=True)
        say(f"layerprobe: {broken_words(found)}; {target}/images/*.parquet lists them.", err=True)
    if failed:
        raise typer.Exit(1)
    if found.broken:
        raise typer.Exit(ImageError.exit_code)


def _check_together(limit: int | None, sample: int | None, against: str | None, *, introduced: bool) -> None:
    if limit and sample:
        raise typer.BadParameter("give either --limit or --sample")
    if introduced and not against:
        raise typer.BadParameter("it judges what --against compares: give both", param_hint="--introduced")


def _computing(
    artifact: "Artifact", opening: "Opening", pair: "Against | None", ray: str | None, held: ExitStack
) -> "tuple[Runner | RemoteRunner, OtherModel | None, Workers | None, str]":
    """Return the runner, what it is compared with, the cluster on which they are, connected as long as `held` is, and
    how the runner is called.
    """
    other = pair.other if pair else None
    if ray is not None:
        from .scan.ray_cluster import connected

        compared = pair.elsewhere() if pair and pair.elsewhere else None
        cluster = held.enter_context(connected(ray, artifact, opening, compared))
        remote = cluster.describe()
        by = f"by {remote.name} on {remote.providers[0]}, with Ray"
        if other is None:
            return remote, None, cluster, by
        return remote, replace(other, facts_there=remote.other_facts), cluster, f"{by}, against {other.name}"
    if pair:
        return pair.session, other, None, f"by {pair.session.name}, against {pair.other.name}"
    only = opening.open(artifact)
    return only, None, None, run_by(only, opening.provider)


def _opened_pair(
    artifact: "Artifact", against: str | None, opening: "Opening", held: ExitStack, *, quiet: bool, judged: bool
) -> "Against | None":
    """Return what is compared, opened as long as `held` is; `judged`: only if one of the two may be wrong."""
    from .scan_against import opened_against

    if against is None:
        return None
    with phases(quiet) as on_phase:
        found = held.enter_context(opened_against(artifact, against, opening, on_phase))
    if judged and found.judge is None:
        raise UsageError(f"{found.note}.\nOmit --introduced.")
    return found


def _judge(
    artifact: "Artifact",
    found: "ScanResult",
    target: Path,
    pair: "Against",
    size: tuple[int, int] | None,
    *,
    quiet: bool,
) -> bool:
    """Print where the two differ, keep the inputs of the worst images, and return whether one fails on them."""
    from .reporting.forms import write_forms
    from .reporting.table import report_table
    from .scan.introduced_errors import JudgedImage, write_judged
    from .scan.worst_images import save_worst
    from .scan_against import judged_rows

    comparison = found.comparison
    assert comparison is not None
    for line in (pair.note, *_differences(comparison, found.paths)):
        if line:
            say(line)
    folder = target / "worst"
    inputs = save_worst(artifact.manifest, comparison, found.file_of, folder, size)
    images = [JudgedImage(found.paths(each.number), each.number, each.row) for each in comparison.worst]
    if pair.judge is None:
        command = shlex.join(["layerprobe", "run", str(artifact.path), str(folder)])
        say(f"`{command} -o OUT.safetensors` and `layerprobe grid --against` show the images' tensors.")
        return False
    with phases(quiet) as on_phase:
        on_phase("judging the worst images")
        reports: list[RunnerReport] = []
        report = pair.judge(folder, inputs, reports.append)
    write_judged(target / "worst.parquet", judged_rows(reports, dict(zip(inputs, images, strict=True))))
    write_forms(report, {"json": target / "worst.json", "html": target / "worst.html"}, None)
    print_table(report_table(report, everything=False))
    say(f"`{pair.command} --input {shlex.quote(str(folder))}` shows the same.")
    return any(runner.verdict.fails for runner in report.runners)


def _judge_every(
    artifact: "Artifact",
    found: "ScanResult",
    target: Path,
    pair: "Against",
    size: tuple[int, int] | None,
    *,
    quiet: bool,
) -> bool:
    """Write what each operation introduced on every image, print where that was most, and return whether one fails."""
    import pyarrow.parquet as pq

    from .scan.introduced_errors import judge_images
    from .scan_against import judged_images

    with progress("images judged", None, quiet, rate=True) as advance:
        judge_images(
            artifact.manifest, target, found.file_of, size, lambda *given: judged_images(pair, *given), advance
        )
    table = pq.read_table(target / "introduced.parquet").to_pylist()
    for runner in dict.fromkeys(row["runner"] for row in table):
        rows = [row for row in table if row["runner"] == runner and row["max_introduced"] is not None]
        if worst := max(rows, key=lambda row: row["max_introduced"], default=None):
            say(
                f"{runner}, {worst['images']} images judged: {worst['output']} introduced the largest error, "
                f"{worst['max_introduced']:.3g} times what its arithmetic may lose, on {worst['max_image']}"
            )
        for row in rows:
            if row["images_at_fault"]:
                say(f"  {row['output']} fails on {row['images_at_fault']} of them")
    return any(row["images_at_fault"] for row in table)


def _differences(comparison: "Comparison", path_of: Callable[[int], str]) -> Iterator[str]:
    """Yield what is known of all images, a line each."""
    for name, (same, count) in comparison.top.items():
        if count:
            yield f"top class of {name}: the same on {same} of {count} images"
    from .scan.differences import BEYOND_USUAL

    beyond = "float32's noise" if comparison.is_exact else f"{BEYOND_USUAL:g} times what it usually does"
    starting = [each for each in comparison.outputs if each.worst_start is not None]
    for each in starting[:_SHOWN]:
        assert each.worst_start is not None
        yield (
            f"{each.output} differs by more than {beyond} on {each.images_over} of {each.images} images; "
            f"that starts there on {each.images_starting}, most on {path_of(each.worst_start.number)}"
        )
    if len(starting) > _SHOWN:
        yield f"... and {len(starting) - _SHOWN} outputs more: differences.parquet"
    if not starting:
        worst = comparison.worst[0]
        where = f"{worst.output} of {path_of(worst.number)}"
        yield f"no image differs by more than {beyond}; the most, {worst.drift:.3g} times float32's noise, {where}"
        return
    for worst in comparison.worst:
        yield f"{path_of(worst.number)}: {worst.drift:.3g} times float32's noise at {worst.output}"
