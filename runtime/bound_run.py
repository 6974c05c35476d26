"""An ONNX Runtime session whose inputs and outputs have their places in memory once and for all.

A run then allocates nothing and copies nothing; on a GPU inputs and outputs stay there until someone asks for them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import onnxruntime
from numpy.typing import NDArray

__all__ = ["BoundRun"]


class BoundRun:
    """What `OnnxRunner.bind` gives: run it as often as you like, each time on what its inputs hold then."""

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        names: Sequence[str],
        inputs: Mapping[str, NDArray[Any]],
        device: Literal["cpu", "cuda"],
    ) -> None:
        """Bind the inputs, run once, and keep the places of the outputs.

        Args:
            session: of the model.
            names: its outputs.
            inputs: checked; on the CPU, what is written into these arrays is what the next run reads.
            device: where inputs and outputs lie.
        """
        self._session, self._names, self._device = session, list(names), device
        self._binding = session.io_binding()
        self._held: list[Any] = []
        for name, array in inputs.items():
            value = onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array), device, 0)
            self._held.append(value)
            self._binding.bind_ortvalue_input(name, value)
        for name in self._names:
            self._binding.bind_output(name, device, 0)
        self.run()
        first = self._binding.get_outputs()
        self._arrays: list[NDArray[Any]] = []
        for name, value in zip(self._names, first, strict=True):
            if device == "cpu":
                # Over NumPy's memory, which the caller then sees without a copy.
                self._arrays.append(np.ascontiguousarray(value.numpy()))
                value = onnxruntime.OrtValue.ortvalue_from_numpy(self._arrays[-1])  # noqa: PLW2901
            self._held.append(value)
            self._binding.bind_ortvalue_output(name, value)

    def run(self) -> None:
        """Compute the outputs in their places, and wait until they are there."""
        self._session.run_with_iobinding(self._binding)
        if self._device != "cpu":
            self._binding.synchronize_outputs()

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the outputs of the last run by name: on the CPU the places themselves, from a GPU copies of them."""
        if self._device == "cpu":
            return dict(zip(self._names, self._arrays, strict=True))
        return dict(zip(self._names, self._binding.copy_outputs_to_cpu(), strict=True))
