"""Reading the manifest embedded in a model file, for a model file without its artifact's folder."""

import zipfile
from pathlib import Path

from .errors import ArtifactError, first_line
from .manifest import MANIFEST_FILE, METADATA_KEY
from .onnx_file import is_onnx, read_metadata

__all__ = ["read_embedded_manifest"]

_KINDS = {".pt": "TorchScript", ".pt2": "torch.export's program"}


def read_embedded_manifest(file: Path) -> str:
    """Return the manifest's JSON from an ONNX, TorchScript or torch.export file.

    Raises:
        ArtifactError: the file is none of these, or layerprobe didn't write it.
    """
    text = None
    if file.suffix in _KINDS:
        text = _from_archive(file)
    elif is_onnx(file):
        text = read_metadata(file).get(METADATA_KEY)
    if text is None:
        raise ArtifactError(
            f"{file} is not an artifact: neither a folder nor a model file with layerprobe's manifest inside.\n"
            f"`layerprobe export {file if is_onnx(file) else 'MODEL'} -o FOLDER` makes one."
        )
    return text


def _from_archive(file: Path) -> str | None:
    # PyTorch writes zip archives, so this needs no torch.
    try:
        with zipfile.ZipFile(file) as archive:
            for name in archive.namelist():
                if name.endswith(f"/extra/{MANIFEST_FILE}"):
                    return archive.read(name).decode("utf-8")
    except (OSError, ValueError, RuntimeError, zipfile.BadZipFile) as error:
        raise ArtifactError(f"{file} can't be loaded as {_KINDS[file.suffix]}: {first_line(error)}") from error
    return None
