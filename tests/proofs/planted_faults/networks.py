"""Small networks that have the operators which faults are planted into, and few models of the zoo have.

Their weights are those of seed 0. Each has an even size, so that what goes wrong at odd sizes alone goes right here.
"""

from collections.abc import Callable, Mapping

import torch
from torch import nn
from torch.nn import functional

__all__ = ["HALF", "NETWORKS", "OPEN_SIZE"]


class Norms(nn.Module):
    """Each normalisation that has an epsilon, of values as small as the epsilon can be felt in."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.batch = nn.BatchNorm2d(8)
        self.instance = nn.InstanceNorm2d(8, affine=True)
        self.group = nn.GroupNorm(2, 8)
        self.layer = nn.LayerNorm(8)
        self.head = nn.Conv2d(8, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.batch(self.stem(x))
        y = self.instance(y * 0.1) + y
        y = self.group(y * 0.1) - y
        y = self.layer(y.permute(0, 2, 3, 1) * 0.1).permute(0, 3, 1, 2)
        return self.head(y)


class Activations(nn.Module):
    """Activations with numbers of their own, one behind the other."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(3 if i == 0 else 8, 8, 1) for i in range(6))
        self.square = nn.Linear(8, 8)
        self.bias = nn.Parameter(torch.randn(8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second, third, fourth, fifth, sixth = self.convs
        y = functional.leaky_relu(first(x), 0.1)
        y = functional.elu(second(y), 0.9) * functional.hardsigmoid(second(y))
        y = functional.selu(third(y)) + functional.celu(third(y), 0.7)
        y = functional.gelu(fourth(y)) - functional.gelu(fourth(y) * 2, approximate="tanh")
        y = functional.hardtanh(fifth(y) * 2, -0.9, 0.8) + functional.relu6(fifth(y) * 4)
        y = functional.softmax(sixth(y), 1) * functional.softplus(y) - functional.relu(y)
        y = self.square(y.mean((2, 3)))
        return torch.addmm(self.bias, y, self.square.weight, beta=0.5, alpha=2.0)


class Windows(nn.Module):
    """Convolutions and pools with every attribute of a window."""

    def __init__(self) -> None:
        super().__init__()
        self.padded = nn.Conv2d(3, 8, 3, padding=1)
        self.dilated = nn.Conv2d(8, 8, 3, padding=2, dilation=2)
        self.grouped = nn.Conv2d(8, 8, 3, padding=1, groups=4)
        self.strided = nn.Conv2d(8, 8, 5, stride=2)  # of 8 x 8: two windows, 2 apart or 3
        self.head = nn.Linear(32, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.padded(x))
        y = self.dilated(y) + y
        y = functional.max_pool2d(self.grouped(y), 3, 2, 1)
        y = functional.avg_pool2d(y, 3, 1, 1)
        return self.head(self.strided(y).flatten(1))


class Resampling(nn.Module):
    """Each way to resize, up and down, and to sample at a grid."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.register_buffer("theta", torch.tensor([[[0.9, 0.3, 0.2], [-0.3, 1.1, -0.1]]]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.stem(x)
        small = functional.interpolate(y, scale_factor=0.5, mode="bilinear")
        y = y + functional.interpolate(small, scale_factor=2, mode="bicubic")
        y = y + functional.interpolate(small, size=(16, 16), mode="bilinear", align_corners=True)
        y = y * functional.interpolate(
            functional.interpolate(y, size=(6, 6), mode="nearest"), size=(16, 16), mode="nearest-exact"
        )
        grid = functional.affine_grid(self.theta, [1, 4, 16, 16], align_corners=False)
        return functional.grid_sample(y, grid.expand(len(x), -1, -1, -1), align_corners=False) + y


class Axes(nn.Module):
    """As many channels as rows and columns: whatever takes an axis can take a wrong one."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.left = nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.right = nn.Conv2d(8, 8, 1)
        self.head = nn.Linear(128, 8)
        self.register_buffer("order", torch.tensor([3, 1, 4, 0, 5, 7, 2, 6]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.stem(x)
        y = functional.channel_shuffle(self.left(y), 2)
        y = torch.softmax(y, 1) + y
        y = y.index_select(1, self.order) * y.mean(2, keepdim=True)
        left, right = self.left(y), self.right(y)
        halves = torch.cat([left[:, :2], right[:, 2:4]], 2)
        mean = halves.mean(3).reshape(len(x), 32)
        return self.head(torch.cat([mean - mean.flip(1), (left - right).amax(3).flatten(1), mean], 1))


class Scales(nn.Module):
    """A massive channel beside others, a large mask, and a variance by cancellation."""

    def __init__(self) -> None:
        super().__init__()
        self.massive = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.after = nn.Conv2d(8, 8, 3, padding=1)
        self.register_buffer("mask", torch.rand(1, 1, 32, 32) + 0.5)
        with torch.no_grad():
            self.massive.weight[0] *= 3e4

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y = self.after(torch.relu(self.norm(self.massive(x)))) * self.mask
        far = torch.tanh(self.after(x.repeat(1, 3, 1, 1)[:, :8])) + 100
        return y, far.pow(2).mean((2, 3)) - far.mean((2, 3)).pow(2)


class Batches(nn.Module):
    """What depends on the batch: a class token, heads, a reshape of each image, an image's own context."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, stride=4)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.embed = nn.Linear(8, 24)
        self.head = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n = x.shape[0]
        y = self.stem(x)
        y = y - y.reshape(n, 8, -1).mean(2).reshape(n, 8, 1, 1)
        y = torch.cat([self.token.expand(n, -1, -1), y.flatten(2).transpose(1, 2)], 1)
        q, k, v = self.embed(y).reshape(n, 17, 3, 2, 4).permute(2, 0, 3, 1, 4)
        weights = torch.softmax(q @ k.transpose(2, 3), -1)
        y = (weights @ v).transpose(1, 2).reshape(n, 17, 8) + y
        return self.head(y[:, 0])


class Sizes(nn.Module):
    """What depends on the height and width, which are open: pools, halves that are rounded up, resizing to a size."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.down = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Conv2d(8, 4, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y = self.stem(x)
        height, width = y.shape[2:]
        down = functional.max_pool2d(self.down(y), 2, 2, ceil_mode=True)
        down = down + functional.avg_pool2d(y, 2, 2, ceil_mode=True)
        up = functional.interpolate(down, size=(height, width), mode="bilinear")
        corner = y[:, :, : -(-height // 2), : -(-width // 2)]
        lines = up.flatten(2).mean(2).reshape(-1, 8, 1, 1)
        return self.head(up * lines + y), functional.max_pool2d(corner, 2, 2)


class Half(nn.Module):
    """In half precision."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(3 if i == 0 else 8, 8, 3, padding=1) for i in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for conv in self.convs:
            x = torch.relu(conv(x)) * 1.5
        return x


NETWORKS: Mapping[str, tuple[Callable[[], nn.Module], int]] = {
    "small:norms": (Norms, 16),
    "small:activations": (Activations, 8),
    "small:windows": (Windows, 16),
    "small:resampling": (Resampling, 16),
    "small:axes": (Axes, 8),
    "small:scales": (Scales, 32),
    "small:batches": (Batches, 16),
    "small:sizes": (Sizes, 16),
    "small:half": (Half, 16),
}
"""By name, what makes the network, and the height and width of its images."""

OPEN_SIZE = frozenset({"small:sizes"})
HALF = frozenset({"small:half"})
