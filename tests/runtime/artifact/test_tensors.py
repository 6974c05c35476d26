"""PyTorch's tensors as NumPy arrays."""

import numpy as np
import torch

from runtime.artifact.tensors import as_array


def test_an_imaginary_part_of_a_conjugate_is_read_as_it_is():
    """It is a view that is negated as it is read, which NumPy doesn't know."""
    conjugate = torch.view_as_complex(torch.tensor([[1.0, 2.0], [3.0, -4.0]])).conj()
    assert as_array(conjugate.imag).tolist() == [-2.0, 4.0]
    assert as_array(conjugate).tolist() == [1 - 2j, 3 + 4j]


def test_bfloat16_becomes_float32_and_an_array_stays_itself():
    given = np.array([1, 2])
    assert as_array(given) is given
    found = as_array(torch.tensor([1.5, -2.0], dtype=torch.bfloat16))
    assert (found.dtype, found.tolist()) == (np.float32, [1.5, -2.0])
