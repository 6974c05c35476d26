"""Tensors by the names of a model's outputs: a dictionary that shows itself in a few lines."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .by_name import load
from .manifest import Output
from .showing import listing, shape_words

__all__ = ["Tensors", "as_array"]

_T = TypeVar("_T")
_VIEW = "runtime.notebook.tensor_rows:tensors_html"


class Tensors(dict[str, _T]):
    """Arrays of NumPy or tensors of PyTorch, by name, in the order of execution.

    Attributes:
        outputs: the descriptions of the model's outputs, of which some may not be here.
    """

    def __init__(self, tensors: Mapping[str, _T], outputs: Sequence[Output]) -> None:
        super().__init__(tensors)
        self.outputs = outputs

    def __repr__(self) -> str:
        return listing(f"Tensors: {len(self)}", [f"{name}: {_described(each)}" for name, each in self.items()])

    def _repr_html_(self) -> str:
        shown: str = load(_VIEW)(self, self.outputs)
        return shown


def _described(tensor: Any) -> str:
    return f"{shape_words(tensor.shape)}, {str(tensor.dtype).removeprefix('torch.')}"


def as_array(tensor: Any) -> NDArray[Any]:
    """Return a PyTorch tensor as a NumPy array, and an array as it is.

    A bfloat16 tensor becomes float32, which holds all its values and which NumPy has; a sparse one becomes dense.
    """
    # Compared by name, because this package doesn't need PyTorch.
    if not hasattr(tensor, "detach"):
        return np.asarray(tensor)
    dense = tensor if str(tensor.layout) == "torch.strided" else tensor.to_dense()
    wide = dense.float() if str(tensor.dtype) == "torch.bfloat16" else dense
    # The imaginary part of a conjugate is a view that is negated as it is read, which NumPy can't do.
    array: NDArray[Any] = wide.detach().resolve_conj().resolve_neg().cpu().contiguous().numpy()
    return array
