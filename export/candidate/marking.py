"""A candidate's file with the source's names: its found values are outputs under these, all else is as it was."""

from collections.abc import Sequence
from dataclasses import replace

import onnx
from onnx import StringStringEntryProto, TensorProto

from probe.onnx_model.reading import SoundModel
from probe.onnx_model.value_names import rename_values, unused_name
from probe.onnx_model.values import described_value
from runtime.artifact.manifest import NODE_STEP_KEY, SIZE_NODE_PREFIX, Input, Output
from runtime.artifact.onnx_file import OnnxFile
from runtime.artifact.onnx_nodes import nearest_values
from runtime.float64.nodes import reads

from .search import Found

__all__ = ["mark_candidate"]


def mark_candidate(sound: SoundModel, found: Found, outputs: Sequence[Output]) -> tuple[OnnxFile, tuple[Input, ...]]:
    """Return the candidate's file with its outputs marked, and its inputs."""
    model = onnx.ModelProto()
    model.CopyFrom(sound.model)
    graph = model.graph
    names = _new_names(model, found)
    rename_values(graph, names)
    for tensor in graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    _write_steps(graph, found, names)
    inputs = []
    for value in graph.input:
        old = next(name for name in found.inputs.names if names.get(name, name) == value.name)
        shape = found.input_shape(old)
        inputs.append(Input(name=value.name, shape=shape, dtype=found.inputs.dtypes[old].name))
        value.CopyFrom(described_value(value.name, value.type.tensor_type.elem_type, shape))
    del graph.value_info[:]
    del graph.output[:]
    types = {names.get(name, name): found.values.types.get(name, 0) for name in found.values.all}
    for output in outputs:
        graph.output.append(described_value(output.name, types[output.name], output.shape))
    return replace(sound.file, content=model.SerializeToString()), tuple(inputs)


def _new_names(model: onnx.ModelProto, found: Found) -> dict[str, str]:
    """Return the new names of values: the source's for what was found, and another for what is in their way."""
    names = {match.value: match.output for match in found.matches.by_value.values()}
    graph = model.graph
    others = [*(value.name for value in graph.input), *(tensor.name for tensor in graph.initializer), *found.values.all]
    taken = {*names.values(), *others}
    for name in others:
        if name in names.values() and name not in names:
            names[name] = unused_name(f"{name}_candidate", taken)
            taken.add(names[name])
    return names


def _write_steps(graph: onnx.GraphProto, found: Found, names: dict[str, str]) -> None:
    """Write into each node which output it is a part of: the first after it that was found."""
    outputs = {names[match.value] for match in found.matches.by_value.values()}
    named = {*outputs, *(value.name for value in graph.input)}
    producers = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
    needs = [tuple(reads(node)) for node in graph.node]
    rests_on = {names.get(name, name): value.rests_on for name, value in found.values.all.items()}
    steps: dict[int, str] = {}
    for name, index in producers.items():
        if name in outputs:
            for each in (*nearest_values(name, producers, needs, named)[1], index):
                steps.setdefault(each, name)
    for index, node in enumerate(graph.node):
        if index in steps and not _halves(node):
            node.metadata_props.append(StringStringEntryProto(key=NODE_STEP_KEY, value=steps[index]))
        first = next(filter(None, node.output), "")
        if _halves(node):
            node.name = ""
        elif rests_on.get(first, "data") != "data" and first not in outputs:
            node.name = f"{SIZE_NODE_PREFIX}{node.name or first}"


def _halves(node: onnx.NodeProto) -> bool:
    """Return whether a node casts to 16 bits: it is no part of a step of the model, so that it counts what it loses."""
    to = next((each.i for each in node.attribute if each.name == "to"), 0)
    return node.op_type == "Cast" and to in (TensorProto.FLOAT16, TensorProto.BFLOAT16)
