"""Small networks whose operations every exporter can write, so that each file has them in its own way."""

from collections.abc import Callable, Mapping

import torch
from torch import nn
from torch.nn import functional

__all__ = ["FOREIGN_NETWORKS"]


class Gates(nn.Module):
    """Activations with numbers of their own, gates of channels, a residual behind each."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
        self.convs = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in range(5))
        self.slopes = nn.PReLU(8, 0.2)
        self.gate = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
        self.head = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.stem(x * 3)
        first, second, third, fourth, fifth = self.convs
        y = functional.leaky_relu(first(y), 0.1) + y
        y = functional.elu(second(y), 0.8) + y
        y = functional.gelu(third(y)) + y
        y = functional.hardswish(fourth(y)) + self.slopes(y)
        gate = self.gate(y.mean((2, 3)))
        y = y * functional.hardsigmoid(gate).reshape(-1, 8, 1, 1)
        y = functional.relu6(fifth(y) * 8) * torch.sigmoid(y)
        return self.head(y.mean((2, 3)))


class Orders(nn.Module):
    """As many channels as rows and columns, parts of equal size: whatever is ordered can be ordered wrongly."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.left = nn.Conv2d(8, 8, 3, padding=1, groups=4)
        self.right = nn.Conv2d(8, 8, 1)
        self.spread = nn.Conv2d(16, 32, 1)
        self.square = nn.Linear(8, 8)
        self.head = nn.Linear(64, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.stem(x))
        left, right = self.left(y), self.right(y)
        y = torch.cat([left, torch.softmax(right, 1)], 1)
        y = functional.pixel_shuffle(self.spread(y), 2)
        y = functional.avg_pool2d(y, 2)
        y = y * torch.sigmoid(y.mean(3)).unsqueeze(3)
        y = y[:, :, 2:6] * y.mean(3, keepdim=True)[:, :, 1:5] - y[:, :, :4]
        y = self.square(y.permute(0, 1, 3, 2).reshape(-1, 8, 16).transpose(1, 2)[:, :, :8].reshape(-1, 16, 8))
        y = torch.matmul(y[:, :8], y[:, 8:].transpose(1, 2))
        return self.head(y.flatten(1))


class Borders(nn.Module):
    """Pools, paddings and windows at the borders, and a transposed convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, padding_mode="reflect")
        self.wide = nn.Conv2d(8, 8, 3, padding=2, dilation=2)
        self.grouped = nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.up = nn.ConvTranspose2d(8, 8, 3, stride=2, padding=1, output_padding=1)
        self.head = nn.Linear(8 * 16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.stem(x))
        y = self.wide(y) + y
        y = functional.max_pool2d(self.grouped(y), 3, 2, 1)
        y = functional.avg_pool2d(y, 3, 1, 1) + y
        y = functional.max_pool2d(torch.tanh(self.up(y)), 2)
        y = functional.avg_pool2d(y, 3, 2, 1)
        return self.head(y.flatten(1))


class Resizes(nn.Module):
    """Each way to resize that has a mode."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.after = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.stem(x)
        small = functional.max_pool2d(y, 2)
        y = y + functional.interpolate(small, scale_factor=2.0, mode="bilinear")
        y = self.after(y) + functional.interpolate(small, size=(16, 16), mode="bilinear", align_corners=True)
        y = self.after(y) + functional.interpolate(small, scale_factor=2.0, mode="nearest")
        y = self.after(y) * functional.interpolate(small, scale_factor=2.0, mode="bicubic")
        return functional.interpolate(y, size=(7, 7), mode="nearest")


FOREIGN_NETWORKS: Mapping[str, tuple[Callable[[], nn.Module], int]] = {
    "small:gates": (Gates, 16),
    "small:orders": (Orders, 8),
    "small:borders": (Borders, 16),
    "small:resizes": (Resizes, 16),
}
"""By name, what makes the network, and the height and width of its images."""
