"""What the commands print and show while they work, and the places that they refuse to write to."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["phases", "print_left_out", "print_table", "progress", "refuse_to_overwrite", "refuse_unwritable"]

_PROGRESS_FROM = 10
"""Images from which on a progress bar is shown."""


def print_table(table: "RenderableType") -> None:
    """Print on stdout."""
    from rich.console import Console

    # On a pipe there is no width to fit. Typer prints, because rich ends the process where the reader has gone.
    console = Console(width=None if sys.stdout.isatty() else 1000, highlight=False)
    with console.capture() as text:
        console.print(table)
    # rich fills each line of a table up with blanks.
    typer.echo("\n".join(line.rstrip() for line in text.get().splitlines()))


def print_left_out(reasons: Mapping[str, str], quiet: bool) -> None:
    """Print on stderr which runners are left out, and why."""
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
def progress(what: str, total: int | None, quiet: bool) -> Iterator[Callable[[int, int], None]]:
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


def refuse_to_overwrite(file: Path, artifact: Path, images: Sequence[Path]) -> None:
    """Refuse a result that would take the place of an image given, or of a part of the artifact."""
    from .artifact.errors import UsageError

    target = file.resolve()
    folder = artifact.resolve()
    if folder in (target, target.parent) or target in {image.resolve() for image in images}:
        raise UsageError(f"{file} is an input of this command, or lies in the artifact: choose another file.")


def refuse_unwritable(file: Path | None, artifact: Path, inputs: Sequence[Path] = ()) -> None:
    """Refuse a report that would take the place of an input, or has no place, before the work is done."""
    if file is not None:
        from .artifact.file_replacement import check_place

        refuse_to_overwrite(file, artifact, inputs)
        check_place(file)
