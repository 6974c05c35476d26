"""Regions: autocast, no_grad, checkpoint, compiled and scripted parts, randomness, hooks."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

from .collection import noise, small

MAPS = noise(1, 3, 8, 8)


@small(MAPS)
class NoGrad(nn.Module):
    """A frozen backbone under torch.no_grad()."""

    def __init__(self):
        super().__init__()
        self.backbone, self.head = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 1)

    def forward(self, x):
        with torch.no_grad():
            x = self.backbone(x).relu()
        return self.head(x)


@small(MAPS)
class NoGradDecorated(nn.Module):
    """forward is decorated with torch.no_grad()."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    @torch.no_grad()
    def forward(self, x):
        return self.conv(x).relu()


@small(MAPS)
class InferenceMode(nn.Module):
    """A region under torch.inference_mode()."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        with torch.inference_mode():
            return self.conv(x).relu()


@small(MAPS)
class AutocastOff(nn.Module):
    """A region in which autocast is off."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        with torch.autocast("cpu", enabled=False):
            return self.conv(x.float()).softmax(1)


@small(MAPS)
class AutocastOn(nn.Module):
    """A region in which autocast computes in bfloat16."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = self.conv(x)
        return y.float().relu()


@small(MAPS)
class AutocastForCuda(nn.Module):
    """An autocast for CUDA, which does nothing on a CPU."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        with torch.autocast("cuda", enabled=torch.cuda.is_available()):
            return self.conv(x).relu()


@small(MAPS)
class Checkpointed(nn.Module):
    """A block under torch.utils.checkpoint, without reentry."""

    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Conv2d(4, 4, 3))

    def forward(self, x):
        return checkpoint(self.block, x, use_reentrant=False).relu()


@small(MAPS)
class CheckpointedInTraining(nn.Module):
    """checkpoint only where gradients are needed."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        if self.training and x.requires_grad:
            return checkpoint(self.conv, x, use_reentrant=False)
        return self.conv(x)


@small(MAPS)
class CheckpointedSequential(nn.Module):
    """checkpoint_sequential, as in a DenseNet that saves memory."""

    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU())

    def forward(self, x):
        return checkpoint_sequential(self.block, 2, x, use_reentrant=False)


@small(MAPS)
def dropouts():
    """All kinds of dropout, which do nothing in eval mode."""
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.Dropout2d(0.3), nn.Dropout(0.5, inplace=True), nn.AlphaDropout(0.2),
        nn.FeatureAlphaDropout(0.1), nn.Flatten(), nn.Dropout1d(0.1),
    )  # fmt: skip


@small(MAPS)
class DropPath(nn.Module):
    """timm's stochastic depth."""

    def __init__(self):
        super().__init__()
        self.conv, self.p = nn.Conv2d(3, 3, 3, padding=1), 0.1

    def drop_path(self, x):
        if self.p == 0.0 or not self.training:
            return x
        keep = torch.rand(x.shape[0], *([1] * (x.ndim - 1))) < 1 - self.p
        return x * keep / (1 - self.p)

    def forward(self, x):
        return x + self.drop_path(self.conv(x))


@small(MAPS)
class DropoutAlwaysOn(nn.Module):
    """Monte Carlo dropout: another result each time."""

    def forward(self, x):
        return F.dropout(x, 0.5, training=True)


@small(MAPS)
class NoiseAdded(nn.Module):
    """Noise in eval mode as well: another result each time."""

    def forward(self, x):
        return x + 0.1 * torch.randn_like(x)


@small(MAPS)
def scripted_part():
    """A part that is already TorchScript."""
    part = torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval())
    return nn.Sequential(part, nn.Conv2d(4, 2, 1))


@torch.jit.script
def _fused_gelu(x: torch.Tensor) -> torch.Tensor:
    return x * 0.5 * (1.0 + torch.erf(x / 1.41421))


@small(MAPS)
class ScriptedFunction(nn.Module):
    """A function that is decorated with torch.jit.script."""

    def forward(self, x):
        return _fused_gelu(x + 1)


@small(MAPS)
def hooked():
    """A forward hook that changes what a layer returns."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    model[0].register_forward_hook(lambda module, inputs, output: output * 2)
    return model


@small(MAPS)
def pre_hooked():
    """A forward pre-hook that changes what the model gets."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    model.register_forward_pre_hook(lambda module, inputs: (inputs[0] / 2,))
    return model


@small(MAPS)
class FeaturesByHook(nn.Module):
    """A feature extractor that keeps what its hooks see, and returns it."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3))
        self.seen = {}
        self.net[0].register_forward_hook(lambda module, inputs, output: self.seen.update(conv=output))

    def forward(self, x):
        y = self.net(x)
        return y, self.seen["conv"]


@small(MAPS)
class Detached(nn.Module):
    """detach, clone, contiguous, requires_grad_."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        y = self.conv(x).detach().clone()
        return y.contiguous() + y.data


@small(MAPS)
def compiled_part():
    """A part wrapped in torch.compile."""
    return nn.Sequential(torch.compile(nn.Conv2d(3, 4, 3), backend="eager"), nn.ReLU())


@small(MAPS)
class FunctionalCall(nn.Module):
    """torch.func.functional_call of a part with other weights."""

    def __init__(self):
        super().__init__()
        self.conv, self.scale = nn.Conv2d(3, 4, 3), nn.Parameter(torch.tensor(0.5))

    def forward(self, x):
        weights = {name: value * self.scale for name, value in self.conv.named_parameters()}
        return torch.func.functional_call(self.conv, weights, (x,))


@small(noise(2, 4))
class Vmapped(nn.Module):
    """torch.vmap over the batch."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 4))

    def forward(self, x):
        return torch.vmap(lambda row: self.weight @ row)(x)


@small(noise(2, 4))
class Gradient(nn.Module):
    """A gradient inside forward, as in an energy model."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1))

    def forward(self, x):
        with torch.enable_grad():
            x = x.detach().requires_grad_(True)
            return torch.autograd.grad(self.net(x).sum(), x)[0]
