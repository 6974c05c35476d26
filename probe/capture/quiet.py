"""Keeping torch's notes on its own inner workings from the user, who can't act on them."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

__all__ = ["torch_silenced"]


@contextmanager
def torch_silenced() -> Iterator[None]:
    """Silence warnings, logs and prints: where torch.export fails, for one, it prints the whole graph so far."""
    before = logging.root.manager.disable
    with warnings.catch_warnings(), redirect_stderr(io.StringIO()), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        logging.disable(logging.ERROR)
        try:
            yield
        finally:
            logging.disable(before)
