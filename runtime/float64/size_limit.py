"""What a node's results take, before it is evaluated: a few bytes of a file ask for a padding of any size."""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, numpy_helper
from onnx.reference import ReferenceEvaluator

from ..artifact.free_memory import free_bytes

__all__ = ["SizeLimit", "limit_inside", "refuse_too_many"]

_ASK_FROM = 2**25
"""Elements, of 256 MB in float64: less is never refused, so that how much is free is seldom asked for."""
_COPIES = 2
"""Of a result: itself, and what it is computed from or by."""
_WITHOUT_MEMORY = 2**31
"""Elements that are refused where the system doesn't report its free memory."""
_DATA = 64
"""Elements of an input whose values may say how large the result is: sizes, pads, repeats, scales."""


def refuse_too_many(elements: int) -> None:
    """Refuse a tensor of float64 that doesn't fit into the free memory.

    Raises:
        NotImplementedError: it doesn't.
    """
    if elements <= _ASK_FROM:
        return
    free, need = free_bytes(), 8 * elements * _COPIES
    if need > (8 * _WITHOUT_MEMORY if free is None else free):
        known = "" if free is None else f"; {free / 1e6:,.0f} MB are free"
        raise NotImplementedError(f"that would take {need / 1e6:,.0f} MB{known}")


class SizeLimit:
    """Refuses a node's inputs if its results would not fit; asked once for each of their shapes."""

    def __init__(self, node: NodeProto, opsets: Mapping[str, int]) -> None:
        """Take the node as it is in the file."""
        self._node = node
        self._opsets = [onnx.helper.make_opsetid(domain, version) for domain, version in opsets.items()]
        self._schema: onnx.defs.OpSchema | None
        try:
            self._schema = onnx.defs.get_schema(node.op_type, opsets.get(node.domain, 0), node.domain)
        except onnx.defs.SchemaError:
            self._schema = None
        self._passed: set[Any] = set()

    def check(self, inputs: Sequence[Any]) -> None:
        """Check the inputs, in the node's order; None for one that is omitted.

        Raises:
            NotImplementedError: a result would not fit into the free memory.
        """
        arrays = {
            name: np.asarray(each)
            for name, each in zip(self._node.input, inputs, strict=True)
            if isinstance(each, np.ndarray | np.generic)
        }
        key = tuple((x.shape, x.tobytes() if x.size <= _DATA else b"") for x in arrays.values())
        if key in self._passed:
            return
        for elements in self._results(arrays):
            refuse_too_many(elements)
        self._passed.add(key)

    def _results(self, arrays: Mapping[str, NDArray[Any]]) -> list[int]:
        """Return how many elements each result has, as far as onnx's shape inference can tell."""
        if self._schema is None:
            return []
        # In the file's own type: for inference a scale is no float64.
        with np.errstate(over="ignore"):
            narrow = {name: x.astype(np.float32) if x.size <= _DATA else x for name, x in arrays.items() if _is_real(x)}
        typed = {name: narrow.get(name, x) for name, x in arrays.items()}
        try:
            found = onnx.shape_inference.infer_node_outputs(
                self._schema,
                self._node,
                {name: _type(x) for name, x in typed.items()},
                {name: numpy_helper.from_array(x) for name, x in typed.items() if x.size <= _DATA},
                opset_imports=self._opsets,
            )
        except Exception:  # what is wrong with the inputs is for the evaluation to say
            return []
        shapes = [each.tensor_type.shape.dim for each in found.values() if each.tensor_type.HasField("shape")]
        return [prod(size.dim_value if size.HasField("dim_value") else 1 for size in shape) for shape in shapes]


def _is_real(array: NDArray[Any]) -> bool:
    return array.dtype == np.float64


def _type(array: NDArray[Any]) -> onnx.TypeProto:
    dtype = np.dtype(np.float32) if _is_real(array) else array.dtype
    return onnx.helper.make_tensor_type_proto(onnx.helper.np_dtype_to_tensor_dtype(dtype), array.shape)


def limit_inside(evaluator: ReferenceEvaluator, opsets: Mapping[str, int]) -> None:
    """Let each node of an evaluator's subgraphs, of branches and of loops, check its inputs before it is run."""
    found = [evaluator]
    for outer in found:
        inside = (each for operator in outer.rt_nodes_ for each in vars(operator).values())
        # An operator that is defined by others refers to what it is in, too.
        new = [each for each in inside if isinstance(each, ReferenceEvaluator) and each not in found]
        for each in new:
            for node in each.rt_nodes_:
                node.run = _checked(node.run, SizeLimit(node.onnx_node, opsets))
        found += new


def _checked(run: Callable[..., Any], limit: SizeLimit) -> Callable[..., Any]:
    def checked(*inputs: Any, **context: Any) -> Any:
        limit.check(inputs)
        return run(*inputs, **context)

    return checked
