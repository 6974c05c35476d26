"""`layerprobe nodes`. PyTorch is imported when the command runs, so that `layerprobe --help` stays quick."""

import gc
import json
import shutil
import sys
import warnings
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Annotated

import typer

from runtime.artifact.cli_options import (
    MODEL_FORMS,
    Capture,
    CaptureOption,
    DepthOption,
    InputFilesOption,
    InputSizeOption,
    LeafOption,
    OperationsOption,
    OutputsOption,
    QuietOption,
    SubmoduleOption,
    parse_size,
)
from runtime.artifact.onnx_file import is_onnx
from runtime.artifact.plain_text import say

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from rich.status import Status

    from runtime.artifact.manifest import Output

    from .onnx_model.probing import OnnxProbe
    from .probe import Probe

__all__ = [
    "ModelArgument",
    "at_work",
    "model_at_work",
    "model_code",
    "nodes",
    "print_capture",
    "refuse_for_files",
]

_FORMAT_VERSION = 1
"""The version of the JSON document that `nodes --json` prints."""

_OBJECTS = 50_000
"""How many objects are made between two searches for garbage; 700 by default, which takes a tenth of the time."""

ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help=MODEL_FORMS)]


def refuse_for_files(options: "Mapping[str, object]") -> None:
    """Refuse options that say how to build a PyTorch model: by their names, whether they were given.

    Raises:
        BadParameter: one was.
    """
    given = [name for name, value in options.items() if value]
    if given:
        raise typer.BadParameter(f"{given[0]} is for PyTorch models, and MODEL is an ONNX file: omit it")


def nodes(
    model: ModelArgument,
    input_size: InputSizeOption = None,
    given: InputFilesOption = None,
    outputs: OutputsOption = None,
    operations: OperationsOption = None,
    depth: DepthOption = None,
    submodule: SubmoduleOption = None,
    capture: CaptureOption = "auto",
    leaf: LeafOption = None,
    skipped: Annotated[
        bool, typer.Option("--skipped", help="Also list the steps that are not outputs, and why.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")] = False,
    quiet: QuietOption = False,
) -> None:
    """List every output of a model: name, label, shape, source.

    Prints a tree by module, in the order of execution, that also shows what the model returns.

    Example: layerprobe nodes torchvision:resnet18 --op Conv2d
    """
    size = parse_size(input_size, channels=True)
    probe: Probe | OnnxProbe
    if is_onnx(model):
        refuse_for_files({"--submodule": submodule, "--leaf": leaf, "--capture": capture != "auto"})
        probe, modules, name, kind = _probe_of_file(model, size, given or (), quiet)
    elif given:
        raise typer.BadParameter("--input is for ONNX files: a PyTorch model brings its example")
    else:
        probe, modules, name, kind = _probe_of_model(model, size, submodule, capture, leaf or (), quiet)
    from runtime.artifact.selection import select_outputs

    from .node_tree import node_tree, skipped_lines

    # Selected here, not by `build_probe`, which would add the model's results even if they aren't requested.
    chosen = select_outputs(probe.outputs, outputs or (), operations or (), depth)
    if as_json:
        say(_document(name, probe, chosen))
        return
    # On a pipe there is no width to fit.
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    of_all = f" of {len(probe.outputs)}" if outputs or operations or depth else ""
    constants = ", ".join(f"{name} = {value!r}" for name, value in probe.constants.items())
    lines = [
        f"{name} ({kind}), outputs: {len(chosen)}{of_all}, skipped: {len(probe.skipped)}",
        *([f"constants: {constants}"] if constants else []),
        *node_tree(chosen, modules, width, probe.results),
    ]
    if skipped:
        lines += ["", "skipped:", *skipped_lines(probe.skipped)]
    say("\n".join(lines))


def _probe_of_model(
    model: str, size: tuple[int, ...], submodule: str | None, capture: Capture, leaf: "Sequence[str]", quiet: bool
) -> "tuple[Probe, dict[str, str], str, str]":
    """Return a PyTorch model's probe, the class of each of its modules by path, its name and its own class."""
    with model_at_work(quiet) as status:
        from . import build_probe
        from .capture.labels import class_of
        from .model.chosen_model import load_chosen

        loaded = load_chosen(model, input_size=size, submodule=submodule)
        status.update("tracing")
        with loaded.telling_size():
            probe = build_probe(
                loaded.module, *loaded.example, kwargs=loaded.kwargs, capture=capture, leaf_modules=leaf
            )
    print_capture(probe, quiet)
    if probe.fixed_batch is not None and any(len(each.shape) == 4 for each in probe.inputs) and not quiet:
        why = "the model fails on another, or returns a tensor of another rank"
        say(f"the batch is fixed at {probe.fixed_batch}: {why}", err=True)
    modules = {path: class_of(module) for path, module in loaded.module.named_modules(remove_duplicate=False)}
    return probe, modules, loaded.name, probe.model_name


def _probe_of_file(
    file: str, size: tuple[int, ...], inputs: "Sequence[Path]", quiet: bool
) -> "tuple[OnnxProbe, dict[str, str], str, str]":
    """Return an ONNX file's probe, its name and its opset; its modules' classes aren't known."""
    from .onnx_model.loading import load_onnx

    with at_work(quiet, "reading the ONNX file"):
        probe = load_onnx(file, inputs=inputs, size=size).probe
    print_capture(probe, quiet)
    return probe, {}, probe.name, f"ONNX, opset {probe.opset}"


@contextmanager
def at_work(quiet: bool, phase: str) -> "Iterator[Status]":
    """Yield a status line on stderr while something is done."""
    from rich.console import Console

    with Console(stderr=True, quiet=quiet).status(phase) as status:
        yield status


@contextmanager
def model_at_work(quiet: bool) -> "Iterator[Status]":
    """Yield a status line on stderr while a model is loaded and captured, as in `model_code`."""
    with model_code(), at_work(quiet, "loading the model") as status:
        yield status


@contextmanager
def model_code() -> "Iterator[None]":
    """Load and capture a model in the block; what its own code prints goes to stderr.

    PyTorch is imported in the block: half a million objects that all stay, among which garbage is seldom looked for.
    """
    with _seldom_collected(), redirect_stdout(sys.stderr), warnings.catch_warnings():
        from .build import TrainingModeWarning

        # `print_capture` says it in one line.
        warnings.simplefilter("ignore", TrainingModeWarning)
        yield


@contextmanager
def _seldom_collected() -> "Iterator[None]":
    """Let Python look for garbage less often in the block."""
    before = gc.get_threshold()
    gc.set_threshold(_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def print_capture(probe: "Probe | OnnxProbe", quiet: bool) -> None:
    """Print to stderr what is worth knowing of the capture."""
    for note in () if quiet else probe.notes:
        say(f"{probe.name}: {note}" if probe.capture == "onnx" else note, err=True)


def _document(model: str, probe: "Probe | OnnxProbe", outputs: "Sequence[Output]") -> str:
    return json.dumps(
        {
            "format_version": _FORMAT_VERSION,
            "model": model,
            "inputs": [each.model_dump() for each in probe.inputs],
            "constants": dict(probe.constants),
            "outputs": [each.model_dump() for each in outputs],
            "skipped": [each.model_dump() for each in probe.skipped],
            "results": probe.results,
            "capture": probe.capture,
            "capture_reason": probe.capture_reason,
        },
        indent=1,
    )
