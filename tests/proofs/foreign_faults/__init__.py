"""Faults planted into files of other tools: what public reports tell of, wherever a file has a place for it.

`KINDS` is the table: where a kind may be planted, the models it is planted into in turn, and how many times. What a
kind does is in the file of its family, here or in `planted_faults`.
"""

import numpy as np

from proofs.planted_faults import Kind, attributes, common, weights, wiring
from proofs.planted_faults.attributes import changed, flipped, one_of, times

from . import kept_weights as kept
from . import misread
from . import miswired as wired
from .folded import MODULE_FAULTS

__all__ = ["KINDS", "LARGE", "MODULE_FAULTS", "MODULE_MODELS", "PAIRED", "jobs"]

LARGE = ("torchvision:resnet18", "torchvision:shufflenet_v2_x0_5", "torchvision:squeezenet1_1",
          "torchvision:efficientnet_b0", "torchvision:mobilenet_v3_small", "torchvision:convnext_tiny",
          "torchvision:densenet121", "trained:MobileNetV2_bottle")  # fmt: skip
_RESNET, _SHUFFLENET, _SQUEEZENET, _EFFICIENTNET, _MOBILENET, _CONVNEXT, _DENSENET, _TRAINED = LARGE
_GATES, _ORDERS, _BORDERS, _RESIZES = "small:gates", "small:orders", "small:borders", "small:resizes"
_RESIZE_MODES = one_of("half_pixel", "asymmetric", "align_corners")


def _square(array: np.ndarray) -> np.ndarray | None:
    """Return a weight of as many inputs as outputs with these swapped."""
    return array.swapaxes(0, 1).copy() if array.ndim > 1 and array.shape[0] == array.shape[1] else None


def _flipped(array: np.ndarray) -> np.ndarray | None:
    return array[:, :, ::-1, ::-1].copy() if array.ndim == 4 else None


def _rows_for_columns(array: np.ndarray) -> np.ndarray | None:
    return array.swapaxes(2, 3).copy() if array.ndim == 4 and array.shape[2] == array.shape[3] > 1 else None


_PADS = ("Conv", "MaxPool", "AveragePool")

# fmt: off
KINDS: dict[str, Kind] = {
    # Attributes.
    "epsilon of a norm": Kind(misread.epsilon, ["small:norms", _CONVNEXT, _DENSENET], 3),
    "pads of a convolution made asymmetric": Kind(
        common.changed_padding, [_RESNET, _BORDERS, _SQUEEZENET, _TRAINED], 4),
    "pads of a pool made asymmetric": Kind(misread.wider_window, [_BORDERS, _DENSENET], 2),
    "dilations": Kind(attributes.dilated, [_BORDERS, _RESNET, _SHUFFLENET], 3),
    "strides": Kind(changed("Conv", "strides", [1, 1], attributes.strided), ["small:windows"], 1),
    "coordinate_transformation_mode of Resize": Kind(
        changed("Resize", "coordinate_transformation_mode", b"half_pixel", _RESIZE_MODES), [_RESIZES], 3),
    "nearest_mode of Resize": Kind(
        changed("Resize", "nearest_mode", b"round_prefer_floor", one_of("ceil", "round_prefer_ceil")), [_RESIZES], 2),
    "cubic coefficient of Resize": Kind(
        changed("Resize", "cubic_coeff_a", -0.75, lambda *_: [-0.5]), [_RESIZES, "small:resampling"], 2),
    "count_include_pad": Kind(
        changed("AveragePool", "count_include_pad", 0, flipped), [_BORDERS, "small:windows"], 2),
    "axis of Softmax": Kind(changed("Softmax", "axis", -1, attributes.other_axis), [_ORDERS, "small:batches"], 2),
    "axis of a mean": Kind(misread.reduced_axis, [_ORDERS], 2),
    "slope of LeakyRelu": Kind(changed("LeakyRelu", "alpha", 0.01, lambda *_: [0.01]), [_GATES], 2),
    "alpha of Elu": Kind(changed("Elu", "alpha", 1.0, lambda *_: [1.0]), [_GATES], 2),
    "slopes of PRelu 5 % off": Kind(kept.scaled("PRelu", 1, 1.05), [_GATES], 1),
    "alpha of HardSigmoid as ONNX has it": Kind(
        changed("HardSigmoid", "alpha", 0.2, lambda *_: [0.2]), [_GATES, _MOBILENET], 2),
    "alpha of Gemm 1 % off": Kind(changed("Gemm", "alpha", 1.0, times(1.01)), [_RESNET], 1),
    "mode of Pad": Kind(misread.padding_mode, [_BORDERS], 1),
    "mode of DepthToSpace": Kind(misread.pixel_order, [_ORDERS], 2),
    "align_corners of GridSample": Kind(
        changed("GridSample", "align_corners", 0, flipped), ["small:resampling"], 1),
    # Clamps.
    "the bound of a ReLU6": Kind(misread.upper_bound, [_TRAINED, _GATES], 3),
    "ReLU6 made ReLU": Kind(weights.bound_lost, [_TRAINED, _GATES, _TRAINED], 3),
    "a clamp lost": Kind(weights.clamp_lost, [_RESNET, _TRAINED, _SQUEEZENET], 3),
    # Weights.
    "one channel of a weight 1 % off": Kind(kept.channel_off, LARGE, 6),
    "inputs and outputs of a square weight swapped": Kind(
        kept.rearranged("transposed", "Conv Gemm MatMul", _square), [_RESNET, _ORDERS, _SHUFFLENET], 3),
    "a kernel rotated": Kind(
        kept.rearranged("rotated by 180 degrees", "Conv ConvTranspose", _flipped), [_BORDERS, _SQUEEZENET], 2),
    "rows for columns in a kernel": Kind(
        kept.rearranged("rows for columns", "Conv", _rows_for_columns), [_DENSENET, _EFFICIENTNET], 2),
    "two channels swapped": Kind(common.swapped_channels, [_DENSENET, _MOBILENET], 2),
    "the groups of a convolution in another order": Kind(
        weights.permuted_groups, [_BORDERS, _TRAINED, _SHUFFLENET], 3),
    "a bias left out": Kind(
        kept.left_out("Conv Gemm", 2, 0, "the bias made 0"), [_RESNET, _EFFICIENTNET, _SHUFFLENET, _TRAINED], 4),
    "the scale of a layer norm": Kind(
        kept.scaled("LayerNormalization", 1, 1.02), [_CONVNEXT, "small:norms"], 2),
    "a weight rounded to 8 bits": Kind(kept.rounded, [_MOBILENET, _CONVNEXT], 2),
    "a weight rounded to float16": Kind(common.halved_constant, [_TRAINED, _DENSENET], 2),
    # Operations.
    "Sigmoid for HardSigmoid": Kind(wired.became("HardSigmoid", "Sigmoid"), [_MOBILENET, _GATES], 2),
    "HardSigmoid for Sigmoid": Kind(
        wired.became("Sigmoid", "HardSigmoid", alpha=1 / 6, beta=0.5), [_EFFICIENTNET, _GATES], 2),
    "Swish for HardSwish": Kind(wired.hard_swish_as_swish, [_MOBILENET, _GATES], 2),
    "GELU by tanh": Kind(wired.erf_as_tanh, [_CONVNEXT, _GATES, _CONVNEXT], 3),
    "a maximum for a mean": Kind(wired.window_maximum, [_DENSENET, _SQUEEZENET], 2),
    "half precision and back": Kind(wired.half_and_back, [_RESNET, _TRAINED, _CONVNEXT, _GATES], 4),
    # Wiring.
    "the parts of a concatenation swapped": Kind(wired.swapped_parts, [_SQUEEZENET, _DENSENET, _SHUFFLENET], 3),
    "a residual added twice": Kind(wired.added_twice, [_RESNET, _EFFICIENTNET, _GATES], 3),
    "a residual left out": Kind(wired.dropped_operand, [_RESNET, _TRAINED], 2),
    "a residual from the wrong tensor": Kind(wiring.wrong_residual, [_RESNET, _GATES], 2),
    "a slice off by one": Kind(wired.shifted_slice, [_ORDERS, _SHUFFLENET, "small:batches"], 3),
    "an index off by one": Kind(wired.shifted_index, ["small:batches"], 1),
    "the order of equal axes": Kind(wired.other_perm, [_ORDERS, "small:batches"], 2),
    "a channel shuffle lost": Kind(wiring.lost_shuffle, [_SHUFFLENET], 1),
    "rows for columns before flattening": Kind(wired.image_transposed, [_BORDERS, "small:windows"], 2),
    "the inputs of Sub or MatMul swapped": Kind(wiring.swapped_inputs, ["small:norms", _ORDERS], 2),
}
# fmt: on
"""By name: faults of the file."""

PAIRED = (
    "pads of a convolution made asymmetric",
    "a clamp lost",
    "one channel of a weight 1 % off",
    "two channels swapped",
    "a bias left out",
    "a weight rounded to 8 bits",
    "half precision and back",
    "a residual added twice",
    "rows for columns in a kernel",
    "inputs and outputs of a square weight swapped",
)
"""Kinds of which two are planted into one file."""
_PAIRS = 20

MODULE_MODELS = (_RESNET, _EFFICIENTNET, _TRAINED)


def jobs() -> dict[str, list[tuple[str, int]]]:
    """Return what is planted together, by the job's name: kinds and seeds."""
    single = {f"{kind} #{seed + 1}": [(kind, seed)] for kind, row in KINDS.items() for seed in range(row.count)}
    module = {f"{kind} #{seed + 1}": [(kind, seed)] for kind in MODULE_FAULTS for seed in range(2)}
    pairs = {
        f"two at once #{number + 1}": [
            (PAIRED[number % len(PAIRED)], number),
            (PAIRED[(number * 3 + 1 + number // len(PAIRED)) % len(PAIRED)], number + 1),
        ]
        for number in range(_PAIRS)
    }
    return {**single, **module, **pairs}
