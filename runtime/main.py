"""The process of the command `layerprobe`, from its first moment to its exit code. The commands are `commands.py`.

What takes time to import is imported within `main`, so that a signal ends the start, too, without a traceback: not even
typing and pathlib are imported here.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

__all__ = ["main"]

_WORDS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "its terminal was closed"}
"""The signals that end a command as Ctrl-C does: what it was writing is removed."""
_AT_ONCE = (("runtime.runners.node_process", "end_all"), ("runtime.artifact.unfinished", "remove_unfinished"))
"""What then ends other processes and removes files, where its module was imported."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit; errors go to stderr in one or two lines, with the exit codes that --help lists."""
    exit_code: list[int] = []
    # pydantic would look for plugins in the metadata of all packages: an eighth of a short command's time.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    if arguments is None:  # otherwise the caller may go on
        _take_signals()
        import atexit

        # The function that is registered first runs last, after every thread has ended.
        atexit.register(_forgo_cleanup, exit_code)
    if sys.stdout is None:  # closed by the caller (`>&-`)
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - as long as the process lives
    with suppress(AttributeError, ValueError):  # a stream that a caller has put in place
        # What the terminal's encoding lacks, a letter or a file name that isn't UTF-8, is written as its number.
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    from .commands import run_command

    exit_code.append(run_command(sys.argv[1:] if arguments is None else arguments))
    sys.exit(exit_code[0])


def _take_signals() -> None:
    for name in _WORDS:
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        # What the caller ignores stays ignored: nohup, or a shell that started this in the background.
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop)


def _stop(number: int, _frame: object) -> NoReturn:
    """End at once. An exception would crash C code that is being imported, and be lost in a destructor."""
    for module, name in _AT_ONCE:
        if end := getattr(sys.modules.get(module), name, None):
            end()
    # On a terminal the line of a progress bar is cleared, and the cursor that it hid is shown.
    clear = "\r\x1b[2K\x1b[?25h" if sys.stderr is not None and sys.stderr.isatty() else ""
    _end_at_once(128 + number, f"{clear}layerprobe: {_WORDS[signal.Signals(number).name]}\n")


def _forgo_cleanup(exit_code: Sequence[int]) -> None:
    """Keep Python from freeing all that was imported, object by object, just before the process ends.

    With PyTorch that takes a second. If only the search for garbage were left out, Triton, which PyTorch brings, would
    report on stderr every object that isn't collected.
    """
    for code in exit_code:
        sys.stdout.flush()  # an error is Python's to report
        _end_at_once(code)


def _end_at_once(code: int, message: str = "") -> NoReturn:
    """Print a message, and exit without Python's own cleanup.

    After an interrupt that would wait for the runtimes' threads, possibly forever: one of them may wait for a lock that
    was held when the interrupt came, such as an import lock.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, RuntimeError, ValueError):  # closed, unread, or interrupted as it wrote
            stream.flush()
    if message and sys.stderr is not None:  # otherwise 2 may be a file that was opened since
        with suppress(OSError):
            os.write(2, message.encode())
    os._exit(code)
