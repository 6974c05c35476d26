"""The table of the forms that a report can be written in. To add one, write its file in this room, and its row here.

The terminal's table is not one of them: `table.py` always prints it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..artifact.by_name import load

if TYPE_CHECKING:
    from pathlib import Path

    from ..verdict.drift_maps import DriftMaps
    from ..verdict.report import Report

__all__ = ["FORMS", "Form", "write_forms"]


@dataclass(frozen=True)
class Form:
    """One way to write a report."""

    home: str
    """The function that makes the text, `module:function`: called with the report, and the drift maps or None."""
    help: str
    """For the command line."""
    mark: str
    """Text near the start or the end of each such file: an earlier file without it is not replaced."""
    of_runs: bool = True
    """Whether `compare` can write it as well, for two recorded runs, with neither model nor maps."""
    wants_maps: bool = False
    """Whether `verify` is to collect drift maps for it."""


FORMS: dict[str, Form] = {
    "json": Form(
        "runtime.reporting.json_report:report_json", "Write the report as JSON, for other programs.", '"headline"'
    ),
    "junit": Form("runtime.reporting.junit:junit_xml", "Write the report as JUnit XML, for CI.", "layerprobe verify"),
    "html": Form(
        "runtime.reporting.html_page:html_page",
        "Write the report as one HTML page, with pictures.",
        "layerprobe verify",
        wants_maps=True,
    ),
    "model_explorer": Form(
        "runtime.reporting.model_explorer:node_data",
        "Write the report as node data for Model Explorer, to show on model.onnx.",
        '"thresholds"',
        of_runs=False,
    ),
}
"""By name; `--` and the name is the option."""


def write_forms(report: Report, files: Mapping[str, Path], maps: DriftMaps | None = None) -> None:
    """Write the report in each of the forms to its file, whole or not at all.

    Raises:
        UsageError: an earlier file there is none of that form.
        OutputError: a file can't be written.
    """
    from ..artifact.file_replacement import replace_file

    for name, file in files.items():
        text: str = load(FORMS[name].home)(report, maps)
        with replace_file(file, FORMS[name].mark) as stream:
            stream.write(text.encode())
