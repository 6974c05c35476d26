"""model -> fx graph by `torch.export`, for what symbolic tracing can't follow; brought to the same names.

torch.export runs the model's Python on tensors without data, so that `if x.shape[1] != 3` or `B, C, H, W = x.shape`
is no obstacle; its graph holds aten operations, several to a call of a function or module. Each operation knows the
modules that it ran in (`nn_module_stack`) and the function that was called (`torch_fn`): what one call of a leaf
module or of a function gave is one named node, and the steps within have no name, as in a symbolic trace.
"""

import inspect
import linecache
import operator
import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import fx, nn
from torch.fx.experimental.symbolic_shapes import is_concrete_int

from .errors import CaptureError, first_line
from .example import Example
from .exported_graph import plain_graph
from .labels import class_of
from .naming import NodeNamer
from .quiet import torch_silenced
from .source_places import is_model_code, place_of, portable_path
from .traced_model import NodeOrigin, TracedModel, qualify

__all__ = ["export_capture"]

_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>[0-9]+)')
_TUPLE_RETURNING = (nn.MultiheadAttention, nn.RNNBase)
_OPERATORS = {
    "__getitem__": "getitem",
    "__setitem__": "setitem",
    "div": "truediv",
    "rsub": "sub",
    "__rsub__": "sub",
    "remainder": "mod",
    "floor_divide": "floordiv",
    "__rpow__": "pow",
    "add_": "add",
    "sub_": "sub",
    "mul_": "mul",
    "div_": "truediv",
    "pow_": "pow",
}
"""How `torch_fn` calls what an operator of Python's did, and how symbolic tracing does."""


def export_capture(
    model: nn.Module, example: Example, *, batched: frozenset[int] = frozenset(), dynamic_size: bool = False
) -> TracedModel:
    """Capture `model` with `torch.export`, hooks of the model itself included.

    Args:
        model: the module, in eval mode; the graph shares its weights in memory.
        example: what it is called with.
        batched: the inputs whose first size stays open; the others keep the example's.
        dynamic_size: leave height and width of N C H W inputs open.

    Raises:
        CaptureError: torch.export can't capture it: its control flow depends on the values of tensors, say, or it
            computes with a size that should stay open. The message names the source line.
    """
    program = _export(model, example, batched, dynamic_size)
    try:
        module = plain_graph(program, type(model).__name__)
    except SyntaxError as error:
        raise CaptureError(
            f"torch.export can't capture {type(model).__name__}: it writes code that is no Python, for a module's name"
        ) from error
    leaves = {path: part for path, part in model.named_modules() if _is_leaf(part)}
    origins, namer = _name_nodes(module, leaves)
    return TracedModel(module, origins, namer, batched)


def _export(
    model: nn.Module, example: Example, batched: frozenset[int], dynamic_size: bool
) -> torch.export.ExportedProgram:
    # torch.export takes a size of 1 for a constant.
    call = example.enlarged(batched) if example.batch == 1 else example
    shapes = tuple(_open_axes(tensor, index in batched, dynamic_size) for index, tensor in enumerate(call.tensors))
    keywords = dict(zip(call.kwargs, shapes[len(call.args) :], strict=True))
    try:
        with torch_silenced(), torch.no_grad():
            program = torch.export.export(
                model,
                call.args,
                call.kwargs,
                dynamic_shapes=_as_signature(model, shapes[: len(call.args)], keywords),
                strict=False,
            )
    except (Exception, SystemExit) as error:
        raise CaptureError(
            f"torch.export can't capture {type(model).__name__}: {first_line(error)}{place_of(error)}"
        ) from error
    _check_open(program, shapes, type(model).__name__)
    return program


def _check_open(program: torch.export.ExportedProgram, shapes: tuple[dict[int, Any], ...], name: str) -> None:
    """Raise where torch.export has fixed an axis that was to stay open: with AUTO it does so without a word."""
    names = program.graph_signature.user_inputs
    nodes = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    for given, axes in zip(names, shapes, strict=True):
        for axis in axes:
            size = nodes[str(given)].meta["val"].shape[axis]
            if is_concrete_int(size):
                raise CaptureError(
                    f"torch.export can't capture {name} for other sizes: its result is computed with axis {axis} "
                    f"of {given} as the plain number {size}"
                )


def _as_signature(model: nn.Module, positional: tuple[Any, ...], keywords: dict[str, Any]) -> dict[str, Any]:
    """Dynamic shapes, in the form that torch.export asks for: by name, a tuple for `*args`."""
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


def _is_leaf(module: nn.Module) -> bool:
    return fx.Tracer().is_leaf_module(module, "")


def _name_nodes(module: fx.GraphModule, leaves: dict[str, nn.Module]) -> tuple[dict[fx.Node, NodeOrigin], NodeNamer]:
    groups: dict[object, list[fx.Node]] = {}
    for node in module.graph.nodes:
        if node.op != "output":
            groups.setdefault(_call_of(node, leaves), []).append(node)
    of_leaves = {node for call, nodes in groups.items() if _leaf_of(nodes[0], leaves) for node in nodes}
    namer = NodeNamer()
    origins: dict[fx.Node, NodeOrigin] = {}
    for nodes in groups.values():
        first = nodes[0]
        if first.op == "get_attr":
            # Symbolic tracing sees the parameters that the model's own code uses, not those of leaf modules.
            if not of_leaves.issuperset(first.users):
                path = _path_of_first_use(first)
                origins[first] = NodeOrigin(namer(qualify(first.name, path)), path, None, None, "", "")
        elif first.op == "placeholder":
            origins[first] = NodeOrigin(namer(str(first.target)), "", None, None, "", "")
        else:
            exits = [node for node in nodes if not set(nodes).issuperset(node.users)] or nodes[-1:]
            origins |= _name_call(exits, leaves, namer)
    order = {node: position for position, node in enumerate(module.graph.nodes)}
    return dict(sorted(origins.items(), key=lambda item: order[item[0]])), namer


def _stack(node: fx.Node) -> list[tuple[str, str, str]]:
    """Return (call, module path, class) of the modules that a node ran in, outermost first."""
    stack: dict[str, tuple[str, str]] = node.meta.get("nn_module_stack") or {}
    return [(key, path, kind) for key, (path, kind) in stack.items() if not key.startswith("_empty")]


def _path_of_first_use(parameter: fx.Node) -> str:
    stacks = (_stack(user) for user in parameter.users)
    return next((stack[-1][1] for stack in stacks if stack), "")


def _leaf_of(node: fx.Node, leaves: dict[str, nn.Module]) -> tuple[str, str, str] | None:
    return next((entry for entry in _stack(node) if entry[1] in leaves), None)


def _call_of(node: fx.Node, leaves: dict[str, nn.Module]) -> object:
    """Return a key that is the same for all nodes of one call of a leaf module, or of one function."""
    leaf = _leaf_of(node, leaves)
    if leaf is not None:
        return leaf[0]
    called = node.meta.get("torch_fn")
    if called is None or node.target is operator.getitem or not node.op.startswith("call"):
        return node
    return called[0]


def _name_call(exits: list[fx.Node], leaves: dict[str, nn.Module], namer: NodeNamer) -> dict[fx.Node, NodeOrigin]:
    """Name what one call gave. A tuple's parts are called `getitem`, as symbolic tracing has them."""
    node = exits[0]
    leaf, stack = _leaf_of(node, leaves), _stack(node)
    file, line = _source(node)
    if leaf is None:
        path = stack[-1][1] if stack else ""
        label, operation = _function(node)
        return {each: NodeOrigin(namer(qualify(label, path)), path, file, line, label, operation) for each in exits}
    _, path, _ = leaf
    operation = class_of(leaves[path])
    if isinstance(leaves[path], _TUPLE_RETURNING):
        namer(path)
        outer = next((entry[1] for entry in reversed(stack[: stack.index(leaf)])), "")
        return {
            each: NodeOrigin(namer(qualify("getitem", outer)), outer, file, line, "getitem", "operator.getitem")
            for each in exits
        }
    return {each: NodeOrigin(namer(path), path, file, line, operation.rpartition(".")[2], operation) for each in exits}


def _function(node: fx.Node) -> tuple[str, str]:
    """Return label and full name of the function that was called, as symbolic tracing gives them."""
    if node.target is operator.getitem:
        return "getitem", "operator.getitem"
    called = node.meta.get("torch_fn")
    kind, _, name = (called[1] if called else f".{node.name}").rpartition(".")
    if name in _OPERATORS and f"{name}(" not in _source_text(node):
        label = _OPERATORS[name]
        augmented = "i" if name.endswith("_") and not name.startswith("_") else ""
        return label, f"operator.{augmented}{label}"
    if kind == "method_descriptor":
        # `a + b` is a call of the method add, unless the source says so.
        if hasattr(operator, name) and f"{name}(" not in _source_text(node):
            return name, f"operator.{name}"
        return name, f"torch.Tensor.{name}"
    if kind == "function" and hasattr(nn.functional, name):
        return name, f"torch.nn.functional.{name}"
    return name, f"torch.{name}" if hasattr(torch, name) else name


def _frames(node: fx.Node) -> Iterator[tuple[str, int]]:
    """Yield file and line of the frames that a node was made in, innermost first."""
    for match in reversed(list(_FRAME.finditer(node.meta.get("stack_trace") or ""))):
        yield match["file"], int(match["line"])


def _source(node: fx.Node) -> tuple[str | None, int | None]:
    for file, line in _frames(node):
        if is_model_code(file):
            return portable_path(file), line
    return None, None


def _source_text(node: fx.Node) -> str:
    return next((linecache.getline(file, line) for file, line in _frames(node)), "")
