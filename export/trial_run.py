"""Runs the two model files after the conversion: on the recorded input, and on another one with another batch.

A conversion can turn what was computed for its own input into a constant: a number that the model's Python code read
from a tensor, a size that follows the batch. Each file then agrees with the model on that input, and on no other. This
is about such constants, not about rounding, which `verify` judges.
"""

import contextlib
import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from probe import Probe
from runtime.artifact.errors import ExportError, first_line
from runtime.artifact.reference import Reference, Truth
from runtime.artifact.showing import shape_words
from runtime.artifact.tensors import as_array

from .export_hints import named_in, way_around
from .onnx_conversion import CONVERTED_BATCH
from .recorded_inputs import odd_sizes
from .rounding_noise import RoundingNoise, rounding_noise
from .trial_differences import difference_message, find_differences

__all__ = ["try_model_files"]

_LARGE_BYTES = 2**29
"""A model whose outputs take more, for a batch of three, is tried on a single other image."""

_Arrays = Mapping[str, NDArray[Any]]
_Run = Callable[[_Arrays], _Arrays]


def try_model_files(probe: Probe, reference: Reference, onnx_file: Path, torchscript_file: Path) -> None:
    """Run both files on two inputs, and compare every output with the probe's.

    Raises:
        ExportError: one can't be loaded, fails, or returns something else; the message names the first such output.
    """
    others = list(_other_inputs(probe, reference))
    for name, open_file, file in (
        ("ONNX", _open_onnx, onnx_file),
        ("TorchScript", _open_torchscript, torchscript_file),
    ):
        run = open_file(probe, file)
        if run is not None:
            for inputs, expected in ((reference.inputs, reference.truths), *others):
                try:
                    _try_input(probe, (name, run), inputs, expected, reference)
                except ExportError as error:
                    error.only_in_another_batch = _is_about_the_batch(probe, (name, run), inputs, reference)
                    raise
        # Before the next one is opened, or the weights of two would be in memory at once.
        del run


def _try_input(
    probe: Probe, named: tuple[str, _Run], inputs: _Arrays, expected: Mapping[str, Truth], recorded: Reference
) -> None:
    name, run = named
    try:
        arrays = run(inputs)
    except Exception as error:
        raise ExportError(_failure_message(probe, name, inputs, error)) from error
    noise = {
        spec.name: RoundingNoise(
            recorded.truths[spec.name].noise_floor * expected[spec.name].scale,
            ~np.isfinite(expected[spec.name].sample),
        )
        for spec in probe.outputs
    }
    if any(find_differences(probe, expected, noise, arrays)):
        # What rounding does depends on the input: a softmax of large numbers may be steady on one and not on another.
        noise = rounding_noise(probe, _tensors(probe, inputs), expected)
    differing = list(find_differences(probe, expected, noise, arrays))
    if differing:
        right_on = None if inputs is recorded.inputs else _input_words(recorded.inputs)
        raise ExportError(difference_message(probe, name, _input_words(inputs), right_on, differing))


def _is_about_the_batch(probe: Probe, named: tuple[str, _Run], inputs: _Arrays, recorded: Reference) -> bool:
    """Return whether a file that is wrong on `inputs` is right in the batch that it was converted with."""
    if probe.fixed_batch is not None:
        return False
    alike = probe.noise_input(batch=CONVERTED_BATCH, seed=2, larger=inputs is not recorded.inputs)
    if [tensor.shape[:1] for tensor in alike] == [array.shape[:1] for array in inputs.values()]:
        return False
    try:
        _try_input(probe, named, *_expected(probe, alike), recorded)
    except (ExportError, RuntimeError, ValueError):
        return False
    return True


def _other_inputs(probe: Probe, reference: Reference) -> Iterator[tuple[_Arrays, Mapping[str, Truth]]]:
    """Yield inputs that nothing was converted or recorded with, each with the probe's outputs, in its own dtypes.

    Their batch and their size, if open, differ from those that the files were converted with. Of an open size, odd ones
    are tried as well, wide and tall: a size that is halved is rounded there.
    """
    size_bytes = 3 * 4 * sum(math.prod(truth.shape) for truth in reference.truths.values())
    batch = 3 if size_bytes <= _LARGE_BYTES else 1
    yield _expected(probe, probe.noise_input(batch=batch, seed=2, larger=True))
    for inputs in odd_sizes(probe):
        with contextlib.suppress(RuntimeError, ValueError):  # a size that the model itself doesn't take
            yield _expected(probe, inputs)


def _expected(probe: Probe, inputs: tuple[torch.Tensor, ...]) -> tuple[_Arrays, Mapping[str, Truth]]:
    with torch.inference_mode(False), torch.no_grad():
        tensors = probe.module(*(tensor.clone() for tensor in inputs))
    arrays = {spec.name: as_array(tensor) for spec, tensor in zip(probe.inputs, inputs, strict=True)}
    return arrays, {name: Truth.of(as_array(tensor)) for name, tensor in tensors.items()}


def _tensors(probe: Probe, inputs: _Arrays) -> tuple[torch.Tensor, ...]:
    """Return the inputs in the dtypes that the probe takes: NumPy has no bfloat16."""
    return tuple(
        torch.from_numpy(array).to(tensor.dtype) for array, tensor in zip(inputs.values(), probe.example, strict=True)
    )


def _open_onnx(probe: Probe, file: Path) -> _Run | None:
    """Return the file's session as a function; None if ONNX Runtime can't run such a model on the CPU."""
    if "bfloat16" in {spec.dtype for spec in probe.inputs} | {spec.dtype for spec in probe.outputs}:
        return None
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # Freed memory goes back to the system: the arena would keep all outputs of a batch of three.
    options.enable_cpu_mem_arena = False
    # Optimising takes longer than running, and changes no constant.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        if type(error).__name__ == "NotImplemented":
            return None
        raise ExportError(
            f"{probe.model_name} was converted to ONNX, but ONNX Runtime can't load it: {_reason(error)}\n"
            f"{way_around(probe, named_in(str(error), probe))}"
        ) from error
    names = [output.name for output in probe.outputs]
    return lambda inputs: dict(zip(names, session.run(names, dict(inputs)), strict=True))


def _open_torchscript(probe: Probe, file: Path) -> _Run:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            module = torch.jit.load(file)  # type: ignore[no-untyped-call]
        except Exception as error:
            raise ExportError(
                f"{probe.model_name} was converted to TorchScript, but torch can't load it: {first_line(error)}"
            ) from error

    def run(inputs: _Arrays) -> _Arrays:
        with torch.inference_mode(), torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
            returned: dict[str, torch.Tensor] = module(*_tensors(probe, inputs))
        return {name: as_array(tensor) for name, tensor in returned.items()}

    return run


def _failure_message(probe: Probe, name: str, inputs: _Arrays, error: Exception) -> str:
    found = named_in(str(error), probe)
    where = next((f" at {spec.located}" for spec in probe.outputs if spec.name in found), "")
    return f"As {name}, the model fails on {_input_words(inputs)}{where}: {_reason(error)}\n{way_around(probe, found)}"


def _input_words(inputs: _Arrays) -> str:
    return f"an input of {', '.join(shape_words(array.shape) for array in inputs.values())}"


def _reason(error: Exception) -> str:
    """Return an error's message: ONNX Runtime's without the status and the node, TorchScript's last line."""
    text = str(error).strip()
    if "Traceback of TorchScript" in text:
        text = text.splitlines()[-1]
    return first_line(ValueError(re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : |.*?Status Message: ", "", text)))
