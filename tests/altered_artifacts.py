"""Artifacts that somebody has altered, in a copy: the manifest alone, or with its copy inside the ONNX file."""

import copy
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx

__all__ = [
    "IMPOSSIBLE",
    "VALUES",
    "alter_everywhere",
    "alter_manifest",
    "copy_of",
    "places",
    "rehash",
    "with_value",
]


def copy_of(folder: Path, target: Path) -> Path:
    """Copy an artifact with its manifest, ONNX file and reference."""
    return Path(shutil.copytree(folder, target))


def alter_manifest(folder: Path, change: Callable[[Any], Any]) -> Any:
    """Change what is in `manifest.json`; return the new content, which is the changed one if nothing is returned."""
    file = folder / "manifest.json"
    content = json.loads(file.read_text())
    changed = change(content)
    content = content if changed is None else changed
    file.write_text(json.dumps(content))
    return content


def alter_everywhere(folder: Path, change: Callable[[Any], Any]) -> None:
    """Change the manifest and its copy in `model.onnx`, and the hash, as somebody does who knows the format."""
    content = alter_manifest(folder, change)
    model = onnx.load(folder / "model.onnx")
    for entry in model.metadata_props:
        if entry.key == "layerprobe.manifest":
            entry.value = json.dumps({**content, "files": {}} if isinstance(content, dict) else content)
    onnx.save(model, folder / "model.onnx")
    rehash(folder, "model.onnx")


def rehash(folder: Path, *names: str) -> None:
    """Enter the files' hashes in the manifest."""

    def enter(manifest: Any) -> None:
        for name in names:
            manifest["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()

    alter_manifest(folder, enter)


_REMOVED = object()
VALUES: tuple[Any, ...] = (
    *(_REMOVED, None, {}, [1], "", "object", f"N*{'9' * 400}", "a\x1b]0;b\nAll pass.", "A" * 1000),
    *(-1, 0, 2**40, 10**30, 1e301, float("nan")),
)
"""What a field of a manifest is replaced by."""


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield every field; of a list, the first entry stands for all."""
    yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for key, inner in entries:
        yield from places(inner, (*path, key))


def with_value(content: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return None if value is _REMOVED else value
    changed = copy.deepcopy(content)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    if value is _REMOVED:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return changed


IMPOSSIBLE = {
    "a layout of another rank": (lambda m: m["outputs"][0].update(shape=["N", 8]), "doesn't fit its shape, N x 8"),
    "a layout of unknown letters": (lambda m: m["outputs"][0].update(layout="NXYZ"), "unknown layout 'NXYZ'"),
    "a layout with an axis twice": (lambda m: m["outputs"][0].update(layout="NCCW"), "unknown layout 'NCCW'"),
    "an unknown type": (lambda m: m["outputs"][0].update(dtype="object"), "unknown type 'object'"),
    "an unknown size": (lambda m: m["inputs"][0].update(shape=["1/0*N", 3, 64, 64]), "unknown size '1/0"),
    "a size that nothing has": (lambda m: m["outputs"][0].update(shape=["N", 2**40, 9, 9]), "impossible size"),
    "tokens of another number": (
        lambda m: m["outputs"][0].update(
            shape=["N", 10, 3], layout="NLC", tokens={"before": 0, "height": 3, "width": 4, "after": 0}
        ),
        "has 10 tokens, of which 12 are laid out",
    ),
    "a mean of several channels": (
        lambda m: m["outputs"][0].update(averaged=64),
        "is the mean of 64 channels, and it is no N x 1 x H x W",
    ),
    "tokens in a map": (
        lambda m: m["outputs"][0].update(tokens={"before": 0, "height": 3, "width": 4, "after": 0}),
        "has tokens, and its layout is",
    ),
    "a mean that no pixel has": (lambda m: m["preprocessing"].update(mean=[1e30] * 3), "less than or equal to"),
    "an empty name": (lambda m: m["outputs"][0].update(name=""), "a name is empty"),
}
"""What cannot be true of a manifest, each with what is said of it."""
