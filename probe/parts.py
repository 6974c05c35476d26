"""Finds parts of a model that can be probed if the whole can't."""

import torch
from torch import nn

from runtime.artifact.errors import CaptureError, ModelError

from .capture.fx_trace import trace
from .capture.torch_export import export_capture
from .model.example import Example
from .model.shared_copy import shared_copy
from .model.submodule_calls import record_calls
from .observe.observation import observe

__all__ = ["find_parts"]

_WANTED, _TRIED = 3, 8
"""How many parts are suggested, and how many are tried at most: each takes a capture."""


def find_parts(model: nn.Module, example: Example) -> list[str]:
    """Return paths of up to three submodules that can be captured, outermost and largest first, none inside another."""
    candidates = {
        path: sum(parameter.numel() for parameter in part.parameters())
        for path, part in model.named_modules()
        if path and any(True for _ in part.children()) and not isinstance(part, torch.jit.ScriptModule)
    }
    recorded = record_calls(model, example, list(candidates))
    calls = {path: call for path, call in recorded.items() if isinstance(call, Example)}
    found: list[str] = []
    tried = 0
    for path in sorted(calls, key=lambda path: (path.count("."), -candidates[path])):
        if tried == _TRIED or len(found) == _WANTED:
            break
        if not any(path.startswith(f"{outer}.") for outer in found):
            tried += 1
            if _can_be_captured(model.get_submodule(path), calls[path]):
                found.append(path)
    return found


def _can_be_captured(part: nn.Module, call: Example) -> bool:
    for capture in (trace, export_capture):
        try:
            observe(capture(shared_copy(part), call), call)
        except (CaptureError, ModelError):
            continue
        return True
    return False
