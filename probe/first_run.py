"""The model's first run: what it returns for the example, why it fails if it does, and whether it keeps state."""

from collections import Counter
from collections.abc import Mapping
from contextlib import nullcontext

import torch
from torch import nn

from runtime.artifact.errors import CaptureError, ModelError, first_line

from .capture.fx_trace import trace
from .capture.quiet import WAY_AROUND_REGIONS, region_reason
from .model.example import Example
from .model.leaf_modules import LeafTest, count_leaf_calls
from .model.shared_copy import shared_copy
from .model.source_places import place_of
from .model.weight_guard import weights_guarded
from .observe.observation import observe
from .observe.results import walk

__all__ = ["run_model"]


def run_model(
    model: nn.Module, call: Example, is_leaf: LeafTest, *, guarded: bool = False
) -> tuple[object, Counter[str]]:
    """Return what the model gives, and how often each of its leaf modules was called for it.

    Args:
        model: stays untouched.
        call: what it is called with.
        is_leaf: which of its modules are leaf modules.
        guarded: whether nobody has seen yet that it doesn't write to its weights.

    Raises:
        ModelError: it keeps state, writes to a weight where it is guarded, or fails; the message names the shapes and,
            if tracing finds it, the node.
    """
    copy = shared_copy(model)
    before = _buffers(copy)
    try:
        with count_leaf_calls(copy, is_leaf) as leaf_calls, weights_guarded(copy) if guarded else nullcontext():
            returned = call.run(copy)
    except ModelError:
        raise
    except Exception as error:
        if guarded:
            # Inside torch's own control flow no guard works. What else fails here fails again.
            return run_model(model, call, is_leaf)
        try:
            observe(trace(shared_copy(model), call, is_leaf), call)
        except CaptureError as failure:
            # If the model checks its own input, the tracing error shows a proxy in place of what it found.
            if failure.node and "Proxy(" not in str(failure):
                raise failure from error
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in call.tensors)
        reason = region_reason(error)
        told = f"{reason}.\n{WAY_AROUND_REGIONS}" if reason else first_line(error)
        refused = ModelError(f"{type(model).__name__} fails on an input of shape {shapes}{place_of(error)}: {told}")
        refused.fails_on_input = True
        raise refused from error
    after = _buffers(copy)
    # A model may fill a buffer in its first run and never change it again.
    if _changed(before, after):
        again = call.run(copy)
        changed = _changed(after, _buffers(copy))
        # An integer that counts the runs doesn't matter either, unless a result depends on it.
        counts_only = not any(after[name].is_floating_point() for name in changed)
        if changed and not (counts_only and _same_results(returned, again)):
            raise ModelError(
                f"{type(model).__name__} writes to its buffer {changed[0]} each time it runs in eval mode: it "
                "keeps state, and a probe has none.\nWrite to it only in training: if self.training."
            )
    return returned, leaf_calls


def _buffers(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: buffer.clone() for name, buffer in model.named_buffers() if buffer.layout is torch.strided}


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
