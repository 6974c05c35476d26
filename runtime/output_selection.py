"""Choosing outputs of an artifact by name or glob; `probe/selection.py` is its twin for a model, and tells why."""

from collections.abc import Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from .errors import UsageError
from .manifest import Manifest, OutputEntry

__all__ = ["select_outputs"]


def select_outputs(manifest: Manifest, patterns: Sequence[str]) -> list[OutputEntry]:
    """Return the outputs whose names match any of the patterns, in the order of execution; all, if there are none.

    Raises:
        UsageError: a pattern matches nothing; the nearest names are given.
    """
    names = manifest.output_names
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            near = get_close_matches(pattern, names, n=3, cutoff=0.4) or names[:3]
            raise UsageError(f"{manifest.model} has no output {pattern!r}. It has, for example: {', '.join(near)}.")
    return [
        output
        for output in manifest.outputs
        if not patterns or any(fnmatchcase(output.name, pattern) for pattern in patterns)
    ]
