"""Score-CAM: a channel weighs what the class's probability is where the photo is seen through that channel alone.

Wang et al., *Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural Networks*, 2020. The weight is the
probability after the softmax, as in section 3 of the paper and in its authors' program.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..artifact.manifest import Output
from .class_run import ClassRun, Weights

__all__ = ["masked_image_weights"]


def masked_image_weights(run: ClassRun, layer: Output, classes: Sequence[int], channels: Sequence[int]) -> Weights:
    """Return the weight of each channel for each class, 0 for those that are not tried and for flat ones, which mask
    nothing.

    Args:
        run: of the photo.
        layer: whose channels are weighed.
        classes: whose probabilities count.
        channels: those that are tried.

    Raises:
        LayerprobeError: the runner failed.
    """
    tensor = run.channels(layer)
    weights = np.zeros((len(classes), len(tensor)))
    name, runner = run.result.name, run.runner([run.result.name])
    tried = [channel for channel in channels if np.ptp(tensor[channel]) > 0]
    run.on_phase(f"showing {len(tried)} masked photos to {runner.name}")
    step = run.batch(run.result)
    for start in range(0, len(tried), step):
        part = tried[start : start + step]
        masked = np.concatenate([_masked(run, _mask(run, tensor[channel])) for channel in part])
        scores = runner.run({run.input_name: masked})[name]
        weights[:, part] = run.probabilities_of(scores)[:, classes].T
    return weights


def _masked(run: ClassRun, mask: NDArray[np.float32]) -> NDArray[Any]:
    """Return the image where the mask is 1, and the mean image where it is 0; pixels as whole numbers."""
    if run.image.dtype.kind == "f":
        return np.asarray(run.image * mask)
    steps = run.manifest.preprocessing
    # The model that normalises by itself takes N H W C.
    mean = 255 * np.asarray(steps.in_model.mean, np.float32) if steps and steps.in_model else np.float32(0)
    return np.rint(mean + (run.image - mean) * mask).astype(run.image.dtype)


def _mask(run: ClassRun, channel: NDArray[Any]) -> NDArray[np.float32]:
    """Return a channel, H W, from 0 to 1 in the size of the image, with its other axes of length 1."""
    shape = [size if axis in run.spatial_axes else 1 for axis, size in enumerate(run.image.shape)]
    height, width = (run.image.shape[axis] for axis in run.spatial_axes)
    # Pillow's bilinear is that of torch.nn.functional.interpolate, wherever it enlarges.
    values = Image.fromarray(channel.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    mask = np.asarray(values)
    return np.asarray((mask - mask.min()) / (np.ptp(mask) or 1)).reshape(shape)
