"""Loop and Scan in float64, which onnx's evaluator computes wrongly in part.

Its Loop never starts where the condition is omitted, and joins what the passes return along an axis that they have
instead of a new one. Its Scan takes no other axes than the first, and none backwards.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx.reference.op_run import OpRun
from onnx.reference.ops import op_loop, op_scan

__all__ = ["Loop", "Scan"]

Array = NDArray[Any]

_MOST_PASSES = 100_000
"""A file that loops for longer, or forever, is not evaluated to its end."""


class Loop(op_loop.Loop):
    """Runs at once where the condition is omitted; what a pass returns gets an axis of its own."""

    body: Any
    _run_body: Any

    def _run(
        self,
        trips: Array | None,
        condition: Array | None,
        *carried: Any,
        context: Mapping[str, Any] | None = None,
        body: Any = None,  # noqa: ARG002 - as onnx calls it
        attributes: Any = None,
        bindings: Any = None,
    ) -> tuple[Any, ...]:
        going, states = condition is None or bool(condition), list(carried)
        returned: list[list[Array]] = [[] for _ in range(self.K)]
        done = 0
        while going and (trips is None or done < trips):
            if done == _MOST_PASSES:
                raise RuntimeError(f"it loops more than {_MOST_PASSES} times")
            given = [np.array(done), np.array(True), *states]
            named = {**(context or {}), **dict(zip(self.body.input_names, given, strict=True))}
            further, *results = self._run_body(named, attributes=attributes, bindings=bindings)
            going, states = bool(further), results[: self.N]
            for passes, result in zip(returned, results[self.N :], strict=True):
                passes.append(result)
            done += 1
        if returned and not done:
            raise RuntimeError("it loops not once, so that what it returns has no shape")
        stacked = [np.stack(passes) for passes in returned]
        return (*states, *stacked)


class Scan(OpRun):
    """Takes and returns along any axis, in both directions."""

    body: Any
    _run_body: Any

    need_context = op_scan.Scan.need_context

    def _run(
        self,
        *given: Array,
        context: Mapping[str, Any] | None = None,
        bindings: Any = None,
        num_scan_inputs: int,
        scan_input_axes: Sequence[int] | None = None,
        scan_input_directions: Sequence[int] | None = None,
        scan_output_axes: Sequence[int] | None = None,
        scan_output_directions: Sequence[int] | None = None,
        **_: Any,
    ) -> tuple[Any, ...]:
        count = len(given) - num_scan_inputs
        states = list(given[:count])
        inputs = [
            np.flip(np.moveaxis(array, axis, 0), 0) if backwards else np.moveaxis(array, axis, 0)
            for array, axis, backwards in zip(
                given[count:],
                scan_input_axes or [0] * num_scan_inputs,
                scan_input_directions or [0] * num_scan_inputs,
                strict=True,
            )
        ]
        returned: list[list[Array]] = [[] for _ in self.body.output_names[count:]]
        for slices in zip(*inputs, strict=True):
            named = {**(context or {}), **dict(zip(self.body.input_names, (*states, *slices), strict=True))}
            results = self._run_body(named, bindings=bindings)
            states = results[:count]
            for passes, result in zip(returned, results[count:], strict=True):
                passes.append(result)
        if returned and not returned[0]:
            raise RuntimeError("it scans nothing, so that what it returns has no shape")
        stacked = [
            np.stack(passes[::-1] if backwards else passes, axis)
            for passes, axis, backwards in zip(
                returned,
                scan_output_axes or [0] * len(returned),
                scan_output_directions or [0] * len(returned),
                strict=True,
            )
        ]
        return (*states, *stacked)
