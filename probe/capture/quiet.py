"""Hides torch's messages about its internals, on which the user can't act, and puts its errors in plain words."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

from runtime.artifact.errors import first_line

__all__ = ["depends_on_values", "torch_reason", "torch_silenced"]


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


_IN_PLAIN_WORDS = {
    # torch.export names its own symbols, which the user has never seen: "Eq(u0, 1) (unhinted: ...)".
    "data-dependent expression": "its control flow, or a tensor's size, depends on the values of tensors",
    "np.ndarray": "it converts a tensor to NumPy",
    ".numpy() is not supported": "it converts a tensor to NumPy",
    "Unexpected key _export_root": "it goes on where a module has failed (try: ... except: ...)",
    "Proxy": "it needs the value of a tensor or a size, which symbolic tracing doesn't know",
}
"""Part of a message that speaks of torch's internals, and what it means for the model."""


def torch_reason(error: BaseException) -> str:
    """Return the first line of an error in a capture, in words that a user knows."""
    return next((words for part, words in _IN_PLAIN_WORDS.items() if part in str(error)), first_line(error))


def depends_on_values(error: BaseException) -> bool:
    """Return whether torch.export failed because what the model does depends on the values of tensors."""
    return "data-dependent expression" in str(error)
