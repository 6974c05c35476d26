"""An artifact on disk: its manifest, and its files, each checked against its hash before it is read.

Running the files is in `runners/`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from .embedded_manifest import read_embedded_manifest, refuse_other_copy
from .errors import ArtifactError
from .file_hash import file_hash, file_state
from .file_reading import LARGEST_DOCUMENT_BYTES, nothing_at, read_bounded
from .free_memory import free_bytes
from .manifest import (
    AVERAGED_FILES,
    AVERAGED_MANIFEST_FILE,
    MANIFEST_FILE,
    ONNX_FILE,
    OPERATIONS_FILE,
    REFERENCE_FILE,
    Manifest,
    is_library_model,
    parse_manifest,
)
from .onnx_file import OnnxFile, is_onnx, read_onnx
from .onnx_nodes import ExportedNodes, OnnxNode
from .plain_text import one_line
from .versioned_json import read_versioned

if TYPE_CHECKING:
    from .reference import Reference

__all__ = ["Artifact", "open_artifact"]


@dataclass(frozen=True)
class Artifact:
    """What `export` wrote: `manifest` describes it, `file` returns the path of one of its files."""

    path: Path
    """The folder, or a model file taken from one."""
    manifest: Manifest

    def __repr__(self) -> str:
        return f"Artifact({str(self.path)!r})\n{self.manifest!r}"

    def _repr_html_(self) -> str:
        return self.manifest._repr_html_()

    def file(self, name: str) -> Path:
        """Return the path of one of the artifact's files, after checking that its content is what was exported.

        Raises:
            ArtifactError: the file is missing or was altered, has weights in a file that isn't listed, or the manifest
                inside it is another one.
        """
        if self.path.is_file():
            if self.path.suffix.lower() != Path(name).suffix:
                kind = "model file" if is_onnx(self.path) else "program"
                raise ArtifactError(f"{self.path} is a lone {kind}: {name} is missing.\nGive the artifact's folder.")
            return self.path
        if name not in self.manifest.files and AVERAGED_FILES.get(name) in self.manifest.files:
            name = AVERAGED_FILES[name]
        expected = self.manifest.files.get(name)
        path = self.path / name
        if expected is None:
            listed = ", ".join(sorted(self.manifest.files))
            raise ArtifactError(f"{self.path} has no {name}. It has: {one_line(listed)}.")
        _check_hash(path, expected)
        # A large ONNX model's weights are in a separate file, which is checked with it.
        for part in _beside(path, file_state(path)) if is_onnx(name) else ():
            if part not in self.manifest.files:
                raise ArtifactError(
                    f"{path} has weights in {part!r}, which the manifest doesn't list.\nExport the artifact again."
                )
            _check_hash(self.path / part, self.manifest.files[part])
        refuse_other_copy(self.manifest, path)
        return path

    def onnx(self, outputs: Sequence[str] | None = None) -> OnnxFile:
        """Return the ONNX model without its weights, cut to `outputs`; whole for None.

        Raises:
            ArtifactError: the file is missing or altered, or is not an ONNX model.
        """
        opened = read_onnx(self.file(ONNX_FILE))
        return opened if outputs is None or list(outputs) == self.manifest.output_names else opened.cut(outputs)

    def averaged(self) -> "Artifact | None":
        """Return the averaged probe: this artifact itself, or the one beside the full probe; None if there is none.

        Raises:
            ArtifactError: its manifest is missing, altered or invalid.
        """
        if self.is_averaged:
            return self
        if self.path.is_file() or AVERAGED_MANIFEST_FILE not in self.manifest.files:
            return None
        file = self.file(AVERAGED_MANIFEST_FILE)
        return Artifact(self.path, parse_manifest(read_bounded(file, LARGEST_DOCUMENT_BYTES), file))

    @property
    def is_averaged(self) -> bool:
        """Whether the outputs are maps (N 1 H W) instead of the tensors themselves."""
        return ONNX_FILE not in self.manifest.files and AVERAGED_FILES[ONNX_FILE] in self.manifest.files

    def reference(self) -> "Reference":
        """Return the first recorded input, the float64 truth and the noise floor of each output.

        Raises:
            ArtifactError: as of `references`.
        """
        return self.references()[0]

    def references(self) -> "tuple[Reference, ...]":
        """Return every recorded input with its truths.

        Raises:
            ArtifactError: the reference is missing, altered, or lacks an output that the manifest lists.
        """
        from .reference import load_references  # late: drawing a photo needs none

        references = load_references(self.file(REFERENCE_FILE))
        if any(list(each.truths) != self.manifest.output_names for each in references):
            raise ArtifactError(
                f"{self.path}: the reference has other outputs than the manifest.\nExport the artifact again."
            )
        return references

    def exported_nodes(self) -> dict[str, tuple[OnnxNode, ...]]:
        """Return what each output's ONNX nodes were when they were exported; nothing where that isn't recorded.

        Raises:
            ArtifactError: the record is missing, altered or invalid.
        """
        if OPERATIONS_FILE not in self.manifest.files or self.path.is_file():
            return {}
        file = self.file(OPERATIONS_FILE)
        remedy = "Export the artifact again."
        content = read_bounded(file, LARGEST_DOCUMENT_BYTES)
        return read_versioned(ExportedNodes, content, file, "a record of ONNX nodes", remedy).outputs


def _check_hash(file: Path, expected: str) -> None:
    if not file.exists():
        raise ArtifactError(f"{file} is missing.\nCopy the whole folder again, or export it again.")
    try:
        _refuse_endless(file)
        found = file_hash(file)
    except OSError as error:
        raise ArtifactError(f"{file} can't be read: {error.strerror or error}.") from error
    if found != expected:
        raise ArtifactError(
            f"{file} was altered after the export: its SHA-256 differs from the manifest's.\n"
            "Copy the folder again, or export it again."
        )


def _refuse_endless(file: Path) -> None:
    """Refuse what no runner could hold before all of it is read: a hole of terabytes takes no place on a disk."""
    size, free = file.stat().st_size, free_bytes()
    if free is not None and size > free:
        raise ArtifactError(
            f"{file} has {size / 1e6:,.0f} MB; {free / 1e6:,.0f} MB of memory are free.\n"
            "Copy the folder again, or use a machine with more memory."
        )


@lru_cache(maxsize=16)
def _beside(file: Path, state: tuple[int, ...]) -> tuple[str, ...]:  # noqa: ARG001 - of which state the names are kept
    return read_onnx(file).beside


def open_artifact(path: "Artifact | str | Path") -> Artifact:
    """Open an artifact folder, or a lone model file (`.onnx`, TorchScript's `.pt`, `.pt2`), which describes itself.

    A lone model file has no hash to check it against. One that is still in its folder has, and opens the folder's
    artifact: `averaged.onnx` opens the averaged probe. An artifact that is already open is returned unchanged.

    Raises:
        ArtifactError: it doesn't exist, its manifest can't be read, or it has a later format version.
    """
    if isinstance(path, Artifact):
        return path
    path = Path(path)
    in_folder = path.is_file() and (path.parent / MANIFEST_FILE).is_file()
    if path.is_file() and not in_folder:
        return Artifact(path, read_embedded_manifest(path))
    folder = path.parent if path.is_file() else path
    file = folder / MANIFEST_FILE
    try:
        text = read_bounded(file, LARGEST_DOCUMENT_BYTES)
    except (FileNotFoundError, NotADirectoryError) as error:
        if folder.is_symlink() and not folder.exists():
            raise ArtifactError(f"{nothing_at(folder)}\n{_how_to_make(folder)}") from error
        absent = "names a model, and this takes an artifact of one" if _names_model(str(folder)) else "does not exist"
        missing = "is no artifact: neither a folder nor a file" if folder.exists() else absent
        what = f"has no {MANIFEST_FILE}: it is not an artifact" if folder.is_dir() else missing
        raise ArtifactError(f"{folder} {what}.\n{_how_to_make(folder)}") from error
    except OSError as error:
        raise ArtifactError(f"{file} can't be read: {error.strerror or error}.") from error
    artifact = Artifact(folder, parse_manifest(text, file))
    if path.name in AVERAGED_FILES.values():
        return artifact.averaged() or artifact
    return artifact


def _how_to_make(folder: Path) -> str:
    """Return how an artifact comes to be there: of a model, if its name was given in place of an artifact."""
    if _names_model(str(folder)):
        return f"`layerprobe export {folder} -o {Path(str(folder).rpartition(':')[2]).name}` makes one."
    return f"`layerprobe export MODEL -o {folder}` makes an artifact there."


def _names_model(name: str) -> bool:
    source, _, after = name.partition(":")
    # One letter before the colon is a drive of Windows.
    return is_library_model(name) or bool(after and len(source) > 1)
