"""Activations, as modules and as functions."""

import torch
import torch.nn.functional as F
from torch import nn

from .collection import noise, small


@small(noise(2, 6))
def relu_family():
    """The ReLU family, out of place."""
    return nn.Sequential(
        nn.Linear(6, 6), nn.ReLU6(), nn.LeakyReLU(0.1), nn.PReLU(), nn.ELU(), nn.CELU(0.5), nn.SELU(), nn.RReLU()
    )


@small(noise(2, 6))
def in_place_family():
    """In-place activations one after the other."""
    return nn.Sequential(
        nn.Linear(6, 6), nn.ELU(inplace=True), nn.LeakyReLU(0.1, inplace=True), nn.Hardswish(inplace=True),
        nn.SiLU(inplace=True), nn.Mish(inplace=True), nn.Hardtanh(-0.5, 0.5, inplace=True),
    )  # fmt: skip


@small(noise(2, 6))
def smooth_family():
    """GELU, SiLU, Mish, Softplus, Softsign, Tanh, Sigmoid, LogSigmoid."""
    return nn.Sequential(
        nn.GELU(), nn.SiLU(), nn.Mish(), nn.Softplus(beta=2, threshold=1), nn.Softsign(), nn.Tanh(), nn.Sigmoid(),
        nn.LogSigmoid(),
    )  # fmt: skip


@small(noise(2, 6) * 4)
def hard_family():
    """Hardswish, Hardsigmoid, Hardtanh, ReLU6."""
    return nn.Sequential(nn.Hardswish(), nn.Hardtanh(-2, 3), nn.Hardsigmoid())


@small(noise(2, 16) * 2)
def shrink_family():
    """Softshrink, Hardshrink, Tanhshrink, Threshold."""
    return nn.Sequential(nn.Softshrink(0.3), nn.Hardshrink(0.2), nn.Tanhshrink(), nn.Threshold(0.01, -1.0))


@small(noise(2, 6))
def gelu_tanh():
    """GELU's tanh approximation."""
    return nn.Sequential(nn.Linear(6, 6), nn.GELU(approximate="tanh"))


@small(noise(2, 8, 4, 4))
def gated():
    """A gated linear unit over channels."""
    return nn.Sequential(nn.Conv2d(8, 8, 1), nn.GLU(dim=1))


@small(noise(2, 4, 5, 5))
def prelu_per_channel():
    """A PReLU with a slope per channel."""
    return nn.Sequential(nn.Conv2d(4, 4, 1), nn.PReLU(4))


@small(noise(2, 4, 3, 3))
def softmaxes():
    """Softmax2d, LogSoftmax, Softmin."""
    return nn.Sequential(nn.Softmax2d(), nn.LogSoftmax(dim=1), nn.Softmin(dim=1))


@small(noise(2, 6))
class Functional(nn.Module):
    """Functions in place of modules: relu_, hardtanh, gelu."""

    def forward(self, x):
        y = F.relu_(x + 1)
        y = F.hardtanh(y, 0, 1.5)
        y = F.gelu(y)
        return F.leaky_relu(y - 0.5, 0.3)


@small(noise(2, 4, 5, 5))
class Swish(nn.Module):
    """x * sigmoid(x), in place."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)

    def forward(self, x):
        x = self.conv(x)
        return x.mul_(x.sigmoid())


class _SwishFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(x)
        return grad * (s * (1 + x * (1 - s)))


@small(noise(2, 4, 5, 5))
class MemoryEfficientSwish(nn.Module):
    """EfficientNet's custom autograd function."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)

    def forward(self, x):
        return _SwishFunction.apply(self.conv(x))


class _Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return torch.round(x)

    @staticmethod
    def backward(ctx, grad):
        return grad


@small(noise(2, 6) * 3)
class StraightThrough(nn.Module):
    """A straight-through rounding, as in quantization-aware training."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 6)

    def forward(self, x):
        return self.linear(_Round.apply(x * 4 + 0.25) / 4)


@small(noise(2, 4, 5, 5))
class LearntThreshold(nn.Module):
    """FReLU: the maximum of x and a depthwise convolution of x."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.BatchNorm2d(4)

    def forward(self, x):
        return torch.max(x, self.norm(self.conv(x)))


@small(noise(2, 8))
class Maxout(nn.Module):
    """Maxout over pieces of a linear layer."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 12)

    def forward(self, x):
        return self.linear(x).view(-1, 4, 3).max(dim=2)[0]


@small(noise(2, 8))
class Snake(nn.Module):
    """x + sin²(ax)/a with a learnt a."""

    def __init__(self):
        super().__init__()
        self.a = nn.Parameter(torch.rand(8) + 0.5)

    def forward(self, x):
        return x + torch.sin(self.a * x) ** 2 / self.a


@small(noise(2, 8))
class StableSoftplus(nn.Module):
    """log1p, exp, abs and clamp by hand."""

    def forward(self, x):
        return torch.log1p(torch.exp(-x.abs())) + x.clamp(min=0)


@small(noise(2, 8))
class ManyUnary(nn.Module):
    """sin, cos, tan, atan, erf, expm1, reciprocal, rsqrt, ceil, floor, sign."""

    def forward(self, x):
        p = x.abs() + 0.5
        smooth = x.sin() + x.cos() + torch.atan(x) + torch.erf(x) + torch.expm1(-p) + p.reciprocal() + p.rsqrt()
        return smooth + torch.ceil(x + 0.3) + torch.floor(x * 2 + 0.3) + torch.sign(x) + torch.log2(p) + torch.asinh(x)


@small(noise(2, 8), noise(2, 8) + 3)
class ManyBinary(nn.Module):
    """atan2, hypot, fmod, remainder, pow, maximum, floor_divide, copysign."""

    def forward(self, x, y):
        a = torch.atan2(x, y) + torch.hypot(x, y) + y.abs().pow(0.5)
        b = torch.fmod(x, 0.7) + torch.remainder(x, 0.7) + torch.minimum(x, y) + torch.maximum(-x, y)
        return a, b, torch.lerp(x, y, 0.3), torch.addcmul(x, x, y, value=0.5)


@small(noise(2, 8))
class ChosenByName(nn.Module):
    """A hard-coded dictionary of activations, chosen by name."""

    def __init__(self, act="silu"):
        super().__init__()
        self.linear, self.act = nn.Linear(8, 8), {"relu": F.relu, "silu": F.silu, "gelu": F.gelu}[act]

    def forward(self, x):
        return self.act(self.linear(x))
