"""Loops and branches: on settings, on shapes, and on values, which no graph can hold."""

import torch
import torch.nn.functional as F
from torch import nn

from .collection import noise, small


@small(noise(2, 4))
class Loop(nn.Module):
    """One layer in a loop: shared weights, called four times."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        for _ in range(4):
            x = torch.tanh(self.layer(x))
        return x


@small(noise(2, 4))
class LoopOverDict(nn.Module):
    """A loop over a ModuleDict, which collects features by name."""

    def __init__(self):
        super().__init__()
        self.stages = nn.ModuleDict({"stem": nn.Linear(4, 4), "body": nn.Linear(4, 6), "head": nn.Linear(6, 2)})

    def forward(self, x):
        features = {}
        for name, stage in self.stages.items():
            x = stage(x).relu()
            features[name] = x
        return features


@small(noise(2, 4))
class LoopOverParameters(nn.Module):
    """A loop over a ParameterList."""

    def __init__(self):
        super().__init__()
        self.weights = nn.ParameterList(nn.Parameter(torch.randn(4, 4) * 0.5) for _ in range(3))

    def forward(self, x):
        for weight in self.weights:
            x = F.relu(x @ weight)
        return x


@small(noise(2, 4))
class Nested(nn.Module):
    """ModuleLists inside a Sequential inside a ModuleList, skipped by index."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True)) for _ in range(4))

    def forward(self, x):
        outs = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in (1, 3):
                outs.append(x)
        return tuple(outs)


@small(noise(2, 3, 8, 8))
class BranchOnSetting(nn.Module):
    """if self.use_norm, if self.training."""

    def __init__(self, use_norm=True):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4) if use_norm else None

    def forward(self, x):
        x = self.conv(x)
        if self.norm is not None:
            x = self.norm(x)
        if self.training:
            return x, x
        return x


@small(noise(2, 3, 8, 8))
class BranchOnShape(nn.Module):
    """if x.shape[1] != 3: raise; if the image is small: no pooling."""

    def forward(self, x):
        if x.shape[1] != 3:
            raise ValueError("expected three channels")
        if x.shape[-1] > 4:
            x = F.avg_pool2d(x, 2)
        return x * 2


@small(noise(2, 3, 8, 8))
class Asserted(nn.Module):
    """assert on the shape, and x.dim() in an f-string."""

    def forward(self, x):
        assert x.dim() == 4, f"got {x.dim()} axes"
        assert x.size(2) == x.size(3)
        return x.mean((2, 3))


@small(noise(2, 3, 8, 8))
class BranchOnType(nn.Module):
    """if isinstance(x, torch.Tensor)."""

    def forward(self, x):
        if isinstance(x, torch.Tensor):
            x = [x]
        return [F.relu(each) for each in x]


@small(noise(2, 4))
class BranchOnValue(nn.Module):
    """if x.sum() > 0: data-dependent, no graph can hold it."""

    def forward(self, x):
        if x.sum() > 0:
            return x * 2
        return x - 1


@small(noise(2, 4))
class LoopOnValue(nn.Module):
    """while the norm is large: data-dependent."""

    def forward(self, x):
        while x.norm() > 1:
            x = x / 2
        return x


@small(noise(2, 4))
class NumberRead(nn.Module):
    """A scale read by .item(): data-dependent."""

    def forward(self, x):
        return x / float(x.abs().max().item())


@small(noise(2, 4))
class Cond(nn.Module):
    """torch.cond on a value."""

    def forward(self, x):
        return torch.cond(x.sum() > 0, lambda x: x * 2, lambda x: x - 1, (x,))


@small(noise(3, 4))
class EachImage(nn.Module):
    """A loop over the images of a batch."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 2)

    def forward(self, x):
        return torch.stack([self.linear(image) for image in x])


@small(noise(2, 4, 8, 8))
class LoopOverRows(nn.Module):
    """SCNN: a loop over the rows of a feature map."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 4, 3, padding=1)

    def forward(self, x):
        rows = list(x.unbind(2))
        for i in range(1, len(rows)):
            rows[i] = rows[i] + F.relu(self.conv(rows[i - 1]))
        return torch.stack(rows, 2)


@small(noise(1, 3, 8, 8))
class EarlyReturn(nn.Module):
    """A default argument that decides what is returned."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

    def forward(self, x, return_features=False):
        features = self.conv(x).mean((2, 3))
        if return_features:
            return features
        return self.fc(features)


@small(noise(2, 4))
class TryExcept(nn.Module):
    """try: a method that doesn't exist; except: another way."""

    def forward(self, x):
        try:
            return x.no_such_method()
        except AttributeError:
            return x.exp()


@small(noise(2, 8))
class LayerDropped(nn.Module):
    """Layers are skipped at random while training only."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(3))

    def forward(self, x):
        for layer in self.layers:
            if self.training and torch.rand(1).item() < 0.2:
                continue
            x = x + layer(x).relu()
        return x


@small(noise(2, 4), noise(2, 4))
class OptionalInput(nn.Module):
    """if mask is not None, with the mask passed."""

    def forward(self, x, mask=None, scale: float = 2.0):
        x = x * scale
        return x if mask is None else x * mask.sigmoid()


@small(noise(2, 4))
class Recursive(nn.Module):
    """forward calls itself for a smaller problem."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x, depth: int = 2):
        y = self.linear(x).relu()
        return y if depth == 0 else self.forward(y, depth - 1) + y
