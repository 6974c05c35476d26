"""Runs an artifact on ONNX Runtime, without PyTorch: arrays in, every output by name out."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ..artifact.errors import ArtifactError, ExecutionError, first_line
from ..artifact.folder import Artifact
from ..artifact.manifest import ONNX_FILE
from ..artifact.selection import known_outputs
from .input_check import check_inputs, refuse_bfloat16
from .machine import Facts
from .onnx_session import Provider, misplaced_nodes, open_session, session_facts
from .settings import DEFAULT_SETTINGS, Settings

__all__ = ["BoundRun", "OnnxRunner"]


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


class OnnxRunner:
    """An open ONNX Runtime session on one provider.

    Attributes:
        name: `onnx-cpu`, `onnx-cuda` or `onnx-tensorrt`.
        file: the artifact's file that it executes.
        providers: what the session really uses, first choice first.
        misplaced: compute nodes (`Conv layer1.0.conv1`) that run elsewhere than asked.
        facts: what may explain a drift, read back from the session.
    """

    file = ONNX_FILE

    def __init__(
        self,
        artifact: Artifact,
        provider: Provider = "cpu",
        settings: Settings = DEFAULT_SETTINGS,
        outputs: Sequence[str] | None = None,
    ) -> None:
        """Open the artifact's ONNX file.

        Args:
            artifact: what `open_artifact` gave.
            provider: where to run. None but `cpu` ever falls back to another as a whole; where ONNX Runtime put single
                compute nodes elsewhere, `misplaced` names them.
            settings: how to run.
            outputs: names of the outputs that the model is cut to; None for all.

        Raises:
            RunnerUnavailable: the provider was asked for and can't be used.
            ArtifactError: the file is missing, altered, no valid model, or not what the manifest says.
            UsageError: one of `outputs` is not the model's.
        """
        self.name = f"onnx-{provider}"
        self._manifest = artifact.manifest
        refuse_bfloat16(self._manifest, self.name)
        self._names = known_outputs(self._manifest, outputs)
        self._session = open_session(artifact, provider, settings, self._names)
        self.providers: list[str] = self._session.get_providers()
        _compare_with_manifest(self._session, artifact, self._names)
        self.misplaced = misplaced_nodes(self._session, artifact, provider)
        self.facts: Facts = session_facts(self._session, provider)

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return every output by name, in the manifest's order, for inputs by name (N C H W for an image batch).

        Raises:
            InputError: an input is missing, or its shape or dtype isn't the manifest's.
            ExecutionError: ONNX Runtime failed: out of memory, or an operation it can't do.
        """
        checked = check_inputs(self._manifest, inputs)
        try:
            arrays: Sequence[NDArray[Any]] = self._session.run(self._names, checked)
        except Exception as error:
            raise ExecutionError(f"ONNX Runtime failed to run {self._manifest.model}: {first_line(error)}") from error
        return dict(zip(self._names, arrays, strict=True))

    @property
    def on_device(self) -> bool:
        """Whether it computes on a GPU, from whose memory the outputs have to be fetched."""
        return self.providers[0] != "CPUExecutionProvider"

    def bind(self, inputs: Mapping[str, NDArray[Any]]) -> BoundRun:
        """Give inputs and outputs their places in memory, for many runs of one batch size.

        Raises:
            InputError: an input is missing, or its shape or dtype isn't the manifest's.
            ExecutionError: ONNX Runtime failed: out of memory, or an operation it can't do.
        """
        checked = check_inputs(self._manifest, inputs)
        try:
            return BoundRun(self._session, self._names, checked, "cuda" if self.on_device else "cpu")
        except Exception as error:
            raise ExecutionError(f"ONNX Runtime failed to run {self._manifest.model}: {first_line(error)}") from error


def _compare_with_manifest(session: onnxruntime.InferenceSession, artifact: Artifact, outputs: Sequence[str]) -> None:
    """Refuse a model file whose inputs or outputs are not the ones that the manifest lists."""
    manifest = artifact.manifest
    for kind, found, listed in (
        ("inputs", session.get_inputs(), manifest.inputs),
        ("outputs", session.get_outputs(), [entry for entry in manifest.outputs if entry.name in outputs]),
    ):
        inside = [(tensor.name, _type_name(tensor.type), _sizes(tensor.shape)) for tensor in found]
        told = [(entry.name, entry.dtype, _sizes(entry.shape)) for entry in listed]
        if inside == told:
            continue
        wrong = next(
            ((a, b) for a, b in zip(inside, told, strict=False) if a != b),
            (f"{len(inside)} of them", f"{len(told)} of them"),
        )
        raise ArtifactError(
            f"{artifact.path}: the manifest's {kind} are not those of {ONNX_FILE}: the model has {_words(wrong[0])}, "
            f"the manifest {_words(wrong[1])}.\nExport the artifact again."
        )


def _type_name(onnx_type: str) -> str:
    """Return NumPy's name for ONNX Runtime's `tensor(float)`."""
    name = onnx_type.removeprefix("tensor(").removesuffix(")")
    return {"float": "float32", "double": "float64"}.get(name, str(np.dtype(name)) if name in np.sctypeDict else name)


def _sizes(shape: Sequence[int | str | None]) -> str:
    return " x ".join(str(size) if isinstance(size, int) else "any" for size in shape) or "a number"


def _words(fact: object) -> str:
    return f"{fact[0]} ({fact[1]}, {fact[2]})" if isinstance(fact, tuple) else str(fact)
