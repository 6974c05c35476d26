"""The copy of the manifest inside each model file: what a file without its folder is read by, and what the manifest
beside the file is compared with. Reading it runs nothing, of a TorchScript file neither.
"""

import json
import zipfile
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from .errors import ArtifactError, first_line
from .file_hash import file_state
from .file_reading import LARGEST_DOCUMENT_BYTES, open_regular
from .manifest import MANIFEST_FILE, METADATA_KEY, Manifest, parse_manifest
from .onnx_file import is_onnx, read_metadata
from .plain_text import one_line

__all__ = ["read_embedded_manifest", "refuse_other_copy"]

_KINDS = {".pt": "TorchScript", ".pt2": "torch.export's program"}
_LONGEST_VALUE = 60


def read_embedded_manifest(file: Path) -> Manifest:
    """Return the manifest in an ONNX, TorchScript or torch.export file.

    Raises:
        ArtifactError: the file is none of these, or layerprobe didn't write it.
    """
    text = _copy_in(file)
    if text is None:
        raise ArtifactError(
            f"{file} is not an artifact: neither a folder nor a model file with layerprobe's manifest inside.\n"
            f"`layerprobe export {file if is_onnx(file) else 'MODEL'} -o FOLDER` makes one."
        )
    return parse_manifest(text, file)


def refuse_other_copy(manifest: Manifest, file: Path) -> None:
    """Refuse a manifest that says something else than its copy inside a model file, if that has one.

    No hash protects the manifest itself. Tools that process an ONNX file may remove its metadata.

    Raises:
        ArtifactError: they differ; the message names the first field.
    """
    text = _cached_copy(file, file_state(file))
    # As text it is compared in a hundredth of the time that reading it takes.
    if text is None or text == manifest.model_copy(update={"files": {}}).model_dump_json():
        return
    copied = parse_manifest(text, file)
    if copied == manifest.model_copy(update={"files": copied.files}):
        return
    inside, beside = (each.model_dump(mode="json", exclude={"files"}) for each in (copied, manifest))
    field, one, other = _first_difference(beside, inside)
    raise ArtifactError(
        f"{file.parent}: the manifest was altered: its {field} is {_short(one)}, but {_short(other)} in the copy "
        f"inside {file.name}.\nCopy the folder again, or export it again."
    )


@lru_cache(maxsize=16)
def _cached_copy(file: Path, state: tuple[int, ...]) -> str | None:  # noqa: ARG001 - of which state it is kept
    return _copy_in(file)


def _copy_in(file: Path) -> str | None:
    if file.suffix in _KINDS:
        return _in_archive(file)
    return read_metadata(file).get(METADATA_KEY) if is_onnx(file) else None


def _in_archive(file: Path) -> str | None:
    # PyTorch writes zip archives, so this needs no torch.
    try:
        with open_regular(file) as stream, zipfile.ZipFile(stream) as archive:
            copies = [each for each in archive.infolist() if each.filename.endswith(f"/extra/{MANIFEST_FILE}")]
            _refuse_doubtful(copies)
            return archive.read(copies[0]).decode("utf-8") if copies else None
    except Exception as error:  # of a damaged archive zipfile raises errors of zlib, lzma, struct and others
        raise ArtifactError(f"{file} can't be loaded as {_KINDS[file.suffix]}: {first_line(error)}") from error


def _refuse_doubtful(copies: Sequence[zipfile.ZipInfo]) -> None:
    if len(copies) > 1 or any(each.file_size > LARGEST_DOCUMENT_BYTES for each in copies):
        raise ValueError("it has several manifests, or one that is far too large.")


def _first_difference(one: Any, other: Any, path: str = "") -> tuple[str, Any, Any]:
    """Return the path of the first field that differs (`preprocessing.mean.0`), and its two values."""
    if isinstance(one, Mapping) and isinstance(other, Mapping) and one.keys() == other.keys():
        pairs = [(name, one[name], other[name]) for name in one]
    elif isinstance(one, Sequence) and isinstance(other, Sequence) and len(one) == len(other) > 0:
        pairs = [] if isinstance(one, str) else [(str(n), *each) for n, each in enumerate(zip(one, other, strict=True))]
    else:
        pairs = []
    for name, left, right in pairs:
        if left != right and name:
            return _first_difference(left, right, f"{path}.{name}" if path else name)
    return path, one, other


def _short(value: Any) -> str:
    return one_line(json.dumps(value, ensure_ascii=False), _LONGEST_VALUE)
