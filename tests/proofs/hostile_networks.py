"""Sound networks of hostile scales, drawn by Hypothesis: whatever they are made of, no runner is to be called wrong.

A network is a convolution, then a few steps, each with a convolution behind it, so that every step meets what the one
before has left: massive, tiny, dead, saturated or cancelled numbers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["STEPS", "HostileNetwork", "draw_networks", "networks"]

CHANNELS, SIZE = 6, 8


class _Conv(nn.Module):
    """A convolution with one channel scaled, and what follows it."""

    def __init__(self, then: Callable[[Tensor], Tensor], factor: float = 1.0, bias: float | None = None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
        self.then = then
        with torch.no_grad():
            self.conv.weight[1] *= factor
            if bias is not None:
                self.conv.weight.zero_()
                self.conv.bias.fill_(bias)  # type: ignore[union-attr]

    def forward(self, y: Tensor) -> Tensor:
        return self.then(self.conv(y))


class _Norm(nn.Module):
    """A normalisation of what is small, or far from 0 beside its spread."""

    def __init__(self, norm: nn.Module, factor: float = 1.0, offset: float = 0.0) -> None:
        super().__init__()
        self.norm, self.factor, self.offset = norm, factor, offset

    def forward(self, y: Tensor) -> Tensor:
        y = y * self.factor + self.offset
        return (
            self.norm(y.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            if isinstance(self.norm, nn.LayerNorm)
            else self.norm(y)
        )


class _Half(nn.Module):
    """A convolution in half precision among others."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1).half()

    def forward(self, y: Tensor) -> Tensor:
        return self.conv(y.clamp(-100, 100).half()).float()


class _Function(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, y: Tensor) -> Tensor:
        return self.function(y)


def _attention(y: Tensor) -> Tensor:
    flat = y.flatten(2)
    return (torch.softmax(flat.transpose(1, 2) @ flat * 3, -1) @ flat.transpose(1, 2)).transpose(1, 2).reshape(y.shape)


def _variance(y: Tensor) -> Tensor:
    far = torch.tanh(y) + 100
    return y + (far.pow(2).mean((2, 3), keepdim=True) - far.mean((2, 3), keepdim=True).pow(2))


def _same(y: Tensor) -> Tensor:
    return y


_FUNCTIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "x - mean": lambda y: (y + 100) - (y + 100).mean((2, 3), keepdim=True),
    "x - nearly x": lambda y: y * 1.000001 - y,
    "huge offset": lambda y: y + 1e4,
    "offset and back": lambda y: (y + 3e4) - 3e4,
    "tiny and back": lambda y: (y * 1e-20) * 1e20,
    "variance by squares": _variance,
    "gamma": lambda y: torch.sigmoid(y).pow(0.45),
    "gamma of a clamp": lambda y: y.clamp(0, 1).pow(0.45),
    "log": lambda y: torch.log(torch.sigmoid(y) + 1e-6),
    "sqrt": lambda y: torch.sqrt(torch.relu(y)),
    "length": lambda y: y / (y.pow(2).sum(1, keepdim=True).sqrt() + 1e-6),
    "normalize": lambda y: functional.normalize(y, dim=1),
    "reciprocal": lambda y: 1 / (y.abs() + 1e-3),
    "exp": lambda y: torch.exp(y.clamp(max=10)),
    "saturated tanh": lambda y: torch.tanh(y * 50),
    "saturated hardsigmoid": lambda y: functional.hardsigmoid(y * 20),
    "saturated relu6": lambda y: functional.relu6(y * 40),
    "hardswish": lambda y: functional.hardswish(y * 10),
    "small silu": lambda y: functional.silu(y * 1e-4),
    "small elu": lambda y: functional.elu(y * 1e-5),
    "small gelu": lambda y: functional.gelu(y * 1e-5),
    "small mish": lambda y: functional.mish(y * 1e-4),
    "small erf": lambda y: torch.erf(y * 1e-5),
    "small expm1": lambda y: torch.expm1(y * 1e-5),
    "small log1p": lambda y: torch.log1p(y.abs() * 1e-5),
    "far softplus": lambda y: functional.softplus(y - 12),
    "far gelu": lambda y: functional.gelu(y - 6),
    "logsigmoid": lambda y: functional.logsigmoid(y * 5),
    "softmax of large": lambda y: torch.softmax(y * 30, 1),
    "log softmax of large": lambda y: functional.log_softmax(y * 100, 1),
    "attention of large": _attention,
    "atan": lambda y: torch.atan(y * 1e3),
    "sin of large": lambda y: torch.sin(y * 30),
    "average pool": lambda y: functional.avg_pool2d(y, 3, 1, 1),
    "resize": lambda y: functional.interpolate(functional.max_pool2d(y, 2), scale_factor=2, mode="bilinear"),
}

STEPS: Mapping[str, Callable[[], nn.Module]] = {
    **{name: lambda function=function: _Function(function) for name, function in _FUNCTIONS.items()},
    "massive channel": lambda: _Conv(_same, 3e4),
    "massive channel, norm": lambda: nn.Sequential(_Conv(torch.relu, 3e4), nn.BatchNorm2d(CHANNELS)),
    "denormal weights": lambda: _Conv(_same, 1e-40),
    "tiny scores": lambda: _Conv(lambda y: torch.sigmoid(y * 0.3 - 7)),
    "large product of scores": lambda: _Conv(lambda y: torch.sigmoid(y - 12) * 1000),
    "dead": lambda: _Conv(_same, bias=0.0),
    "constant": lambda: _Conv(_same, bias=3.7),
    "constant, instance norm": lambda: nn.Sequential(_Conv(_same, bias=3.7), nn.InstanceNorm2d(CHANNELS)),
    "dead, layer norm": lambda: nn.Sequential(_Conv(_same, bias=0.0), _Norm(nn.LayerNorm(CHANNELS))),
    "half precision": _Half,
    "instance norm of far": lambda: _Norm(nn.InstanceNorm2d(CHANNELS), 1.0, 100.0),
    "group norm of far": lambda: _Norm(nn.GroupNorm(2, CHANNELS), 1.0, 1000.0),
    "group norm of tiny": lambda: _Norm(nn.GroupNorm(2, CHANNELS), 1e-4),
    "layer norm of tiny": lambda: _Norm(nn.LayerNorm(CHANNELS), 1e-6),
    "layer norm of far": lambda: _Norm(nn.LayerNorm(CHANNELS), 1.0, 30.0),
    "batch norm of far": lambda: _Norm(nn.BatchNorm2d(CHANNELS), 1.0, 1000.0),
}
"""By name."""


@dataclass(frozen=True)
class HostileNetwork:
    """Which steps, and the seed of the weights."""

    steps: tuple[str, ...]
    seed: int

    def __str__(self) -> str:
        return f"{' | '.join(self.steps)} ({self.seed})"

    def make(self) -> tuple[nn.Module, Tensor]:
        """Return the network in eval mode, and its input."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            layers = [nn.Conv2d(3, CHANNELS, 3, padding=1)]
            for step in self.steps:
                layers += [STEPS[step](), nn.Conv2d(CHANNELS, CHANNELS, 1)]
            return nn.Sequential(*layers).eval(), torch.randn(1, 3, SIZE, SIZE)


def networks(*first: str) -> st.SearchStrategy[HostileNetwork]:
    """Return what draws networks that begin with given steps."""
    more = st.lists(st.sampled_from(sorted(STEPS)), min_size=0 if first else 1, max_size=3)
    return st.builds(lambda steps, seed: HostileNetwork((*first, *steps), seed), more, st.integers(0, 999))


def draw_networks(count: int) -> list[HostileNetwork]:
    """Return as many networks, the same each time; each step begins as many of them."""
    drawn: list[HostileNetwork] = []
    for number, step in enumerate(STEPS):

        @seed(number)
        @settings(
            max_examples=-(-count // len(STEPS)),
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(networks(step))
        def collect(network: HostileNetwork) -> None:
            drawn.append(network)

        collect()
    return drawn[:count]
