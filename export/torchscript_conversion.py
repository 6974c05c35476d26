"""probe -> TorchScript, which returns `Dict[str, Tensor]` with the probe's names in the probe's order."""

import io
import operator
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import fx
from torch.nn import functional

from probe import Probe
from runtime.artifact.errors import ExportError, first_line
from runtime.artifact.manifest import MANIFEST_FILE

from .onnx_conversion import CONVERTED_BATCH

__all__ = ["save_torchscript", "to_torchscript"]

_UNPOOLING_CHECK = "_check_unpool_output_size"
"""The function with which torch.nn.functional checks the size of an unpooling."""


def to_torchscript(probe: Probe) -> torch.jit.ScriptModule:
    """Return the probe as TorchScript, by tracing: the graph has no control flow left that tracing could miss.

    Raises:
        ExportError: torch.jit can't trace the probe.
    """
    # Another input than the reference's, so that a number which tracing made a constant shows in the trial run.
    inputs = probe.noise_input(batch=CONVERTED_BATCH, seed=1)
    try:
        with _without_warnings(), _unchecked_unpooling(), torch.no_grad():
            # A dict is a "non-strict" output: torch only fixes the set of keys, as intended.
            traced = torch.jit.trace(  # type: ignore[no-untyped-call]
                _broadcasting_writes(probe.module), inputs, strict=False, check_trace=False
            )
    except Exception as error:
        reason = first_line(error)
        if "requires grad as a constant" in reason:
            # Of a module outside the graph, which only a function that is kept on one of its modules can reach.
            raise ExportError(
                "torch.jit can't trace this model: a hook, or a forward set on a module, uses another module's weights."
                "\nCall that module in the forward of the class instead."
            ) from error
        raise ExportError(f"torch.jit can't trace this model: {reason}") from error
    assert isinstance(traced, torch.jit.ScriptModule)
    for module in traced.modules():
        # A module that is called twice has a method for each call, a container has none.
        inside: Any = module._c
        for name in inside._method_names():
            _leave_settings_open(inside._get_method(name).graph)
    return traced


def _leave_settings_open(graph: Any) -> None:
    """Make the graph's convolutions obey the settings of the process that runs them.

    torch.jit records those of the process that traces, as arguments: with `allow_tf32`, which is on by default, a GPU
    would compute in TF32 even where the program that loads the file has turned it off.
    """
    for node in graph.findAllNodes("aten::_convolution"):
        x, weight, bias, stride, padding, dilation, transposed, output_padding, groups, *_ = node.inputs()
        axes = len(list(stride.node().inputs()))
        if transposed.toIValue():
            kind, arguments = "conv_transpose", [stride, padding, output_padding, groups, dilation]
        else:
            kind, arguments = "conv", [stride, padding, dilation, groups]
        call = graph.create(f"aten::{kind}{axes}d", [x, weight, bias, *arguments], 1)
        call.insertBefore(node)
        call.copyMetadata(node)
        call.output().setType(node.output().type())
        node.output().replaceAllUsesWith(call.output())
        node.destroy()


def _broadcasting_writes(module: fx.GraphModule) -> fx.GraphModule:
    """Return the module, over the same weights, with writes that broadcast for any batch: `y[:, 1] = plane`.

    torch.jit traces such a write with `plane` expanded to the traced sizes, as plain numbers.
    """
    graph = fx.Graph()
    graph.output(graph.graph_copy(module.graph, {}))
    for node in graph.nodes:
        if node.target is operator.setitem:
            node.target = _write
    return fx.GraphModule(module, graph, type(module).__name__)


def _write(tensor: torch.Tensor, key: Any, value: Any) -> None:
    items = key if isinstance(key, tuple) else (key,)
    is_view = not any(isinstance(item, torch.Tensor | list | bool) for item in items)
    if not is_view or not isinstance(value, torch.Tensor):
        tensor[key] = value
        return
    target = tensor[key]
    while value.ndim > target.ndim and value.shape[0] == 1:
        value = value[0]
    target.copy_(value)


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
    # TorchScript is deprecated (works up to Python 3.13) and warns at each call; it is offered for those who deploy it.
    # Its TracerWarnings are about checks of shapes in Python, which a traced batch can't change.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _unchecked_unpooling() -> Iterator[None]:
    # While torch.jit traces, sizes are tensors, which the check of an unpooling's size refuses (torch 2.15).
    check = getattr(functional, _UNPOOLING_CHECK, None)
    if check is None:
        yield
        return
    setattr(functional, _UNPOOLING_CHECK, lambda sizes, axis: None)  # noqa: ARG005
    try:
        yield
    finally:
        setattr(functional, _UNPOOLING_CHECK, check)
