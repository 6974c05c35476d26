"""Loads weights from a file into a model: safetensors, or a PyTorch state dict, without running code from the file."""

import hashlib
from pathlib import Path

import torch
from torch import nn

from runtime.artifact.errors import WeightsError, first_line
from runtime.artifact.file_reading import nothing_at
from runtime.artifact.showing import shape_words

from .check import checked_model

__all__ = ["load_weights", "nonfinite_weights", "trained_weights", "weights_digest"]

_REMEDY = "Save only its weights: torch.save(model.state_dict(), 'weights.pt')."

_COUNT = "num_batches_tracked"


def load_weights(model: nn.Module, file: Path, name: str = "") -> list[str]:
    """Load the state dict in `file` (`.safetensors`, or `.pt`/`.pth`) into `model`, completely or not at all.

    Args:
        model: receives the weights.
        file: what a training script saved: a state dict, also of a `DataParallel` model, or a checkpoint.
        name: the model's name in messages; its class by default.

    Returns:
        Where in the file the weights were, and what they were cast to, in words for the user; empty if the file is the
        model's state dict.

    Raises:
        WeightsError: the file can't be read, or its keys or shapes don't fit the model (the message names the first).
    """
    model = checked_model(model)
    name = name or type(model).__name__
    state, taken = _read_state(file)
    expected = model.state_dict()
    state = _without_prefix(state, expected, taken)
    state = _with_counts(state, expected)
    problems = [
        f"{key}: the model has {_describe(expected.get(key))}, the file {_describe(state.get(key))}"
        for key in [*expected, *(key for key in state if key not in expected)]
        if _describe(expected.get(key)) != _describe(state.get(key))
    ]
    if problems:
        more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
        raise WeightsError(
            f"The weights in {file} don't fit {name}: {len(problems)} of "
            f"{len(expected.keys() | state.keys())} entries differ.\n{'; '.join(problems[:3])}{more}"
        )
    cast = [(state[key].dtype, tensor.dtype) for key, tensor in expected.items() if state[key].dtype != tensor.dtype]
    if cast:
        taken.append("and cast from {} to {}".format(*(str(dtype).removeprefix("torch.") for dtype in cast[0])))
    try:
        model.load_state_dict(state)
    except Exception as error:
        raise WeightsError(f"{file} can't be loaded into {name}: {first_line(error)}") from error
    return taken


def _without_prefix(
    state: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], taken: list[str]
) -> dict[str, torch.Tensor]:
    """Return the weights of a model that was an attribute of what was saved, as in Lightning: `model.conv1.weight`.

    The state is returned as it is unless each of its keys has the prefix, and without it is the model's.
    """
    wanted = {key for key in expected if not key.endswith(_COUNT)}
    first = next((key for key in expected if key in wanted), "")
    ends = (key.removesuffix(first) for key in state if key.endswith(f".{first}"))
    for prefix in filter(next(iter(state), "").startswith, ends):
        inside = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        if len(inside) == len(state) and wanted <= inside.keys() <= expected.keys():
            taken.append(f"without the prefix {prefix!r} in their names")
            return inside
    return state


def _with_counts(state: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the state with the counts of batch norms as integers, on which no result depends in eval mode: they are
    missing in old files, and `value.half()` makes them floats.
    """
    counts = {key: tensor for key, tensor in expected.items() if key.endswith(_COUNT)}
    given = {key: state[key].nan_to_num().to(own.dtype) for key, own in counts.items() if _is_count(state.get(key))}
    absent = {key: own for key, own in counts.items() if key not in state}
    return {**state, **given, **absent}


def _is_count(tensor: torch.Tensor | None) -> bool:
    return tensor is not None and not tensor.ndim and not tensor.is_complex()


def trained_weights(model: str) -> str:
    """Return the address of torchvision's own weights of a model, `torchvision:resnet18`; empty if there are none."""
    library, _, name = model.partition(":")
    if library != "torchvision":
        return ""
    from torchvision.models import get_model_weights

    try:
        found = get_model_weights(name).DEFAULT  # an enumeration without members has none
    except (AttributeError, ValueError):
        return ""
    return str(found.url)


def _describe(tensor: torch.Tensor | None) -> str:
    if tensor is None:
        return "none"
    # Half-precision weights fit a float model; integers or complex numbers would be converted with loss.
    kind = "" if tensor.is_floating_point() else f" {str(tensor.dtype).removeprefix('torch.')}"
    return shape_words(tensor.shape) + kind


def _read_state(file: Path) -> tuple[dict[str, torch.Tensor], list[str]]:
    if not file.is_file():
        missing = f"{nothing_at(file, 'file')} Check the path of the weights."
        raise WeightsError(f"{file} is not a file." if file.exists() else missing)
    try:
        if file.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            return load_file(file), []
        # weights_only refuses everything but tensors and plain containers: a pickle can run any code.
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch's own message fills a page, and suggests loading the file unsafely.
        if "Unsupported global" in str(error):
            raise WeightsError(
                f"{file} holds a whole model or other Python objects, and reading them could run any code.\n{_REMEDY}"
            ) from error
        raise WeightsError(
            f"{file} can't be read as weights.\n"
            "Pass a .safetensors file, or a .pt file of a state dict: torch.save(model.state_dict(), 'weights.pt')."
        ) from error
    taken: list[str] = []
    state = _unwrap(content, taken)
    if state is None:
        held = (
            f"the keys {', '.join(map(str, list(content)[:4]))}"
            if isinstance(content, dict)
            else type(content).__name__
        )
        raise WeightsError(f"{file} holds {held}, not a state dict of tensors.\n{_REMEDY}")
    return state, taken


def _unwrap(content: object, taken: list[str]) -> dict[str, torch.Tensor] | None:
    """Return the state dict in what a training script saved: as it is, in a checkpoint, or of a DataParallel model.

    Each step of unwrapping it is added to `taken`, in words for the user.
    """
    if not isinstance(content, dict) or not content:
        return None
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(content.get(key), dict):
            others = [str(other) for other in content if other != key]
            ignored = f" (ignoring {', '.join(others[:3])}{', ...' if len(others) > 3 else ''})" if others else ""
            taken.append(f"from its entry {key!r}{ignored}")
            return _unwrap(content[key], taken)
    if not all(isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in content.items()):
        return None
    for prefix in ("module.", "_orig_mod."):  # of nn.DataParallel, of torch.compile
        if all(key.startswith(prefix) for key in content):
            taken.append(f"without the prefix {prefix!r} in their names")
            return _unwrap({key.removeprefix(prefix): value for key, value in content.items()}, taken)
    return dict(content)


def nonfinite_weights(module: nn.Module) -> str:
    """Return which parameters and buffers hold NaN or infinity, in words for the user; empty if none does.

    The -inf of a buffer is a mask.
    """
    broken = [
        (name, kind)
        for name, tensor in (*module.named_parameters(), *module.named_buffers())
        if tensor.is_floating_point()
        and tensor.layout is torch.strided
        and (kind := _nonfinite(tensor.detach(), is_mask=not isinstance(tensor, nn.Parameter)))
    ]
    if not broken:
        return ""
    (name, kind), *others = broken
    more = f", and {len(others)} more {'does' if len(others) == 1 else 'do'}" if others else ""
    return f"{name} holds {kind}{more}: what is computed with it proves nothing"


def _nonfinite(tensor: torch.Tensor, *, is_mask: bool) -> str:
    if tensor.itemsize == 1:  # torch looks for no NaN in 8 bits
        tensor = tensor.float()
    # The sum is no number if any element is none; it may overflow, too.
    if bool(tensor.sum().isfinite()) or bool(tensor.isfinite().all()):
        return ""
    if bool(tensor.isnan().any()):
        return "NaN"
    return "" if is_mask and not bool(tensor.isposinf().any()) else "infinity"


def weights_digest(module: nn.Module) -> str:
    """Return a SHA-256 over the parameters and buffers of a module, with their names and dtypes.

    For the graph that a model was captured as (`Probe.traced.module`), it is a fingerprint of the model's weights,
    whichever outputs were chosen.
    """
    tensors = {**dict(module.named_buffers()), **dict(module.named_parameters())}
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        # As bytes: NumPy has no bfloat16.
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
