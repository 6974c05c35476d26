"""Choosing outputs of a model by name or glob; a pattern that matches nothing is answered with the nearest names.

`runtime/output_selection.py` does the same for an artifact: neither package may import the other, and a third one for
ten lines would cost a reader more than the repetition. A test holds both to the same cases.
"""

from collections.abc import Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from .errors import UnknownOutput

__all__ = ["select_names"]


def select_names(names: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Return those of `names` that match any of the patterns, in their own order; all, if there are no patterns.

    Raises:
        UnknownOutput: a pattern matches nothing.
    """
    if not patterns:
        return list(names)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            near = get_close_matches(pattern, names, n=3, cutoff=0.4)
            hint = f"The nearest: {', '.join(near)}." if near else f"The first: {', '.join(names[:3])}."
            raise UnknownOutput(f"No output is called {pattern!r}. {hint}\n`layerprobe nodes` lists all {len(names)}.")
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]
