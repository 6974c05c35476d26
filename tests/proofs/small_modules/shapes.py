"""Views and computed shapes, channel shuffles, complex numbers, FFT, linear algebra, dtypes."""

import torch
import torch.nn.functional as F
from torch import nn

from .collection import noise, small, whole


@small(noise(2, 4, 6, 6))
class Flattened(nn.Module):
    """x.view(x.size(0), -1) and a linear layer."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(144, 3)

    def forward(self, x):
        return self.fc(x.view(x.size(0), -1))


@small(noise(2, 4, 6, 6))
class FlattenedByStar(nn.Module):
    """x.reshape(-1, 144), as in the first tutorials."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4 * 6 * 6, 3)

    def forward(self, x):
        x = F.max_pool2d(F.relu(x), 1)
        return self.fc(x.reshape(-1, self.num_flat_features(x)))

    def num_flat_features(self, x):
        features = 1
        for size in x.size()[1:]:
            features *= size
        return features


@small(noise(2, 4, 6, 6))
class ChannelShuffle(nn.Module):
    """ShuffleNet's channel shuffle by view, transpose, contiguous."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1, groups=2)

    def forward(self, x):
        x = self.conv(x)
        n, c, h, w = x.size()
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)


@small(noise(2, 4, 6, 6))
def channel_shuffle_module():
    """nn.ChannelShuffle, nn.Unflatten, nn.Flatten."""
    return nn.Sequential(nn.ChannelShuffle(2), nn.Flatten(), nn.Unflatten(1, (4, 36)), nn.Flatten(1, -1))


@small(noise(2, 4, 6, 6))
class Squeezed(nn.Module):
    """squeeze without an axis, behind global pooling."""

    def forward(self, x):
        return F.adaptive_avg_pool2d(x, 1).squeeze()


@small(noise(1, 4, 6, 6))
class SqueezedByAxis(nn.Module):
    """squeeze and unsqueeze by axis, in place."""

    def forward(self, x):
        y = F.adaptive_avg_pool2d(x, 1).squeeze(-1).squeeze(-1)
        return y.unsqueeze_(1), y


@small(noise(2, 6, 4))
class Permuted(nn.Module):
    """permute, transpose, movedim, swapaxes, T and mT."""

    def forward(self, x):
        return x.permute(2, 0, 1), x.movedim(1, 2) + x.transpose(1, 2), x.mT, x[0].T


@small(noise(2, 6, 4))
class Rearranged(nn.Module):
    """unflatten, reshape with two unknown products, stack, cat of negative axes."""

    def forward(self, x):
        y = x.unflatten(1, (2, 3)).transpose(1, 2).reshape(x.shape[0], -1)
        return y, torch.stack([x, -x], dim=-1), torch.cat([x, x * 2], -2)


@small(noise(2, 3, 8, 8))
class ShapesFromNumel(nn.Module):
    """Arithmetic on sizes: numel, prod of shapes, integer division."""

    def forward(self, x):
        n = x.numel() // (x.shape[0] * x.shape[1])
        return x.reshape(x.shape[0], x.shape[1], n).softmax(-1) * n


@small(noise(2, 3, 8, 8))
class Spectrum(nn.Module):
    """rfft2, a learnt complex filter, irfft2: a Fourier layer."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 8, 5, 2))

    def forward(self, x):
        z = torch.fft.rfft2(x, norm="ortho")
        return torch.fft.irfft2(z * torch.view_as_complex(self.weight), s=x.shape[-2:], norm="ortho")


@small(noise(2, 16))
class Magnitude(nn.Module):
    """The magnitude of an FFT."""

    def forward(self, x):
        return torch.fft.rfft(x).abs()


@small(noise(2, 64))
class Spectrogram(nn.Module):
    """A spectrogram by torch.stft."""

    def __init__(self):
        super().__init__()
        self.register_buffer("window", torch.hann_window(16))

    def forward(self, x):
        z = torch.stft(x, 16, 8, window=self.window, return_complex=True)
        return torch.log1p(z.real**2 + z.imag**2)


@small(noise(2, 4, 4))
class FNet(nn.Module):
    """FNet: the real part of a two-dimensional FFT in place of attention."""

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(4)

    def forward(self, x):
        return self.norm(x + torch.fft.fft2(x, dim=(-2, -1)).real)


@small(noise(2, 3, 3))
class LinearAlgebra(nn.Module):
    """matmul, bmm, baddbmm, matrix power, trace."""

    def forward(self, x):
        y = torch.baddbmm(x, x, x.transpose(1, 2), alpha=0.5)
        return torch.bmm(y, x), x @ x @ x, torch.einsum("bii->b", x)


@small(noise(2, 3, 3))
class Determinant(nn.Module):
    """A determinant."""

    def forward(self, x):
        return torch.linalg.det(x + 3 * torch.eye(3))


@small(noise(2, 3, 3))
class Inverted(nn.Module):
    """An inverse matrix, which ONNX has no operator for."""

    def forward(self, x):
        return torch.linalg.inv(x + 3 * torch.eye(3))


@small(noise(2, 4, 3))
class CrossProduct(nn.Module):
    """torch.cross: normals from two vectors."""

    def forward(self, x):
        return F.normalize(torch.cross(x[:, 1:], x[:, :-1], dim=-1), dim=-1)


@small(noise(2, 3, 8, 8, dtype=torch.float16))
def half():
    """A model in half precision."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(True), nn.AdaptiveAvgPool2d(1)).half()


@small(noise(2, 6, dtype=torch.float64))
def double():
    """A model in double precision."""
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2)).double()


@small(noise(2, 3, 8, 8))
class HalfInside(nn.Module):
    """float32 in and out, half precision inside."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3).half()

    def forward(self, x):
        return self.conv(x.half()).float().relu()


@small(whole(256, 2, 8, 8, 3).to(torch.uint8))
class Bytes(nn.Module):
    """Bytes in N H W C: normalised inside the model."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        x = x.permute(0, 3, 1, 2).float() / 255
        return self.conv(x - self.mean)


@small(whole(9, 2, 6))
class Integers(nn.Module):
    """Integer arithmetic: //, %, shifts, and a cast."""

    def forward(self, x):
        return (x // 2 + x % 3) * 2, (x * 3).float() / 2, x.bitwise_and(1)


@small(whole(9, 2, 6))
class ShiftedIntegers(nn.Module):
    """Comparisons of integers, combined by &, | and ~."""

    def forward(self, x):
        mask = (x > 2) & ~(x == 5) | (x < 1)
        return mask, mask.float() * x


@small(noise(2, 6))
class Casts(nn.Module):
    """to, type_as, int, long, bool and back."""

    def forward(self, x):
        whole_part = (x * 3).int()
        return x.to(torch.float64).to(x.dtype) + whole_part.type_as(x) + x.bool() + x.long().to(torch.float32)


@small(noise(2, 6))
class Constants(nn.Module):
    """ones_like, full, arange, new_zeros, zeros of the batch."""

    def forward(self, x):
        b = x.shape[0]
        return x + torch.ones_like(x) + torch.full((b, 1), 0.5) + torch.arange(6) + x.new_zeros(b, 6)


@small(noise(2, 4, 6))
class PositionsByBatch(nn.Module):
    """torch.arange over the batch: an offset for each image."""

    def forward(self, x):
        offset = torch.arange(x.size(0)).view(-1, 1, 1)
        return x + offset


@small(noise(2, 2, 4, 4))
class ComplexLayer(nn.Module):
    """torch.complex, abs and angle."""

    def forward(self, x):
        z = torch.complex(x[:, 0], x[:, 1])
        return z.abs(), torch.view_as_real(z * z.conj())


@small(noise(2, 12))
class PolynomialFeatures(nn.Module):
    """Fourier features: powers of two, sin and cos."""

    def forward(self, x):
        angles = x[..., None] * 2.0 ** torch.arange(4)
        return torch.cat([angles.sin(), angles.cos()], -1).flatten(1)


@small(noise(2, 3, 8, 8))
class BatchFolded(nn.Module):
    """Patches folded into the batch and unfolded again."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        b, c, h, w = x.shape
        y = x.reshape(b, c, 2, h // 2, 2, w // 2).permute(0, 2, 4, 1, 3, 5).reshape(-1, c, h // 2, w // 2)
        y = self.conv(y).reshape(b, 2, 2, c, h // 2, w // 2).permute(0, 3, 1, 4, 2, 5)
        return y.reshape(b, c, h, w)


@small(noise(2, 8, 4))
class Strided(nn.Module):
    """as_strided: overlapping frames of a signal."""

    def forward(self, x):
        x = x.contiguous()
        return x.as_strided((x.shape[0], 3, 4, 4), (32, 8, 4, 1)).mean(2)
