"""The subcommands that need an artifact or images, not PyTorch: run, grid, verify, bench, stats, demo.

What a command needs is imported when it runs, so that each starts as fast as it can.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = [
    "RUNNER_NAMES",
    "ConvolutionSearch",
    "ConvolutionSearchOption",
    "GraphOptimization",
    "GraphOptimizationOption",
    "QuietOption",
    "Tf32Option",
    "ThreadsOption",
    "bench",
    "demo",
    "grid",
    "phases",
    "print_table",
    "refuse_unwritable",
    "run",
    "stats",
    "tell_left_out",
    "write_text",
]

_LARGEST_BATCH = 65_536
_PROGRESS_FROM = 10
"""Images from which on a progress bar is shown."""

RUNNER_NAMES = (
    "onnx-cpu, onnx-cuda, onnx-tensorrt, openvino, torchscript, torchscript-cuda, torch-export, torch-export-cuda, "
    "onnx-reference, eager, or all that work here; by default, the onnx and torchscript ones that do."
)


class _Provider(StrEnum):
    AUTO = "auto"
    CUDA = "cuda"
    CPU = "cpu"


class GraphOptimization(StrEnum):
    """The levels of `Settings.graph_optimization`, as Typer wants them."""

    DISABLED = "disabled"
    BASIC = "basic"
    EXTENDED = "extended"
    LAYOUT = "layout"
    ALL = "all"


class ConvolutionSearch(StrEnum):
    """The ways of `Settings.convolution_search`, as Typer wants them."""

    EXHAUSTIVE = "exhaustive"
    HEURISTIC = "heuristic"
    DEFAULT = "default"


class _Runtime(StrEnum):
    ONNX = "onnx"
    TORCHSCRIPT = "torchscript"


_ArtifactArgument = Annotated[Path, typer.Argument(metavar="ARTIFACT", help="A folder that `layerprobe export` made.")]
_ProviderOption = Annotated[
    _Provider, typer.Option("--provider", help="auto takes CUDA where it works; cuda never falls back.")
]
_RuntimeOption = Annotated[_Runtime, typer.Option("--runner", help="What executes the model.")]
_JsonOption = Annotated[Path | None, typer.Option("--json", metavar="F", help="Write the report for machines, too.")]
_RunnersOption = Annotated[
    list[str] | None,
    typer.Option("--runner", metavar="R", help=RUNNER_NAMES),
]
GraphOptimizationOption = Annotated[
    GraphOptimization, typer.Option(help="ONNX Runtime's levels; TorchScript knows disabled and all.")
]
Tf32Option = Annotated[
    bool, typer.Option("--tf32/--no-tf32", help="Let a GPU's products keep 10 bits of the mantissa.")
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(min=1, max=1024, metavar="N", help="For one operation; the runtime's own choice otherwise."),
]
ConvolutionSearchOption = Annotated[
    ConvolutionSearch, typer.Option(help="How ONNX Runtime chooses cuDNN's algorithms on a GPU.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Tell nothing but results and errors.")]
_InputSizeOption = Annotated[
    str | None,
    typer.Option(metavar="N|HxW", help="Another size of the image, if the model was exported with --dynamic-size."),
]
_OutputsOption = Annotated[
    list[str] | None,
    typer.Option("--outputs", metavar="GLOB", help="Only these: names, globs or modules' paths; may be repeated."),
]
_OperationsOption = Annotated[
    list[str] | None,
    typer.Option("--op", metavar="LABEL", help="Only outputs of this label: Conv2d, '*Norm*'; may be repeated."),
]


def run(
    artifact: _ArtifactArgument,
    images: Annotated[list[Path] | None, typer.Argument(metavar="IMAGE", help="Images, or folders of them.")] = None,
    *,
    file: Annotated[Path, typer.Option("-o", "--output", metavar="OUT.safetensors", help="Where the tensors go.")],
    outputs: _OutputsOption = None,
    operations: _OperationsOption = None,
    input_size: _InputSizeOption = None,
    provider: _ProviderOption = _Provider.AUTO,
    runner: _RuntimeOption = _Runtime.ONNX,
    graph_optimization: GraphOptimizationOption = GraphOptimization.ALL,
    tf32: Tf32Option = False,
    threads: ThreadsOption = None,
    convolution_search: ConvolutionSearchOption = ConvolutionSearch.EXHAUSTIVE,
    recorded_input: Annotated[
        bool, typer.Option("--recorded-input", help="Take the artifact's own recorded input in place of images.")
    ] = False,
    quiet: QuietOption = False,
) -> None:
    """Write every output of images to a safetensors file.

    Of one image, several, or a folder; stacked along N in their order.
    """
    from .artifact.folder import open_artifact
    from .artifact.selection import select_outputs
    from .runners.registry import open_image_runner
    from .runners.settings import Settings
    from .runs.image_reading import find_images
    from .runs.tensor_recording import record_images, record_reference_input

    if bool(images) == recorded_input:
        raise typer.BadParameter("give images, or --recorded-input, and not both")
    if recorded_input and input_size:
        raise typer.BadParameter("--input-size is for images: the recorded input has its own size")
    size = _parse_size(input_size)
    refuse_to_overwrite(file, artifact, images or [])
    opened = open_artifact(artifact)
    kept = [output.name for output in select_outputs(opened.manifest, outputs or (), operations or ())]
    found = find_images(images) if images else []
    settings = Settings(
        graph_optimization=graph_optimization.value,
        tf32=tf32,
        threads=threads,
        convolution_search=convolution_search.value,
    )
    session = open_image_runner(opened, runner, provider, settings, kept if outputs or operations else None)
    if recorded_input:
        record_reference_input(opened, session, file, outputs=kept)
        typer.echo(f"{file}: outputs: {len(kept)}, the recorded input, by {session.name} on {session.providers[0]}")
        return
    with _progress("images", len(found), quiet) as advance:
        record_images(
            opened,
            session,
            found,
            file,
            outputs=kept,
            input_size=size,
            on_progress=lambda done: advance(done, len(found)),
        )
    typer.echo(f"{file}: outputs: {len(kept)}, images: {len(found)}, by {session.name} on {session.providers[0]}")


def grid(
    artifact: _ArtifactArgument,
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="A photo.")],
    file: Annotated[Path, typer.Option("-o", "--output", metavar="OUT.{jpg,png,webp}", help="Where the picture goes.")],
    cmap: Annotated[str, typer.Option(metavar="NAME", help="One of matplotlib's colour maps.")] = "viridis",
    columns: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Tiles in a row (4; up to 7 for more than 24 tiles).")
    ] = None,
    page: Annotated[int, typer.Option(min=1, metavar="N", help="Which page, where one can't hold all the tiles.")] = 1,
    aliases: Annotated[
        bool, typer.Option("--aliases", help="Draw what only repeats another tile, too: dropout, views.")
    ] = False,
    outputs: _OutputsOption = None,
    operations: _OperationsOption = None,
    input_size: _InputSizeOption = None,
    provider: _ProviderOption = _Provider.AUTO,
    runner: _RuntimeOption = _Runtime.ONNX,
    quiet: QuietOption = False,
) -> None:
    """Draw the averaged feature maps of a photo."""
    from .artifact.folder import open_artifact
    from .artifact.selection import select_outputs
    from .maps.feature_grid import count_pages, draw_grid, outputs_on_page
    from .maps.picture_saving import picture_format, save_picture
    from .runners.registry import open_image_runner
    from .runs.preprocessing import preprocess_files

    picture_format(file)
    refuse_to_overwrite(file, artifact, [image])
    opened = open_artifact(artifact)
    manifest = opened.manifest
    name, steps = manifest.image_input(_parse_size(input_size))
    chosen = select_outputs(manifest, outputs or (), operations or ())
    batch = preprocess_files([image], steps)
    maps = opened.averaged()
    pages = count_pages(chosen, aliases=aliases)
    drawn = [output.name for output in outputs_on_page(chosen, page, aliases=aliases)]
    # A model of which nearly all is drawn is opened sooner whole than cut.
    cut = drawn if outputs or operations or pages > 1 else None
    with phases(quiet) as on_phase:
        session = open_image_runner(maps or opened, runner, provider, outputs=cut)
        on_phase(f"running {session.name}")
        arrays = session.run({name: batch})
    picture = draw_grid(
        arrays,
        chosen,
        cmap=cmap,
        columns=columns,
        page=page,
        title=f"{manifest.model} · {image.name}",
        aliases=aliases,
        averaged=maps.reference().largest_noise if maps else None,
    )
    save_picture(picture, file)
    which = f", page {page} of {pages}" if pages > 1 else ""
    typer.echo(f"{file}: {picture.width} x {picture.height} px{which}, by {session.name} on {session.providers[0]}")
    if page < pages and not quiet:
        typer.echo(f"The next page: --page {page + 1}. Or select fewer outputs with --outputs.", err=True)


def bench(
    artifact: _ArtifactArgument,
    runner: _RunnersOption = None,
    batch: Annotated[str, typer.Option(metavar="N,...", help="Images at once; several to compare: 1,8,32.")] = "1",
    repeats: Annotated[int, typer.Option(min=1, help="Timed runs of each.")] = 50,
    json: _JsonOption = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="F", help="Draw time and ratio over the batch size: .png, .svg or .pdf.")
    ] = None,
    graph_optimization: GraphOptimizationOption = GraphOptimization.ALL,
    tf32: Tf32Option = False,
    threads: ThreadsOption = None,
    convolution_search: ConvolutionSearchOption = ConvolutionSearch.EXHAUSTIVE,
    quiet: QuietOption = False,
) -> None:
    """Time the plain model, the averaged probe and the full one.

    In turns, in each runner.
    """
    from .artifact.folder import open_artifact
    from .bench.benchmarking import benchmark
    from .bench.picture import check_picture, draw_benchmark
    from .bench.table import bench_table, ratio_lines
    from .runners.settings import Settings

    for file in (json, picture):
        refuse_unwritable(file, artifact)
    if picture:
        check_picture(picture)
    batches = _parse_batches(batch)
    opened = open_artifact(artifact)
    settings = Settings(
        graph_optimization=graph_optimization.value,
        tf32=tf32,
        threads=threads,
        convolution_search=convolution_search.value,
    )
    with phases(quiet) as on_phase:
        report = benchmark(opened, runner or (), batches=batches, repeats=repeats, settings=settings, on_phase=on_phase)
    tell_left_out(report.left_out, quiet)
    if json:
        write_text(json, report.model_dump_json(indent=1) + "\n")
    if picture:
        draw_benchmark(report, picture)
    print_table(bench_table(report))
    for line in ratio_lines(report):
        typer.echo(line)


def _parse_batches(text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.isascii() and part.isdecimal() and 1 <= int(part) <= _LARGEST_BATCH for part in parts):
        raise typer.BadParameter(f"--batch {text!r}: give numbers from 1 to {_LARGEST_BATCH}, as in 1,8,32")
    return [int(part) for part in parts]


def stats(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Images, or a folder for each class of them.")],
    quiet: QuietOption = False,
) -> None:
    """Print the mean and standard deviation of an image folder.

    Exact, of each channel over all pixels, as the options that `layerprobe export` takes.
    """
    from .runs.image_statistics import channel_statistics

    with _progress("images", None, quiet) as advance:
        found = channel_statistics(folder, on_progress=advance)
    mean, std = (",".join(f"{value:.6f}" for value in values) for values in (found.mean, found.std))
    typer.echo(f"--mean {mean} --std {std}")
    if not quiet:
        typer.echo(f"images: {found.images}, pixels: {found.pixels}", err=True)


def demo(
    folder: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Where everything goes.")] = Path(
        "artifacts"
    ),
) -> None:
    """Export, draw and verify three CNNs on a built-in photo."""
    from .demo import run_demo
    from .main import app

    def run_command(command: Sequence[str]) -> None:
        code = app(args=list(command), standalone_mode=False)
        if code:
            raise typer.Exit(code)

    run_demo(folder, run_command, typer.echo)


def print_table(table: "RenderableType") -> None:
    """Print on stdout."""
    from rich.console import Console

    # On a pipe there is no width to fit. Typer prints, because rich ends the process where the reader has gone.
    console = Console(width=None if sys.stdout.isatty() else 1000, highlight=False)
    with console.capture() as text:
        console.print(table)
    # rich fills each line of a table up with blanks.
    typer.echo("\n".join(line.rstrip() for line in text.get().splitlines()))


def tell_left_out(reasons: Mapping[str, str], quiet: bool) -> None:
    """Tell on stderr which runners are left out."""
    for name, reason in () if quiet else reasons.items():
        typer.echo(f"{name} is left out: {reason}", err=True)


@contextmanager
def phases(quiet: bool) -> Iterator[Callable[[str], None]]:
    """Yield a function that shows the name of a phase on stderr, while it lasts, if that is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda _phase: None
        return
    from rich.console import Console

    with Console(stderr=True).status("opening the artifact") as status:
        yield status.update


@contextmanager
def _progress(what: str, total: int | None, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Yield a function that takes (done, of all); from ten on, and on a terminal, it moves a bar on stderr."""
    if quiet or (total is not None and total < _PROGRESS_FROM):
        yield lambda _done, _of_all: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total, visible=False)
        yield lambda done, of_all: bar.update(task, completed=done, total=of_all, visible=of_all >= _PROGRESS_FROM)


def _parse_size(text: str | None) -> tuple[int, int] | None:
    """Turn `320` or `320x480` into height and width."""
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isascii() and part.isdecimal() and int(part) for part in parts):
        raise typer.BadParameter(f"{text!r} is no size: give 320, or 320x480 (height x width)")
    return int(parts[0]), int(parts[-1])


def refuse_to_overwrite(file: Path, artifact: Path, images: Sequence[Path]) -> None:
    """Refuse a result that would take the place of an image given, or of a part of the artifact."""
    from .artifact.errors import UsageError

    target = file.resolve()
    folder = artifact.resolve()
    if folder in (target, target.parent) or target in {image.resolve() for image in images}:
        raise UsageError(f"{file} is an input of this very command, or lies in the artifact: choose another file.")


def refuse_unwritable(file: Path | None, artifact: Path, inputs: Sequence[Path] = ()) -> None:
    """Refuse a report that would take the place of an input, or has no place, before the work is done."""
    if file is not None:
        from .artifact.file_replacement import check_place

        refuse_to_overwrite(file, artifact, inputs)
        check_place(file)


def write_text(file: Path, content: str) -> None:
    """Write a form of a report; whole or not at all."""
    from .artifact.file_replacement import replace_file

    with replace_file(file) as stream:
        stream.write(content.encode())
