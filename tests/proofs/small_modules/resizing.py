"""Interpolation, sampling, padding, pixel shuffles, and the operators of detection."""

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.ops import nms, ps_roi_align, roi_align, roi_pool

from .collection import noise, small

IMAGE = noise(1, 3, 8, 10)


@small(IMAGE)
def nearest():
    """nn.Upsample: nearest, by 2."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Upsample(scale_factor=2), nn.Conv2d(4, 4, 3))


@small(IMAGE)
def bilinear():
    """nn.Upsample: bilinear, by 2."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Upsample(scale_factor=2, mode="bilinear"), nn.ReLU())


@small(IMAGE)
def bilinear_aligned():
    """nn.UpsamplingBilinear2d, which aligns corners."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.UpsamplingBilinear2d(scale_factor=2))


@small(IMAGE)
def bilinear_to_size():
    """nn.Upsample to a size."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Upsample(size=(13, 21), mode="bilinear"))


@small(IMAGE)
def bicubic():
    """nn.Upsample: bicubic."""
    return nn.Upsample(scale_factor=2, mode="bicubic")


@small(noise(2, 3, 9))
def linear_1d():
    """nn.Upsample of sound: linear."""
    return nn.Sequential(nn.Upsample(scale_factor=2, mode="linear"), nn.Conv1d(3, 4, 3))


@small(noise(1, 2, 3, 4, 5))
def trilinear():
    """nn.Upsample of volumes: trilinear."""
    return nn.Sequential(nn.Upsample(scale_factor=2, mode="trilinear"), nn.Conv3d(2, 2, 1))


@small(noise(1, 2, 3, 4, 5))
def nearest_3d():
    """nn.Upsample of volumes: nearest."""
    return nn.Upsample(scale_factor=2)


@small(IMAGE)
class Downsampled(nn.Module):
    """F.interpolate to half the size: bilinear and area."""

    def forward(self, x):
        return F.interpolate(x, scale_factor=0.5, mode="bilinear"), F.interpolate(x, (4, 5), mode="area")


@small(IMAGE)
class NearestExact(nn.Module):
    """F.interpolate: nearest-exact."""

    def forward(self, x):
        return F.interpolate(x, size=(12, 15), mode="nearest-exact")


@small(IMAGE)
class Antialiased(nn.Module):
    """F.interpolate with antialias."""

    def forward(self, x):
        return F.interpolate(x, size=(4, 5), mode="bilinear", antialias=True)


@small(noise(1, 4, 8, 8))
class TopDown(nn.Module):
    """FPN: the upper level is resized to the lower one's shape and added."""

    def __init__(self):
        super().__init__()
        self.down, self.lateral = nn.Conv2d(4, 4, 3, 2, 1), nn.Conv2d(4, 4, 1)

    def forward(self, x):
        top = self.down(x)
        return self.lateral(x) + F.interpolate(top, size=x.shape[-2:], mode="nearest"), top


@small(noise(1, 3, 16, 16))
class ResizedBack(nn.Module):
    """Segmentation: the logits are resized to the image's size."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(True), nn.Conv2d(4, 2, 3, 2, 1))

    def forward(self, x):
        size = x.shape[2:]
        return {"out": F.interpolate(self.body(x), size=size, mode="bilinear", align_corners=False)}


@small(noise(1, 8, 4, 4))
def pixel_shuffle():
    """Super-resolution: a pixel shuffle and back."""
    return nn.Sequential(nn.Conv2d(8, 12, 3, padding=1), nn.PixelShuffle(2), nn.ReLU(), nn.PixelUnshuffle(2))


@small(noise(2, 8, 4, 4))
class SpaceToDepth(nn.Module):
    """YOLO's focus layer: four strided slices, concatenated."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(32, 8, 1)

    def forward(self, x):
        parts = [x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]]
        return self.conv(torch.cat(parts, 1))


@small(noise(1, 3, 6, 6))
def padded():
    """The padding modules, one after the other."""
    return nn.Sequential(
        nn.ReflectionPad2d(1), nn.ReplicationPad2d((1, 2, 0, 1)), nn.ZeroPad2d(1), nn.ConstantPad2d(1, 0.5),
        nn.CircularPad2d(1), nn.Conv2d(3, 2, 3),
    )  # fmt: skip


@small(noise(1, 3, 7, 9))
class PaddedToMultiple(nn.Module):
    """Padding up to a multiple of 4, and the crop back."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        h, w = x.shape[-2:]
        y = F.pad(x, (0, -w % 4, 0, -h % 4))
        return self.conv(y)[..., :h, :w]


@small(noise(1, 3, 8, 8))
class SpatialTransformer(nn.Module):
    """A spatial transformer: affine_grid and grid_sample."""

    def __init__(self):
        super().__init__()
        self.locate = nn.Linear(3, 6)

    def forward(self, x):
        theta = self.locate(x.mean((2, 3))).view(-1, 2, 3)
        grid = F.affine_grid(theta, x.size(), align_corners=False)
        return F.grid_sample(x, grid, align_corners=False)


@small(noise(1, 3, 8, 8), noise(1, 5, 6, 2).tanh())
class GridSampled(nn.Module):
    """grid_sample with border padding and aligned corners, bilinear and nearest."""

    def forward(self, x, grid):
        a = F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=True)
        return a + F.grid_sample(x, grid, mode="nearest", padding_mode="reflection", align_corners=False)


@small(noise(1, 3, 8, 8), noise(1, 2, 8, 8))
class Warped(nn.Module):
    """Optical flow: a warp by a mesh grid made in forward."""

    def forward(self, x, flow):
        _, _, h, w = x.shape
        ys, xs = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
        grid = torch.stack((xs, ys)).float()[None] + flow
        grid = torch.stack((2 * grid[:, 0] / (w - 1) - 1, 2 * grid[:, 1] / (h - 1) - 1), dim=-1)
        return F.grid_sample(x, grid, align_corners=True)


BOXES = torch.tensor([[0.0, 1, 1, 6, 6], [0, 0, 2, 7, 5]])


@small(noise(1, 4, 8, 8), BOXES)
class RoiAligned(nn.Module):
    """roi_align of given boxes."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x, boxes):
        return roi_align(self.conv(x), boxes, (3, 3), spatial_scale=1.0, sampling_ratio=2, aligned=True)


@small(noise(1, 4, 8, 8), BOXES)
class RoiPooled(nn.Module):
    """roi_pool of given boxes."""

    def forward(self, x, boxes):
        return roi_pool(x, boxes, (2, 2))


@small(noise(1, 8, 8, 8), BOXES)
class PositionSensitive(nn.Module):
    """ps_roi_align, which torch.onnx can't export."""

    def forward(self, x, boxes):
        return ps_roi_align(x, boxes, (2, 2), sampling_ratio=2)


@small(torch.tensor([[0.0, 0, 4, 4], [0, 0, 5, 4], [6, 6, 9, 9]]), torch.tensor([0.9, 0.8, 0.7]))
class Suppressed(nn.Module):
    """Non-maximum suppression: how many boxes stay depends on the data."""

    def forward(self, boxes, scores):
        keep = nms(boxes, scores, 0.5)
        return boxes[keep], scores[keep]


@small(noise(1, 6, 4, 4))
class BoxDecoder(nn.Module):
    """YOLO's head: a grid in a buffer, sigmoid, exp, concatenation."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(6, 5, 1)
        ys, xs = torch.meshgrid(torch.arange(4.0), torch.arange(4.0), indexing="ij")
        self.register_buffer("grid", torch.stack((xs, ys), -1)[None])

    def forward(self, x):
        y = self.conv(x).permute(0, 2, 3, 1)
        xy = (y[..., :2].sigmoid() * 2 - 0.5 + self.grid) * 8
        wh = y[..., 2:4].exp() * 8
        return torch.cat((xy, wh, y[..., 4:].sigmoid()), -1).flatten(1, 2)


@small(noise(2, 12, 6))
class Folded(nn.Module):
    """nn.Fold: overlapping patches are added up."""

    def __init__(self):
        super().__init__()
        self.fold = nn.Fold((3, 4), (2, 2))

    def forward(self, x):
        return self.fold(x) * 0.5


@small(noise(1, 3, 8, 8))
class Patches(nn.Module):
    """Patches by Tensor.unfold, twice."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(48, 6)

    def forward(self, x):
        patches = x.unfold(2, 4, 4).unfold(3, 4, 4)
        return self.embed(patches.permute(0, 2, 3, 1, 4, 5).flatten(3))
