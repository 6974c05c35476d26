"""What each node of a traced model really holds, found by running it once on the example input.

Tracing tells the order of operations; only running tells shapes, which tensors share memory, and which are
overwritten after they were computed.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import fx
from torch._subclasses.fake_tensor import FakeTensorMode

from .errors import CaptureError, first_line
from .example import Example
from .quiet import torch_silenced
from .traced_model import TracedModel

__all__ = ["Observation", "observe", "observe_shapes"]


@dataclass(frozen=True)
class Observation:
    """What a node gave when it ran."""

    kind: str
    """The type's name: `Tensor`, `int`, `tuple`, `Size`."""
    shape: tuple[int, ...]
    """Empty unless `kind` is `Tensor`."""
    dtype: torch.dtype | None
    overwritten: bool
    """A later operation wrote into this tensor's memory."""
    memory: tuple[int, int] | None
    """Storage and version: equal for tensors over one storage with no write in between."""
    span: tuple[int, int]
    """Where in the storage the tensor begins and ends, in bytes."""
    dense: bool
    """The tensor fills its span, with no gaps."""
    keys: tuple[Any, ...] | None
    """Indices or keys, if `kind` is a tuple, list or dictionary."""


def observe(traced: TracedModel, example: Example) -> dict[fx.Node, Observation]:
    """Run the traced model on the example (left unchanged) and return what each node gave.

    Overwriting is read from the tensors' version counters: torch raises the counter, which a tensor shares with all
    its views, whenever an operation writes into it. So `relu_`, `+=`, `out=` and a write through a view are all seen,
    whatever they are called, and also where the values happen not to change. (Writes through `.data` are not counted
    by torch; code that uses it gives up autograd's own protection as well.)

    Raises:
        CaptureError: a node fails; the message names it, the line and the shapes it got.
    """
    recorder = _Recorder(traced)
    # Tensors made in inference mode, which the caller may be in, have no version counters.
    with torch.inference_mode(False), torch.no_grad():
        recorder.run(*(tensor.clone() for tensor in example.tensors))
    try:
        return {node: _describe(value, recorder.versions.get(node, 0)) for node, value in recorder.values.items()}
    except (NotImplementedError, RuntimeError) as error:
        # Sparse tensors, and those within torch.func.vmap, lie in no memory that could be looked at.
        raise CaptureError(f"The model computes with tensors that aren't dense: {first_line(error)}") from error


def _describe(value: object, version: int) -> Observation:
    if not isinstance(value, torch.Tensor):
        parts: tuple[Any, ...] | None = None
        if isinstance(value, dict):
            parts = tuple(value)
        elif isinstance(value, tuple | list) and not isinstance(value, torch.Size):
            parts = tuple(range(len(value)))
        return Observation(type(value).__name__, (), None, False, None, (0, 0), False, parts)
    begin = int(value.storage_offset()) * value.itemsize
    extent = 1 + sum((size - 1) * stride for size, stride in zip(value.shape, value.stride(), strict=True))
    return Observation(
        kind="Tensor",
        shape=tuple(value.shape),
        dtype=value.dtype,
        overwritten=value._version != version,
        memory=(value.untyped_storage()._cdata, version),
        span=(begin, begin + int(extent) * value.itemsize),
        dense=value.numel() == extent,
        keys=None,
    )


def observe_shapes(traced: TracedModel, example: Example) -> dict[fx.Node, tuple[int, ...]] | Exception:
    """Return the tensors' shapes for inputs of another size, without computing; the error, if they can't be taken."""
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    recorder = _Recorder(traced)
    try:
        with torch_silenced(), fake, torch.inference_mode(False), torch.no_grad():
            recorder.run(*(fake.from_tensor(tensor) for tensor in example.tensors))
    except Exception as error:
        return error
    return {
        node: tuple(int(size) for size in value.shape)
        for node, value in recorder.values.items()
        if isinstance(value, torch.Tensor)
    }


class _Recorder(fx.Interpreter):
    """Keeps each node's value, and its version counter at the moment it was computed.

    The values stay alive until the end, so that memory isn't handed to a later tensor, which would look like sharing.
    """

    def __init__(self, traced: TracedModel) -> None:
        super().__init__(traced.module)
        # Interpreter adds a dump of the whole graph to the error; the message below says what matters.
        self.extra_traceback = False
        self.values: dict[fx.Node, Any] = {}
        self.versions: dict[fx.Node, int] = {}
        self._traced = traced

    def run_node(self, n: fx.Node) -> Any:
        try:
            value = super().run_node(n)
        except Exception as error:
            raise self._failure(n, error) from error
        if n.op != "output":
            self.values[n] = value
            if isinstance(value, torch.Tensor):
                self.versions[n] = value._version
        return value

    def _failure(self, node: fx.Node, error: Exception) -> CaptureError:
        origin = self._traced.origins.get(node)
        name = origin.name if origin else node.name
        place = f" ({origin.source_file}:{origin.source_line})" if origin and origin.source_file else ""
        given = [self.values[source] for source in node.all_input_nodes]
        shapes = [tuple(value.shape) for value in given if isinstance(value, torch.Tensor)]
        inputs = [value for source, value in self.values.items() if source.op == "placeholder"]
        failure = CaptureError(
            f"The model fails at {name}{place} on an input of shape "
            f"{', '.join(str(tuple(value.shape)) for value in inputs if isinstance(value, torch.Tensor))}.\n"
            f"It got {', '.join(map(str, shapes)) or 'no tensor'}: {first_line(error)}"
        )
        failure.node = name
        return failure
