"""The subcommands that need an artifact or images, not PyTorch: run, grid, bench, stats, demo.

`verify` and `compare` are in `verify_cli.py`. Each command imports what it needs when it runs, so that it starts fast.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .artifact.cli_options import DepthOption, OperationsOption, OutputsOption, QuietOption, parse_size
from .artifact.errors import ImageError, UsageError
from .artifact.plain_text import say
from .cli_options import ArtifactArgument, RunnersOption, TrustOption, takes_settings, takes_style
from .maps.reductions import AUTO
from .overwrite_check import refuse_to_overwrite, refuse_unwritable
from .terminal import phases, print_left_out, print_table, progress

if TYPE_CHECKING:
    from .artifact.folder import Artifact
    from .maps.grid_style import GridStyle
    from .runners.base import Runner
    from .runners.settings import Settings

__all__ = ["bench", "demo", "grid", "run", "stats"]

_LARGEST_BATCH = 65_536

Provider = Literal["auto", "cuda", "cpu"]
Runtime = Literal["onnx", "torchscript"]

_RuntimeOption = Annotated[Runtime, typer.Option("--runner", help="Runtime that executes the model.")]
_ProviderOption = Annotated[
    Provider, typer.Option("--provider", help="auto uses CUDA where it works; cuda never falls back.")
]
_InputSizeOption = Annotated[
    str | None,
    typer.Option(metavar="N|HxW", help="Image size to use instead, if the model was exported with --dynamic-size."),
]

_StrictOption = Annotated[
    bool, typer.Option("--strict", help="Stop at the first image that can't be read, instead of leaving it out.")
]


@takes_settings()
def run(
    artifact: ArtifactArgument,
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="INPUT", help="Photos, .npy, .npz or .safetensors by name, or folders of them."),
    ] = None,
    *,
    file: Annotated[Path, typer.Option("-o", "--output", metavar="OUT.safetensors", help="File for the tensors.")],
    recorded_input: Annotated[
        bool, typer.Option("--recorded-input", help="Run the artifact's own recorded input instead of files.")
    ] = False,
    save_input: Annotated[
        bool, typer.Option("--save-input", help="Also write what the model was given, as input:NAME.")
    ] = False,
    strict: _StrictOption = False,
    input_size: _InputSizeOption = None,
    outputs: OutputsOption = None,
    operations: OperationsOption = None,
    depth: DepthOption = None,
    runner: _RuntimeOption = "onnx",
    provider: _ProviderOption = "auto",
    settings: "Settings",
    quiet: QuietOption = False,
) -> None:
    """Run inputs and write every output to a safetensors file.

    Takes one file, several, or a folder; the outputs are stacked along N in the order of the files. A model that takes
    no photo is given arrays, by the names of its inputs.

    Example: layerprobe run resnet18 photo.jpg -o tensors.safetensors

    Example: layerprobe run stereo pair.npz -o tensors.safetensors --save-input
    """
    from .artifact.file_replacement import is_stream
    from .artifact.folder import open_artifact
    from .artifact.selection import select_outputs
    from .runners.registry import open_image_runner
    from .runs.image_reading import readable_images
    from .runs.input_files import input_files, is_photo
    from .runs.tensor_recording import RUN_MARK, record_files, record_reference_input

    if bool(inputs) == recorded_input:
        raise typer.BadParameter("give either input files or --recorded-input")
    if recorded_input and input_size:
        raise typer.BadParameter("--input-size applies to images only: the recorded input has its own size")
    size = _image_size(input_size)
    refuse_unwritable(file, RUN_MARK, artifact, inputs or [])
    opened = open_artifact(artifact)
    chosen = select_outputs(opened.manifest.outputs, outputs or (), operations or (), depth)
    kept = [output.name for output in chosen]
    found = input_files(inputs or [])
    refuse_to_overwrite(file, artifact, found)
    photos = all(map(is_photo, found))
    if size and not photos:
        raise typer.BadParameter("--input-size applies to images only: an array has its own size")
    several = photos and len(found) > 1 and not strict
    found, broken = readable_images(found) if several else (found, {})
    session = open_image_runner(opened, runner, provider, settings, kept if outputs or operations or depth else None)
    by = _run_by(session, provider)
    # A pipe may be stdout: then nothing else is printed there.
    to_stderr = is_stream(file)
    if recorded_input:
        record_reference_input(opened, session, file, outputs=kept, save_input=save_input)
        say(f"{file}: outputs: {len(kept)}, recorded input, {by}", err=to_stderr)
        return
    what = "images" if photos else "inputs"
    with progress(what, len(found), quiet) as advance:
        count = record_files(
            opened,
            session,
            found,
            file,
            outputs=kept,
            input_size=size,
            save_input=save_input,
            broken=broken,
            on_progress=advance,
        )
    say(f"{file}: outputs: {len(kept)}, {what}: {count}, {by}", err=to_stderr)
    _end_for_broken(broken, len(found))


def _end_for_broken(broken: Mapping[Path, str], read: int) -> None:
    """List the images that were left out, each with the reason, and end with exit code 3 if there are any."""
    if broken:
        for reason in broken.values():
            say(reason.partition("\n")[0], err=True)
        say(f"layerprobe: {len(broken)} of {len(broken) + read} images can't be read, and were left out.", err=True)
        raise typer.Exit(ImageError.exit_code)


@takes_style()
def grid(
    artifact: ArtifactArgument,
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="A photo.")],
    file: Annotated[
        Path, typer.Option("-o", "--output", metavar="OUT.{jpg,png,webp,svg,pdf}", help="File for the picture.")
    ],
    input_size: _InputSizeOption = None,
    outputs: OutputsOption = None,
    operations: OperationsOption = None,
    depth: DepthOption = None,
    channels: Annotated[
        str | None, typer.Option(metavar="OUTPUT", help="Draw every channel of this one output instead.")
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Only the N channels that vary most over the image (standard deviation)."
        ),
    ] = None,
    page: Annotated[int, typer.Option(min=1, metavar="N", help="The page, if the tiles fill several.")] = 1,
    all_pages: Annotated[
        bool, typer.Option("--all-pages", help="All pages: in one PDF, or else as OUT-1, OUT-2, ...")
    ] = False,
    runner: _RuntimeOption = "onnx",
    provider: _ProviderOption = "auto",
    *,
    style: "GridStyle",
    quiet: QuietOption = False,
) -> None:
    """Draw the feature maps of a photo, or one output's channels.

    Example: layerprobe grid resnet18 photo.jpg -o maps.png --outputs 'layer1.*'

    Example: layerprobe grid resnet18 photo.jpg -o channels.pdf --channels layer1.0.conv1 --top 16
    """
    from .artifact.folder import open_artifact
    from .artifact.selection import known_outputs, select_outputs
    from .maps.feature_grid import grid_pages
    from .maps.picture_saving import PICTURE_MARK, picture_format, save_picture, save_pictures
    from .runners.registry import open_image_runner
    from .runs.photo_maps import PhotoRun

    if channels is None and top is not None:
        raise typer.BadParameter("--top chooses among the channels of one output: give --channels")
    if channels is not None and (outputs or operations or depth or style.reduce != AUTO):
        raise typer.BadParameter("--channels draws one output as it is: omit --outputs, --op, --depth and --reduce")
    if all_pages and page > 1:
        raise typer.BadParameter("give either --page or --all-pages")
    picture_format(file)
    refuse_unwritable(file, PICTURE_MARK, artifact, [image])
    opened = open_artifact(artifact)
    recipe = opened.manifest.recipe
    fresh = " (random weights)" if recipe and recipe.fresh_weights else ""
    title = f"{opened.manifest.model}{fresh} · {image.name}"
    ran: list[Runner] = []
    with phases(quiet) as on_phase:

        def open_runner(probe: "Artifact", names: Sequence[str] | None) -> "Runner":
            ran.append(open_image_runner(probe, runner, provider, outputs=names))
            on_phase(f"running {ran[-1].name}")
            return ran[-1]

        photo = PhotoRun(opened, image, open_runner, _image_size(input_size))
        if channels is None:
            chosen = select_outputs(opened.manifest.outputs, outputs or (), operations or (), depth)
            pages = grid_pages(photo.maps(chosen, style.reduce), chosen, style, title)
        else:
            from .maps.channel_grid import channel_pages

            known_outputs(opened.manifest, [channels])
            output = next(each for each in opened.manifest.outputs if each.name == channels)
            pages = channel_pages(photo.tensors([channels]), output, top, style, f"{title} · {channels}")
    by = _run_by(ran[0], provider)
    if all_pages:
        files = save_pictures(pages.pictures(), file)
        say(f"{', '.join(map(str, files))}: pages: {pages.count}, {by}")
        return
    picture = pages.picture(page)
    save_picture(picture, file)
    which = f", page {page} of {pages.count}" if pages.count > 1 else ""
    say(f"{file}: {picture.width} x {picture.height} px{which}, {by}")
    if page < pages.count and not quiet:
        say(
            f"Next page: --page {page + 1}; --all-pages draws all. Or select fewer outputs (--depth, --outputs).",
            err=True,
        )


def _run_by(runner: "Runner", provider: str) -> str:
    """Return what ran a model, and why it wasn't the GPU if there is one that `auto` left unused."""
    from .runners.cuda_support import why_gpu_is_unused

    why = why_gpu_is_unused() if provider == "auto" and runner.name == "onnx-cpu" else None
    return f"by {runner.name} on {runner.providers[0]}{f' (the GPU is not used: {why})' if why else ''}"


@takes_settings()
def bench(
    artifact: ArtifactArgument,
    runner: RunnersOption = None,
    batch: Annotated[str, typer.Option(metavar="N,...", help="Batch sizes to compare, for example 1,8,32.")] = "1",
    repeats: Annotated[int, typer.Option(min=1, help="Timed runs per variant.")] = 50,
    json: Annotated[Path | None, typer.Option("--json", metavar="F", help="Write the report as JSON.")] = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="F", help="Plot time and ratio over batch size: .png, .svg or .pdf.")
    ] = None,
    trust: TrustOption = False,
    *,
    settings: "Settings",
    quiet: QuietOption = False,
) -> None:
    """Time the plain model, the averaged probe and the full probe.

    The variants run in turn, in each runner.

    Example: layerprobe bench resnet18 --batch 1,8 --repeats 20
    """
    from .artifact.folder import open_artifact
    from .bench.benchmarking import BENCHMARK_MARK, benchmark
    from .bench.picture import check_picture, draw_benchmark
    from .bench.table import bench_table, ratio_lines
    from .maps.picture_saving import PICTURE_MARK

    refuse_unwritable(json, BENCHMARK_MARK, artifact)
    refuse_unwritable(picture, PICTURE_MARK, artifact)
    if picture:
        check_picture(picture)
    batches = _parse_batches(batch)
    opened = open_artifact(artifact)
    with phases(quiet) as on_phase:
        report = benchmark(
            opened,
            runner or (),
            batches=batches,
            repeats=repeats,
            settings=settings,
            trust=trust,
            on_phase=on_phase,
        )
    print_left_out(report.left_out, quiet)
    if json:
        from .artifact.file_replacement import replace_file

        with replace_file(json, BENCHMARK_MARK) as stream:
            stream.write(report.model_dump_json(indent=1).encode() + b"\n")
    if picture:
        draw_benchmark(report, picture)
    print_table(bench_table(report))
    for line in ratio_lines(report):
        say(line)


def stats(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of images, or of one folder per class.")],
    strict: _StrictOption = False,
    quiet: QuietOption = False,
) -> None:
    """Print the mean and standard deviation of an image folder.

    Exact values per channel over all pixels, printed as options of `layerprobe export`.

    Example: layerprobe export cnn11 -o mine $(layerprobe stats photos)
    """
    from .runs.image_statistics import channel_statistics

    broken: dict[Path, str] = {}
    with progress("images", None, quiet) as advance:
        found = channel_statistics(folder, on_progress=advance, broken=None if strict else broken)
    mean, std = (",".join(f"{value:.6f}" for value in values) for values in (found.mean, found.std))
    say(f"--mean {mean} --std {std}")
    if not quiet:
        say(f"images: {found.images}, pixels: {found.pixels}", err=True)
    _end_for_broken(broken, found.images)


def demo(
    folder: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for all results.")] = Path(
        "artifacts"
    ),
) -> None:
    """Export, draw and verify three CNNs on a built-in photo.

    Example: layerprobe demo -o artifacts
    """
    from .commands import app
    from .demo import run_demo

    def run_command(command: Sequence[str]) -> None:
        code = app(args=list(command), standalone_mode=False)
        if code:
            raise typer.Exit(code)

    run_demo(folder, run_command, say)


def _image_size(text: str | None) -> tuple[int, int] | None:
    """Return height and width, or None if no size was given."""
    size = parse_size(text)
    return (size[0], size[1]) if size else None


def _parse_batches(text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.isascii() and part.isdecimal() and 1 <= int(part) <= _LARGEST_BATCH for part in parts):
        raise UsageError(f"--batch {text!r}: give numbers from 1 to {_LARGEST_BATCH}, for example 1,8,32.")
    return [int(part) for part in parts]
