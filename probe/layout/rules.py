"""What each operation does to the axes of its inputs: the rules for those that compute, and the table of all rules."""

from collections.abc import Sequence
from typing import Any

from torch import fx

from .axis_factors import Axis, drop, fresh, is_known, letter_of, merge, resize, size_of
from .moves import MOVES
from .step import Step, elementwise, indices, table, unknown

__all__ = ["RULES"]

_IMAGE_AXES = {1: "L", 2: "HW", 3: "DHW"}


def _batch_axis(step: Step, axis: Axis) -> Axis:
    if is_known(axis) or size_of(axis) != step.batch:
        return axis
    return fresh("N", size_of(axis))


def _pool(step: Step) -> list[Axis] | None:
    """Pooling, resizing: N C *, whatever was known before, keeping what is known of the image's axes."""
    axes, spatial = step.first, step.spatial or len(step.shape) - 2
    if len(axes) != len(step.shape) or spatial not in _IMAGE_AXES or len(axes) - spatial not in {1, 2}:
        return None
    *outer, channels = axes[:-spatial]
    image = []
    for axis, size, letter in zip(axes[-spatial:], step.shape[-spatial:], _IMAGE_AXES[spatial], strict=True):
        known = letter_of(axis)
        keep = is_known(axis) and size_of(axis) == size
        image.append(axis if keep else fresh(known if known in "DHWL" else letter, size))
    size = step.shape[-spatial - 1]
    keep = is_known(channels) and size_of(channels) == size
    return [*(_batch_axis(step, axis) for axis in outer), channels if keep else fresh("C", size), *image]


def _convolve(step: Step) -> list[Axis] | None:
    """As for pooling, with new channels, unless an image axis holds the channels: then tokens were mixed."""
    axes = _pool(step)
    if axes is None:
        return None
    index = len(axes) - 1 - (step.spatial or len(axes) - 2)
    axes[index] = fresh("?" if _hold_channels(axes[index + 1 :]) else "C", step.shape[index])
    return axes


def _hold_channels(axes: Sequence[Axis]) -> bool:
    return any(factor.letter == "C" for axis in axes for factor in axis)


def _normalise_channels(step: Step) -> list[Axis] | None:
    """Batch and group norm keep what is known; where nothing is, axis 1 is C and the image follows."""
    axes = step.first
    letters = {2: "C", 3: "C?", 4: "CHW", 5: "CDHW"}.get(len(axes), "")
    if not letters:
        return None
    implied = [fresh(letter, size_of(axis)) for axis, letter in zip(axes[1:], letters, strict=True)]
    known = [axis if is_known(axis) else new for axis, new in zip(axes[1:], implied, strict=True)]
    return [_batch_axis(step, axes[0]), *known]


def _unfold(step: Step) -> list[Axis] | None:
    """N C H W -> N, C * kernel, L; the tensor method of this name splits one axis instead."""
    if step.node.op == "call_method" or "unfold.default" in str(step.node.target):
        return MOVES["unfold"](step)
    return [*step.first[:1], fresh("C", step.shape[1]), fresh("L", step.shape[2])] if len(step.shape) == 3 else None


def _fold(step: Step) -> list[Axis] | None:
    """N, C * kernel, L -> N C H W."""
    if len(step.shape) != 4:
        return None
    return [*step.first[:1], *(fresh(letter, size) for letter, size in zip("CHW", step.shape[1:], strict=True))]


def _linear(step: Step) -> list[Axis]:
    return _mix(step.first[:-1], step.shape[-1])


def _mix(outer: list[Axis], size: int) -> list[Axis]:
    """The last axis becomes C, unless another axis holds the channels: then tokens were mixed, as in MLP-Mixer."""
    return [*outer, fresh("?" if _hold_channels(outer) else "C", size)]


def _matmul(step: Step) -> list[Axis] | None:
    """(..., rows, inner) and (..., inner, columns) -> (..., rows, columns); with a weight, a linear layer."""
    return _multiply(step, step.argument(0, "input", "self"), step.argument(1, "other", "mat2"))


def _add_matmul(step: Step) -> list[Axis] | None:
    return _multiply(step, step.argument(1, "mat1", "batch1"), step.argument(2, "mat2", "batch2"))


def _multiply(step: Step, one: Any, other: Any) -> list[Axis] | None:
    left, right = step.tensor(one), step.tensor(other)
    if len(left) < 2 or len(right) < 2:
        return None
    if len(right) == 2 and _is_weight(other):
        return _mix(left[:-1], step.shape[-1])
    return [*_batch_axes(step, left, right), left[-2], right[-1]]


def _is_weight(node: fx.Node) -> bool:
    """Return whether a node is a parameter or constant, possibly transposed or the like."""
    while node.op != "get_attr" and len(node.all_input_nodes) == 1:
        node = node.all_input_nodes[0]
    return node.op == "get_attr"


def _attend(step: Step) -> list[Axis]:
    """The query's axes, except that the last is the values'."""
    value = step.tensor(step.argument(2, "value"))
    return [*_batch_axes(step, step.first, value), *step.first[-2:-1], *value[-1:]]


def _batch_axes(step: Step, *matrices: list[Axis]) -> list[Axis]:
    """Return all axes except rows and columns; they broadcast."""
    shape = step.shape[:-2]
    padded = [[fresh("?", 1)] * (len(step.shape) - len(axes)) + axes for axes in matrices]
    return [merge([axes[i] for axes in padded if size_of(axes[i]) == size], size) for i, size in enumerate(shape)]


def _attend_with_projection(step: Step) -> list[Axis] | None:
    """`nn.MultiheadAttention` returns the attended values and the weights."""
    return step.first if step.part == 0 else unknown(step)


def _reduce(step: Step) -> list[Axis] | None:
    """mean, sum, max over axes, which are dropped or kept with size 1."""
    if step.tensor(step.argument(1, "other")):
        return elementwise(step)
    return _without(step, step.argument(1, "dim"))


def _norm(step: Step) -> list[Axis] | None:
    """Like the other reductions, with the axes after the order of the norm."""
    return _without(step, step.argument(2, "dim"))


def _without(step: Step, given: Any) -> list[Axis] | None:
    axes = step.first
    chosen = range(len(axes)) if given is None else indices(given, len(axes))
    if len(step.shape) == len(axes):
        return [resize(axis, size) for axis, size in zip(axes, step.shape, strict=True)]
    for i in sorted(chosen, reverse=True):
        axes = drop(axes, i)
    return axes


def _einsum(step: Step) -> list[Axis] | None:
    """Each subscript is one axis of every tensor that has it."""
    equation, *tensors = step.node.args
    if not isinstance(equation, str) or "." in equation or "->" not in equation:
        return None
    inputs, _, result = equation.replace(" ", "").partition("->")
    given = tensors[0] if isinstance(tensors[0], list | tuple) else tensors
    named: dict[str, list[Axis]] = {}
    for subscripts, tensor in zip(inputs.split(","), given, strict=True):
        for subscript, axis in zip(subscripts, step.tensor(tensor), strict=True):
            named.setdefault(subscript, []).append(axis)
    return [merge(named[subscript], size) for subscript, size in zip(result, step.shape, strict=True)]


def _as_first(step: Step) -> list[Axis]:
    """The first tensor with other values in some places."""
    return step.first


_ELEMENTWISE = """
    add sub mul div truediv true_divide floordiv floor_divide mod remainder fmod pow float_power neg negative pos
    positive abs absolute rsub radd rmul rtruediv rpow iadd isub imul itruediv ifloordiv imod ipow
    addcmul addcdiv lerp maximum minimum fmax fmin clamp clamp_min clamp_max clip hypot atan2 copysign heaviside
    eq ne lt le gt ge equal invert not and or xor iand ior ixor lshift rshift ilshift irshift
    logical_and logical_or logical_not logical_xor bitwise_and bitwise_or bitwise_not bitwise_xor
    isnan isinf isfinite where masked_fill nan_to_num
    exp exp2 expm1 log log2 log10 log1p logaddexp logaddexp2 sqrt rsqrt square reciprocal sign sgn signbit
    sin cos tan asin acos atan sinh cosh asinh acosh atanh sinc erf erfc erfinv expit logit lgamma digamma
    ceil floor round trunc frac
    relu re_lu relu6 re_lu6 leaky_relu leaky_re_lu prelu pre_lu prelu_kernel rrelu rre_lu elu celu selu gelu silu si_lu
    mish sigmoid hardsigmoid hard_sigmoid log_sigmoid logsigmoid tanh hardtanh hardswish hard_swish hardshrink
    softshrink tanhshrink softplus softsign threshold softmax log_softmax softmin gumbel_softmax
    layer_norm rms_norm rmsnorm normalize local_response_norm cross_map_lrn
    dropout alpha_dropout feature_dropout feature_alpha_dropout stochastic_depth drop_block bernoulli
    cumsum cumprod cummax cummin logcumsumexp tril triu channel_shuffle
    identity clone contiguous detach alias lift_fresh lift_fresh_copy requires_grad expand_as broadcast_tensors
    to to_copy type type_as float double half bfloat16 int long bool cpu cuda
    copy fill zero uniform normal zeros_like ones_like full_like empty_like rand_like randn_like
    shifted_window_attention
"""
"""The last one is torchvision's function for all of a Swin block's attention."""

RULES = MOVES | table(
    (_convolve, "conv conv_transpose convolution deform_conv"),
    (_pool, "pool interpolate pixel_shuffle pixel_unshuffle grid_sample grid_sampler"),
    (_normalise_channels, "batch_norm sync_batch_norm group_norm instance_norm"),
    (_unfold, "unfold im2col"),
    (_fold, "fold col2im"),
    (_linear, "linear"),
    (_matmul, "matmul mm bmm"),
    (_add_matmul, "addmm baddbmm"),
    (_attend, "scaled_dot_product_attention"),
    (_attend_with_projection, "multihead_attention"),
    (_einsum, "einsum"),
    (_reduce, "mean sum amax amin max min prod std var median logsumexp argmax argmin all any"),
    (_norm, "norm linalg_vector_norm vector_norm"),
    (_as_first, "index_put index_fill index_copy index_add scatter scatter_add masked_scatter slice_scatter"),
    (_as_first, "transformer_encoder transformer_encoder_layer transformer_decoder transformer_decoder_layer"),
    (elementwise, _ELEMENTWISE),
)
"""By the operation's name, without the marks for writing in place and for the number of image axes. Of other operations
nothing is known: an inverse matrix has the shape of its input, but other axes."""
