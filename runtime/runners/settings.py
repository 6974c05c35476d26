"""How a runner executes a model, as far as that can change its numbers or its speed.

What was really used is read back into the runner's `facts`; a runner ignores settings that its runtime lacks.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["DEFAULT_SETTINGS", "ConvolutionSearch", "GraphOptimization", "Settings"]

GraphOptimization = Literal["disabled", "basic", "extended", "layout", "all"]
ConvolutionSearch = Literal["exhaustive", "heuristic", "default"]


class Settings(BaseModel):
    """What is requested of a runner; the defaults are the runtimes' own, except for TF32."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    graph_optimization: GraphOptimization = "all"
    """ONNX Runtime's levels. TorchScript has two: everything but `disabled` is its own optimisation."""
    tf32: bool = False
    """TF32 keeps 10 bits of the mantissa: on, it would show as drift in every convolution on a GPU."""
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Per operation; None for the runtime's own choice. With a million threads, a runtime ends the process."""
    convolution_search: ConvolutionSearch = "exhaustive"
    """ONNX Runtime's `cudnn_conv_algo_search`: how it chooses cuDNN's algorithm for a convolution."""
    model: str | None = None
    """The live model for the runner `eager`, named as for `layerprobe export`; None for the one in the manifest."""
    weights: Path | None = None
    """Of the live model: a file; None for fresh ones."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    """Of the live model's fresh weights; None for the manifest's."""


DEFAULT_SETTINGS = Settings()
