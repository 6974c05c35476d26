"""The options of the commands that run an artifact: how to run it, which runner, and which reports to write.

What comes in kinds is declared from its table: `runners/settings.py`, `runners/registry.py`, `reporting/forms.py`.
Options that `nodes` and `export` have as well are in `artifact/cli_options.py`.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from .artifact.cli_options import REPORTS, SELECTION, SETTINGS, in_place_of
from .reporting.forms import FORMS
from .runners.registry import DEFAULT_RUNNERS, RUNNERS
from .runners.settings import ConvolutionSearch, GraphOptimization, Settings

__all__ = ["ArtifactArgument", "RunnersOption", "takes_reports", "takes_settings"]

Command = Callable[..., None]

ArtifactArgument = Annotated[
    Path, typer.Argument(metavar="ARTIFACT", help="A folder that `layerprobe export` made, or a model file of one.")
]
RunnersOption = Annotated[
    list[str] | None,
    typer.Option(
        "--runner",
        metavar="R",
        help=f"{', '.join(RUNNERS)}, or all. By default, those of {', '.join(DEFAULT_RUNNERS)} that work here. May be "
        "repeated.",
        rich_help_panel=SELECTION,
    ),
]

_SETTINGS: dict[str, Any] = {
    "graph_optimization": Annotated[
        GraphOptimization,
        typer.Option(help="ONNX Runtime's levels; TorchScript knows disabled and all.", rich_help_panel=SETTINGS),
    ],
    "tf32": Annotated[
        bool,
        typer.Option(
            "--tf32/--no-tf32", help="Let a GPU's products keep 10 bits of the mantissa.", rich_help_panel=SETTINGS
        ),
    ],
    "threads": Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1024,
            metavar="N",
            help="Threads for one operation; the runtime's own choice by default.",
            rich_help_panel=SETTINGS,
        ),
    ],
    "convolution_search": Annotated[
        ConvolutionSearch,
        typer.Option(help="How ONNX Runtime chooses cuDNN's algorithms on a GPU.", rich_help_panel=SETTINGS),
    ],
}
_LIVE_MODEL: dict[str, Any] = {
    "model": Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="For --runner eager: the live model, as export takes it.", rich_help_panel=SETTINGS
        ),
    ],
    "weights": Annotated[
        Path | None, typer.Option(metavar="F", help="For --runner eager: its weights.", rich_help_panel=SETTINGS)
    ],
    "seed": Annotated[
        int | None,
        typer.Option(
            min=0, max=2**63 - 1, help="For --runner eager: the seed of fresh weights.", rich_help_panel=SETTINGS
        ),
    ],
}


def takes_settings(*, live_model: bool = False) -> Callable[[Command], Command]:
    """Give a command an option for each setting, in place of its parameter `settings`, which gets `Settings`.

    Args:
        live_model: also those that say which live model the runner `eager` runs.
    """
    options = _SETTINGS | (_LIVE_MODEL if live_model else {})
    declared = {name: (annotation, Settings.model_fields[name].default) for name, annotation in options.items()}
    return in_place_of("settings", lambda given: Settings(**given), declared)


def takes_reports(*, of_runs: bool = False) -> Callable[[Command], Command]:
    """Give a command an option for each form of a report, in place of its parameter `reports`: form to file.

    Args:
        of_runs: only the forms that a report of two recorded runs has.
    """

    def requested(given: Mapping[str, Path | None]) -> dict[str, Path]:
        return {name: file for name, file in given.items() if file is not None}

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
    return in_place_of("reports", requested, declared)
