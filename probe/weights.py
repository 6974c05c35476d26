"""Weights from a file into a model: safetensors, or a PyTorch state dict read without running anything from it."""

from pathlib import Path

import torch
from torch import nn

from .errors import WeightsError, first_line

__all__ = ["load_weights"]


def load_weights(model: nn.Module, file: Path) -> None:
    """Load the state dict in `file` (`.safetensors`, or `.pt`/`.pth`) into `model`, whole or not at all.

    Raises:
        WeightsError: the file can't be read, or its keys or shapes are not the model's (the first are named).
    """
    state = _read_state(file)
    expected = model.state_dict()
    problems = [
        f"{key}: the model has {_shape(expected.get(key))}, the file {_shape(state.get(key))}"
        for key in [*expected, *(key for key in state if key not in expected)]
        if _shape(expected.get(key)) != _shape(state.get(key))
    ]
    if problems:
        more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
        raise WeightsError(
            f"{file} holds weights of another model than {type(model).__name__}: {len(problems)} of "
            f"{len(expected.keys() | state.keys())} entries differ.\n{'; '.join(problems[:3])}{more}"
        )
    model.load_state_dict(state)


def _shape(tensor: torch.Tensor | None) -> str:
    return "none" if tensor is None else " x ".join(map(str, tensor.shape)) or "a number"


def _read_state(file: Path) -> dict[str, torch.Tensor]:
    if not file.is_file():
        raise WeightsError(f"There is no weights file {file}.")
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(file)
        # weights_only refuses everything but tensors and plain containers: a pickle can run any code.
        state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(
            f"{file} can't be read as weights: {first_line(error)}\n"
            "Give a .safetensors file, or a .pt file that torch.save made of a state dict (not of a whole model)."
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise WeightsError(
            f"{file} holds a {type(state).__name__}, not a state dict of tensors.\n"
            "Save it with torch.save(model.state_dict(), ...)."
        )
    return state
