"""Hides torch's messages about its internals, on which the user can't act, and puts its errors in plain words."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

from runtime.artifact.errors import first_line

__all__ = ["torch_reason", "torch_silenced"]


@contextmanager
def torch_silenced() -> Iterator[None]:
    """Silence warnings, logs and prints: when torch.export fails, for example, it prints the whole graph so far."""
    before = logging.root.manager.disable
    with warnings.catch_warnings(), redirect_stderr(io.StringIO()), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        logging.disable(logging.ERROR)
        try:
            yield
        finally:
            logging.disable(before)


def torch_reason(error: BaseException) -> str:
    """Return the first line of a torch.export error, in words that a user knows."""
    if "data-dependent expression" in str(error):
        # torch.export names its own symbols, which the user has never seen: "Eq(u0, 1) (unhinted: ...)".
        return "its control flow, or a tensor's size, depends on the values of tensors"
    return first_line(error)
