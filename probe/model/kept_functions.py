"""Functions that are kept on modules (a forward set on the instance, a hook) and refer to the model's own modules.

deepcopy takes a function as it is: a copied model whose `forward` is `lambda x: model.conv(x) * 2` would run the
original's convolution.
"""

from collections.abc import Mapping
from functools import partial
from types import CellType, FunctionType, MethodType
from typing import Any

import torch
from torch import nn

__all__ = ["rebind_functions"]

_HOOKS = ("_forward_hooks", "_forward_pre_hooks")


def rebind_functions(copied: nn.Module, memo: Mapping[int, object]) -> None:
    """Let the functions on the modules of a deep copy refer to the copies; `memo` is deepcopy's."""
    for module in copied.modules():
        if isinstance(module, torch.jit.ScriptModule):
            continue
        held = vars(module)
        for mapping in (held, *(held.get(name, {}) for name in _HOOKS)):
            for name, value in list(mapping.items()):
                if (rebound := _rebound(value, memo, set())) is not value:
                    mapping[name] = rebound


def _rebound(value: Any, memo: Mapping[int, object], seen: set[int]) -> Any:
    """Return the value over the copies; the value itself if it refers to none, or to itself."""
    if id(value) in seen:
        return value
    seen = seen | {id(value)}
    match value:
        case nn.Module() | torch.Tensor():
            return memo.get(id(value), value)
        case MethodType():
            function, owner = (_rebound(part, memo, seen) for part in (value.__func__, value.__self__))
            moved = function is not value.__func__ or owner is not value.__self__
            return MethodType(function, owner) if moved else value
        case partial():
            held = (value.func, *value.args, *value.keywords.values())
            function, *given = (_rebound(part, memo, seen) for part in held)
            count = len(value.args)
            keywords = dict(zip(value.keywords, given[count:], strict=True))
            moved = any(one is not other for one, other in zip((function, *given), held, strict=True))
            return partial(function, *given[:count], **keywords) if moved else value
        case FunctionType():
            # torch.compile keeps what it compiled, which computes the same.
            compiled = getattr(value, "_torchdynamo_orig_callable", None)
            return _rebound_function(value, memo, seen) if compiled is None else _rebound(compiled, memo, seen)
    return value


def _rebound_function(function: FunctionType, memo: Mapping[int, object], seen: set[int]) -> FunctionType:
    cells = tuple(_rebound_cell(cell, memo, seen) for cell in function.__closure__ or ())
    if all(one is other for one, other in zip(cells, function.__closure__ or (), strict=True)):
        return function
    made = FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__, cells)
    made.__kwdefaults__ = function.__kwdefaults__
    made.__dict__.update(function.__dict__)
    return made


def _rebound_cell(cell: CellType, memo: Mapping[int, object], seen: set[int]) -> CellType:
    try:
        content = cell.cell_contents
    except ValueError:  # not filled yet
        return cell
    rebound = _rebound(content, memo, seen)
    return cell if rebound is content else CellType(rebound)
