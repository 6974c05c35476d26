"""The model as it was before it was probed: the same ONNX file, with the extra outputs taken off."""

from pathlib import Path

from .artifact import Artifact
from .manifest import ONNX_FILE

__all__ = ["plain_onnx"]


def plain_onnx(artifact: Artifact) -> bytes:
    """Return the artifact's ONNX model with only the outputs that the model itself returns.

    ONNX Runtime computes and keeps every output that a file declares, also where only some are fetched, and fuses
    nothing across them; so the file has to change, not the call.

    Raises:
        ArtifactError: the file is missing or altered.
    """
    # onnx takes a quarter of a second to import, which only benchmarks should pay.
    import onnx

    file: Path = artifact.file(ONNX_FILE)
    model = onnx.load(file)
    results = set(artifact.manifest.results.values())
    kept = [output for output in model.graph.output if output.name in results]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    content: bytes = model.SerializeToString()
    return content
