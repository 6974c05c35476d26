"""Which operations of a model ONNX Runtime runs as one kernel, by comparing a graph with its optimised form.

This shows what a probe's extra outputs prevent; it neither runs a model nor measures time.
"""

# onnx and onnxruntime are slow to import, so only the type checker and optimising load them.
from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..artifact.errors import ArtifactError, RunnerUnavailable, first_line
from ..artifact.unfinished import scratch_folder
from ..runners.cuda_support import CUDA, load_cuda_libraries, why_no_cuda
from ..runners.settings import GraphOptimization
from .graph_values import GraphValues

if TYPE_CHECKING:
    from onnx import AttributeProto, GraphProto, NodeProto

__all__ = ["Fusion", "fusions", "optimised_graph", "prevented_fusions"]

_BLOCKED = "com.microsoft.nchwc"
"""The domain of the CPU's kernels on blocks of channels. Their values are named `reorder_token_7`, and they themselves
after the value that they made (`relu_nchwc`, `norm_bn_nchwc`) before they absorbed what is behind it."""

_BLOCKED_NAME = re.compile(r"(.+?)(_bn)?_nchwc(_token_\d+)?")
_COPIES = frozenset({"ReorderInput", "ReorderOutput", "MemcpyFromHost", "MemcpyToHost"})
# fmt: off
_MOVES = frozenset({
    "Cast", "Concat", "Expand", "Flatten", "Gather", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze",
})
# fmt: on
"""Operations that compute nothing. They may vanish because they change nothing or because their neighbours undo it."""

_TRANSPOSING = re.compile("MatMul|Gemm|Attention")
"""Kernels that can absorb a transpose of their inputs."""


@dataclass(frozen=True)
class Fusion:
    """Nodes of a model that run as one kernel, in the order of execution.

    Attributes:
        operations: `("Conv", "BatchNormalization", "Relu")`.
        nodes: their names, which the export takes from the model: `("conv1", "bn1", "relu")`.
    """

    operations: tuple[str, ...]
    nodes: tuple[str, ...]


def prevented_fusions(plain: Iterable[Fusion], probe: Iterable[Fusion]) -> list[Fusion]:
    """Return the plain model's fusions that don't happen in the probe, or only in part."""
    kept = [set(fusion.nodes) for fusion in probe]
    return [fusion for fusion in plain if not any(group.issuperset(fusion.nodes) for group in kept)]


def optimised_graph(
    model: bytes | Path,
    *,
    level: GraphOptimization = "all",
    provider: Literal["cpu", "cuda"] = "cpu",
    weights_folder: Path | None = None,
) -> GraphProto:
    """Return the graph that ONNX Runtime makes of a model, without the weights.

    These go to a temporary folder meanwhile, where they take as much space as in the model.

    Args:
        model: the file, or its content.
        level: how much is optimised.
        provider: where it would run.
        weights_folder: the folder of weights that are in a file of their own, if the content is given.

    Raises:
        ArtifactError: ONNX Runtime can't load the model.
        RunnerUnavailable: CUDA was requested and can't be used.
    """
    import onnx
    import onnxruntime

    from ..runners.onnx_session import session_options

    providers = _providers(provider)
    options = session_options(level, weights_folder)
    options.intra_op_num_threads = 1  # nothing is run
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", "weights")
    options.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", "1024")
    with scratch_folder() as folder:
        file = folder / "optimised.onnx"
        options.optimized_model_filepath = str(file)
        try:
            onnxruntime.InferenceSession(model, options, providers=providers)
        except Exception as error:
            subject = model if isinstance(model, Path) else "The model"
            raise ArtifactError(f"{subject} can't be optimised by ONNX Runtime: {first_line(error)}") from error
        return onnx.load(file, load_external_data=False).graph


def _providers(provider: Literal["cpu", "cuda"]) -> list[Any]:
    cpu = "CPUExecutionProvider"
    if provider == "cpu":
        return [cpu]
    reason = why_no_cuda()
    if reason:
        raise RunnerUnavailable(f"The CUDA provider was requested, but {reason}.\nUse the CPU provider.")
    load_cuda_libraries()
    return [(CUDA, {"use_tf32": "0"}), cpu]


def fusions(original: GraphProto, optimised: GraphProto) -> list[Fusion]:
    """Return the groups of two or more nodes of a graph that its optimised form runs as one kernel.

    What is merely eliminated is in no group: dropouts, reshapes that change nothing, transposes that cancel each
    other, what is computed twice, and what is folded into constants. Nor are nodes that compute on sizes, or that no
    result needs. A node is in one group at most.

    Args:
        original: the graph that was given to ONNX Runtime.
        optimised: what `optimised_graph` returned for it.
    """
    model = GraphValues(original)
    kernels = _Kernels(model, optimised)
    taken: set[int] = set()
    groups = []
    for node in optimised.node:
        group = kernels.fused_in(node) - taken
        if len(group) > 1:
            taken |= group
            groups.append(sorted(group))
    return [
        Fusion(tuple(node.op_type for node in nodes), tuple(node.name or node.output[0] for node in nodes))
        for nodes in ([model.nodes[index] for index in group] for group in sorted(groups))
    ]


class _Kernels:
    """The optimised graph, with its values mapped to the model's."""

    def __init__(self, model: GraphValues, optimised: GraphProto) -> None:
        self._model = model
        self._weights = {tensor.name for tensor in optimised.initializer}
        self._maker = {name: node for node in optimised.node for name in node.output if name}
        self._held = _held_values(model, optimised)
        self._made = {value for name, value in self._held.items() if name in self._maker}

    def fused_in(self, node: NodeProto) -> set[int]:
        """Return the indices of the model's nodes that became one kernel, whose value this optimised node outputs."""
        if node.op_type in _COPIES:
            return set()
        workers, taken = self._workers(node)
        ends = {self._held[name] for name in node.output if name in self._held} - taken
        members = self._made_from(ends)
        kernels = [worker for worker in workers if worker.op_type not in _MOVES]
        if len(kernels) != 1 or any(self._is_unchanged(kernels[0], self._model.nodes[index]) for index in members):
            return set()
        return self._without_moves_at_the_edge(members, kernels[0])

    def _workers(self, node: NodeProto) -> tuple[list[NodeProto], set[str]]:
        """Return the nodes that compute a node's value from values of the model, itself included, and those values."""
        workers, taken, waiting = [node], set(), list(node.input)
        seen: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name in self._held:
                taken.add(self._held[name])
            elif name in self._maker and name not in seen:
                maker = self._maker[name]
                seen.update(maker.output)
                waiting.extend(maker.input)
                if maker.op_type not in _COPIES:
                    workers.append(maker)
        return workers, taken

    def _made_from(self, ends: set[str]) -> set[int]:
        """Return the model's nodes between these values and the nearest ones before them that other kernels make."""
        members: set[int] = set()
        waiting = list(ends)
        while waiting:
            index = self._model.maker.get(waiting.pop())
            if index is not None and index not in members:
                members.add(index)
                waiting.extend(self._model.inputs(index) - self._made)
        return members

    def _is_unchanged(self, kernel: NodeProto, node: NodeProto) -> bool:
        """Return whether a kernel does what one node did, so that it absorbed nothing."""
        if kernel.domain == _BLOCKED:
            return kernel.op_type != "Conv"
        if (kernel.op_type, kernel.domain, _arity(kernel)) != (node.op_type, node.domain, _arity(node)):
            return False
        # Fusing makes new weights. Merging equal small constants also makes new names.
        new = [name for name in kernel.input if name in self._weights and name not in self._model]
        return all(name.startswith("ortshared_") for name in new) and _attributes(kernel) == _attributes(node)

    def _without_moves_at_the_edge(self, members: set[int], kernel: NodeProto) -> set[int]:
        nodes = self._model.nodes
        moves = {index for index in members if nodes[index].op_type in _MOVES}
        if _TRANSPOSING.search(kernel.op_type):
            moves = {index for index in moves if nodes[index].op_type != "Transpose"}
        while True:
            makers = {name: index for index in members for name in nodes[index].output}
            feeding = {makers[name] for index in members for name in self._model.inputs(index) if name in makers}
            fed = {index for index in members if not makers.keys().isdisjoint(self._model.inputs(index))}
            outer = {index for index in moves & members if index not in feeding or index not in fed}
            if not outer:
                return members
            members = members - outer


def _held_values(model: GraphValues, optimised: GraphProto) -> dict[str, str]:
    """Map each value of the optimised graph that is one of the model's to that one."""
    names = {name for node in optimised.node for name in (*node.input, *node.output) if name}
    held = {name: model.value(name) for name in names if name in model}
    for node in optimised.node:
        if node.op_type in _COPIES and node.output[0] in held:
            held.setdefault(node.input[0], held[node.output[0]])
    by_name = {}
    for node in optimised.node:
        value = _value_by_name(model, node)
        if value is not None and node.output[0] not in held:
            by_name[node.output[0]] = value
    held |= by_name
    for node in optimised.node:
        if node.op_type in _COPIES and node.input[0] in held:
            held.setdefault(node.output[0], held[node.input[0]])
        if node.output[0] in by_name and node.domain == _BLOCKED and node.op_type == "Conv":
            held[node.output[0]] = _with_what_follows(model, node, held)
    return held


def _value_by_name(model: GraphValues, node: NodeProto) -> str | None:
    if node.domain == _BLOCKED:
        match = _BLOCKED_NAME.fullmatch(node.name)
        names = (match[1] + (match[2] or ""), match[1]) if match else ()
        return next((model.value(name) for name in names if name in model), None)
    given = model.by_name.get(node.name)
    return model.value(given.output[0]) if given is not None and given.op_type == node.op_type else None


def _with_what_follows(model: GraphValues, kernel: NodeProto, held: dict[str, str]) -> str:
    """Return what a convolution on blocks really makes: it absorbs the addition behind it, and an activation."""
    value, made = held[kernel.output[0]], set(held.values())
    activation = next((entry.s.decode() for entry in kernel.attribute if entry.name == "activation"), None)
    added = held.get(kernel.input[3]) if len(kernel.input) > 3 else None
    for operation, others in (("Add", {added}), (activation, set())):
        takers = model.takers.get(value, [])
        if len(takers) != 1 or value in model.results:
            break
        taken, result = model.inputs(takers[0]), model.value(model.nodes[takers[0]].output[0])
        if model.nodes[takers[0]].op_type == operation and others <= taken and result not in made:
            value = result
    return value


def _arity(node: NodeProto) -> int:
    return sum(bool(name) for name in node.input)


def _attributes(node: NodeProto) -> dict[str, bytes]:
    """Return the attributes except those at their default, which ONNX Runtime writes out."""
    import onnx

    known = (
        onnx.defs.get_schema(node.op_type, domain=node.domain).attributes
        if onnx.defs.has(node.op_type, node.domain)
        else {}
    )
    return {
        entry.name: _value(entry)
        for entry in node.attribute
        if entry.name not in known or _value(entry) != _value(known[entry.name].default_value)
    }


def _value(attribute: AttributeProto) -> bytes:
    plain = type(attribute)()
    plain.CopyFrom(attribute)
    plain.ClearField("doc_string")
    plain.ClearField("name")
    content: bytes = plain.SerializeToString(deterministic=True)
    return content
