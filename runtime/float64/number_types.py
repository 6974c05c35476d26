"""How finely the types of numbers divide their range: the distance of neighbouring numbers, and the largest one."""

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

__all__ = ["LARGEST", "SIXTEEN_BITS", "has_spacing", "spacing"]


SIXTEEN_BITS: Final[Mapping[int, Literal["float16", "bfloat16"]]] = {
    TensorProto.FLOAT16: "float16",
    TensorProto.BFLOAT16: "bfloat16",
}
"""The floats of 16 bits, by their type in ONNX."""


class _Type(NamedTuple):
    digits: int
    """Bits of the fraction."""
    least: int
    """The exponent of the smallest distance, that of subnormal numbers."""


_TYPES = {
    "float32": _Type(23, -149),
    "float16": _Type(10, -24),
    "bfloat16": _Type(7, -133),
    "float8_e4m3fn": _Type(3, -9),
    "float8_e4m3fnuz": _Type(3, -10),
    "float8_e5m2": _Type(2, -16),
    "float8_e5m2fnuz": _Type(2, -17),
    "float4_e2m1fn": _Type(1, -1),
}
LARGEST = {
    "float16": 65504.0,
    "float8_e4m3fn": 448.0,
    "float8_e4m3fnuz": 240.0,
    "float8_e5m2": 57344.0,
    "float8_e5m2fnuz": 57344.0,
    "float4_e2m1fn": 6.0,
}
"""By type, the largest number; of wider ones, what a model computes is far below it."""


def has_spacing(type_: str) -> bool:
    """Return whether a type is one of floats that has fewer bits than float64."""
    return type_ in _TYPES


def spacing(value: NDArray[Any], type_: str) -> NDArray[np.float64]:
    """Return the distance of neighbouring numbers of a type at each value."""
    digits, least = _TYPES[type_]
    size = np.abs(value.astype(np.float64))
    _, exponent = np.frexp(size)
    distance: NDArray[np.float64] = np.ldexp(1.0, np.where(size > 0, np.maximum(exponent - 1 - digits, least), least))
    return distance
