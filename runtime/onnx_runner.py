"""Runs an artifact on ONNX Runtime, without PyTorch: arrays in, every output by name out."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from .artifact import Artifact
from .cuda_provider import PROVIDER, load_cuda_libraries, why_no_cuda
from .errors import ArtifactError, ExecutionError, RunnerUnavailable, first_line
from .input_check import check_inputs
from .manifest import ONNX_FILE, SIZE_NODE_PREFIX

__all__ = ["OnnxRunner"]

_CPU = "CPUExecutionProvider"
# fmt: off
_SIZE_OPERATIONS = frozenset({
    "Shape", "Size", "Gather", "Slice", "Concat", "Squeeze", "Unsqueeze", "Reshape", "Cast", "Range",
    "ConstantOfShape", "Add", "Sub", "Mul", "Div", "Mod", "Equal", "Less", "Greater", "Where", "Min",
    "Max",
})
# fmt: on
"""What computes on sizes. ONNX Runtime keeps these few integers on the CPU on purpose, also where CUDA works."""


class OnnxRunner:
    """An open ONNX Runtime session on one provider.

    Attributes:
        name: `onnx-cpu` or `onnx-cuda`.
        providers: what the session really uses, first choice first.
        misplaced: compute nodes (`Conv layer1.0.conv1`) that run on the CPU though CUDA was asked for.
    """

    def __init__(self, artifact: Artifact, provider: Literal["cpu", "cuda"] = "cpu") -> None:
        """Open the artifact's ONNX file.

        Args:
            artifact: what `open_artifact` gave.
            provider: where to run. `cuda` never falls back to the CPU as a whole; where ONNX Runtime put single
                compute nodes there, `misplaced` names them.

        Raises:
            RunnerUnavailable: CUDA was asked for and can't be used.
            ArtifactError: the file is missing, altered, no valid model, or not what the manifest says.
        """
        self.name = f"onnx-{provider}"
        self._manifest = artifact.manifest
        self._session = _open_session(artifact, provider)
        self.providers: list[str] = self._session.get_providers()
        _compare_with_manifest(self._session, artifact)
        self.misplaced = _misplaced_nodes(self._session, artifact) if provider == "cuda" else []

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return every output by name, in the manifest's order, for inputs by name (N C H W for an image batch).

        Raises:
            InputError: an input is missing, or its shape or dtype isn't the manifest's.
            ExecutionError: ONNX Runtime failed: out of memory, or an operation it can't do.
        """
        names, checked = self._manifest.output_names, check_inputs(self._manifest, inputs)
        try:
            arrays: Sequence[NDArray[Any]] = self._session.run(names, checked)
        except Exception as error:
            raise ExecutionError(f"ONNX Runtime failed to run {self._manifest.model}: {first_line(error)}") from error
        return dict(zip(names, arrays, strict=True))


def _open_session(artifact: Artifact, provider: str) -> onnxruntime.InferenceSession:
    manifest = artifact.manifest
    if "bfloat16" in {entry.dtype for entry in manifest.inputs} | {entry.dtype for entry in manifest.outputs}:
        raise RunnerUnavailable(
            f"onnx-{provider} can't run {manifest.model}, which computes in bfloat16: NumPy, in whose arrays "
            "ONNX Runtime gives its results, has no such type.\nUse --runner torchscript."
        )
    # Nobody asked for reports of what is run here.
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    providers: list[Any] = [_CPU]
    if provider == "cuda":
        reason = why_no_cuda()
        if reason:
            raise RunnerUnavailable(f"The CUDA provider was asked for, but {reason}.\nUse --provider cpu, or auto.")
        load_cuda_libraries()
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        # TF32 keeps 10 bits of the mantissa: on by default, it would show as drift in every convolution.
        providers = [(PROVIDER, {"use_tf32": "0"}), _CPU]
    file = artifact.file(ONNX_FILE)
    try:
        session = onnxruntime.InferenceSession(file, options, providers=providers)
    except Exception as error:
        if type(error).__name__ == "NotImplemented":
            # No fault of the artifact's: float64 convolutions, for one, exist in ONNX but not in ONNX Runtime.
            raise RunnerUnavailable(
                f"onnx-{provider} can't run {artifact.manifest.model}: {first_line(error)}\nUse --runner torchscript."
            ) from error
        if provider == "cuda":
            raise RunnerUnavailable(
                f"The CUDA provider can't open {file}: {first_line(error)}\nUse --provider cpu, or auto."
            ) from error
        raise ArtifactError(f"{file} can't be loaded by ONNX Runtime: {first_line(error)}") from error
    if provider == "cuda" and session.get_providers()[0] != PROVIDER:
        raise RunnerUnavailable(
            f"The CUDA provider was asked for, but ONNX Runtime fell back to {session.get_providers()[0]}: a CUDA or "
            "cuDNN library is missing.\npip install 'onnxruntime-gpu[cuda,cudnn]', or use --provider cpu."
        )
    return session


def _misplaced_nodes(session: onnxruntime.InferenceSession, artifact: Artifact) -> list[str]:
    outputs = set(artifact.manifest.output_names)
    return [
        f"{node.op_type} {node.name}"
        for part in session.get_provider_graph_assignment_info()
        if part.ep_name == _CPU
        for node in part.get_nodes()
        if _computes(node.name, node.op_type, outputs)
    ]


def _computes(name: str, operation: str, outputs: set[str]) -> bool:
    """Tell whether a node computes on tensors, and not just on sizes.

    The export names a node after its output, those on sizes `size::...`, and all others `...::number`; any other name
    is ONNX Runtime's own, and then the operation has to tell.
    """
    if name in outputs or "::" in name:
        return not name.startswith(SIZE_NODE_PREFIX)
    return operation not in _SIZE_OPERATIONS and not operation.startswith("Memcpy")


def _compare_with_manifest(session: onnxruntime.InferenceSession, artifact: Artifact) -> None:
    """Refuse a model file whose inputs or outputs are not the ones that the manifest lists."""
    manifest = artifact.manifest
    for kind, found, listed in (
        ("inputs", session.get_inputs(), manifest.inputs),
        ("outputs", session.get_outputs(), manifest.outputs),
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
