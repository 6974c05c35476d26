"""A fingerprint of a probe's weights, by which a live model can be known for the one that was exported."""

import hashlib

import torch

from .build import Probe

__all__ = ["weights_digest"]


def weights_digest(probe: Probe) -> str:
    """Return a SHA-256 over the parameters and buffers that the model's graph uses, with their names and dtypes.

    Whichever outputs were chosen, it is the same.
    """
    module = probe.traced.module
    tensors = {**dict(module.named_buffers()), **dict(module.named_parameters())}
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        # As bytes: NumPy has no bfloat16.
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
