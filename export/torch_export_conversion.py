"""probe -> torch.export's program, whose results have the probe's names in the probe's order, in a `.pt2` archive."""

import io
from pathlib import Path

import torch
from torch import fx

from probe import Probe
from probe.capture.quiet import torch_silenced
from runtime.artifact.errors import ExportError, first_line
from runtime.artifact.manifest import MANIFEST_FILE

from .onnx_conversion import CONVERTED_BATCH, dynamic_shapes
from .origin_marks import marked_module

__all__ = ["save_torch_export", "to_torch_export"]

_TRACES = ("stack_trace", "source_fn_stack", "torch_fn", "from_node", "custom")
"""The metadata of a node that holds, or may hold, paths of the machine that exports."""


def to_torch_export(probe: Probe) -> torch.export.ExportedProgram:
    """Return the probe as torch.export's program, with the open sizes that its inputs have, over the same weights.

    Its nodes are marked with the steps that they belong to (`origin_marks.py`).

    Raises:
        ExportError: torch.export can't take the probe; the message holds its reason.
    """
    try:
        with torch_silenced(), torch.no_grad():
            program = torch.export.export(
                marked_module(probe),
                probe.noise_input(batch=CONVERTED_BATCH),
                dynamic_shapes=dynamic_shapes(probe),
                strict=False,
            )
    except Exception as error:
        raise ExportError(f"torch.export can't convert this model: {first_line(error)}") from error
    # The noise that it was exported with would be saved as well.
    program.example_inputs = None
    return program


def save_torch_export(program: torch.export.ExportedProgram, file: Path, manifest: str) -> None:
    """Write the program, without its marks, with the manifest's JSON inside, as the extra file `manifest.json`.

    Raises:
        ExportError: torch.export can't serialise something in the program.
    """
    for module in program.graph_module.modules():
        if isinstance(module, fx.GraphModule):
            for node in module.graph.nodes:
                for key in _TRACES:
                    node.meta.pop(key, None)
    # Through memory: a full disk is then an ordinary error, and no partial file is mistaken for a complete one.
    content = io.BytesIO()
    try:
        with torch_silenced():
            torch.export.save(program, content, extra_files={MANIFEST_FILE: manifest})
    except Exception as error:
        raise ExportError(f"torch.export can't save this model: {first_line(error)}") from error
    file.write_bytes(content.getbuffer())
