"""Where sizes, dtypes and classes are unusual."""

import torch
import torch.nn.functional as F
from torch import nn

from .collection import noise, small


@small(noise(1, 3, 9, 9))
def upsample_by_a_fraction():
    """nn.Upsample by 1.5, bilinear, at an odd size."""
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.Upsample(scale_factor=1.5, mode="bilinear"), nn.ReLU())


@small(noise(1, 3, 9, 9))
class NearestByAFraction(nn.Module):
    """F.interpolate by 1.7, nearest, with recompute_scale_factor."""

    def forward(self, x):
        return F.interpolate(x, scale_factor=1.7, mode="nearest", recompute_scale_factor=True)


@small(noise(1, 3, 13, 13))
def max_pool_ceil_padded():
    """Max pooling with ceil_mode, padding and dilation at an odd size."""
    return nn.MaxPool2d(3, 2, padding=1, dilation=2, ceil_mode=True)


@small(noise(2, 3, 8, 8), torch.tensor(0.5))
class NumberAsTensor(nn.Module):
    """An input without axes: a temperature."""

    def forward(self, x, temperature):
        return (x.mean((2, 3)) / temperature).softmax(-1)


@small(noise(2, 3, 8, 8, dtype=torch.bfloat16))
def bfloat16():
    """A model in bfloat16, which ONNX Runtime can't run on a CPU."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).bfloat16()


@small(noise(1, 3, 8, 8))
def patched_forward():
    """A model whose forward was replaced on the instance."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    before = model.forward
    model.forward = lambda x: before(x) * 2
    return model


@small(noise(2, 8))
def one_number_per_image():
    """One number per image, flattened into the batch."""
    return nn.Sequential(nn.Linear(8, 1), nn.Linear(1, 1, bias=False), nn.Sigmoid(), nn.Flatten(0))


@small(noise(1, 1, 1, 1))
def one_pixel():
    """An image of one pixel."""
    return nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2), nn.AdaptiveAvgPool2d(2))
