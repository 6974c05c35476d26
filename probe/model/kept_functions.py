"""Functions that are kept on modules (a forward set on the instance, a hook, a list of steps) and refer to the model's
own modules, or to what these hold.

deepcopy takes a function as it is: a copied model whose `forward` is `lambda x: model.conv(x) * 2` would run the
original's convolution.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from types import CellType, FunctionType, MethodType
from typing import Any

import torch
from torch import nn

__all__ = ["rebind_functions"]


def rebind_functions(copied: nn.Module, memo: Mapping[int, object]) -> None:
    """Let the functions on the modules of a deep copy refer to the copies; `memo` is deepcopy's."""
    rebinding = _Rebinding(memo)
    for module in copied.modules():
        if not isinstance(module, torch.jit.ScriptModule):
            rebinding.rebind_in(vars(module))


class _Rebinding:
    def __init__(self, memo: Mapping[int, object]) -> None:
        self._memo = memo
        self._done: dict[int, tuple[object, Any]] = {}
        """By id, which the value itself keeps from being used again: what it became."""

    def rebind_in(self, held: dict[Any, Any] | list[Any]) -> None:
        """Replace what refers to originals in a dictionary or a list of the copy."""
        if id(held) in self._done:
            return
        self._done[id(held)] = held, held
        for key, value in list(held.items() if isinstance(held, dict) else enumerate(held)):
            if isinstance(value, dict | list):
                self.rebind_in(value)
            elif (rebound := self._rebound(value)) is not value:
                held[key] = rebound

    def _rebound(self, value: Any) -> Any:
        """Return the value over the copies; the value itself if it refers to none, or to itself."""
        if id(value) not in self._done:
            self._done[id(value)] = value, value
            self._done[id(value)] = value, self._rebuilt(value)
        return self._done[id(value)][1]

    def _rebuilt(self, value: Any) -> Any:
        match value:
            case MethodType():
                function, owner = map(self._rebound, (value.__func__, value.__self__))
                moved = function is not value.__func__ or owner is not value.__self__
                return MethodType(function, owner) if moved else value
            case partial():
                held = (value.func, *value.args, *value.keywords.values())
                function, *given = map(self._rebound, held)
                count = len(value.args)
                keywords = dict(zip(value.keywords, given[count:], strict=True))
                return value if _same((function, *given), held) else partial(function, *given[:count], **keywords)
            case FunctionType():
                # torch.compile keeps what it compiled, which computes the same.
                compiled = getattr(value, "_torchdynamo_orig_callable", None)
                return self._rebuilt_function(value) if compiled is None else self._rebound(compiled)
        if id(value) not in self._memo and type(value) in (list, tuple, dict):
            parts = value.values() if isinstance(value, dict) else value
            made = list(map(self._rebound, parts))
            whole = zip(value, made, strict=True) if isinstance(value, dict) else made
            return value if _same(made, parts) else type(value)(whole)
        return self._memo.get(id(value), value)

    def _rebuilt_function(self, function: FunctionType) -> FunctionType:
        own = function.__closure__ or ()
        cells = tuple(map(self._rebuilt_cell, own))
        if _same(cells, own):
            return function
        made = FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__, cells)
        made.__kwdefaults__ = function.__kwdefaults__
        made.__dict__.update(function.__dict__)
        return made

    def _rebuilt_cell(self, cell: CellType) -> CellType:
        try:
            content = cell.cell_contents
        except ValueError:  # not filled yet
            return cell
        rebound = self._rebound(content)
        return cell if rebound is content else CellType(rebound)


def _same(some: Iterable[object], others: Iterable[object]) -> bool:
    return all(one is other for one, other in zip(some, others, strict=True))
