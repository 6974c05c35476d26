"""model -> fx graph by `torch.export`, for what symbolic tracing can't follow, with the same names.

torch.export runs the model's Python code on tensors without data, so that `if x.shape[1] != 3` or
`B, C, H, W = x.shape` is no obstacle; its graph holds aten operations, several per call of a function or module. These
calls are recorded (`call_recording.py`): the result of one call of a leaf module or of a function is one named node,
and the steps inside have no name, as in a symbolic trace.
"""

import inspect
import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import fx, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.fx.experimental.symbolic_shapes import is_concrete_int

from runtime.artifact.errors import CaptureError
from runtime.artifact.manifest import Origin

from ..model.example import Example
from ..model.leaf_modules import LeafTest, torch_leaf
from ..model.source_places import place_of
from .call_recording import CallRecorder, RecordedCall, call_number
from .exported_graph import plain_graph
from .naming import NodeNamer
from .quiet import (
    WAY_AROUND_REGIONS,
    WAY_AROUND_TRANSFORMS,
    depends_on_values,
    region_reason,
    torch_reason,
    torch_silenced,
)
from .traced_model import TracedModel, qualify

__all__ = ["export_capture"]


def export_capture(
    model: nn.Module,
    example: Example,
    *,
    batched: frozenset[int] = frozenset(),
    dynamic_size: bool = False,
    is_leaf: LeafTest = torch_leaf,
) -> TracedModel:
    """Capture `model` with `torch.export`, including hooks on the model itself.

    Args:
        model: the module, in eval mode; the graph shares its weights in memory.
        example: what it is called with.
        batched: the inputs whose first size stays open; the others keep the example's.
        dynamic_size: leave height and width of N C H W inputs open.
        is_leaf: which modules stay whole; those of `torch.nn`, if not given.

    Raises:
        CaptureError: torch.export can't capture it, for example because its control flow depends on the values of
            tensors, or it computes with a size that should stay open. The message names the source line.
    """
    recorder = CallRecorder(_export.__code__, is_leaf)
    with recorder.watch(model):
        program = _export(model, example, batched, dynamic_size)
    try:
        with torch_silenced():
            module = plain_graph(program, type(model).__name__)
    except SyntaxError as error:
        raise CaptureError(
            f"torch.export can't capture {type(model).__name__}: it generates invalid Python from a module's name"
        ) from error
    if any(isinstance(buffer, FakeTensor) for buffer in module.buffers()):
        failure = CaptureError(
            f"torch.export can't capture {type(model).__name__}: it makes a constant of what torch.func computes"
        )
        failure.advice = WAY_AROUND_TRANSFORMS
        raise failure
    _drop_aliases(module.graph)
    origins, namer = _name_nodes(module, example.names, recorder.calls)
    return TracedModel(module, origins, namer, batched)


def _export(
    model: nn.Module, example: Example, batched: frozenset[int], dynamic_size: bool
) -> torch.export.ExportedProgram:
    # torch.export treats a size of 1 as a constant, and one tensor that is passed twice as one input.
    call = example.enlarged(batched) if example.batch == 1 else example
    call = call.replaced(tuple(tensor.clone() for tensor in call.tensors))
    shapes = tuple(_open_axes(tensor, index in batched, dynamic_size) for index, tensor in enumerate(call.tensors))
    args, kwargs = call.arguments(call.tensors)
    dynamic_shapes = _as_signature(model, *call.arguments(shapes, constants=False))
    try:
        with torch_silenced(), torch.no_grad():
            program = torch.export.export(model, args, kwargs, dynamic_shapes=dynamic_shapes, strict=False)
    except (Exception, SystemExit) as error:
        failure = CaptureError(
            f"torch.export can't capture {type(model).__name__}: {torch_reason(error)}{place_of(error)}"
        )
        failure.depends_on_values = depends_on_values(error)
        if region_reason(error):
            failure.advice = WAY_AROUND_REGIONS
        raise failure from error
    _check_open(program, call, shapes, type(model).__name__)
    return program


def _check_open(
    program: torch.export.ExportedProgram, call: Example, shapes: tuple[dict[int, Any], ...], name: str
) -> None:
    """Raise if torch.export has fixed an axis that should stay open: with AUTO it does so silently."""
    given = set(program.graph_signature.user_inputs)
    values = [node.meta["val"] for node in program.graph.nodes if node.op == "placeholder" and node.name in given]
    tensors = [value for value in values if isinstance(value, torch.Tensor)]
    for parameter, tensor, axes in zip(call.names, tensors, shapes, strict=True):
        for axis in axes:
            size = tensor.shape[axis]
            if is_concrete_int(size):
                raise CaptureError(
                    f"torch.export can't capture {name} for other sizes: its result is computed with axis {axis} "
                    f"of {parameter} as the plain number {size}{' (omit --dynamic-size)' if axis else ''}"
                )


def _as_signature(model: nn.Module, positional: tuple[Any, ...], keywords: dict[str, Any]) -> dict[str, Any]:
    """Return the dynamic shapes in the form that torch.export expects: by name, a tuple for `*args`."""
    signature = inspect.signature(model.forward)
    shapes: dict[str, Any] = {}
    for name, given in signature.bind(*positional, **keywords).arguments.items():
        rest = signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD
        shapes |= given if rest else {name: given}
    return shapes


def _open_axes(tensor: torch.Tensor, batched: bool, dynamic_size: bool) -> dict[int, Any]:
    axes: dict[int, Any] = {}
    if batched:
        axes[0] = torch.export.Dim.AUTO
    if dynamic_size and tensor.ndim == 4:
        axes |= {2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    return axes


def _drop_aliases(graph: fx.Graph) -> None:
    """Remove the aliases that the recorder marked results with, except those that are a call's only node."""
    for node in list(graph.nodes):
        if node.target is torch.ops.aten.alias.default and isinstance(source := node.args[0], fx.Node):
            if call_number(source) == call_number(node):
                node.replace_all_uses_with(source)
                graph.erase_node(node)
            elif source.target is operator.getitem and len(source.users) == 1:
                # The part is taken where the model's own code takes it.
                node.target, node.args = source.target, source.args
                graph.erase_node(source)


def _name_nodes(
    module: fx.GraphModule, inputs: Sequence[str], calls: list[RecordedCall]
) -> tuple[dict[fx.Node, Origin], NodeNamer]:
    given = iter(inputs)
    groups: dict[int, list[fx.Node]] = {}
    namer = NodeNamer()
    origins: dict[fx.Node, Origin] = {}
    for node in module.graph.nodes:
        number = call_number(node)
        if node.op == "placeholder":
            origins[node] = _unlabelled(namer.keep(next(given)), "")
        elif node.op == "get_attr":
            # Symbolic tracing sees the parameters that the model's own code uses, not those of leaf modules.
            users = [calls[each] for each in map(call_number, node.users) if each is not None]
            path = next((call.module_path for call in users if not call.leaf), None)
            if path is not None:
                origins[node] = _unlabelled(namer(qualify(node.name, path)), path)
        elif number is not None:
            groups.setdefault(number, []).append(node)
    for number, call in enumerate(calls):
        named = _result_nodes(call, groups.get(number, []))
        path = call.module_path
        # A tuple that a leaf module returns has no node here, but has one in a symbolic trace, which takes the name.
        names = [namer(path if call.leaf else qualify(call.label, path)) for _ in named or range(call.no_tensor)]
        of = call.of or call
        for node, name in zip(named, names, strict=False):
            origins[node] = Origin(
                name=name,
                label=of.label,
                operation=of.operation,
                module_path=path,
                source_file=of.file,
                source_line=of.line,
            )
    order = {node: position for position, node in enumerate(module.graph.nodes)}
    return dict(sorted(origins.items(), key=lambda item: order[item[0]])), namer


def _unlabelled(name: str, module_path: str) -> Origin:
    """Return the origin of an input, a parameter or a buffer, which no operation computed."""
    return Origin(name=name, label="", operation="", module_path=module_path, source_file=None, source_line=None)


def _result_nodes(call: RecordedCall, nodes: list[fx.Node]) -> list[fx.Node]:
    """Return those of a call's nodes that hold its result."""
    if call.no_tensor:
        return [node for node in nodes if isinstance(node.meta.get("val"), tuple | list)][-1:]
    tensors = [node for node in nodes if isinstance(node.meta.get("val"), torch.Tensor)]
    return [node for node in tensors if not set(nodes).issuperset(node.users)] or tensors[-1:]
