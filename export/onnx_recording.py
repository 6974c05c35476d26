"""ONNX probe -> references: the float64 truth of each output for several inputs, and how far float32 may be from it.

The file is the model here, so its own evaluation in float64 is the truth. What eager PyTorch's error is for its models,
an evaluation is here in which each operation errs as much as PyTorch's do.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from probe.onnx_model.probing import OnnxProbe
from runtime.artifact.errors import ModelError
from runtime.artifact.manifest import Preprocessing
from runtime.artifact.reference import Reference
from runtime.float64.graph import Float64Graph, Unknown

from .input_kinds import (
    ODD_STEPS,
    STRONG_NOISE,
    STRONGEST,
    batch_of,
    black_and_white,
    photo,
    photo_pixels,
    prime_above,
    ramped,
    within_range,
)
from .kept_tensors import Keep, Kept, channel_axis, truth_of
from .onnx_exercise import Exercise

__all__ = ["record_onnx"]

_Arrays = Mapping[str, NDArray[Any]]
_ROUNDINGS = 0.25
"""Of its natural scale, that an operation errs by. With 1, a tensor is off by 4 times as much as in eager PyTorch
(median over a ResNet-18, a MobileNetV2 and a small CNN; 1.7 to 10 times)."""


class _Input(NamedTuple):
    name: str
    arrays: _Arrays
    briefly: bool = False


def record_onnx(
    probe: OnnxProbe, keep: Keep, preprocessing: Preprocessing | None, given: Mapping[str, _Arrays]
) -> list[Reference]:
    """Return the references of a probe, by the rules of `reference_recording.py`.

    Args:
        probe: what they are of.
        keep: how much is kept of the first input's outputs.
        preprocessing: how a photo becomes the input; None if the model takes none.
        given: the user's own inputs, by name, in place of those that are drawn.

    Raises:
        ModelError: the model can't be evaluated on the first input.
    """
    graph, recorded = probe.graph(), dict[str, Reference]()
    nodes, constants = _nodes_and_constants(probe)
    made_nonfinite = False
    for name, arrays, briefly in _inputs(probe, preprocessing, given):
        if name in recorded:
            continue
        kept = keep.of_another(briefly) if recorded else keep
        try:
            reference = _record(probe, graph, Exercise(nodes, constants.get), kept, name, arrays)
        except ModelError:
            if not recorded:
                raise
            continue
        nonfinite = any(truth.nonfinite for truth in reference.truths.values())
        if not recorded:
            made_nonfinite = nonfinite
        # An input doesn't suit a model that makes NaN or infinity of it and not of the first.
        if made_nonfinite or not nonfinite:
            recorded[name] = reference
    return list(recorded.values())


def _record(
    probe: OnnxProbe, graph: Float64Graph, exercise: Exercise, keep: Keep, name: str, arrays: _Arrays
) -> Reference:
    specs, results = {output.name: output for output in probe.outputs}, set(probe.results.values())
    for each, array in arrays.items():
        exercise.add(each, array)
    exact: dict[str, Kept] = {}
    for output, value in graph.walk(arrays):
        if isinstance(value, Unknown):
            raise ModelError(f"{probe.name} can't be evaluated at {output}: {value.reason}")
        spec = specs[output]
        exercise.add(output, value, channel_axis(spec))
        exact[output] = keep.of(spec, value, result=output in results)
    truths = {}
    for output, value in graph.shaken_walk(arrays, 0, roundings=_ROUNDINGS):
        spec = specs[output]
        own = _in_own_dtype(value, spec.dtype)
        run = keep.of(spec, own, result=output in results)
        truths[output] = truth_of(exact[output], [run], channel_axis(spec))
    inputs = {each: np.asarray(array, order="C") for each, array in arrays.items()}
    return Reference(inputs, truths, name, exercise.untried, exercise.zero_channels)


def _in_own_dtype(value: NDArray[Any] | Unknown, dtype: str) -> NDArray[Any]:
    """Return a value rounded to an output's dtype, in which it may overflow; bfloat16 as the float32 it rounds to."""
    assert not isinstance(value, Unknown)
    if value.dtype.kind != "f":
        return value
    with np.errstate(over="ignore"):
        if dtype == "bfloat16":
            return value.astype(onnx.helper.tensor_dtype_to_np_dtype(TensorProto.BFLOAT16)).astype(np.float32)
        return value.astype(dtype)


def _inputs(probe: OnnxProbe, preprocessing: Preprocessing | None, given: Mapping[str, _Arrays]) -> Iterator[_Input]:
    """Yield the inputs, the most ordinary first, as `recorded_inputs.py` does for PyTorch's models."""
    example = probe.example
    for name, arrays in given.items():
        yield _Input(name, arrays)
    if not given:
        yield from _kinds(probe, preprocessing)
    if "N" in example.open:
        yield _Input(batch_of(3), example.drawn(5, batch=3), briefly=True)
    if example.size is not None and {"H", "W"} <= example.open:
        height, width = example.size
        for higher, wider in ODD_STEPS:
            size = prime_above(height + higher), prime_above(width + wider)
            yield _Input(f"a size of {size[0]} x {size[1]}", example.drawn(3, size=size), briefly=True)


def _kinds(probe: OnnxProbe, preprocessing: Preprocessing | None) -> Iterator[_Input]:
    example = probe.example
    if example.own_values:
        yield _Input("the example", example.arrays)
        return
    yield _Input("noise", example.arrays)
    another = example.drawn(4)
    if example.pixels is not None:
        yield from _kinds_of_pixels(example.pixels, another[example.pixels], example.layouts[example.pixels])
        return
    noisy = {name for name, array in another.items() if array.dtype.kind == "f" and array.ndim}
    for strongest in STRONGEST if noisy else ():
        yield _Input(
            STRONG_NOISE, {name: ramped(each, strongest) if name in noisy else each for name, each in another.items()}
        )
    if example.image is not None:
        image = example.arrays[example.image]
        channels_last = example.layouts[example.image] == "NHWC"
        drawn = photo(np.moveaxis(image, 3, 1) if channels_last else image, preprocessing, normalised=True)
        if drawn is not None:
            yield _Input("a photo", {example.image: np.moveaxis(drawn, 1, 3) if channels_last else drawn})
    elif noisy:
        name = next(each for each in example.arrays if each in noisy)
        yield _Input("values of a range", {**example.arrays, name: within_range(example.arrays[name])})


def _kinds_of_pixels(name: str, another: NDArray[Any], layout: str) -> Iterator[_Input]:
    yield _Input(STRONG_NOISE, {name: black_and_white(another)})
    height, width, channels = (another.shape[layout.index(axis)] for axis in "HWC")
    seen = photo_pixels(height, width, channels)
    seen = seen if layout == "NHWC" else seen.transpose(2, 0, 1)
    yield _Input("a photo", {name: np.ascontiguousarray(np.broadcast_to(seen, another.shape))})


def _nodes_and_constants(probe: OnnxProbe) -> tuple[dict[str, onnx.NodeProto], dict[str, NDArray[Any]]]:
    """Return the node of each output, and the constants of one element."""
    graph = probe.file.model().graph
    outputs = {output.name for output in probe.outputs}
    nodes = {name: node for node in graph.node for name in node.output if name in outputs}
    constants = {}
    for tensor in graph.initializer:
        if np.prod(tensor.dims, dtype=np.int64) == 1 and tensor.data_location != TensorProto.EXTERNAL:
            constants[tensor.name] = numpy_helper.to_array(tensor)
    for node in graph.node:
        value = next((each.t for each in node.attribute if node.op_type == "Constant" and each.HasField("t")), None)
        if value is not None and np.prod(value.dims, dtype=np.int64) == 1:
            constants[node.output[0]] = numpy_helper.to_array(value)
    return nodes, constants
