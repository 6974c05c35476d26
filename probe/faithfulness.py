"""Checks that a probe computes what its model does. Tracing has blind spots (a hook on the model, a branch on the type
of an argument), and no later step would notice: the probe, its exports and their reference would agree.
"""

import contextlib
from collections.abc import Iterator

import torch
from torch import nn

from runtime.artifact.errors import CaptureError, ModelError, first_line

from .model.example import Example
from .model.shared_copy import shared_copy
from .observe.results import walk

__all__ = ["buffers_restored", "compare_with_model"]

_OTHER_KERNELS = 8
"""How large the probe's error may be, as a multiple of the model's own rounding error, where the capture runs other
kernels: attention has a fused one, which torch.export doesn't use."""


@contextlib.contextmanager
def buffers_restored(module: nn.Module) -> Iterator[None]:
    """Restore the module's buffers at the end of the block, whatever was written to them."""
    # A sparse tensor can't be compared, and is refused later.
    before = [(buffer, buffer.clone()) for buffer in module.buffers() if buffer.layout is torch.strided]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, content in before:
                if not torch.equal(buffer, content):
                    buffer.copy_(content)


def compare_with_model(
    model: nn.Module,
    probe: nn.Module,
    results: dict[str, str],
    example: Example,
    returned: object,
    *,
    exact: bool,
    guarded: bool = False,
) -> None:
    """Run the probe on the example (left unchanged) and compare its results with the model's.

    Args:
        model: stays untouched.
        probe: returns tensors by name.
        results: the names of the model's results, by path.
        example: what the model was run on.
        returned: what it returned.
        exact: whether the probe runs the same operations as the model; if not, it may differ by rounding errors.
        guarded: whether the model ran guarded, where torch may use other kernels: if the results differ, it runs again.

    Raises:
        CaptureError: the probe returns something other than the model, or fails.
        ModelError: the model returns a different result each time.
    """
    try:
        with torch.inference_mode(False), torch.no_grad(), buffers_restored(probe):
            probed = probe(*(tensor.clone() for tensor in example.tensors))
    except Exception as error:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in example.tensors)
        raise CaptureError(
            f"The probe of {type(model).__name__} fails on an input of shape {shapes}, which the model accepts: "
            f"{first_line(error)}"
        ) from error
    tensors = _tensors(returned)
    held = {path: probed[name] for path, name in results.items()}
    differing = [path for path, tensor in tensors.items() if not _same(tensor, held.get(path))]
    if tensors.keys() == results.keys() and not differing:
        return
    if guarded:
        returned = example.run(shared_copy(model))
        compare_with_model(model, probe, results, example, returned, exact=exact)
        return
    name = type(model).__name__
    again = _tensors(example.run(shared_copy(model)))
    if any(not _same(tensor, again.get(path)) for path, tensor in tensors.items()):
        raise ModelError(
            f"{name} returns a different result each time it runs in eval mode, so its probe can't be verified.\n"
            "Look for a dropout called without training=self.training, random noise, or a layer that forward creates."
        )
    if not exact and tensors.keys() == results.keys() and _within_rounding(shared_copy(model), example, tensors, held):
        return
    where = f" at {differing[0]!r}" if differing and differing[0] else ""
    shapes = ", ".join(str(tuple(tensor.shape)) for tensor in example.tensors)
    raise CaptureError(
        f"The probe of {name} returns something other than the model{where}: the capture missed a part of it.\n"
        f"Input shape: {shapes}. Usual causes: a hook on the model itself, a branch on isinstance(x, "
        "torch.Tensor), a write through .data, a size read as a plain number."
    )


def _tensors(returned: object) -> dict[str, torch.Tensor]:
    return {path: value for path, value in walk(returned) if isinstance(value, torch.Tensor)}


def _same(one: torch.Tensor, other: object) -> bool:
    if not isinstance(other, torch.Tensor) or one.shape != other.shape or one.dtype != other.dtype:
        return False
    if one.device.type == "cpu":
        # The same operations in the same order: equal to the last bit.
        return torch.equal(one, other) or torch.allclose(one, other, rtol=0, atol=0, equal_nan=True)
    return torch.allclose(one, other, rtol=1e-3, atol=1e-5, equal_nan=True)


def _within_rounding(
    model: nn.Module, example: Example, returned: dict[str, torch.Tensor], probed: dict[str, torch.Tensor]
) -> bool:
    """Return whether the probe's results are about as close to the model's in float64 as the model's own are."""
    exact_example = example.replaced(
        tuple(tensor.double() if tensor.is_floating_point() else tensor for tensor in example.tensors)
    )
    try:
        exact = _tensors(exact_example.run(model.double()))
    except Exception:
        # A model that keeps float32 tensors besides its parameters and buffers can't run in float64.
        return False
    return exact.keys() == returned.keys() and all(
        _same(tensor, probed[path]) or _as_near(tensor, probed[path], exact[path]) for path, tensor in returned.items()
    )


def _as_near(one: torch.Tensor, other: torch.Tensor, exact: torch.Tensor) -> bool:
    if not one.is_floating_point() or not one.shape == other.shape == exact.shape or one.dtype != other.dtype:
        return False
    known = exact.isfinite() & one.isfinite()
    if not torch.equal(known, other.isfinite()) or not bool(known.any()):
        return False
    own, others, scale = (each[known].double().abs().max() for each in (one - exact, other - exact, exact))
    # The model's result may be exact by chance, so an error of one rounding is always allowed for.
    return bool(others <= _OTHER_KERNELS * max(own, scale * torch.finfo(one.dtype).eps))
