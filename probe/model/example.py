"""The example: one call of a model, as its tensors by name, and the structure and the constants around them."""

import inspect
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from runtime.artifact.errors import ModelError
from runtime.artifact.manifest import Constant, leading_input

from .source_places import place_of

__all__ = ["CONSTANTS", "Example", "bind_example"]

CONSTANTS = (type(None), bool, int, float, str, Enum, torch.dtype, torch.device)
"""What may be passed besides tensors, alone or in lists, tuples and dictionaries."""
_TENSOR = object()
"""Stands for a tensor among an example's leaves."""


@dataclass(frozen=True)
class Example:
    """One call of a model. Only its tensors vary: the probe takes them by position, and all else is constant.

    Attributes:
        tensors: those in all arguments, in the order of forward's parameters and, in these, of their parts.
        names: their names: the parameter's; `args_0` for the first of `*args`; `features_0`, `features_top` for a part
            of a list or a dictionary. No two are equal.
        constants: the other arguments by name: None, flags, numbers, strings.
    """

    tensors: tuple[torch.Tensor, ...]
    names: tuple[str, ...]
    constants: dict[str, Constant]
    _leaves: tuple[object, ...]
    """The leaves of all arguments, with `_TENSOR` for each tensor."""
    _structure: pytree.TreeSpec
    """Of `(args, kwargs)`."""

    def arguments(self, values: Sequence[Any], *, constants: bool = True) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return `args` and `kwargs` with other values for its tensors, and None for constants if not set."""
        given = iter(values)
        leaves = [next(given) if leaf is _TENSOR else leaf if constants else None for leaf in self._leaves]
        args, kwargs = pytree.tree_unflatten(leaves, self._structure)
        return args, kwargs

    def replaced(self, tensors: tuple[torch.Tensor, ...]) -> "Example":
        """Return the same call with other tensors."""
        return replace(self, tensors=tensors)

    @property
    def batch(self) -> int:
        """The size of the leading tensor's first axis; 1 if no tensor has an axis."""
        leading = leading_input([tensor.shape for tensor in self.tensors])
        return 1 if leading is None else self.tensors[leading].shape[0]

    def batched_inputs(self) -> list[frozenset[int]]:
        """Return guesses, best first, at which tensors have the batch as their first axis."""
        leading = leading_input([tensor.shape for tensor in self.tensors])
        if leading is None or not self.batch:
            return []
        same = [index for index, tensor in enumerate(self.tensors) if tensor.shape[:1] == (self.batch,)]
        # A factor or a table of one dimension may be as long as the batch by chance, especially if that is 1.
        guesses = [same, [index for index in same if self.tensors[index].ndim > 1], [leading]]
        return list(dict.fromkeys(map(frozenset, guesses)))

    def enlarged(self, batched: frozenset[int]) -> "Example":
        """Return the example with its first image repeated at the end of the tensors that are `batched`."""
        return self.replaced(
            tuple(
                torch.cat([tensor, tensor[:1]]) if index in batched else tensor
                for index, tensor in enumerate(self.tensors)
            )
        )

    def of_other_batch(self, batched: frozenset[int]) -> "Example":
        """Return the example with only the first image in the tensors that are `batched`, or two if it has one.

        If a model treats any batch size specially, it is 1.
        """
        if self.batch == 1:
            return self.enlarged(batched)
        return self.replaced(
            tuple(tensor[:1] if index in batched else tensor for index, tensor in enumerate(self.tensors))
        )

    def run(self, model: nn.Module) -> object:
        """Call the model without gradients; the tensors stay unchanged.

        Raises:
            ModelError: the model ends the process.
        """
        # Tensors made in inference mode, which the caller may be in, have no version counters.
        with torch.inference_mode(False), torch.no_grad():
            args, kwargs = self.arguments([tensor.clone() for tensor in self.tensors])
            try:
                return model(*args, **kwargs)
            except SystemExit as error:
                raise ModelError(
                    f"{type(model).__name__}'s forward ends the process (sys.exit){place_of(error)} "
                    "instead of returning a result."
                ) from error


def bind_example(model: nn.Module, args: Sequence[object], kwargs: Mapping[str, object]) -> Example:
    """Return the example of a call, its tensors named and ordered as in the signature of the model's forward.

    Args:
        model: what is called.
        args: the positional arguments: each a tensor, a constant, or any nesting of lists, tuples and dictionaries of
            these.
        kwargs: likewise, those passed by keyword.

    Raises:
        ModelError: there is no tensor, an argument is something else, or they don't fit forward.
    """
    name = type(model).__name__
    if not args and not kwargs:
        raise ModelError("build_probe needs an example input: build_probe(model, torch.zeros(1, 3, 64, 64))")
    positional, keywords = _by_signature(model, args, kwargs)
    paths, structure = pytree.tree_flatten_with_path((tuple(args), keywords))
    names: list[str] = []
    tensors: list[torch.Tensor] = []
    leaves: list[object] = []
    constants: dict[str, Constant] = {}
    for (_, argument, *inside), value in paths:
        parameter = positional[argument.idx] if isinstance(argument, pytree.SequenceKey) else str(_part(argument))
        unique = _unique("_".join([parameter, *map(str, map(_part, inside))]), {*names, *constants})
        if isinstance(value, torch.Tensor):
            names.append(unique)
            tensors.append(_plain(value, f"{name}'s {parameter}{pytree.keystr(tuple(inside))}"))
            leaves.append(_TENSOR)
        elif isinstance(value, CONSTANTS):
            constants[unique] = _recordable(value)
            leaves.append(value)
        else:
            raise _not_an_argument(name, f"{parameter}{pytree.keystr(tuple(inside))}", value)
    if not tensors:
        raise ModelError(
            f"The example of {name} passes no tensor, only {', '.join(constants) or 'an empty list or dictionary'}: a "
            "probe needs one.\nA number becomes an input as a tensor: torch.tensor(2.0)."
        )
    return Example(tuple(tensors), tuple(names), constants, tuple(leaves), structure)


def _by_signature(
    model: nn.Module, args: Sequence[object], kwargs: Mapping[str, object]
) -> tuple[list[str], dict[str, object]]:
    """Return the names of the positional arguments, and those passed by keyword in the order of the signature."""
    signature = inspect.signature(model.forward)
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        takes = ", ".join(map(str, signature.parameters.values())) or "nothing"
        raise ModelError(
            f"{type(model).__name__}.forward takes {takes}; the example doesn't fit: {error}.\n"
            "Pass an argument for each parameter without a default (a list is one argument): build_probe(model, "
            "tensor, tensor); on the command line, use a factory that returns (model, (tensor, tensor))."
        ) from error
    names: list[str] = []
    keywords: dict[str, object] = {}
    for name, value in bound.arguments.items():
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            names.extend(f"{name}_{index}" for index in range(len(value)))
        elif kind is inspect.Parameter.VAR_KEYWORD:
            keywords.update(value)
        elif name in kwargs and kind is not inspect.Parameter.POSITIONAL_ONLY:
            keywords[name] = value
        else:
            names.append(name)
    return names, keywords


def _part(key: pytree.KeyEntry) -> object:
    """Return the index, the key or the field that a step into a list, a dictionary or a named tuple takes."""
    return next(getattr(key, part) for part in ("idx", "key", "name") if hasattr(key, part))


def _unique(name: str, taken: set[str]) -> str:
    """Return `name` as an identifier that isn't taken: keys may be any text, and parameters end in numbers, too."""
    name = re.sub(r"\W", "_", name)
    while name in taken:
        name += "_1"
    return name


def _plain(tensor: torch.Tensor, what: str) -> torch.Tensor:
    """Return a tensor without its subclass, which no export would keep.

    Raises:
        ModelError: it isn't one plain tensor underneath.
    """
    kind = type(tensor)
    if kind is torch.Tensor and not tensor.is_nested:
        return tensor
    if tensor.is_nested or getattr(kind, "__torch_dispatch__", None) is not torch.Tensor.__torch_dispatch__:
        how = "a nested tensor" if tensor.is_nested else f"a {kind.__name__}, which computes in its own way"
        raise ModelError(f"{what} is {how}: pass a plain, dense torch.Tensor.")
    return tensor.detach().as_subclass(torch.Tensor)


def _recordable(value: object) -> Constant:
    """Return a constant as the manifest's JSON can hold it: what it has no word for, as text."""
    if isinstance(value, Enum) or (isinstance(value, float) and not math.isfinite(value)):
        return str(value)
    return value if isinstance(value, type(None) | bool | int | float | str) else str(value)


def _not_an_argument(model: str, path: str, value: object) -> ModelError:
    kind = type(value).__name__
    article = "an" if kind[0] in "aeioAEIO" or kind == "ndarray" else "a"
    if type(value).__module__ == "numpy":
        way = "Pass torch.from_numpy(array), or a plain number: value.item()."
    elif isinstance(value, Mapping):
        way = "Pass it as a dictionary: dict(value)."
    elif isinstance(value, Iterable):
        way = "Pass it as a list: list(value)."
    else:
        way = "Pass its tensors, or wrap the model in a module that makes it of tensors."
    return ModelError(
        f"The example of {model} passes {article} {kind} as {path}; an argument is a tensor, None, a flag, a number, a "
        f"string, or a list, tuple or dictionary of these.\n{way}"
    )
