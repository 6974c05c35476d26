"""model -> probe: capture, observe, choose the outputs, rewrite, compare. Each step has its own file."""

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import fx, nn

from runtime.artifact.errors import CaptureError, ModelError, first_line
from runtime.artifact.manifest import Dimension, Skipped

from .attempts import Attempts
from .capture.labels import class_of
from .capture.traced_model import TracedModel, return_named
from .descriptions import Selection, choose_nodes, describe_inputs, describe_outputs, label_parts
from .faithfulness import buffers_restored, compare_with_model
from .first_run import run_model
from .model.check import check_dense, checked_model
from .model.example import Example, bind_example
from .model.leaf_modules import leaf_test
from .model.shared_copy import eval_copy, shared_copy
from .model.surroundings import plain_surroundings
from .model.weight_guard import refuse_weight_writes
from .observe.observation import Observation, observe
from .observe.results import find_results, settle_results, walk
from .observe.shapes import SIZE_STEPS, resized, symbolic_shapes
from .other_inputs import another_call
from .probe import CaptureMethod, Probe

__all__ = [
    "Capture",
    "CaptureMethod",
    "Probe",
    "TrainingModeWarning",
    "build_probe",
    "probe_of_call",
]

Capture = Literal["auto", "trace", "export"]
_METHODS: tuple[CaptureMethod, ...] = ("trace", "export")


class TrainingModeWarning(UserWarning):
    """A model was in training mode: a frequent cause of "ONNX differs from PyTorch"."""


def build_probe(
    model: nn.Module,
    *example: Any,
    kwargs: Mapping[str, Any] | None = None,
    outputs: Sequence[str] = (),
    operations: Sequence[str] = (),
    depth: int | None = None,
    capture: Capture = "auto",
    dynamic_size: bool = False,
    leaf_modules: Sequence[str | type[nn.Module]] = (),
) -> Probe:
    """Return the probe of `model`, which stays untouched, in eval mode; it shares the model's weights and buffers.

    Train the model on, load other weights into it, or replace a parameter by one of the same kind, and the next call of
    the probe computes with these; where a parameter or buffer got another type, size or device, it warns
    (`StaleProbeWarning`) and keeps the earlier values. What isn't followed: buffers that forward itself writes to, what
    the model's own `eval()` changes (a merged adapter), and numbers and flags.

    The model and the probe are run on the example and on another input, and their results are compared. (The model's
    hooks fire in these runs.)

    Args:
        model: any module whose forward takes a tensor.
        example: what the model is called with, such as `torch.zeros(1, 3, 64, 64)` (N C H W). Each argument is a
            tensor, None, a flag, a number, a string, or a list, tuple or dictionary of these. What isn't a tensor is a
            constant of the probe.
        kwargs: likewise, what it is called with by keyword. The probe takes all tensors by position, in the order of
            forward's parameters and, in these, of their parts.
        outputs: names or globs (`layer1.*`) of the outputs to keep, or module paths (`layer4`), each of which selects
            the module's last output; all if empty. What the model itself returns is always kept.
        operations: labels of the outputs to keep, or globs of labels (`Conv2d`, `*Norm*`), in upper or lower case; all
            if empty. With `outputs`, both must match.
        depth: keep only the last output of each block, the modules so deep, and of the layers above them.
        capture: `trace` for symbolic tracing, `export` for `torch.export`, `auto` for the first that works.
        dynamic_size: leave height and width of N C H W inputs open.
        leaf_modules: classes whose modules stay whole, with one output for what each returns, besides those of
            `torch.nn`; or names of classes, or globs of them (`SqueezeExcitation`, `torchvision.ops.*`).

    Raises:
        ModelError: the model can't be captured, fails on the example, or its probe would compute something else.
        UsageError: an entry of `outputs`, `operations` or `leaf_modules` matches nothing, or nothing matches all.
    """
    model = checked_model(model)
    call = bind_example(model, example, kwargs or {})
    wanted = (outputs, operations, depth)
    return _build(model, call, wanted, capture, leaf_modules, dynamic_size=dynamic_size)


def probe_of_call(
    model: nn.Module,
    call: Example,
    capture: Capture = "auto",
    leaf_modules: Sequence[str | type[nn.Module]] = (),
) -> Probe:
    """Return the probe of `model` for one call alone, whose shapes are fixed, in a third of the time.

    It is compared with the model on this call, and on no other. The arguments are those of `build_probe`.

    Raises:
        ModelError, UsageError: as of `build_probe`.
    """
    return _build(checked_model(model), call, (), capture, leaf_modules, only_call=True)


@plain_surroundings()
def _build(
    model: nn.Module,
    call: Example,
    wanted: Selection,
    capture: Capture,
    leaf_modules: Sequence[str | type[nn.Module]],
    *,
    dynamic_size: bool = False,
    only_call: bool = False,
) -> Probe:
    check_dense(model, call.tensors)
    was_training = model.training
    if was_training:
        warnings.warn(
            f"{type(model).__name__} is in training mode; its probe is of the model after model.eval(), where dropout "
            "is off and batch norms use their running statistics.",
            TrainingModeWarning,
            stacklevel=4,
        )
    # A copy from here on: the user's own model is neither run nor put into eval mode.
    original, model = model, eval_copy(model)
    is_leaf = leaf_test(model, leaf_modules)
    methods = _METHODS if capture == "auto" else (capture,)
    attempts = Attempts(model, call, methods, is_leaf, dynamic_size=dynamic_size, original=original)
    attempts.refuse_hopeless()
    if not only_call:
        refuse_weight_writes(shared_copy(model), call)
    returned, leaf_calls = run_model(model, call, is_leaf, guarded=only_call)
    if not any(isinstance(leaf, torch.Tensor) for _, leaf in walk(returned)):
        raise ModelError(
            f"{type(model).__name__} returns {type(returned).__name__}: no tensor, and no tuple, list or dictionary "
            "that holds one.\nWrap the model in a module that returns its tensors, or probe a part: --submodule PATH."
        )
    calls = [(call, returned)]
    if dynamic_size:
        sample = resized(call, SIZE_STEPS)
        try:
            calls.append((sample, sample.run(shared_copy(model))))
        except Exception as error:
            raise ModelError(
                f"{type(model).__name__} only takes its example's size: with {SIZE_STEPS['H']} x "
                f"{SIZE_STEPS['W']} more pixels it fails: {first_line(error)}\n"
                "Omit --dynamic-size (dynamic_size=True)."
            ) from error
    for method, capture_once in attempts:
        try:
            probe = _probe_graph(model, capture_once(), call, wanted, dynamic_size=dynamic_size, only_call=only_call)
            if only_call:
                another, compared = None, probe.only(probe.results.values())
            else:
                batched = frozenset(index for index, spec in enumerate(probe.inputs) if spec.shape[:1] == ("N",))
                another, compared = another_call(model, *calls[-1], batched), probe
            for each, returned in (*calls, *([another[:2]] if another else [])):
                compare_with_model(
                    model, compared.module, probe.results, each, returned, exact=method == "trace", guarded=only_call
                )
        except CaptureError as error:
            attempts.failures[method] = error  # the last way asks for the least, so its reason is the true one
        else:
            untraced = attempts.failures.get("trace")
            if not only_call:
                probe.traced.following.share()
            return replace(
                probe,
                skipped=(*probe.skipped, *_unobserved(model, probe, leaf_calls)),
                capture=method,
                capture_reason=str(untraced).splitlines()[0] if untraced else None,
                was_training=was_training,
                own_values=another is None or not another.drawn,
                least_batch=min(call.batch, another.call.batch) if another else call.batch,
            )
    raise attempts.explanation() from next(iter(attempts.failures.values()))


def _unobserved(model: nn.Module, probe: Probe, leaf_calls: Mapping[str, int]) -> Iterator[Skipped]:
    """Yield the calls of leaf modules that ran in the model and are not in the captured graph."""
    captured = Counter(origin.module_path for origin in probe.traced.origins.values())
    for path, calls in leaf_calls.items():
        if calls > captured[path]:
            label = class_of(model.get_submodule(path)).rpartition(".")[2]
            yield Skipped(
                name=path,
                reason=f"inside a region that torch captures as a whole ({label}, called {calls} times, "
                f"{captured[path]} of them captured)",
            )


def _refuse_written_constants(
    model: nn.Module, traced: TracedModel, observations: Mapping[fx.Node, Observation]
) -> None:
    """Refuse a graph that writes to its own constant: the second run would start with what the first one left.

    Raises:
        CaptureError: it writes to a tensor that forward creates in each run, and that was captured as a constant.
    """
    held = {
        memory[0]: str(node.target)
        for node in traced.module.graph.nodes
        if node.op == "get_attr" and (memory := observations[node].memory)
    }
    buffers = {name for name, _ in traced.module.named_buffers()}
    own = {name for name, _ in model.named_buffers(remove_duplicate=False)}
    for node, observation in observations.items():
        target = held.get(observation.memory[0]) if observation.memory and observation.overwritten else None
        if target in buffers and target not in own:
            origin = traced.origins.get(node)
            place = f" ({origin.source})" if origin and origin.source else ""
            refusal = CaptureError(f"{type(model).__name__} writes to a tensor that is none of its buffers{place}")
            refusal.advice = "Register the tensor as a buffer, and write to it only in training: if self.training."
            raise refusal


def _probe_graph(
    model: nn.Module,
    traced: TracedModel,
    call: Example,
    wanted: Selection,
    *,
    dynamic_size: bool,
    only_call: bool,
) -> Probe:
    """Return the probe of a graph, which still has to be compared with the model."""

    def observed() -> dict[fx.Node, Observation]:
        with buffers_restored(traced.module):
            return observe(traced, call, computed=not only_call)

    observations = observed()
    _refuse_written_constants(model, traced, observations)
    while settle_results(traced, observations):
        observations = observed()
    label_parts(traced, observations)
    results = find_results(traced, observations)
    if not results:
        raise CaptureError(f"The capture of {type(model).__name__} lost the tensors that the model returns")
    if only_call:
        shapes: dict[fx.Node, tuple[Dimension, ...]] = {node: each.shape for node, each in observations.items()}
    else:
        shapes = symbolic_shapes(traced, observations, call, dynamic_size=dynamic_size)
    names = {node: origin.name for node, origin in traced.origins.items() if node in observations}
    nodes, skipped = choose_nodes(traced, observations, set(results.values()), wanted)
    overwritten = {node for node in nodes.values() if observations[node].overwritten}
    return Probe(
        module=return_named(traced.module, nodes, overwritten, f"{type(model).__name__}Probe"),
        inputs=describe_inputs(traced, observations, shapes),
        outputs=tuple(describe_outputs(traced, nodes, observations, shapes)),
        skipped=skipped,
        results={path: names[node] for path, node in results.items()},
        model_name=type(model).__name__,
        example=call.tensors,
        constants=call.constants,
        traced=traced,
        nodes=nodes,
        overwritten=frozenset(overwritten),
    )
