"""Indexing, masks, gathers, scatters, and writes into slices."""

import torch
import torch.nn.functional as F
from torch import nn

from .collection import noise, small, whole


@small(noise(2, 3, 8, 8))
class Slices(nn.Module):
    """Slices with steps, negative starts, an ellipsis and None."""

    def forward(self, x):
        return x[:, -2:, 1:-1, ::2], x[..., None, 3], x[:, :, 0]


@small(noise(2, 6))
class ByList(nn.Module):
    """Indexing with a list, which reorders channels (RGB to BGR)."""

    def forward(self, x):
        return x[:, [2, 1, 0]] * 2


@small(noise(2, 6), torch.tensor([3, 1, 1, 0]))
class ByTensor(nn.Module):
    """Indexing and index_select with a tensor that is passed in."""

    def forward(self, x, index):
        return x[:, index], torch.index_select(x, 1, index)


@small(noise(2, 5, 6), whole(5, 2))
class RowOfEach(nn.Module):
    """CLIP: the token at another position of each row."""

    def forward(self, x, at):
        return x[torch.arange(x.shape[0]), at]


@small(noise(2, 5, 6))
class AtArgmax(nn.Module):
    """The token at which a score is largest, by gather."""

    def forward(self, x):
        best = x.sum(-1).argmax(1)
        return x.gather(1, best[:, None, None].expand(-1, 1, x.size(-1))).squeeze(1)


@small(noise(2, 5), whole(5, 2, 3))
class Gathered(nn.Module):
    """torch.gather."""

    def forward(self, x, index):
        return torch.gather(x, 1, index)


@small(noise(2, 5), whole(5, 2, 5))
class Scattered(nn.Module):
    """scatter_add into zeros."""

    def forward(self, x, index):
        return torch.zeros_like(x).scatter_add(1, index, x)


@small(noise(2, 5))
class ScatteredOnes(nn.Module):
    """A one-hot mask of the largest by scatter_."""

    def forward(self, x):
        index = x.argmax(1, keepdim=True)
        return torch.zeros_like(x).scatter_(1, index, 1.0) * x


@small(noise(4, 6), torch.tensor([0, 1, 1, 0]))
class IndexAdd(nn.Module):
    """A graph layer: rows are added up by group."""

    def forward(self, x, group):
        return torch.zeros(2, 6).index_add(0, group, x)


@small(noise(2, 3, 8, 8))
class SliceWritten(nn.Module):
    """A write into a slice of a clone."""

    def forward(self, x):
        y = x.clone()
        y[:, 0] = y[:, 0] * 2
        y[:, 1, 2:4] += 1
        return y


@small(noise(2, 8, 6, 6))
class TemporalShift(nn.Module):
    """TSM: channels shifted by writes into zeros_like."""

    def forward(self, x):
        out = torch.zeros_like(x)
        out[:, :2, :-1] = x[:, :2, 1:]
        out[:, 2:4, 1:] = x[:, 2:4, :-1]
        out[:, 4:] = x[:, 4:]
        return out


@small(noise(2, 3, 4, 4))
class MaskWritten(nn.Module):
    """A write where a mask is true."""

    def forward(self, x):
        y = x * 1
        y[y < 0] = 0.5
        return y


@small(noise(2, 3, 4, 4))
class ColumnsWritten(nn.Module):
    """A write at listed positions (index_put)."""

    def forward(self, x):
        y = x.clone()
        y[:, [0, 2]] = torch.tanh(x[:, [2, 0]])
        return y


@small(noise(2, 5), noise(2, 5))
class Where(nn.Module):
    """torch.where with tensors and with numbers."""

    def forward(self, x, y):
        return torch.where(x > y, x, y) + torch.where(x > 0, 1.0, -1.0)


@small(noise(2, 5), torch.tensor([[True, False, True, True, False], [False, True, True, False, False]]))
class MaskedFill(nn.Module):
    """masked_fill, in and out of place, and a masked mean."""

    def forward(self, x, mask):
        y = x.masked_fill(mask, 0.0)
        z = (x * 2).masked_fill_(~mask, -1e4)
        return y.sum(1) / (~mask).sum(1), z.softmax(-1)


@small(noise(2, 5))
class MaskedSelected(nn.Module):
    """masked_select: how many elements there are depends on the data."""

    def forward(self, x):
        return x.masked_select(x > 0)


@small(noise(2, 5))
class NonZero(nn.Module):
    """nonzero: how many rows there are depends on the data."""

    def forward(self, x):
        return torch.nonzero(x > 0)


@small(noise(4, 4))
class Triangles(nn.Module):
    """tril, triu, diagonal, diag_embed, eye."""

    def forward(self, x):
        return x.tril() + x.triu(1) * 2 + torch.eye(4), x.diagonal(), torch.diag_embed(x[0])


@small(noise(2, 3, 4))
class Flipped(nn.Module):
    """flip, roll, rot90."""

    def forward(self, x):
        return torch.flip(x, [2]) + torch.roll(x, 1, dims=2), torch.rot90(x, 1, (1, 2))


@small(noise(2, 3, 4))
class Repeated(nn.Module):
    """repeat, repeat_interleave, expand, tile."""

    def forward(self, x):
        return x.repeat(1, 2, 1), x.repeat_interleave(2, dim=1), x[:, :1].expand(-1, 5, -1), x.tile((1, 1, 2))


@small(noise(2, 7))
class Bucketized(nn.Module):
    """searchsorted: which bin a value is in."""

    def __init__(self):
        super().__init__()
        self.register_buffer("edges", torch.tensor([-1.0, 0.0, 1.0]))
        self.embed = nn.Embedding(4, 3)

    def forward(self, x):
        return self.embed(torch.bucketize(x, self.edges))


@small(noise(2, 7))
class Clamped(nn.Module):
    """clamp with numbers, with tensors and in place; nan_to_num."""

    def forward(self, x):
        y = x.clamp(-1, 1).clamp_(max=0.5)
        return torch.clamp(y, x.new_tensor(-0.5), x.amax()), torch.nan_to_num(x / x.clamp(min=0), posinf=9.0)


@small(noise(2, 6, 4))
class Split(nn.Module):
    """split into sizes, chunk, unbind, tensor_split."""

    def forward(self, x):
        a, b, c = x.split([1, 2, 3], dim=1)
        d, e = x.chunk(2, dim=-1)
        first, *_ = x.unbind(1)
        return a * b.sum(1, keepdim=True), c, d + e, first, x.tensor_split(4, dim=1)[0]


@small(noise(2, 4), noise(2, 3))
class OuterProduct(nn.Module):
    """Broadcast products, outer and kron-like."""

    def forward(self, x, y):
        return x.unsqueeze(-1) * y.unsqueeze(1), torch.einsum("bi,bj->bij", x, y).flatten(1)


@small(noise(3, 8, 8))
class CodeBook(nn.Module):
    """VQ-VAE: the nearest code, by argmin and an embedding lookup."""

    def __init__(self):
        super().__init__()
        self.codebook = nn.Embedding(6, 8)

    def forward(self, z):
        flat = z.reshape(-1, 8)
        d = flat.pow(2).sum(1, keepdim=True) + self.codebook.weight.pow(2).sum(1) - 2 * flat @ self.codebook.weight.t()
        indices = d.argmin(1)
        quantized = self.codebook(indices).view_as(z)
        return z + (quantized - z).detach(), indices


@small(noise(2, 8))
class TopExperts(nn.Module):
    """A mixture of experts: a dense sum, weighted by the softmax of the top two."""

    def __init__(self):
        super().__init__()
        self.gate, self.experts = nn.Linear(8, 4), nn.ModuleList(nn.Linear(8, 8) for _ in range(4))

    def forward(self, x):
        scores = self.gate(x)
        values, index = scores.topk(2, dim=-1)
        gates = torch.zeros_like(scores).scatter(-1, index, values.softmax(-1))
        return sum(gates[:, i : i + 1] * expert(x) for i, expert in enumerate(self.experts))


@small(noise(5, 4), torch.tensor([[0, 1, 2, 3], [1, 2, 3, 4]]))
class GraphConvolution(nn.Module):
    """A graph convolution: gather by edge index, scatter_add by target."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, x, edges):
        source, target = edges
        messages = self.linear(x)[source]
        return torch.zeros(x.size(0), 3).scatter_add(0, target[:, None].expand_as(messages), messages).relu()


@small(noise(2, 10))
class ScatterReduce(nn.Module):
    """scatter_reduce: the largest of each group."""

    def __init__(self):
        super().__init__()
        self.register_buffer("group", torch.arange(10) % 3)

    def forward(self, x):
        index = self.group.expand_as(x)
        return torch.full((x.size(0), 3), -1e4).scatter_reduce(1, index, x, "amax")


@small(noise(2, 3, 8, 8))
class CoordConv(nn.Module):
    """CoordConv: coordinates by linspace, expanded to the batch."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(5, 4, 1)

    def forward(self, x):
        b, _, h, w = x.shape
        ys = torch.linspace(-1, 1, h).view(1, 1, h, 1).expand(b, 1, h, w)
        xs = torch.linspace(-1, 1, w).view(1, 1, 1, w).expand(b, 1, h, w)
        return self.conv(torch.cat([x, ys, xs], 1))


@small(noise(2, 6))
class Padding1d(nn.Module):
    """F.pad with a value, on one side, and a difference of neighbours."""

    def forward(self, x):
        return F.pad(x, (1, 0), value=1.0), torch.diff(x, dim=1)
