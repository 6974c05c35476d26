"""Writes the page of an artifact: the folder appears whole or not at all, and replaces nothing but an earlier page,
in which nothing was changed since.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

from ..artifact.folder import Artifact
from ..artifact.folder_replacement import check_folder, replace_folder
from .site_content import SITE_FILE, artifact_files, changed_file, listed_files, page_files, site_document
from .web_runtime import BACKENDS, web_runtime_files

__all__ = ["write_page"]


def write_page(
    artifact: Artifact,
    target: Path,
    title: str,
    *,
    backends: Iterable[str] = tuple(BACKENDS),
    runtime_files: Path | None = None,
    truths: bool = True,
    overwrite: bool = False,
) -> int:
    """Write a page that draws a photo's maps in the browser.

    Args:
        artifact: a folder, of a model that takes one photo.
        target: the page's folder.
        title: what the page is called.
        backends: the ways to compute that a visitor has: rows of `BACKENDS`.
        runtime_files: as of `web_runtime_files`.
        truths: whether the page can judge the browser, for which it takes the artifact's truths along.
        overwrite: replace an earlier page in which something was changed since, too.

    Returns:
        How many bytes the page has.

    Raises:
        FolderExists: `target` has something else than an earlier page as it was written.
        ArtifactError: the artifact takes no photo, or a file of it is missing or altered.
        RunnerUnavailable: ONNX Runtime Web's files can't be had.
        ExportError: the folder can't be written; what was there before is unchanged.
    """
    foreign = _foreign if overwrite else _foreign_or_changed
    check_folder(target.absolute(), foreign, overwrite=True)
    chosen = [name for name in BACKENDS if name in set(backends)]
    files = page_files() | artifact_files(artifact, truths=truths)
    files |= {f"runtime/{name}": path for name, path in web_runtime_files(chosen, runtime_files).items()}
    document = site_document(artifact, title, files, dict.fromkeys(chosen))
    with replace_folder(target, foreign, overwrite=True) as folder:
        for name, source in files.items():
            copy = folder / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)
        (folder / SITE_FILE).write_text(document, encoding="utf-8")
        return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _foreign(folder: Path) -> str | None:
    """Return what in a folder is no page of ours; None if there is nothing."""
    listed = listed_files(folder)
    if listed is None:
        return f"it has no {SITE_FILE} of a page, and so is none that this command wrote"
    there = (file.relative_to(folder).as_posix() for file in sorted(folder.rglob("*")) if not file.is_dir())
    other = next((name for name in there if name not in listed), None)
    return f"it holds {other}, which is none of the files that its {SITE_FILE} lists" if other else None


def _foreign_or_changed(folder: Path) -> str | None:
    other = _foreign(folder)
    if other is not None:
        return other
    changed = changed_file(folder)
    return f"its {changed} was changed since it was written, and --overwrite would replace it" if changed else None
