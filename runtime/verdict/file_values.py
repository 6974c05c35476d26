"""The ONNX file itself in float64: which outputs differ from the model by more than float32 constants explain.

What each operation loses in a runner is in `error_shares.py`; files in fewer bits are in `low_precision.py`.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..artifact.reference import Reference, Truth
from ..float64.graph import Float64Graph, Unknown
from ..float64.losses import Scale
from .drift import (
    FILE_PASSING_DRIFT,
    OutputComparison,
    compare_output,
    drift_unit,
    error_from_truth,
    largest_error,
    rounding_loss,
    sampled_loss,
)

__all__ = ["FileValues", "RightValues", "evaluate_file"]


_LEAST = 1e-4
"""Of float32's own error, by channel: what float64 itself loses on the way through a model, beside the last operation's
part of the tensor's scale, which `compare_output` allows."""


class RightOutput(Protocol):
    """An output of the model that a candidate was made of, whole, in float64 and in the candidate's layout."""

    @property
    def value(self) -> NDArray[Any]:
        """The tensor."""

    @property
    def scale(self) -> NDArray[Any]:
        """The natural scale of all that computes it in the model from the outputs before it in the candidate."""


class Layouts(Protocol):
    """How the tensors of the model that a candidate was made of are laid out in the candidate."""

    def as_its_inputs(self, inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Return the candidate's inputs, in its order, for those of that model."""

    def in_source_layout(self, name: str, array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        """Return the candidate's tensor of an output as that model has it, of this shape."""


class RightValues(Protocol):
    """The model that a candidate was made of, for each recorded input."""

    @property
    def layouts(self) -> Layouts:
        """Return how its tensors are laid out in the candidate."""

    def of(self, recorded_input: str, names: Collection[str]) -> dict[str, NDArray[Any]]:
        """Return some outputs' tensors."""

    def reach(self, recorded_input: str) -> Mapping[str, float]:
        """Return, by output, how many times as large its values are on other recorded inputs of the same kind."""

    def one_by_one(self, recorded_input: str) -> Callable[[str], RightOutput | None]:
        """Return what gives an output, each once, at best in the order of execution; None for one that isn't known."""


@dataclass(frozen=True)
class FileValues:
    """The values of model.onnx in float64."""

    comparisons: list[OutputComparison]
    """Each output's value against the truth, by a rule that allows for float32 constants only."""
    unknown: dict[str, str]
    """Outputs that can't be evaluated, each with the reason."""
    faults: dict[str, float] = field(default_factory=dict)
    """Outputs at which the file is wrong though their inputs are right, each with its largest error there in the
    tensor's own unit: infinite where it can't be measured, as for NaN or another shape."""
    corrections: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    """For faults of the right shape: truth minus file's value, sampled."""
    unsampled: set[str] = field(default_factory=set)
    """Faults that show in a channel's statistics only, not in the sample."""
    words: dict[str, list[str]] = field(default_factory=dict)
    """Of a file in lower precision: what is wrong at an output, each as the end of a sentence."""
    other_kinds: dict[str, str] = field(default_factory=dict)
    """Of such a file: outputs whose weights are of another kind than most, with both kinds."""


def evaluate_file(
    graph: Float64Graph,
    reference: Reference,
    dtypes: Mapping[str, str],
    right: Callable[[str], RightOutput | None] | None = None,
    *,
    measured: bool = True,
) -> FileValues:
    """Walk the file in float64 from the recorded input on, and judge each output.

    Args:
        graph: the ONNX file.
        reference: the recorded input and the truth.
        dtypes: by output, the dtype in which the model computed it.
        right: gives what the model computes, for a file that another tool made. With it each output is computed from
            right values, so that every fault is found, and not only the first on each way.
        measured: whether the drift of what passes is asked for: it takes half as long again.
    """
    judge = _FileJudge(graph, reference, dtypes, right, measured=measured)
    noise = reference.largest_noise
    folded = {name: noise[name] for name in graph.constants}
    graph.walk_judging(reference.inputs, judge.judge, folded=folded)
    place = {name: number for number, name in enumerate(graph.inputs_of)}
    judge.file.comparisons.sort(key=lambda each: place[each.name])
    return judge.file


class _FileJudge:
    """Judges the outputs of a file, one after the other."""

    def __init__(
        self,
        graph: Float64Graph,
        reference: Reference,
        dtypes: Mapping[str, str],
        right: Callable[[str], RightOutput | None] | None,
        *,
        measured: bool,
    ) -> None:
        self.file = FileValues([], {})
        self._graph, self._reference, self._dtypes = graph, reference, dtypes
        self._right, self._measured = right, measured
        self._known: set[str] = set(reference.inputs)
        """The inputs, and outputs that are right or in whose place those after them get what is right."""
        self._off: dict[str, float] = {}
        """By output, by how much that is off, at most, in multiples of machine epsilon."""
        self._share: dict[str, float] = {}
        """By output, by how much that or one before it is off, in multiples of what float32 is: a sample may miss the
        few elements that are off most, and the next operation's sample may hold them."""

    def judge(self, name: str, value: Any, scale: Scale) -> Any:
        """Judge an output, and return what those after it are computed from: what is right, where that is known."""
        right = self._right(name) if self._right else None
        if isinstance(value, Unknown):
            self.file.unknown[name] = value.reason
            return value
        truth = self._reference.truths[name]
        for allowed in self._allowances(name, truth, scale, right.scale if right else None):
            found = self._compared(truth, name, value, allowed)
            if not found.failed or found.drift is None:
                break
        if found.failed and right is not None and self._is_near(truth, name, right.value):
            # The model's own file differs, too: a table that the truth has in float64 is in float32 there.
            found = self._compared(truth.of_values(right.value), name, value, allowed)
        self.file.comparisons.append(found)
        if found.failed and self._inputs_are_right(name):
            self._add_fault(found, truth, value, allowed)
        off, before = found.max_abs or 0.0, self._share_before(name)
        if right is not None:
            value, off, before = right.value, error_from_truth(truth, right.value), 0.0
        if right is not None or not found.failed:
            self._known.add(name)
        self._off[name] = off / float(np.finfo(np.float32).eps)
        self._share[name] = max(before, off / float(drift_unit(truth, self._dtypes[name])))
        return value

    def _compared(self, truth: Truth, name: str, value: NDArray[Any], allowed: NDArray[Any]) -> OutputComparison:
        return compare_output(name, truth, value, self._dtypes[name], loss=allowed, in_float64=True)

    def _is_near(self, truth: Truth, name: str, value: NDArray[Any]) -> bool:
        return value.shape == truth.shape and error_from_truth(truth, value) <= drift_unit(truth, self._dtypes[name])

    def _allowances(
        self, name: str, truth: Truth, scale: Scale, of_model: NDArray[Any] | None
    ) -> Iterator[NDArray[Any]]:
        """Yield how far off the constants of float32 may make an output, first by what is known at once."""
        before = set(self._graph.inputs_of[name]) - self._reference.inputs.keys()
        if not self._graph.single_operations.issuperset({name, *before}):
            # Of several operations, as float32's own error tells.
            yield np.asarray(drift_unit(truth, self._dtypes[name]))
            return
        allowed = _LEAST * _noise(truth)
        if of_model is not None:
            # Where constants were folded, what they cancelled isn't seen in the file any more: of a batch norm's mean
            # and bias, the difference is left.
            yield (allowed := np.maximum(allowed, rounding_loss(of_model, "float32")))
        elif not self._measured and scale.bound is not None:
            yield rounding_loss(scale.bound, "float32")
        yield (allowed := np.maximum(allowed, rounding_loss(scale.own, "float32")))
        if self._inputs_are_right(name):
            # Right only so far, which shows where what they are off by is amplified, or only passed on.
            from_inputs = rounding_loss(scale.with_inputs(self._off), "float32")
            yield np.maximum(allowed, np.maximum(from_inputs, self._share_before(name) * _noise(truth)))

    def _share_before(self, name: str) -> float:
        return max((self._share.get(each, 0.0) for each in self._graph.inputs_of[name]), default=0.0)

    def _inputs_are_right(self, name: str) -> bool:
        return self._known.issuperset(self._graph.inputs_of[name])

    def _add_fault(self, found: OutputComparison, truth: Truth, value: NDArray[Any], allowed: NDArray[Any]) -> None:
        self.file.faults[found.name] = math.inf
        if value.shape != truth.shape:
            return
        with np.errstate(invalid="ignore"):  # inf - inf, for example
            correction = truth.sample - truth.sampled(value).astype(np.float64)
        self.file.corrections[found.name] = correction
        if found.max_abs is not None:
            self.file.faults[found.name] = found.max_abs
            if largest_error(correction, np.zeros(()), sampled_loss(allowed, truth)) <= FILE_PASSING_DRIFT:
                self.file.unsampled.add(found.name)


def _noise(truth: Truth) -> NDArray[Any]:
    """Return float32's own error, by channel where that is known, in the tensor's own unit; it broadcasts."""
    if truth.channels is None or truth.channel_axis is None:
        return np.asarray(truth.noise_floor * truth.scale)
    sizes = [-1 if axis == truth.channel_axis else 1 for axis in range(len(truth.shape))]
    return np.asarray(truth.channels[-1].reshape(sizes))
