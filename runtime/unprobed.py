"""Which of ONNX Runtime's fusions probing prevents: they happen in the model as it was, and not in the probe."""

from typing import Literal

from .artifact import Artifact
from .fusions import Fusion, fusions, optimised_graph, prevented_fusions
from .onnx_cut import cut_onnx
from .settings import Settings

__all__ = ["prevented_by_probing"]

_PROVIDERS: dict[str, Literal["cpu", "cuda"]] = {"onnx-cpu": "cpu", "onnx-cuda": "cuda"}


def prevented_by_probing(artifact: Artifact, runner: str, settings: Settings) -> list[Fusion] | None:
    """Return the fusions that probing prevents in a runner; None where its runtime doesn't tell.

    Raises:
        ArtifactError: the ONNX file is missing, altered or invalid.
    """
    provider = _PROVIDERS.get(runner)
    if provider is None:
        return None
    found = []
    for outputs in (artifact.manifest.result_names, artifact.manifest.output_names):
        cut = cut_onnx(artifact, outputs)
        optimised = optimised_graph(
            cut.content, level=settings.graph_optimization, provider=provider, weights_folder=cut.folder
        )
        found.append(fusions(cut.model().graph, optimised))
    return prevented_fusions(*found)
