"""What models take and return: several tensors, tuples, dictionaries, named tuples, data classes, their own input."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from .collection import noise, small

MAPS = noise(1, 3, 8, 8)


class Body(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 6, 3)


@small(MAPS)
class ReturnsTuple(Body):
    """A tuple of two feature maps."""

    def forward(self, x):
        a = F.relu(self.conv1(x))
        return a, self.conv2(a)


@small(MAPS)
class ReturnsList(Body):
    """A list of feature maps, one of them twice."""

    def forward(self, x):
        a = self.conv1(x)
        return [a, a, self.conv2(a)]


@small(MAPS)
class ReturnsDict(Body):
    """A dictionary whose keys have dots and spaces."""

    def forward(self, x):
        a = self.conv1(x)
        return {"stage.1": a, "last one": self.conv2(a)}


@small(MAPS)
class ReturnsOrderedDict(Body):
    """An OrderedDict with integers as keys, as a detection backbone."""

    def forward(self, x):
        out = OrderedDict()
        out[0] = self.conv1(x)
        out[1] = self.conv2(out[0])
        return out


class Pair(NamedTuple):
    logits: torch.Tensor
    aux: torch.Tensor


@small(MAPS)
class ReturnsNamedTuple(Body):
    """A named tuple, as GoogLeNet's outputs."""

    def forward(self, x):
        a = self.conv1(x)
        return Pair(self.conv2(a).mean((2, 3)), a.mean((2, 3)))


@dataclass
class Outcome:
    logits: torch.Tensor
    hidden: torch.Tensor


@small(MAPS)
class ReturnsDataClass(Body):
    """A data class."""

    def forward(self, x):
        a = self.conv1(x)
        return Outcome(logits=self.conv2(a), hidden=a)


@small(MAPS)
class ReturnsNested(Body):
    """A dictionary of lists and tuples."""

    def forward(self, x):
        a = self.conv1(x)
        b = self.conv2(a)
        return {"pyramid": [a, b], "heads": (b.mean(), {"max": b.amax()})}


@small(MAPS)
class ReturnsNone(Body):
    """A tensor, None and a number."""

    def forward(self, x):
        a = self.conv1(x)
        return a, None, 3


@small(MAPS)
class ReturnsInput(Body):
    """The input itself beside the result."""

    def forward(self, x):
        return x, self.conv1(x)


@small(MAPS)
class ReturnsParameter(Body):
    """A parameter beside the result."""

    def forward(self, x):
        return self.conv1(x), self.conv1.weight


@small(MAPS)
class ReturnsView(Body):
    """A tensor and a view of it, which is then written to."""

    def forward(self, x):
        a = self.conv1(x)
        view = a[:, :2]
        view.relu_()
        return a, view


@small(MAPS)
class ReturnsScalar(Body):
    """One number, without axes."""

    def forward(self, x):
        return self.conv1(x).pow(2).mean()


@small(noise(2, 3), noise(2, 4), noise(2, 5))
class ThreeInputs(nn.Module):
    """Three inputs, concatenated."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(12, 2)

    def forward(self, a, b, c):
        return self.linear(torch.cat([a, b, c], dim=1))


@small(noise(2, 3), noise(2, 3), noise(2, 3))
class ManyInputs(nn.Module):
    """forward(self, *inputs)."""

    def forward(self, *inputs):
        return torch.stack(inputs).sum(0)


@small(noise(2, 3), noise(3))
class SharedScale(nn.Module):
    """An input without a batch axis beside one with it."""

    def forward(self, x, scale):
        return x * scale


@small(noise(2, 3, 8, 8), noise(2, 3, 8, 8), torch.tensor([0.3, 0.6]))
class Mixed(nn.Module):
    """Mixup: two batches and a share for each image."""

    def forward(self, a, b, share):
        share = share.view(-1, 1, 1, 1)
        return a * share + b * (1 - share)


@small(noise(2, 3, 8, 8), noise(2, 1, 4, 4))
class DepthAndColour(nn.Module):
    """Two images of other sizes, fused."""

    def __init__(self):
        super().__init__()
        self.rgb, self.depth = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(1, 4, 3, 1, 1)

    def forward(self, rgb, depth):
        return F.relu_(self.rgb(rgb) + self.depth(depth))


@small(noise(2, 3), noise(2, 3))
class UnusedInput(nn.Module):
    """An input that is never used."""

    def forward(self, x, unused):
        return x * 2


@small(noise(2, 4))
class InputOverwritten(nn.Module):
    """forward writes into its input."""

    def forward(self, x):
        x.mul_(2)
        x += 1
        return x.relu()


@small(noise(2, 3, 4))
def identity():
    """A model that returns its input."""
    return nn.Identity()


@small(noise(2, 4))
class Untouched(nn.Module):
    """Two identities and a no-op reshape around one layer."""

    def __init__(self):
        super().__init__()
        self.pre, self.linear, self.post = nn.Identity(), nn.Linear(4, 4), nn.Identity()

    def forward(self, x):
        return self.post(self.linear(self.pre(x).reshape(x.shape)))


@small(noise(2, 4))
class AuxiliaryHead(nn.Module):
    """An auxiliary head, computed and thrown away."""

    def __init__(self):
        super().__init__()
        self.body, self.head, self.aux = nn.Linear(4, 4), nn.Linear(4, 2), nn.Linear(4, 2)

    def forward(self, x):
        x = self.body(x)
        aux = self.aux(x)  # noqa: F841
        return self.head(x)
