"""A report as JSON: writing it and reading it back. Comparing it with an earlier one is `baseline.py`."""

from pathlib import Path

from ..artifact.errors import ArtifactError
from ..artifact.file_reading import LARGEST_DOCUMENT_BYTES, read_bounded
from ..artifact.versioned_json import read_versioned
from ..verdict.report import Report

__all__ = ["load_report", "report_json"]


def report_json(report: Report, maps: object = None) -> str:  # noqa: ARG001 - no pictures in JSON
    """Return the report as JSON, in the form of `artifacts/report.schema.json`."""
    return report.model_dump_json(indent=1) + "\n"


def load_report(path: str | Path) -> Report:
    """Return the report in a JSON file.

    Raises:
        ArtifactError: the file can't be read, is not a report, or has another format version.
    """
    path = Path(path)
    try:
        content = read_bounded(path, LARGEST_DOCUMENT_BYTES)
    except OSError as error:
        raise ArtifactError(
            f"The report {path} can't be read: {error.strerror or error}.\n`layerprobe verify --json F` writes one."
        ) from error
    return read_versioned(Report, content, path, "a report of `layerprobe verify --json`", "Write it again.")
