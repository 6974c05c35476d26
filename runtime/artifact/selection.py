"""Choosing outputs by name, glob, module path and label; the error for an unknown name lists the nearest ones."""

from collections import Counter
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from itertools import zip_longest
from typing import TypeVar

from .errors import UsageError
from .manifest import Manifest, Origin

__all__ = ["known_outputs", "select_outputs"]

_LABELS_SHOWN = 12

AnyOrigin = TypeVar("AnyOrigin", bound=Origin)


def select_outputs(
    candidates: Sequence[AnyOrigin],
    patterns: Sequence[str] = (),
    operations: Sequence[str] = (),
    depth: int | None = None,
) -> list[AnyOrigin]:
    """Return the outputs that match any of the patterns and any of the operations, in their own order.

    Args:
        candidates: the outputs to choose from, of a model or of an artifact, in the order of execution.
        patterns: names, module paths, or globs of both (`layer1.*`, `layer?`), whose `*` matches dots as well. If no
            output has the name of a module (`layer4`), its path selects the module's last output, as in torchvision's
            `create_feature_extractor`. All outputs, if empty.
        operations: labels or globs of them (`*Norm*`), case-insensitive. Any label, if empty.
        depth: only the last output of each module so deep (1: `layer4`, 2: `layer4.1`), of each layer above that depth,
            and of each block above it that ends with an operation of its own, as a sum;
            of a module that is called several times, of each call. Any output, if None.

    Raises:
        UsageError: a pattern, an operation or the depth matches nothing, or nothing matches all.
    """
    if depth is not None:
        candidates = _last_of_blocks(candidates, depth)
    named = {name for pattern in patterns for name in _find(pattern, candidates)}
    labelled = {name for operation in operations for name in _find_labelled(operation, candidates)}
    chosen = [
        each
        for each in candidates
        if (not patterns or each.name in named) and (not operations or each.name in labelled)
    ]
    if candidates and not chosen:
        raise UsageError(_explain_empty(candidates, named, patterns, operations))
    return chosen


def known_outputs(manifest: Manifest, names: Sequence[str] | None) -> list[str]:
    """Return `names` without duplicates, in the order of execution; for None, all that the manifest lists.

    Raises:
        UsageError: one of them is not an output, or `names` is empty.
    """
    if names is None:
        return manifest.output_names
    unknown = next((name for name in names if name not in manifest.output_names), None)
    if unknown is not None:
        near = get_close_matches(unknown, manifest.output_names, n=3, cutoff=0.4) or manifest.output_names[:3]
        raise UsageError(f"No output is called {unknown!r}. The nearest: {', '.join(near)}.")
    if not names:
        raise UsageError(f"No output of {manifest.model} was requested: name at least one, or omit the list.")
    return [name for name in manifest.output_names if name in names]


def _last_of_blocks(candidates: Sequence[AnyOrigin], depth: int) -> list[AnyOrigin]:
    containers = set(_module_paths(each.module_path.rpartition(".")[0] for each in candidates))
    found: list[AnyOrigin] = []
    before = ""
    for each, after in zip_longest(candidates, candidates[1:]):
        parts = each.module_path.split(".")
        block = ".".join(parts[:depth])
        if not block or (len(parts) < depth and block in containers):
            # What a module computes between its own modules is in none of them; but the last of it is what the block
            # returns: the sum with its input.
            if block and not (after and f"{after.module_path}.".startswith(f"{block}.")):
                found.append(each)
            before = ""
            continue
        if block == before:
            found.pop()
        found.append(each)
        before = block
    if candidates and not found:
        raise UsageError(f"No module is {depth} deep: all outputs are the model's own.\nOmit --depth.")
    return found


def _find(pattern: str, candidates: Sequence[Origin]) -> list[str]:
    names = [each.name for each in candidates]
    last = {path: each.name for each in candidates for path in _module_paths([each.module_path])}
    # A name of somebody else's may have brackets, which as a glob match other names.
    if pattern in names or pattern in last:
        return [pattern if pattern in names else last[pattern]]
    # Where a module and an output have one name, the output is meant.
    modules = [last[path] for path in last.keys() - set(names) if fnmatchcase(path, pattern)]
    matching = [name for name in names if fnmatchcase(name, pattern)] + modules
    if matching:
        return matching
    known = dict.fromkeys([*names, *last])
    near = get_close_matches(pattern, known, n=3, cutoff=0.4)
    hint = f"The nearest: {', '.join(near)}." if near else f"The first: {', '.join(names[:3])}."
    raise UsageError(
        f"No output or module is called {pattern!r}. {hint}\n"
        f"`layerprobe nodes MODEL`, or an artifact's manifest.json, lists all {len(names)} outputs."
    )


def _find_labelled(operation: str, candidates: Sequence[Origin]) -> list[str]:
    # The label of an ONNX operator has its kernel and stride behind the name.
    matching = [
        each.name
        for each in candidates
        if any(
            fnmatchcase(text.casefold(), operation.casefold())
            for text in (each.label, each.operation.rpartition(".")[2])
        )
    ]
    if matching:
        return matching
    counts = Counter(each.label for each in candidates).most_common()
    by_folded = {label.casefold(): label for label, _ in counts}
    near = [by_folded[folded] for folded in get_close_matches(operation.casefold(), by_folded, n=3, cutoff=0.4)]
    hint = f" The nearest: {', '.join(near)}." if near else ""
    shown = ", ".join(f"{label} ({count})" for label, count in counts[:_LABELS_SHOWN])
    more = f" and {len(counts) - _LABELS_SHOWN} more labels" if len(counts) > _LABELS_SHOWN else ""
    raise UsageError(f"No output has the label {operation!r}.{hint}\nThe labels are: {shown}{more}.")


def _module_paths(paths: Iterable[str]) -> Iterable[str]:
    """Yield each path and those of its parent modules: `layer1.0.conv1`, `layer1.0`, `layer1`."""
    for path in paths:
        while path:
            yield path
            path = path.rpartition(".")[0]  # noqa: PLW2901


def _explain_empty(
    candidates: Sequence[Origin], named: set[str], patterns: Sequence[str], operations: Sequence[str]
) -> str:
    """Return why no output matches both: what the patterns match, with its labels."""
    found = [f"{each.name} ({each.label})" for each in candidates if each.name in named]
    matched = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
    message = f"{_quote(patterns)} matches {matched}: none has the label {_quote(operations)}."
    for pattern in patterns:
        outputs_inside = any(fnmatchcase(each.name, f"{pattern}.*") for each in candidates)
        if outputs_inside and not any(fnmatchcase(each.name, pattern) for each in candidates):
            return f"{message}\nA module's path selects only its last output; '{pattern}.*' matches all inside it."
    return message


def _quote(texts: Sequence[str]) -> str:
    return " or ".join(map(repr, texts))
