"""`layerprobe export`. PyTorch is imported when the command runs, so that `layerprobe --help` stays quick."""

from pathlib import Path
from typing import Annotated

import typer

from probe.cli import ModelArgument, model_at_work, print_capture, refuse_for_files
from runtime.artifact.cli_options import (
    CaptureOption,
    DepthOption,
    InputFilesOption,
    InputSizeOption,
    LeafOption,
    MeanOption,
    OperationsOption,
    OutputsOption,
    QuietOption,
    SeedOption,
    SubmoduleOption,
    WeightsOption,
    parse_numbers,
    parse_size,
)
from runtime.artifact.onnx_file import is_onnx
from runtime.artifact.plain_text import say

from .onnx_cli import export_file

__all__ = ["export"]


def export(
    model: ModelArgument,
    folder: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="The artifact's folder.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing artifact.")] = False,
    weights: WeightsOption = None,
    seed: SeedOption = 0,
    input_size: InputSizeOption = None,
    dynamic_size: Annotated[
        bool, typer.Option("--dynamic-size", help="Leave height and width open, if the model allows it.")
    ] = False,
    given: InputFilesOption = None,
    mean: MeanOption = None,
    std: MeanOption = None,
    in_model: Annotated[
        bool,
        typer.Option(
            "--preprocessing-in-model",
            help="Write mean and std into the model: it then takes a photo's cropped pixels, uint8, N x H x W x 3.",
        ),
    ] = False,
    outputs: OutputsOption = None,
    operations: OperationsOption = None,
    depth: DepthOption = None,
    averaged: Annotated[
        bool,
        typer.Option(
            "--averaged",
            help="Also write the averaged probe, which returns each output's mean over its channels: nearly free to "
            "run.",
        ),
    ] = False,
    full: Annotated[
        bool, typer.Option("--full/--no-full", help="Write the probe with every tensor, or only the averaged one.")
    ] = True,
    submodule: SubmoduleOption = None,
    capture: CaptureOption = "auto",
    leaf: LeafOption = None,
    quiet: QuietOption = False,
) -> None:
    """Write a model's probe as an artifact that needs no source.

    It holds the probe as ONNX, TorchScript and torch.export, a float64 reference and a manifest; of an ONNX file, which
    needs no PyTorch, ONNX only. What the model returns is always an output, whatever is selected.

    Example: layerprobe export torchvision:resnet18 -o resnet18
    """
    # A mistake is reported before PyTorch is loaded, which takes seconds.
    means, stds, size = parse_numbers(mean), parse_numbers(std), parse_size(input_size, channels=True)
    if not (averaged or full):
        raise typer.BadParameter("--no-full leaves nothing to write: add --averaged")
    if is_onnx(model):
        refuse_for_files(
            {
                "--weights": weights,
                "--seed": seed,
                "--submodule": submodule,
                "--leaf": leaf,
                "--averaged": averaged,
                "--capture": capture != "auto",
                "--dynamic-size": dynamic_size,
            }
        )
        export_file(
            model,
            folder,
            inputs=given or (),
            size=size,
            mean=means,
            std=stds,
            in_model=in_model,
            outputs=outputs or (),
            operations=operations or (),
            depth=depth,
            overwrite=overwrite,
            quiet=quiet,
        )
        return
    from runtime.artifact.folder import open_artifact
    from runtime.artifact.manifest import Recipe, fixed_batch

    left_out: dict[str, str] = {}
    with model_at_work(quiet) as status:
        from probe import build_probe
        from probe.model.chosen_model import load_chosen
        from probe.model.photo_preprocessing import preprocessing_of
        from probe.pixel_input import on_pixels

        from . import export_artifact
        from .input_file import example_in, read_input_tensors

        example = () if size else example_in(given or [])
        loaded = load_chosen(model, seed=seed, input_size=size, weights=weights, submodule=submodule, example=example)
        for note in () if quiet else loaded.notes:
            say(note, err=True)
        preprocessing = preprocessing_of(loaded, means, stds)
        status.update("tracing")
        with loaded.telling_size():
            probe = build_probe(
                loaded.module,
                *loaded.example,
                kwargs=loaded.kwargs,
                outputs=outputs or (),
                operations=operations or (),
                depth=depth,
                capture=capture,
                dynamic_size=dynamic_size,
                leaf_modules=leaf or (),
            )
        if in_model:
            probe, preprocessing = on_pixels(probe, preprocessing)
        export_artifact(
            probe,
            folder,
            name=loaded.name,
            preprocessing=preprocessing,
            recipe=Recipe(
                model=model,
                seed=seed,
                weights_file=weights is not None,
                submodule=submodule,
                input_size=list(size),
                leaf_modules=leaf or [],
            ),
            reference_inputs=read_input_tensors(given or [], probe, preprocessing),
            averaged=averaged,
            full=full,
            overwrite=overwrite,
            on_phase=status.update,
            on_left_out=lambda file, reason: left_out.update({file: reason}),
        )
    print_capture(probe, quiet)
    for file, reason in () if quiet else left_out.items():
        say(f"{file} is left out: {reason}", err=True)
    kinds = "ONNX and TorchScript" if left_out or not full else "ONNX, TorchScript and torch.export"
    maps = "" if not averaged else ", averaged only" if not full else ", and averaged"
    batch = fixed_batch(open_artifact(folder).manifest.inputs)
    fixed = "" if batch is None else f"; the batch is fixed at {batch}"
    say(f"{folder}: {loaded.name} as {kinds}{maps}, outputs: {len(probe.outputs)}{fixed}")
