"""What people write that tools stumble over: names, sharing, views, global state, odd classes."""

import functools

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import prune
from torchvision.models import resnet18

from .collection import noise, small

MAPS = noise(1, 3, 8, 8)


@small(MAPS)
class NamedLikeOperations(nn.Module):
    """Layers called add, relu, output, input, self_, size."""

    def __init__(self):
        super().__init__()
        self.add, self.relu, self.output = nn.Conv2d(3, 3, 1), nn.ReLU(inplace=True), nn.Conv2d(3, 3, 1)
        self.register_buffer("mul", torch.tensor(2.0))
        self.register_buffer("size_", torch.ones(3, 1, 1))

    def forward(self, input):  # noqa: A002
        x = self.relu(self.add(input)) + 1
        return F.relu(self.output(x) * self.mul + self.size_)


@small(MAPS)
class BuffersNamedLikeLayers(nn.Module):
    """Buffers called conv_1, relu and add_1."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        for name in ("conv_1", "relu", "add_1"):
            self.register_buffer(name, torch.rand(1))

    def forward(self, x):
        x = self.conv(self.conv(x)) + self.conv_1
        return F.relu(x + self.relu) + self.add_1


@small(MAPS)
def dotted_names():
    """Layers that are added with digits and underscores as names."""
    model = nn.Sequential()
    model.add_module("0_conv", nn.Conv2d(3, 4, 3))
    model.add_module("_norm", nn.BatchNorm2d(4))
    model.add_module("class", nn.Conv2d(4, 2, 1))
    return model


@small(MAPS)
class SharedUnderTwoNames(nn.Module):
    """One layer under two names, both called."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 3, 3, padding=1)
        self.b = self.a
        self.norms = nn.ModuleList([nn.BatchNorm2d(3)] * 2)

    def forward(self, x):
        return self.norms[1](self.b(self.norms[0](self.a(x))))


@small(MAPS)
class SharedActivation(nn.Module):
    """One in-place ReLU after five layers."""

    def __init__(self):
        super().__init__()
        self.act = nn.ReLU(inplace=True)
        self.convs = nn.Sequential(*[nn.Sequential(nn.Conv2d(3, 3, 1), self.act) for _ in range(5)])

    def forward(self, x):
        return self.convs(x)


@small(MAPS)
class InPlaceOnView(nn.Module):
    """Half of the channels are activated in place, through a view."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        y = self.conv(x)
        y[:, :2].relu_()
        y[:, 2:].sigmoid_()
        return y


@small(MAPS)
class InPlaceOnChunks(nn.Module):
    """The chunks of a tensor are written to, and the tensor is used."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        y = self.conv(x)
        a, b = y.chunk(2, dim=1)
        a.mul_(2)
        b.add_(a)
        return y


@small(MAPS)
class InPlaceAfterView(nn.Module):
    """A view is taken, its source overwritten, and the view used."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        y = self.conv(x)
        flat = y.view(y.size(0), -1)
        y.clamp_(min=0)
        return flat.sum(1), flat


@small(MAPS)
class OutArgument(nn.Module):
    """torch.add(..., out=...)."""

    def forward(self, x):
        y = torch.empty_like(x)
        torch.add(x, 1, out=y)
        return y * 2


@small(MAPS)
class Preallocated(nn.Module):
    """A list comprehension of heads, written into a preallocated tensor."""

    def __init__(self):
        super().__init__()
        self.heads = nn.ModuleList(nn.Conv2d(3, 1, 1) for _ in range(3))

    def forward(self, x):
        out = torch.empty(x.shape[0], 3, x.shape[2], x.shape[3])
        for i, head in enumerate(self.heads):
            out[:, i : i + 1] = head(x)
        return out


@small(MAPS)
class NumpyConstant(nn.Module):
    """A NumPy array as a constant in forward."""

    def __init__(self):
        super().__init__()
        self.mean = np.array([0.4, 0.5, 0.6], dtype=np.float32)

    def forward(self, x):
        return x - torch.from_numpy(self.mean).view(1, 3, 1, 1)


@small(MAPS)
class TensorAttribute(nn.Module):
    """A tensor as a plain attribute, neither parameter nor buffer."""

    def __init__(self):
        super().__init__()
        self.std = torch.tensor([0.2, 0.3, 0.4]).view(1, 3, 1, 1)

    def forward(self, x):
        return x / self.std


GLOBAL = torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1)


@small(MAPS)
class GlobalTensor(nn.Module):
    """A tensor from the module's globals."""

    def forward(self, x):
        return x * GLOBAL


@small(MAPS)
class Lambda(nn.Module):
    """A lambda wrapped in a module."""

    def __init__(self, function=lambda x: x.mean((2, 3))):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@small(MAPS)
class Partial(nn.Module):
    """functools.partial of a function as an attribute."""

    def __init__(self):
        super().__init__()
        self.pool = functools.partial(F.avg_pool2d, kernel_size=2)

    def forward(self, x):
        return self.pool(x)


class _Lazy(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(2))

    def forward(self, x):
        return self.net(x)


@small(MAPS)
def lazy_initialised():
    """Lazy layers, initialised by one run."""
    model = _Lazy()
    model(noise(2, 3, 8, 8))
    return model


@small(MAPS)
def pruned():
    """A pruned convolution: a mask in a hook."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    prune.l1_unstructured(model[0], "weight", amount=0.4)
    return model


@small(MAPS)
class Parametrized(nn.Module):
    """Symmetric weights by register_parametrization."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 8)

        class Symmetric(nn.Module):
            def forward(self, w):
                return w.triu() + w.triu(1).transpose(-1, -2)

        nn.utils.parametrize.register_parametrization(self.linear, "weight", Symmetric())

    def forward(self, x):
        return self.linear(x)


@small(MAPS)
class Property(nn.Module):
    """Weights computed by a property."""

    def __init__(self):
        super().__init__()
        self.raw = nn.Parameter(torch.randn(4, 3, 1, 1))

    @property
    def weight(self):
        return self.raw.softmax(1)

    def forward(self, x):
        return F.conv2d(x, self.weight)


@small(noise(1, 3, 32, 32))
def replaced_head():
    """torchvision's ResNet-18, thinned, with another head."""
    model = resnet18()
    model.layer3, model.layer4 = nn.Identity(), nn.Identity()
    model.fc = nn.Sequential(nn.Dropout(0.2), nn.Linear(128, 3))
    return model


@small(noise(1, 3, 32, 32))
def cut_children():
    """nn.Sequential(*list(resnet.children())[:-5])."""
    return nn.Sequential(*list(resnet18().children())[:-5])


@small(MAPS)
class CallsForward(nn.Module):
    """self.conv.forward(x) in place of self.conv(x)."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return self.conv.forward(x).relu()


@small(MAPS)
class WeightsDirectly(nn.Module):
    """A layer's weights are used without calling the layer."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return F.conv2d(x, self.conv.weight * 2, self.conv.bias, padding=1)


@small(MAPS)
class Counter(nn.Module):
    """A buffer that counts the calls."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))

    def forward(self, x):
        self.calls += 1
        return self.conv(x)


@small(MAPS)
class Stateful(nn.Module):
    """A running mean that is kept in eval mode as well: a state."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(1, 3, 1, 1))

    def forward(self, x):
        self.mean.lerp_(x.mean((0, 2, 3), keepdim=True), 0.1)
        return x - self.mean


@small(MAPS)
class CachedGrid(nn.Module):
    """A cache in an attribute, filled in the first call."""

    def __init__(self):
        super().__init__()
        self.cache = {}

    def forward(self, x):
        size = x.shape[-1]
        if size not in self.cache:
            self.cache[size] = torch.linspace(0, 1, size)
        return x * self.cache[size]


@small(MAPS)
class OperatorChain(nn.Module):
    """Python's operators: -, @, **, %, abs, divmod-like, reflected ones."""

    def forward(self, x):
        y = -(x**2) + 1 / (2 + abs(x)) - (3 - x) * 0.5
        return (y @ x.transpose(-1, -2)) % 2.0


@small(MAPS)
class AugmentedAssignments(nn.Module):
    """+=, *=, -=, /= on a result and on a slice."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        y = self.conv(x)
        y *= 2
        y -= 0.5
        y /= 3
        y[:, 0] += y[:, 1]
        return y


@small(MAPS)
class StaticAndClassMethods(nn.Module):
    """forward calls static methods, class methods and a closure."""

    SCALE = 0.5

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    @staticmethod
    def squash(x):
        return x / (1 + x.abs())

    @classmethod
    def scaled(cls, x):
        return x * cls.SCALE

    def forward(self, x):
        def twice(f, y):
            return f(f(y))

        return twice(self.squash, self.scaled(self.conv(x)))


@small(MAPS)
class KeywordOnly(nn.Module):
    """Keyword arguments and annotations in forward of a part."""

    class Part(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x: torch.Tensor, *, scale: float = 1.0, shift: torch.Tensor | None = None) -> torch.Tensor:
            y = self.conv(x) * scale
            return y if shift is None else y + shift

    def __init__(self):
        super().__init__()
        self.part = self.Part()

    def forward(self, x):
        return self.part(x=self.part(x), scale=2.0, shift=x)


@small(MAPS)
class Subclass(nn.Sequential):
    """A subclass of nn.Sequential with its own forward, which indexes itself."""

    def __init__(self):
        super().__init__(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Conv2d(4, 4, 1))

    def forward(self, x):
        y = self[1](self[0](x))
        return self[-1](y) + y


@small(MAPS)
class MixedModules(nn.Module):
    """Functions and modules in one plain list, layers registered beside it."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.steps = [self.conv, torch.relu, lambda x: x.flatten(1), torch.Tensor.sigmoid]

    def forward(self, x):
        for step in self.steps:
            x = step(x)
        return x


@small(MAPS)
def frozen():
    """Parameters without gradients, and a model in eval mode already."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).requires_grad_(False).eval()


@small(MAPS)
def data_parallel():
    """A model in nn.DataParallel, as checkpoints have it."""
    return nn.DataParallel(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()))
