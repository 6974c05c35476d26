"""The ways to capture a model, each tried once at most, and why none of them works."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial

from torch import nn

from runtime.artifact.errors import CaptureError, ModelError

from .capture.fx_trace import trace
from .capture.torch_export import export_capture
from .capture.traced_model import TracedModel
from .model.example import Example
from .model.following import Following
from .model.leaf_modules import LeafTest
from .model.shared_copy import shared_copy
from .model.submodule_calls import CallShapes, blank_call, record_calls, record_shapes
from .model.weight_guard import refuse_weight_writes, weights_guarded
from .parts import find_parts, is_within, possible_parts
from .probe import CaptureMethod

__all__ = ["Attempts"]

_QUICKLY_RUN = 5_000_000
"""Parameters up to which a model that can't be captured is run for the parts that torch.export didn't get to."""


class Attempts:
    """The captures of one model, best first; a capture that was made isn't made again."""

    def __init__(
        self,
        model: nn.Module,
        call: Example,
        methods: tuple[CaptureMethod, ...],
        is_leaf: LeafTest,
        *,
        dynamic_size: bool,
        original: nn.Module,
    ) -> None:
        """Take `model`, a copy of `original` in eval mode, and the ways to try."""
        self.failures: dict[CaptureMethod, CaptureError] = {}
        """The first of each method."""
        self._model, self._call, self._is_leaf, self._original = model, call, is_leaf, original
        self._shapes: CallShapes = {}
        self._made: dict[int, TracedModel | CaptureError] = {}
        self._ways: list[tuple[CaptureMethod, Callable[[nn.Module], TracedModel]]] = []
        for method in methods:
            if method == "trace":
                self._ways.append((method, partial(trace, example=call, is_leaf=is_leaf)))
                continue
            # torch.export needs to know which inputs have a batch axis.
            for batched in (*call.batched_inputs(), frozenset[int]()):
                way = partial(export_capture, example=call, batched=batched, dynamic_size=dynamic_size, is_leaf=is_leaf)
                self._ways.append((method, way))

    def refuse_hopeless(self) -> None:
        """Capture the model before it is run, and refuse one that can't be captured in any way.

        Capturing computes nothing, while a single run of a detection model takes seconds.

        Raises:
            ModelError: its control flow depends on the values of tensors; or it writes to a weight.
        """
        for number, (method, _) in enumerate(self._ways):
            try:
                self.capture(number)
            except CaptureError as error:
                self.failures.setdefault(method, error)
                if error.depends_on_values and len(self.failures) > 1:
                    raise self.explanation() from error
                if method == "export":
                    return
            else:
                return

    def __iter__(self) -> Iterator[tuple[CaptureMethod, Callable[[], TracedModel]]]:
        """Yield each way that may still work, with its method."""
        for number, (method, _) in enumerate(self._ways):
            failed = self.failures.get(method)
            # Values that the model reads are read in any other batch, too.
            if failed is None or not failed.depends_on_values:
                yield method, partial(self.capture, number)

    def capture(self, number: int) -> TracedModel:
        """Return what a way of capturing gives.

        Raises:
            CaptureError: it doesn't work.
        """
        if number not in self._made:
            method, way = self._ways[number]
            copy = shared_copy(self._model)
            try:
                if method == "trace":
                    with weights_guarded(copy):
                        made = way(copy)
                else:
                    with record_shapes(copy, possible_parts(copy), self._shapes):
                        made = way(copy)
                self._made[number] = replace(made, following=Following(self._original, copy, made.module))
            except CaptureError as error:
                self._made[number] = error
        found = self._made[number]
        if isinstance(found, CaptureError):
            raise found
        return found

    def explanation(self) -> ModelError:
        """Return the error that explains why no capture works, and what can be probed instead.

        Raises:
            ModelError: it was run for its parts, and was about to write to a weight.
        """
        name = type(self._model).__name__
        if len(self.failures) == 1:
            method, failure = next(iter(self.failures.items()))
            other = "trace" if method == "export" else "export"
            return ModelError(f"{_first_line(failure)}.\n--capture {other} may work, or auto, which tries both.")
        reasons = "; ".join(_distinct(map(_first_line, self.failures.values())))
        advice = next((failure.advice for failure in self.failures.values() if failure.advice), None)
        parts = self._parts()
        by_values = any(words in reasons for words in ("control flow", "data-dependent"))
        hint = (
            f"These parts of it can be probed: {', '.join(parts)} (--submodule {parts[0]})."
            if parts
            else "Control flow that depends on tensor values can't be captured: probe a submodule without it."
            if by_values
            else advice or "A submodule that doesn't do this may be probed alone: --submodule PATH."
        )
        return ModelError(f"{name} can't be captured as one graph: {reasons}.\n{hint}")

    def _parts(self) -> list[str]:
        # What torch.export got to is known; what comes after it only by running the model.
        blank = partial(blank_call, self._model, self._shapes)
        found = find_parts(self._model, self._shapes, blank, self._is_leaf)
        large = sum(each.numel() for each in self._model.parameters()) > _QUICKLY_RUN
        if found and (large or all(is_within(path, found) for path in possible_parts(self._model))):
            return found
        refuse_weight_writes(shared_copy(self._model), self._call)
        recorded = record_calls(self._model, self._call, possible_parts(self._model))
        calls = {path: call for path, call in recorded.items() if isinstance(call, Example)}
        known = {*self._shapes, *calls}
        return find_parts(self._model, known, lambda path: calls.get(path) or blank(path), self._is_leaf)


def _distinct(reasons: Iterable[str]) -> list[str]:
    """Return the reasons without those that say no more than another."""
    given = list(dict.fromkeys(reasons))
    return [each for each in given if not any(other != each and other.startswith(each) for other in given)]


def _first_line(failure: CaptureError) -> str:
    return str(failure).splitlines()[0].rstrip(".")
