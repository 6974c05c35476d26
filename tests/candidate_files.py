"""A model, its artifact, and an ONNX file of it whose names say nothing: what the tests of candidates share."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn
from torch.nn import functional

from export import export_artifact
from probe import build_probe
from runtime import Artifact, Preprocessing, open_artifact

MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]


class Net(nn.Module):
    """A small network of what files are made of: folded batch norms, clamps, a branch, a residual, a resize."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.norm2 = nn.BatchNorm2d(8)
        self.point = nn.Conv2d(8, 12, 1)
        self.side = nn.Conv2d(8, 12, 3, padding=1)
        self.head = nn.Linear(24, 5)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = functional.relu6(self.norm(self.stem(image)))
        y = functional.silu(self.norm2(self.depthwise(x))) + x
        both = torch.cat([self.point(y), torch.sigmoid(self.side(y))], 1)
        both = functional.interpolate(functional.dropout(both, 0.1, self.training), scale_factor=2.0, mode="bilinear")
        return self.head(both.mean((2, 3)))


class Calibration:
    """The images that a quantizer calibrates on, as it asks for them."""

    def __init__(self, name: str, images: Iterable[np.ndarray]) -> None:
        self._feeds = iter([{name: image} for image in images])

    def get_next(self) -> dict[str, Any] | None:
        return next(self._feeds, None)


def noise_images(shape: tuple[int, ...], count: int = 8) -> list[np.ndarray]:
    """Return so many arrays of this shape, always the same."""
    generator = np.random.default_rng(0)
    return [generator.standard_normal(shape, np.float32) for _ in range(count)]


@dataclass(frozen=True)
class Made:
    """A model and what was made of it."""

    module: nn.Module
    artifact: Artifact
    file: Path
    """By torch.onnx, with values called `v0`, `v1`, ... and nodes without names."""


def nameless(file: Path, target: Path, change: Callable[[onnx.ModelProto], None] = lambda model: None) -> Path:
    """Write a file without its names, changed."""
    model = onnx.load(file)
    change(model)
    names = {name: f"v{number}" for number, name in enumerate(n for node in model.graph.node for n in node.output if n)}
    for number, weight in enumerate(model.graph.initializer):
        names[weight.name] = weight.name = f"w{number}"
    for node in model.graph.node:
        node.name = ""
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        del node.metadata_props[:]
    for value in model.graph.output:
        value.name = names[value.name]
    del model.graph.value_info[:]
    onnx.save(model, target)
    return target


def make(folder: Path) -> Made:
    """Return the model with batch norms that look trained, its artifact, and a file of it."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        module = Net().eval()
        for norm in (module.norm, module.norm2):
            for tensor, low, high in (
                (norm.weight, 0.5, 1.5),
                (norm.bias, -0.2, 0.8),
                (norm.running_mean, -0.2, 0.2),
                (norm.running_var, 0.3, 1.5),
            ):
                nn.init.uniform_(tensor, low, high)
    image = torch.randn(1, 3, 16, 16)
    steps = Preprocessing(resize=16, crop=(16, 16), mean=MEAN, std=STD)
    export_artifact(build_probe(module, image), folder / "artifact", name="net", preprocessing=steps)
    torch.onnx.export(
        module,
        (image,),
        folder / "theirs.onnx",
        dynamo=False,
        opset_version=17,
        input_names=["pixels"],
        dynamic_axes={"pixels": {0: "batch"}},
    )
    return Made(module, open_artifact(folder / "artifact"), nameless(folder / "theirs.onnx", folder / "nameless.onnx"))
