"""The errors that a user can fix, of all three packages, each with the command line's exit code.

A message says in one or two lines what was requested, what exists, and what to do next; the cause is chained.
"""

from pathlib import Path

from .file_reading import nothing_at

__all__ = [
    "ArtifactError",
    "CaptureError",
    "ExecutionError",
    "ExportError",
    "FolderExists",
    "ImageError",
    "InputError",
    "LayerprobeError",
    "ModelError",
    "OutputError",
    "RunnerUnavailable",
    "UsageError",
    "WeightsError",
    "first_line",
    "how_to_install",
]

_LONGEST = 200


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, cut to 200 characters: other libraries' messages can fill pages."""
    if isinstance(error, FileNotFoundError) and error.filename and Path(error.filename).is_symlink():
        return nothing_at(error.filename).removesuffix(".")
    said = (isinstance(error, OSError) and error.strerror) or str(error)
    line = (said.strip().splitlines() or [type(error).__name__])[0]
    sentence = line.partition(". ")[0] if len(line) > _LONGEST else line
    return sentence if len(sentence) <= _LONGEST else f"{sentence[: _LONGEST - 1]}…"


def how_to_install(extra: str) -> str:
    """Return the command that installs what one of layerprobe's extras needs, whether from an index or from a clone.

    It names the packages, as layerprobe itself may be on no index.
    """
    from importlib.metadata import requires

    from packaging.requirements import Requirement

    needed, extras = list[str](), [extra]
    for name in extras:
        for requirement in map(Requirement, requires("layerprobe") or ()):
            if requirement.marker is None or not requirement.marker.evaluate({"extra": name}):
                continue
            if requirement.marker.evaluate({"extra": ""}):
                continue  # of the base
            if requirement.name == "layerprobe":
                extras += requirement.extras
                continue
            of_package = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
            needed.append(f"'{requirement.name}{of_package}{requirement.specifier}'")
    return f"pip install {' '.join(needed)}" if needed else "there is no package of it for this platform"


class LayerprobeError(Exception):
    """Base of the errors that a user can fix. `exit_code` is the command line's."""

    exit_code = 3


class UsageError(LayerprobeError):
    """An argument has an invalid value: an unknown output, a colour map that doesn't exist."""

    exit_code = 2


class ModelError(LayerprobeError):
    """The model can't be found, built, captured, or run on its example input."""

    fails_on_input = False
    """Whether it runs, but not on the example: its size may be another."""


class CaptureError(ModelError):
    """The model runs, but can't be captured as a graph this way; another way of capturing it may work."""

    node: str | None = None
    """The node at which the graph failed, if it ran at all."""
    depends_on_values = False
    """Whether what the model does next, or a size, depends on the values of tensors."""
    advice = ""
    """What to change in the model, if that is known."""


class WeightsError(LayerprobeError):
    """The weights can't be read, or belong to another model."""


class ExportError(LayerprobeError):
    """The probe can't be exported, or the artifact can't be written."""

    only_in_another_batch = False
    """Whether it may work with the batch held at the example's."""


class FolderExists(ExportError):
    """The artifact's folder exists already, and overwriting it was not requested."""

    exit_code = 2


class ArtifactError(LayerprobeError):
    """The artifact is missing, altered, of another format version, or contradicts itself."""


class ExecutionError(LayerprobeError):
    """A runtime failed while running the model: out of memory, or an unsupported operation."""


class ImageError(LayerprobeError):
    """An image is missing, unreadable, or too large to open safely."""


class InputError(LayerprobeError):
    """An array passed to a runner doesn't match the model's input."""


class OutputError(LayerprobeError):
    """A result can't be written to the requested place."""


class RunnerUnavailable(LayerprobeError):
    """A requested runtime or provider can't be used on this machine."""

    exit_code = 4
