"""Settings for PyTorch, which has them for the whole process: set while a model runs, then as they were before."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from numpy.typing import NDArray

from .device_facts import Facts, cpu_name, gpu_facts
from .manifest import Manifest
from .settings import Settings

__all__ = ["as_array", "as_tensors", "torch_facts", "torch_set"]


@contextmanager
def torch_set(settings: Settings) -> Iterator[None]:
    """Run what is inside without gradients, with the precision and the threads that the settings ask for."""
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    try:
        # "highest" also keeps bfloat16 out of a CPU's matrix products, where the caller has allowed it.
        torch.set_float32_matmul_precision("high" if settings.tf32 else "highest")
        if settings.threads:
            torch.set_num_threads(settings.threads)
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=settings.tf32):
            yield
    finally:
        torch.set_float32_matmul_precision(precision)
        if settings.threads:
            torch.set_num_threads(threads)


def torch_facts(settings: Settings, device: str) -> Facts:
    """Return what may explain a drift, as PyTorch tells it while the settings are set."""
    with torch_set(settings):
        facts: Facts = {
            "runtime": "PyTorch",
            "version": torch.__version__,
            "device": cpu_name(),
            "threads": torch.get_num_threads(),
        }
        if device == "cuda":
            facts |= gpu_facts()
            facts["cuda"] = torch.version.cuda or ""
            facts["cudnn"] = torch.backends.cudnn.version() or 0  # type: ignore[no-untyped-call]
            facts["tf32"] = torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32
            facts["convolution_search"] = "exhaustive" if torch.backends.cudnn.benchmark else "heuristic"
        else:
            facts["cpu_capability"] = torch.backends.cpu.get_cpu_capability()
    return facts


def as_array(tensor: torch.Tensor) -> NDArray[Any]:
    """Return a tensor as NumPy has it: bfloat16, which it lacks, as float32, which holds each of its values."""
    wide = tensor.float() if tensor.dtype == torch.bfloat16 else tensor
    array: NDArray[Any] = wide.detach().cpu().numpy()
    return array


def as_tensors(manifest: Manifest, arrays: Mapping[str, NDArray[Any]], device: str = "cpu") -> list[torch.Tensor]:
    """Return checked inputs as tensors of the model's dtypes, in its order.

    Copies: a model may write into its input, and the arrays are the caller's.
    """
    return [
        torch.from_numpy(arrays[entry.name]).to(device, getattr(torch, entry.dtype), copy=True)
        for entry in manifest.inputs
    ]
