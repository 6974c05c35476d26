"""Where a command may write its result (`-o`, `--json`): over no input, artifact or file of the user's."""

from collections.abc import Sequence
from pathlib import Path

from .artifact.errors import UsageError
from .artifact.file_reading import real_path

__all__ = ["refuse_to_overwrite", "refuse_unwritable"]


def refuse_to_overwrite(file: Path, artifact: Path, images: Sequence[Path]) -> None:
    """Refuse an output file that would replace an input image or a part of the artifact."""
    target = real_path(file)
    folder = real_path(artifact)
    if folder in (target, target.parent) or target in set(map(real_path, images)):
        raise UsageError(f"{file} is an input of this command, or is in the artifact: choose another file.")


def refuse_unwritable(file: Path | None, mark: str, artifact: Path, inputs: Sequence[Path] = ()) -> None:
    """Refuse a result that would replace an input or a file of the user's, or can't be written, before the work.

    Args:
        file: the result; None if there is none.
        mark: what such files have in them, as of `check_place`.
        artifact: what the command reads.
        inputs: likewise.
    """
    if file is not None:
        from .artifact.file_replacement import check_place  # late: a command's --help needs none of it

        refuse_to_overwrite(file, artifact, inputs)
        check_place(file, mark)
