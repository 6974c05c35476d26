"""probe -> the same probe with the normalisation in it: it takes a photo's cropped pixels, uint8, N H W C.

The model's outputs keep their names; what it is given, normalised, is one more. Resizing stays outside: ONNX Runtime's
Resize is off Pillow's by up to 0.067 of the range of pixels (bilinear, 24 photos), or 0.008 (bicubic).
"""

from dataclasses import dataclass, replace

import torch
from torch import fx, nn

from runtime.artifact.errors import UsageError
from runtime.artifact.manifest import Input, Normalisation, Origin, Output, Preprocessing

from .capture.plain_names import graph_module, plain_name
from .capture.traced_model import return_named
from .probe import Probe

__all__ = ["Normalise", "PixelProbe", "normalising", "on_pixels"]

NAME = "normalised"
"""What the output is called that the model itself is given."""


class Normalise(nn.Module):
    """Pixels, uint8, N H W C -> (pixel / 255 - mean) / std, N C H W: step by step as `runtime` computes it."""

    mean: torch.Tensor
    std: torch.Tensor
    like: torch.Tensor

    def __init__(self, steps: Normalisation, example: torch.Tensor) -> None:
        """Take the mean and std, and a tensor of the dtype and on the device that the model wants."""
        super().__init__()
        for name, values in (("mean", steps.mean), ("std", steps.std)):
            column = torch.tensor(values, dtype=torch.float32).reshape(-1, 1, 1)
            self.register_buffer(name, column.to(example.device))
        self.register_buffer("like", example.new_empty(0))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        scaled = pixels.permute(0, 3, 1, 2).to(self.mean.dtype) / 255
        return ((scaled - self.mean) / self.std).to(self.like.dtype)


@dataclass(frozen=True, repr=False)
class PixelProbe(Probe):
    """A probe that takes pixels."""

    of_model: str = ""
    """The digest of the weights of the model alone."""

    @property
    def weights(self) -> str:
        """As of the model's own probe."""
        return self.of_model


def on_pixels(probe: Probe, preprocessing: Preprocessing | None) -> tuple[PixelProbe, Preprocessing]:
    """Return the probe that normalises by itself, and what is left of the preprocessing.

    Args:
        probe: of a model whose only input is an image, N C H W.
        preprocessing: how a photo becomes the input; None if it isn't one.

    Raises:
        UsageError: the model takes no photo, or normalises already.
    """
    if preprocessing is None or len(probe.inputs) != 1 or preprocessing.in_model:
        takes = ", ".join(each.described for each in probe.inputs)
        raise UsageError(
            f"{probe.model_name} takes {takes}: no photo that is yet to be normalised.\nOmit --preprocessing-in-model."
        )
    return normalising(probe, preprocessing.normalisation), preprocessing.on_pixels()


def normalising(probe: Probe, steps: Normalisation) -> PixelProbe:
    """Return the probe of a model that takes images, N C H W, with `Normalise` ahead of the model."""
    (spec,), (example,) = probe.inputs, probe.example
    held = probe.traced
    first = _output(held.namer(NAME), spec)
    graph, copies = fx.Graph(), dict[fx.Node, fx.Node]()
    given = next(node for node in held.module.graph.nodes if node.op == "placeholder")
    pixels = graph.placeholder(str(given.target))
    path = plain_name(first.name)
    copies[given] = made = graph.call_module(path, (pixels,))
    graph.output(graph.graph_copy(held.module.graph, copies))
    root = fx.GraphModule(held.module, held.module.graph)
    root.add_submodule(path, Normalise(steps, example))
    module = graph_module(root, graph, type(held.module).__name__)
    nodes = {first.name: made, **{name: copies[node] for name, node in probe.nodes.items()}}
    # What the model is given is among them: it may write to it.
    overwritten = {made, *(copies[node] for node in probe.overwritten)}
    origins = {copies[node]: origin for node, origin in held.origins.items() if node in copies}
    origins |= {pixels: held.origins[given], made: Origin(**first.model_dump(include=set(Origin.model_fields)))}
    batch, channels, *size = spec.shape
    return PixelProbe(
        **vars(probe)
        | {
            "module": return_named(module, nodes, overwritten, type(probe.module).__name__),
            "inputs": (spec.model_copy(update={"shape": (batch, *size, channels), "dtype": "uint8"}),),
            "outputs": (first, *(_reading(each, spec.name, first.name) for each in probe.outputs)),
            "example": (_drawn(example),),
            "traced": replace(held, module=module, origins=origins),
            "nodes": nodes,
            "overwritten": frozenset(overwritten),
            "own_values": False,
        },
        of_model=probe.weights,
    )


def _drawn(example: torch.Tensor) -> torch.Tensor:
    """Return random pixels, N H W C, in place of an image, N C H W."""
    shape = example.permute(0, 2, 3, 1).shape
    drawn = torch.randint(256, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return drawn.to(example.device)


def _output(name: str, spec: Input) -> Output:
    return Output(
        name=name,
        label="Normalise",
        operation="layerprobe.Normalise",
        module_path=name,
        source_file=None,
        source_line=None,
        shape=spec.shape,
        dtype=spec.dtype,
        layout="NCHW",
        alias_of=None,
    )


def _reading(output: Output, given: str, normalised: str) -> Output:
    """Return an output that may be a view of what the model was given."""
    return output.model_copy(update={"alias_of": normalised}) if output.alias_of == given else output
