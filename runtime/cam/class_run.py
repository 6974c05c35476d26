"""One photo through a classifier: its tensors and scores, and what else the methods have computed of the model."""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import RunnerUnavailable, UsageError, first_line
from ..artifact.folder import Artifact
from ..artifact.manifest import ONNX_FILE, Output
from ..artifact.onnx_file import is_onnx
from ..maps.channel_mean import channels_of
from ..runners.base import RestOfModel, Runner
from ..runners.input_check import check_inputs
from ..runs.photo_input import IMAGE_CHANNELS
from ..runs.preprocessing import preprocess_files
from .class_head import ClassGraph, LinearHead
from .class_scores import class_result, probabilities
from .layer_choice import deepest_layer

__all__ = ["ClassRun", "Weights"]

Weights = NDArray[np.float64]
"""Classes x channels."""

_AT_ONCE = 16
_PIXELS_AT_ONCE = _AT_ONCE * 224 * 224
"""Of larger images fewer are run together: their memory is that of 16 usual ones."""


def _layout_of(image: NDArray[Any]) -> str:
    """Return the layout of an array of one image, of which the manifest doesn't say it."""
    return "NHWC" if image.shape[3] in IMAGE_CHANNELS and image.shape[1] not in IMAGE_CHANNELS else "NCHW"


class ClassRun:
    """A photo, or one image as the model takes it, and the model that is run on it.

    Attributes:
        image: 1 C H W or 1 H W C, preprocessed.
        ran: the runners that were opened, by the outputs they are cut to.
    """

    def __init__(
        self,
        artifact: Artifact,
        photo: str | Path | NDArray[Any],
        open_runner: Callable[[Artifact, Sequence[str] | None], Runner],
        size: tuple[int, int] | None = None,
        on_phase: Callable[[str], None] = lambda phase: None,  # noqa: ARG005
    ) -> None:
        """Read the photo.

        Args:
            artifact: with the full probe.
            photo: a file, or an array of one image as the model's only input takes it.
            open_runner: opens the probe for some outputs.
            size: height and width of the image, instead of the exported ones.
            on_phase: called with the name of each phase as it starts.

        Raises:
            UsageError: the artifact has only the averaged probe, or the array is not one image.
            ArtifactError: the artifact isn't for images.
            ImageError: the photo can't be read.
            InputError: the model doesn't take a single image, or one of this size.
        """
        if any(each.averaged is not None for each in artifact.manifest.outputs):
            raise UsageError(
                f"{artifact.path} has only means over the channels, of which none can be weighed.\n"
                "Give the full probe: export without --no-full."
            )
        self.artifact, self.manifest, self.on_phase = artifact, artifact.manifest, on_phase
        self._open_runner = open_runner
        if isinstance(photo, np.ndarray):
            if len(self.manifest.inputs) != 1 or photo.ndim != 4 or len(photo) != 1:
                takes = ", ".join(each.described for each in self.manifest.inputs)
                raise UsageError(
                    f"{self.manifest.model} takes {takes}; it was given an array of shape {photo.shape}.\n"
                    "Give one image, N = 1, to a model of one input of four axes."
                )
            self.input_name, given = self.manifest.inputs[0].name, photo
        else:
            self.input_name, steps = self.manifest.image_input(size)
            given = preprocess_files([photo], steps)
        self.image = check_inputs(self.manifest, {self.input_name: given})[self.input_name]
        layout = self.manifest.preprocessing.layout if self.manifest.preprocessing else _layout_of(self.image)
        self.spatial_axes = layout.index("H"), layout.index("W")
        self.ran: dict[tuple[str, ...], Runner] = {}
        self._tensors: dict[str, NDArray[Any]] = {}

    @cached_property
    def result(self) -> Output:
        """The scores of the classes."""
        return class_result(self.manifest)

    @cached_property
    def scores(self) -> NDArray[Any]:
        """The photo's, one a class."""
        return np.asarray(self.tensor(self.result.name)[0].reshape(-1))

    @cached_property
    def graph(self) -> ClassGraph | None:
        """How the result is computed; None without an ONNX file, or without scores of classes."""
        path = self.artifact.path
        has_file = ONNX_FILE in self.manifest.files if path.is_dir() else is_onnx(path)
        try:
            return ClassGraph(self.artifact.onnx(), self.result.name) if has_file else None
        except UsageError:
            return None

    def linear_head(self) -> LinearHead:
        """Return the classes' linear head.

        Raises:
            UsageError: the model has none, or there is no ONNX file to find it in.
        """
        if self.graph is None:
            raise self._no_file("exact")
        return self.graph.linear_head()

    @cached_property
    def head(self) -> LinearHead | None:
        """The same; None where the model has none."""
        try:
            return self.linear_head()
        except UsageError:
            return None

    def require_classes(self, *, chosen: bool) -> None:
        """Check that the result has scores of classes, before the model is run.

        Args:
            chosen: whether a class was asked for, so that the user says that it has.

        Raises:
            UsageError: it has none.
        """
        name = self.result.name
        if not chosen and self.head is not None and not self.head.of_classes:
            raise UsageError(
                f"{name} is the average of each channel of {self.head.step}, as a network without its classifier "
                "returns it: its numbers are no classes.\n"
                "If they are, choose one with --class; --method eigen needs no class."
            )

    @cached_property
    def layer(self) -> Output:
        """The layer that is weighed by default."""
        height, width = (self.image.shape[axis] for axis in self.spatial_axes)
        sizes = {"N": 1, "H": height, "W": width}
        return deepest_layer(self.manifest, sizes, self.graph, self.head, self._needed())

    def _needed(self) -> set[str] | None:
        """The values that the result is computed from, as far as they are known; None without a result."""
        if self.graph is not None:
            return self.graph.needed
        try:
            return self.runner([self.result.name]).sources(self.result.name)
        except UsageError:
            return None

    def batch(self, *outputs: Output) -> int:
        """Return how many images are run together, so that these outputs have one of each."""
        shapes = [self.manifest.inputs[0].shape, *(each.shape for each in outputs)]
        if any(shape[0] != "N" for shape in shapes):
            return 1
        height, width = (self.image.shape[axis] for axis in self.spatial_axes)
        return max(1, min(_AT_ONCE, _PIXELS_AT_ONCE // int(height * width)))

    def tensor(self, name: str) -> NDArray[Any]:
        """Return an output for the photo."""
        if name not in self._tensors:
            self._tensors.update(self.runner([name]).run({self.input_name: self.image}))
        return self._tensors[name]

    def channels(self, layer: Output) -> NDArray[Any]:
        """Return a layer for the photo, C H W; its tokens as the grid of their patches."""
        return channels_of(self.tensor(layer.name), layer.layout, layer.tokens)

    def compute(self, names: Sequence[str]) -> None:
        """Compute several outputs for the photo in one run, from which `tensor` then takes them."""
        self._tensors.update(self.runner(names).run({self.input_name: self.image}))

    def runner(self, names: Sequence[str]) -> Runner:
        """Return the probe, cut to some outputs."""
        key = tuple(sorted(set(names)))
        if key not in self.ran:
            self.ran[key] = self._open_runner(self.artifact, key)
        return self.ran[key]

    def probabilities_of(self, scores: NDArray[Any]) -> NDArray[np.float64]:
        """Return the probabilities, N x classes, of scores as the result has them."""
        return probabilities(scores.reshape(len(scores), -1), self.graph.closing if self.graph else None)

    def rest(self, layer: Output) -> RestOfModel:
        """Return the model from a layer on, up to the scores before a softmax."""
        if self.graph is None:
            raise self._no_file("ablation")
        try:
            return next(iter(self.ran.values())).rest(self.artifact, layer.name, self.graph.scores)
        except RunnerUnavailable as error:
            raise RunnerUnavailable(
                f"{first_line(error)}\nUse --runner onnx, or another method: score or eigen."
            ) from error

    def _no_file(self, method: str) -> UsageError:
        return UsageError(
            f"The method {method} reads the model's ONNX graph, and {self.artifact.path} has no {ONNX_FILE}.\n"
            "Give the artifact's folder, or choose another method: score or eigen."
        )
