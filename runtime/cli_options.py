"""The options of the commands that run an artifact: how to run it, which runner, and which reports to write.

Settings, runners and report forms are declared from their tables: `runners/settings.py`, `runners/registry.py`,
`reporting/forms.py`. Options shared with `nodes` and `export` are in `artifact/cli_options.py`.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from .artifact.cli_options import (
    MODEL_FORMS,
    REPORTS,
    CaptureOption,
    LeafOption,
    MeanOption,
    SeedOption,
    SubmoduleOption,
    WeightsOption,
    parse_numbers,
    parse_size,
)
from .maps.grid_style import (
    DEFAULT_STYLE,
    LARGEST_FONT,
    LARGEST_WIDTH,
    SMALLEST_FONT,
    SMALLEST_WIDTH,
    GridStyle,
)
from .maps.reductions import AUTO, REDUCTIONS
from .reporting.forms import FORMS
from .runners.registry import DEFAULT_RUNNERS, RUNNERS
from .runners.settings import DEFAULT_SETTINGS, MOST_THREADS, ConvolutionSearch, GraphOptimization, Settings, WebBackend

__all__ = [
    "CAM_METHODS",
    "ArtifactArgument",
    "CamChoices",
    "DrawnArgument",
    "DrawnSizeOption",
    "InputSizeOption",
    "Provider",
    "ProviderOption",
    "RunnersOption",
    "Runtime",
    "RuntimeOption",
    "TrustOption",
    "image_size",
    "refuse_unused_backend",
    "takes_cam",
    "takes_choices",
    "takes_reports",
    "takes_settings",
    "takes_style",
]

Command = Callable[..., None]
Provider = Literal["auto", "cuda", "cpu"]
Runtime = Literal["onnx", "torchscript", "onnx-node", "onnx-web"]

ArtifactArgument = Annotated[
    Path, typer.Argument(metavar="ARTIFACT", help="A folder written by `layerprobe export`, or a model file from one.")
]
DrawnArgument = Annotated[
    Path,
    typer.Argument(
        metavar="ARTIFACT|MODEL",
        help="A folder written by `layerprobe export`, a model file from one, or a model, whose source then runs: "
        + MODEL_FORMS,
    ),
]
DrawnSizeOption = Annotated[
    str | None,
    typer.Option(
        "--input-size",
        metavar="N|HxW",
        help="Size of the image: for a model, or for an artifact exported with --dynamic-size.",
    ),
]
InputSizeOption = Annotated[
    str | None,
    typer.Option(metavar="N|HxW", help="Image size to use instead, if the model was exported with --dynamic-size."),
]
RuntimeOption = Annotated[Runtime, typer.Option("--runner", help="Runtime that executes the model.")]
ProviderOption = Annotated[
    Provider, typer.Option("--provider", help="auto uses CUDA where it works; cuda never falls back.")
]
_PROGRAMS = [name for name, row in RUNNERS.items() if row.program]
_DATA = [name for name in DEFAULT_RUNNERS if name not in _PROGRAMS]

RunnersOption = Annotated[
    list[str] | None,
    typer.Option(
        "--runner",
        metavar="R",
        help=f"{', '.join(RUNNERS)}, or all. Default: those of {', '.join(_DATA)} that work here, with --trust also of "
        f"{', '.join(name for name in DEFAULT_RUNNERS if name in _PROGRAMS)}. May be repeated.",
    ),
]
TrustOption = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Also run programs, which can do whatever you can: for an artifact of your own. Without, "
        f"{', '.join(_PROGRAMS)} run only if --runner names them; the path of a .pt or .pt2 file does not.",
    ),
]

_SETTINGS: dict[str, Any] = {
    "graph_optimization": Annotated[
        GraphOptimization, typer.Option(help="ONNX Runtime's levels; TorchScript has only disabled and all.")
    ],
    "tf32": Annotated[
        bool, typer.Option("--tf32/--no-tf32", help="Allow TF32 on a GPU: products with a 10-bit mantissa.")
    ],
    "threads": Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST_THREADS, metavar="N", help="Threads per operation; by default, the runtime chooses."
        ),
    ],
    "convolution_search": Annotated[
        ConvolutionSearch, typer.Option(help="How ONNX Runtime chooses cuDNN's algorithms on a GPU.")
    ],
    "web_backend": Annotated[
        WebBackend,
        typer.Option(help="For onnx-web: WebAssembly under Node, or WebAssembly or WebGPU in headless Chromium."),
    ],
}
_STYLE: dict[str, Any] = {
    "overlay": Annotated[
        bool, typer.Option("--overlay", help="Each map over the whole photo, with what the model didn't see dimmed.")
    ],
    "reduce": Annotated[
        str,
        typer.Option(
            metavar="|".join((AUTO, *REDUCTIONS)),
            help="From a tensor to a map, over its channels. auto: the mean, and pca where that shows nothing. pca3: "
            "three components, as brightness and hue.",
        ),
    ],
    "shared": Annotated[
        bool | None,
        typer.Option(
            "--shared-scale/--own-scale", help="One scale for all tiles (of --channels, by default), or each its own."
        ),
    ],
    "symmetric": Annotated[
        bool | None,
        typer.Option(help="Colours from -x to x for what has both signs (of --channels, by default)."),
    ],
    "clip": Annotated[
        float | None,
        typer.Option(
            metavar="PERCENT",
            help="Of the pixels, at either end, that share the end's colour (1, and only where so few would take most "
            "of the colours; 0 never clips).",
        ),
    ],
    "cmap": Annotated[
        str | None, typer.Option(metavar="NAME", help="A matplotlib colour map (viridis; RdBu_r if symmetric).")
    ],
    "columns": Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Tiles per row (as many as make an even page).")
    ],
    "width": Annotated[
        int | None,
        typer.Option(min=SMALLEST_WIDTH, max=LARGEST_WIDTH, metavar="PX", help="Width of the picture, in pixels."),
    ],
    "font_size": Annotated[
        int | None, typer.Option(min=SMALLEST_FONT, max=LARGEST_FONT, metavar="PX", help="Of the names, in pixels.")
    ],
    "aliases": Annotated[
        bool, typer.Option("--aliases", help="Also draw outputs that repeat another tile: dropout, views, fresh norms.")
    ],
}
CAM_METHODS = "auto|exact|ablation|score|eigen"
"""The rows of `cam/methods.py`, which a grid without class activation maps has no use for and doesn't import."""
_CAM: dict[str, Any] = {
    "cam": Annotated[
        bool,
        typer.Option(
            "--cam",
            help="Draw class activation maps over the photo, where a classifier sees a class: of the last layer before "
            "its head, or of --outputs.",
        ),
    ],
    "class_": Annotated[
        list[int] | None,
        typer.Option(
            "--class",
            min=0,
            metavar="N",
            help="For --cam: a class, by its number (the most probable). May be repeated.",
        ),
    ],
    "method": Annotated[
        list[str] | None,
        typer.Option(
            metavar=CAM_METHODS,
            help="For --cam: exact needs a head of an average and a linear layer; ablation runs what follows the "
            "layer, without each channel; score runs the whole model on masked photos; eigen needs no class. auto: the "
            "first that is possible. May be repeated.",
        ),
    ],
}
_CHOICES: dict[str, tuple[Any, Any]] = {
    "weights": (WeightsOption, None),
    "seed": (SeedOption, 0),
    "mean": (MeanOption, None),
    "std": (MeanOption, None),
    "submodule": (SubmoduleOption, None),
    "capture": (CaptureOption, "auto"),
    "leaf": (LeafOption, None),
}
_LIVE_MODEL: dict[str, Any] = {
    "model": Annotated[
        str | None, typer.Option(metavar="MODEL", help="For --runner eager: the live model, named as for export.")
    ],
    "weights": Annotated[Path | None, typer.Option(metavar="F", help="For --runner eager: its weights file.")],
    "seed": Annotated[
        int | None, typer.Option(min=0, max=2**63 - 1, help="For --runner eager: the seed of fresh weights.")
    ],
}


def refuse_unused_backend(settings: Settings, runners: Sequence[str]) -> None:
    """Refuse --web-backend where nothing runs that it is for: another runner would seem to be judged.

    Raises:
        typer.BadParameter: it was given, and neither onnx-web nor all.
    """
    if settings.web_backend != DEFAULT_SETTINGS.web_backend and {"onnx-web", "all"}.isdisjoint(runners):
        raise typer.BadParameter("--web-backend is for ONNX Runtime Web: add --runner onnx-web")


def image_size(text: str | None) -> tuple[int, int] | None:
    """Return height and width, or None if no size was given."""
    size = parse_size(text)
    return (size[0], size[1]) if size else None


def takes_settings(*, live_model: bool = False) -> Callable[[Command], Command]:
    """Replace a command's parameter `settings` with one option per setting; the command gets `Settings`.

    Args:
        live_model: whether to add the options that choose the live model for the runner `eager`.
    """
    options = _SETTINGS | (_LIVE_MODEL if live_model else {})
    declared = {name: (annotation, getattr(DEFAULT_SETTINGS, name)) for name, annotation in options.items()}
    return _in_place_of("settings", lambda given: Settings(**given), declared)


def takes_style() -> Callable[[Command], Command]:
    """Replace a command's parameter `style` with one option per choice; the command gets a `GridStyle`."""
    declared = {name: (annotation, getattr(DEFAULT_STYLE, name)) for name, annotation in _STYLE.items()}
    return _in_place_of("style", lambda given: GridStyle(**given), declared)


@dataclass(frozen=True)
class CamChoices:
    """Which class activation maps are requested."""

    classes: tuple[int, ...]
    """The most probable one, if empty."""
    methods: tuple[str, ...]


def takes_cam() -> Callable[[Command], Command]:
    """Replace a command's parameter `cam` with --cam and its options; the command gets `CamChoices`, or None."""

    def choices(given: Mapping[str, Any]) -> CamChoices | None:
        if given["cam"]:
            return CamChoices(tuple(given["class_"] or ()), tuple(given["method"] or ("auto",)))
        if given["class_"] or given["method"]:
            raise typer.BadParameter("--class and --method choose class activation maps: give --cam")
        return None

    return _in_place_of(
        "cam", choices, {name: (each, None) for name, each in _CAM.items()} | {"cam": (_CAM["cam"], False)}
    )


def takes_choices() -> Callable[[Command], Command]:
    """Replace a command's parameter `choices` with the options of a PyTorch model; the command gets those given."""

    def made(given: Mapping[str, Any]) -> dict[str, Any]:
        found = {name: value for name, value in given.items() if value not in (_CHOICES[name][1], None)}
        return found | {name: parse_numbers(found[name]) for name in ("mean", "std") if name in found}

    return _in_place_of("choices", made, _CHOICES)


def takes_reports(*, of_runs: bool = False) -> Callable[[Command], Command]:
    """Replace a command's parameter `reports` (form to file) with one option per report form.

    Args:
        of_runs: only the forms for a report of two recorded runs.
    """
    declared = {
        name: (
            Annotated[
                Path | None,
                typer.Option(f"--{name.replace('_', '-')}", metavar="F", help=form.help, rich_help_panel=REPORTS),
            ],
            None,
        )
        for name, form in FORMS.items()
        if form.of_runs or not of_runs
    }
    return _in_place_of(
        "reports", lambda given: {name: file for name, file in given.items() if file is not None}, declared
    )


def _in_place_of(
    parameter: str, make: Callable[[Mapping[str, Any]], Any], options: Mapping[str, tuple[Any, Any]]
) -> Callable[[Command], Command]:
    """Replace one parameter of a command with several options, from whose values, by name, its value is made.

    So settings and report forms are each declared in one table, and all commands have the same options.
    """

    def decorate(command: Command) -> Command:
        @wraps(command)
        def run(**given: Any) -> None:
            values = {name: given.pop(name) for name in options}
            command(**given, **{parameter: make(values)})

        signature = inspect.signature(command)
        declared = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
            for each in signature.parameters.values()
            for name, (annotation, default) in (
                options.items() if each.name == parameter else [(each.name, (each.annotation, each.default))]
            )
        ]
        run.__signature__ = signature.replace(parameters=declared)  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in declared}
        return run

    return decorate
