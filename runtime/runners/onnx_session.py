"""Opening an ONNX Runtime session on one provider, and reading back what it actually does, and where."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnxruntime
from onnxruntime.capi.build_and_package_info import cuda_version

from ..artifact.errors import ArtifactError, RunnerUnavailable, first_line, how_to_install
from ..artifact.folder import Artifact
from ..artifact.manifest import SIZE_NODE_PREFIX, Manifest
from ..artifact.onnx_file import GRAPH_OF_MODEL, OnnxFile
from ..artifact.protobuf import field
from .cuda_support import CUDA, TENSORRT, load_cuda_libraries, why_no_cuda, why_no_tensorrt
from .machine import Facts, cpu_name, cuda_library_facts, gpu_facts
from .settings import GraphOptimization, Settings

__all__ = [
    "computes_on_tensors",
    "executed_in_order",
    "misplaced_nodes",
    "open_file",
    "open_session",
    "session_facts",
    "session_options",
]

_CPU = "CPUExecutionProvider"
_PROVIDERS = {"cpu": _CPU, "cuda": CUDA, "tensorrt": TENSORRT}
_TENSORRT_TF32 = "NVIDIA_TF32_OVERRIDE"
"""ONNX Runtime has no option for TensorRT's TF32, which is on by default; NVIDIA's libraries read this variable."""
# fmt: off
_SIZE_OPERATIONS = frozenset({
    "Shape", "Size", "Gather", "Slice", "Concat", "Squeeze", "Unsqueeze", "Reshape", "Cast", "Range",
    "ConstantOfShape", "Add", "Sub", "Mul", "Div", "Mod", "Equal", "Less", "Greater", "Where", "Min",
    "Max",
})
# fmt: on
"""Operations on sizes. ONNX Runtime keeps these few integers on the CPU on purpose, even if CUDA works."""


_NODE_OF_GRAPH = 1
_INPUT, _OUTPUT, _NAME, _OPERATION = 1, 2, 3, 4
"""Field numbers in ONNX's messages: GraphProto and NodeProto."""


def open_session(
    artifact: Artifact, provider: str, settings: Settings, outputs: Sequence[str]
) -> onnxruntime.InferenceSession:
    """Return a session for the artifact's ONNX file, cut to `outputs`, that actually uses the provider.

    Raises:
        RunnerUnavailable: the provider can't be used, or can't run this model.
        ArtifactError: the file is missing, altered, or not a valid model.
    """
    cut = artifact.onnx(outputs)
    if provider == "cpu" and len(outputs) > 1 and not artifact.is_averaged:
        cut = replace(cut, content=executed_in_order(cut.content, outputs))
    return open_file(cut, provider, settings, artifact.manifest)


def open_file(file: OnnxFile, provider: str, settings: Settings, manifest: Manifest) -> onnxruntime.InferenceSession:
    """Return a session for an ONNX file of the manifest's model, or a part of it, that actually uses the provider.

    Raises:
        RunnerUnavailable: the provider can't be used, or can't run this model.
        ArtifactError: it is not a valid model.
    """
    requested = f"The {'TensorRT' if provider == 'tensorrt' else provider.upper()} provider was requested, but"
    reason = {"cuda": why_no_cuda, "tensorrt": why_no_tensorrt}[provider]() if provider != "cpu" else None
    if reason:
        raise RunnerUnavailable(f"{requested} {reason}.\nUse --provider cpu, or auto.")
    options = session_options(settings.graph_optimization, file.folder)
    options.intra_op_num_threads = settings.threads or 0
    # Otherwise its threads keep spinning until the next run, and take the cores from whatever runs meanwhile.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(settings.spins)))
    if provider != "cpu":
        load_cuda_libraries()
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    try:
        session = onnxruntime.InferenceSession(
            file.content, options, providers=_providers(provider, settings, manifest)
        )
    except Exception as error:
        if type(error).__name__ == "NotImplemented":
            # Not the artifact's fault: float64 convolutions, for example, exist in ONNX but not in ONNX Runtime.
            raise RunnerUnavailable(
                f"onnx-{provider} can't run {manifest.model}: {first_line(error)}\nUse --runner torchscript."
            ) from error
        if provider != "cpu":
            raise RunnerUnavailable(
                f"The {_PROVIDERS[provider]} can't open {file.path}: {first_line(error)}\nUse --provider cpu, or auto."
            ) from error
        raise ArtifactError(f"{file.path} can't be loaded by ONNX Runtime: {first_line(error)}") from error
    if session.get_providers()[0] != _PROVIDERS[provider]:
        raise RunnerUnavailable(
            f"{requested} ONNX Runtime fell back to {session.get_providers()[0]}: a CUDA, cuDNN or TensorRT library is "
            f"missing.\n{how_to_install('cuda')}, or use --provider cpu."
        )
    return session


def session_options(level: GraphOptimization, weights: Path | None = None) -> onnxruntime.SessionOptions:
    """Return the options of every session here: no telemetry, and no logging.

    Args:
        level: how much is optimised.
        weights: the folder of weights that are in files, where the model is given by its content.
    """
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # Not the session's: cuDNN's plans that fail are errors there, before another algorithm is taken.
    onnxruntime.set_default_logger_severity(4)
    if weights is not None:
        # As bytes: a folder's name need not be UTF-8.
        folder: Any = os.fsencode(weights)
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", folder)
    options.graph_optimization_level = getattr(
        onnxruntime.GraphOptimizationLevel,
        "ORT_DISABLE_ALL" if level == "disabled" else f"ORT_ENABLE_{level.upper()}",
    )
    return options


def executed_in_order(model: bytes, outputs: Sequence[str]) -> bytes:
    """Return an ONNX model's file content with the outputs computed in the given order, that of execution, on the CPU.

    ONNX Runtime computes convolutions on blocks of channels, and adds a node at the end of the graph for each output
    that takes it out of the blocks. It executes depth first, from the last node that nothing reads to the first, and
    these nodes are in no order: so most outputs are copied long after they left the cache, and what they are copied
    from takes as much memory as they do. An output that a node with a known place reads is copied when that node's turn
    comes; `Shape` reads none of its numbers. Measured in one thread: a ResNet-50 with every tensor takes 1.26 times the
    plain model, 1.41 before.

    Protobuf merges a message with one that is appended to it, so nothing needs to be parsed.
    """
    nodes = b"".join(field(_NODE_OF_GRAPH, _shape_of(name)) for name in reversed(outputs))
    return model + field(GRAPH_OF_MODEL, nodes)


def _shape_of(output: str) -> bytes:
    named = {_INPUT: output, _OUTPUT: f"order::{output}", _NAME: f"order::{output}", _OPERATION: "Shape"}
    return b"".join(field(number, text.encode()) for number, text in named.items())


def _providers(provider: str, settings: Settings, manifest: Manifest) -> list[Any]:
    on_cuda = (
        CUDA,
        {"use_tf32": str(int(settings.tf32)), "cudnn_conv_algo_search": settings.convolution_search.upper()},
    )
    if provider == "cpu":
        return [_CPU]
    if provider == "cuda":
        return [on_cuda, _CPU]
    if settings.tf32:
        os.environ.pop(_TENSORRT_TF32, None)
    else:
        os.environ[_TENSORRT_TF32] = "0"
    # The engine computes in the model's precision, and in nothing narrower.
    half = "float16" in manifest.dtypes
    in_float32 = {"trt_fp16_enable": str(int(half)), "trt_bf16_enable": "0", "trt_int8_enable": "0"}
    return [(TENSORRT, in_float32), on_cuda, _CPU]


def session_facts(session: onnxruntime.InferenceSession, provider: str) -> Facts:
    """Return what may explain a drift, as the session and the libraries report it."""
    options = session.get_session_options()
    facts: Facts = {
        "runtime": "ONNX Runtime",
        "version": onnxruntime.__version__,
        "device": cpu_name(),
        "graph_optimization": options.graph_optimization_level.name.removeprefix("ORT_")
        .removeprefix("ENABLE_")
        .lower()
        .replace("disable_all", "disabled"),
        # ONNX Runtime doesn't report how many threads it uses by default: one per physical core.
        "threads": options.intra_op_num_threads or "one per core",
        "execution_mode": options.execution_mode.name.removeprefix("ORT_").lower(),
    }
    if provider == "cpu":
        return facts
    of_provider = session.get_provider_options()
    on_cuda = of_provider.get(CUDA, {})
    facts |= gpu_facts() | cuda_library_facts(cuda_version)
    facts["tf32"] = on_cuda.get("use_tf32") == "1"
    facts["convolution_search"] = on_cuda.get("cudnn_conv_algo_search", "").lower()
    if provider == "tensorrt":
        of_engine = of_provider[TENSORRT]
        facts["tf32"] = os.environ.get(_TENSORRT_TF32) != "0"
        facts["precision"] = "float16" if of_engine.get("trt_fp16_enable") in ("1", "True") else "float32"
    return facts


def misplaced_nodes(session: onnxruntime.InferenceSession, artifact: Artifact, provider: str) -> list[str]:
    """Return the compute nodes (`Conv layer1.0.conv1`) that run elsewhere than on the provider."""
    if provider == "cpu":
        return []
    outputs = set(artifact.manifest.output_names)
    return [
        f"{node.op_type} {node.name}"
        for part in session.get_provider_graph_assignment_info()
        if part.ep_name != _PROVIDERS[provider]
        for node in part.get_nodes()
        if computes_on_tensors(node.name, node.op_type, outputs)
    ]


def computes_on_tensors(name: str, operation: str, outputs: set[str]) -> bool:
    """Return whether a node computes on tensors, and not just on sizes.

    The export names a node after its output, those on sizes `size::...`, and all others `...::number`; any other name
    is ONNX Runtime's own, and then the operation decides.
    """
    if name in outputs or "::" in name:
        return not name.startswith(SIZE_NODE_PREFIX)
    return operation not in _SIZE_OPERATIONS and not operation.startswith("Memcpy")
