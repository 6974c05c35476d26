"""What of a photo speaks for a class: an artifact and a photo -> class activation maps, in any runtime, no gradient."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.by_name import load
from ..artifact.errors import RunnerUnavailable, UsageError
from ..artifact.folder import Artifact, open_artifact
from ..artifact.manifest import Output
from ..artifact.selection import select_outputs
from ..artifact.showing import shape_words
from ..maps.reductions import REDUCTIONS
from ..runners.registry import open_runner
from ..runners.settings import Settings
from .class_run import ClassRun
from .class_scores import chosen_class
from .layer_choice import layers_with_maps
from .methods import AUTO, AUTO_ORDER, METHODS

__all__ = ["ClassActivation", "class_activation", "class_activations"]


@dataclass(frozen=True)
class ClassActivation:
    """One map, and what it is of."""

    map: NDArray[np.float64]
    """H W of the layer, not enlarged."""
    method: str
    """A row of `METHODS`."""
    layer: str
    """The output whose channels were weighed."""
    class_: int | None
    """Its number; None where the method needs none."""
    score: float | None
    """The class's probability, of the whole photo."""
    weights: NDArray[np.float64] | None
    """Of each channel; None where the method has none."""
    tried: int | None = None
    """How many channels were tried one by one, if not all that respond."""

    def __repr__(self) -> str:
        score = "" if self.score is None else f" ({self.score:.1%})"
        of = "whatever the class" if self.class_ is None else f"class {self.class_}{score}"
        return f"ClassActivation by {self.method} of {self.layer}, {of}: map {shape_words(self.map.shape)}"


def class_activation(
    artifact: Artifact | str | Path,
    photo: str | Path | NDArray[Any],
    class_: int | None = None,
    method: str = AUTO,
    *,
    layer: str | None = None,
    top: int | None = None,
    runner: str | None = None,
    size: tuple[int, int] | None = None,
    settings: Settings | None = None,
) -> ClassActivation:
    """Return what of a photo speaks for a class, as `layerprobe grid --cam` draws it.

    Args:
        artifact: of a classifier, with its full probe, or its path. No PyTorch is needed to run its ONNX file.
        photo: a file, or an array of one image as the model takes it.
        class_: its number; the most probable one if None.
        method: `exact`, `ablation`, `score`, `eigen`, or `auto`: the first of them that is possible.
        layer: the output whose channels are weighed, or a module (`layer4`), whose last output counts; by default the
            last before the head with a height and a width.
        top: of `ablation` and `score`, how many channels are tried, the strongest; by default 512 of `score`, and all
            of `ablation`.
        runner: a row of `RUNNERS`; by default ONNX Runtime, on CUDA if that works.
        size: height and width of the image, instead of the exported ones.
        settings: how to run.

    Raises:
        UsageError: there is no such class, layer or method, or the method isn't possible for this model.
        LayerprobeError: the artifact or the photo can't be read, or the runner failed.
    """
    opened = open_artifact(artifact)

    def open_it(probe: Artifact, names: Sequence[str] | None) -> Any:
        return open_runner(probe, runner, settings, names)

    run = ClassRun(opened, photo, open_it, size)
    layers = []
    if layer is not None:
        layers = layers_with_maps(select_outputs(opened.manifest.outputs, [layer]))[-1:]
    return class_activations(run, [] if class_ is None else [class_], [method], layers, top)[0]


def class_activations(
    run: ClassRun, classes: Sequence[int], methods: Sequence[str], layers: Sequence[Output] = (), top: int | None = None
) -> list[ClassActivation]:
    """Return the map of each class by each method in each layer.

    Args:
        run: of the photo.
        classes: their numbers; the most probable one if empty.
        methods: rows of `METHODS`, or auto.
        layers: those that are weighed; the default one if empty.
        top: how many channels are tried.

    Raises:
        UsageError, LayerprobeError: as of `class_activation`.
    """
    unknown = next((name for name in methods if name != AUTO and name not in METHODS), None)
    if unknown is not None:
        raise UsageError(f"There is no method {unknown!r}: choose {AUTO}, {', '.join(METHODS)}.")
    needs_class = any(name == AUTO or METHODS[name].weigh for name in methods)
    if needs_class:
        run.require_classes(chosen=bool(classes))
    weighed = list(layers) or [run.layer]
    run.compute([each.name for each in weighed] + ([run.result.name] if needs_class else []))
    numbers = [chosen_class(run.scores, each, run.result) for each in (classes or (None,))] if needs_class else []
    return [
        found
        for layer in weighed
        for method in dict.fromkeys(methods)
        for found in _by_method(run, method, layer, list(dict.fromkeys(numbers)), top)
    ]


def _by_method(
    run: ClassRun, method: str, layer: Output, classes: Sequence[int], top: int | None
) -> list[ClassActivation]:
    for name in AUTO_ORDER[:-1] if method == AUTO else ():
        try:
            return _maps(run, name, layer, classes, top)
        except (UsageError, RunnerUnavailable):  # the next needs less
            continue
    return _maps(run, AUTO_ORDER[-1] if method == AUTO else method, layer, classes, top)


def _maps(run: ClassRun, name: str, layer: Output, classes: Sequence[int], top: int | None) -> list[ClassActivation]:
    method, tensor = METHODS[name], run.channels(layer)
    if method.weigh is None:
        return [ClassActivation(REDUCTIONS["pca"].reduce(tensor), name, layer.name, None, None, None)]
    most = top or method.tries if method.one_by_one else None
    channels = _strongest(tensor, most)
    rows = load(method.weigh)(run, layer, classes, channels)
    probabilities = run.probabilities_of(run.scores[None])[0]
    tried = len(channels) if most is not None and len(channels) == most < len(tensor) else None
    found = []
    for class_, weights in zip(classes, rows, strict=True):
        summed = np.einsum("c,chw->hw", weights, tensor.astype(np.float64))
        values = np.maximum(summed, 0) if method.positive else summed
        found.append(ClassActivation(values, name, layer.name, class_, float(probabilities[class_]), weights, tried))
    return found


def _strongest(tensor: NDArray[Any], most: int | None) -> list[int]:
    """Return the channels that are finite, and not 0 everywhere, at most so many: those of the largest squares."""
    energy = np.einsum("chw,chw->c", tensor, tensor, dtype=np.float64, casting="unsafe")
    order = np.argsort(-energy, kind="stable")[:most]
    return [int(channel) for channel in order if 0 < energy[channel] < np.inf]
