"""Runs an artifact on ONNX Runtime, without PyTorch. Opening a session is in `onnx_session.py`."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ..artifact.errors import ArtifactError
from ..artifact.folder import Artifact
from ..artifact.manifest import ONNX_FILE
from ..artifact.showing import shape_words
from .base import BoundRun, RestOfModel, Runner, refuse_bfloat16
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
        _compare_with_manifest(self._session, artifact, self.names)
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


_Fact = tuple[str, str, tuple[int | str, ...]]
"""Name, dtype and sizes of an input or output."""


def _compare_with_manifest(session: onnxruntime.InferenceSession, artifact: Artifact, outputs: Sequence[str]) -> None:
    """Refuse a model file whose inputs or outputs are not the ones that the manifest lists."""
    manifest = artifact.manifest
    for kind, found, listed in (
        ("inputs", session.get_inputs(), manifest.inputs),
        ("outputs", session.get_outputs(), [entry for entry in manifest.outputs if entry.name in outputs]),
    ):
        inside = [(tensor.name, _type_name(tensor.type), _sizes(tensor.shape)) for tensor in found]
        expected = [(entry.name, entry.dtype, _sizes(entry.shape)) for entry in listed]
        if len(inside) == len(expected) and all(map(_fits, inside, expected)):
            continue
        wrong = next(
            ((a, b) for a, b in zip(inside, expected, strict=False) if not _fits(a, b)),
            (f"{len(inside)} of them", f"{len(expected)} of them"),
        )
        raise ArtifactError(
            f"{artifact.path}: the manifest's {kind} are not those of {ONNX_FILE}: the model has {_words(wrong[0])}, "
            f"the manifest {_words(wrong[1])}.\nExport the artifact again."
        )


def _type_name(onnx_type: str) -> str:
    """Return NumPy's name for ONNX Runtime's `tensor(float)`."""
    name = onnx_type.removeprefix("tensor(").removesuffix(")")
    return {"float": "float32", "double": "float64"}.get(name, str(np.dtype(name)) if name in np.sctypeDict else name)


def _sizes(shape: Sequence[int | str | None]) -> tuple[int | str, ...]:
    return tuple(size if isinstance(size, int) else "any" for size in shape)


def _fits(inside: _Fact, listed: _Fact) -> bool:
    """Return whether what the manifest lists is what the model has: the manifest may fix a size that is open there."""
    return (
        inside[:2] == listed[:2]
        and len(inside[2]) == len(listed[2])
        and all(size in ("any", other) for size, other in zip(inside[2], listed[2], strict=True))
    )


def _words(fact: _Fact | str) -> str:
    return fact if isinstance(fact, str) else f"{fact[0]} ({fact[1]}, {shape_words(fact[2])})"
