"""A report as JSON: writing it and reading it back. Comparing it with an earlier one is `baseline.py`."""

import json
from pathlib import Path

from pydantic import ValidationError

from ..artifact.errors import ArtifactError
from ..verdict.report import Report

__all__ = ["load_report", "report_json"]

_VERSION = 1


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
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise ArtifactError(
            f"The report {path} can't be read: {error.strerror or error}.\n`layerprobe verify --json F` writes one."
        ) from error
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path} is not a report: it is not valid JSON ({error}).") from error
    # The version is checked first: in another format, nothing else can be.
    found = content.get("format_version") if isinstance(content, dict) else None
    if found is not None and found != _VERSION:
        raise ArtifactError(
            f"{path} has format version {found!r}; this layerprobe reads {_VERSION}.\n"
            "Write the report again with this version."
        )
    try:
        return Report.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "report"
        raise ArtifactError(
            f"{path} is not a report of `layerprobe verify --json`: {place}: {first['msg']}.\nWrite it again."
        ) from error
