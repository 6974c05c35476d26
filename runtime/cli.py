"""The subcommands that need an artifact or images, not PyTorch: run, bench, stats, demo.

`grid` is in `grid_cli.py`, `verify` and `compare` are in `verify_cli.py`. Each command imports what it needs when it
runs, so that it starts fast.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .artifact.cli_options import DepthOption, OperationsOption, OutputsOption, QuietOption
from .artifact.errors import ImageError, UsageError
from .artifact.plain_text import say
from .cli_options import (
    ArtifactArgument,
    InputSizeOption,
    ProviderOption,
    RunnersOption,
    RuntimeOption,
    TrustOption,
    image_size,
    refuse_unused_backend,
    takes_settings,
)
from .overwrite_check import refuse_to_overwrite, refuse_unwritable
from .terminal import phases, print_left_out, print_table, progress, run_by

if TYPE_CHECKING:
    from .runners.settings import Settings

__all__ = ["bench", "demo", "run", "stats"]

_LARGEST_BATCH = 65_536

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
    input_size: InputSizeOption = None,
    outputs: OutputsOption = None,
    operations: OperationsOption = None,
    depth: DepthOption = None,
    runner: RuntimeOption = "onnx",
    provider: ProviderOption = "auto",
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
        raise typer.BadParameter(
            "give either input files (photos, .npy, .npz, .safetensors, or a folder of them) or --recorded-input"
        )
    if recorded_input and input_size:
        raise typer.BadParameter("--input-size applies to images only: the recorded input has its own size")
    refuse_unused_backend(settings, [runner])
    size = image_size(input_size)
    refuse_unwritable(file, RUN_MARK, artifact, inputs or [])
    opened = open_artifact(artifact)
    chosen = select_outputs(opened.manifest.outputs, outputs or (), operations or (), depth)
    kept = [output.name for output in chosen]
    found = input_files(inputs or [], takes_photos=opened.manifest.preprocessing is not None)
    refuse_to_overwrite(file, artifact, found)
    photos = all(map(is_photo, found))
    if size and not photos:
        raise typer.BadParameter("--input-size applies to images only: an array has its own size")
    several = photos and len(found) > 1 and not strict
    found, broken = readable_images(found) if several else (found, {})
    session = open_image_runner(opened, runner, provider, settings, kept if outputs or operations or depth else None)
    by = run_by(session, provider)
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

    refuse_unused_backend(settings, runner or ())
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


def _parse_batches(text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.isascii() and part.isdecimal() and 1 <= int(part) <= _LARGEST_BATCH for part in parts):
        raise UsageError(f"--batch {text!r}: give numbers from 1 to {_LARGEST_BATCH}, for example 1,8,32.")
    return [int(part) for part in parts]
