"""The models of `make verdicts`, and how each becomes an artifact."""

from pathlib import Path

import torch
from test_zoo_families import PROBED
from test_zoo_families_timm import LEAST_SIZE, ONE_SIZE
from torch import nn

from export import export_artifact
from probe import build_probe, load_model
from proofs.planted_faults.networks import HALF, NETWORKS, OPEN_SIZE
from proofs.trained_models import TRAINED_MODELS
from proofs.zoo_models import TIMM_FAMILIES
from runtime import Artifact, open_artifact

__all__ = ["SOUND_MODELS", "export_model", "sound_model", "train_batch_norms"]

SOUND_MODELS: dict[str, int | None] = {
    **{name: model.size for name, model in TRAINED_MODELS.items()},
    **{name: size for name, (_, size) in NETWORKS.items()},
    **{f"torchvision:{name}": max(size, 64) for name, size in {**PROBED, "mobilenet_v3_small": 64}.items()},
    **{
        f"timm:{name}": None if family in ONE_SIZE else LEAST_SIZE.get(family, 64)
        for family, name in sorted(TIMM_FAMILIES.items())
    },
}
"""Model to its images' height and width (its own, if None): trained ones, small ones, and one of each family."""


def export_model(name: str, folder: Path) -> Artifact:
    """Export a model, with batch norms that look trained."""
    model, example = sound_model(name)
    probe = build_probe(model, *example, dynamic_size=name in OPEN_SIZE)
    return open_artifact(export_artifact(probe, folder, name=name))


def sound_model(name: str) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    """Return a model and its example. Its batch norms look trained: in fresh ones a fault would change nothing."""
    size = SOUND_MODELS.get(name)
    if name in TRAINED_MODELS or name in NETWORKS:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = TRAINED_MODELS[name].load() if name in TRAINED_MODELS else NETWORKS[name][0]().eval()
        example: tuple[torch.Tensor, ...] = (torch.zeros(1, 3, size or 0, size or 0),)
        if name in HALF:
            model, example = model.half(), tuple(each.half() for each in example)
    else:
        loaded = load_model(name, input_size=(size, size) if size else ())
        model, example = loaded.module, loaded.example
    if name not in TRAINED_MODELS:
        train_batch_norms(model)
    return model, example


def train_batch_norms(model: nn.Module) -> None:
    """Give the batch norms of a model numbers as training leaves them."""
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in (
                (module.weight, 0.5, 1.5),
                (module.bias, -0.2, 0.2),
                (module.running_mean, -0.2, 0.2),
                (module.running_var, 0.5, 1.5),
            ):
                assert tensor is not None
                tensor.data.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)
