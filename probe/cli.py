"""`layerprobe nodes`. PyTorch is imported when the command runs, so that `layerprobe --help` stays quick."""

import json
import shutil
import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .build import Probe
    from .specs import OutputSpec

__all__ = [
    "CaptureChoice",
    "CaptureOption",
    "InputSizeOption",
    "ModelArgument",
    "OperationsOption",
    "OutputsOption",
    "QuietOption",
    "SubmoduleOption",
    "nodes",
    "parse_input_size",
    "tell_capture",
]


class CaptureChoice(StrEnum):
    """What `--capture` takes."""

    AUTO = "auto"
    TRACE = "trace"
    EXPORT = "export"


_FORMAT_VERSION = 1
"""Of the document that `nodes --json` prints."""

_FORMS = "cnn11, cnn2, cnn3, torchvision:NAME, timm:NAME, file.py:factory or package.module:factory."

ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help=_FORMS)]
OutputsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--outputs",
        metavar="GLOB",
        help="Only these, and what the model returns: names, globs or modules' paths; may be repeated.",
    ),
]
OperationsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--op",
        metavar="LABEL",
        help="Only outputs of this label, and what the model returns: Conv2d, '*Norm*'; may be repeated.",
    ),
]
InputSizeOption = Annotated[
    str | None,
    typer.Option(metavar="N|HxW|CxHxW", help="Size of the input image, in pixels; the model's own by default."),
]
SubmoduleOption = Annotated[
    str | None, typer.Option(metavar="PATH", help="Only this part of the model, on what the model gives it.")
]
CaptureOption = Annotated[
    CaptureChoice,
    typer.Option("--capture", help="torch.fx's symbolic tracing, torch.export, or the first of them that works."),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Tell nothing but results and errors.")]


def parse_input_size(text: str | None) -> tuple[int, ...]:
    """Turn `224`, `320x480` or `1x28x28` into height and width, or channels, height and width.

    Raises:
        typer.BadParameter: it is something else.
    """
    if text is None:
        return ()
    parts = text.lower().split("x")
    if len(parts) > 3 or not all(part.isascii() and part.isdecimal() and int(part) for part in parts):
        raise typer.BadParameter(f"{text!r} is no size: give 224, 320x480 (height x width) or 1x28x28 (with channels)")
    sizes = tuple(map(int, parts))
    return sizes * 2 if len(sizes) == 1 else sizes


def nodes(
    model: ModelArgument,
    outputs: Annotated[
        list[str] | None,
        typer.Option("--outputs", metavar="GLOB", help="Only these: names, globs or modules' paths; may be repeated."),
    ] = None,
    operations: Annotated[
        list[str] | None,
        typer.Option("--op", metavar="LABEL", help="Only outputs of this label: Conv2d, '*Norm*'; may be repeated."),
    ] = None,
    input_size: InputSizeOption = None,
    submodule: SubmoduleOption = None,
    capture: CaptureOption = CaptureChoice.AUTO,
    skipped: Annotated[bool, typer.Option("--skipped", help="List what is no output, too, and why.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead, for machines.")] = False,
    quiet: QuietOption = False,
) -> None:
    """List every output of a model: name, label, shape, source.

    As a tree by module, in the order of execution, with what the model returns.
    """
    size = parse_input_size(input_size)
    from rich.console import Console

    from . import build_probe, load_model
    from .capture.labels import class_of
    from .node_tree import node_tree, skipped_lines
    from .selection import Candidate, select_names

    # What a model's own code prints is no result of ours.
    with redirect_stdout(sys.stderr), Console(stderr=True, quiet=quiet).status("making the model") as status:
        loaded = load_model(model, input_size=size)
        if submodule:
            loaded = loaded.submodule(submodule)
        status.update("tracing")
        probe = build_probe(loaded.module, *loaded.example, kwargs=loaded.kwargs, capture=capture.value)
    tell_capture(probe, quiet)
    # Chosen here, not by `build_probe`: that one adds what the model returns, which nobody asked to see.
    candidates = [Candidate(output.name, output.label, output.module_path) for output in probe.outputs]
    kept = set(select_names(candidates, outputs or (), operations or ()))
    chosen = [output for output in probe.outputs if output.name in kept]
    if as_json:
        typer.echo(_document(loaded.name, probe, chosen))
        return
    # On a pipe there is no width to fit.
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    modules = {path: class_of(module) for path, module in loaded.module.named_modules(remove_duplicate=False)}
    of_all = f" of {len(probe.outputs)}" if outputs or operations else ""
    lines = [
        f"{loaded.name} ({probe.model_name}), outputs: {len(chosen)}{of_all}, skipped: {len(probe.skipped)}",
        *node_tree(chosen, modules, width, probe.results),
    ]
    if skipped:
        lines += ["", "skipped:", *skipped_lines(probe.skipped)]
    typer.echo("\n".join(lines))


def tell_capture(probe: "Probe", quiet: bool) -> None:
    """Tell on stderr why `auto` didn't take symbolic tracing, where it didn't."""
    if probe.capture_reason and not quiet:
        typer.echo(f"captured with torch.export: {probe.capture_reason}", err=True)


def _document(model: str, probe: "Probe", outputs: "Sequence[OutputSpec]") -> str:
    return json.dumps(
        {
            "format_version": _FORMAT_VERSION,
            "model": model,
            "inputs": [asdict(spec) for spec in probe.inputs],
            "outputs": [asdict(spec) for spec in outputs],
            "skipped": [asdict(node) for node in probe.skipped],
            "results": probe.results,
            "capture": probe.capture,
            "capture_reason": probe.capture_reason,
        },
        indent=1,
    )
