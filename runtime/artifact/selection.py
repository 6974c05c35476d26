"""Choosing outputs of an artifact by name, glob, module path and label.

`probe/selection.py` is its twin for a model, and tells why there are two.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from .errors import UsageError
from .manifest import Manifest, OutputEntry

__all__ = ["known_outputs", "select_outputs"]

_LABELS_SHOWN = 12


def select_outputs(
    manifest: Manifest, patterns: Sequence[str] = (), operations: Sequence[str] = ()
) -> list[OutputEntry]:
    """Return the outputs that any pattern stands for and that any operation fits, in the order of execution.

    Args:
        manifest: tells what outputs there are. A module's last output is the last one of those, where the artifact
            was exported with a part of the model's.
        patterns: names, globs of names (`layer1.*`), or paths of modules. Where no output is called like a module
            (`layer4`), its path stands for its last output, as in torchvision's `create_feature_extractor`. All
            outputs, if empty.
        operations: labels or globs of them (`*Norm*`), upper case or lower. Any label, if empty.

    Raises:
        UsageError: a pattern or an operation stands for nothing, or nothing is left that fits both.
    """
    candidates = manifest.outputs
    named = {name for pattern in patterns for name in _find(pattern, candidates)}
    labelled = {name for operation in operations for name in _find_labelled(operation, candidates)}
    chosen = [
        each
        for each in candidates
        if (not patterns or each.name in named) and (not operations or each.name in labelled)
    ]
    if not chosen:
        raise UsageError(_tell_apart(candidates, named, patterns, operations))
    return chosen


def known_outputs(manifest: Manifest, names: Sequence[str] | None) -> list[str]:
    """Return those names, each once, in the order of execution; all that the manifest lists for None.

    Raises:
        UsageError: one of them is no output, or there are none.
    """
    if names is None:
        return manifest.output_names
    unknown = next((name for name in names if name not in manifest.output_names), None)
    if unknown is not None:
        near = get_close_matches(unknown, manifest.output_names, n=3, cutoff=0.4) or manifest.output_names[:3]
        raise UsageError(f"No output is called {unknown!r}. The nearest: {', '.join(near)}.")
    if not names:
        raise UsageError(f"No output of {manifest.model} was asked for: name at least one, or leave the list away.")
    return [name for name in manifest.output_names if name in names]


def _find(pattern: str, candidates: Sequence[OutputEntry]) -> list[str]:
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
    raise UsageError(f"No output or module is called {pattern!r}. {hint}\nThe manifest lists all {len(names)} outputs.")


def _find_labelled(operation: str, candidates: Sequence[OutputEntry]) -> list[str]:
    matching = [each.name for each in candidates if fnmatchcase(each.label.casefold(), operation.casefold())]
    if matching:
        return matching
    counts = Counter(each.label for each in candidates).most_common()
    by_folded = {label.casefold(): label for label, _ in counts}
    near = [by_folded[folded] for folded in get_close_matches(operation.casefold(), by_folded, n=3, cutoff=0.4)]
    hint = f" The nearest: {', '.join(near)}." if near else ""
    shown = ", ".join(f"{label} ({count})" for label, count in counts[:_LABELS_SHOWN])
    more = f" and {len(counts) - _LABELS_SHOWN} labels more" if len(counts) > _LABELS_SHOWN else ""
    raise UsageError(f"No output has the label {operation!r}.{hint}\nThere are: {shown}{more}.")


def _module_paths(paths: Iterable[str]) -> Iterable[str]:
    """Yield each path with those of the modules around it: `layer1.0.conv1`, `layer1.0`, `layer1`."""
    for path in paths:
        while path:
            yield path
            path = path.rpartition(".")[0]  # noqa: PLW2901


def _tell_apart(
    candidates: Sequence[OutputEntry], named: set[str], patterns: Sequence[str], operations: Sequence[str]
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
