"""What probing hides: fusions that happen in the model as it was and not in the probe, and what goes wrong in them."""

from collections.abc import Callable, Sequence
from typing import Literal

from ..artifact.folder import Artifact
from ..runners.onnx_cut import cut_onnx
from ..runners.settings import Settings
from .ort_fusions import Fusion, fusions, optimised_graph, prevented_fusions

__all__ = ["mended_by_probing", "prevented_by_probing"]

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


def mended_by_probing(outputs: Sequence[str], is_right: Callable[[Sequence[str]], bool]) -> str:
    """Return the output that a runtime has to be asked for, to compute the model's results rightly.

    Args:
        outputs: names in the order of execution. With all of them the results are right, with none they are wrong.
        is_right: whether they are with these outputs; it is asked some log2(len(outputs)) times.

    Returns:
        The name from which on all have to be asked for: without it, those behind it don't suffice. If several places go
        wrong this is the first, since each is right only where it is asked for.
    """
    right, wrong = 0, len(outputs)
    while wrong - right > 1:
        middle = (right + wrong) // 2
        if is_right(outputs[middle:]):
            right = middle
        else:
            wrong = middle
    return outputs[right]
