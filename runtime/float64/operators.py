"""The table of operators that are computed here, because onnx's evaluator is too slow, in float32, or wrong for them.

Each is a class as `ReferenceEvaluator(new_ops=...)` takes them. Its docstring, or that of its file, has the reason.
"""

from collections.abc import Mapping
from functools import cache

import onnx
from onnx.reference.op_run import OpRun

from .activations import Erf, Gelu, HardSwish, Selu
from .control_flow import BatchedScan, Loop, Scan
from .convolutions import CausalConvWithState, Conv, ConvTranspose
from .indexing import GatherElements, GatherND, OneHot, ScatterElements, ScatterND
from .normalizations import (
    LRN,
    BatchNormalization,
    Dropout,
    DropoutWithNumbers,
    FlatHardmax,
    FlatLogSoftmax,
    FlatSoftmax,
    GroupNormalization,
    Hardmax,
    LogSoftmax,
    LpNormalization,
    MeanVarianceNormalization,
    Softmax,
)
from .padding import Pad, PadByAttributes
from .pools import AveragePool, GlobalLpPool, GlobalMaxPool, LpPool, MaxPool, MaxUnpool
from .products import Gemm, MatMul
from .quantization import (
    ConvInteger,
    DequantizeLinear,
    DequantizeNBits,
    DynamicQuantizeLinear,
    MatMulInteger,
    QLinearConv,
    QLinearMatMul,
    QuantizeLinear,
)
from .recurrent import GRU, LSTM, RNN
from .regions import MaxRoiPool, NonMaxSuppression, RoiAlign
from .resizing import Resize, ResizeByScales, UpsampleByAttribute
from .sampling import AffineGrid, DeformConv, GridSample

__all__ = ["OLDEST_OPSET", "OPERATORS", "WIDENING", "operators_of"]

OLDEST_OPSET = 7
"""Before it, elements were broadcast by other rules; ONNX Runtime starts with it, too."""

OPERATORS: Mapping[str, Mapping[int, type[OpRun]]] = {
    "AffineGrid": {20: AffineGrid},
    "AveragePool": {7: AveragePool},
    "BatchNormalization": {7: BatchNormalization},
    "CausalConvWithState": {27: CausalConvWithState},
    "Conv": {7: Conv},
    "ConvInteger": {10: ConvInteger},
    "ConvTranspose": {7: ConvTranspose},
    "DeformConv": {19: DeformConv},
    "DequantizeLinear": {7: DequantizeLinear},
    "Dropout": {7: DropoutWithNumbers, 10: Dropout},
    "DequantizeNBits": {7: DequantizeNBits},
    "DynamicQuantizeLinear": {7: DynamicQuantizeLinear},
    "Erf": {9: Erf},
    "GRU": {7: GRU},
    "GatherElements": {11: GatherElements},
    "GatherND": {11: GatherND},
    "Gelu": {7: Gelu},
    "Gemm": {7: Gemm},
    "GlobalLpPool": {7: GlobalLpPool},
    "GlobalMaxPool": {7: GlobalMaxPool},
    "GridSample": {7: GridSample},
    "GroupNormalization": {18: GroupNormalization},
    "HardSwish": {14: HardSwish},
    "Hardmax": {7: FlatHardmax, 13: Hardmax},
    "LRN": {7: LRN},
    "LSTM": {7: LSTM},
    "LogSoftmax": {7: FlatLogSoftmax, 13: LogSoftmax},
    "Loop": {7: Loop},
    "LpNormalization": {7: LpNormalization},
    "LpPool": {7: LpPool},
    "MatMul": {7: MatMul},
    "MatMulInteger": {10: MatMulInteger},
    "MaxPool": {7: MaxPool},
    "MaxRoiPool": {7: MaxRoiPool},
    "MaxUnpool": {9: MaxUnpool},
    "MeanVarianceNormalization": {9: MeanVarianceNormalization},
    "NonMaxSuppression": {10: NonMaxSuppression},
    "OneHot": {9: OneHot},
    "Pad": {7: PadByAttributes, 11: Pad},
    "QLinearConv": {7: QLinearConv},
    "QLinearMatMul": {10: QLinearMatMul},
    "QuantizeLinear": {7: QuantizeLinear},
    "RNN": {7: RNN},
    "Resize": {10: ResizeByScales, 11: Resize},
    "RoiAlign": {10: RoiAlign},
    "Scan": {8: BatchedScan, 9: Scan},
    "Scatter": {9: ScatterElements},
    "ScatterElements": {11: ScatterElements},
    "ScatterND": {11: ScatterND},
    "Selu": {7: Selu},
    "Softmax": {7: FlatSoftmax, 13: Softmax},
    "Upsample": {7: UpsampleByAttribute, 9: ResizeByScales},
}
"""By operator, and by the opset from which on a class computes it. (Those that ONNX Runtime's operators consist of are
needed in files of older opsets than ONNX defines them in, too.)"""

WIDENING = frozenset({"Gemm", "MatMul"})
"""Those that take float32 matrices and widen them themselves."""


@cache
def operators_of(opset: int) -> list[type[OpRun]]:
    """Return the classes for an opset, each with the attributes and the defaults that it has there."""
    classes = []
    for name, versions in OPERATORS.items():
        since = max((version for version in versions if version <= opset), default=None)
        if since is not None:
            # onnx's evaluator finds them by their names.
            classes.append(type(name, (versions[since],), {"op_schema": _schema(name, opset)}))
    return classes


def _schema(name: str, opset: int) -> onnx.defs.OpSchema | None:
    try:
        return onnx.defs.get_schema(name, opset)
    except onnx.defs.SchemaError:
        return None
