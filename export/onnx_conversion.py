"""probe -> ONNX model, whose graph outputs are named and ordered as the probe's.

torch.onnx does the conversion; this file sees to the names, which torch.onnx can't be trusted with: an output named
like a value inside the graph makes it write an invalid model ("Duplicate definition of name"), and a tensor returned
twice becomes one output (pytorch issue 167848). So the model is converted with torch's own names, and named here.
"""

import logging
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import onnx_ir as ir
import onnx_ir.passes.common as ir_passes
import onnxscript.optimizer
import torch

from probe import OutputSpec, Probe
from probe.errors import first_line
from runtime.manifest import SIZE_NODE_PREFIX

from .errors import ExportError

__all__ = ["to_onnx"]


def to_onnx(probe: Probe) -> ir.Model:
    """Return the probe as an ONNX model with a dynamic batch, its outputs named as `probe.outputs`.

    Nothing is fused: the graph holds the model's operations one by one, and the runtime optimises what it may.

    Raises:
        ExportError: torch.onnx can't convert the probe; the message holds its reason.
    """
    model = _convert(probe)
    graph = model.graph
    if len(graph.outputs) != len(probe.outputs):
        raise ExportError(f"torch.onnx gave {len(graph.outputs)} outputs for the probe's {len(probe.outputs)}.")
    # Only what makes the graph readable and loadable: no rewriting rules, which fuse what is to be observed, and no
    # merging of equal weights, after which a bias can be called by another layer's mean.
    ir_passes.InlinePass()(model)
    onnxscript.optimizer.fold_constants(model)
    for value, spec in zip(graph.inputs, probe.inputs, strict=True):
        value.shape = _onnx_shape(spec.shape)
    _name_outputs(graph, probe.outputs)
    ir_passes.RemoveUnusedNodesPass()(model)
    ir_passes.RemoveUnusedFunctionsPass()(model)  # type: ignore[no-untyped-call]
    ir_passes.RemoveUnusedOpsetsPass()(model)
    ir_passes.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    _tell_origins(graph, {output.name: output for output in probe.outputs})
    model.producer_name = "layerprobe"
    model.producer_version = None
    return model


def _convert(probe: Probe) -> ir.Model:
    # A batch of 1 would be taken for a constant.
    example = probe.noise_input(batch=2)
    shapes = tuple(
        {axis: _dynamic(size) for axis, size in enumerate(spec.shape) if isinstance(size, str)} for spec in probe.inputs
    )
    # torch logs a page about optional packages that it doesn't need here.
    exporter_log = logging.getLogger("torch.onnx")
    level = exporter_log.level
    exporter_log.setLevel(logging.ERROR)
    try:
        # With gradients on, torch refuses writes into the parts of a chunk that it allows without.
        with warnings.catch_warnings(), torch.no_grad():
            # Deprecations inside torch's own code, which no user of layerprobe can act on.
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                probe.module,
                example,
                input_names=[spec.name for spec in probe.inputs],
                dynamic_shapes=shapes,
                opset_version=_opset(probe),
                dynamo=True,
                optimize=False,
                verbose=False,
            )
    except Exception as error:
        raise ExportError(
            f"torch.onnx can't convert this model: {first_line(error.__cause__ or error)}\n"
            "--outputs exports a part of it; `layerprobe nodes` shows the names."
        ) from error
    finally:
        exporter_log.setLevel(level)
    assert program is not None
    return program.model


def _opset(probe: Probe) -> int | None:
    """Return the opset to ask for: None for torch's own choice. Convolutions in bfloat16 came with 22."""
    return (
        22 if any(tensor.dtype == torch.bfloat16 for tensor in (*probe.example, *probe.module.parameters())) else None
    )


def _dynamic(symbol: str) -> Any:
    # Sizes in pixels may have to divide by something, which torch finds out by itself if they have no name.
    return torch.export.Dim(symbol) if symbol == "N" else torch.export.Dim.DYNAMIC


def _onnx_shape(shape: Sequence[int | str]) -> ir.Shape:
    """Return the shape as ONNX has it, where one symbol means one size everywhere.

    `H/2` is rounded up in one layer and down in another, and ONNX Runtime would take their tensors for equally large.
    """
    return ir.Shape([size if isinstance(size, int) or size in ("H", "W") or "N" in size else None for size in shape])


def _name_outputs(graph: ir.Graph, outputs: Iterable[OutputSpec]) -> None:
    """Give each graph output the probe's name, and its own value, and any other value another name."""
    specs = list(outputs)
    reserved = {spec.name for spec in specs}
    for value in _all_values(graph):
        if value.name in reserved:
            value.name = f"{value.name}::value"
    taken: set[ir.Value] = set(graph.inputs) | set(graph.initializers.values())
    for index, spec in enumerate(specs):
        value = _behind_identities(graph.outputs[index])
        if value in taken:
            # ONNX has one name for a value, so a tensor that is returned under two names is copied for the second.
            identity = ir.node("Identity", [value])
            graph.append(identity)
            value = identity.outputs[0]
            value.type = graph.outputs[index].type
        taken.add(value)
        value.name = spec.name
        value.shape = _onnx_shape(spec.shape)
        graph.outputs[index] = value


def _all_values(graph: ir.Graph) -> list[ir.Value]:
    return [*graph.initializers.values(), *(value for node in graph for value in node.outputs)]


def _behind_identities(value: ir.Value) -> ir.Value:
    """Return what `value` is a mere copy of: a clone becomes an Identity in ONNX, where nothing is overwritten."""
    producer = value.producer()
    while producer is not None and producer.op_type == "Identity" and producer.inputs[0] is not None:
        value = producer.inputs[0]
        producer = value.producer()
    return value


def _tell_origins(graph: ir.Graph, outputs: dict[str, OutputSpec]) -> None:
    """Name each node that computes an output after it, and note where in the model's source it stands.

    What torch notes is taken out: its stack traces hold the paths of the machine that exported.
    """
    graph.metadata_props.clear()
    for number, node in enumerate(graph):
        node.metadata_props.clear()
        on_sizes = all(value.dtype is not None and not value.dtype.is_floating_point() for value in node.outputs)
        node.name = f"{SIZE_NODE_PREFIX if on_sizes else ''}{node.op_type}::{number}"
        for value in node.outputs:
            value.metadata_props.clear()
            output = outputs.get(value.name or "")
            if output is None:
                continue
            node.name = output.name
            source = f"{output.source_file}:{output.source_line}" if output.source_file else ""
            node.doc_string = f"{output.label} {output.name} {source}".rstrip()
            node.metadata_props["layerprobe.operation"] = output.operation
            node.metadata_props["layerprobe.module_path"] = output.module_path
            node.metadata_props["layerprobe.source"] = source
    for initializer in graph.initializers.values():
        initializer.metadata_props.clear()
