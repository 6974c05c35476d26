"""What a page consists of: our modules, ONNX Runtime Web, what of the artifact runs in a browser, and `site.json`.

`site.json` lists every file with its hash, by which an earlier page is known, and what was changed in it since. It also
has what the page would else have to read a large file for.
"""

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..artifact.errors import ArtifactError
from ..artifact.file_hash import file_hash
from ..artifact.file_reading import LARGEST_DOCUMENT_BYTES, read_bounded
from ..artifact.folder import Artifact
from ..artifact.manifest import AVERAGED_FILES, MANIFEST_FILE, ONNX_FILE, OPERATIONS_FILE, REFERENCE_FILE
from .web_runtime import PACKAGE, VERSION

__all__ = ["SITE_FILE", "artifact_files", "changed_file", "listed_files", "page_files", "site_document"]

SITE_FILE = "site.json"
_SCRIPTS = Path(__file__).parents[1] / "javascript"
_FORMAT = 1
_SERVED = (".js", ".css", ".svg")
_OF_NODE = ("node_folder.js", "sharp_photo.js")
_AT_TOP = ("index.html", "service_worker.js")
"""The page itself, and what may answer for all that lies beside or below it."""
_PROGRAMS = (".pt", ".pt2")
_TRUTHS = (REFERENCE_FILE, OPERATIONS_FILE)


def page_files() -> dict[str, Path]:
    """Return what every page has: by its path in the site, where it is."""
    found = {name: _SCRIPTS / "page" / name for name in _AT_TOP}
    for folder in ("page", "src"):
        for file in sorted((_SCRIPTS / folder).rglob("*")):
            if file.suffix in _SERVED and file.name not in (*_OF_NODE, *_AT_TOP):
                found[f"{folder}/{file.relative_to(_SCRIPTS / folder).as_posix()}"] = file
    return found


def artifact_files(artifact: Artifact, *, truths: bool) -> dict[str, Path]:
    """Return what of the artifact a browser uses, under `artifact/`; programs (TorchScript, .pt2) are left out.

    Args:
        artifact: a folder.
        truths: whether the recorded inputs and their truths go along, of which a verdict is made.

    Raises:
        ArtifactError: it is a lone model file, isn't for images, or a file is missing or altered.
    """
    if artifact.path.is_file():
        raise ArtifactError(f"{artifact.path} is a lone model file.\nA page is made of the artifact's folder.")
    artifact.manifest.image_input()  # what takes no photo says so
    found = {MANIFEST_FILE: artifact.path / MANIFEST_FILE}
    for name in artifact.manifest.files:
        of_means = name in AVERAGED_FILES.values()
        if not of_means and not name.endswith(_PROGRAMS) and (truths or name not in _TRUTHS):
            found[name] = artifact.file(name)
    means = artifact.averaged()
    if means is not None:
        found[AVERAGED_FILES[ONNX_FILE]] = means.file(ONNX_FILE)
    return {f"artifact/{name}": path for name, path in found.items()}


def site_document(artifact: Artifact, title: str, files: Mapping[str, Path], backends: Mapping[str, object]) -> str:
    """Return `site.json`.

    Args:
        artifact: of the page.
        title: what the page is called.
        files: by path in the site, all of the page's.
        backends: the ways to compute that it has files for.
    """
    means = artifact.averaged()
    document: dict[str, Any] = {
        "layerprobe_page": _FORMAT,
        "title": title,
        "layerprobe": version("layerprobe"),
        "runtime": f"{PACKAGE} {VERSION}",
        "backends": list(backends),
        # How far each mean may be off by rounding, without the megabytes of the truths that it is known from.
        "noise": means.reference().largest_noise if means is not None else {},
        "truths": f"artifact/{REFERENCE_FILE}" in files,
        "files": {name: file_hash(path) for name, path in sorted(files.items())},
    }
    document["of_this"] = _of_this(document)
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def listed_files(folder: Path) -> set[str] | None:
    """Return the paths that a page's `site.json` lists, itself among them; None where there is no such page."""
    document = _read(folder)
    return None if document is None else {SITE_FILE, *document["files"]}


def changed_file(folder: Path) -> str | None:
    """Return the path of a file that was changed since the page was written; None if there is none."""
    document = _read(folder) or {"files": {}}
    for name, digest in document["files"].items():
        if (folder / name).is_file() and file_hash(folder / name) != digest:
            return str(name)
    return None if document.get("of_this") == _of_this(document) else SITE_FILE


def _read(folder: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(read_bounded(folder / SITE_FILE, LARGEST_DOCUMENT_BYTES))
        known = document["layerprobe_page"] == _FORMAT and isinstance(document["files"], dict)
        return dict(document) if known else None
    except (OSError, ValueError, KeyError, TypeError, ArtifactError):
        return None


def _of_this(document: Mapping[str, Any]) -> str:
    """Return SHA-256 over all else in `site.json`, by which a change of it is seen, too."""
    rest = {key: value for key, value in document.items() if key != "of_this"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
