"""The errors that `export` raises, each with the command line's exit code."""

__all__ = ["ExportError", "FolderExists"]


class ExportError(Exception):
    """The probe can't be exported, or the artifact can't be written. `exit_code` is what the command line ends with."""

    exit_code = 3


class FolderExists(ExportError):
    """Something stands where the artifact should go, and overwriting was not asked for."""

    exit_code = 2
