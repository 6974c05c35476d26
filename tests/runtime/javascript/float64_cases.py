"""Small graphs, one for each operator that JavaScript computes in float64 and each way in which it differs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, helper, numpy_helper

__all__ = ["CASES", "CHAINS", "HOSTILE", "OPSETS", "ROUNDED", "model_of"]

_RANDOM = np.random.default_rng(11)


def _noise(*shape: int) -> NDArray[np.float32]:
    return _RANDOM.standard_normal(shape).astype(np.float32)


def _positive(*shape: int) -> NDArray[np.float32]:
    return np.abs(_noise(*shape)) + np.float32(0.1)


def _ints(*values: int) -> NDArray[np.int64]:
    return np.array(values, np.int64)


_IMAGE = (2, 4, 9, 11)
_X = _noise(*_IMAGE)
_EMPTY = np.array([], np.float32)
_Arrays = Sequence[NDArray[Any] | None]

CASES: dict[str, tuple[_Arrays, dict[str, Any]]] = {
    "Conv": ([_X, _noise(6, 4, 3, 3), _noise(6)], {"pads": [1, 1, 1, 1]}),
    "Conv strided, without bias": ([_X, _noise(6, 4, 3, 2)], {"strides": [2, 3], "pads": [0, 1, 2, 1]}),
    "Conv of pixels": ([_X, _noise(7, 4, 1, 1), _noise(7)], {}),
    "Conv dilated": ([_X, _noise(5, 4, 3, 3)], {"dilations": [2, 3], "pads": [2, 2, 2, 2]}),
    "Conv in groups": ([_X, _noise(6, 2, 3, 3), _noise(6)], {"group": 2}),
    "Conv depthwise": ([_X, _noise(4, 1, 5, 5), _noise(4)], {"group": 4, "pads": [2, 2, 2, 2]}),
    "Conv depthwise, of many results": ([_X, _noise(20, 1, 3, 3)], {"group": 4}),
    "Conv SAME_UPPER": ([_X, _noise(3, 4, 4, 2)], {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    "Conv SAME_LOWER": ([_X, _noise(3, 4, 4, 2)], {"auto_pad": "SAME_LOWER", "strides": [3, 2]}),
    "Conv VALID": ([_X, _noise(3, 4, 3, 3)], {"auto_pad": "VALID"}),
    "Conv of one axis": ([_noise(2, 4, 30), _noise(3, 4, 5)], {"pads": [2, 2]}),
    "Conv of three axes": ([_noise(1, 2, 5, 6, 7), _noise(3, 2, 2, 3, 2)], {"strides": [1, 2, 1]}),
    "Conv of many channels": ([_noise(1, 70, 6, 6), _noise(65, 70, 3, 3)], {}),
    "ConvTranspose": ([_X, _noise(4, 3, 3, 3), _noise(3)], {"strides": [2, 2]}),
    "ConvTranspose padded": (
        [_X, _noise(4, 3, 4, 3)],
        {"strides": [2, 3], "pads": [1, 0, 2, 1], "output_padding": [1, 2], "dilations": [1, 2]},
    ),
    "ConvTranspose in groups": ([_X, _noise(4, 2, 3, 3)], {"group": 2, "auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    "MatMul": ([_X, _noise(11, 30)], {}),
    "MatMul in batches": ([_noise(2, 3, 4, 5), _noise(3, 5, 6)], {}),
    "MatMul of vectors": ([_noise(5), _noise(5)], {}),
    "Gemm": ([_noise(3, 8), _noise(8, 5), _noise(5)], {}),
    "Gemm transposed": (
        [_noise(8, 3), _noise(5, 8), np.array([[0.5], [2], [-4]], np.float32)],
        {"transA": 1, "transB": 1, "alpha": 0.7, "beta": 1.5},
    ),
    "Einsum": ([_noise(2, 3, 4), _noise(2, 5, 4)], {"equation": "bij,bkj->bik"}),
    "BatchNormalization": ([_X, _noise(4), _noise(4), _noise(4), _positive(4)], {"epsilon": 1e-3}),
    "InstanceNormalization": ([_X, _noise(4), _noise(4)], {}),
    "GroupNormalization": ([_X, _noise(2), _noise(2)], {"num_groups": 2}),
    "GroupNormalization by channel": ([_X, _noise(4), _noise(4)], {"num_groups": 2}),
    "LayerNormalization": ([_X, _noise(11), _noise(11)], {}),
    "LayerNormalization of two axes": ([_X, _noise(9, 11)], {"axis": -2, "epsilon": 1e-3}),
    "MeanVarianceNormalization": ([_X], {}),
    "LRN": ([_X], {"size": 3, "alpha": 0.1}),
    "LpNormalization": ([_X], {"axis": 1}),
    "Softmax": ([3 * _X], {"axis": 1}),
    "LogSoftmax": ([3 * _X], {}),
    "MaxPool": ([_X], {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 1]}),
    "MaxPool ceil_mode": ([_X], {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}),
    "MaxPool dilated": ([_X], {"kernel_shape": [2, 2], "dilations": [2, 2]}),
    "AveragePool": ([_X], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [2, 2], "ceil_mode": 1}),
    "AveragePool with its padding": ([_X], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1}),
    "LpPool": ([_X], {"kernel_shape": [2, 2], "p": 2}),
    "GlobalAveragePool": ([_X], {}),
    "GlobalMaxPool": ([_X], {}),
    "ReduceMean": ([_X, _ints(2, 3)], {}),
    "ReduceMean without the axes": ([_X, _ints(-1, 1)], {"keepdims": 0}),
    "ReduceSum": ([_X, _ints(1)], {}),
    "ReduceSum of all": ([_X], {}),
    "ReduceMax": ([_X, _ints(1)], {}),
    "ReduceMin": ([_X, _ints(3)], {}),
    "ReduceProd": ([_X, _ints(3)], {}),
    "ReduceL1": ([_X, _ints(3)], {}),
    "ReduceL2": ([_X, _ints(2, 3)], {}),
    "ReduceSumSquare": ([_X, _ints(1)], {}),
    "ArgMax": ([_X], {"axis": 1}),
    "ArgMin": ([_X], {"axis": -1, "keepdims": 0}),
    "CumSum": ([_X, np.array(3, np.int64)], {"reverse": 1}),
    "Add": ([_X, _noise(4, 1, 11)], {}),
    "Sub": ([_X, np.float32(0.3)], {}),
    "Sum": ([_X, _noise(11), _noise(9, 1)], {}),
    "Mean": ([_X, _noise(*_IMAGE)], {}),
    "Mul": ([_X, _noise(2, 4, 1, 1)], {}),
    "Div": ([_X, _positive(*_IMAGE)], {}),
    "Div of sizes": ([_ints(7, -7, 6), _ints(2, 2, -4)], {}),
    "Mod": ([_ints(7, -7, 6), _ints(2, 2, 4)], {}),
    "Mod fmod": ([_X, _positive(*_IMAGE)], {"fmod": 1}),
    "Pow": ([_positive(*_IMAGE), np.float32(1.7)], {}),
    "Max": ([_X, _noise(*_IMAGE)], {}),
    "Min": ([_X, _noise(11)], {}),
    "Where": ([_X > 0, _X, np.float32(2)], {}),
    "Clip": ([_X, np.float32(-0.5), np.float32(0.7)], {}),
    "Clip below": ([_X, np.float32(-0.5)], {}),
    "PRelu": ([_X, _positive(4, 1, 1)], {}),
    **{
        name: ([_X], attributes)
        for name, attributes in {
            "Abs": {}, "Neg": {}, "Relu": {}, "LeakyRelu": {"alpha": 0.2}, "ThresholdedRelu": {"alpha": 0.5},
            "Shrink": {"lambd": 0.4, "bias": 0.1}, "HardSwish": {}, "Gelu": {}, "Mish": {}, "Floor": {}, "Ceil": {},
            "Sign": {}, "Reciprocal": {}, "Softsign": {}, "Sigmoid": {}, "HardSigmoid": {"alpha": 0.3}, "Tanh": {},
            "Erf": {}, "Elu": {"alpha": 1.2}, "Selu": {}, "Celu": {"alpha": 1.5}, "Softplus": {}, "Atan": {}, "Exp": {},
            "Sinh": {}, "Cosh": {}, "Sin": {}, "Cos": {}, "Identity": {}, "Size": {}, "IsNaN": {}, "IsInf": {},
        }.items()
    },
    "Swish": ([_X], {"alpha": 1.1}),
    "Gelu tanh": ([_X], {"approximate": "tanh"}),
    "Round": ([np.array([0.5, 1.5, -0.5, -1.5, 2.4, 2.6], np.float32)], {}),
    "Sqrt": ([_positive(*_IMAGE)], {}),
    "Log": ([_positive(*_IMAGE)], {}),
    "Acos": ([np.tanh(_X)], {}),
    "Asin": ([np.tanh(_X)], {}),
    "Reshape": ([_X, _ints(2, 0, -1)], {}),
    "Flatten": ([_X], {"axis": 2}),
    "Squeeze": ([_noise(2, 1, 3, 1), _ints(1, -1)], {}),
    "Squeeze of all": ([_noise(2, 1, 3, 1)], {}),
    "Unsqueeze": ([_X, _ints(0, -1)], {}),
    "Transpose": ([_X], {"perm": [0, 2, 3, 1]}),
    "Transpose reversed": ([_X], {}),
    "Concat": ([_X, _noise(2, 3, 9, 11)], {"axis": 1}),
    "Slice": ([_X, _ints(1, -3), _ints(8, 1000), _ints(2, -1), _ints(2, 1)], {}),
    "Slice backwards": ([_X, _ints(-1), _ints(-(2**63) + 1), _ints(3), _ints(-2)], {}),
    "Gather": ([_X, np.array([[0, -1], [2, 1]], np.int64)], {"axis": 1}),
    "Gather of one": ([_X, np.array(2, np.int64)], {"axis": 3}),
    "GatherElements": ([_X, np.argsort(_X, axis=2)], {"axis": 2}),
    "ScatterND": ([_X, np.array([[1, 2], [0, 3]], np.int64), _noise(2, 9, 11)], {}),
    "Expand": ([_noise(4, 1, 11), _ints(2, 1, 9, 1)], {}),
    "Tile": ([_noise(2, 3), _ints(2, 2)], {}),
    "Pad": ([_X, _ints(0, 0, 1, 2, 0, 1, -2, 3), np.float32(0.5)], {}),
    "Pad reflect": ([_X, _ints(2, 3, 1, 2), None, _ints(2, 3)], {"mode": "reflect"}),
    "Pad edge": ([_X, _ints(2, 3, 1, 2), None, _ints(2, 3)], {"mode": "edge"}),
    "Pad wrap": ([_X, _ints(2, 3, 1, 2), None, _ints(2, 3)], {"mode": "wrap"}),
    "DepthToSpace": ([_X], {"blocksize": 2}),
    "DepthToSpace CRD": ([_X], {"blocksize": 2, "mode": "CRD"}),
    "SpaceToDepth": ([_noise(1, 2, 4, 6)], {"blocksize": 2}),
    "Trilu": ([_noise(2, 4, 5), np.array(1, np.int64)], {"upper": 0}),
    "Dropout": ([_X], {}),
    "Resize": ([_X, _EMPTY, _EMPTY, _ints(2, 4, 20, 17)], {"mode": "linear"}),
    "Resize by scales": ([_X, _EMPTY, np.array([1, 1, 1.6, 2.5], np.float32)], {"mode": "nearest"}),
    "Resize floor": (
        [_X, _EMPTY, np.array([1, 1, 1.6, 0.5], np.float32)],
        {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"},
    ),
    "Resize of corners": (
        [_X, _EMPTY, _EMPTY, _ints(2, 4, 20, 17)],
        {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
    ),
    "Resize cubic": (
        [_X, _EMPTY, _EMPTY, _ints(2, 4, 13, 30)],
        {"mode": "cubic", "coordinate_transformation_mode": "pytorch_half_pixel"},
    ),
    "Resize of integers": (
        [np.arange(-128, 128, dtype=np.int8).reshape(1, 4, 8, 8), _EMPTY, _EMPTY, _ints(1, 4, 20, 17)],
        {"mode": "linear"},
    ),
    "Resize antialiased": ([_X, _EMPTY, _EMPTY, _ints(2, 4, 5, 4)], {"mode": "linear", "antialias": 1}),
    "Resize cubic, inside only": (
        [_X, _EMPTY, _EMPTY, _ints(2, 4, 5, 15)],
        {"mode": "cubic", "antialias": 1, "exclude_outside": 1, "cubic_coeff_a": -0.5},
    ),
    "Cast": ([_X], {"to": onnx.TensorProto.INT64}),
    "Cast to bool": ([_ints(0, 1, 5)], {"to": onnx.TensorProto.BOOL}),
    "CastLike": ([_ints(0, 1, 5), np.float32(1)], {}),
    "Shape": ([_X], {}),
    "Shape of some": ([_X], {"start": 1, "end": -1}),
    "ConstantOfShape": ([_ints(2, 3)], {"value": numpy_helper.from_array(np.array([1.5], np.float32))}),
    "ConstantOfShape of zeros": ([_ints(2, 3)], {}),
    "Range": ([np.array(1, np.int64), np.array(12, np.int64), np.array(3, np.int64)], {}),
    "NonZero": ([(_noise(3, 4) > 0)], {}),
    "Equal": ([_ints(1, 2, 3), _ints(1, 0, 3)], {}),
    "Less": ([_X, np.float32(0)], {}),
    "LessOrEqual": ([_ints(1, 2, 3), _ints(1, 0, 3)], {}),
    "Greater": ([_X, np.float32(0)], {}),
    "GreaterOrEqual": ([_ints(1, 2, 3), _ints(1, 0, 3)], {}),
    "And": ([_X > 0, _X < 1], {}),
    "Or": ([_X > 0, _X < -1], {}),
    "Xor": ([_X > 0, _X < 1], {}),
    "Not": ([_X > 0], {}),
}  # fmt: skip
"""By the operator's name and what is special: the inputs (None for one that is omitted) and the attributes."""

HOSTILE: dict[str, tuple[_Arrays, dict[str, Any]]] = {
    "Expand to a terabyte": ([_noise(1), _ints(2**20, 2**20)], {}),
    "Expand to sizes below 0": ([_noise(1), _ints(-3, -5)], {}),
    "ConstantOfShape of a terabyte": ([_ints(2**20, 2**20)], {}),
    "Tile to a terabyte": ([_noise(2, 2), _ints(2**20, 2**20)], {}),
    "Range without end": ([np.array(0, np.int64), np.array(2**50, np.int64), np.array(1, np.int64)], {}),
    "Range of no step": ([np.array(0, np.int64), np.array(5, np.int64), np.array(0, np.int64)], {}),
    "Pad by a terabyte": ([_noise(2, 2), _ints(2**30, 2**30, 0, 0), None], {}),
    "Resize to a terabyte": ([_X, _EMPTY, _EMPTY, _ints(2, 4, 2**31, 2**31)], {"mode": "linear"}),
    "Conv of no stride": ([_X, _noise(3, 4, 3, 3)], {"strides": [0, 0]}),
    "Conv padded by a terabyte": ([_X, _noise(3, 4, 3, 3)], {"pads": [2**30, 2**30, 0, 0]}),
    "Conv dilated without end": ([_X, _noise(3, 4, 3, 3)], {"dilations": [2**40, 1]}),
    "Conv in no groups": ([_X, _noise(3, 4, 3, 3)], {"group": 0}),
    "ConvTranspose of large strides": ([_X, _noise(4, 3, 3, 3)], {"strides": [2**40, 1]}),
    "MaxPool of a large kernel": ([_X], {"kernel_shape": [2**30, 2**30], "pads": [2**29, 2**29, 2**29, 2**29]}),
    "Gather beyond the end": ([_X, _ints(7)], {"axis": 1}),
    "Transpose of an axis twice": ([_X], {"perm": [0, 0, 1, 2]}),
    "Reshape of no size": ([_X, _ints(-1, -1)], {}),
    "GroupNormalization in odd groups": ([_X, _noise(3), _noise(3)], {"num_groups": 3}),
    "Softmax of another axis": ([_X], {"axis": 9}),
    "NoSuchOperator": ([_X], {}),
    "Cast to text": ([_X], {"to": onnx.TensorProto.STRING}),
}
"""What no evaluation may take memory or time for: each is refused, with a reason."""

OPSETS = {"Swish": 24, "Clip": 13, "GroupNormalization": 20, "GroupNormalization by channel": 21}
"""Of cases that others than 20 are tried of."""

ROUNDED = {"GroupNormalization by channel": 1e-6}
"""Cases in which onnx's own evaluator rounds to float32 on the way: by how much, of the largest value."""

_node = helper.make_node
CHAINS: dict[str, tuple[list[onnx.NodeProto], dict[str, Any], dict[str, NDArray[Any]]]] = {
    "a hidden LayerNorm": (
        [
            _node("ReduceMean", ["x", "last"], ["mean"]),
            _node("Sub", ["x", "mean"], ["centred"]),
            _node("Mul", ["centred", "centred"], ["squares"]),
            _node("ReduceMean", ["squares", "last"], ["variance"]),
            _node("Add", ["variance", "epsilon"], ["shifted"]),
            _node("Sqrt", ["shifted"], ["deviation"]),
            _node("Div", ["centred", "deviation"], ["y"]),
        ],
        {"x": _X},
        {"last": _ints(-1), "epsilon": np.array(1e-5, np.float32)},
    ),
    "a swish by hand": (
        [_node("Sigmoid", ["x"], ["s"]), _node("Mul", ["x", "s"], ["y"])],
        {"x": _X},
        {},
    ),
    "a mean of a convolution": (
        [
            _node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
            _node("Relu", ["c"], ["r"]),
            _node("ReduceMean", ["r", "axes"], ["m"], keepdims=0),
            _node("Gemm", ["m", "f", "b"], ["y"]),
        ],
        {"x": _X},
        {"w": _noise(5, 4, 3, 3), "axes": _ints(2, 3), "f": _noise(5, 3), "b": _noise(3)},
    ),
    "a table added after a softmax": (
        [
            _node("Softmax", ["x"], ["s"], axis=-1),
            _node("Transpose", ["s"], ["t"], perm=[0, 1, 3, 2]),
            _node("MatMul", ["t", "s"], ["p"]),
            _node("Add", ["p", "table"], ["y"]),
        ],
        {"x": _X},
        {"table": _noise(11, 11)},
    ),
    "a softmax of masked scores": (
        [_node("Where", ["keeps", "x", "never"], ["masked"]), _node("Softmax", ["masked"], ["y"], axis=-1)],
        {"x": _X},
        {"keeps": np.arange(11) % 3 > 0, "never": np.array(-np.inf, np.float32)},
    ),
}
"""Several nodes of which only the last one's result is known, so that losses are followed from one to the next: nodes,
inputs and weights."""


def model_of(name: str) -> tuple[ModelProto, dict[str, NDArray[Any]]]:
    """Return the graph of a case or a chain, whose result is `y`, and its inputs."""
    if name in CHAINS:
        nodes, inputs, weights = CHAINS[name]
        return _model(nodes, inputs, weights, 20), inputs
    arrays, attributes = CASES.get(name) or HOSTILE[name]
    operator, _, _ = name.partition(" ")
    names = [f"x{place}" if array is not None else "" for place, array in enumerate(arrays)]
    # What is no image is a weight, as in a file: sizes, factors.
    given = {each: np.asarray(array) for each, array in zip(names, arrays, strict=True) if array is not None}
    inputs = {each: array for each, array in given.items() if each == "x0"}
    weights = {each: array for each, array in given.items() if each != "x0"}
    node = _node(operator, names, ["y"], **attributes)
    return _model([node], inputs, weights, OPSETS.get(name, OPSETS.get(operator, 20))), inputs


def _model(
    nodes: Sequence[onnx.NodeProto], inputs: dict[str, Any], weights: dict[str, NDArray[Any]], opset: int
) -> ModelProto:
    given = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in inputs.items()
    ]
    tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph: GraphProto = helper.make_graph(nodes, "made", given, [helper.make_empty_tensor_value_info("y")], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
