"""Explains in the model's own terms why torch.onnx can't convert a probe, and what of the model can still be exported.

torch's errors name nodes of graphs that the user never sees. The node that an error is about is in the frames of its
traceback, in torch.fx's interpreter or in torch.onnx's translation, and the node's mark (`origin_marks.py`) gives the
line of the model.
"""

import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn
from torch.fx.experimental.symbolic_shapes import is_concrete_int

from probe import Probe
from probe.capture.quiet import torch_silenced
from runtime.artifact.errors import ExportError, first_line
from runtime.artifact.manifest import Origin

from .export_hints import output_patterns, parts_without
from .origin_marks import origin_of

__all__ = ["explain_failure", "refuse_packed_weights"]

_AXES = {"N": "the batch", "H": "the height", "W": "the width"}


@dataclass(frozen=True)
class _Failure:
    """What is known of an error: the node that it is about, and the torch.export program that the node is in."""

    error: BaseException
    """The innermost one, which gives the reason."""
    node: fx.Node | None
    program: torch.export.ExportedProgram | None
    operator_unknown: bool

    @property
    def origin(self) -> Origin | None:
        return origin_of(self.node) if self.node else None

    @property
    def operator(self) -> str:
        """`aten.median.dim`, or empty if it didn't fail at one."""
        target = self.node.target if self.node else None
        return str(target).removesuffix(".default") if isinstance(target, torch._ops.OpOverload) else ""


def refuse_packed_weights(probe: Probe) -> None:
    """Refuse a model that PyTorch has quantized: its kernels keep weights in objects of their own.

    Raises:
        ExportError: a module holds such weights; the message names the first, with its line.
    """
    graph = probe.traced.module
    for node, origin in probe.traced.origins.items():
        modules = graph.get_submodule(str(node.target)).modules() if node.op == "call_module" else ()
        if any(isinstance(value, torch.ScriptObject) for module in modules for value in vars(module).values()):
            raise ExportError(
                f"{origin.located} is a {origin.label} that PyTorch quantized: ONNX can't hold its packed weights.\n"
                "Export the float model, and quantize its ONNX file (onnxruntime.quantization)."
            )


def explain_failure(
    probe: Probe,
    marked: fx.GraphModule,
    example: tuple[torch.Tensor, ...],
    dynamic_shapes: tuple[dict[int, Any], ...],
    error: BaseException,
) -> ExportError:
    """Return the error for the user: what failed, where in the model, and a way around it.

    Args:
        probe: the probe that failed to convert.
        marked: the module that was converted (`marked_module`), with `example` and `dynamic_shapes`.
        example: see `marked`.
        dynamic_shapes: see `marked`.
        error: what torch.onnx raised.
    """
    failure = _find(error)
    if failure.node is None:
        held = _find_held_size(probe, marked, example, dynamic_shapes)
        if held is not None:
            return held
    explained = ExportError(_explanation(probe, failure))
    # Some operations can only be written for one batch: a convolution in as many groups as images.
    takes_size = failure.node is not None and not failure.operator_unknown and _takes_open_size(failure.node)
    explained.only_in_another_batch = takes_size and probe.fixed_batch is None
    return explained


def _explanation(probe: Probe, failure: _Failure) -> str:
    reason = first_line(failure.error)
    where = f" at {failure.origin.located}" if failure.origin else ""
    if failure.operator_unknown:
        needed = f", needed{where}" if where else ""
        return f"torch.onnx has no operator for {failure.operator}{needed}.\n{_way_around(probe, failure)}"
    if "DataDependent" in type(failure.error).__name__:
        message = f"torch.onnx can't convert this model: a size depends on the values of tensors{where}."
    elif failure.operator and failure.program:
        message = f"torch.onnx can't convert {failure.operator}{where}: {reason}"
    else:
        message = f"torch.onnx can't convert this model{where}: {reason}"
    if failure.node and failure.program and _takes_open_size(failure.node) and _has_open_size(probe):
        return f"{message}\nOmit --dynamic-size (dynamic_size=True): with fixed sizes it may work."
    return f"{message}\n{_way_around(probe, failure)}"


def _find(error: BaseException) -> _Failure:
    """Search an error and its causes, innermost frame first, for a marked node."""
    chain = list(_causes(error))
    node: fx.Node | None = None
    programs: list[torch.export.ExportedProgram] = []
    for each in reversed(chain):
        frames = [frame for frame, _ in traceback.walk_tb(each.__traceback__)]
        for frame in reversed(frames):
            for value in frame.f_locals.values():
                if isinstance(value, torch.export.ExportedProgram):
                    programs.append(value)
                elif node is None and isinstance(value, fx.Node) and origin_of(value):
                    node = value
    program = next((each for each in programs if node is not None and each.graph is node.graph), None)
    unknown = any(type(each).__name__ == "DispatchError" for each in chain)
    return _Failure(chain[-1], node, program, unknown)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__


def _takes_open_size(node: fx.Node) -> bool:
    return any(isinstance(each.meta.get("val"), torch.SymInt) for each in node.all_input_nodes)


def _has_open_size(probe: Probe) -> bool:
    return any(size in ("H", "W") for spec in probe.inputs for size in spec.shape)


def _find_held_size(
    probe: Probe, marked: fx.GraphModule, example: tuple[torch.Tensor, ...], dynamic_shapes: tuple[dict[int, Any], ...]
) -> ExportError | None:
    """Return an error about the step that fixes a size which should stay open, if any: torch notices at the end."""
    held: list[tuple[Origin, int, int]] = []
    watch = _SizeWatch(marked, dynamic_shapes, held)
    try:
        with torch_silenced(), torch.no_grad():
            torch.export.export(watch, example, dynamic_shapes=(dynamic_shapes,), strict=False)
    except Exception:  # It failed before, too; only what the watch recorded matters.
        pass
    if not held:
        return None
    origin, index, axis = held[0]
    symbol = probe.inputs[index].shape[axis]
    message = (
        f"torch.onnx can't leave {_AXES.get(str(symbol), f'axis {axis}')} of {probe.inputs[index].name} open: "
        f"{origin.located} takes only one size."
    )
    if symbol in ("H", "W"):
        return ExportError(f"{message}\nOmit --dynamic-size (dynamic_size=True).")
    explained = ExportError(f"{message}\n{parts_without(probe, {origin.module_path})}")
    explained.only_in_another_batch = symbol == "N"
    return explained


class _SizeWatch(nn.Module):
    """Runs a marked graph under torch.export, and records the node after which an open size turns out to be fixed."""

    def __init__(
        self, marked: fx.GraphModule, open_axes: tuple[dict[int, Any], ...], held: list[tuple[Origin, int, int]]
    ) -> None:
        """Take the list for the steps, each with the input and axis that it fixes: torch.export resets attributes."""
        super().__init__()
        self.marked = marked
        self._open_axes = open_axes
        self._note = held.append

    def forward(self, *inputs: torch.Tensor) -> Any:
        open_axes = [(index, axis) for index, axes in enumerate(self._open_axes) for axis in axes]
        note = self._note

        class Interpreter(fx.Interpreter):
            def run_node(self, n: fx.Node) -> Any:
                value = super().run_node(n)
                origin = origin_of(n)
                for index, axis in open_axes if origin else ():
                    if origin and is_concrete_int(inputs[index].shape[axis]):
                        note((origin, index, axis))
                return value

        return Interpreter(self.marked).run(*inputs)


def _way_around(probe: Probe, failure: _Failure) -> str:
    if failure.program is not None and failure.node is not None:
        spared = _outputs_without(probe, failure.program, failure.node)
        if spared:
            return f"Export the outputs that work without it: {' '.join(f'--outputs {pattern}' for pattern in spared)}"
    places = {failure.origin.module_path} if failure.origin else set()
    if failure.program is not None and failure.node is not None:
        # One operator may be called in many places, and each would fail.
        same = (origin_of(node) for node in failure.program.graph.nodes if node.target == failure.node.target)
        places |= {origin.module_path for origin in same if origin}
    return parts_without(probe, places)


def _outputs_without(probe: Probe, program: torch.export.ExportedProgram, failed: fx.Node) -> list[str]:
    """Return patterns for the outputs that don't depend on the failed node; none if the model's results do.

    torch.export drops what no output needs, and the model's results are always outputs.
    """
    needing = {failed}
    for node in program.graph.nodes:
        if not needing.isdisjoint(node.all_input_nodes):
            needing.add(node)
    names = {node.name for node in needing}
    returned = program.graph_signature.user_outputs
    if len(returned) != len(probe.outputs):
        return []
    lost = {spec.name for spec, value in zip(probe.outputs, returned, strict=True) if value in names}
    if not lost or lost.intersection(probe.results.values()):
        return []
    return output_patterns([spec.name for spec in probe.outputs if spec.name not in lost], lost)
