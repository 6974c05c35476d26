"""Whether what a manifest, a recorded run or a report says of its tensors can be true: names, types, sizes, layouts.

Checked once, where such a document enters, so that nothing after it has to expect the impossible. Whether it is true of
the model file is for the runner to find.
"""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from .showing import shape_words

__all__ = ["check_inputs_listed", "check_outputs_listed", "check_results_listed"]

_DTYPES = frozenset(
    {
        "bool",
        *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
        *("float16", "bfloat16", "float32", "float64", "complex64", "complex128"),
    }
)
_SYMBOL = re.compile(r"(?:[1-9]\d{0,8}\*)?[NHW](?:/[1-9]\d{0,8})?|(?:H|W|HW|WH)?\?")
"""`N`, `2*N`, `H/2`, `W?`, `HW?`, `?`."""
_LETTERS = frozenset("NCDHWL?")
_MOST_ELEMENTS = 2**40
"""Of one tensor, with 1 in place of each symbol: four terabytes of float32."""


class _Tensor(Protocol):
    """An input, as `manifest.py` has it."""

    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> tuple[int | str, ...]: ...
    @property
    def dtype(self) -> str: ...


class _Grid(Protocol):
    """How tokens lie in the image."""

    @property
    def count(self) -> int: ...


class _Output(_Tensor, Protocol):
    """An output."""

    @property
    def layout(self) -> str: ...
    @property
    def tokens(self) -> _Grid | None: ...
    @property
    def averaged(self) -> int | None: ...
    @property
    def alias_of(self) -> str | None: ...


def check_inputs_listed(inputs: Sequence[_Tensor]) -> None:
    """Check the inputs of a model.

    Raises:
        ValueError: a name is listed twice or is empty, or a shape or type is impossible.
    """
    names: set[str] = set()
    for entry in inputs:
        _check_name(entry.name, names)
        _check_tensor(f"the input {entry.name!r}", entry.shape, entry.dtype)
        if 0 in entry.shape:
            raise ValueError(f"the input {entry.name!r} has an axis of size 0")


def check_outputs_listed(outputs: Sequence[_Output], inputs: Collection[str] | None = None) -> None:
    """Check the outputs of a model, in the order of execution.

    Args:
        outputs: as listed.
        inputs: the names of the model's inputs; None where they aren't known.

    Raises:
        ValueError: a name is listed twice or is empty, an output is an alias of none before it, or a shape, type or
            layout is impossible.
    """
    names = set(inputs or ())
    for output in outputs:
        if output.alias_of is not None and output.alias_of not in names and inputs is not None:
            raise ValueError(f"{output.name!r} is an alias of {output.alias_of!r}, which does not come before it")
        _check_name(output.name, names)
        _check_tensor(repr(output.name), output.shape, output.dtype)
        _check_layout(output)


def check_results_listed(results: Mapping[str, str], outputs: Collection[str]) -> None:
    """Check what a model returns.

    Raises:
        ValueError: it is none of the outputs.
    """
    for result in results.values():
        if result not in outputs:
            raise ValueError(f"the result {result!r} is not among the outputs")


def _check_name(name: str, names: set[str]) -> None:
    if not name:
        raise ValueError("a name is empty")
    if name in names:
        raise ValueError(f"the name {name!r} is listed twice")
    names.add(name)


def _check_tensor(what: str, shape: Sequence[int | str], dtype: str) -> None:
    if dtype not in _DTYPES:
        raise ValueError(f"{what} has the unknown type {dtype!r}")
    unknown = next((size for size in shape if isinstance(size, str) and not _SYMBOL.fullmatch(size)), None)
    if unknown is not None:
        raise ValueError(f"{what} has the unknown size {unknown!r}")
    if math.prod(max(size, 1) for size in shape if isinstance(size, int)) > _MOST_ELEMENTS:
        raise ValueError(f"{what} has the impossible size {' x '.join(map(str, shape))}")


def _check_layout(output: _Output) -> None:
    letters, tokens, shape = output.layout, output.tokens, output.shape
    known = [letter for letter in letters if letter != "?"]
    if not _LETTERS.issuperset(letters) or len(set(known)) < len(known):
        raise ValueError(f"{output.name!r} has the unknown layout {letters!r}")
    if len(letters) != len(shape):
        sizes = shape_words(shape)
        raise ValueError(f"{output.name!r} has the layout {letters!r}, which doesn't fit its shape, {sizes}")
    if output.averaged is not None and (letters != "NCHW" or shape[1] != 1):
        raise ValueError(f"{output.name!r} is the mean of {output.averaged} channels, and it is no N x 1 x H x W")
    if tokens is None:
        return
    length = shape[1] if letters == "NLC" else None
    if length is None:
        raise ValueError(f"{output.name!r} has tokens, and its layout is {letters!r}")
    if isinstance(length, int) and length != tokens.count:
        raise ValueError(f"{output.name!r} has {length} tokens, of which {tokens.count} are laid out")
