"""The model's own first run: what it gives for the example, why it fails if it does, and whether it keeps a state."""

from collections.abc import Mapping

import torch
from torch import nn

from runtime.artifact.errors import CaptureError, ModelError, first_line

from .capture.fx_trace import trace
from .model.example import Example
from .model.shared_copy import shared_copy
from .model.source_places import place_of
from .observe.observation import observe
from .observe.results import walk

__all__ = ["run_model"]


def run_model(model: nn.Module, call: Example) -> object:
    """Return what the model gives.

    Raises:
        ModelError: it fails; the message names the node, if tracing can tell it, and the shapes.
    """
    copy = shared_copy(model)
    before = _buffers(copy)
    try:
        returned = call.run(copy)
    except ModelError:
        raise
    except Exception as error:
        try:
            observe(trace(shared_copy(model), call), call)
        except CaptureError as failure:
            # Where the model itself checks its input, the graph can't tell what it found.
            if failure.node and "Proxy(" not in str(failure):
                raise failure from error
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in call.tensors)
        raise ModelError(
            f"{type(model).__name__} fails on an input of shape {shapes}{place_of(error)}: {first_line(error)}"
        ) from error
    after = _buffers(copy)
    # A model may fill a buffer on its first run, and leave it so.
    if _changed(before, after):
        again = call.run(copy)
        changed = _changed(after, _buffers(copy))
        # Nor does an integer that counts the runs matter, unless a result is made of it.
        counts_only = not any(after[name].is_floating_point() for name in changed)
        if changed and not (counts_only and _same_results(returned, again)):
            raise ModelError(
                f"{type(model).__name__} writes to its buffer {changed[0]} each time it is run in eval mode: it "
                "keeps a state, and a probe has none.\nWrite to it in training alone: if self.training."
            )
    return returned


def _buffers(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: buffer.clone() for name, buffer in model.named_buffers()}


def _same_results(one: object, other: object) -> bool:
    pairs = zip(walk(one), walk(other), strict=True)
    return all(torch.equal(a, b) for (_, a), (_, b) in pairs if isinstance(a, torch.Tensor))


def _changed(before: Mapping[str, torch.Tensor], after: Mapping[str, torch.Tensor]) -> list[str]:
    return [
        name
        for name, tensor in after.items()
        if name in before
        and (tensor.shape != before[name].shape or not torch.equal(tensor.nan_to_num(), before[name].nan_to_num()))
    ]
