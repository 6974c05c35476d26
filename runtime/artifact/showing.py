"""What an object is, in a few lines for a prompt: short, whatever the model's size; a notebook gets a table."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from .by_name import load

__all__ = ["ShowsOutputs", "listing", "shape_words"]

_LINES, _LAST = 8, 3
_LONGEST = 90
"""Characters: with the heading the whole is under 1,000."""
_TABLE = "runtime.notebook.outputs_table:outputs_html"


def shape_words(shape: Iterable[object]) -> str:
    """Return `N x 3 x 16 x 16`."""
    return " x ".join(map(str, shape)) or "a scalar"


def listing(heading: str, lines: Sequence[str]) -> str:
    """Return a heading and the lines below it; of many, the first and the last."""
    shown = list(lines)
    if len(shown) > _LINES:
        between = len(shown) - _LINES + 1
        shown = [*shown[: _LINES - 1 - _LAST], f"… {between} more", *shown[-_LAST:]]
    return "\n".join([_cut(heading, 2 * _LONGEST), *(f"  {_cut(line, _LONGEST)}" for line in shown)])


class _HasOutputs(Protocol):
    @property
    def title(self) -> str: ...
    @property
    def inputs(self) -> Sequence[Any]: ...
    @property
    def outputs(self) -> Sequence[Any]: ...


class ShowsOutputs:
    """A probe or a manifest: shown by its inputs and outputs. The class has `title`, `inputs`, `outputs`, `results`."""

    def __repr__(self: _HasOutputs) -> str:
        takes = ", ".join(each.described for each in self.inputs)
        return listing(
            f"{self.title}: takes {takes}; outputs: {len(self.outputs)}",
            [f"{each.name}: {each.label}, {shape_words(each.shape)}" for each in self.outputs],
        )

    def __str__(self) -> str:
        return repr(self)

    def _repr_html_(self) -> str:
        shown: str = load(_TABLE)(self)
        return shown


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
