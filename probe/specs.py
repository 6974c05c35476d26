"""What is known of each output of a probe, and of each step of the model that isn't one. Plain data."""

from dataclasses import dataclass

__all__ = ["Dimension", "InputSpec", "OutputSpec", "SkippedNode", "TokenGrid"]

Dimension = int | str
"""A size, or a symbol such as `N` (batch) that any size may stand for."""


@dataclass(frozen=True)
class InputSpec:
    """One tensor that the model is called with."""

    name: str
    shape: tuple[Dimension, ...]
    """`("N", 3, 64, 64)`: a symbol where any size fits."""
    dtype: str
    """NumPy's name, `float32`, or `bfloat16`, which NumPy doesn't have."""


@dataclass(frozen=True)
class TokenGrid:
    """How the tokens of an N L C tensor lie in the image: L = before + height * width + after."""

    before: int
    """Tokens ahead of the patches: class and register tokens."""
    height: int
    """Patches, row by row."""
    width: int
    after: int


@dataclass(frozen=True)
class OutputSpec:
    """One named tensor of the probe."""

    name: str
    """As in `torchvision.models.feature_extraction.get_graph_node_names`: `layer1.0.conv1`, `layer1.0.add`. Blocks of
    `torchvision.ops`, which that function leaves closed by default, are opened by the same rule."""
    label: str
    """What a person calls it: `Conv2d`, `relu`, `add`."""
    operation: str
    """The full name of what computed it: `torch.nn.modules.conv.Conv2d`, `torch.flatten`."""
    module_path: str
    """The module it ran in (`layer1.0`), or the leaf module itself (`layer1.0.conv1`); empty for the model itself."""
    source_file: str | None
    """Relative to the import path it was found on (`torchvision/models/resnet.py`), so that it means something on
    another machine; None where no code of a model's own called the operation, as in a bare `nn.Sequential`."""
    source_line: int | None
    shape: tuple[Dimension, ...]
    """`("N", 64, 32, 32)`: a symbol where the size follows the batch."""
    dtype: str
    """NumPy's name, `float32`, or `bfloat16`, which NumPy doesn't have."""
    layout: str
    """One letter an axis: `NCHW`, `NHWC`, `NLC`, `NC`; `?` for an axis of which nothing is known."""
    tokens: TokenGrid | None
    """Where the axis L holds the patches of an image, how they lie in it."""
    alias_of: str | None
    """An earlier output, or input, in whose memory all of this one lies, with no write in between (views, dropout in
    eval)."""


@dataclass(frozen=True)
class SkippedNode:
    """A step of the model that is not an output, and why."""

    name: str
    reason: str
