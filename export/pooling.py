"""Pooling that torch.onnx writes as something else, or that onnx.checker takes for something else.

With `ceil_mode`, PyTorch drops a last window that would start in the padding, and so does ONNX Runtime; the shape
inference of onnx.checker counts it. What is padded at the end is cut here to what the counted windows reach, which
changes no value, and then all three count the same.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import onnx_ir as ir
from onnxscript import opset18
from onnxscript.function_libs.torch_lib.ops import nn as torch_onnx

__all__ = ["avg_pool2d", "avg_pool3d", "drop_windows_in_padding"]

op: Any = opset18  # its types don't fit values of several dtypes


def drop_windows_in_padding(model: ir.Model) -> None:
    """Make each pooling with `ceil_mode` count the windows that PyTorch counts, where its sizes are known."""
    for node in model.graph.all_nodes():
        ceil_mode = node.attributes.get("ceil_mode")
        if node.op_type not in ("MaxPool", "AveragePool") or ceil_mode is None or not ceil_mode.as_int():
            continue
        image = node.inputs[0].shape if node.inputs[0] else None
        sizes = list(image)[2:] if image is not None else []
        if sizes and all(isinstance(size, int) for size in sizes):
            _cut_padding(node, [int(size) for size in sizes])  # type: ignore[arg-type]


def _cut_padding(node: ir.Node, sizes: list[int]) -> None:
    count = len(sizes)

    def given(name: str, default: int) -> list[int]:
        attribute = node.attributes.get(name)
        return list(attribute.as_ints()) if attribute else [default] * count

    windows, strides, dilations = given("kernel_shape", 1), given("strides", 1), given("dilations", 1)
    pads = given("pads", 0) if "pads" in node.attributes else [0] * (2 * count)
    ends, exact, dropped = [], [], False
    for axis, size in enumerate(sizes):
        before, after = pads[axis], pads[count + axis]
        reach = dilations[axis] * (windows[axis] - 1) + 1
        results = -(-(size + before + after - reach) // strides[axis]) + 1
        if (results - 1) * strides[axis] >= size + before:
            results, dropped = results - 1, True
        # What the last window needs, negative where it ends inside the image.
        needed = (results - 1) * strides[axis] + reach - size - before
        ends.append(min(needed, after) if needed >= 0 else 0)
        exact.append(needed <= after)
    if not dropped:
        return
    node.attributes["pads"] = ir.AttrInt64s("pads", [*pads[:count], *ends])
    if all(exact):
        # No window reaches beyond what is padded: rounding down counts the same.
        node.attributes["ceil_mode"] = ir.AttrInt64("ceil_mode", 0)


def _for_each(axes: int, given: Sequence[int]) -> list[int]:
    return list(given) * axes if len(given) == 1 else list(given)


def _average_pooling(torchs_own: Callable[..., Any], axes: int) -> Callable[..., Any]:
    """Return the translation of an average pooling; torch.onnx's own ignores `divisor_override`."""

    def average(
        image: Any,
        kernel_size: Sequence[int],
        stride: Sequence[int] = (),
        padding: Sequence[int] = (0,),
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Any:
        if divisor_override is None:
            return torchs_own(image, kernel_size, stride, padding, ceil_mode, count_include_pad)
        windows, strides, begins = (_for_each(axes, given) for given in (kernel_size, stride or kernel_size, padding))
        sizes = list(zip(windows, strides, begins, strict=True))
        # Where no window can start in the padding, rounding up is rounding down on an image that goes on with zeros.
        goes_on = ceil_mode and all(begin + step - 1 < window for window, step, begin in sizes)
        ends = [begin + (step - 1 if goes_on else 0) for _, step, begin in sizes]
        if any(ends):
            # Padded beforehand: the sum is divided by the same number in every window.
            rank = len(image.shape)
            none = [0] * (rank - axes)
            image = op.Pad(image, op.Constant(value_ints=[*none, *begins, *none, *ends]))
            image.shape = ir.Shape([None] * rank)  # torch's own translation asks for the rank
        mean = torchs_own(image, kernel_size, stride, [0] * axes, ceil_mode and not goes_on, count_include_pad)
        return op.Mul(mean, op.CastLike(op.Constant(value_float=math.prod(windows) / divisor_override), mean))

    return average


avg_pool2d = _average_pooling(torch_onnx.aten_avg_pool2d, 2)
avg_pool3d = _average_pooling(torch_onnx.aten_avg_pool3d, 3)
