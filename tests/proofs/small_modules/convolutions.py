"""Convolutions of all kinds, and what is done to their weights."""

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.ops import DeformConv2d

from .collection import noise, small


@small(noise(1, 3, 16, 16))
def plain():
    """Two convolutions with batch norms and in-place ReLUs."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.Conv2d(8, 4, 3, stride=2),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
    )


@small(noise(1, 3, 16, 16))
def depthwise_separable():
    """A depthwise and a pointwise convolution."""
    return nn.Sequential(nn.Conv2d(3, 6, 3, padding=1, groups=3), nn.Conv2d(6, 8, 1), nn.ReLU6(inplace=True))


@small(noise(2, 8, 10, 10))
def grouped():
    """A convolution in four groups, dilated."""
    return nn.Conv2d(8, 12, 3, groups=4, dilation=2)


@small(noise(1, 3, 15, 17))
def same_padding():
    """padding="same" with an even kernel: one side is padded more."""
    return nn.Sequential(nn.Conv2d(3, 4, 4, padding="same"), nn.Conv2d(4, 4, 3, padding="valid"))


@small(noise(1, 3, 12, 12))
def circular_padding():
    """padding_mode="circular"."""
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"), nn.ReLU())


@small(noise(1, 3, 12, 12))
def reflect_padding():
    """padding_mode="reflect"."""
    return nn.Conv2d(3, 4, 5, padding=2, padding_mode="reflect")


@small(noise(1, 3, 12, 12))
def replicate_padding():
    """padding_mode="replicate", with other sizes for height and width."""
    return nn.Conv2d(3, 4, (3, 5), padding=(1, 2), padding_mode="replicate")


@small(noise(2, 4, 20))
def conv1d():
    """Sound: two 1-d convolutions, strided and dilated."""
    return nn.Sequential(nn.Conv1d(4, 8, 5, stride=2), nn.ReLU(), nn.Conv1d(8, 8, 3, dilation=2))


@small(noise(1, 2, 6, 8, 8))
def conv3d():
    """Video: 3-d convolutions, with and without a bias."""
    return nn.Sequential(nn.Conv3d(2, 4, 3, padding=1, bias=False), nn.BatchNorm3d(4), nn.ReLU(), nn.Conv3d(4, 2, 1))


@small(noise(1, 4, 8, 8))
def transposed():
    """A transposed convolution with output_padding."""
    return nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1, output_padding=1)


@small(noise(2, 4, 8, 8))
def transposed_grouped():
    """A transposed convolution in groups, dilated."""
    return nn.ConvTranspose2d(4, 6, 3, groups=2, dilation=2)


@small(noise(2, 4, 9))
def transposed_1d():
    """A transposed convolution of sound."""
    return nn.Sequential(nn.ConvTranspose1d(4, 3, 4, stride=2, padding=1), nn.Tanh())


@small(noise(1, 2, 4, 4, 4))
def transposed_3d():
    """A transposed convolution of volumes."""
    return nn.ConvTranspose3d(2, 3, 2, stride=2)


@small(noise(1, 4, 7, 7))
class TransposedToSize(nn.Module):
    """A transposed convolution that is told its output_size."""

    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(4, 8, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(8, 4, 3, stride=2, padding=1)

    def forward(self, x):
        return self.up(self.down(x), output_size=x.shape[-2:])


@small(noise(1, 3, 8, 8))
def weight_norm_old():
    """The old weight_norm, a hook."""
    return nn.Sequential(nn.utils.weight_norm(nn.Conv2d(3, 4, 3)), nn.LeakyReLU(0.2, inplace=True))


@small(noise(1, 3, 8, 8))
def weight_norm_parametrized():
    """weight_norm as a parametrization."""
    return nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3)), nn.LeakyReLU(0.2))


@small(noise(1, 3, 8, 8))
def spectral_norm_old():
    """The old spectral_norm, a hook with buffers."""
    return nn.Sequential(nn.utils.spectral_norm(nn.Conv2d(3, 4, 3)), nn.ReLU())


@small(noise(1, 3, 8, 8))
def spectral_norm_parametrized():
    """spectral_norm as a parametrization."""
    return nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 4, 3))


@small(noise(1, 8))
def orthogonal():
    """An orthogonal parametrization of a linear layer."""
    return nn.utils.parametrizations.orthogonal(nn.Linear(8, 8))


@small(noise(1, 3, 8, 8))
class WeightStandardized(nn.Conv2d):
    """A subclass of Conv2d that standardizes its weight in forward."""

    def __init__(self):
        super().__init__(3, 6, 3)

    def forward(self, x):
        w = self.weight
        w = (w - w.mean((1, 2, 3), keepdim=True)) / (w.std((1, 2, 3), keepdim=True) + 1e-5)
        return F.conv2d(x, w, self.bias, self.stride, self.padding)


@small(noise(1, 3, 8, 8))
class FixedKernel(nn.Module):
    """F.conv2d with a Sobel kernel made in forward."""

    def forward(self, x):
        kernel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
        return F.conv2d(x, kernel.expand(3, 1, 3, 3), padding=1, groups=3)


@small(noise(1, 3, 9, 9))
class Blur(nn.Module):
    """A blur whose kernel is a buffer, expanded to the channels in forward."""

    def __init__(self):
        super().__init__()
        line = torch.tensor([1.0, 2.0, 1.0])
        self.register_buffer("kernel", line[:, None] * line / 16)

    def forward(self, x):
        c = x.shape[1]
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), self.kernel.expand(c, 1, 3, 3), stride=2, groups=c)


@small(noise(2, 4, 8, 8))
class DynamicKernel(nn.Module):
    """Attention over four kernels, mixed once for the whole batch."""

    def __init__(self):
        super().__init__()
        self.kernels = nn.Parameter(torch.randn(4, 6, 4, 3, 3) * 0.1)
        self.score = nn.Linear(4, 4)

    def forward(self, x):
        share = self.score(x.mean((0, 2, 3))).softmax(-1)
        return F.conv2d(x, torch.einsum("k,koihw->oihw", share, self.kernels), padding=1)


@small(noise(1, 3, 8, 8))
class Deformable(nn.Module):
    """A deformable convolution with learnt offsets and a mask."""

    def __init__(self):
        super().__init__()
        self.offset = nn.Conv2d(3, 18, 3, padding=1)
        self.mask = nn.Conv2d(3, 9, 3, padding=1)
        self.conv = DeformConv2d(3, 4, 3, padding=1)

    def forward(self, x):
        return self.conv(x, self.offset(x), self.mask(x).sigmoid())


@small(noise(2, 3, 8, 8))
class ConvAsUnfold(nn.Module):
    """A convolution written as unfold, matmul and view."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 27))

    def forward(self, x):
        columns = F.unfold(x, 3, padding=1)
        return (self.weight @ columns).view(x.size(0), 4, 8, 8)


@small(noise(3, 8, 8))
def unbatched():
    """A convolution of an image without a batch axis."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())


@small(noise(1, 3, 8, 8).to(memory_format=torch.channels_last))
def channels_last():
    """A model in channels_last, with an input in channels_last."""
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()).to(memory_format=torch.channels_last)


@small(noise(1, 3, 9, 9))
class TiedTransposed(nn.Module):
    """An autoencoder whose decoder uses the encoder's weights."""

    def __init__(self):
        super().__init__()
        self.encode = nn.Conv2d(3, 8, 3)

    def forward(self, x):
        return F.conv_transpose2d(F.relu(self.encode(x)), self.encode.weight)


@small(noise(1, 1, 12, 12))
class Cropped(nn.Module):
    """U-Net's copy and crop with negative padding."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3)

    def forward(self, x):
        a = self.a(x)
        b = self.b(a)
        return torch.cat([F.pad(a, (-1, -1, -1, -1)), b], dim=1)
