"""probe -> ONNX model, whose graph outputs are named and ordered as the probe's.

torch.onnx does the conversion; this file sets the names, which torch.onnx gets wrong: with an output named like a value
inside the graph it writes an invalid model ("Duplicate definition of name"), and a tensor returned twice becomes one
output (pytorch issue 167848). So the model is converted with torch's own names, and named here.
"""

import logging
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import onnx_ir as ir
import onnx_ir.passes.common as ir_passes
import onnxscript.optimizer
import torch
from torch import fx

from probe import Probe
from probe.capture.quiet import torch_silenced
from runtime.artifact.errors import ExportError
from runtime.artifact.manifest import NODE_STEP_KEY, SIZE_NODE_PREFIX, Origin, Output

from .attention import give_attention_four_axes, needs_four_axes
from .clamp_bounds import give_clamps_one_kind_of_bounds
from .onnx_failures import explain_failure, refuse_packed_weights
from .origin_marks import marked_module, origin_of
from .pooling import drop_windows_in_padding
from .resizing import round_scales_up
from .translations import TRANSLATIONS

__all__ = ["CONVERTED_BATCH", "dynamic_shapes", "onnx_shape", "to_onnx"]

CONVERTED_BATCH = 2
"""The batch that each model file is converted with, if it is open: one of 1 would become a constant."""
_RECURRENT = frozenset(getattr(torch.ops.aten, name).input for name in ("lstm", "gru"))


def to_onnx(probe: Probe, program: torch.export.ExportedProgram | None = None) -> ir.Model:
    """Return the probe as an ONNX model with a dynamic batch, its outputs named as `probe.outputs`.

    Nothing is fused: the graph holds the model's operations one by one, and the runtime optimises what it may.

    Args:
        probe: what is converted.
        program: what `to_torch_export` returned for it, if it did: torch.onnx need not export it once more, which is a
            quarter of its time.

    Raises:
        ExportError: torch.onnx can't convert the probe; the message holds its reason.
    """
    refuse_packed_weights(probe)
    model = _convert_program(probe, program) or _convert(probe)
    graph = model.graph
    if len(graph.outputs) != len(probe.outputs):
        raise ExportError(f"torch.onnx returned {len(graph.outputs)} outputs for the probe's {len(probe.outputs)}.")
    # Only what makes the graph readable and loadable: no rewriting rules, which fuse the tensors to be observed, and no
    # merging of equal weights, after which a bias can have the name of another layer's mean.
    _mark_origins(model)
    ir_passes.InlinePass()(model)
    _fold_constants(model)
    drop_windows_in_padding(model)
    round_scales_up(model)
    for value, spec in zip(graph.inputs, probe.inputs, strict=True):
        value.shape = onnx_shape(spec.shape)
    _name_outputs(graph, probe.outputs)
    ir_passes.RemoveUnusedNodesPass()(model)
    ir_passes.RemoveUnusedFunctionsPass()(model)  # type: ignore[no-untyped-call]
    ir_passes.RemoveUnusedOpsetsPass()(model)
    ir_passes.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    origins = {origin.name: origin for origin in probe.traced.origins.values()}
    _write_origins(graph, {output.name for output in probe.outputs}, origins)
    model.producer_name = "layerprobe"
    model.producer_version = None
    return model


def _convert_program(probe: Probe, program: torch.export.ExportedProgram | None) -> ir.Model | None:
    """Return the ONNX model of a program that is exported; None if it has to be exported in torch.onnx's own way."""
    if program is None or any(map(_is_exported_otherwise, program.graph.nodes)):
        return None
    try:
        return _to_onnx(probe, program)
    except Exception as error:
        # What it is can be said of a marked module only, which torch.onnx may even be able to convert: it tries more.
        logging.getLogger(__name__).debug("the program can't be converted: %s", error)
        return None


def _is_exported_otherwise(node: fx.Node) -> bool:
    """Return whether torch.onnx needs something else than this step of a program: recurrent layers as loops, for a
    length that is open, and attention with a batch and heads.
    """
    return node.target in _RECURRENT or needs_four_axes(node)


def _convert(probe: Probe) -> ir.Model:
    example = probe.noise_input(batch=CONVERTED_BATCH)
    shapes = dynamic_shapes(probe)
    marked = marked_module(probe)
    give_attention_four_axes(marked)
    give_clamps_one_kind_of_bounds(marked)
    try:
        return _to_onnx(probe, marked, example, dynamic_shapes=shapes)
    except Exception as error:
        raise explain_failure(probe, marked, example, shapes, error) from error


def _to_onnx(probe: Probe, model: Any, *given: Any, **shapes: Any) -> ir.Model:
    # Silenced: torch logs a page about optional packages, warns of deprecations inside its own code, and prints the
    # whole graph if it fails. Without gradients, because with them it refuses writes into the parts of a chunk.
    with torch_silenced(), torch.no_grad():
        converted = torch.onnx.export(
            model,
            *given,
            **shapes,
            input_names=[spec.name for spec in probe.inputs],
            opset_version=_opset(probe),
            custom_translation_table=TRANSLATIONS,
            dynamo=True,
            optimize=False,
            verbose=False,
        )
    assert converted is not None
    return converted.model


def _opset(probe: Probe) -> int | None:
    """Return the opset to ask for: None for torch's own choice. Convolutions in bfloat16 came with 22."""
    tensors = (*probe.example, *probe.module.parameters())
    in_bfloat16 = any(output.dtype == "bfloat16" for output in probe.outputs)
    return 22 if in_bfloat16 or any(tensor.dtype == torch.bfloat16 for tensor in tensors) else None


def dynamic_shapes(probe: Probe) -> tuple[dict[int, Any], ...]:
    """Return the open axes of each input, in the form that torch.export expects."""
    return tuple(
        {axis: _dynamic(size) for axis, size in enumerate(spec.shape) if isinstance(size, str)} for spec in probe.inputs
    )


def _dynamic(symbol: str) -> Any:
    # Sizes in pixels may have to be divisible by something, which torch infers by itself if they have no name.
    return torch.export.Dim(symbol) if symbol == "N" else torch.export.Dim.DYNAMIC


def onnx_shape(shape: Sequence[int | str]) -> ir.Shape:
    """Return the shape for ONNX, in which one symbol means one size everywhere.

    `H/2` is rounded up in one layer and down in another, and ONNX Runtime would assume that both have the same size.
    """
    return ir.Shape([size if isinstance(size, int) or size in ("H", "W") or "N" in size else None for size in shape])


def _name_outputs(graph: ir.Graph, outputs: Iterable[Output]) -> None:
    """Give each graph output the probe's name and its own value; other values with that name are renamed."""
    specs = list(outputs)
    reserved = {spec.name for spec in specs}
    for value in _all_values(graph):
        if value.name in reserved:
            value.name = f"{value.name}::value"
    taken: set[ir.Value] = set(graph.inputs) | set(graph.initializers.values())
    for index, spec in enumerate(specs):
        value = _behind_identities(graph.outputs[index])
        if value in taken:
            # A value has one name in ONNX, so a tensor that is returned under two names is copied for the second.
            identity = ir.node("Identity", [value])
            graph.append(identity)
            value = identity.outputs[0]
            value.type = graph.outputs[index].type
        taken.add(value)
        value.name = spec.name
        value.shape = onnx_shape(spec.shape)
        graph.outputs[index] = value


def _all_values(graph: ir.Graph) -> list[ir.Value]:
    return [*graph.initializers.values(), *(value for node in graph for value in node.outputs)]


def _behind_identities(value: ir.Value) -> ir.Value:
    """Return what `value` is only a copy of: a clone becomes an Identity in ONNX, where nothing is overwritten."""
    producer = value.producer()
    while producer is not None and producer.op_type == "Identity" and producer.inputs[0] is not None:
        value = producer.inputs[0]
        producer = value.producer()
    return value


def _mark_origins(model: ir.Model) -> None:
    """Record on each node the name of the model's step that it belongs to, and remove torch's metadata.

    torch's stack traces hold the paths of the machine that exported.
    """
    graphs: list[ir.Graph | ir.Function] = [model.graph, *model.functions.values()]
    for graph in graphs:
        for node in graph.all_nodes():
            made_of = node.meta.get("node")
            origin = origin_of(made_of) if isinstance(made_of, fx.Node) else None
            node.metadata_props.clear()
            if origin is not None:
                node.metadata_props[NODE_STEP_KEY] = origin.name


def _fold_constants(model: ir.Model) -> None:
    try:
        onnxscript.optimizer.fold_constants(model)
    except RuntimeError as error:
        # It goes node by node, and fails before it changes one (a split into chunks of a size that is computed, in
        # onnxscript 0.7): the nodes after it stay as they were.
        logging.getLogger(__name__).debug("constants are not folded: %s", error)


def _write_origins(graph: ir.Graph, outputs: Collection[str], origins: dict[str, Origin]) -> None:
    """Name each node after the step of the model that it belongs to, and record where that is in the model's source.

    The node that computes an output has its name; others, such as those inside a leaf module, have names such as
    `layer1.attn/MatMul::17`.
    """
    graph.metadata_props.clear()
    steps = _steps(graph, outputs)
    sizes: set[ir.Value] = set()
    for number, node in enumerate(graph.all_nodes()):
        node.metadata_props.clear()
        computed = _computed(node, outputs)
        origin = origins.get(computed or steps.get(node, ""))
        on_sizes = _is_on_sizes(node, sizes)
        sizes.update(node.outputs if on_sizes else ())
        inside = f"{origin.name}/" if origin else ""
        node.name = computed or f"{SIZE_NODE_PREFIX if on_sizes else ''}{inside}{node.op_type}::{number}"
        for value in node.outputs:
            value.metadata_props.clear()
        if origin is not None:
            source = f"{origin.source_file}:{origin.source_line}" if origin.source_file else ""
            node.doc_string = f"{origin.label} {origin.name} {source}".rstrip()
            node.metadata_props[NODE_STEP_KEY] = origin.name
            node.metadata_props["layerprobe.operation"] = origin.operation
            node.metadata_props["layerprobe.module_path"] = origin.module_path
            node.metadata_props["layerprobe.source"] = source
    for initializer in graph.initializers.values():
        initializer.metadata_props.clear()


def _is_on_sizes(node: ir.Node, sizes: set[ir.Value]) -> bool:
    """Return whether a node returns integers or booleans; `sizes` holds the values of earlier nodes that do."""
    dtypes = [value.dtype for value in node.outputs]
    if None not in dtypes:
        return not any(dtype is not None and dtype.is_floating_point() for dtype in dtypes)
    # torch leaves the type of some inner values open.
    return node.op_type in _OF_INTEGERS or (
        node.op_type in _OF_ITS_INPUTS_TYPE
        and node.inputs[0] is not None
        and (node.inputs[0] in sizes or node.inputs[0].dtype == ir.DataType.INT64)
    )


# fmt: off
_OF_INTEGERS = frozenset({
    "Shape", "Size", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or", "Not",
})
"""Operators that return integers or booleans, whatever they read."""
_OF_ITS_INPUTS_TYPE = frozenset({
    "Concat", "Reshape", "Gather", "Squeeze", "Unsqueeze", "Slice", "Expand", "Transpose",
    "Add", "Sub", "Mul", "Div", "Mod", "Neg", "Abs", "Min", "Max", "Range",
})
# fmt: on
"""Operators that return the type of their first input, and are also used on sizes."""


def _steps(graph: ir.Graph, outputs: Collection[str]) -> dict[ir.Node, str]:
    """Return the name of the model's step that each node belongs to.

    A node without a recorded name, which was made after torch's conversion, belongs to the step that uses it (the first
    if there are several), or else to the one whose loop or branch it is in.
    """
    steps: dict[ir.Node, str] = {}
    order = {node: position for position, node in enumerate(graph.all_nodes())}

    def visit(nodes: ir.Graph, around: str | None) -> None:
        for node in reversed(nodes):
            step = _computed(node, outputs) or node.metadata_props.get(NODE_STEP_KEY)
            if step is None:
                users = [use.node for value in node.outputs for use in value.uses() if use.node in steps]
                step = steps[min(users, key=order.__getitem__)] if users else around
            if step is not None:
                steps[node] = step
            for attribute in node.attributes.values():
                if attribute.type == ir.AttributeType.GRAPH:
                    visit(attribute.as_graph(), step)

    visit(graph, None)
    return steps


def _computed(node: ir.Node, outputs: Collection[str]) -> str | None:
    """Return the name of the output that a node computes, if any."""
    return next((value.name for value in node.outputs if value.name in outputs), None)
