"""What probing hides: fusions that happen in the plain model and not in the probe, and the errors they cause."""

from collections.abc import Callable, Sequence
from typing import Literal

from ..artifact.errors import first_line
from ..artifact.folder import Artifact
from ..runners.settings import Settings
from .ort_fusions import Fusion, fusions, optimised_graph, prevented_fusions

__all__ = ["mended_by_probing", "prevented_by_probing"]

_PROVIDERS: dict[str, Literal["cpu", "cuda"]] = {"onnx-cpu": "cpu", "onnx-cuda": "cuda"}


def prevented_by_probing(artifact: Artifact, runner: str, settings: Settings) -> list[Fusion] | str | None:
    """Return the fusions that probing prevents in a runner; None where its runtime doesn't report them.

    No verdict depends on them, and naming them reads ONNX Runtime's private names and writes to the temporary folder:
    an error is returned as the reason why they can't be named.
    """
    provider = _PROVIDERS.get(runner)
    if provider is None:
        return None
    try:
        found = [
            _fusions_of(artifact, outputs, settings, provider)
            for outputs in (artifact.manifest.result_names, artifact.manifest.output_names)
        ]
    except Exception as error:
        return f"{type(error).__name__}: {first_line(error)}"
    return prevented_fusions(*found)


def _fusions_of(
    artifact: Artifact, outputs: Sequence[str], settings: Settings, provider: Literal["cpu", "cuda"]
) -> list[Fusion]:
    cut = artifact.onnx(outputs)
    optimised = optimised_graph(
        cut.content, level=settings.graph_optimization, provider=provider, weights_folder=cut.folder
    )
    return fusions(cut.model().graph, optimised)


def mended_by_probing(outputs: Sequence[str], is_right: Callable[[Sequence[str]], bool]) -> str:
    """Return the output that must be requested for a runtime to compute the model's results correctly.

    Args:
        outputs: names in the order of execution. With all of them the results are right, with none they are wrong.
        is_right: whether the results are right with these outputs; called about log2(len(outputs)) times.

    Returns:
        The name from which on all must be requested: without it, those behind it don't suffice. If several places are
        wrong this is the first, since each is right only where it is requested.
    """
    right, wrong = 0, len(outputs)
    while wrong - right > 1:
        middle = (right + wrong) // 2
        if is_right(outputs[middle:]):
            right = middle
        else:
            wrong = middle
    return outputs[right]
