"""Artifacts that somebody has altered, in a copy: the manifest alone, or with its copy inside the ONNX file."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx

__all__ = ["alter_everywhere", "alter_manifest", "copy_of", "rehash"]


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
