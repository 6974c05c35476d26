"""The command `layerprobe`: finds its subcommands by entry points, and turns errors into messages and exit codes.

A subcommand's module is imported only when the subcommand is called, so that `layerprobe grid` never loads PyTorch,
and a machine without PyTorch still has every command that doesn't need it.
"""

import atexit
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import EntryPoints, distribution, version
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from .artifact.cli_options import HEADINGS
from .artifact.errors import first_line
from .artifact.plain_text import shown

__all__ = ["app", "main"]

_GROUP = "layerprobe.commands"
_ORDER = ("nodes", "export", "run", "grid", "verify", "compare", "bench", "stats", "demo")
_INTERNAL_ERROR = 70
"""EX_SOFTWARE of sysexits.h: 1 means that a verification failed."""
_LONGEST_LINE = 1000
"""Characters of a line of an error: other libraries' messages can hold whole lists from a file."""
_INTERRUPTED = 130
_BROKEN_PIPE = 141
"""What a shell reports for a command that SIGINT or SIGPIPE ended."""


class _GroupedCommand(TyperCommand):
    """A command whose `--help` lists its options under headings, in the order in which they are declared."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                is_argument = parameter.param_type_name == "argument"
                given = getattr(parameter, "rich_help_panel", None) or HEADINGS.get(parameter.name or "", "Options")
                heading = "Arguments" if is_argument else given
                groups.setdefault(heading, []).append(record)
        for heading, records in groups.items():
            with formatter.section(heading):
                formatter.write_dl(records)


class _EntryPointGroup(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        # Handled here, because Typer exits with code 1 on a closed pipe, which would mean a failed verification.
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(_BROKEN_PIPE) from None
        except KeyboardInterrupt:
            print("layerprobe: interrupted", file=sys.stderr)
            raise typer.Exit(_INTERRUPTED) from None
        return result

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        names = _commands().names
        return sorted(names, key=lambda name: (_ORDER.index(name) if name in _ORDER else len(_ORDER), name))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        found = _commands().select(name=cmd_name)
        if not found:
            return None
        single = typer.Typer(add_completion=False, rich_markup_mode=None)
        single.command(cmd_name, cls=_GroupedCommand)(next(iter(found)).load())
        command: Any = typer.main.get_command(single)
        for parameter in command.params:
            if parameter.param_type_name == "argument":
                # Its name is enough; Typer would add `<list[Path]>`.
                parameter.display_type_rich = lambda ctx: None  # noqa: ARG005
        return command


def _commands() -> EntryPoints:
    # Only this distribution: searching all installed ones takes longer than most commands.
    return distribution("layerprobe").entry_points.select(group=_GROUP)


app = typer.Typer(
    cls=_EntryPointGroup,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"layerprobe {version('layerprobe')}")
        raise typer.Exit


@app.callback()
def _umbrella(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the full traceback of an error.")] = False,
) -> None:
    """Every intermediate tensor of a PyTorch CNN by name: export it, run it anywhere, draw it, verify it.

    Exit codes: 0 success, 1 verification failed, 2 wrong usage, 3 an input is unreadable or invalid,
    4 a requested runtime or provider is not available.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit; errors go to stderr in one or two lines, with the exit codes that --help lists."""
    exit_code: list[int] = []
    # pydantic would look for plugins in the metadata of every installed package: an eighth of a short command's time.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    if arguments is None:  # otherwise the caller may go on
        # The function that is registered first runs last, after every thread has ended.
        atexit.register(_forgo_cleanup, exit_code)
    given = list(sys.argv[1:] if arguments is None else arguments)
    # --debug is accepted anywhere: after an error, users repeat the command and append it.
    debug = "--debug" in given
    if sys.stdout is None:  # closed by the caller (`>&-`)
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - for as long as the process lives
    with suppress(AttributeError, ValueError):  # a stream that a caller has put in place
        # What the terminal's encoding lacks, a letter or a file name that isn't UTF-8, is written as its number.
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    arguments = [argument for argument in given if argument != "--debug"] or ["--help"]
    try:
        # Not standalone, so that a usage error is reported like every other error, in two lines.
        code = app(args=arguments, prog_name="layerprobe", standalone_mode=False)
    except Exception as error:
        if debug:
            raise
        message, code = _explain(error)
        print("\n".join(line[:_LONGEST_LINE] for line in shown(f"layerprobe: {message}").split("\n")), file=sys.stderr)
    if code == _INTERRUPTED:
        _end_at_once(code)
    exit_code.append(code or 0)
    sys.exit(code or 0)


def _forgo_cleanup(exit_code: Sequence[int]) -> None:
    """Keep Python from freeing all that was imported, object by object, just before the process ends.

    With PyTorch that takes a second. If only the search for garbage were left out, Triton, which PyTorch brings, would
    report on stderr every object that isn't collected.
    """
    for code in exit_code:
        sys.stdout.flush()  # an error is Python's to report
        _end_at_once(code)


def _end_at_once(code: int) -> NoReturn:
    """Exit without Python's own cleanup, which after an interrupt waits for the runtimes' threads, possibly forever.

    One of them may wait for a lock that was held when the interrupt came, such as an import lock.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()
    os._exit(code)


def _explain(error: Exception) -> tuple[str, int]:
    exit_code = getattr(error, "exit_code", None)
    usage = getattr(error, "format_message", None)  # an error of Typer's
    if usage is not None and isinstance(exit_code, int):
        command = getattr(getattr(error, "ctx", None), "command_path", "layerprobe")
        return f"{usage()}\n`{command} --help` shows the usage.", exit_code
    if isinstance(exit_code, int):
        return str(error), exit_code
    if isinstance(error, ImportError):
        package = (error.name or "").partition(".")[0]
        if isinstance(error, ModuleNotFoundError) and package:
            message = f"this needs the package {package}, which is not installed.\npip install 'layerprobe[export]'"
        else:
            message = f"a package can't be loaded: {first_line(error)}\nReinstall it; --debug shows which one."
        return message, 4
    if isinstance(error, OSError):
        return f"{error.filename or 'writing the output'}: {error.strerror or error}", 3
    if isinstance(error, MemoryError):
        return "not enough memory: use a smaller input, fewer --outputs, or fewer images at once", 3
    return (
        f"internal error: {type(error).__name__}: {first_line(error)}\nRun again with --debug to see where.",
        _INTERNAL_ERROR,
    )
