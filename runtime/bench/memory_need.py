"""How much memory the tensors of a run take, estimated before anything is allocated."""

import math

import numpy as np

from ..artifact.errors import UsageError
from ..artifact.free_memory import free_bytes
from ..artifact.manifest import Manifest

__all__ = ["refuse_too_large"]

_COPIES = 2
"""Of each output: the caller's array, and the runtime's own buffer."""
_BYTES = {"bfloat16": 2}


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


def bytes_of_batch(manifest: Manifest, batch: int) -> int:
    """Return an estimate of the memory of inputs and outputs, in bytes."""
    sizes = manifest.sizes(batch)
    tensors = [(entry.shape, entry.dtype, 1) for entry in manifest.inputs]
    tensors += [(entry.shape, entry.dtype, _COPIES) for entry in manifest.outputs]
    total = 0
    for shape, dtype, copies in tensors:
        elements = math.prod(size if isinstance(size, int) else _size(size, sizes) for size in shape)
        total += copies * elements * (_BYTES.get(dtype) or np.dtype(dtype).itemsize)
    return total


def _size(symbol: str, sizes: dict[str, int]) -> int:
    """Return the size that a symbol stands for: `N`, `4*N`, `H/2`; 1 for an unknown one."""
    product = 1.0
    for part in symbol.replace("/", "*1/").split("*"):
        number = part.removeprefix("1/")
        value = float(number) if number.isdecimal() else float(sizes.get(number.rstrip("?"), 1))
        product = product / value if part.startswith("1/") else product * value
    return max(1, round(product))
