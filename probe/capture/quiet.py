"""Hides torch's messages about its internals, on which the user can't act, and puts its errors in plain words."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

from runtime.artifact.errors import first_line

__all__ = [
    "WAY_AROUND_REGIONS",
    "WAY_AROUND_TRANSFORMS",
    "depends_on_values",
    "region_reason",
    "torch_reason",
    "torch_silenced",
]


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


_OF_REGIONS = {
    "do not support aliasing": "what torch.cond or a loop of torch runs returns its input, or a view of it",
    "do not support input mutation": "what torch.cond or a loop of torch runs writes to its input",
    "higher order operator doesn't work": "torch can't capture what torch.cond or a loop of torch runs",
    "when making fake tensor call": "torch can't capture what torch.cond or a loop of torch runs",
    "cls_source must not be None": "what torch.cond or a loop of torch runs can't be captured as part of a graph",
}
"""The same for functions that a model hands to torch, which captures them as graphs of their own."""
WAY_AROUND_REGIONS = (
    "Compute both results and choose with torch.where, or probe a submodule without it: --submodule PATH."
)

WAY_AROUND_TRANSFORMS = (
    "Compute without torch.vmap and torch.func, or probe a submodule without them: --submodule PATH."
)


def torch_reason(error: BaseException) -> str:
    """Return the first line of an error in a capture, in words that a user knows."""
    known = _OF_REGIONS | _IN_PLAIN_WORDS
    return next((words for part, words in known.items() if part in str(error)), first_line(error))


def region_reason(error: BaseException) -> str | None:
    """Return why torch refuses a function that the model hands to torch.cond or the like; None for another error."""
    return next((words for part, words in _OF_REGIONS.items() if part in str(error)), None)


def depends_on_values(error: BaseException) -> bool:
    """Return whether torch.export failed because what the model does depends on the values of tensors."""
    return "data-dependent expression" in str(error)
