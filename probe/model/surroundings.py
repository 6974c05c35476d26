"""What of the process a model is run and captured in: the generators of random numbers, which come back as they were,
and modes of the caller's that a capture can't be made in.
"""

import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

__all__ = ["plain_surroundings", "random_state_kept"]


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Restore the global generators of torch, on every device in use, of NumPy and of Python, even after an error."""
    numpy = sys.modules.get("numpy")
    python, arrays = random.getstate(), numpy.random.get_state() if numpy else None
    gpus = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()  # type: ignore[no-untyped-call]
    with torch.random.fork_rng(devices=gpus):
        try:
            yield
        finally:
            random.setstate(python)
            if numpy:
                numpy.random.set_state(arrays)


@contextmanager
def plain_surroundings() -> Iterator[None]:
    """Keep the random state, and leave inference mode and a default device without values while in the block.

    Tensors made in inference mode have no version counters, by which writes are seen; those on the meta device have no
    values.
    """
    with ExitStack() as stack:
        stack.enter_context(random_state_kept())
        stack.enter_context(torch.inference_mode(False))
        if torch.get_default_device().type == "meta":
            stack.enter_context(torch.device("cpu"))
        yield
