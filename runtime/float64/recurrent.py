"""LSTM, GRU and RNN for onnx's evaluator, whose own ignore lengths, clipping and unusual activations."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx.reference.op_run import OpRun

__all__ = ["GRU", "LSTM", "RNN"]

Array = NDArray[Any]
Function = Callable[[Array], Array]

_ACTIVATIONS: dict[str, tuple[float | None, float | None, Callable[[Array, Any, Any], Array]]] = {
    "Affine": (1.0, 0.0, lambda x, alpha, beta: alpha * x + beta),
    "Elu": (1.0, None, lambda x, alpha, _: np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x)),
    "HardSigmoid": (0.2, 0.5, lambda x, alpha, beta: np.clip(alpha * x + beta, 0, 1)),
    "LeakyRelu": (0.01, None, lambda x, alpha, _: np.where(x < 0, alpha * x, x)),
    "Relu": (None, None, lambda x, _, __: np.maximum(x, 0)),
    "ScaledTanh": (1.0, 1.0, lambda x, alpha, beta: alpha * np.tanh(beta * x)),
    "Sigmoid": (None, None, lambda x, _, __: 1 / (1 + np.exp(-x))),
    "Softplus": (None, None, lambda x, _, __: np.logaddexp(x, 0)),
    "Softsign": (None, None, lambda x, _, __: x / (1 + np.abs(x))),
    "Tanh": (None, None, lambda x, _, __: np.tanh(x)),
    "ThresholdedRelu": (1.0, None, lambda x, alpha, _: np.where(x > alpha, x, 0)),
}
"""By name: its alpha and its beta if none is given (None: it takes none), and the function."""
_LSTM = ("Sigmoid", "Tanh", "Tanh")
_KNOWN = {name.lower(): name for name in _ACTIVATIONS}


class _Recurrent(OpRun):
    """T N I (N T I with layout=1) to every state T D N H and the last ones D N H, in D directions."""

    usual: tuple[str, ...]

    def _computed(
        self,
        x: Array,
        weights: Sequence[Array | None],
        lengths: Array | None,
        initial: Sequence[Array | None],
        step: Callable[..., Sequence[Array]],
        hidden_size: int,
        direction: str = "forward",
        layout: int = 0,
        **others: Any,
    ) -> tuple[Array, ...]:
        """Return the results.

        Args:
            x: the input.
            weights: each for all directions.
            lengths: of the sequences, N.
            initial: states, each for all directions; None for zeros.
            step: returns the next states of an input N I, the states, the weights of a direction, and its activations.
            hidden_size: H.
            direction: forward, reverse or bidirectional.
            layout: whether N comes first.
            others: the attributes of the activations.
        """
        if layout:
            x, initial = x.swapaxes(0, 1), [None if each is None else each.swapaxes(0, 1) for each in initial]
        times, batch = x.shape[:2]
        until = np.full(batch, times) if lengths is None else lengths
        # Backwards, each sequence begins at its own end; what comes after the end stays there.
        place = np.arange(times)[:, None]
        backwards = np.where(place < until, until - 1 - place, place)[..., None]
        states, lasts = [], []
        for number, back in enumerate({"forward": (0,), "reverse": (1,), "bidirectional": (0, 1)}[direction]):
            given = np.take_along_axis(x, backwards, 0) if back else x
            state = [np.zeros((batch, hidden_size)) if each is None else each[number] for each in initial]
            of_direction = [None if each is None else each[number] for each in weights]
            functions = self._activations(number, **others)
            seen = np.zeros((times, batch, hidden_size))
            for time in range(times):
                goes_on = (time < until)[:, None]
                new = step(given[time], state, of_direction, functions)
                state = [np.where(goes_on, one, other) for one, other in zip(new, state, strict=True)]
                seen[time] = np.where(goes_on, state[0], 0)
            states.append(np.take_along_axis(seen, backwards, 0) if back else seen)
            lasts.append(state)
        every, last = np.stack(states, 1), [np.stack(each) for each in zip(*lasts, strict=True)]
        if layout:
            every, last = every.transpose(2, 0, 1, 3), [each.swapaxes(0, 1) for each in last]
        return (every, *last)

    def _activations(
        self,
        direction: int,
        activations: Sequence[str] | None = None,
        activation_alpha: Sequence[float] | None = None,
        activation_beta: Sequence[float] | None = None,
        clip: float | None = None,
    ) -> list[Function]:
        """Return the functions of a direction; alphas and betas are taken in turn by those that have one."""
        count = len(self.usual)
        names = [_KNOWN.get(name.lower(), name) for name in activations or self.usual * 2]
        unknown = [name for name in names if name not in _ACTIVATIONS]
        if unknown:
            raise NotImplementedError(f"the activation {unknown[0]}")
        given = [iter(activation_alpha or ()), iter(activation_beta or ())]
        functions: list[Function] = []
        for name in names:
            *usual, function = _ACTIVATIONS[name]
            alpha, beta = (
                None if number is None else float(next(each, number)) for number, each in zip(usual, given, strict=True)
            )
            # ONNX Runtime doesn't clip what an LSTM's last activation takes, its cell.
            last = len(functions) % count == len(_LSTM) - 1
            functions.append(_clipped(function, alpha, beta, None if last else clip))
        return functions[direction * count : (direction + 1) * count]


def _clipped(function: Callable[..., Array], alpha: float | None, beta: float | None, clip: float | None) -> Function:
    if not clip:
        return lambda x: function(x, alpha, beta)
    return lambda x: function(np.clip(x, -float(clip), float(clip)), alpha, beta)


def _products(x: Array, w: Array, bias: Array | None, gates: int) -> list[Array]:
    """Return x @ w + bias of each gate, N H."""
    y = x @ w.T
    return np.split(y if bias is None else y + bias, gates, axis=1)


def _biases(b: Array | None) -> Sequence[Array | None]:
    return (None, None) if b is None else np.split(b, 2)


class RNN(_Recurrent):
    """One gate."""

    usual = ("Tanh",)

    def _run(
        self,
        x: Array,
        w: Array,
        r: Array,
        b: Array | None = None,
        lengths: Array | None = None,
        h: Array | None = None,
        **attributes: Any,
    ) -> tuple[Array, ...]:
        return self._computed(x, (w, r, b), lengths, (h,), self._step, **attributes)

    @staticmethod
    def _step(x: Array, state: Sequence[Array], weights: Sequence[Any], functions: Sequence[Function]) -> list[Array]:
        w, r, b = weights
        of_x, of_h = _biases(b)
        return [functions[0](_products(x, w, of_x, 1)[0] + _products(state[0], r, of_h, 1)[0])]


class GRU(_Recurrent):
    """An update and a reset gate, in this order."""

    usual = ("Sigmoid", "Tanh")

    def _run(
        self,
        x: Array,
        w: Array,
        r: Array,
        b: Array | None = None,
        lengths: Array | None = None,
        h: Array | None = None,
        linear_before_reset: int = 0,
        **attributes: Any,
    ) -> tuple[Array, ...]:
        step = self._reset_after if linear_before_reset else self._step
        return self._computed(x, (w, r, b), lengths, (h,), step, **attributes)

    @classmethod
    def _reset_after(cls, x: Array, state: Sequence[Array], weights: Sequence[Any], functions: Any) -> list[Array]:
        return cls._step(x, state, weights, functions, after=True)

    @staticmethod
    def _step(
        x: Array, state: Sequence[Array], weights: Sequence[Any], functions: Any, after: bool = False
    ) -> list[Array]:
        (w, r, b), (h,), (f, g) = weights, state, functions
        of_x, of_h = _biases(b)
        for_x, for_h = _products(x, w, of_x, 3), _products(h, r, of_h, 3)
        update, reset = f(for_x[0] + for_h[0]), f(for_x[1] + for_h[1])
        for_new = reset * for_h[2] if after else _products(reset * h, r, of_h, 3)[2]
        return [(1 - update) * g(for_x[2] + for_new) + update * h]


class LSTM(_Recurrent):
    """An input, an output and a forget gate and the cell, in this order; the gates may also look at the cell."""

    usual = _LSTM

    def _run(
        self,
        x: Array,
        w: Array,
        r: Array,
        b: Array | None = None,
        lengths: Array | None = None,
        h: Array | None = None,
        c: Array | None = None,
        peepholes: Array | None = None,
        input_forget: int = 0,
        **attributes: Any,
    ) -> tuple[Array, ...]:
        step = self._coupled if input_forget else self._step
        return self._computed(x, (w, r, b, peepholes), lengths, (h, c), step, **attributes)

    @classmethod
    def _coupled(cls, x: Array, state: Sequence[Array], weights: Sequence[Any], functions: Any) -> list[Array]:
        return cls._step(x, state, weights, functions, coupled=True)

    @staticmethod
    def _step(
        x: Array, state: Sequence[Array], weights: Sequence[Any], functions: Any, coupled: bool = False
    ) -> list[Array]:
        (w, r, b, peepholes), (h, c), (f, g, last) = weights, state, functions
        of_x, of_h = _biases(b)
        gates = zip(_products(x, w, of_x, 4), _products(h, r, of_h, 4), strict=True)
        into, out, forget, cell = (one + other for one, other in gates)
        at_input, at_output, at_forget = np.split(peepholes, 3) if peepholes is not None else (0, 0, 0)
        taken = f(into + at_input * c)
        kept = 1 - taken if coupled else f(forget + at_forget * c)
        new = kept * c + taken * g(cell)
        return [f(out + at_output * new) * last(new), new]
