"""What each node of a traced model holds, observed by running it once on the example input.

Tracing records the order of operations; only a run shows the shapes, which tensors share memory, and which are
overwritten after they were computed.
"""

import contextlib
import itertools
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils import _pytree as pytree

from runtime.artifact.errors import CaptureError, first_line

from ..capture.labels import name_operation
from ..capture.quiet import WAY_AROUND_TRANSFORMS, torch_silenced
from ..capture.traced_model import TracedModel
from ..model.example import Example
from ..model.shared_copy import memory_of, shared_copy

__all__ = ["Observation", "observe", "observe_shapes"]

_MAY_COPY = {
    "contiguous", "reshape", "reshape_as", "flatten", "unflatten", "ravel", "to", "type", "type_as", "float", "double",
    "half", "bfloat16", "cpu", "cuda", "as_tensor", "asarray", "einsum", "pixel_shuffle", "pixel_unshuffle",
    "channel_shuffle",
}  # fmt: skip
"""Operations that return a view or the tensor itself where they can, and a copy where they must."""


@dataclass(frozen=True)
class Observation:
    """What a node returned when it ran."""

    kind: str
    """The type's name: `Tensor`, `int`, `tuple`, `Size`."""
    shape: tuple[int, ...]
    """Empty unless `kind` is `Tensor`."""
    dtype: torch.dtype | None
    overwritten: bool
    """A later operation wrote into this tensor's memory, or does so for inputs of another batch or memory format."""
    written: bool
    """This operation itself wrote into the memory: `relu_`, `out=`."""
    memory: tuple[int, int] | None
    """Storage, and how often it had been written to: equal for tensors over one storage with no write in between."""
    span: tuple[int, int]
    """Where in the storage the tensor begins and ends, in bytes."""
    dense: bool
    """The tensor fills its span, with no gaps."""
    keys: tuple[Any, ...] | None
    """Indices or keys, if `kind` is a tuple, list or dictionary."""


def observe(traced: TracedModel, example: Example, *, computed: bool = True) -> dict[fx.Node, Observation]:
    """Run the traced model on the example (left unchanged) and return what each node returned.

    Unless it is to be `computed`, its tensors have no values and take no memory, as far as torch can do without.

    Writes are detected by the version counters of an operation's inputs: torch increments the counter, which a tensor
    shares with its views, whenever an operation writes into it. So `relu_`, `+=`, `out=` and a write through a view are
    all detected, whatever their names, and even if the values happen not to change. All tensors over that storage then
    count as written to: `y.data` has its own counter, but the storage of `y`.

    Whether `contiguous`, `reshape` or `to` copies depends on strides and dtypes, and these on the input's batch and
    memory format: their input and their result count as one storage, whatever they did in this run.

    Raises:
        CaptureError: a node fails; the message names it, its source line and the shapes it got.
    """
    recorder = None
    if not computed:
        with torch_silenced(), contextlib.suppress(Exception):
            recorder = _run_on_meta(traced, example)
    if recorder is None:
        recorder = _Recorder(traced)
        # Tensors made in inference mode, which the caller may be in, have no version counters.
        with torch.inference_mode(False), torch.no_grad():
            recorder.run(*(tensor.clone() for tensor in example.tensors))
    found: dict[fx.Node, Observation] = {}
    for node, value in recorder.values.items():
        try:
            around = recorder.writes_around(node, value) if isinstance(value, torch.Tensor) else (0, False, False)
            found[node] = _describe(value, *around)
        except (NotImplementedError, RuntimeError) as error:
            # Sparse tensors, and those inside torch.vmap, have no storage to look at.
            raise _not_dense(traced, node, value) from error
    return found


def _not_dense(traced: TracedModel, node: fx.Node, value: torch.Tensor) -> CaptureError:
    # What torch.vmap does before the model's first operation inside it has no line.
    later = itertools.dropwhile(lambda each: each is not node, traced.module.graph.nodes)
    origin = next((traced.origins[each] for each in later if each in traced.origins), None)
    where = f" at {origin.located}" if origin else ""
    if value.layout is not torch.strided:
        return CaptureError(f"The model computes with a tensor that isn't dense{where}")
    failure = CaptureError(
        f"The model computes inside torch.vmap or torch.func{where}, where no tensor can be recorded"
    )
    failure.advice = WAY_AROUND_TRANSFORMS
    return failure


def _describe(value: object, writes_before: int, overwritten: bool, written: bool) -> Observation:
    if not isinstance(value, torch.Tensor):
        parts: tuple[Any, ...] | None = None
        if isinstance(value, dict):
            parts = tuple(value)
        elif isinstance(value, tuple | list) and not isinstance(value, torch.Size):
            parts = tuple(range(len(value)))
        return Observation(type(value).__name__, (), None, False, False, None, (0, 0), False, parts)
    begin = int(value.storage_offset()) * value.itemsize
    extent = 1 + sum((size - 1) * stride for size, stride in zip(value.shape, value.stride(), strict=True))
    return Observation(
        kind="Tensor",
        shape=tuple(value.shape),
        dtype=value.dtype,
        overwritten=overwritten,
        written=written,
        memory=(memory_of(value), writes_before),
        span=(begin, begin + int(extent) * value.itemsize),
        dense=value.numel() == extent,
        keys=None,
    )


def observe_shapes(traced: TracedModel, example: Example) -> dict[fx.Node, tuple[int, ...]] | Exception:
    """Return the tensors' shapes for inputs of another size, without computing; the error, if the graph fails there."""
    with torch_silenced():
        # On the meta device a ResNet-50 takes a fifth of the time: a FakeTensorMode wraps each weight and runs each
        # operation in Python. It knows the values of small constants, though, and keeps the tensors' devices.
        with contextlib.suppress(Exception):
            return _run_on_meta(traced, example).shapes()
        try:
            with torch.inference_mode(False), torch.no_grad():
                return _run_faked(traced, example)
        except Exception as error:
            return error


def _run_on_meta(traced: TracedModel, example: Example) -> "_Recorder":
    recorder = _Recorder(traced, shared_copy(traced.module).to("meta"))
    with torch.inference_mode(False), torch.no_grad(), torch.device("meta"):
        recorder.run(*(tensor.to("meta") for tensor in example.tensors))
    return recorder


def _run_faked(traced: TracedModel, example: Example) -> dict[fx.Node, tuple[int, ...]]:
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    recorder = _Recorder(traced)
    with fake:
        recorder.run(*(fake.from_tensor(tensor) for tensor in example.tensors))
    return recorder.shapes()


class _Recorder(fx.Interpreter):
    """Keeps each node's value, and which storages were written to when.

    The values stay alive until the end, so that no memory is reused for a later tensor, which would look like sharing.
    """

    def __init__(self, traced: TracedModel, module: nn.Module | None = None) -> None:
        """Take what to run, and what its graph runs on if that isn't its own module."""
        super().__init__(module or traced.module, graph=traced.module.graph)
        # Interpreter adds a dump of the whole graph to the error; the message below says what matters.
        self.extra_traceback = False
        self.values: dict[fx.Node, Any] = {}
        self._traced = traced
        self._writes: list[int] = []
        """The storages that were written to, in order."""
        self._writes_before: dict[fx.Node, int] = {}
        """How many of these writes came before a node was computed, its own included."""
        self._written_by: dict[fx.Node, set[int]] = {}
        self._as_one: dict[int, set[int]] = {}
        """For each storage that may be one with others for other inputs: all of them."""

    def shapes(self) -> dict[fx.Node, tuple[int, ...]]:
        """Return the shapes of the tensors that the nodes returned."""
        return {
            node: tuple(int(size) for size in value.shape)
            for node, value in self.values.items()
            if isinstance(value, torch.Tensor)
        }

    def writes_around(self, node: fx.Node, tensor: torch.Tensor) -> tuple[int, bool, bool]:
        """Return how often a node's storage had been written to when it was computed, whether it was later, and
        whether by the node itself.
        """
        storage, made = memory_of(tensor), self._writes_before[node]
        later = not self._as_one.get(storage, {storage}).isdisjoint(self._writes[made:])
        return self._writes[:made].count(storage), later, storage in self._written_by[node]

    def run_node(self, n: fx.Node) -> Any:
        given = [tensor for source in n.all_input_nodes for tensor in _tensors(self.values[source])]
        versions = [tensor._version for tensor in given]
        try:
            value = super().run_node(n)
        except Exception as error:
            raise self._failure(n, error) from error
        written = {memory_of(one) for one, version in zip(given, versions, strict=True) if one._version != version}
        self._writes.extend(written)
        if n.op != "output":
            # An alias, because `unsqueeze_` and the like change the shape of the very tensor.
            self.values[n] = value.detach() if isinstance(value, torch.Tensor) else value
            self._writes_before[n] = len(self._writes)
            self._written_by[n] = written
            if name_operation(self._traced.module, n)[0] in _MAY_COPY:
                self._join({memory_of(tensor) for tensor in (*given, *_tensors(value))})
        return value

    def _join(self, storages: set[int]) -> None:
        joined = set().union(*(self._as_one.get(storage, {storage}) for storage in storages))
        self._as_one |= dict.fromkeys(joined, joined)

    def _failure(self, node: fx.Node, error: Exception) -> CaptureError:
        origin = self._traced.origins.get(node)
        name = origin.name if origin else node.name
        place = f" ({origin.source})" if origin and origin.source else ""
        given = [self.values[source] for source in node.all_input_nodes]
        shapes = [tuple(value.shape) for value in given if isinstance(value, torch.Tensor)]
        inputs = [value for source, value in self.values.items() if source.op == "placeholder"]
        failure = CaptureError(
            f"The model fails at {name}{place} on an input of shape "
            f"{', '.join(str(tuple(value.shape)) for value in inputs if isinstance(value, torch.Tensor))}.\n"
            f"{name} got {', '.join(map(str, shapes)) or 'no tensor'}: {first_line(error)}"
        )
        failure.node, failure.fails_on_input = name, True
        return failure


def _tensors(value: object) -> list[torch.Tensor]:
    return [leaf for leaf in pytree.tree_leaves(value) if isinstance(leaf, torch.Tensor)]
