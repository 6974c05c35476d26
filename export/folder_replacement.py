"""An artifact's folder appears whole or not at all, and replaces nothing but an artifact."""

from contextlib import AbstractContextManager
from importlib.metadata import version
from pathlib import Path

from runtime.artifact.errors import ArtifactError
from runtime.artifact.folder_replacement import replace_folder as replace_folder_of
from runtime.artifact.manifest import MANIFEST_FILE, parse_manifest

__all__ = ["replace_folder"]


def replace_folder(target: Path, *, overwrite: bool) -> AbstractContextManager[Path]:
    """Yield an empty folder beside `target` to write into; on leaving without an error it becomes `target`.

    Args:
        target: the folder to create.
        overwrite: replace an existing artifact.

    Raises:
        FolderExists: `target` exists and `overwrite` is not set, or it isn't an artifact, or it holds something else.
        ExportError: the folder can't be written; what was there before is unchanged.
    """
    return replace_folder_of(target, _foreign, overwrite=overwrite)


def _foreign(folder: Path) -> str | None:
    """Return what in a folder is nothing that `export` wrote, and would be lost with it; None if there is nothing."""
    file = folder / MANIFEST_FILE
    if not file.is_file():
        return f"it has no {MANIFEST_FILE}, and so is not an artifact"
    try:
        listed = {MANIFEST_FILE, *parse_manifest(file.read_text(encoding="utf-8"), file).files}
    except (ArtifactError, UnicodeDecodeError):
        return f"its {MANIFEST_FILE} is not one that layerprobe {version('layerprobe')} writes"
    others = sorted(each.name for each in folder.iterdir() if each.name not in listed or not each.is_file())
    return f"it holds {others[0]}, which is none of the files that its {MANIFEST_FILE} lists" if others else None
