"""Runs an artifact on ONNX Runtime, without PyTorch. Opening a session is in `onnx_session.py`."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ..artifact.folder import Artifact
from ..artifact.manifest import ONNX_FILE
from .base import BoundRun, RestOfModel, Runner, refuse_bfloat16
from .declared_tensors import Declared, dtype_name, refuse_other_tensors
from .input_check import check_inputs
from .machine import Facts
from .onnx_session import misplaced_nodes, open_file, open_session, session_facts

__all__ = ["OnnxRunner"]


class OnnxRunner(Runner):
    """An ONNX Runtime session on one provider: the target `cpu`, `cuda` or `tensorrt`.

    None of them falls back to another provider as a whole; compute nodes that ONNX Runtime put elsewhere are listed in
    `misplaced`.
    """

    file = ONNX_FILE
    runtime = "ONNX Runtime"

    def _open(self, artifact: Artifact) -> None:
        refuse_bfloat16(self.manifest, self.name)
        self._session = open_session(artifact, self.target, self.settings, self.names)
        self.providers = self._session.get_providers()
        self.concurrent = self.target == "cpu"
        inputs, outputs = (
            [Declared(tensor.name, dtype_name(tensor.type), tensor.shape) for tensor in found]
            for found in (self._session.get_inputs(), self._session.get_outputs())
        )
        refuse_other_tensors(artifact, inputs, outputs, self.names)
        self.misplaced = misplaced_nodes(self._session, artifact, self.target)

    def _read_facts(self) -> Facts:
        return session_facts(self._session, self.target)

    def _compute(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        return dict(zip(self.names, self._session.run(self.names, inputs), strict=True))

    def bind(self, inputs: Mapping[str, NDArray[Any]]) -> BoundRun:
        """Fix inputs and outputs in memory; on the CPU, the next run reads what is written into the inputs."""
        checked = check_inputs(self.manifest, inputs)
        device: Literal["cpu", "cuda"] = "cpu" if self.providers[0] == "CPUExecutionProvider" else "cuda"
        try:
            return _InPlace(self._session, self.names, checked, device)
        except Exception as error:
            raise self._failure(error) from error

    def rest(self, artifact: Artifact, layer: str, value: str) -> RestOfModel:
        """Return the model from one of its outputs on: the graph is cut there, and nothing before it is computed."""
        part = artifact.onnx().after(layer, value)
        session = open_file(part, self.target, self.settings, self.manifest)
        names = [each.name for each in session.get_inputs()]

        def compute(arrays: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
            try:
                return np.asarray(session.run([value], {name: arrays[name] for name in names})[0])
            except Exception as error:
                raise self._failure(error) from error

        return RestOfModel(layer, tuple(name for name in names if name != layer), compute)


class _InPlace:
    """A session whose inputs and outputs are fixed in memory.

    A run then allocates and copies nothing; on a GPU, inputs and outputs stay there until they are requested.
    """

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        names: Sequence[str],
        inputs: Mapping[str, NDArray[Any]],
        device: Literal["cpu", "cuda"],
    ) -> None:
        """Bind the inputs, run once, and keep the outputs' memory.

        Args:
            session: of the model.
            names: its outputs.
            inputs: checked; on the CPU, the next run reads what is written into these arrays.
            device: where inputs and outputs are.
        """
        self._session, self._names, self._device = session, list(names), device
        self.on_device = device != "cpu"
        self._binding = session.io_binding()
        self._held: list[Any] = []
        for name, array in inputs.items():
            value = onnxruntime.OrtValue.ortvalue_from_numpy(np.asarray(array, order="C"), device, 0)
            self._held.append(value)
            self._binding.bind_ortvalue_input(name, value)
        for name in self._names:
            self._binding.bind_output(name, device, 0)
        self.run()
        first = self._binding.get_outputs()
        self._arrays: list[NDArray[Any]] = []
        for name, value in zip(self._names, first, strict=True):
            if device == "cpu":
                # In NumPy's memory, which the caller sees without a copy.
                self._arrays.append(np.asarray(value.numpy(), order="C"))
                value = onnxruntime.OrtValue.ortvalue_from_numpy(self._arrays[-1])  # noqa: PLW2901
            self._held.append(value)
            self._binding.bind_ortvalue_output(name, value)

    def run(self) -> None:
        """Compute the outputs in place, and wait for them."""
        self._session.run_with_iobinding(self._binding)
        if self._device != "cpu":
            self._binding.synchronize_outputs()

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the outputs of the last run by name: on the CPU the arrays themselves, from a GPU copies."""
        if self._device == "cpu":
            return dict(zip(self._names, self._arrays, strict=True))
        return dict(zip(self._names, self._binding.copy_outputs_to_cpu(), strict=True))
