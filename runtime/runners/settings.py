"""How a runner executes a model, as far as that can change its numbers or its speed.

What was really used is read back into the runner's `facts`; a runner ignores settings that its runtime lacks.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from ..artifact.errors import UsageError

__all__ = [
    "DEFAULT_SETTINGS",
    "MOST_THREADS",
    "ConvolutionSearch",
    "GraphOptimization",
    "Settings",
    "WebBackend",
]

GraphOptimization = Literal["disabled", "basic", "extended", "layout", "all"]
ConvolutionSearch = Literal["exhaustive", "heuristic", "default"]
WebBackend = Literal["wasm", "wasm-browser", "webgpu"]

MOST_THREADS = 1024
"""With a million threads, a runtime ends the process."""


# Not a pydantic model: the command line's help reads it, and needs no pydantic, which takes half of the help's time.
@dataclass(frozen=True)
class Settings:
    """What is requested of a runner; the defaults are the runtimes' own, except for TF32.

    Raises:
        UsageError: a value is none of those that are allowed.
    """

    graph_optimization: GraphOptimization = "all"
    """ONNX Runtime's levels. TorchScript has two: everything but `disabled` is its own optimisation."""
    tf32: bool = False
    """TF32 keeps 10 bits of the mantissa: on, it would show as drift in every convolution on a GPU."""
    threads: int | None = None
    """Per operation; None for the runtime's own choice."""
    spins: bool = True
    """Whether a runtime's threads wait in a loop between two operations: faster, unless others need the cores."""
    convolution_search: ConvolutionSearch = "exhaustive"
    """ONNX Runtime's `cudnn_conv_algo_search`: how it chooses cuDNN's algorithm for a convolution."""
    web_backend: WebBackend = "wasm"
    """What ONNX Runtime Web computes by: WebAssembly under Node, or in headless Chromium by WebAssembly or WebGPU."""
    model: str | None = None
    """The live model for the runner `eager`, named as for `layerprobe export`; None for the one in the manifest."""
    weights: str | Path | None = None
    """Of the live model: a file; None for fresh ones."""
    seed: int | None = None
    """Of the live model's fresh weights; None for the manifest's."""

    def __post_init__(self) -> None:
        for name, allowed in (
            ("graph_optimization", get_args(GraphOptimization)),
            ("convolution_search", get_args(ConvolutionSearch)),
            ("web_backend", get_args(WebBackend)),
        ):
            given = getattr(self, name)
            if given not in allowed:
                raise UsageError(f"The setting {name} can't be {given!r}: give one of {', '.join(allowed)}.")
        for name, least, most in (("threads", 1, MOST_THREADS), ("seed", 0, 2**63 - 1)):
            given = getattr(self, name)
            if given is not None and not (isinstance(given, int) and least <= given <= most):
                raise UsageError(f"The setting {name} can't be {given!r}: give a number from {least} to {most}.")


DEFAULT_SETTINGS = Settings()
