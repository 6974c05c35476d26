"""Pooling and reductions."""

import torch
import torch.nn.functional as F
from torch import nn

from .collection import noise, small

IMAGE = noise(1, 3, 12, 12)


@small(IMAGE)
def max_pool():
    """Max pooling with padding and stride."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(3, 2, 1), nn.Conv2d(4, 4, 3))


@small(noise(1, 3, 11, 11))
def max_pool_ceil():
    """Max pooling with ceil_mode, at an odd size."""
    return nn.Sequential(nn.MaxPool2d(2, 2, ceil_mode=True), nn.Conv2d(3, 4, 3))


@small(noise(1, 3, 11, 11))
def avg_pool_ceil():
    """Average pooling with ceil_mode, which counts no padding."""
    return nn.AvgPool2d(3, 2, padding=1, ceil_mode=True, count_include_pad=False)


@small(IMAGE)
def avg_pool():
    """Average pooling with padding that counts."""
    return nn.Sequential(nn.AvgPool2d(3, 2, 1), nn.Conv2d(3, 4, 1))


@small(noise(2, 3, 14))
def pool_1d():
    """Pooling of sound."""
    return nn.Sequential(nn.MaxPool1d(2), nn.AvgPool1d(3, 2), nn.AdaptiveAvgPool1d(1))


@small(noise(1, 2, 6, 6, 6))
def pool_3d():
    """Pooling of volumes."""
    return nn.Sequential(nn.MaxPool3d(2), nn.AvgPool3d(3), nn.AdaptiveAvgPool3d(1))


@small(IMAGE)
def adaptive():
    """Adaptive pooling to sizes that divide, and to one."""
    return nn.Sequential(nn.AdaptiveAvgPool2d((6, 4)), nn.AdaptiveMaxPool2d((3, 2)), nn.AdaptiveAvgPool2d(1))


@small(IMAGE)
def adaptive_uneven():
    """Adaptive pooling to a size that doesn't divide."""
    return nn.AdaptiveAvgPool2d((5, 7))


@small(IMAGE)
def adaptive_max_uneven():
    """Adaptive max pooling to a size that doesn't divide."""
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveMaxPool2d(5))


@small(IMAGE)
def lp_pool():
    """Power-average pooling."""
    return nn.Sequential(nn.ReLU(), nn.LPPool2d(2, 2))


@small(IMAGE)
class Indices(nn.Module):
    """SegNet: max pooling with indices, and unpooling."""

    def __init__(self):
        super().__init__()
        self.pool, self.unpool = nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2)

    def forward(self, x):
        y, indices = self.pool(x)
        return self.unpool(y * 2, indices)


@small(IMAGE)
class IndicesReturned(nn.Module):
    """Max pooling that returns its indices."""

    def forward(self, x):
        return F.max_pool2d(x, 2, return_indices=True)


@small(noise(2, 4, 6, 6))
class GeM(nn.Module):
    """Generalized mean pooling with a learnt power."""

    def __init__(self):
        super().__init__()
        self.p = nn.Parameter(torch.ones(1) * 3)

    def forward(self, x):
        return F.avg_pool2d(x.clamp(min=1e-6).pow(self.p), (x.size(-2), x.size(-1))).pow(1.0 / self.p)


@small(noise(2, 4, 6, 6))
class SpatialPyramid(nn.Module):
    """SPP: poolings of three sizes, flattened and concatenated."""

    def forward(self, x):
        return torch.cat([F.adaptive_max_pool2d(x, n).flatten(1) for n in (1, 2, 3)], dim=1)


@small(noise(1, 4, 8, 8))
class SPPF(nn.Module):
    """YOLO's SPPF: the same pooling three times in a row."""

    def __init__(self):
        super().__init__()
        self.cv1, self.cv2, self.m = nn.Conv2d(4, 2, 1), nn.Conv2d(8, 4, 1), nn.MaxPool2d(5, 1, 2)

    def forward(self, x):
        y = [self.cv1(x)]
        y.extend(self.m(y[-1]) for _ in range(3))
        return self.cv2(torch.cat(y, 1))


@small(noise(2, 4, 6, 6))
class GlobalStatistics(nn.Module):
    """mean, amax, amin, std, logsumexp, prod over positions."""

    def forward(self, x):
        flat = x.flatten(2)
        return torch.stack(
            [flat.mean(-1), flat.amax(-1), flat.amin(-1), flat.std(-1), flat.logsumexp(-1), (flat * 0.5).prod(-1)]
        )


@small(noise(2, 3, 5))
class MaxWithIndices(nn.Module):
    """max and min over an axis, values and indices."""

    def forward(self, x):
        values, indices = x.max(dim=1)
        return values, indices, x.min(1).values, x.argmin(-1)


@small(noise(2, 7))
class TopK(nn.Module):
    """The three largest, and their indices."""

    def forward(self, x):
        values, indices = torch.topk(x, 3, dim=1)
        return values, indices


@small(noise(2, 7))
class Sorted(nn.Module):
    """sort, descending, and argsort."""

    def forward(self, x):
        return torch.sort(x, dim=-1, descending=True)[0], x.argsort(-1)


@small(noise(2, 7))
class Median(nn.Module):
    """The median over an axis."""

    def forward(self, x):
        return x.median(dim=1).values


@small(noise(2, 7))
class CumulativeSum(nn.Module):
    """cumsum and cumprod."""

    def forward(self, x):
        return x.cumsum(1), (x * 0.5).cumprod(1)


@small(noise(2, 7))
class CumulativeMax(nn.Module):
    """cummax."""

    def forward(self, x):
        return torch.cummax(x, dim=1).values


@small(noise(2, 3, 6))
class Counted(nn.Module):
    """all, any and sums of booleans."""

    def forward(self, x):
        return (x > 0).sum(-1), (x > -1).all(-1), (x > 2).any(1), (x > 0).float().mean()


@small(noise(2, 8), noise(2, 8))
class Distances(nn.Module):
    """cosine similarity, pairwise distance, cdist, mse."""

    def forward(self, x, y):
        return F.cosine_similarity(x, y), F.pairwise_distance(x, y), torch.cdist(x, y), F.mse_loss(x, y)


@small(noise(4, 5), torch.tensor([1, 0, 3, 2]))
class CrossEntropy(nn.Module):
    """A model that returns its loss."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(5, 5)

    def forward(self, x, target):
        logits = self.linear(x)
        return F.cross_entropy(logits, target), logits


@small(noise(2, 4, 6, 6))
class Norms(nn.Module):
    """Vector norms of order 1, 2 and infinity."""

    def forward(self, x):
        return x.norm(dim=1), torch.linalg.vector_norm(x, 1, dim=(2, 3)), x.norm(p=float("inf"), dim=1)
