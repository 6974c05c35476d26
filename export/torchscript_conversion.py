"""probe -> TorchScript, which returns `Dict[str, Tensor]` with the probe's names in the probe's order."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from probe import Probe
from probe.errors import first_line
from runtime.manifest import MANIFEST_FILE

from .errors import ExportError

__all__ = ["save_torchscript", "to_torchscript"]


def to_torchscript(probe: Probe) -> torch.jit.ScriptModule:
    """Return the probe as TorchScript, by tracing: the graph has no control flow left that tracing could miss.

    Raises:
        ExportError: torch.jit can't trace the probe, or has taken a size for a constant.
    """
    inputs = probe.noise_input(batch=2)
    try:
        with _without_warnings(), torch.no_grad():
            # A dict is a "non-strict" output: torch only fixes the set of keys, which is what is wanted.
            traced = torch.jit.trace(  # type: ignore[no-untyped-call]
                probe.module, inputs, strict=False, check_trace=False
            )
    except Exception as error:
        raise ExportError(f"torch.jit can't trace this model: {first_line(error)}") from error
    assert isinstance(traced, torch.jit.ScriptModule)
    _check_other_sizes(traced, probe, inputs)
    return traced


def _check_other_sizes(traced: torch.jit.ScriptModule, probe: Probe, inputs: tuple[torch.Tensor, ...]) -> None:
    """Run the trace on inputs of other sizes than it was made with, where the probe takes others."""
    others = probe.noise_input(batch=1, larger=True)
    if all(one.shape == other.shape for one, other in zip(inputs, others, strict=True)):
        return
    with _without_warnings(), torch.no_grad():
        expected = probe(*others)
        try:
            given = traced(*others)
            name = next((name for name, tensor in expected.items() if not _agree(given[name], tensor)), None)
            cause = None if name is None else f"{name!r} differs"
        except RuntimeError as error:
            cause = str(error).strip().splitlines()[-1]
    if cause is not None:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in others)
        raise ExportError(
            f"torch.jit takes a size for a constant that this model computes with: on inputs of {shapes}, {cause}.\n"
            "Compute it in the model with operations on tensors, or probe it without --dynamic-size if that was set."
        )


def _agree(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Tell whether two results are one computation's: a wrong size is no matter of rounding."""
    if one.shape != other.shape:
        return False
    scale = float(other.abs().nan_to_num(0, 0, 0).max()) if other.numel() and other.is_floating_point() else 0.0
    return torch.allclose(one, other, rtol=1e-2, atol=1e-2 * scale, equal_nan=True)


def save_torchscript(module: torch.jit.ScriptModule, file: Path, manifest: str) -> None:
    """Write the module with the manifest's JSON inside, as the extra file `manifest.json`."""
    # Through memory: where the disk is full, torch's own writing to a file ends the whole process (an exception in
    # the destructor of PyTorchStreamWriter) instead of raising an error.
    content = io.BytesIO()
    with _without_warnings():
        torch.jit.save(module, content, _extra_files={MANIFEST_FILE: manifest})
    file.write_bytes(content.getbuffer())


@contextmanager
def _without_warnings() -> Iterator[None]:
    # TorchScript is deprecated (works up to Python 3.13) and says so at each call; it is offered for those who have
    # it deployed. Its TracerWarnings are about checks of shapes in Python, which a traced batch can't change.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
