"""The positions of a convolution's or a pool's windows in a tensor, and views of the elements under them.

Shared by `float64/convolutions.py` and `float64/pools.py`, which do the computing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .size_limit import refuse_too_many

__all__ = ["Windows"]


@dataclass(frozen=True)
class Windows:
    """The windows of `kernel` over spatial axes. Every tuple has one number per axis."""

    size: tuple[int, ...]
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    """The requested padding; with `ceil_mode`, the last window may reach beyond it."""
    out: tuple[int, ...]
    """How many windows there are."""

    @classmethod
    def of(
        cls,
        size: Sequence[int],
        kernel: Sequence[int],
        strides: Sequence[int] | None = None,
        dilations: Sequence[int] | None = None,
        pads: Sequence[int] | None = None,
        auto_pad: str | None = None,
        ceil_mode: int | None = 0,
    ) -> "Windows":
        """Return the windows that the attributes of an ONNX node define.

        Raises:
            ValueError: they contradict one another, or no window fits.
        """
        axes = len(size)
        strides, dilations = strides or (1,) * axes, dilations or (1,) * axes
        pads = pads or (0,) * (2 * axes)
        if not len(kernel) == len(strides) == len(dilations) == len(pads) // 2 == axes:
            raise ValueError(f"kernel {list(kernel)} and its attributes don't fit a tensor of {axes} spatial axes")
        spans = [(width - 1) * dilation + 1 for width, dilation in zip(kernel, dilations, strict=True)]
        before, after = list(pads[:axes]), list(pads[axes:])
        if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
            out = [-(-length // stride) for length, stride in zip(size, strides, strict=True)]
            for axis in range(axes):
                total = max(0, (out[axis] - 1) * strides[axis] + spans[axis] - size[axis])
                after[axis] = total // 2 if auto_pad == "SAME_LOWER" else total - total // 2
                before[axis] = total - after[axis]
        elif auto_pad in (None, "", "NOTSET", "VALID"):
            if auto_pad == "VALID":
                before, after, ceil_mode = [0] * axes, [0] * axes, 0
            out = []
            for axis in range(axes):
                room = size[axis] + before[axis] + after[axis] - spans[axis]
                count = (-(-room // strides[axis]) if ceil_mode else room // strides[axis]) + 1
                # A window that would begin in the padding after the tensor is left out (as PyTorch does).
                late = ceil_mode and (count - 1) * strides[axis] >= size[axis] + before[axis]
                out.append(count - 1 if late else count)
        else:
            raise ValueError(f"auto_pad={auto_pad} is not known")
        if min(out, default=1) < 1:
            raise ValueError(f"a kernel of {list(kernel)} does not fit into {list(size)}")
        return cls(*map(tuple, (size, kernel, strides, dilations, before, after, out)))

    def padded(self, x: NDArray[Any], fill: float) -> NDArray[Any]:
        """Return `x` (N C *size) padded to every place that a window reaches; `x` itself if it needs no padding.

        Raises:
            NotImplementedError: that doesn't fit into the free memory.
        """
        reach = self._reach()
        if not any(self.before) and all(have >= need for have, need in zip(self.size, reach, strict=True)):
            return x
        whole = tuple(
            max(before + length, need) for before, length, need in zip(self.before, self.size, reach, strict=True)
        )
        refuse_too_many(prod(x.shape[:2]) * prod(whole))
        wide = np.full((*x.shape[:2], *whole), fill, x.dtype)
        inside = (slice(begin, begin + length) for begin, length in zip(self.before, self.size, strict=True))
        wide[(slice(None), slice(None), *inside)] = x
        return wide

    def _reach(self) -> list[int]:
        """Return the length of each padded axis up to the end of its last window."""
        axes = range(len(self.size))
        return [(self.out[i] - 1) * self.strides[i] + (self.kernel[i] - 1) * self.dilations[i] + 1 for i in axes]

    def tap(self, axis: int, position: int) -> slice:
        """Return which elements of the padded `axis` lie under a position of the kernel, one per window."""
        begin = position * self.dilations[axis]
        return slice(begin, begin + (self.out[axis] - 1) * self.strides[axis] + 1, self.strides[axis])

    def taps(self) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
        """Yield each position of the kernel with the elements (of the padded spatial axes) under it."""
        for position in product(*map(range, self.kernel)):
            yield position, tuple(self.tap(axis, each) for axis, each in enumerate(position))

    def view(self, x: NDArray[Any]) -> NDArray[Any]:
        """Return a padded array (C *spatial) as C *kernel *out, without copying."""
        steps = x.strides[1:]
        by_kernel = (step * dilation for step, dilation in zip(steps, self.dilations, strict=True))
        by_window = (step * stride for step, stride in zip(steps, self.strides, strict=True))
        shape = (len(x), *self.kernel, *self.out)
        return np.lib.stride_tricks.as_strided(x, shape, (x.strides[0], *by_kernel, *by_window), writeable=False)
