"""The models that probing is measured on."""

from typing import Any

__all__ = ["MODELS", "load_by_name"]

MODELS = ("cnn11", "cnn2", "cnn3", "resnet18", "resnet50", "mobilenet_v2", "vgg16")


def load_by_name(name: str) -> Any:
    """Return a model of this project's own, or of torchvision's, as `load_model` does."""
    from probe import load_model  # late: a process that measures ONNX Runtime's memory loads no torch

    return load_model(name if name.startswith("cnn") else f"torchvision:{name}")
