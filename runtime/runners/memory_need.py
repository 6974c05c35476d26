"""How much memory the tensors of a run take, estimated before anything is allocated."""

import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import ExecutionError, UsageError
from ..artifact.free_memory import free_bytes
from ..artifact.manifest import Input, Manifest, Output

__all__ = ["bytes_of", "bytes_of_batch", "refuse_large_outputs", "refuse_too_large", "sizes_of"]

_COPIES = 2
"""Of each output: the caller's array, and the runtime's own buffer."""
_BYTES = {"bfloat16": 2}
_ASK_FROM_BYTES = 2**28
"""Less is never refused, so that how much is free is seldom asked for."""


def refuse_too_large(manifest: Manifest, batch: int) -> None:
    """Refuse a batch whose tensors don't fit into the free memory.

    Raises:
        UsageError: they don't; the message has the estimate, and the largest batch that fits.
    """
    free = free_bytes()
    one = bytes_of_batch(manifest, 1)
    need = bytes_of_batch(manifest, batch)
    if free is None or need <= free:
        return
    growing = max(bytes_of_batch(manifest, 2) - one, 1)
    largest = max(0, 1 + (free - one) // growing)
    fits = f"The largest batch that fits is {largest}." if largest else "Not even one image fits."
    raise UsageError(
        f"A batch of {batch} takes about {need / 1e6:,.0f} MB for the outputs of {manifest.model}; "
        f"{free / 1e6:,.0f} MB are free.\n{fits}"
    )


def refuse_large_outputs(manifest: Manifest, names: Collection[str], inputs: Mapping[str, NDArray[Any]]) -> None:
    """Refuse inputs for which the outputs, or one tensor on the way to them, are larger than the free memory.

    Args:
        manifest: of the model.
        names: the outputs that are computed.
        inputs: checked.

    Raises:
        ExecutionError: they are.
    """
    given = [(entry.shape, inputs[entry.name].shape) for entry in manifest.inputs]
    sizes = {symbol: size for shape, found in given for symbol, size in zip(shape, found, strict=True)}
    known = {str(symbol): size for symbol, size in sizes.items()}
    need = on_the_way = wanted = 0
    for entry in manifest.outputs:
        size = bytes_of(entry, known)
        on_the_way = max(on_the_way, size)
        if entry.name in names:
            wanted += size
            need = max(wanted, on_the_way)
    if need <= _ASK_FROM_BYTES:
        return
    free = free_bytes()
    if free is not None and need > free:
        raise ExecutionError(
            f"The outputs of {manifest.model} take about {need / 1e6:,.0f} MB for these inputs; {free / 1e6:,.0f} MB "
            "are free.\nSelect some with --outputs, or give fewer or smaller inputs."
        )


def bytes_of_batch(manifest: Manifest, batch: int) -> int:
    """Return an estimate of the memory of inputs and outputs, in bytes."""
    sizes = manifest.sizes(batch)
    inputs = sum(bytes_of(entry, sizes) for entry in manifest.inputs)
    return inputs + _COPIES * sum(bytes_of(entry, sizes) for entry in manifest.outputs)


def bytes_of(entry: Input | Output, sizes: Mapping[str, int]) -> int:
    """Return the bytes of one tensor, where the sizes are those that its symbols stand for."""
    return math.prod(sizes_of(entry, sizes)) * (_BYTES.get(entry.dtype) or np.dtype(entry.dtype).itemsize)


def sizes_of(entry: Input | Output, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """Return the shape of one tensor, where the sizes are those that its symbols stand for; 1 for what is unknown."""
    return tuple(size if isinstance(size, int) else _size(size, sizes) for size in entry.shape)


def _size(symbol: str, sizes: Mapping[str, int]) -> int:
    """Return the size that a symbol stands for: `N`, `4*N`, `H/2`; 1 for an unknown one."""
    product = 1.0
    for part in symbol.replace("/", "*1/").split("*"):
        number = part.removeprefix("1/")
        value = float(number) if number.isdecimal() else float(sizes.get(number.rstrip("?"), 1))
        product = product / value if part.startswith("1/") else product * value
    return max(1, round(product))
