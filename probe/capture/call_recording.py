"""Records what a model calls while `torch.export` runs it: each leaf module, function and operator, with its line.

torch.export's graph holds the aten operations inside these calls. Each node made in a call carries the call's number.
"""

import contextlib
import dis
import operator
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from types import CodeType, FrameType
from typing import Any

import torch
from torch import fx, nn
from torch.fx.traceback import annotate, preserve_node_meta
from torch.overrides import TorchFunctionMode, is_tensor_method_or_property
from torch.utils import _pytree as pytree

from ..model.leaf_modules import LeafTest
from ..model.source_places import calling_frame, source_line
from .labels import AUGMENTED_OPERATORS, class_of, describe_function

__all__ = ["CallRecorder", "RecordedCall", "call_number"]

_SYMBOLS = {
    "+": "add", "-": "sub", "*": "mul", "/": "truediv", "//": "floordiv", "%": "mod", "**": "pow", "@": "matmul",
    "&": "and_", "|": "or_", "^": "xor", "<<": "lshift", ">>": "rshift",
}  # fmt: skip
"""Python's binary operators, and their names in the module `operator`, which symbolic tracing uses."""

_DATA = torch.Tensor.data.__get__  # type: ignore[attr-defined]
"""What `x.data` calls."""


@dataclass
class RecordedCall:
    """One call, as symbolic tracing would record it."""

    module_path: str
    """The module that it was called in, or the leaf module that was called."""
    file: str | None
    line: int | None
    label: str
    operation: str
    leaf: bool = False
    no_tensor: bool = False
    """It returned a tuple, whose parts are separate calls where they are taken; or nothing, as `x[i] = y` does."""
    of: "RecordedCall | None" = None
    """Of a part that was taken, what computed the tuple; of `x.mT`, that attribute."""


def call_number(node: fx.Node) -> int | None:
    """Return the number of the call that a node was made in."""
    number = (node.meta.get("custom") or {}).get("call")
    return number if isinstance(number, int) else None


class CallRecorder(TorchFunctionMode):
    """Records calls in `calls`, in the order of execution, while a model runs inside `watch`.

    torch.export runs the model
      +- a module is entered           sets the module path
           +- a leaf module            one call, whatever it calls itself
           +- torch.relu(x), x + y     __torch_function__: one call
           +- a, b = x.chunk(2)        one call, and one for each part that is taken: see _Parts
    """

    def __init__(self, outermost: CodeType, is_leaf: LeafTest) -> None:
        """Take the code inside which the model runs (frames outside it aren't the model's), and what stays whole."""
        super().__init__()
        self.calls: list[RecordedCall] = []
        self._outermost = outermost
        self._is_leaf = is_leaf
        self._entered: list[tuple[str, contextlib.AbstractContextManager[None] | None]] = []
        """The modules that are running, outermost first. None while torch.export prepares: tens of thousands of calls
        on weights, of which none is the model's."""

    @contextlib.contextmanager
    def watch(self, model: nn.Module) -> Iterator[None]:
        """Record what `model` calls until the end of the block."""

        def start(_model: nn.Module, _inputs: object) -> None:
            self._entered.append(("", None))

        def end(_model: nn.Module, _inputs: object, result: object) -> object:
            try:
                return _plain(result)
            finally:
                self._entered.pop()

        with contextlib.ExitStack() as stack:
            stack.callback(model.register_forward_pre_hook(start, prepend=True).remove)
            for path, module in model.named_modules():
                if path and not isinstance(module, torch.jit.ScriptModule):
                    enter, leave = self._hooks(path, module)
                    stack.callback(module.register_forward_pre_hook(enter, prepend=True).remove)
                    stack.callback(module.register_forward_hook(leave, always_call=True).remove)
            stack.callback(model.register_forward_hook(end, always_call=True).remove)
            stack.enter_context(preserve_node_meta())
            stack.enter_context(self)
            yield

    def _hooks(self, path: str, module: nn.Module) -> tuple[Callable[..., None], Callable[..., object]]:
        is_leaf = self._is_leaf(module, path)
        operation = class_of(module)

        def enter(_module: nn.Module, _inputs: object) -> None:
            marked = None
            if is_leaf and not self._in_leaf:
                call = RecordedCall(path, *self._caller()[1:], operation.rpartition(".")[2], operation, leaf=True)
                marked = self._record(call)
                marked.__enter__()
            self._entered.append((path, marked))

        def leave(_module: nn.Module, inputs: tuple[object, ...], result: object) -> object:
            marked = self._entered.pop()[1]
            if marked is None:
                return None
            try:
                number = len(self.calls) - 1
                if isinstance(result, torch.Tensor):
                    # A module that returns its input, as Identity does, would have no node.
                    return torch.ops.aten.alias.default(result) if any(result is each for each in inputs) else None
                return self._parts(result, self.calls[number])
            finally:
                marked.__exit__(None, None, None)

        return enter, leave

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if not self._entered or self._in_leaf or func is torch.ops.aten.alias.default:
            return func(*args, **(kwargs or {}))
        frame, file, line = self._caller()
        call = RecordedCall(self._entered[-1][0], file, line, *_describe(func, frame))
        if func.__name__ == "__get__" and func != _DATA:
            attribute = func.__self__.__name__
            call.of = replace(call, label=attribute, operation=f"torch.Tensor.{attribute}")
        with self._record(call):
            # torch.export can't follow `x.data`.
            result = args[0].detach() if func == _DATA else func(*args, **(kwargs or {}))
            if frame is not None and args and result is args[0] and not _writes(func.__name__):
                # `x.contiguous()` and `x.to(dtype)` make no node if there is nothing to do.
                return torch.ops.aten.alias.default(result) if isinstance(result, torch.Tensor) else result
            return self._parts(result, call)

    @property
    def _in_leaf(self) -> bool:
        return any(marked is not None for _, marked in self._entered)

    def _caller(self) -> tuple[FrameType | None, str | None, int | None]:
        frame = calling_frame(sys._getframe(1), self._outermost)
        return frame, *source_line(frame)

    def _record(self, call: RecordedCall) -> contextlib.AbstractContextManager[None]:
        self.calls.append(call)
        return annotate({"call": len(self.calls) - 1})

    def _parts(self, result: Any, call: RecordedCall) -> Any:
        """Return a tuple that records which parts are taken, in place of a plain tuple or one of torch's named ones."""
        several = type(result) is tuple or type(result).__module__ == "torch.return_types"
        call.no_tensor = several or call.label == "setitem"
        if not several:
            return result
        return _Parts(result, partial(self._take, of=call.of or call))

    def _take(self, part: Any, label: str, of: RecordedCall) -> Any:
        """Record that a part of a tuple, which `of` computed, was taken by `label`: `getitem` or `getattr`."""
        home = "operator" if label == "getitem" else "builtins"
        call = RecordedCall(self._entered[-1][0], *self._caller()[1:], label, f"{home}.{label}", of=of)
        with self._record(call):
            if isinstance(part, torch.Tensor):
                return torch.ops.aten.alias.default(part)
            return self._parts(part, call)


class _Parts(tuple[Any, ...]):
    """A tuple that reports each part that is taken."""

    _take: Callable[[Any, str], Any]
    _fields: Sequence[str]

    def __new__(cls, parts: Iterable[Any], take: Callable[[Any, str], Any] = lambda part, _: part) -> "_Parts":
        """Make it of a tuple; torch.func makes another one of its parts, which reports nothing."""
        made = super().__new__(cls, parts)
        made._take = take
        made._fields = getattr(type(parts), "__match_args__", ())
        return made

    def __getitem__(self, index: Any) -> Any:
        return self._take(super().__getitem__(index), "getitem")

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self)))

    def __getattr__(self, name: str) -> Any:
        if name not in self._fields:
            raise AttributeError(name)
        return self._take(super().__getitem__(self._fields.index(name)), "getattr")


def _plain(result: object) -> object:
    """Return a model's result with plain tuples: torch.export accepts no others."""
    is_parts = {"is_leaf": lambda value: isinstance(value, _Parts)}
    return pytree.tree_map_only(_Parts, lambda parts: tuple(map(_plain, parts)), result, **is_parts)


def _describe(func: Any, frame: FrameType | None) -> tuple[str, str]:
    """Return label and full name of what was called: the operator, if the model's line has one."""
    name = str(func.__name__)
    if name == "__get__":
        return "getattr", "builtins.getattr"
    if not is_tensor_method_or_property(func):
        return describe_function(func)
    kind, symbol = _instruction(frame)
    if kind == "BINARY_OP" and symbol.rstrip("=") in _SYMBOLS:
        label = _SYMBOLS[symbol.rstrip("=")]
        augmented = next((each for each, plain in AUGMENTED_OPERATORS.items() if plain == label), label)
        return label, f"operator.{augmented if _writes(name) else label}"
    # `x[i]` and `-x`, but also sum(tensors), a call that doesn't name the addition.
    plain = name.removeprefix("__").removesuffix("__")
    named = frame is not None and name in frame.f_code.co_names and kind.startswith("CALL")
    if hasattr(operator, plain) and not named:
        return plain, f"operator.{plain}"
    return name, f"torch.Tensor.{name}"


def _writes(name: str) -> bool:
    """Return whether a method writes into its tensor, judging by its name: `add_`, `__iand__`."""
    return name.startswith("__i") or (name.endswith("_") and not name.endswith("__"))


def _instruction(frame: FrameType | None) -> tuple[str, str]:
    """Return the instruction that a frame is at, and its argument as text: `("BINARY_OP", "+=")`."""
    if frame is None:
        return "", ""
    # After a call of Python code, the frame is past the instruction, in its cache.
    before = [each for each in _instructions(frame.f_code) if each.offset <= frame.f_lasti]
    return before[-1].opname, before[-1].argrepr


@cache
def _instructions(code: CodeType) -> list[dis.Instruction]:
    """Return the instructions of a function; cached, since they are needed at each of its operators."""
    return list(dis.get_instructions(code))
