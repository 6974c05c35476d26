"""Loop and Scan for onnx's evaluator.

onnx's own Loop joins its scan outputs along an axis that they have, not along a new one, and fails where there are no
rounds; its Scan knows neither axes nor directions.
"""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx.reference.op_run import OpRun

__all__ = ["BatchedScan", "Loop", "Scan"]

Array = NDArray[Any]
_MOST_ROUNDS = 20_000
"""Of a loop with all the loops in it: a file may say to loop for ever. That many take a few seconds."""
_OF_OUTERMOST: ContextVar[list[int] | None] = ContextVar("rounds so far of the loop around this one", default=None)


class _WithBody(OpRun):
    """An operator that runs a graph again and again, which may read any value around it."""

    body: Any
    _rounds: list[int]
    """So far, of this evaluation."""

    def need_context(self) -> bool:
        return True

    def _round(self, context: Mapping[str, Any], given: Sequence[Any], attributes: Any) -> list[Any]:
        """Return the results of one round."""
        rounds = _OF_OUTERMOST.get() or self._rounds
        rounds[0] += 1
        if rounds[0] > _MOST_ROUNDS:
            raise RuntimeError(f"it loops more than {_MOST_ROUNDS:,} times")
        feeds = {**context, **dict(zip(self.body.input_names, given, strict=True))}
        within = _OF_OUTERMOST.set(rounds)
        try:
            results: list[Any] = self.body.run(None, feeds, attributes=attributes)
        finally:
            _OF_OUTERMOST.reset(within)
        return results


class Loop(_WithBody):
    """Rounds until the body, or a count, says so; of each, some results go on, others are stacked."""

    def _run(
        self,
        count: Array | None,
        condition: Array | None,
        *carried: Any,
        body: Any = None,  # noqa: ARG002 - kept by the class
        attributes: Any = None,
        context: Mapping[str, Any] | None = None,
    ) -> tuple[Any, ...]:
        self._rounds, state = [0], list(carried)
        stacked: list[list[Any]] = [[] for _ in self.body.output_names[1 + len(carried) :]]
        goes_on, number = True if condition is None else bool(condition), 0
        while goes_on and (count is None or number < count):
            given = [np.array(number, np.int64), np.array(goes_on), *state]
            goes_on, *results = self._round(context or {}, given, attributes)
            goes_on, state = bool(goes_on), results[: len(state)]
            for rounds, result in zip(stacked, results[len(state) :], strict=True):
                rounds.append(result)
            number += 1
        if stacked and not number:
            raise NotImplementedError("without a round, the shapes of what it stacks aren't known")
        return (*state, *map(np.stack, stacked))


class Scan(_WithBody):
    """A round for each element along an axis of some inputs: since opset 9."""

    def _run(
        self,
        *inputs: Array,
        num_scan_inputs: int = 0,
        scan_input_axes: Sequence[int] | None = None,
        scan_input_directions: Sequence[int] | None = None,
        scan_output_axes: Sequence[int] | None = None,
        scan_output_directions: Sequence[int] | None = None,
        body: Any = None,  # noqa: ARG002 - kept by the class
        attributes: Any = None,
        context: Mapping[str, Any] | None = None,
    ) -> tuple[Array, ...]:
        none = [0] * max(num_scan_inputs, len(self.body.output_names))
        first = len(inputs) - num_scan_inputs
        places = zip(inputs[first:], scan_input_axes or none, scan_input_directions or none, strict=False)
        scanned = [np.moveaxis(x, axis, 0)[:: -1 if back else 1] for x, axis, back in places]
        state, stacked = self._scanned(inputs[:first], scanned, context or {}, attributes)
        ends = zip(stacked, scan_output_axes or none, scan_output_directions or none, strict=False)
        return (*state, *(np.stack(rounds[:: -1 if back else 1], axis) for rounds, axis, back in ends))

    def _scanned(
        self, initial: Sequence[Array], scanned: Sequence[Array], context: Mapping[str, Any], attributes: Any
    ) -> tuple[list[Array], list[list[Array]]]:
        """Return the last state and, of each result to be stacked, those of all rounds."""
        self._rounds, state = [0], list(initial)
        stacked: list[list[Array]] = [[] for _ in self.body.output_names[len(state) :]]
        for given in zip(*scanned, strict=True):
            results = self._round(context, [*state, *given], attributes)
            state = results[: len(state)]
            for rounds, result in zip(stacked, results[len(state) :], strict=True):
                rounds.append(result)
        if stacked and not stacked[0]:
            raise NotImplementedError("without a round, the shapes of what it stacks aren't known")
        return state, stacked


class BatchedScan(Scan):
    """Of opset 8: along the second axis, one image of the batch after the other."""

    def _run(  # type: ignore[override]
        self,
        lengths: Array | None,
        *inputs: Array,
        num_scan_inputs: int = 0,
        directions: Sequence[int] | None = None,
        body: Any = None,  # noqa: ARG002 - kept by the class
        attributes: Any = None,
        context: Mapping[str, Any] | None = None,
    ) -> tuple[Array, ...]:
        if lengths is not None or any(directions or ()):
            raise NotImplementedError("Scan of opset 8 with sequence_lens or directions")
        first = len(inputs) - num_scan_inputs
        images = []
        for image in zip(*inputs, strict=True):
            state, stacked = self._scanned(image[:first], image[first:], context or {}, attributes)
            images.append([*state, *map(np.stack, stacked)])
        return tuple(map(np.stack, zip(*images, strict=True)))
