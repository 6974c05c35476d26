"""The errors that `runtime` raises, each with the command line's exit code.

A message says in one or two lines what was asked, what is there, and what to do next; the cause is chained.
"""

__all__ = [
    "ArtifactError",
    "ExecutionError",
    "ImageError",
    "InputError",
    "LayerprobeError",
    "OutputError",
    "RunnerUnavailable",
    "UsageError",
    "first_line",
]


def first_line(error: BaseException) -> str:
    """Return what an error says first; other libraries' messages can be pages long."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


class LayerprobeError(Exception):
    """Base of the errors that a user can mend. `exit_code` is what the command line ends with."""

    exit_code = 3


class UsageError(LayerprobeError):
    """An argument has a value that can't be served: an unknown output, a colour map that isn't there."""

    exit_code = 2


class ArtifactError(LayerprobeError):
    """The artifact is missing, altered, of another format version, or contradicts itself."""


class ExecutionError(LayerprobeError):
    """A runtime failed while it ran the model: out of memory, or an operation it can't do."""


class ImageError(LayerprobeError):
    """An image is missing, unreadable, or too large to open safely."""


class InputError(LayerprobeError):
    """An array given to a runner is not what the model takes."""


class OutputError(LayerprobeError):
    """A result can't be written where it was asked for."""


class RunnerUnavailable(LayerprobeError):
    """A runtime or provider that was asked for can't be used on this machine."""

    exit_code = 4
