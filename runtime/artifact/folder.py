"""An artifact on disk: its manifest, and its files, each checked against its hash before it is read.

Running the files is in `runners/`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .embedded_manifest import read_embedded_manifest
from .errors import ArtifactError
from .manifest import (
    AVERAGED_FILES,
    AVERAGED_MANIFEST_FILE,
    MANIFEST_FILE,
    ONNX_FILE,
    OPERATIONS_FILE,
    REFERENCE_FILE,
    Manifest,
    file_hash,
    parse_manifest,
)
from .onnx_file import OnnxFile, is_onnx, read_onnx
from .onnx_nodes import ExportedNodes, OnnxNode
from .reference import Reference, load_references
from .versioned_json import read_versioned

__all__ = ["Artifact", "open_artifact"]


@dataclass(frozen=True)
class Artifact:
    """What `export` wrote: `manifest` describes it, `file` returns the path of one of its files."""

    path: Path
    """The folder, or a model file taken from one."""
    manifest: Manifest

    def file(self, name: str) -> Path:
        """Return the path of one of the artifact's files, after checking that its content is what was exported.

        Raises:
            ArtifactError: the file is missing or was altered.
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
            raise ArtifactError(f"{self.path} has no {name}. It has: {', '.join(sorted(self.manifest.files))}.")
        if not path.is_file():
            raise ArtifactError(f"{path} is missing.\nCopy the whole folder again, or export it again.")
        # A large ONNX model's weights are in a separate file, which is checked with it.
        for part in sorted(listed for listed in self.manifest.files if listed in (name, f"{name}.data")):
            try:
                found = file_hash(self.path / part)
            except OSError as error:
                raise ArtifactError(f"{self.path / part} can't be read: {error.strerror}.") from error
            if found != self.manifest.files[part]:
                raise ArtifactError(
                    f"{self.path / part} was altered after the export: its SHA-256 differs from the manifest's.\n"
                    "Copy the folder again, or export it again."
                )
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
        return Artifact(self.path, parse_manifest(file.read_text(encoding="utf-8"), file))

    @property
    def is_averaged(self) -> bool:
        """Whether the outputs are maps (N 1 H W) instead of the tensors themselves."""
        return ONNX_FILE not in self.manifest.files and AVERAGED_FILES[ONNX_FILE] in self.manifest.files

    def reference(self) -> Reference:
        """Return the first recorded input, the float64 truth and the noise floor of each output.

        Raises:
            ArtifactError: as of `references`.
        """
        return self.references()[0]

    def references(self) -> tuple[Reference, ...]:
        """Return every recorded input with its truths.

        Raises:
            ArtifactError: the reference is missing, altered, or lacks an output that the manifest lists.
        """
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
        return read_versioned(ExportedNodes, file.read_bytes(), file, "a record of ONNX nodes", remedy).outputs


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
        return Artifact(path, parse_manifest(read_embedded_manifest(path), path))
    folder = path.parent if path.is_file() else path
    file = folder / MANIFEST_FILE
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        what = f"has no {MANIFEST_FILE}: it is not an artifact" if folder.is_dir() else "does not exist"
        raise ArtifactError(f"{folder} {what}.\n`layerprobe export MODEL -o {folder}` makes one.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{file} can't be read: {error}.") from error
    artifact = Artifact(folder, parse_manifest(text, file))
    if path.name in AVERAGED_FILES.values():
        return artifact.averaged() or artifact
    return artifact
