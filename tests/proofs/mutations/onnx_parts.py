"""Mutations of an ONNX model by its structure: valid protobuf, and a model that says something else."""

from collections.abc import Callable
from random import Random
from typing import Any

import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper

from proofs.mutations.onnx_additions import ADDED_TO_ONNX

__all__ = ["OF_ONNX"]

_NAMES = ("", "a\x1b]0;evil\x07b", "a\nAll pass.", "../home/kept", "A" * 20_000, "\u202ex", "x", "input", "\x00")
_INTEGERS = (-1, 0, 1, 2, 7, 1000, 2**31 - 1, 2**31, 2**40, 2**62, -(2**63))
_FLOATS = (float("nan"), float("inf"), -float("inf"), 1e38, -1.0, 0.0, 1e-45)
_DIMS = (-1, 0, 1, 3, 17, 2**20, 2**31, 2**40, 2**62)
_OPERATORS = (
    *("Loop", "If", "Scan", "Resize", "Upsample", "ConvTranspose", "Range", "ConstantOfShape", "Expand", "Tile", "Pad"),
    *("NonZero", "Reshape", "Einsum", "QLinearConv", "LSTM", "StringNormalizer", "RandomNormal", "Gather", "TopK"),
    *("Identity", "SequenceAt", "Optional", "Cast", "Conv", "MaxPool", "Where", "Softmax", "NoSuchOperator", "OneHot"),
    *("DequantizeLinear", "GridSample", "Unique", "Compress", "DFT", "MelWeightMatrix", "CumSum", "RoiAlign", "Split"),
)
_LOCATIONS = (
    "../home/kept",
    "/etc/passwd",
    "/dev/zero",
    "none",
    "",
    "../art/manifest.json",
    "theirs.onnx",
    "a\x1bb",
)


def _node(model: ModelProto, random: Random) -> NodeProto:
    return random.choice(list(model.graph.node))


def _attribute(model: ModelProto, random: Random) -> None:
    node = random.choice([node for node in model.graph.node if node.attribute] or list(model.graph.node))
    if not node.attribute:
        return
    attribute = random.choice(list(node.attribute))
    kind = onnx.AttributeProto
    if attribute.type == kind.INTS:
        values = list(attribute.ints)
        changed = random.choice(
            ([], [-value for value in values], values * 2, values[:1], [random.choice(_INTEGERS)] * len(values))
        )
        del attribute.ints[:]
        attribute.ints.extend(changed)
    elif attribute.type == kind.INT:
        attribute.i = random.choice(_INTEGERS)
    elif attribute.type == kind.FLOAT:
        attribute.f = random.choice(_FLOATS)
    elif attribute.type == kind.TENSOR:
        _spoil_tensor(attribute.t, random)
    else:
        attribute.s = random.choice((b"", b"\xff\xfe", b"nearest\x00", b"A" * 100_000, b"VALID", b"\x1b[2J"))


def _attribute_kind(model: ModelProto, random: Random) -> None:
    """An attribute of another type, under another name, twice, or absent."""
    node = _node(model, random)
    what = random.randrange(4)
    if what == 0 or not node.attribute:
        name = random.choice(("axis", "perm", "pads", "strides", "group", "to", "body", "no_such"))
        value: Any = random.choice((7, 0.5, "text", [1, 2], [0.5], ["a"]))
        node.attribute.append(helper.make_attribute(name, value))
    elif what == 1:
        del node.attribute[random.randrange(len(node.attribute))]
    elif what == 2:
        node.attribute.append(random.choice(list(node.attribute)))
    else:
        random.choice(list(node.attribute)).type = random.randrange(15)  # type: ignore[assignment]


def _dims(model: ModelProto, random: Random) -> None:
    """Sizes of an input, a result or an inner value."""
    values = [*model.graph.input, *model.graph.output, *model.graph.value_info]
    shape = random.choice(values).type.tensor_type.shape
    what = random.randrange(3)
    if what == 0 or not shape.dim:
        shape.dim.add().dim_value = random.choice(_DIMS)
    elif what == 1:
        random.choice(list(shape.dim)).dim_value = random.choice(_DIMS)
    else:
        random.choice(list(shape.dim)).dim_param = random.choice(_NAMES)


def _value_type(model: ModelProto, random: Random) -> None:
    value = random.choice([*model.graph.input, *model.graph.output])
    what = random.randrange(4)
    if what == 0:
        value.type.tensor_type.elem_type = random.choice((0, 2, 6, 7, 8, 9, 10, 11, 14, 16, 17, 21, 23, 99))
    elif what == 1:
        value.type.sequence_type.elem_type.tensor_type.elem_type = 1
    elif what == 2:
        value.type.tensor_type.ClearField("shape")
    else:
        value.ClearField("type")


def _weight(model: ModelProto, random: Random) -> None:
    if model.graph.initializer:
        _spoil_tensor(random.choice(list(model.graph.initializer)), random)


def _spoil_tensor(tensor: TensorProto, random: Random) -> None:
    what = random.randrange(7)
    if what == 0:
        tensor.raw_data = tensor.raw_data[: random.choice((0, 1, max(0, len(tensor.raw_data) - 4)))]
    elif what == 1:
        tensor.data_type = random.choice((0, 2, 6, 7, 8, 9, 10, 11, 14, 16, 17, 21, 22, 23, 99))
    elif what == 2:
        tensor.dims.append(random.choice(_DIMS))
    elif what == 3 and tensor.dims:
        tensor.dims[random.randrange(len(tensor.dims))] = random.choice(_DIMS)
    elif what == 4:
        tensor.raw_data = bytes(random.choice((b"\xff", b"\x7f", b"\x00")) * len(tensor.raw_data))
    elif what == 5:
        tensor.float_data.extend([1.0] * random.choice((1, 100)))
    else:
        _put_outside(tensor, random)


def _put_outside(tensor: TensorProto, random: Random) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    del tensor.external_data[:]
    for key, value in (
        ("location", random.choice(_LOCATIONS)),
        ("offset", random.choice(("0", "-1", "4096", "9" * 30, "x"))),
        ("length", random.choice(("4", "-1", "9" * 30, "", str(2**40)))),
    ):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value


def _weight_outside(model: ModelProto, random: Random) -> None:
    if model.graph.initializer:
        _put_outside(random.choice(list(model.graph.initializer)), random)


def _name(model: ModelProto, random: Random) -> None:
    graph, node, name = model.graph, _node(model, random), random.choice(_NAMES)
    name = random.choice((name, random.choice(list(graph.node)).output[0]))
    what = random.randrange(8)
    lists: dict[int, Any] = {0: node.input, 1: node.output}
    if lists.get(what):
        lists[what][random.randrange(len(lists[what]))] = name
    elif what == 2:
        node.domain = name
    elif what == 3:
        graph.input[0].name = name
    elif what == 4:
        graph.output[random.randrange(len(graph.output))].name = name
    elif what == 5 and graph.initializer:
        random.choice(list(graph.initializer)).name = name
    elif what == 6:
        graph.name = model.producer_name = name
    else:
        node.name = node.doc_string = name


def _named_throughout(model: ModelProto, random: Random) -> None:
    """Rename a value where it is made and wherever it is read: the model stays valid."""
    old, new = random.choice(_node(model, random).output), random.choice(_NAMES)
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [new if name == old else name for name in names]
    for value in (*model.graph.output, *model.graph.value_info):
        if value.name == old:
            value.name = new


def _wiring(model: ModelProto, random: Random) -> None:
    graph = model.graph
    what = random.randrange(7)
    nodes = list(graph.node)
    if what == 0:
        del graph.node[random.randrange(len(graph.node))]
    elif what == 1:
        graph.node.append(random.choice(nodes))
    elif what in (2, 3):
        changed = nodes[::-1] if what == 2 else random.sample(nodes, len(nodes))
        copies = [NodeProto.FromString(node.SerializeToString()) for node in changed]
        del graph.node[:]
        graph.node.extend(copies)
    elif what == 4:
        node = _node(model, random)
        if node.input:
            node.input[0] = node.output[0]
    elif what == 5:
        node = _node(model, random)
        node.input.extend([node.input[0] if node.input else ""] * random.choice((1, 500)))
    else:
        node = _node(model, random)
        node.input[:] = list(node.input)[::-1]


def _operator(model: ModelProto, random: Random) -> None:
    node = _node(model, random)
    node.op_type = random.choice(_OPERATORS)
    if random.random() < 0.3:
        node.domain = random.choice(("com.microsoft", "ai.onnx.ml", "mine"))


def _versions(model: ModelProto, random: Random) -> None:
    what = random.randrange(4)
    if what == 0:
        model.opset_import[0].version = random.choice((-1, 0, 1, 6, 9, 12, 99, 2**62))
    elif what == 1:
        model.ir_version = random.choice((-1, 0, 1, 2, 99, 2**62))
    elif what == 2:
        del model.opset_import[:]
    else:
        model.opset_import.append(helper.make_opsetid(random.choice(("", "mine", "\x1b")), 7))


def _results(model: ModelProto, random: Random) -> None:
    graph = model.graph
    what = random.randrange(5)
    if what == 0:
        del graph.output[:]
    elif what == 1:
        graph.output.append(graph.output[0])
    elif what == 2:
        graph.input.append(helper.make_tensor_value_info(random.choice(_NAMES), 1, [2, 2]))
    elif what == 3:
        del graph.input[:]
    else:
        del graph.node[:]


def _metadata(model: ModelProto, random: Random) -> None:
    entry = model.metadata_props.add()
    entry.key = random.choice(("layerprobe.manifest", *_NAMES))
    entry.value = random.choice(("{}", "[" * 100_000, "\x1b]0;x\x07", "A" * 10**6, '{"format_version": 1}', "null"))


OF_ONNX: dict[str, Callable[[ModelProto, Random], None]] = {
    "an attribute": _attribute,
    "an attribute of another kind": _attribute_kind,
    "sizes": _dims,
    "a value's type": _value_type,
    "a weight": _weight,
    "a weight outside": _weight_outside,
    "a name": _name,
    "a name throughout": _named_throughout,
    "wiring": _wiring,
    "an operator": _operator,
    **ADDED_TO_ONNX,
    "versions": _versions,
    "inputs and results": _results,
    "metadata": _metadata,
}
