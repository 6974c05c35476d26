"""The blocks of well-known networks."""

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.ops import MLP, Conv2dNormActivation, Permute, SqueezeExcitation, StochasticDepth

from .collection import noise, small

MAPS = noise(1, 4, 8, 8)


@small(MAPS)
class Residual(nn.Module):
    """ResNet's basic block: out += identity, one in-place ReLU called twice."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.conv2, self.bn2 = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)

    def forward(self, x):
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += identity
        return self.relu(out)


@small(MAPS)
class Bottleneck(nn.Module):
    """ResNet's bottleneck with a downsampled shortcut."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.conv3 = nn.Conv2d(4, 2, 1), nn.Conv2d(2, 2, 3, 2, 1), nn.Conv2d(2, 8, 1)
        self.downsample = nn.Sequential(nn.Conv2d(4, 8, 1, 2), nn.BatchNorm2d(8))

    def forward(self, x):
        y = F.relu(self.conv1(x), inplace=True)
        y = F.relu(self.conv2(y), inplace=True)
        return F.relu(self.conv3(y) + self.downsample(x))


@small(MAPS)
class PreActivation(nn.Module):
    """A pre-activation block whose shortcut is taken behind an in-place ReLU."""

    def __init__(self):
        super().__init__()
        self.norm, self.act, self.conv = nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x):
        y = self.norm(x)
        shortcut = y
        y = self.act(y)
        return self.conv(y) + shortcut


@small(MAPS)
class Dense(nn.Module):
    """DenseNet: a growing list of features, concatenated."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(4 + 2 * i), nn.ReLU(inplace=True), nn.Conv2d(4 + 2 * i, 2, 3, padding=1))
            for i in range(3)
        )

    def forward(self, x):
        features = [x]
        for layer in self.layers:
            features.append(layer(torch.cat(features, 1)))
        return torch.cat(features, 1)


@small(MAPS)
class Inception(nn.Module):
    """Four branches, concatenated."""

    def __init__(self):
        super().__init__()
        self.branch1 = nn.Conv2d(4, 2, 1)
        self.branch2 = nn.Sequential(nn.Conv2d(4, 2, 1), nn.Conv2d(2, 2, 3, padding=1))
        self.branch3 = nn.Sequential(nn.Conv2d(4, 2, (1, 7), padding=(0, 3)), nn.Conv2d(2, 2, (7, 1), padding=(3, 0)))
        self.branch4 = nn.Conv2d(4, 2, 1)

    def forward(self, x):
        pooled = self.branch4(F.avg_pool2d(x, 3, 1, 1))
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), pooled], 1)


@small(MAPS)
class SqueezeExcite(nn.Module):
    """Squeeze and excitation with view and expand_as."""

    def __init__(self):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Sequential(nn.Linear(4, 2), nn.ReLU(inplace=True), nn.Linear(2, 4), nn.Sigmoid())

    def forward(self, x):
        b, c, _, _ = x.size()
        y = self.fc(self.pool(x).view(b, c)).view(b, c, 1, 1)
        return x * y.expand_as(x)


@small(MAPS)
class Ghost(nn.Module):
    """GhostNet: cheap features beside the primary ones, sliced."""

    def __init__(self):
        super().__init__()
        self.primary = nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU(inplace=True))
        self.cheap = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.ReLU(inplace=True))

    def forward(self, x):
        x1 = self.primary(x)
        return torch.cat([x1, self.cheap(x1)], dim=1)[:, :7]


@small(MAPS)
class ShuffleUnit(nn.Module):
    """ShuffleNet V2: chunk, branch, concatenate, shuffle."""

    def __init__(self):
        super().__init__()
        self.branch = nn.Sequential(nn.Conv2d(2, 2, 1), nn.ReLU(inplace=True), nn.Conv2d(2, 2, 3, padding=1, groups=2))

    def forward(self, x):
        x1, x2 = x.chunk(2, dim=1)
        out = torch.cat((x1, self.branch(x2)), dim=1)
        b, c, h, w = out.size()
        return out.view(b, 2, c // 2, h, w).transpose(1, 2).contiguous().view(b, -1, h, w)


@small(MAPS)
def inverted_residual():
    """MobileNet's inverted residual from torchvision's parts."""
    return nn.Sequential(
        Conv2dNormActivation(4, 8, kernel_size=1, activation_layer=nn.Hardswish),
        Conv2dNormActivation(8, 8, groups=8, activation_layer=nn.Hardswish),
        SqueezeExcitation(8, 2, scale_activation=nn.Hardsigmoid),
        Conv2dNormActivation(8, 4, kernel_size=1, activation_layer=None),
    )


@small(MAPS)
class ConvNeXt(nn.Module):
    """ConvNeXt's block: depthwise, permuted layer norm and MLP, layer scale."""

    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(4, 4, 7, padding=3, groups=4), Permute([0, 2, 3, 1]), nn.LayerNorm(4), nn.Linear(4, 16),
            nn.GELU(), nn.Linear(16, 4), Permute([0, 3, 1, 2]),
        )  # fmt: skip
        self.layer_scale = nn.Parameter(torch.ones(4, 1, 1) * 0.1)
        self.drop = StochasticDepth(0.2, "row")

    def forward(self, x):
        return self.drop(self.layer_scale * self.block(x)) + x


@small(noise(2, 4, 8))
class Mixer(nn.Module):
    """MLP-Mixer: an MLP over tokens, one over channels."""

    def __init__(self):
        super().__init__()
        self.tokens, self.channels = MLP(4, [8, 4], activation_layer=nn.GELU), MLP(8, [16, 8], inplace=True)

    def forward(self, x):
        x = x + self.tokens(x.transpose(1, 2)).transpose(1, 2)
        return x + self.channels(x)


@small(noise(1, 3, 16, 16))
class UNet(nn.Module):
    """A U-Net of two levels, with transposed convolutions and skips."""

    def __init__(self):
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 8, 3, padding=1)
        self.up, self.out = nn.ConvTranspose2d(8, 4, 2, 2), nn.Conv2d(8, 1, 1)

    def forward(self, x):
        a = self.down1(x).relu()
        b = self.down2(F.max_pool2d(a, 2)).relu()
        return torch.sigmoid(self.out(torch.cat((a, self.up(b)), dim=1)))


@small(noise(1, 3, 16, 16))
class UNetPadded(nn.Module):
    """A U-Net that pads the upsampled map by the difference of the sizes."""

    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Conv2d(3, 4, 3, 2), nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.out = nn.Conv2d(7, 2, 3, padding=1)

    def forward(self, x):
        y = self.up(self.down(x))
        dy, dx = x.size(2) - y.size(2), x.size(3) - y.size(3)
        y = F.pad(y, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
        return self.out(torch.cat([x, y], 1))


@small(MAPS)
class ASPP(nn.Module):
    """DeepLab's ASPP: dilated branches and an image-level one, resized."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(4, 2, 3, padding=d, dilation=d) for d in (1, 2, 3))
        self.image = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 2, 1))

    def forward(self, x):
        parts = [conv(x) for conv in self.convs]
        parts.append(F.interpolate(self.image(x), size=x.shape[-2:], mode="bilinear", align_corners=False))
        return torch.cat(parts, 1)


@small(MAPS)
class CSP(nn.Module):
    """YOLO's C2f: a split, and a list that grows."""

    def __init__(self):
        super().__init__()
        self.cv1, self.cv2 = nn.Conv2d(4, 4, 1), nn.Conv2d(8, 4, 1)
        self.m = nn.ModuleList(nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), nn.SiLU(True)) for _ in range(2))

    def forward(self, x):
        y = list(self.cv1(x).chunk(2, 1))
        y.extend(m(y[-1]) for m in self.m)
        return self.cv2(torch.cat(y, 1))


@small(MAPS)
class SelectiveKernel(nn.Module):
    """SKNet: branches are stacked, and weighted by a softmax over them."""

    def __init__(self):
        super().__init__()
        self.paths = nn.ModuleList(nn.Conv2d(4, 4, k, padding=k // 2) for k in (1, 3))
        self.attn = nn.Conv2d(4, 8, 1)

    def forward(self, x):
        y = torch.stack([path(x) for path in self.paths], dim=1)
        a = self.attn(y.sum(1).mean((2, 3), keepdim=True))
        a = a.view(x.shape[0], 2, 4, 1, 1).softmax(dim=1)
        return (y * a).sum(1)


@small(MAPS)
class HighResolution(nn.Module):
    """HRNet: two resolutions exchange what they have."""

    def __init__(self):
        super().__init__()
        self.high, self.low = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, 2, 1)
        self.up, self.down = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 3, 2, 1)

    def forward(self, x):
        high, low = self.high(x), self.low(x)
        up = F.interpolate(self.up(low), scale_factor=2, mode="nearest")
        return F.relu(high + up), F.relu(low + self.down(high))


@small(MAPS)
class RepVGG(nn.Module):
    """RepVGG: three parallel branches, one of them a batch norm."""

    def __init__(self):
        super().__init__()
        self.dense, self.point = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.identity, self.act = nn.BatchNorm2d(4), nn.ReLU()

    def forward(self, x):
        return self.act(self.dense(x) + self.point(x) + self.identity(x))


@small(noise(2, 8))
class VAE(nn.Module):
    """A VAE that takes the mean in eval mode."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(8, 6), nn.Linear(3, 8)

    def forward(self, x):
        mu, logvar = self.encoder(x).chunk(2, dim=1)
        z = mu + torch.randn_like(mu) * (0.5 * logvar).exp() if self.training else mu
        return self.decoder(z).sigmoid(), mu, logvar


@small(noise(1, 4, 4, 4), torch.tensor([7]))
class TimeConditioned(nn.Module):
    """Diffusion: a time step's embedding is added to the maps."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(4, 4, 3, padding=1), nn.GroupNorm(2, 4)
        self.mlp = nn.Sequential(nn.Linear(8, 8), nn.SiLU(), nn.Linear(8, 4))

    def forward(self, x, t):
        freqs = torch.exp(-torch.arange(4).float())
        angle = t[:, None].float() * freqs[None]
        emb = self.mlp(torch.cat([angle.cos(), angle.sin()], dim=-1))
        return F.silu(self.norm(self.conv(x) + emb[:, :, None, None]))


@small(noise(2, 3, 20))
class PointNet(nn.Module):
    """PointNet: shared MLPs, a global maximum, repeated to all points."""

    def __init__(self):
        super().__init__()
        self.local, self.wide, self.out = nn.Conv1d(3, 4, 1), nn.Conv1d(4, 8, 1), nn.Conv1d(12, 2, 1)

    def forward(self, x):
        local = F.relu(self.local(x))
        pooled = torch.max(self.wide(local), 2, keepdim=True)[0]
        return self.out(torch.cat([local, pooled.repeat(1, 1, x.size(2))], 1))


@small(noise(1, 3, 12, 12), noise(1, 3, 12, 12))
class Siamese(nn.Module):
    """A Siamese network: one backbone, called twice."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )

    def forward(self, a, b):
        return F.pairwise_distance(self.backbone(a), self.backbone(b))


@small(noise(1, 4, 6, 6), noise(1, 4, 8, 8))
class Tracker(nn.Module):
    """SiamFC: one image's features are the kernel for the other's, as one group per image."""

    def forward(self, z, x):
        b, c, h, w = x.shape
        out = F.conv2d(x.view(1, b * c, h, w), z.view(b, c, z.shape[2], z.shape[3]), groups=b)
        return out.view(b, 1, out.size(2), out.size(3))
