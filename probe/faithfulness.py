"""Whether a probe computes what its model does. Tracing has blind spots (a hook of the model itself, a branch on the
type of an argument), and nothing behind it would notice: the probe, its exports and their reference would agree.
"""

import torch
from torch import nn

from .errors import CaptureError, ModelError, first_line
from .example import Example
from .results import walk

__all__ = ["compare_with_model"]


def compare_with_model(
    model: nn.Module, probe: nn.Module, results: dict[str, str], example: Example, returned: object
) -> None:
    """Run the probe on the example (left unchanged) and compare it with what the model returned.

    Raises:
        CaptureError: the probe returns something else, or fails.
        ModelError: the model gives another result each time.
    """
    try:
        with torch.inference_mode(False), torch.no_grad():
            probed = probe(*(tensor.clone() for tensor in example.tensors))
    except Exception as error:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in example.tensors)
        raise CaptureError(
            f"The probe of {type(model).__name__} fails on an input of shape {shapes}, which the model takes: "
            f"{first_line(error)}"
        ) from error
    tensors = _tensors(returned)
    held = {path: probed[name] for path, name in results.items()}
    differing = [path for path, tensor in tensors.items() if not _same(tensor, held.get(path))]
    if tensors.keys() == results.keys() and not differing:
        return
    name = type(model).__name__
    again = _tensors(example.run(model))
    if any(not _same(tensor, again.get(path)) for path, tensor in tensors.items()):
        raise ModelError(
            f"{name} gives another result each time it is run in eval mode, so nothing can be proven of it.\n"
            "Is a dropout called without training=self.training, or random noise added?"
        )
    where = f" at {differing[0]!r}" if differing and differing[0] else ""
    shapes = ", ".join(str(tuple(tensor.shape)) for tensor in example.tensors)
    raise CaptureError(
        f"The probe of {name} returns something else than the model{where}: the capture missed a part of it.\n"
        f"The input's shape: {shapes}. The usual causes: a hook on the model itself, a branch on isinstance(x, "
        "torch.Tensor), a write through .data, a size taken as a plain number."
    )


def _tensors(returned: object) -> dict[str, torch.Tensor]:
    return {path: value for path, value in walk(returned) if isinstance(value, torch.Tensor)}


def _same(one: torch.Tensor, other: object) -> bool:
    if not isinstance(other, torch.Tensor) or one.shape != other.shape or one.dtype != other.dtype:
        return False
    if one.device.type == "cpu":
        # The same operations in the same order: equal to the last bit.
        return bool(torch.equal(one.nan_to_num(), other.nan_to_num()))
    return torch.allclose(one, other, rtol=1e-3, atol=1e-5, equal_nan=True)
