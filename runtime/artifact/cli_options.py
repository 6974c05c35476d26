"""The command-line options shared by commands of all three packages, and the headings that `--help` groups options by.

The commands are in `probe/cli.py`, `export/cli.py`, `runtime/cli.py`.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Annotated, Any

import typer

from .errors import UsageError

__all__ = [
    "INPUT",
    "REPORTS",
    "SELECTION",
    "SETTINGS",
    "OperationsOption",
    "OutputsOption",
    "QuietOption",
    "in_place_of",
    "parse_size",
]

INPUT = "Input"
SELECTION = "What to run"
REPORTS = "Reports"
SETTINGS = "Settings"

OutputsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--outputs",
        metavar="GLOB",
        help="Only these outputs: names, globs or module paths. May be repeated.",
        rich_help_panel=SELECTION,
    ),
]
OperationsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--op",
        metavar="LABEL",
        help="Only outputs with this label: Conv2d, '*Norm*'. May be repeated.",
        rich_help_panel=SELECTION,
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print only results and errors.")]


def parse_size(text: str | None, *, channels: bool = False) -> tuple[int, ...]:
    """Parse `224` or `320x480` as height and width, and `1x28x28` as channels, height and width; None gives ().

    Args:
        text: the option's value.
        channels: whether three numbers are allowed.

    Raises:
        UsageError: `text` is not a size.
    """
    if text is None:
        return ()
    parts = text.lower().split("x")
    if len(parts) > 2 + channels or not all(part.isascii() and part.isdecimal() and int(part) for part in parts):
        forms = "224, 320x480 (height x width)" + (" or 1x28x28 (channels first)" if channels else "")
        raise UsageError(f"{text!r} is not a size: give {forms}.")
    sizes = tuple(map(int, parts))
    return sizes * 2 if len(sizes) == 1 else sizes


Command = Callable[..., None]


def in_place_of(
    parameter: str, make: Callable[[Mapping[str, Any]], Any], options: Mapping[str, tuple[Any, Any]]
) -> Callable[[Command], Command]:
    """Replace one parameter of a command with several options, from which its value is made.

    So settings and report forms are each declared in one table, and all commands have the same options.

    Args:
        parameter: its name in the signature of the command.
        make: takes the options' values by name, and returns the parameter's value.
        options: name to Typer's annotation and default.
    """

    def decorate(command: Command) -> Command:
        @wraps(command)
        def run(**given: Any) -> None:
            values = {name: given.pop(name) for name in options}
            command(**given, **{parameter: make(values)})

        signature = inspect.signature(command)
        declared: list[inspect.Parameter] = []
        for each in signature.parameters.values():
            if each.name == parameter:
                declared += [
                    inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
                    for name, (annotation, default) in options.items()
                ]
            else:
                declared.append(each.replace(kind=inspect.Parameter.KEYWORD_ONLY))
        run.__signature__ = signature.replace(parameters=declared)  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in declared}
        return run

    return decorate
