"""What `build_probe` returns: the rewritten model, what is known of it, and other inputs that it takes."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NoReturn

import torch
from torch import fx

from runtime.artifact.errors import InputError, UsageError
from runtime.artifact.manifest import Constant, Dimension, Input, Output, Skipped, fixed_batch, leading_input
from runtime.artifact.showing import ShowsOutputs
from runtime.artifact.tensors import Tensors

from .capture.traced_model import TracedModel, return_named
from .descriptions import dtype_name
from .model.shared_copy import deep_copy
from .model.weights import nonfinite_weights, weights_digest
from .observe.shapes import SIZE_STEPS
from .other_inputs import draw

__all__ = ["CaptureMethod", "Probe"]

CaptureMethod = Literal["trace", "export"]


@dataclass(frozen=True, repr=False)
class Probe(ShowsOutputs):
    """A model that returns every intermediate tensor by name: call it like the model.

    Attributes:
        module: the `torch.fx.GraphModule`; `forward` returns `{name: tensor}` in the order of `outputs`. Its modules
            are its own, but share the model's weights and buffers in memory: an optimizer would change these for both.
            All stay in eval mode whatever `train()` says, so that no batch norm writes to the model's statistics.
            Tensors that the model replaced are followed when the probe itself is called.
        inputs: the tensors that the model is called with, in order: those within lists and dictionaries, too.
        outputs: the description of each output.
        skipped: the steps of the model that are not outputs, each with its reason.
        results: what the model itself returns: path in its return value (empty for a single tensor) to the name of
            the output that holds it.
        model_name: the model's class.
        example: the tensors that the probe was built with.
        constants: the arguments that are no tensors, by name: the probe computes what the model does with these.
        traced: the model's own graph, unchanged, from which the outputs can be computed without the probe.
        nodes: the node of each output in `traced`.
        overwritten: those of the nodes whose tensors a later operation writes to.
        capture: how the graph was captured: by symbolic tracing (`trace`) or by `torch.export` (`export`).
        was_training: whether the model was in training mode; the probe is in eval mode all the same.
        capture_reason: why `auto` didn't use symbolic tracing; None if it did, or wasn't requested.
        own_values: whether other inputs than the example must have its values, in other batches: the model rejects
            others, or `on_input` was used.
        least_batch: what it was tried with: fewer images may lack one that a region's index asks for.
    """

    module: fx.GraphModule
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    skipped: tuple[Skipped, ...]
    results: dict[str, str]
    model_name: str
    example: tuple[torch.Tensor, ...]
    traced: TracedModel
    nodes: dict[str, fx.Node]
    capture: CaptureMethod = "trace"
    capture_reason: str | None = None
    was_training: bool = False
    constants: Mapping[str, Constant] = field(default_factory=dict)
    own_values: bool = False
    least_batch: int = 1
    overwritten: frozenset[fx.Node] = frozenset()

    def __call__(self, *inputs: torch.Tensor) -> Tensors[torch.Tensor]:
        """Return every output by name, in the order of execution, of the model as it is now."""
        self.traced.following.update()
        return Tensors(self.module(*inputs), self.outputs)

    def __copy__(self) -> "Probe":
        return replace(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Probe":
        """Return the probe of the model as it is now, over weights of its own; it follows the model no more."""
        self.traced.following.update()
        copied = self.over(deep_copy(self.module, memo), deep_copy(self.traced.module, memo))
        return replace(copied, example=copy.deepcopy(self.example, memo))

    def __reduce__(self) -> NoReturn:
        raise UsageError(
            f"The probe of {self.model_name} can't be pickled: it refers to the nodes of its graph.\nPickle its "
            ".module, which returns the same tensors by name, or export it (export_artifact) and open the artifact."
        )

    def over(self, module: fx.GraphModule, traced: fx.GraphModule) -> "Probe":
        """Return the same probe over deep copies of `module` and of the module of `traced`."""
        nodes = self.traced.copied_nodes(traced)
        return replace(
            self,
            module=module,
            traced=self.traced.over(traced),
            nodes={name: nodes[node] for name, node in self.nodes.items()},
            overwritten=frozenset(nodes[node] for node in self.overwritten),
        )

    @property
    def title(self) -> str:
        """What it is called where it is shown."""
        return f"Probe of {self.model_name}"

    @property
    def weights(self) -> str:
        """The SHA-256 by which the model is recognised (`weights_digest`)."""
        self.traced.following.update()
        return weights_digest(self.traced.module)

    @property
    def fixed_batch(self) -> int | None:
        """The batch, if it isn't open: the model fails, or computes something else, in another one."""
        return fixed_batch(self.inputs)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is worth knowing of the capture, and of weights that hold NaN."""
        training = f"{self.model_name} was in training mode: its probe is of the model in eval mode"
        captured = f"captured with torch.export: {self.capture_reason}"
        broken = nonfinite_weights(self.traced.module)
        said = {training: self.was_training, captured: self.capture_reason, broken: broken}
        return tuple(note for note, applies in said.items() if applies)

    def with_fixed_batch(self) -> "Probe":
        """Return the same probe for the example's batch only."""
        batch = _batch_of(self.example)

        def fixed(size: Dimension) -> Dimension:
            factor = str(size).removesuffix("N").removesuffix("*")
            follows = str(size).endswith("N") and (not factor or factor.isdecimal())
            return int(factor or 1) * batch if follows else size

        inputs = tuple(each.model_copy(update={"shape": tuple(map(fixed, each.shape))}) for each in self.inputs)
        outputs = tuple(each.model_copy(update={"shape": tuple(map(fixed, each.shape))}) for each in self.outputs)
        return replace(self, inputs=inputs, outputs=outputs)

    def only(self, names: Iterable[str]) -> "Probe":
        """Return the probe of some of the outputs, over the same weights; what the model returns is not added."""
        kept = set(names)
        nodes = {name: node for name, node in self.nodes.items() if name in kept}
        return replace(
            self,
            module=return_named(
                self.traced.module,
                nodes,
                self.overwritten & set(nodes.values()),
                type(self.module).__name__,
                to_the_last=True,
            ),
            outputs=tuple(each for each in self.outputs if each.name in kept),
            nodes=nodes,
        )

    def sources(self, name: str) -> set[str]:
        """Return the outputs that an output is computed from, and itself."""
        found, waiting = set[fx.Node](), [self.nodes[name]]
        while waiting:
            node = waiting.pop()
            if node not in found:
                found.add(node)
                waiting += node.all_input_nodes
        return {each for each, node in self.nodes.items() if node in found}

    def noise_input(
        self, batch: int = 1, seed: int = 0, *, larger: bool | Mapping[str, int] = False
    ) -> tuple[torch.Tensor, ...]:
        """Return inputs whose `N` is `batch`, counted from `least_batch` as the first: noise, or values of the example
        (see `other_inputs.py`).

        With `larger`, height and width are larger than the example's where the shapes leave them open: by so many
        pixels (`{"H": 3, "W": 5}`), or for True by what every open size was tried with.
        """
        steps = SIZE_STEPS if larger is True else larger or {}

        def size(wanted: Dimension, had: int) -> int:
            if isinstance(wanted, int):
                return wanted
            return self.least_batch - 1 + batch if wanted == "N" else had + steps.get(wanted, 0)

        shapes = [
            tuple(map(size, spec.shape, example.shape)) for spec, example in zip(self.inputs, self.example, strict=True)
        ]
        return draw(self.example, shapes, seed, own_values=self.own_values)

    def on_input(self, given: Sequence[torch.Tensor]) -> "Probe":
        """Return the same probe whose other inputs have the values of `given`: no noise, only larger batches of it.

        Raises:
            InputError: the tensors don't fit `inputs`.
        """
        if len(given) != len(self.inputs) or not all(map(_fits, self.inputs, given)):
            takes = ", ".join(spec.described for spec in self.inputs)
            has = ", ".join(_described(tensor) for tensor in given) or "nothing"
            raise InputError(f"{self.model_name} takes {takes}.\nThe input given is {has}.")
        return replace(self, example=tuple(given), own_values=True, least_batch=_batch_of(given))


def _batch_of(tensors: Sequence[torch.Tensor]) -> int:
    leading = leading_input([tensor.shape for tensor in tensors])
    return 1 if leading is None else tensors[leading].shape[0]


def _described(tensor: torch.Tensor) -> str:
    return Input(name="a tensor", shape=tuple(tensor.shape), dtype=dtype_name(tensor.dtype)).described


def _fits(spec: Input, tensor: torch.Tensor) -> bool:
    return (
        len(spec.shape) == tensor.ndim
        and spec.dtype == dtype_name(tensor.dtype)
        and tensor.numel() > 0
        and all(isinstance(size, str) or size == had for size, had in zip(spec.shape, tensor.shape, strict=True))
    )
