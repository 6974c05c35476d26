"""What the ONNX nodes of each output are: their operators, attributes and constants, in a form that can be compared.

`export` records it beside the file (`operations.json`), so that `verify` can name what differs in a file that was
edited or processed since. Comparing is in `verdict/node_differences.py`.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from .errors import ArtifactError, first_line
from .onnx_file import OnnxFile, names_read
from .onnx_weights import read_weight

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import AttributeProto, ModelProto, NodeProto, TensorProto

__all__ = [
    "ExportedNodes",
    "OnnxConstant",
    "OnnxNode",
    "attribute_text",
    "constant",
    "describe_nodes",
    "nearest_values",
]

_SHOWN = 8
"""A constant of up to this many elements is recorded by its values."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OnnxConstant(_Entry):
    """A constant input of a node."""

    name: str
    """The weight's own: `layer1.0.conv1.weight`."""
    shape: tuple[int, ...]
    sum: str
    """Of all elements, in float64, with nine digits; text, because JSON has no NaN."""
    sha256: str
    """The first 16 digits, over the elements' bytes, little-endian."""
    values: str | None = None
    """The elements of a small one, as in `OnnxNode.parameters`."""


class OnnxNode(_Entry):
    """One node of the graph."""

    operator: str
    """`Conv`; of another domain than ONNX's own, `domain.Name`."""
    parameters: dict[str, str | OnnxConstant] = {}
    """Attributes and constant inputs by ONNX's names. A number is as short as float32 allows (`1e-05`), a list is
    separated by spaces; subgraphs and tensors in attributes are omitted."""
    reads: tuple[str, ...] = ()
    """The outputs, and inputs of the model, among its inputs, in their order."""


class ExportedNodes(_Entry):
    """The content of `operations.json`."""

    format_version: Literal[1]
    outputs: dict[str, tuple[OnnxNode, ...]]
    """By output: the nodes between the nearest outputs or inputs and it, in the order of the file."""


def describe_nodes(
    file: OnnxFile, outputs: Collection[str], wanted: Iterable[str], *, of_data: bool = False
) -> ExportedNodes:
    """Return what the nodes of some outputs are.

    Args:
        file: the ONNX file.
        outputs: all outputs of the artifact.
        wanted: those to describe. Their weights are read.
        of_data: only the nodes that data goes through: none that compute with sizes or constants, as each exporter
            has its own.

    Raises:
        ArtifactError: it is not an ONNX model, or a weight can't be read.
    """
    model = file.model()
    described = _Describing(model, file)
    nodes = [node for node in model.graph.node if node.op_type != "Constant"]
    producers = {name: index for index, node in enumerate(nodes) for name in node.output if name}
    needs = [tuple(names_read(node)) for node in nodes]
    named = {*outputs, *(value.name for value in model.graph.input)}
    through = _of_data(model, nodes, needs) if of_data else range(len(nodes))
    found = {}
    for output in wanted:
        if output in producers:
            between = nearest_values(output, producers, needs, named)[1]
            indices = sorted(index for index in {*between, producers[output]} if index in through)
            found[output] = tuple(described.node(nodes[index], named) for index in indices)
    return ExportedNodes(format_version=1, outputs=found)


def _of_data(model: "ModelProto", nodes: Sequence["NodeProto"], needs: Sequence[Sequence[str]]) -> set[int]:
    """Return the numbers of the nodes that data goes through."""
    weights = {tensor.name for tensor in model.graph.initializer}
    data = {value.name for value in model.graph.input} - weights
    through = set()
    for index, node in enumerate(nodes):
        if node.op_type not in ("Shape", "Size") and not data.isdisjoint(needs[index]):
            through.add(index)
            data.update(node.output)
    return through


def nearest_values(
    output: str, producers: Mapping[str, int], needs: Sequence[Sequence[str]], named: Collection[str]
) -> tuple[tuple[str, ...], set[int]]:
    """Return the nearest of the named values that an output is computed from, and the nodes in between.

    Args:
        output: the output.
        producers: by value, the number of the node that computes it.
        needs: by node, the values that it reads.
        named: where the search ends.
    """
    found: dict[str, None] = {}
    seen: set[str] = set()
    waiting = list(reversed(needs[producers[output]]))
    while waiting:
        name = waiting.pop()
        if name in named:
            found[name] = None
        elif name in producers and name not in seen:
            seen.add(name)
            waiting += reversed(needs[producers[name]])
    return tuple(found), {producers[name] for name in seen}


class _Describing:
    """A model whose nodes are described; each constant is read once."""

    def __init__(self, model: "ModelProto", file: OnnxFile) -> None:
        self._file = file
        self._opsets = {each.domain: each.version for each in model.opset_import}
        self._tensors = {tensor.name: tensor for tensor in model.graph.initializer}
        for node in model.graph.node:
            for attribute in node.attribute if node.op_type == "Constant" else ():
                if attribute.HasField("t"):
                    self._tensors[node.output[0]] = attribute.t
        self._read: dict[str, OnnxConstant] = {}

    def node(self, node: "NodeProto", named: Collection[str]) -> OnnxNode:
        texts = {attribute.name: attribute_text(attribute) for attribute in node.attribute}
        parameters: dict[str, str | OnnxConstant] = {name: text for name, text in texts.items() if text is not None}
        for position, name in enumerate(node.input):
            if name in self._tensors:
                if name not in self._read:
                    self._read[name] = self._constant(name, self._tensors[name])
                parameters[self._input_name(node, position)] = self._read[name]
        operator = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
        return OnnxNode(
            operator=operator, parameters=parameters, reads=tuple(name for name in node.input if name in named)
        )

    def _input_name(self, node: "NodeProto", position: int) -> str:
        import onnx

        try:
            formal = onnx.defs.get_schema(node.op_type, self._opsets.get(node.domain, 1), node.domain).inputs
        except onnx.defs.SchemaError:
            formal = []
        if position < len(formal) and formal[position].option != onnx.defs.OpSchema.FormalParameterOption.Variadic:
            return str(formal[position].name)
        return f"input {position + 1}"

    def _constant(self, name: str, tensor: "TensorProto") -> OnnxConstant:
        try:
            array = read_weight(tensor, self._file.folder)
            return constant(name, array)
        except Exception as error:  # protobuf's own errors share no base with onnx's
            raise ArtifactError(f"{self._file.path}: the weight {name} can't be read: {first_line(error)}") from error


def constant(name: str, array: "NDArray[Any]") -> OnnxConstant:
    """Return what is recorded of a constant."""
    import numpy as np

    total = float(np.sum(array, dtype=np.float64)) if array.dtype.kind != "O" else 0.0
    return OnnxConstant(
        name=name,
        shape=array.shape,
        sum=f"{total:.9g}",
        sha256=hashlib.sha256(array.tobytes()).hexdigest()[:16],
        values=_text(array.reshape(-1).tolist()) if array.size <= _SHOWN else None,
    )


def attribute_text(attribute: "AttributeProto") -> str | None:
    """Return an attribute's number, string or list of these as `OnnxNode.parameters` has it; None for anything else."""
    import onnx

    value = onnx.helper.get_attribute_value(attribute) if attribute.type else None
    values = [value] if isinstance(value, (int, float, bytes)) else value
    if isinstance(values, Sequence) and all(isinstance(each, (int, float, bytes)) for each in values):
        return _text(values)
    return None


def _text(values: Iterable[Any]) -> str:
    return " ".join(map(_short, values))


def _short(value: Any) -> str:
    import numpy as np

    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return str(np.float32(value)).removesuffix(".0") if isinstance(value, float) else str(value)
