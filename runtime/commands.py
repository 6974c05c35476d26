"""The command `layerprobe`: its subcommands, and how errors become messages and exit codes.

A subcommand's module is imported only when the subcommand is called, so that `layerprobe grid` never loads PyTorch,
and a machine without PyTorch still has every command that doesn't need it. How the process starts and ends is in
`main.py`.
"""

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from .artifact.by_name import load
from .artifact.cli_options import HEADINGS
from .artifact.errors import first_line, how_to_install
from .artifact.plain_text import shown
from .library_messages import library_messages_hidden

__all__ = ["COMMANDS", "app", "run_command"]

COMMANDS = {
    "nodes": "probe.cli:nodes",
    "export": "export.cli:export",
    "run": "runtime.cli:run",
    "grid": "runtime.grid_cli:grid",
    "verify": "runtime.verify_cli:verify",
    "compare": "runtime.verify_cli:compare",
    "bench": "runtime.cli:bench",
    "scan": "runtime.scan_cli:scan",
    "page": "runtime.page_cli:page",
    "stats": "runtime.cli:stats",
    "demo": "runtime.cli:demo",
}
"""By name, in the order of `--help`: the functions, of which only the one that is called is imported."""
_INTERNAL_ERROR = 70
"""EX_SOFTWARE of sysexits.h: 1 means that a verification failed."""
_HELP = {"help_option_names": ["-h", "--help"]}
_LONGEST_LINE = 1000
"""Characters of a line of an error: other libraries' messages can hold whole lists from a file."""
_BROKEN_PIPE = 141
"""What a shell reports for a command that SIGPIPE ended."""


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
        return result

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except Exception as error:
            from difflib import get_close_matches

            # Typer itself suggests only commands that it has loaded.
            near = get_close_matches(args[0], COMMANDS, n=1, cutoff=0.7)
            if near and hasattr(error, "message"):
                error.message = f"{error.message.rstrip('.')}: did you mean {near[0]}?"
            raise

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        single = typer.Typer(add_completion=False, rich_markup_mode=None, context_settings=_HELP)
        single.command(cmd_name, cls=_GroupedCommand)(load(COMMANDS[cmd_name]))
        command: Any = typer.main.get_command(single)
        for parameter in command.params:
            if parameter.param_type_name == "argument":
                # Its name is enough; Typer would add `<list[Path]>`.
                parameter.display_type_rich = lambda ctx: None  # noqa: ARG005
        return command


app = typer.Typer(
    cls=_EntryPointGroup,
    context_settings=_HELP,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # late: it takes a tenth of a short command's time

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

    ONNX files, manifests, tensors and images are data, whoever they come from: reading them runs nothing. TorchScript
    (.pt), torch.export's files (.pt2) and a model's source are programs, which can do whatever you can: they run only
    where you name the model, or its runner with --runner, or with --trust.

    Exit codes: 0 success, 1 verification failed, 2 wrong usage, 3 an input is unreadable or invalid,
    4 a requested runtime or provider is not available, 130 interrupted (Ctrl-C), 143 terminated.
    """


def run_command(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code; errors go to stderr in one or two lines.

    Raises:
        Exception: with `--debug`, any error.
    """
    # --debug is accepted anywhere: after an error, users repeat the command and append it.
    given = [argument for argument in arguments if argument != "--debug"] or ["--help"]
    try:
        # Not standalone, so that a usage error is reported like every other error, in two lines.
        with library_messages_hidden():
            return app(args=given, prog_name="layerprobe", standalone_mode=False) or 0
    except Exception as error:
        if "--debug" in arguments:
            raise
        message, code = _explain(error)
        print("\n".join(line[:_LONGEST_LINE] for line in shown(f"layerprobe: {message}").split("\n")), file=sys.stderr)
        return code


def _explain(error: Exception) -> tuple[str, int]:
    exit_code = getattr(error, "exit_code", None)
    usage = getattr(error, "format_message", None)  # an error of Typer's
    if usage is not None and isinstance(exit_code, int):
        command = getattr(getattr(error, "ctx", None), "command_path", "layerprobe")
        missing = getattr(getattr(error, "param", None), "help", None) if "Missing" in usage() else None
        told = f"{usage().rstrip('.')}: {missing}" if missing else usage()
        return f"{told}\n`{command} --help` shows the usage.", exit_code
    if isinstance(exit_code, int):
        return str(error), exit_code
    if isinstance(error, ImportError):
        package = (error.name or "").partition(".")[0]
        if isinstance(error, ModuleNotFoundError) and package:
            message = f"this needs the package {package}, which is not installed.\n{how_to_install('export')}"
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
