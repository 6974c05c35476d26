"""The JSON Schema of what `verify --json` writes, as published in `artifacts/report.schema.json`."""

import json

from ..verdict.report import Report

__all__ = ["report_schema"]


def report_schema() -> str:
    """Return the schema as the text of its file."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:layerprobe:report:1",
        **Report.model_json_schema(mode="serialization"),
        "title": "layerprobe verification report, format version 1",
    }
    return json.dumps(schema, indent=1) + "\n"
