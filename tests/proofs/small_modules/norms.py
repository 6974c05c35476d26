"""Normalisations."""

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from .collection import noise, small


@small(noise(2, 3, 8, 8))
def batch_norm_without_statistics():
    """A batch norm without running statistics: the batch's own are used in eval mode as well."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False), nn.ReLU())


@small(noise(2, 3, 8, 8))
def batch_norm_without_affine():
    """A batch norm without weights."""
    return nn.Sequential(nn.BatchNorm2d(3, affine=False), nn.Conv2d(3, 4, 1))


@small(noise(4, 6))
def batch_norm_1d():
    """A batch norm of features, behind a linear layer."""
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(inplace=True), nn.Linear(8, 2))


@small(noise(2, 6, 11))
def batch_norm_of_sequences():
    """A BatchNorm1d of N C L."""
    return nn.Sequential(nn.BatchNorm1d(6), nn.Conv1d(6, 4, 3))


@small(noise(1, 3, 8, 8))
def frozen_batch_norm():
    """torchvision's FrozenBatchNorm2d."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), FrozenBatchNorm2d(4), nn.ReLU(inplace=True))


@small(noise(1, 8, 6, 6))
def group_norm():
    """Group norms: of two groups, of one, of as many as channels."""
    return nn.Sequential(nn.GroupNorm(2, 8), nn.SiLU(), nn.GroupNorm(1, 8), nn.GroupNorm(8, 8, affine=False))


@small(noise(2, 4, 6, 6))
def instance_norm():
    """Instance norms, with and without weights."""
    return nn.Sequential(nn.InstanceNorm2d(4), nn.Conv2d(4, 4, 3), nn.InstanceNorm2d(4, affine=True))


@small(noise(2, 4, 6, 6))
def instance_norm_tracked():
    """An instance norm with running statistics."""
    return nn.InstanceNorm2d(4, affine=True, track_running_stats=True)


@small(noise(2, 4, 12))
def instance_norm_1d():
    """An instance norm of sound."""
    return nn.Sequential(nn.Conv1d(4, 4, 3), nn.InstanceNorm1d(4, affine=True))


@small(noise(1, 6, 5, 5))
def local_response_norm():
    """AlexNet's local response norm."""
    return nn.Sequential(nn.Conv2d(6, 8, 3), nn.ReLU(), nn.LocalResponseNorm(5, alpha=1e-3, k=2.0))


@small(noise(2, 5, 8))
def layer_norm():
    """A layer norm of tokens, and one without weights."""
    return nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 8), nn.LayerNorm(8, elementwise_affine=False))


@small(noise(2, 3, 4, 4))
def layer_norm_of_images():
    """A layer norm over channels, height and width."""
    return nn.LayerNorm([3, 4, 4])


@small(noise(2, 5, 8))
def rms_norm():
    """nn.RMSNorm."""
    return nn.Sequential(nn.RMSNorm(8), nn.Linear(8, 4))


@small(noise(2, 5, 8))
class RMSNormByHand(nn.Module):
    """LLaMA's RMSNorm, which computes in float32."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(8))

    def forward(self, x):
        y = x.float()
        y = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + 1e-6)
        return y.type_as(x) * self.weight


@small(noise(1, 6, 5, 5))
class LayerNorm2d(nn.Module):
    """ConvNeXt's layer norm in N C H W: permute, layer_norm, permute."""

    def __init__(self):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.rand(6)), nn.Parameter(torch.rand(6))

    def forward(self, x):
        x = x.permute(0, 2, 3, 1)
        x = F.layer_norm(x, (6,), self.weight, self.bias, 1e-6)
        return x.permute(0, 3, 1, 2)


@small(noise(1, 6, 5, 5))
class LayerNormByHand(nn.Module):
    """A layer norm over channels by mean and var."""

    def forward(self, x):
        u = x.mean(1, keepdim=True)
        s = (x - u).pow(2).mean(1, keepdim=True)
        return (x - u) / torch.sqrt(s + 1e-6)


@small(noise(1, 6, 5, 5))
class GlobalResponseNorm(nn.Module):
    """ConvNeXt V2's GRN: a norm over height and width, divided by its mean."""

    def __init__(self):
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.rand(1, 6, 1, 1)), nn.Parameter(torch.zeros(1, 6, 1, 1))

    def forward(self, x):
        g = torch.norm(x, p=2, dim=(2, 3), keepdim=True)
        return self.gamma * (x * (g / (g.mean(1, keepdim=True) + 1e-6))) + self.beta + x


@small(noise(2, 4, 6, 6))
class VarMean(nn.Module):
    """torch.var_mean with correction 0."""

    def forward(self, x):
        var, mean = torch.var_mean(x, dim=(2, 3), correction=0, keepdim=True)
        return (x - mean) / (var + 1e-5).sqrt()


@small(noise(2, 4, 6, 6))
class StdMean(nn.Module):
    """AdaIN: std and mean of two feature maps' positions."""

    def forward(self, x):
        flat = x.flatten(2)
        std, mean = flat.std(-1), flat.mean(-1)
        return (flat - mean[..., None]) / (std[..., None] + 1e-5), std


@small(noise(2, 8, 4, 4), noise(2, 8, 4, 4))
class AdaptiveInstanceNorm(nn.Module):
    """Style transfer: content normalised to a style's statistics."""

    def forward(self, content, style):
        mean, std = style.mean((2, 3), keepdim=True), style.std((2, 3), keepdim=True)
        return F.instance_norm(content) * std + mean


@small(noise(2, 8))
class Normalized(nn.Module):
    """A cosine classifier: features and weights normalised."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(5, 8))

    def forward(self, x):
        return 16 * F.linear(F.normalize(x, dim=-1), F.normalize(self.weight, dim=-1))


@small(noise(1, 4, 6, 6))
class FunctionalBatchNorm(nn.Module):
    """F.batch_norm with buffers of one's own."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.rand(4))
        self.register_buffer("var", torch.rand(4) + 0.5)

    def forward(self, x):
        return F.batch_norm(x, self.mean, self.var, None, None, self.training, 0.1, 1e-3)


@small(noise(2, 4, 6, 6), noise(2, 5))
class ConditionalNorm(nn.Module):
    """FiLM: scale and shift from a second input, by chunk."""

    def __init__(self):
        super().__init__()
        self.norm, self.embed = nn.BatchNorm2d(4, affine=False), nn.Linear(5, 8)

    def forward(self, x, condition):
        gamma, beta = self.embed(condition)[:, :, None, None].chunk(2, dim=1)
        return self.norm(x) * (1 + gamma) + beta


@small(noise(1, 3, 6, 6))
def sync_batch_norm():
    """A model converted to SyncBatchNorm, as after distributed training."""
    return nn.SyncBatchNorm.convert_sync_batchnorm(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()))
