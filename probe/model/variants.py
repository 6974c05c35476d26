"""Three small CNNs for 64 x 64 images, written as ordinary modules: no list of intermediate tensors is kept by hand.

They differ in what makes probing hard: `CNN11` has a module for each convolution, `CNN2` and `CNN3` call the same
ones several times.
"""

import torch
from torch import nn

__all__ = ["CNN2", "CNN3", "CNN11", "IMAGE_SIZE"]

IMAGE_SIZE = 64
"""Height and width of the input, in pixels."""


class CNN11(nn.Module):
    """Two blocks of convolution, batch norm, ReLU and max pooling; then flatten, ReLU, linear.

    forward: N in_channels 64 64 -> N out_channels (logits).
    """

    def __init__(
        self,
        in_channels: int = 3,
        hidden_channels1: int = 64,
        hidden_channels2: int = 128,
        out_channels: int = 6,
        kernel_size_cnn: int = 3,
        kernel_size_pool: int = 2,
        stride1: int = 1,
        stride2: int = 2,
        padding: int = 1,
    ) -> None:
        size = IMAGE_SIZE
        for _ in range(2):
            size = _output_size(_output_size(size, kernel_size_cnn, stride1, padding), kernel_size_pool, stride2, 0)
        super().__init__()
        self.cnn1 = nn.Conv2d(in_channels, hidden_channels1, kernel_size_cnn, stride1, padding)
        self.batchnorm1 = nn.BatchNorm2d(hidden_channels1)
        self.cnn2 = nn.Conv2d(hidden_channels1, hidden_channels2, kernel_size_cnn, stride1, padding)
        self.batchnorm2 = nn.BatchNorm2d(hidden_channels2)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(kernel_size_pool, stride2)
        self.fc = _classifier(hidden_channels2 * size**2, out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.maxpool(self.relu(self.batchnorm1(self.cnn1(x))))
        x = self.maxpool(self.relu(self.batchnorm2(self.cnn2(x))))
        logits: torch.Tensor = self.fc(self.relu(torch.flatten(x, 1)))
        return logits


class CNN2(nn.Module):
    """Four blocks; the last three call the same convolution, and all four the same batch norm, ReLU and pooling.

    forward: N in_channels 64 64 -> N out_channels (logits).
    """

    pooled = True
    """Whether a block ends in max pooling; without it, the convolution has the pooling's stride."""

    def __init__(
        self,
        in_channels: int = 3,
        hidden_channels1: int = 64,
        hidden_channels2: int = 128,  # noqa: ARG002 - the variants are built with the same arguments
        out_channels: int = 6,
        kernel_size_cnn: int = 3,
        kernel_size_pool: int = 2,
        stride1: int = 1,
        stride2: int = 2,
        padding: int = 1,
    ) -> None:
        stride = stride1 if self.pooled else stride2
        size = IMAGE_SIZE
        for _ in range(4):
            size = _output_size(size, kernel_size_cnn, stride, padding)
            size = _output_size(size, kernel_size_pool, stride2, 0) if self.pooled else size
        super().__init__()
        self.cnn1 = nn.Conv2d(in_channels, hidden_channels1, kernel_size_cnn, stride, padding)
        self.cnn2 = nn.Conv2d(hidden_channels1, hidden_channels1, kernel_size_cnn, stride, padding)
        self.batchnorm1 = nn.BatchNorm2d(hidden_channels1)
        self.relu = nn.ReLU()
        if self.pooled:
            self.maxpool = nn.MaxPool2d(kernel_size_pool, stride2)
        self.fc = _classifier(hidden_channels1 * size**2, out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for convolution in (self.cnn1, self.cnn2, self.cnn2, self.cnn2):
            x = self.relu(self.batchnorm1(convolution(x)))
            x = self.maxpool(x) if self.pooled else x
        logits: torch.Tensor = self.fc(self.relu(torch.flatten(x, 1)))
        return logits


class CNN3(CNN2):
    """`CNN2` without pooling: each convolution halves the image itself, by its stride.

    forward: N in_channels 64 64 -> N out_channels (logits).
    """

    pooled = False


def _output_size(size: int, kernel_size: int, stride: int, padding: int) -> int:
    """Return the height (or width) after a convolution or pooling: the formula of `torch.nn.Conv2d`."""
    return (size + 2 * padding - kernel_size) // stride + 1


def _classifier(features: int, classes: int) -> nn.Linear:
    linear = nn.Linear(features, classes)
    # A hook, because a check in `forward` would be control flow on a shape, and an extra node in the graph.
    linear.register_forward_pre_hook(_check_features)
    return linear


def _check_features(linear: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
    features = inputs[0].shape[1]
    assert isinstance(linear, nn.Linear)
    if features != linear.in_features:
        raise ValueError(
            f"the image gives {features} features, but the linear layer takes {linear.in_features}: "
            f"the input must be {IMAGE_SIZE} x {IMAGE_SIZE}"
        )
