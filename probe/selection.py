"""Choosing outputs of a model by name, glob, module path and label; what isn't there is answered with what is near.

`runtime/output_selection.py` does the same for an artifact: neither package may import the other, and a third one for
one rule would cost a reader more than the repetition. A test holds both to the same cases.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import NamedTuple

from .errors import UnknownOutput

__all__ = ["Candidate", "select_names"]

_LABELS_SHOWN = 12


class Candidate(NamedTuple):
    """What is known of an output before it is chosen, in the words of `OutputSpec`."""

    name: str
    label: str
    module_path: str


def select_names(
    candidates: Sequence[Candidate], patterns: Sequence[str] = (), operations: Sequence[str] = ()
) -> list[str]:
    """Return the names of the outputs that any pattern stands for and that any operation fits, in their own order.

    Args:
        candidates: the outputs there are, in the order of execution.
        patterns: names, globs of names (`layer1.*`), or paths of modules. Where no output is called like a module
            (`layer4`), its path stands for its last output, as in torchvision's `create_feature_extractor`. All
            outputs, if empty.
        operations: labels or globs of them (`*Norm*`), upper case or lower. Any label, if empty.

    Raises:
        UnknownOutput: a pattern or an operation stands for nothing, or nothing is left that fits both.
    """
    named = {name for pattern in patterns for name in _find(pattern, candidates)}
    labelled = {name for operation in operations for name in _find_labelled(operation, candidates)}
    chosen = [
        each.name
        for each in candidates
        if (not patterns or each.name in named) and (not operations or each.name in labelled)
    ]
    if candidates and not chosen:
        raise UnknownOutput(_tell_apart(candidates, named, patterns, operations))
    return chosen


def _find(pattern: str, candidates: Sequence[Candidate]) -> list[str]:
    names = [each.name for each in candidates]
    matching = [name for name in names if fnmatchcase(name, pattern)]
    if matching:
        return matching
    inside = [each.name for each in candidates if f"{each.module_path}.".startswith(f"{pattern}.")]
    if pattern and inside:
        return inside[-1:]
    known = dict.fromkeys([*names, *_module_paths(each.module_path for each in candidates)])
    near = get_close_matches(pattern, known, n=3, cutoff=0.4)
    hint = f"The nearest: {', '.join(near)}." if near else f"The first: {', '.join(names[:3])}."
    raise UnknownOutput(
        f"No output or module is called {pattern!r}. {hint}\n`layerprobe nodes` lists all {len(names)} outputs."
    )


def _find_labelled(operation: str, candidates: Sequence[Candidate]) -> list[str]:
    matching = [each.name for each in candidates if fnmatchcase(each.label.casefold(), operation.casefold())]
    if matching:
        return matching
    counts = Counter(each.label for each in candidates).most_common()
    by_folded = {label.casefold(): label for label, _ in counts}
    near = [by_folded[folded] for folded in get_close_matches(operation.casefold(), by_folded, n=3, cutoff=0.4)]
    hint = f" The nearest: {', '.join(near)}." if near else ""
    shown = ", ".join(f"{label} ({count})" for label, count in counts[:_LABELS_SHOWN])
    more = f" and {len(counts) - _LABELS_SHOWN} labels more" if len(counts) > _LABELS_SHOWN else ""
    raise UnknownOutput(f"No output has the label {operation!r}.{hint}\nThere are: {shown}{more}.")


def _module_paths(paths: Iterable[str]) -> Iterable[str]:
    """Yield each path with those of the modules around it: `layer1.0.conv1`, `layer1.0`, `layer1`."""
    for path in paths:
        while path:
            yield path
            path = path.rpartition(".")[0]  # noqa: PLW2901


def _tell_apart(
    candidates: Sequence[Candidate], named: set[str], patterns: Sequence[str], operations: Sequence[str]
) -> str:
    """Say why no output fits both: what the patterns stand for, with its labels."""
    found = [f"{each.name} ({each.label})" for each in candidates if each.name in named]
    meant = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
    message = f"{_quote(patterns)} stands for {meant}: none has the label {_quote(operations)}."
    for pattern in patterns:
        outputs_inside = any(fnmatchcase(each.name, f"{pattern}.*") for each in candidates)
        if outputs_inside and not any(fnmatchcase(each.name, pattern) for each in candidates):
            return f"{message}\nA module's path stands for its last output alone; '{pattern}.*' for all that are in it."
    return message


def _quote(texts: Sequence[str]) -> str:
    return " or ".join(map(repr, texts))
