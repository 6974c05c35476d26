"""ONNX file -> a model whose nodes are sound and sorted, without its weights; what isn't is refused with its node.

The weights stay in the file: what is read refers to them (`runtime/artifact/onnx_file.py`).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from heapq import heapify, heappop, heappush
from math import prod
from pathlib import Path

import onnx
import onnx.inliner
from onnx import NodeProto, TensorProto

from runtime.artifact.errors import ArtifactError, ModelError, first_line
from runtime.artifact.onnx_file import OnnxFile, read_onnx
from runtime.artifact.onnx_weights import place_of
from runtime.artifact.plain_text import one_line
from runtime.float64.contrib import PARTS
from runtime.float64.nodes import reads, subgraphs
from runtime.float64.size_limit import refuse_too_many

from .value_names import name_safely

__all__ = ["SoundModel", "described", "domain_of", "read_sound_model", "uncomputed"]

_OLDEST_OPSET = 7
"""Before it, operators broadcast by an attribute; no runtime that is in use takes these."""
_NO_VERSION = 2**31
_INITIALIZERS_ARE_INPUTS_BEFORE = 4


@dataclass(frozen=True)
class SoundModel:
    """An ONNX model that can be computed node by node, in the order of the file."""

    file: OnnxFile
    """The weights are there, or beside it."""
    model: onnx.ModelProto
    """Its functions are inlined, no weight is among its inputs, each result is computed by a node, and the names of
    values are safe to print."""
    returned: dict[str, str]
    """By value that it returns, what the file calls it."""
    notes: tuple[str, ...] = ()
    """What had to be put right, in words."""

    @property
    def opsets(self) -> dict[str, int]:
        """The version of each domain's operators; ONNX's own domain is empty."""
        return {domain_of(each.domain): each.version for each in self.model.opset_import}


def domain_of(domain: str) -> str:
    """Return a domain's usual name: ONNX's own has two."""
    return "" if domain == "ai.onnx" else domain


def described(node: NodeProto) -> str:
    """Return how messages call a node: `Conv 'stem/conv'`, or by its result if it has no name."""
    operator = one_line(f"{node.domain}.{node.op_type}" if domain_of(node.domain) else node.op_type)
    return f"{operator} {(node.name or next(filter(None, node.output), ''))!r}"


def uncomputed(node: NodeProto, reason: str) -> str:
    """Return which node can't be computed and why, and what to do if it is of another domain."""
    domain = one_line(domain_of(node.domain))
    advice = f"\nOperators of {domain} are unknown here: give the file from before a runtime's optimizer."
    return f"{described(node)}, {reason}{advice if domain else ''}"


def read_sound_model(file: Path) -> SoundModel:
    """Read an ONNX file of whatever origin.

    Raises:
        ModelError: it isn't ONNX, is truncated, of an unknown or too old opset, contradicts itself, or its weights are
            missing or outside of its folder.
    """
    try:
        opened = read_onnx(file)
        model = opened.model()
    except ArtifactError as error:
        raise ModelError(str(error)) from error
    if not model.graph.node:
        raise ModelError(f"{file} is not an ONNX model, or an empty one: it has no operation.")
    if not model.graph.output:
        raise ModelError(f"{file} returns nothing: it lists no result of its graph.")
    _check_opsets(file, model)
    _check_values(file, model)
    _check_weights(file, model, opened.folder)
    try:
        model = onnx.inliner.inline_local_functions(model) if model.functions else model
    except Exception as error:
        raise ModelError(f"{file}: its functions can't be inlined: {first_line(error)}") from error
    _refuse_doubles(file, "stores the weight", [tensor.name for tensor in model.graph.initializer])
    _refuse_doubles(file, "lists the input", [value.name for value in model.graph.input])
    weights = {tensor.name for tensor in model.graph.initializer}
    _keep_inputs(model, [value for value in model.graph.input if value.name not in weights])
    if model.graph.sparse_initializer:
        raise ModelError(f"{file} has sparse weights, which are not supported: store them as dense ones.")
    order = _order(file, model)
    notes = []
    if list(order) != sorted(order):
        nodes = [model.graph.node[index] for index in order]
        _replace_nodes(model, nodes)
        notes.append("its nodes are not in an order in which they can be computed: they were sorted")
    _check_nodes(file, model)
    return SoundModel(opened, model, name_safely(model), tuple(notes))


def _check_opsets(file: Path, model: onnx.ModelProto) -> None:
    versions = {domain_of(each.domain): each.version for each in model.opset_import}
    version, newest = versions.get("", 1), onnx.defs.onnx_opset_version()
    uses_own = any(not domain_of(node.domain) for node in model.graph.node)
    if uses_own and not _OLDEST_OPSET <= version <= newest:
        older = "onnx.version_converter.convert_version(model, 17) may convert it."
        raise ModelError(
            f"{file} is of opset {version}; opsets {_OLDEST_OPSET} to {newest} can be read.\n"
            f"{older if version < newest else 'A newer onnx may read it: pip install --upgrade onnx'}"
        )


def _check_values(file: Path, model: onnx.ModelProto) -> None:
    """Refuse versions and types that ONNX doesn't have, and inputs that fit no memory."""
    versions = [model.ir_version, *(each.version for each in model.opset_import)]
    impossible = next((each for each in versions if not 0 <= each < _NO_VERSION), None)
    if impossible is not None:
        raise ModelError(f"{file} has the version {impossible}, which is none of ONNX's.")
    graph, known = model.graph, TensorProto.DataType.values()
    types = [(each.name, each.type.tensor_type.elem_type) for each in (*graph.input, *graph.output, *graph.value_info)]
    for name, type_ in (*types, *((tensor.name, tensor.data_type) for tensor in graph.initializer)):
        if type_ not in known:
            raise ModelError(f"{file}: {name!r} is of the type {type_}, which is none of ONNX's.")
    for value in graph.input:
        try:
            refuse_too_many(prod(max(size.dim_value, 1) for size in value.type.tensor_type.shape.dim))
        except NotImplementedError as error:
            raise ModelError(f"{file}: its input {value.name!r} is too large: {error}.") from error


def _refuse_doubles(file: Path, what: str, names: Sequence[str]) -> None:
    double = next((name for name, count in Counter(names).items() if count > 1), None)
    if double is not None:
        raise ModelError(f"{file} {what} {double!r} twice: which one counts isn't defined.")


def _check_weights(file: Path, model: onnx.ModelProto, folder: Path) -> None:
    """Refuse weights of impossible sizes, and those that reach beyond the end of the file that they are in."""
    for tensor in model.graph.initializer:
        if any(size < 0 for size in tensor.dims):
            raise ModelError(f"{file}: the weight {tensor.name!r} has a negative size, {list(tensor.dims)}.")
        try:
            place_of(tensor, folder)
        except ValueError as error:
            raise ModelError(f"{file}: {error}.") from error


def _order(file: Path, model: onnx.ModelProto) -> Sequence[int]:
    """Return the nodes' numbers in an order of computation, the file's own if it is one."""
    known = {value.name for value in model.graph.input} | {tensor.name for tensor in model.graph.initializer}
    producers: dict[str, int] = {}
    for index, node in enumerate(model.graph.node):
        for name in filter(None, node.output):
            if name in producers or name in known:
                raise ModelError(f"{file}: the value {name!r} is computed twice, by {described(node)} the second time.")
            producers[name] = index
    needs: dict[int, list[int]] = {}
    for index, node in enumerate(model.graph.node):
        for name in reads(node):
            if name not in producers and name not in known:
                raise ModelError(f"{file}: {described(node)} reads {name!r}, which nothing computes.")
        needs[index] = [producers[name] for name in reads(node) if name in producers]
    for value in model.graph.output:
        if value.name not in producers and value.name not in known:
            raise ModelError(f"{file} returns {value.name!r}, which nothing computes.")
    if all(max(before, default=-1) < index for index, before in needs.items()):
        return range(len(needs))
    sorter = TopologicalSorter(needs)
    try:
        sorter.prepare()
    except CycleError as error:
        circle = " <- ".join(described(model.graph.node[index]) for index in error.args[1][:4])
        raise ModelError(f"{file}: its operations need one another in a circle: {circle}.") from error
    order: list[int] = []
    ready = list(sorter.get_ready())
    heapify(ready)
    while ready:  # the first of the file that can be computed
        order.append(heappop(ready))
        sorter.done(order[-1])
        for index in sorter.get_ready():
            heappush(ready, index)
    return order


def _check_nodes(file: Path, model: onnx.ModelProto) -> None:
    """Let onnx's checker see each node alone: it takes no file that is unsorted, or whose weights are elsewhere."""
    context = onnx.checker.C.CheckerContext()
    context.ir_version = max(model.ir_version, _INITIALIZERS_ARE_INPUTS_BEFORE)
    context.opset_imports = {each.domain: each.version for each in model.opset_import}
    for node in model.graph.node:
        if any(subgraphs(node)):
            continue  # what they read from outside is unknown to a checker of one node
        try:
            onnx.checker.check_node(node, context)
        except (onnx.checker.ValidationError, UnicodeDecodeError) as error:  # a reason that quotes what is no text
            # Operators of other domains are the runtime's, and some that it writes as if they were ONNX's.
            if domain_of(node.domain) == "" and ("", node.op_type) not in PARTS:
                raise ModelError(f"{file}: {described(node)} is invalid: {first_line(error)}") from error


def _keep_inputs(model: onnx.ModelProto, values: Iterable[onnx.ValueInfoProto]) -> None:
    kept = [_copy(value) for value in values]
    del model.graph.input[:]
    model.graph.input.extend(kept)


def _replace_nodes(model: onnx.ModelProto, nodes: Iterable[NodeProto]) -> None:
    kept = []
    for node in nodes:
        copied = NodeProto()
        copied.CopyFrom(node)
        kept.append(copied)
    del model.graph.node[:]
    model.graph.node.extend(kept)


def _copy(value: onnx.ValueInfoProto) -> onnx.ValueInfoProto:
    copied = onnx.ValueInfoProto()
    copied.CopyFrom(value)
    return copied
