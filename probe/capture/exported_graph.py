"""torch.export's program -> a graph like a symbolic trace's: tensors in and out, blocks inlined, sizes as calls."""

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import fx
from torch.utils import _pytree as pytree

from .plain_names import graph_module

__all__ = ["plain_graph"]

_SIZES = {torch.ops.aten.sym_size.int: "size", torch.ops.aten.sym_numel.default: "numel"}

_FUNCTIONS: dict[str, tuple[Callable[..., object], Callable[..., torch.Tensor]]] = {
    "sym_float": (torch.sym_float, lambda size: size.double()),
    "sym_max": (torch.sym_max, torch.maximum),
    "sym_min": (torch.sym_min, torch.minimum),
    "truediv": (operator.truediv, lambda size, by: size.double() / by),
}
"""What Python computes with sizes, and the same for sizes that are tensors, in float64, which is Python's float."""


def plain_graph(program: torch.export.ExportedProgram, name: str) -> fx.GraphModule:
    """Return the program as a graph with plain placeholders and results, and the weights as attributes."""
    unlifted = program.module()
    graph = fx.Graph()
    results = _copy_nodes(unlifted, "", graph, {})
    spec = program.call_spec.out_spec
    assert spec is not None
    graph.output(pytree.tree_unflatten(results, spec))
    for node in list(graph.nodes):
        # A flag or a number that the model is called with has a placeholder, too, which nothing uses.
        constant = node.op == "placeholder" and not isinstance(node.meta["val"], torch.Tensor)
        if (node.op == "get_attr" or constant) and not node.users:
            graph.erase_node(node)
    _restore_sizes(graph)
    return graph_module(unlifted, graph, name)


def _copy_nodes(
    module: fx.GraphModule,
    path: str,
    into: fx.Graph,
    copies: dict[fx.Node, Any],
    *,
    within_autocast: bool = False,
) -> list[Any]:
    """Copy the nodes of `module`, which is at `path` in the root, and return its results, flat.

    Args:
        module: the graph to copy.
        path: empty for the root, else with a dot at the end.
        into: where the nodes go.
        copies: the replacements of nodes that need no copy, such as a block's inputs; the copies are added to it.
        within_autocast: whether the module is a block in which autocast is on.
    """
    for node in module.graph.nodes:
        if node in copies or _is_check(node):
            continue
        if node.op == "output":
            return [copies.get(leaf, leaf) for leaf in pytree.tree_leaves(node.args[0])]
        block = _block_of(node)
        if block is not None:
            attribute, arguments = block
            part = module.get_submodule(str(attribute.target))
            assert isinstance(part, fx.GraphModule)
            inputs = [each for each in part.graph.nodes if each.op == "placeholder"]
            given = {each: copies.get(value, value) for each, value in zip(inputs, arguments, strict=True)}
            is_autocast = node.target is torch.ops.higher_order.wrap_with_autocast
            casts = bool(node.args[2]) if is_autocast else within_autocast
            copies[node] = _copy_nodes(part, f"{path}{attribute.target}.", into, given, within_autocast=casts)
        elif node.target is operator.getitem and isinstance(copies[node.args[0]], list):
            copies[node] = copies[node.args[0]][node.args[1]]
        else:
            copies[node] = into.node_copy(node, lambda source: copies[source])
            if node.op == "get_attr":
                copies[node].target = f"{path}{node.target}"
            elif within_autocast and isinstance(node.target, torch._ops.OpOverload):
                _cast_inputs(copies[node])
    raise AssertionError("a graph without an output")


def _cast_inputs(node: fx.Node) -> None:
    """Make autocast's casts explicit: each floating-point input to the dtype of the operation's result."""
    dtype = _float_dtype(node)
    if dtype is None:
        return

    def cast(source: fx.Node) -> fx.Node:
        if _float_dtype(source) in (None, dtype, torch.float64):
            return source
        with node.graph.inserting_before(node):
            made = node.graph.call_function(torch.ops.aten.to.dtype, (source, dtype))
        made.meta["val"] = source.meta["val"].to(dtype)
        return made

    node.args, node.kwargs = fx.node.map_arg(node.args, cast), fx.node.map_arg(node.kwargs, cast)


def _float_dtype(node: fx.Node) -> torch.dtype | None:
    value = node.meta.get("val")
    return value.dtype if isinstance(value, torch.Tensor) and value.is_floating_point() else None


def _block_of(node: fx.Node) -> tuple[fx.Node, Sequence[Any]] | None:
    """Return the part and the arguments of a block that torch.export keeps as a graph of its own.

    That is what is in `with torch.no_grad()` or `with torch.autocast(...)`, on or off.
    """
    if node.target is torch.ops.higher_order.wrap_with_set_grad_enabled:
        _, part, *arguments = node.args
    elif node.target is torch.ops.higher_order.wrap_with_autocast:
        _, _, _, _, part, *arguments = node.args
    else:
        return None
    assert isinstance(part, fx.Node)
    return part, arguments


def _is_check(node: fx.Node) -> bool:
    """Return whether a node only checks shapes or dtypes that torch.export assumed: the runners check the inputs, and
    the float64 truth has other dtypes on purpose.
    """
    checks = (torch.ops.aten._assert_tensor_metadata.default, torch.ops.aten._assert_scalar.default)
    return node.target in checks or (node.op == "call_module" and "guards" in str(node.target))


def _restore_sizes(graph: fx.Graph) -> None:
    """Turn computations with open sizes back into calls that torch.jit.trace follows: `aten.sym_size` gives it a plain
    number, which it would record as a constant, and so do aten calls that take such a number.
    """
    on_sizes: set[fx.Node] = set()
    for node in list(graph.nodes):
        if node.target in _SIZES:
            node.op, node.target = "call_method", _SIZES[node.target]
            on_sizes.add(node)
        elif node.op == "call_function" and on_sizes.intersection(node.all_input_nodes):
            if isinstance(node.target, torch._ops.OpOverload):
                _call_from_python(node, node.target.overloadpacket.__name__)
                continue
            on_sizes.add(node)
            for name, (function, _) in _FUNCTIONS.items():
                if node.target is function:
                    node.args, node.target = (name, *node.args), compute_with_sizes


def _call_from_python(node: fx.Node, name: str) -> None:
    """Make a node call the Python function or method for the aten operation `name`."""
    source = node.args[0]
    if name == "slice":
        assert isinstance(source, fx.Node)
        given: list[Any] = [*node.args[1:], *(0, None, None, 1)[len(node.args) - 1 :]]
        axis, start, stop, step = given
        leading = [slice(None)] * (axis % source.meta["val"].ndim)
        node.target, node.args = operator.getitem, (source, (*leading, slice(start, stop, step)))
    elif hasattr(torch.Tensor, name) and isinstance(source, fx.Node):
        node.op, node.target = "call_method", name
    else:
        offered = [getattr(home, name) for home in (torch, torch._C._nn) if hasattr(home, name)]
        node.target = next(iter(offered), node.target)


def compute_with_sizes(name: str, *sizes: object) -> object:
    """Apply a Python function to sizes, which are tensors while torch.jit traces, so that it can follow them."""
    function, on_tensors = _FUNCTIONS[name]
    return on_tensors(*map(torch.as_tensor, sizes)) if torch._C._get_tracing_state() else function(*sizes)
