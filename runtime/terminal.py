"""What the commands print and show while they run: tables, status lines, progress bars."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .artifact.plain_text import say, shown

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from .runners.base import Runner

__all__ = ["phases", "print_left_out", "print_table", "progress", "run_by"]

_PROGRESS_FROM = 10
"""Number of images from which on a progress bar is shown."""


def print_table(table: "RenderableType") -> None:
    """Print a table to stdout."""
    from rich.console import Console

    # A pipe has no width to fit. Typer prints, because rich exits the process when the reader has closed the pipe.
    console = Console(width=None if sys.stdout.isatty() else 1000, highlight=False)
    with console.capture() as text:
        console.print(_WithoutControls(table))
    # rich pads each line of a table with spaces.
    say("\n".join(line.rstrip() for line in text.get().splitlines()))


class _WithoutControls:
    """A table whose texts have no control characters; what rich adds, to colour them, stays."""

    def __init__(self, table: "RenderableType") -> None:
        self._table = table

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        from rich.segment import Segment

        for segment in console.render(self._table, options):
            yield segment if segment.control else Segment(shown(segment.text), segment.style)


def print_left_out(reasons: Mapping[str, str], quiet: bool) -> None:
    """Print to stderr which runners are left out, and why."""
    for name, reason in () if quiet else reasons.items():
        say(f"{name} is left out: {reason}", err=True)


def run_by(runner: "Runner", provider: str) -> str:
    """Return what ran a model, and why it wasn't the GPU if there is one that `auto` left unused."""
    from .runners.cuda_support import why_gpu_is_unused

    why = why_gpu_is_unused() if provider == "auto" and runner.name == "onnx-cpu" else None
    return f"by {runner.name} on {runner.providers[0]}{f' (the GPU is not used: {why})' if why else ''}"


@contextmanager
def phases(quiet: bool) -> Iterator[Callable[[str], None]]:
    """Yield a function that shows the current phase on stderr, if that is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda _phase: None
        return
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status("opening the artifact") as status:
        yield lambda phase: status.update(escape(shown(phase)))


@contextmanager
def progress(what: str, total: int | None, quiet: bool, *, rate: bool = False) -> Iterator[Callable[[int, int], None]]:
    """Yield a function that takes (done, total) and moves a progress bar on stderr: on a terminal, from ten on.

    Args:
        what: what is counted.
        total: how many there are, if that is known.
        quiet: whether to show nothing.
        rate: whether to show how many are done in a second; the first call then says how many were done before.
    """
    if quiet or (total is not None and total < _PROGRESS_FROM):
        yield lambda _done, _of_all: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.1f} {what}/s" if task.speed else "", style="progress.data.speed")

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), *((Rate(),) if rate else ()), TimeLeft())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total, visible=False)
        started = not rate

        def advance(done: int, of_all: int) -> None:
            nonlocal started
            visible = of_all >= _PROGRESS_FROM
            if started:
                bar.update(task, completed=done, total=of_all, visible=visible)
            else:
                bar.reset(task, completed=done, total=of_all, visible=visible)
                started = True

        yield advance
