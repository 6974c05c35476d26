"""The manifest that lies inside each model file, for a model file that was taken out of its artifact."""

import zipfile
from pathlib import Path

from .errors import ArtifactError, first_line
from .manifest import MANIFEST_FILE, METADATA_KEY

__all__ = ["read_embedded_manifest"]

_KINDS = {".pt": "TorchScript", ".pt2": "torch.export's program"}


def read_embedded_manifest(file: Path) -> str:
    """Return the manifest's JSON from an ONNX, TorchScript or torch.export file.

    Raises:
        ArtifactError: the file is neither, or layerprobe didn't write it.
    """
    text = _from_archive(file) if file.suffix in _KINDS else _from_onnx(file) if file.suffix == ".onnx" else None
    if text is None:
        raise ArtifactError(
            f"{file} is not an artifact: neither a folder nor a model file with layerprobe's manifest inside.\n"
            "`layerprobe export MODEL -o FOLDER` makes one."
        )
    return text


def _from_onnx(file: Path) -> str | None:
    import onnxruntime

    from .onnx_session import session_options

    # Only the metadata is wanted: no time goes into optimising a graph that is loaded again to be run.
    options = session_options("disabled")
    try:
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ArtifactError(f"{file} can't be loaded as an ONNX model: {first_line(error)}") from error
    metadata: dict[str, str] = session.get_modelmeta().custom_metadata_map
    return metadata.get(METADATA_KEY)


def _from_archive(file: Path) -> str | None:
    # What PyTorch writes is a zip archive; this needs no torch.
    try:
        with zipfile.ZipFile(file) as archive:
            for name in archive.namelist():
                if name.endswith(f"/extra/{MANIFEST_FILE}"):
                    return archive.read(name).decode("utf-8")
    except (OSError, ValueError, RuntimeError, zipfile.BadZipFile) as error:
        raise ArtifactError(f"{file} can't be loaded as {_KINDS[file.suffix]}: {first_line(error)}") from error
    return None
