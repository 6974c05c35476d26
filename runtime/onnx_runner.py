"""Runs an artifact on ONNX Runtime, without PyTorch: arrays in, every output by name out."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from .artifact import Artifact
from .cuda_provider import PROVIDER, load_cuda_libraries, why_no_cuda
from .errors import ArtifactError, RunnerUnavailable
from .input_check import check_inputs
from .manifest import ONNX_FILE

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

    def __init__(
        self, artifact: Artifact, provider: Literal["cpu", "cuda"] = "cpu", *, allow_misplaced: bool = False
    ) -> None:
        """Open the artifact's ONNX file.

        Args:
            artifact: what `open_artifact` gave.
            provider: where to run. `cuda` never falls back to the CPU.
            allow_misplaced: keep a CUDA session some of whose compute nodes run on the CPU; `misplaced` names them.

        Raises:
            RunnerUnavailable: CUDA was asked for and can't be used, wholly or for some compute node.
            ArtifactError: the file is missing, altered, no valid model, or not what the manifest says.
        """
        self.name = f"onnx-{provider}"
        self._manifest = artifact.manifest
        self._session = _open_session(artifact, provider)
        self.providers: list[str] = self._session.get_providers()
        _compare_with_manifest(self._session, artifact)
        self.misplaced = _misplaced_nodes(self._session, artifact) if provider == "cuda" else []
        if self.misplaced and not allow_misplaced:
            raise RunnerUnavailable(
                f"CUDA was asked for, but {len(self.misplaced)} nodes run on the CPU: {', '.join(self.misplaced[:3])}."
                "\nUse --provider cpu, or auto."
            )

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return every output by name, in the manifest's order, for inputs by name (N C H W for an image batch).

        Raises:
            InputError: an input is missing, or its shape or dtype isn't the manifest's.
        """
        names = self._manifest.output_names
        arrays: Sequence[NDArray[Any]] = self._session.run(names, check_inputs(self._manifest, inputs))
        return dict(zip(names, arrays, strict=True))


def _open_session(artifact: Artifact, provider: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
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
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ArtifactError(f"{file} can't be loaded by ONNX Runtime: {reason}") from error
    if provider == "cuda" and session.get_providers()[0] != PROVIDER:
        raise RunnerUnavailable(
            f"The CUDA provider was asked for, but ONNX Runtime fell back to {session.get_providers()[0]}: a CUDA or "
            "cuDNN library is missing.\npip install 'onnxruntime-gpu[cuda,cudnn]', or use --provider cpu."
        )
    return session


def _misplaced_nodes(session: onnxruntime.InferenceSession, artifact: Artifact) -> list[str]:
    # A node that gives an output is called like it, and computes; so does any node that can't be about sizes.
    outputs = set(artifact.manifest.output_names)
    return [
        f"{node.op_type} {node.name}"
        for part in session.get_provider_graph_assignment_info()
        if part.ep_name == _CPU
        for node in part.get_nodes()
        if node.name in outputs or node.op_type not in _SIZE_OPERATIONS
    ]


def _compare_with_manifest(session: onnxruntime.InferenceSession, artifact: Artifact) -> None:
    """Refuse a model file whose inputs or outputs are not the ones that the manifest lists."""
    manifest = artifact.manifest
    for kind, found, listed in (
        ("inputs", session.get_inputs(), manifest.inputs),
        ("outputs", session.get_outputs(), manifest.outputs),
    ):
        inside = [(tensor.name, _type_name(tensor.type), len(tensor.shape)) for tensor in found]
        told = [(entry.name, entry.dtype, len(entry.shape)) for entry in listed]
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


def _words(fact: object) -> str:
    return f"{fact[0]} ({fact[1]}, {fact[2]} axes)" if isinstance(fact, tuple) else str(fact)
