"""Which modules stay whole: one output for what the module returns, none for the steps inside it."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

import torch
from torch import fx, nn

from runtime.artifact.errors import UsageError

__all__ = ["LeafTest", "count_leaf_calls", "leaf_test", "torch_leaf"]

LeafTest = Callable[[nn.Module, str], bool]
"""Given a module and its path: whether it stays whole."""

torch_leaf: LeafTest = fx.Tracer().is_leaf_module
"""The leaves of symbolic tracing: the modules of `torch.nn` except containers."""


def leaf_test(model: nn.Module, classes: Sequence[str | type[nn.Module]]) -> LeafTest:
    """Return a test for torch's own leaves and for the modules of `classes`.

    Args:
        model: the model, which itself is no leaf.
        classes: classes, or their names, with or without the package, or globs of names: `SqueezeExcitation`,
            `torchvision.ops.*`. A class stands for its subclasses, too.

    Raises:
        UsageError: no module of the model is of such a class.
    """
    patterns = [each if isinstance(each, str) else _full_name(each) for each in classes]
    parts = [module for module in model.modules() if module is not model]
    names = {name for module in parts for name in _names(module)}
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            own = sorted({type(each).__name__ for each in parts if not torch_leaf(each, "")})
            near = get_close_matches(pattern, own, n=3, cutoff=0.4) or own[:6]
            hint = f"It has, for example: {', '.join(near)}." if near else "All its modules stay whole anyway."
            raise UsageError(f"{type(model).__name__} has no module of the class {pattern!r}. {hint}")

    def is_leaf(module: nn.Module, path: str) -> bool:
        return torch_leaf(module, path) or any(
            fnmatchcase(name, pattern) for name in _names(module) for pattern in patterns
        )

    return is_leaf if patterns else torch_leaf


@contextlib.contextmanager
def count_leaf_calls(model: nn.Module, is_leaf: LeafTest) -> Iterator[Counter[str]]:
    """Yield a count of how often each leaf module is called while the model runs, by path."""
    calls: Counter[str] = Counter()
    with contextlib.ExitStack() as stack:
        entered: list[str] = []

        def watch(path: str, module: nn.Module) -> None:
            # What torch.cond runs is compiled, which would fail at the hooks' own effects.
            def enter(*_: object) -> None:
                if torch.compiler.is_dynamo_compiling():
                    return
                if not entered:
                    calls[path] += 1
                entered.append(path)

            def leave(*_: object) -> None:
                if not torch.compiler.is_dynamo_compiling():
                    entered.pop()

            stack.callback(module.register_forward_pre_hook(enter, prepend=True).remove)  # ahead of one that fails
            stack.callback(module.register_forward_hook(leave, always_call=True).remove)

        for path, module in model.named_modules():
            if path and not isinstance(module, torch.jit.ScriptModule) and is_leaf(module, path):
                watch(path, module)
        yield calls


def _names(module: nn.Module) -> Iterator[str]:
    """Yield the names of a module's class and of those that it inherits from, short and with the package."""
    for kind in type(module).__mro__:
        if kind is nn.Module:
            return
        yield kind.__qualname__
        yield _full_name(kind)


def _full_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
