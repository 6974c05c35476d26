"""How large the numbers are that an operation adds up or passes through: its natural scale, element by element.

One rounding may cost machine epsilon times this scale, whatever the result: in float32, `1e4 - 1e4 + 1e-3` may be off
by 1e4 times epsilon. This is running error analysis (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed.,
section 3.3), with one rounding for the terms of a sum, since their roundings largely cancel, and root n for the sums on
the way (Higham and Mary, A New Approach to Probabilistic Rounding Error Analysis, 2019). The error of a right runtime,
given the operation's inputs, is a small multiple of it in every element.

To add an operator, add it to a row of `_RULES`. One without a row gets the scale of its largest value.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from .calls import Call, absolute
from .steps import scale_in_steps

__all__ = ["least_scale", "natural_scale", "shares_a_kernel"]

Array = NDArray[Any]
_EPSILON = float(np.finfo(np.float32).eps)
_UNDERFLOW = np.float32(np.finfo(np.float32).tiny / np.finfo(np.float32).eps)
"""A factor smaller than a normal number may be flushed to zero (Higham's model (2.8) with underflow)."""


Rule = Callable[[Call], Array]


def natural_scale(call: Call) -> Array:
    """Return what each element of a node's output may lose, in multiples of epsilon; it broadcasts to the output."""
    rule = scale_in_steps if call.output.dtype.kind in "iu" else _RULES.get(call.node.op_type, _of_unknown)
    with np.errstate(all="ignore"):
        # Of one type, whatever the rule mixes, as operators want their inputs to be.
        scale = np.asarray(rule(call)).astype(np.float32, copy=False)
        return _of_numbers(scale, call.output)


def _of_numbers(scale: Array, output: Array) -> Array:
    """Return a scale, 0 where the output is infinite, as the scores that an attention's mask takes out: an infinite
    loss there would be one of all that is computed from it, and allow any error. What isn't known of a number is its
    own size.
    """
    # A sum is not finite where a number isn't, and makes no second array of what nearly always is.
    if output.dtype.kind != "f" or (np.isfinite(output.sum()) and not np.isnan(scale.sum())):
        return scale
    known = np.where(np.isnan(scale) & ~np.isnan(output), absolute(output).astype(np.float32), scale)
    return np.where(np.isinf(output), np.float32(0), known)


def least_scale(call: Call) -> Array | None:
    """Return what `natural_scale` is at least, where that is known without another product as large as the node's own.

    It is so where weights alone may be off, and then they are off one by one, or all by one factor (`_linear`).
    """
    weighted = call.node.op_type in _WEIGHTED and not call.node.domain and not call.rounds
    return 2 * absolute(call.output) if weighted else None


def shares_a_kernel(node: NodeProto) -> bool:
    """Return whether runtimes may compute a node together with what precedes it: element by element, or by copying.

    Then what is recorded before it need not be what it was computed from, to the last bit.
    """
    return node.op_type in _IN_ONE_KERNEL and not node.domain


def _is_float(value: Array | None) -> bool:
    return value is not None and value.dtype.kind == "f"


# --- sums: |w| * |x| + |b|


def _of_sums(terms: float, total: Array) -> Array:
    """Return what the sums on the way may lose, which are as large as the result. Runtimes add up some 16 at once."""
    return np.abs(total) * (math.sqrt(terms) / 4)


def _terms(call: Call) -> int:
    """Return how many numbers each element of the output is the sum of."""
    kind, x, y = call.node.op_type, np.asarray(call.inputs[0]), call.output
    if kind in ("Conv", "ConvTranspose", "DeformConv"):
        weights = np.asarray(call.inputs[2 if kind == "DeformConv" else 1])
        return max(1, int(weights.size // max(1, weights.shape[0])))
    if kind in ("MatMul", "Gemm"):
        return max(1, int(x.shape[-2 if call.attribute("transA", 0) else -1]))
    return max(1, int(x.size // max(1, y.size)))


def _linear(*places: int) -> Rule:
    """Return the rule of what is linear in each of some inputs; of all, if none is named.

    The scale of |x| passed through the operation, and what was lost before, too.
    """

    def rule(call: Call) -> Array:
        sizes = {
            place: call.size_of(place) + _UNDERFLOW
            for place, value in enumerate(call.inputs)
            if _is_float(value) and (not places or place in places)
        }

        def passed(given: Mapping[int, Array]) -> Array:
            return np.abs(call.evaluate([given.get(place, value) for place, value in enumerate(call.inputs)]))

        scale = passed(sizes)
        if call.rounds:
            scale = scale + _of_sums(_terms(call), call.output)
        elif len(sizes) == 1 and not places:  # a mean or a sum has no weights that could be off
            scale = call.own(scale)
        else:
            # Weights that the exporter computed, as of weight_norm, are off one by one, or all by one factor.
            scale = scale / math.sqrt(_terms(call)) + 2 * absolute(call.output)
        for place, value, lost in call.losses():
            if place in sizes:
                scale = scale + passed(
                    {**sizes, place: np.broadcast_to(lost, value.shape).astype(np.float32, copy=False)}
                )
            else:
                scale = scale + _moved(call, place, value, lost)
        return scale

    return rule


_of_products = _linear()


def _convolved(call: Call) -> Array:
    """Return the largest scale of each channel of each image, since fast convolutions mix what lies side by side.

    Winograd's algorithm and Fourier transforms turn a tile of pixels into sums of them, multiply those, and turn the
    products back, so that each pixel gets a rounding of the largest in its tile: a dark one beside a bright one was off
    by 42 times its own scale in cuDNN, which ONNX Runtime lets choose the fastest. Channels are not mixed.
    """
    scale = _of_products(call)
    if not call.rounds or max(np.asarray(call.inputs[1]).shape[2:]) == 1:
        return scale
    pixels = tuple(range(2, scale.ndim))
    largest: Array = np.max(scale, axis=pixels, keepdims=True, initial=0.0, where=np.isfinite(scale))
    return np.asarray(np.maximum(scale, largest))


def _added(call: Call) -> Array:
    parts = [call.own(call.size_of(place)) for place in range(len(call.inputs))]
    parts += [lost for lost in call.lost if lost is not None]
    total: Array = sum(parts[1:], parts[0])
    return total / len(call.inputs) if call.node.op_type == "Mean" else total


def _multiplied(call: Call) -> Array:
    scale = call.own(absolute(call.output))
    for place, _, lost in call.losses():
        scale = scale + lost * call.size_of(1 - place)
    return scale


def _sampled(*places: int) -> Rule:
    """Return the rule of what takes values between elements, at positions that are rounded as well."""
    linear = _linear(*places)

    def rule(call: Call) -> Array:
        x = np.asarray(call.inputs[0])
        if call.node.op_type in ("Resize", "Upsample"):
            # Its factors are no values that pass through, and a little less of one is another size.
            call = replace(call, lost=[call.lost[0], *(None for _ in call.lost[1:])])
            if call.attribute("mode", b"nearest") == b"nearest":
                return copied(call)
        between = linear(call)
        if call.node.op_type == "GridSample":
            # Between the last element and the zeros around it, a weight near 0 is off by as much as any other.
            sizes = [call.size_of(0), call.inputs[1]]
            of_sizes = replace(call, inputs=sizes, output=np.asarray(call.evaluate(sizes)))
            between = between + _moved(of_sizes, 1, np.asarray(sizes[1]), 1 + call.size_of(1))
        if call.attribute("mode", b"") in (b"cubic", b"bicubic"):  # with negative weights, of which |x| may cancel
            between = between + np.max(absolute(x), axis=tuple(range(2, x.ndim)), keepdims=True) / 4
        return between * (1 + max(x.shape[2:], default=1))

    copied = _copied(0)
    return rule


# --- copies


def _copied(*places: int) -> Rule:
    """Return the rule of what moves its inputs (some, or all): what they lost before, or their own size."""

    def rule(call: Call) -> Array:
        given = list(call.inputs)
        for place, value, lost in call.losses():
            if not places or place in places:
                given[place] = np.broadcast_to(lost, value.shape).astype(np.float32, copy=False)
        if all(one is other for one, other in zip(given, call.inputs, strict=True)):
            return call.own(absolute(call.output))
        for place, other in enumerate(given):
            if other is call.inputs[place] and _is_float(other) and (not places or place in places):
                given[place] = call.own(call.size_of(place))
        return np.abs(call.evaluate(given))

    return rule


# --- element by element


def _elementwise(own: Callable[..., Array], steepest: float | None = None, values: int | None = None) -> Rule:
    """Return the rule of a function of each element.

    Args:
        own: what the function itself may lose, of the absolute values of its result and its inputs.
        steepest: the largest slope, by which what was lost before counts; None if it depends on the element.
        values: how many of the inputs, the first ones, are such elements; all, if it is not given.
    """

    def rule(call: Call) -> Array:
        scale = call.own(own(absolute(call.output), *(call.size_of(place) for place in range(len(call.inputs)))))
        for place, value, lost in call.losses():
            if values is not None and place >= values:
                continue
            scale = scale + (_moved(call, place, value, lost) if steepest is None else steepest * lost)
        return scale

    return rule


def _moved(call: Call, place: int, value: Array, lost: Array) -> Array:
    """Return how far the output moves where an input moves by what it lost, up or down."""
    changes = []
    for step in (_EPSILON, -_EPSILON):
        change = call.change([*call.inputs[:place], value + step * lost, *call.inputs[place + 1 :]])
        changes.append(np.where(np.isfinite(change), change, 0.0))
    largest: Array = np.maximum(*changes) / _EPSILON
    return largest


def _of_first(_: Array, x: Array, *__: Array) -> Array:
    return x


def _of_result(y: Array, *_: Array) -> Array:
    return y


def _of_exp(y: Array, *_: Array) -> Array:
    """1, or the result where it is larger: what goes through exp has an absolute error, however small the result."""
    return np.maximum(y, 1)


def _power(y: Array, x: Array, exponent: Array) -> Array:
    steepness = exponent * np.abs(np.log(x))
    scale: Array = y * (1 + np.where(np.isfinite(steepness), steepness, 0))
    return scale


# --- normalisations


_SOFTMAX_OF_ONE_AXIS = 13
"""Before this opset it was over all axes from one on."""


def _softmax(call: Call) -> Array:
    """Of y: 1, its argument's distance from the largest, and what that lost."""
    x, flat = np.asarray(call.inputs[0]), call.opset < _SOFTMAX_OF_ONE_AXIS
    axis: Any = call.attribute("axis", 1 if flat else -1)
    if flat:
        axis = tuple(range(axis % x.ndim, x.ndim))
    largest = np.max(x, axis=axis, keepdims=True)
    distance = np.where(np.isfinite(x), largest - x, 0)
    share = np.exp(x - largest)
    share /= np.sum(share, axis=axis, keepdims=True)
    lost = np.zeros(()) if call.lost[0] is None else call.lost[0]
    relative = call.own(1 + distance + math.sqrt(x.size / max(1, largest.size)) / 4) + lost
    relative = relative + np.sum(share * relative, axis=axis, keepdims=True)
    scale: Array = relative + call.own(np.abs(largest)) if call.node.op_type == "LogSoftmax" else share * relative
    return scale


def _batch_norm(call: Call) -> Array:
    if call.attribute("training_mode", 0) or not call.attribute("spatial", 1):
        return _norm(call) if call.attribute("spatial", 1) else _of_unknown(call)
    axes = (-1, *(1,) * (call.output.ndim - 2))
    slope, shift, mean, variance = (call.size_of(place).reshape(axes) for place in range(1, 5))
    slope = slope / np.sqrt(variance + call.attribute("epsilon", 1e-5))
    size = call.size_of(0) + mean if call.lost[0] is None else call.size_of(0) + mean + call.lost[0]
    scale: Array = size * slope + shift
    return scale if {place for place, _, _ in call.losses()} <= {0} else scale + _of_unknown(call)


def _norm(call: Call) -> Array:
    """(|x| + mean |x|) |r gamma| + |beta|, and the same of the variance, which is computed from x - mean."""
    x, kind = np.asarray(call.inputs[0]), call.node.op_type
    if call.output.shape != x.shape:  # a statistic
        return _of_unknown(call)
    elements, axes = _together(call, x)
    size = np.abs(elements)
    if call.lost[0] is not None:
        size = size + np.broadcast_to(call.lost[0], x.shape).reshape(elements.shape)
    if kind != "RMSNormalization":
        mean = np.mean(elements, axis=axes, keepdims=True)
        size = size + np.mean(size, axis=axes, keepdims=True) + _of_sums(elements.size // max(1, mean.size), mean)
        elements = elements - mean
    epsilon = call.attribute("epsilon", 0 if kind == "MeanVarianceNormalization" else 1e-5)
    variance = np.mean(elements**2, axis=axes, keepdims=True) + max(epsilon, 1e-18)
    of_variance = np.mean(np.abs(elements) * size, axis=axes, keepdims=True) / variance
    scale: Array = ((size + np.abs(elements) * (1 + of_variance)) / np.sqrt(variance)).reshape(x.shape)
    if kind == "MeanVarianceNormalization":
        return scale
    gain, shift = (call.size_of(place) for place in (1, 2))
    if kind not in ("LayerNormalization", "RMSNormalization"):
        by_channel = (-1, *(1,) * (x.ndim - 2))
        gain, shift = (np.repeat(each, x.shape[1] // len(each)).reshape(by_channel) for each in (gain, shift))
    return np.asarray(scale * gain + shift)


def _together(call: Call, x: Array) -> tuple[Array, tuple[int, ...]]:
    """Return the elements that a normalization takes, and the axes over which it takes them together."""
    kind = call.node.op_type
    if kind in ("LayerNormalization", "RMSNormalization"):
        return x, tuple(range(call.attribute("axis", -1) % x.ndim, x.ndim))
    if kind == "GroupNormalization":
        return x.reshape(len(x), call.attribute("num_groups", 1), -1), (2,)
    if kind == "MeanVarianceNormalization":
        return x, tuple(axis % x.ndim for axis in call.attribute("axes", (0, 2, 3)))
    return x, (*((0,) if kind == "BatchNormalization" else ()), *range(2, x.ndim))


# --- anything else


def _of_unknown(call: Call) -> Array:
    """The largest value, and how far any element moves where the inputs move by what they lost, at random."""
    finite = np.abs(call.output[np.isfinite(call.output)])
    scale = float(np.max(finite, initial=0.0))
    generator = np.random.default_rng(0)
    losses = list(call.losses())
    for _ in range(3 if losses else 0):
        given = list(call.inputs)
        for place, value, lost in losses:
            given[place] = value + generator.choice((-_EPSILON, _EPSILON), value.shape) * lost
        change = call.change(given)
        scale = max(scale, float(np.max(change, initial=0.0, where=np.isfinite(change))) / _EPSILON)
    return np.asarray(scale)


def _of_recurrent(call: Call) -> Array:
    """What each step loses goes through all later ones: as if every input, also the weights, were off by a rounding."""
    if not call.rounds:
        return _of_unknown(call)
    lost = [
        np.maximum(call.size_of(place), 0 if before is None else before) if _is_float(call.inputs[place]) else None
        for place, before in enumerate(call.lost)
    ]
    return _of_unknown(replace(call, lost=lost))


def _row(names: str, rule: Rule) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), rule)


_RULES: dict[str, Rule] = {
    **_row("Conv ConvTranspose", _convolved),
    **_row("MatMul Gemm Einsum AveragePool GlobalAveragePool ReduceSum ReduceMean ReduceL1 CumSum "
           "Col2Im", _linear()),
    **_row("Add Sub Sum Mean", _added),
    **_row("Mul", _multiplied),
    **_row("GridSample RoiAlign Resize Upsample", _sampled(0)),
    **_row("DeformConv", _sampled(0, 1, 3, 4)),
    **_row("Concat Flatten Identity MaxPool GlobalMaxPool Pad ReduceMax Reshape Scatter ScatterElements ScatterND "
           "Slice Split Squeeze Transpose Unsqueeze Expand Tile Trilu DepthToSpace SpaceToDepth Dropout Gather "
           "GatherElements GatherND Compress ReverseSequence CenterCropPad", _copied()),
    **_row("MaxRoiPool MaxUnpool", _copied(0)),
    **_row("Where", _copied(1, 2)),
    **_row("Max Min", _elementwise(_of_result, 1)),
    **_row("Abs Neg Relu Clip LeakyRelu PRelu Shrink ThresholdedRelu Cast", _elementwise(_of_first, 1)),
    **_row("CastLike", _elementwise(_of_first, 1, values=1)),
    **_row("HardSwish Swish Gelu Mish", _elementwise(_of_first, 1.5)),
    **_row("Floor Ceil Round Sign Mod", _elementwise(_of_first)),
    **_row("Sqrt Reciprocal Div Softsign DequantizeLinear DequantizeNBits", _elementwise(_of_result)),
    **_row("LRN LpNormalization LpPool GlobalLpPool ReduceL2 ReduceSumSquare", _elementwise(lambda y, *_: 4 * y)),
    **_row("Sigmoid HardSigmoid Tanh Erf Elu Selu Celu Softplus Atan", _elementwise(_of_exp, 1.8)),
    **_row("Log Acos Asin Acosh Asinh Atanh", _elementwise(_of_exp)),
    **_row("Exp Sinh Cosh", _elementwise(lambda y, x: y * (1 + x))),
    **_row("Sin Cos", _elementwise(lambda _, x: 1 + x, 1)),
    **_row("Pow", _elementwise(_power)),
    **_row("Softmax LogSoftmax", _softmax),
    **_row("LSTM GRU RNN", _of_recurrent),
    **_row("BatchNormalization", _batch_norm),
    **_row("LayerNormalization RMSNormalization InstanceNormalization GroupNormalization MeanVarianceNormalization",
           _norm),
}  # fmt: skip
"""By operator. The slopes are those of PyTorch's functions (1.13 for GELU and Swish, 1.76 for SELU)."""

_WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})

_IN_ONE_KERNEL = _RULES.keys() - _row(
    "Conv ConvTranspose MatMul Gemm Einsum DeformConv Softmax LogSoftmax BatchNormalization LayerNormalization "
    "RMSNormalization InstanceNormalization GroupNormalization MeanVarianceNormalization LSTM GRU RNN", _of_unknown
)  # fmt: skip
