"""Attention in its many spellings."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from .collection import noise, small

TOKENS = noise(2, 5, 8)


@small(TOKENS)
class SelfAttention(nn.Module):
    """nn.MultiheadAttention, batch first, with weights."""

    def __init__(self):
        super().__init__()
        self.attn = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        y, weights = self.attn(x, x, x)
        return y, weights


@small(noise(5, 2, 8))
class SequenceFirst(nn.Module):
    """nn.MultiheadAttention of L N C, without weights."""

    def __init__(self):
        super().__init__()
        self.attn = nn.MultiheadAttention(8, 2)

    def forward(self, x):
        return self.attn(x, x, x, need_weights=False)[0] + x


@small(TOKENS, noise(2, 7, 8))
class CrossAttention(nn.Module):
    """nn.MultiheadAttention of two inputs."""

    def __init__(self):
        super().__init__()
        self.attn = nn.MultiheadAttention(8, 4, batch_first=True)

    def forward(self, query, memory):
        return self.attn(query, memory, memory)[0]


@small(TOKENS, torch.tensor([[False, False, False, True, True], [False, False, False, False, True]]))
class PaddingMask(nn.Module):
    """nn.MultiheadAttention with a key padding mask."""

    def __init__(self):
        super().__init__()
        self.attn = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x, mask):
        return self.attn(x, x, x, key_padding_mask=mask, need_weights=False)[0]


@small(TOKENS)
def encoder_layer():
    """nn.TransformerEncoderLayer."""
    return nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)


@small(TOKENS)
def encoder_layer_norm_first():
    """nn.TransformerEncoderLayer, norm first, GELU."""
    return nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True, activation="gelu")


@small(TOKENS)
def encoder():
    """nn.TransformerEncoder of two layers."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    return nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(8))


@small(TOKENS, noise(2, 7, 8))
def decoder_layer():
    """nn.TransformerDecoderLayer."""
    return nn.TransformerDecoderLayer(8, 2, 16, batch_first=True)


@small(noise(2, 2, 5, 4), noise(2, 2, 7, 4), noise(2, 2, 7, 4))
class ScaledDotProduct(nn.Module):
    """F.scaled_dot_product_attention of four axes."""

    def forward(self, q, k, v):
        return F.scaled_dot_product_attention(q, k, v)


@small(TOKENS)
class OneHead(nn.Module):
    """F.scaled_dot_product_attention of three axes: one head."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(8, 24)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        return F.scaled_dot_product_attention(q, k, v)


@small(TOKENS)
class Causal(nn.Module):
    """GPT's causal attention with is_causal."""

    def __init__(self):
        super().__init__()
        self.qkv, self.proj = nn.Linear(8, 24), nn.Linear(8, 8)

    def forward(self, x):
        b, t, c = x.size()
        q, k, v = (each.view(b, t, 2, c // 2).transpose(1, 2) for each in self.qkv(x).split(8, dim=2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.proj(y.transpose(1, 2).contiguous().view(b, t, c))


@small(TOKENS)
class CausalByHand(nn.Module):
    """GPT's causal attention with a tril buffer and masked_fill."""

    def __init__(self):
        super().__init__()
        self.c_attn = nn.Linear(8, 24)
        self.register_buffer("bias", torch.tril(torch.ones(16, 16)).view(1, 1, 16, 16))

    def forward(self, x):
        B, T, C = x.size()
        q, k, v = self.c_attn(x).split(C, dim=2)
        q, k, v = (each.view(B, T, 2, C // 2).transpose(1, 2) for each in (q, k, v))
        att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        att = att.masked_fill(self.bias[:, :, :T, :T] == 0, float("-inf"))
        return (F.softmax(att, dim=-1) @ v).transpose(1, 2).contiguous().view(B, T, C)


@small(TOKENS)
class CausalMaskMade(nn.Module):
    """A causal mask by torch.triu, made in forward for the sequence's length."""

    def forward(self, x):
        t = x.shape[1]
        mask = torch.triu(torch.full((t, t), float("-inf")), diagonal=1)
        return (x @ x.transpose(1, 2) / 3 + mask).softmax(-1) @ x


@small(noise(2, 10, 8))
class ViTAttention(nn.Module):
    """A vision transformer's attention: reshape, permute, unbind."""

    def __init__(self):
        super().__init__()
        self.qkv, self.proj = nn.Linear(8, 24), nn.Linear(8, 8)

    def forward(self, x):
        B, N, C = x.shape
        qkv = self.qkv(x).reshape(B, N, 3, 2, C // 2).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        attn = (q * 0.5) @ k.transpose(-2, -1)
        return self.proj((attn.softmax(dim=-1) @ v).transpose(1, 2).reshape(B, N, C))


@small(noise(1, 3, 16, 16))
class TinyViT(nn.Module):
    """A vision transformer: patches, class token, position embedding, one block, head."""

    def __init__(self):
        super().__init__()
        self.patch_embed = nn.Conv2d(3, 8, 4, 4)
        self.cls_token = nn.Parameter(torch.randn(1, 1, 8))
        self.pos_embed = nn.Parameter(torch.randn(1, 17, 8))
        self.block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = self.patch_embed(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.cls_token.expand(x.shape[0], -1, -1), x), dim=1) + self.pos_embed
        return self.head(self.block(x)[:, 0])


@small(noise(1, 8, 8, 6))
class WindowPartition(nn.Module):
    """Swin: roll, partition into windows, attention, and back; N H W C."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(6, 18)

    def forward(self, x):
        B, H, W, C = x.shape
        x = torch.roll(x, shifts=(-2, -2), dims=(1, 2))
        w = x.view(B, H // 4, 4, W // 4, 4, C).permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, 16, C)
        q, k, v = self.qkv(w).chunk(3, -1)
        w = (q @ k.transpose(1, 2)).softmax(-1) @ v
        w = w.view(B, H // 4, W // 4, 4, 4, C).permute(0, 1, 3, 2, 4, 5).contiguous().view(B, H, W, C)
        return torch.roll(w, shifts=(2, 2), dims=(1, 2))


@small(noise(2, 16, 4))
class RelativePosition(nn.Module):
    """Swin's relative position bias: a table indexed by a buffer."""

    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.randn(49, 2))
        axis = torch.arange(4)
        at = torch.stack(torch.meshgrid(axis, axis, indexing="ij")).flatten(1)
        apart = (at[:, :, None] - at[:, None, :]).permute(1, 2, 0) + 3
        self.register_buffer("index", apart[..., 0] * 7 + apart[..., 1])

    def forward(self, x):
        bias = self.table[self.index.view(-1)].view(16, 16, -1).permute(2, 0, 1).contiguous()
        return (x @ x.transpose(1, 2))[:, None] + bias.unsqueeze(0)


@small(noise(1, 2, 6, 8))
class RotaryHalf(nn.Module):
    """LLaMA's rotary embedding: rotate_half, cos and sin made in forward."""

    def forward(self, x):
        t = torch.arange(x.shape[2], dtype=x.dtype)
        freqs = torch.outer(t, 1.0 / (100 ** (torch.arange(0, 8, 2).float() / 8)))
        emb = torch.cat((freqs, freqs), dim=-1)
        a, b = x[..., :4], x[..., 4:]
        return x * emb.cos() + torch.cat((-b, a), dim=-1) * emb.sin()


@small(noise(1, 2, 6, 8))
class RotaryInterleaved(nn.Module):
    """A rotary embedding of interleaved pairs: strided slices and stack."""

    def __init__(self):
        super().__init__()
        angle = torch.outer(torch.arange(6.0), 1.0 / (100 ** (torch.arange(0, 8, 2) / 8)))
        self.register_buffer("cos", angle.cos())
        self.register_buffer("sin", angle.sin())

    def forward(self, x):
        a, b = x[..., ::2], x[..., 1::2]
        return torch.stack((a * self.cos - b * self.sin, a * self.sin + b * self.cos), -1).flatten(-2)


@small(noise(1, 6, 2, 8))
class RotaryComplex(nn.Module):
    """A rotary embedding by complex numbers."""

    def __init__(self):
        super().__init__()
        angle = torch.outer(torch.arange(6.0), 1.0 / (100 ** (torch.arange(0, 8, 2) / 8)))
        self.register_buffer("freqs", torch.view_as_real(torch.polar(torch.ones_like(angle), angle)))

    def forward(self, x):
        z = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2))
        turned = z * torch.view_as_complex(self.freqs).view(1, 6, 1, 4)
        return torch.view_as_real(turned).flatten(3)


@small(noise(2, 6, 8))
class SinusoidalPositions(nn.Module):
    """Sinusoidal positions in a buffer, sliced to the sequence's length."""

    def __init__(self):
        super().__init__()
        pe = torch.zeros(20, 8)
        position = torch.arange(20).unsqueeze(1)
        div = torch.exp(torch.arange(0, 8, 2) * (-math.log(10000.0) / 8))
        pe[:, 0::2], pe[:, 1::2] = torch.sin(position * div), torch.cos(position * div)
        self.register_buffer("pe", pe.unsqueeze(0))
        self.dropout = nn.Dropout(0.1)

    def forward(self, x):
        return self.dropout(x + self.pe[:, : x.size(1)])


@small(noise(2, 4, 5, 5))
class NonLocal(nn.Module):
    """A non-local block over all positions of an image."""

    def __init__(self):
        super().__init__()
        self.theta, self.phi, self.g = (nn.Conv2d(4, 2, 1) for _ in range(3))
        self.out = nn.Conv2d(2, 4, 1)

    def forward(self, x):
        n, _, h, w = x.size()
        theta, phi, g = (f(x).view(n, 2, -1) for f in (self.theta, self.phi, self.g))
        attention = torch.bmm(theta.permute(0, 2, 1), phi).softmax(dim=-1)
        return x + self.out(torch.bmm(g, attention.permute(0, 2, 1)).view(n, 2, h, w))


@small(noise(2, 6, 8))
class EinsumAttention(nn.Module):
    """Attention by einsum, with heads."""

    def __init__(self):
        super().__init__()
        self.wq, self.wk, self.wv = (nn.Parameter(torch.randn(2, 8, 4) * 0.3) for _ in range(3))

    def forward(self, x):
        q, k, v = (torch.einsum("btc,hcd->bhtd", x, w) for w in (self.wq, self.wk, self.wv))
        weights = torch.einsum("bhtd,bhsd->bhts", q, k).softmax(-1)
        return torch.einsum("bhts,bhsd->bthd", weights, v).flatten(2)


@small(noise(2, 6, 8))
class LinearAttention(nn.Module):
    """Linear attention with elu + 1."""

    def forward(self, x):
        q, k = F.elu(x) + 1, F.elu(x * 0.5) + 1
        kv = torch.einsum("nld,nlm->ndm", k, x)
        z = 1 / (torch.einsum("nld,nd->nl", q, k.sum(dim=1)) + 1e-6)
        return torch.einsum("nld,ndm,nl->nlm", q, kv, z)


@small(noise(2, 8, 6, 6))
class ChannelAttention(nn.Module):
    """CBAM: channel and spatial attention."""

    def __init__(self):
        super().__init__()
        self.mlp = nn.Sequential(nn.Conv2d(8, 2, 1), nn.ReLU(inplace=True), nn.Conv2d(2, 8, 1))
        self.spatial = nn.Conv2d(2, 1, 7, padding=3)

    def forward(self, x):
        x = x * (self.mlp(F.adaptive_avg_pool2d(x, 1)) + self.mlp(F.adaptive_max_pool2d(x, 1))).sigmoid()
        pooled = torch.cat([x.mean(1, keepdim=True), x.max(1, keepdim=True)[0]], dim=1)
        return x * self.spatial(pooled).sigmoid()


@small(noise(2, 8, 6, 6))
class EfficientChannelAttention(nn.Module):
    """ECA: a 1-d convolution over channels."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 1, 3, padding=1, bias=False)

    def forward(self, x):
        y = F.adaptive_avg_pool2d(x, 1)
        y = self.conv(y.squeeze(-1).transpose(-1, -2)).transpose(-1, -2).unsqueeze(-1)
        return x * y.sigmoid().expand_as(x)
