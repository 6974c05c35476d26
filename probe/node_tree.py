"""The outputs of a probe as a tree by module path. Text only: nothing is loaded or printed here."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from runtime.artifact.manifest import Output, Skipped
from runtime.artifact.plain_text import one_line
from runtime.artifact.showing import shape_words

__all__ = ["node_tree", "skipped_lines"]

_HEADER = ("name", "label", "shape", "source", "alias of", "returned as")
_GAP = "  "


def node_tree(
    outputs: Sequence[Output],
    modules: Mapping[str, str],
    width: int | None = None,
    results: Mapping[str, str] | None = None,
) -> list[str]:
    """Return a line for each module and below it one for each of its outputs, in the order of execution.

    A module whose outputs come before and after those of another one appears twice: the order is never changed.

    Args:
        outputs: what to list; each line holds the full name, so that it can be copied to `--outputs`.
        modules: path of each module of the model to its class, written as in `Output.operation`.
        width: columns of the terminal, if it is one. If the lines are wider, the sources lose their folders.
        results: what the model returns: path in its return value to the output's name.
    """
    returned: dict[str, str] = {}
    for key, name in (results or {}).items():
        path = one_line(key)
        returned[name] = f"{returned[name]}, {path}" if name in returned else path or "the result"
    lines = _align(list(_rows(outputs, modules, returned, folders=True)))
    if width is not None and max(map(len, lines)) > width:
        lines = _align(list(_rows(outputs, modules, returned, folders=False)))
    return lines


def skipped_lines(skipped: Sequence[Skipped]) -> list[str]:
    """Return a line for each step that is not an output: its name, and why."""
    widest = max((len(node.name) for node in skipped), default=0)
    return [f"{node.name:{widest}}{_GAP}{node.reason}" for node in skipped]


def _rows(
    outputs: Sequence[Output], modules: Mapping[str, str], returned: Mapping[str, str], *, folders: bool
) -> Iterator[tuple[str, ...]]:
    """Yield the cells of each line; a module's line has only one."""
    yield _HEADER
    opened: list[str] = []
    for output in outputs:
        home = _home(output, modules)
        for depth in range(1, len(home) + 1):
            if opened[:depth] != home[:depth]:
                path = ".".join(home[:depth])
                class_name = modules.get(path, "").rpartition(".")[2]
                yield (f"{_GAP * (depth - 1)}{path}{_GAP}{class_name}",)
        opened = home
        yield (
            _GAP * len(home) + output.name,
            output.label,
            shape_words(output.shape),
            _source(output, folders=folders),
            output.alias_of or "",
            returned.get(output.name, ""),
        )


def _home(output: Output, modules: Mapping[str, str]) -> list[str]:
    """Return the path, in parts, of the module that the output is listed under."""
    parts = output.module_path.split(".") if output.module_path else []
    # A module whose class is the operation is a leaf: its output's line shows it.
    return parts[:-1] if modules.get(output.module_path) == output.operation else parts


def _source(output: Output, *, folders: bool) -> str:
    if output.source_file is None:
        return ""
    file = output.source_file if folders else PurePosixPath(output.source_file).name
    return f"{file}:{output.source_line}"


def _align(rows: Sequence[tuple[str, ...]]) -> list[str]:
    # Modules' lines have no columns, so they make none wider.
    columns = zip(*(row for row in rows if len(row) == len(_HEADER)), strict=True)
    widths = [max(map(len, column)) for column in columns]
    return [row[0] if len(row) == 1 else _GAP.join(map(str.ljust, row, widths)).rstrip() for row in rows]
