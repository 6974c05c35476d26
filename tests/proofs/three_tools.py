"""What layerprobe, torchvision and torch.onnx make of a small model: right, wrong, or refused.

The oracle is none of them: a fresh copy of the model, run by PyTorch, whose leaf modules have forward hooks.
"""

import dataclasses
import inspect
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

from export import export_artifact
from probe import Probe, build_probe
from probe.capture.quiet import torch_silenced
from proofs.small_modules.collection import SmallModel
from runtime import open_artifact, open_runner, verify
from runtime.artifact.errors import LayerprobeError, first_line
from runtime.artifact.manifest import fixed_batch
from runtime.artifact.tensors import as_array

__all__ = ["TOOLS", "Finding", "Kind", "differs", "fresh", "judge"]

Tensors = tuple[torch.Tensor, ...]
_TOLERANCE, _TOLERANCE_OF_HALF = 1e-3, 2e-2
"""Of the largest value of a tensor: what shows here is another value, not rounding, which `verify` judges."""
_RUNNER = "onnx-cpu"


class Kind(StrEnum):
    """What came of a model in one tool."""

    RIGHT = "right"
    ONE_BATCH = "right, at one batch"
    """The model takes another batch, and what the tool made of it doesn't."""
    NOT_PASSED = "not verified"
    WRONG = "wrong values"
    REFUSED = "refuses"
    INTERNAL = "internal error"

    @property
    def is_right(self) -> bool:
        return self in (Kind.RIGHT, Kind.ONE_BATCH)


@dataclass(frozen=True)
class Finding:
    """A kind, and in the tool's own words what is wrong or why it refuses."""

    kind: Kind
    detail: str = ""


@dataclass(frozen=True)
class Oracle:
    """What a fresh copy of the model computes for some inputs."""

    inputs: Tensors
    results: list[NDArray[Any]]
    calls: dict[str, NDArray[Any]]
    """What each call of a leaf module returned: `relu` the first of `relu`, `relu_1` the second."""


def fresh(entry: SmallModel) -> nn.Module:
    """Return the model anew, with the same weights each time, in eval mode."""
    torch.manual_seed(0)
    return entry.make().eval()


def _copies(tensors: Tensors) -> Tensors:
    return tuple(tensor.clone() for tensor in tensors)


def other_batch(example: Tensors) -> Tensors:
    """Return three images, or four if the example has three: its own, repeated and scaled, in all tensors with its
    batch as first axis.
    """
    batch = example[0].shape[:1]
    count = 4 if batch == (3,) else 3
    return tuple(_repeated(tensor, count) if tensor.shape[:1] == batch else tensor for tensor in example)


def _repeated(tensor: torch.Tensor, count: int) -> torch.Tensor:
    images = tensor[torch.arange(count) % len(tensor)]
    if not images.is_floating_point():
        return images
    return images * torch.tensor([0.75, 0.5, 1.25, 1.0])[:count].view(-1, *[1] * (images.ndim - 1)).to(images)


def ask(entry: SmallModel, inputs: Tensors) -> Oracle:
    """Run a fresh copy on `inputs`."""
    model = fresh(entry)
    calls: dict[str, NDArray[Any]] = {}
    seen: Counter[str] = Counter()

    def note(path: str, returned: object) -> None:
        count = seen[path]
        seen[path] += 1
        if isinstance(returned, torch.Tensor):
            calls[f"{path}_{count}" if count else path] = as_array(returned).copy()

    for path, module in model.named_modules():
        if path and not list(module.children()) and type(module).__module__.startswith("torch.nn"):
            module.register_forward_hook(lambda _, __, returned, path=path: note(path, returned))
    with torch.no_grad():
        returned = model(*_copies(inputs))
    return Oracle(inputs, [as_array(tensor).copy() for tensor in _tensors(returned)], calls)


def _ask_another(entry: SmallModel) -> Oracle | None:
    """Return what the model computes for another batch; None if it takes none."""
    try:
        return ask(entry, other_batch(entry.example))
    except Exception:
        return None


def _tensors(value: object) -> Iterator[torch.Tensor]:
    """Yield the tensors of a return value, in order."""
    if isinstance(value, torch.Tensor):
        yield value
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from _tensors(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _tensors(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _tensors(part)


def differs(found: NDArray[Any], expected: NDArray[Any]) -> bool:
    """Return whether an array is another one than expected, beyond rounding."""
    if found.shape != expected.shape or found.dtype.kind != expected.dtype.kind:
        return True
    if expected.dtype.kind != "f":
        return not np.array_equal(found, expected)
    found, exact = found.astype(np.float64), expected.astype(np.float64)
    scale = float(np.max(np.abs(exact), initial=0.0, where=np.isfinite(exact))) or 1.0
    allowed = _TOLERANCE_OF_HALF if expected.dtype == np.float16 else _TOLERANCE
    return not np.allclose(found, exact, rtol=0, atol=allowed * scale, equal_nan=True)


def _differing_results(found: Sequence[NDArray[Any]], oracle: Oracle) -> str:
    """Return which of the model's results differ; empty if none does."""
    if len(found) != len(oracle.results):
        return f"{len(found)} results instead of {len(oracle.results)}"
    pairs = enumerate(zip(found, oracle.results, strict=True))
    return ", ".join(f"result {index}" for index, (one, other) in pairs if differs(one, other))


def _differing_calls(found: Mapping[str, object], oracle: Oracle) -> str:
    """Return the leaf modules whose tensors differ; empty if none does."""
    return ", ".join(
        name
        for name, expected in oracle.calls.items()
        if isinstance(tensor := found.get(name), torch.Tensor) and differs(as_array(tensor), expected)
    )


def judge_layerprobe(entry: SmallModel, folder: Path) -> Finding:
    """Probe, export, verify; every leaf module's call and every result is compared with the oracle's."""
    try:
        return _judge_layerprobe(entry, folder)
    except LayerprobeError as error:
        return Finding(Kind.REFUSED, first_line(error))
    except Exception as error:
        return Finding(Kind.INTERNAL, f"{type(error).__name__}: {first_line(error)}")


def _judge_layerprobe(entry: SmallModel, folder: Path) -> Finding:
    probe = build_probe(fresh(entry), *_copies(entry.example))
    oracle, another = ask(entry, entry.example), _ask_another(entry)
    wrong = _differing_probed(probe, oracle)
    if wrong:
        return Finding(Kind.WRONG, wrong)
    artifact = open_artifact(export_artifact(probe, folder / "artifact"))
    one_batch = another is not None and fixed_batch(artifact.manifest.inputs) is not None
    runner = open_runner(artifact, _RUNNER)
    for each in (oracle, *([another] if another and not one_batch else [])):
        arrays = runner.run({spec.name: as_array(had) for spec, had in zip(probe.inputs, each.inputs, strict=True)})
        found = [arrays[name] for name in artifact.manifest.results.values()]
        wrong = _differing_probed(probe, each) or _differing_results(found, each)
        if wrong:
            return Finding(Kind.WRONG, wrong)
    report = verify(artifact, (_RUNNER,))
    if not report.passed:
        return Finding(Kind.NOT_PASSED, f"{report.runners[0].verdict}: {report.headline}")
    return Finding(Kind.ONE_BATCH if one_batch else Kind.RIGHT)


def _differing_probed(probe: Probe, oracle: Oracle) -> str:
    """Return what the probe itself, in PyTorch, returns otherwise than the oracle; empty if nothing."""
    with torch.no_grad():
        probed = probe(*_copies(oracle.inputs))
    results = [as_array(probed[name]) for name in probe.results.values()]
    return _differing_calls(probed, oracle) or _differing_results(results, oracle)


def judge_torchvision(entry: SmallModel, folder: Path) -> Finding:
    """Extract all nodes: leaf modules are compared by name, the model's results with all that is extracted."""
    oracle = ask(entry, entry.example)
    try:
        model = fresh(entry)
        extractor = create_feature_extractor(model, get_graph_node_names(model)[1])
        with torch.no_grad():
            values = extractor(*_copies(entry.example))
    except (Exception, SystemExit) as error:
        return Finding(Kind.REFUSED, first_line(error))
    wrong = _differing_calls(values, oracle)
    arrays = [as_array(value) for value in _tensors(values)]
    if not wrong and any(all(differs(array, result) for array in arrays) for result in oracle.results):
        wrong = "a result"
    return Finding(Kind.WRONG, wrong) if wrong else Finding(Kind.RIGHT)


def judge_torch_onnx(entry: SmallModel, folder: Path) -> Finding:
    """Export with an open batch if the model takes another one, or else with the example's, and run it."""
    oracle, another = ask(entry, entry.example), _ask_another(entry)
    if another is not None:
        found = _exported_by_torch_onnx(entry, [another, oracle], open_batch=True)
        if found.kind is Kind.RIGHT:
            return found
    fixed = _exported_by_torch_onnx(entry, [oracle], open_batch=False)
    return Finding(Kind.ONE_BATCH, found.detail) if another is not None and fixed.kind is Kind.RIGHT else fixed


def _exported_by_torch_onnx(entry: SmallModel, oracles: Sequence[Oracle], *, open_batch: bool) -> Finding:
    """Export with the first oracle's inputs, and run with those of all."""
    model, inputs = fresh(entry), _copies(oracles[0].inputs)
    shapes: Any = tuple(
        {0: torch.export.Dim("batch")} if each.shape[:1] == inputs[0].shape[:1] else {} for each in inputs
    )
    kinds = [each.kind for each in inspect.signature(model.forward).parameters.values()]
    try:
        with torch_silenced(), torch.no_grad():
            program = torch.onnx.export(
                model,
                inputs,
                dynamo=True,
                verbose=False,
                dynamic_shapes=((shapes,) if inspect.Parameter.VAR_POSITIONAL in kinds else shapes)
                if open_batch
                else None,
            )
        assert program is not None
        content = program.model_proto.SerializeToString()
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        names = [each.name for each in session.get_inputs()]
        for oracle in oracles:
            arrays = [as_array(tensor) for tensor in oracle.inputs]
            wrong = _differing_results(session.run(None, dict(zip(names, arrays, strict=True))), oracle)
            if wrong:
                return Finding(Kind.WRONG, wrong)
    except (Exception, SystemExit) as error:
        cause = error.__cause__ or error
        return Finding(Kind.REFUSED, f"{type(cause).__name__}: {first_line(cause)}"[:120])
    return Finding(Kind.RIGHT)


def judge(tool: str, entry: SmallModel, folder: Path) -> Finding:
    """Return what a tool makes of a model; `folder` is empty."""
    onnxruntime.set_default_logger_severity(4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return TOOLS[tool](entry, folder)


TOOLS = {"layerprobe": judge_layerprobe, "torchvision": judge_torchvision, "torch.onnx": judge_torch_onnx}
