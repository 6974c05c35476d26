"""Gemm and MatMul for onnx's evaluator, which widen a float32 matrix piece by piece."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx.reference.op_run import OpRun

__all__ = ["Gemm", "MatMul"]

Array = NDArray[Any]

_WIDENED = 1 << 18
"""Elements of a float32 matrix that are widened at a time: 2 MB."""


class Gemm(OpRun):
    """Widens a matrix piece by piece: the largest one of a VGG would take 800 MB."""

    def _run(
        self,
        a: Array,
        b: Array,
        c: Array | None = None,
        alpha: float = 1.0,
        beta: float = 1.0,
        transA: int = 0,  # noqa: N803 - ONNX's name
        transB: int = 0,  # noqa: N803
    ) -> tuple[Array]:
        out = _matrix_product(a.T if transA else a, b.T if transB else b)
        out *= float(alpha)
        if c is not None:
            out += c if beta == 1 else c.astype(np.float64) * float(beta)
        return (out,)


class MatMul(OpRun):
    """Widens as `Gemm` does. The attributes are those of ONNX Runtime's FusedMatMul."""

    def _run(
        self,
        a: Array,
        b: Array,
        alpha: float = 1.0,
        transA: int = 0,  # noqa: N803 - ONNX Runtime's names
        transB: int = 0,  # noqa: N803
        transBatchA: int = 0,  # noqa: N803
        transBatchB: int = 0,  # noqa: N803
    ) -> tuple[Array]:
        product = _matrix_product(_transposed(a, transA, transBatchA), _transposed(b, transB, transBatchB))
        return (product if alpha == 1 else product * float(alpha),)


def _transposed(x: Array, last_two: int, first_to_second_last: int) -> Array:
    if first_to_second_last:
        x = np.moveaxis(x, 0, -2)
    return x.swapaxes(-1, -2) if last_two else x


def _matrix_product(a: Array, b: Array) -> Array:
    if a.dtype.kind in "iu":
        return np.asarray(np.matmul(a, b))
    if a.dtype == b.dtype == np.float32:  # not a value of the graph, which are float64: its natural scale
        return np.asarray(np.matmul(a, b))
    a = a.astype(np.float64, copy=False)
    if b.dtype == np.float64 or b.ndim != 2:
        return np.asarray(np.matmul(a, b.astype(np.float64, copy=False)))
    out = np.empty((*a.shape[:-1], b.shape[1]))
    columns = max(1, _WIDENED // max(1, len(b)))
    for begin in range(0, b.shape[1], columns):
        some = slice(begin, begin + columns)
        # Transposed back and forth, so that the copy has the matrix's memory layout.
        out[..., some] = np.matmul(a, b.T[some].astype(np.float64).T)
    return out
