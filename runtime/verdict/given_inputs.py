"""An input that no truth was recorded for -> a reference: model.onnx in float64 stands for the model.

So each runner is judged, and the file is not. The noise floor is the error of ONNX Runtime on the CPU without graph
optimization: a plain float32 program, like eager PyTorch.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import ExecutionError, RunnerUnavailable
from ..artifact.folder import Artifact
from ..artifact.manifest import ONNX_FILE
from ..artifact.reference import Reference, Truth
from ..float64.graph import Float64Graph, Unknown
from ..runners.input_check import check_inputs
from ..runners.registry import open_runner
from ..runners.settings import Settings
from .drift import largest_error

__all__ = ["reference_of_file", "references_of_file"]

_Arrays = Mapping[str, NDArray[Any]]


def references_of_file(artifact: Artifact, given: Mapping[str, _Arrays]) -> list[Reference]:
    """Return the references of an artifact's ONNX file for inputs by name.

    Raises:
        InputError: an input isn't the model's.
        ArtifactError: the file is missing or altered.
    """
    manifest = artifact.manifest
    in_16_bits = not {"float16", "bfloat16"}.isdisjoint(manifest.dtypes)
    graph = Float64Graph(artifact.file(ONNX_FILE), manifest.output_names, rounds=not in_16_bits)
    return [reference_of_file(artifact, graph, *each) for each in given.items()]


def reference_of_file(artifact: Artifact, graph: Float64Graph, name: str, inputs: _Arrays) -> Reference:
    """Return the reference of an artifact's ONNX file for an input named `name`.

    Raises:
        InputError: the input isn't the model's.
    """
    checked = check_inputs(artifact.manifest, inputs, name)
    walked = {output: value for output, value in graph.walk(checked) if not isinstance(value, Unknown)}
    truths = {output: Truth.of(value) for output, value in walked.items()}
    for run in _plain_runs(artifact, checked):
        for output, array in run.items():
            if output in walked:
                truths[output] = _with_noise(truths[output], array)
            else:  # nothing is proven of what float64 can't compute
                truths[output] = Truth.of(array, noise_floor=1.0)
    return Reference(dict(checked), {each: truths[each] for each in artifact.manifest.output_names}, name)


def _with_noise(truth: Truth, array: NDArray[Any]) -> Truth:
    if array.shape != truth.shape:
        return truth
    own = truth.sampled(array).astype(np.float64)
    finite = np.isfinite(own)
    error = largest_error(own[finite], truth.sample[finite], truth.scale)
    return replace(
        truth,
        sample=np.where(finite, truth.sample, own),
        noise_floor=max(truth.noise_floor, error),
        nonfinite=max(truth.nonfinite, int(array.size - np.count_nonzero(np.isfinite(array)))),
    )


def _plain_runs(artifact: Artifact, inputs: _Arrays) -> Iterator[_Arrays]:
    """Yield what a plain float32 program returns for the inputs, and with their last bits moved up and down."""
    try:
        runner = open_runner(artifact, "onnx-cpu", Settings(graph_optimization="disabled"))
        yield runner.run(inputs)
        for towards in (np.inf, -np.inf):
            yield runner.run({name: _moved(array, towards) for name, array in inputs.items()})
    except (ExecutionError, RunnerUnavailable):
        # Without one, a rounding of the largest value counts as noise.
        return


def _moved(array: NDArray[Any], towards: float) -> NDArray[Any]:
    # In a table, a whole number may be an index.
    inexact = array.dtype.kind == "f" and array.ndim > 2
    return np.nextafter(array, array.dtype.type(towards)) if inexact else array
