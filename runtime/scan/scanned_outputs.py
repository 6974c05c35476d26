"""Which outputs of an artifact a scan reduces, how each becomes N C K, and where its channels are among all."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import UsageError
from ..artifact.manifest import Manifest, Output, fixed_batch
from ..runs.tensor_recording import rows_per_image

__all__ = ["ScannedOutput", "scanned_outputs"]

_KINDS = ("float", "int", "uint", "bool")


@dataclass(frozen=True)
class ScannedOutput:
    """One output, and the place of its channels among those of all."""

    output: Output
    axis: int | None
    """Of the channels; None for a tensor that counts as one channel."""
    channels: int
    begin: int
    """The number of its first channel, counted over all outputs."""

    @property
    def end(self) -> int:
        """One more than the number of its last channel."""
        return self.begin + self.channels

    def by_channel(self, array: NDArray[Any], images: int) -> NDArray[Any]:
        """Return the tensor of a batch as N C K, contiguous."""
        rows = array.reshape(images, -1, *array.shape[1:]) if array.ndim else array.reshape(1, 1)
        if self.axis is None or array.ndim != len(self.output.layout):
            return np.ascontiguousarray(rows.reshape(images, 1, -1))
        return np.ascontiguousarray(np.moveaxis(rows, self.axis + 1, 1)).reshape(images, self.channels, -1)


def scanned_outputs(manifest: Manifest, chosen: Sequence[Output]) -> tuple[list[ScannedOutput], dict[str, str]]:
    """Return the outputs to scan, and those that can't be, by name, each with the reason.

    Raises:
        UsageError: the model takes only a batch of several, or none of the outputs can be scanned.
    """
    fixed = fixed_batch(manifest.inputs)
    if fixed is not None and fixed > 1:
        raise UsageError(
            f"{manifest.model} takes only a batch of {fixed}, so its images can't be told apart.\n"
            "Export it with one image, or an open batch."
        )
    left_out = {each.name: why for each in chosen if (why := _why_not(each, fixed))}
    kept = [each for each in chosen if each.name not in left_out]
    if not kept:
        name, why = next(iter(left_out.items()))
        raise UsageError(f"No output can be scanned: {name}, since {why}.\nChoose others with --outputs.")
    axes = [_channel_axis(each, fixed) for each in kept]
    counts = [1 if axis is None else int(each.shape[axis]) for each, axis in zip(kept, axes, strict=True)]
    begins = accumulate(counts, initial=0)
    return [ScannedOutput(*facts) for facts in zip(kept, axes, counts, begins, strict=False)], left_out


def _why_not(output: Output, fixed: int | None) -> str | None:
    if not output.dtype.startswith(_KINDS):
        return f"it is {output.dtype}"
    rows = 1 if fixed else rows_per_image(output.shape)
    return {0: "it is the same for every image", None: "it does not hold one image after another"}.get(rows)


def _channel_axis(output: Output, fixed: int | None) -> int | None:
    axis = output.layout.find("C")
    if axis < (0 if fixed else 1) or len(output.layout) != len(output.shape) or not isinstance(output.shape[axis], int):
        return None
    # With one image only, an axis 0 of channels would be taken apart with the batch.
    return axis if axis else None
