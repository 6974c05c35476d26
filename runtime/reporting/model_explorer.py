"""A runner's numbers as node data for Google's Model Explorer, to be shown on `model.onnx` there.

Its ONNX adapter (the package model-explorer-onnx) uses a node's name as its id and the graph's name as the graph's;
in an artifact's `model.onnx` these are the output's name and the model's.
"""

import json
import math
from typing import Any, Literal

from ..artifact.errors import UsageError
from ..verdict.drift import FILE_RUNNER, PASSING_DRIFT, OutputComparison
from ..verdict.report import Report, RunnerReport

__all__ = ["MEASURES", "Measure", "model_explorer_json", "node_data"]

Measure = Literal["introduced", "inherited", "drift"]
MEASURES: tuple[Measure, ...] = ("introduced", "inherited", "drift")

# ColorBrewer's YlOrRd, distinguishable by lightness as well; what passes stays light.
_STEPS = (1.0, 4.0, PASSING_DRIFT, 100.0, 10_000.0)
_COLOURS = ("#ffffff", "#ffffcc", "#fed976", "#fd8d3c", "#e31a1c")
_BEYOND = "#800026"
_UNMEASURED = "#6a3d9a"
"""For NaN and infinity, a missing output, another shape: not a colour of the scale."""


def node_data(report: Report, maps: object = None) -> str:  # noqa: ARG001 - no pictures in node data
    """Return the node data of the most informative runner: the first that fails, or else the first runtime."""
    order = sorted(report.runners, key=lambda runner: (not runner.verdict.fails, runner.name == FILE_RUNNER))
    return model_explorer_json(report, order[0].name)


def model_explorer_json(report: Report, runner: str, measure: Measure = "introduced") -> str:
    """Return the node data of one runner: a multiple for each output.

    Of what its arithmetic may lose if that is what it introduced; of float32's own error if it is its drift or what it
    inherited.

    Model Explorer shows one value per node of a file; load a file for each measure to see them side by side.
    What couldn't be measured shows its verdict instead of a number.

    Raises:
        UsageError: the report has no such runner.
    """
    found = next((each for each in report.runners if each.name == runner), None)
    if found is None:
        names = ", ".join(each.name for each in report.runners) or "none"
        raise UsageError(f"The report has no runner {runner!r}. It has: {names}.")
    results = {output.name: _result(output, measure) for output in found.outputs}
    data: dict[str, Any] = {
        "name": f"{measure} in {runner}" + (f", culprit: {found.culprit.output}" if found.culprit else ""),
        "results": {name: result for name, result in results.items() if result},
        "thresholds": [
            *({"value": value, "bgColor": colour} for value, colour in zip(_STEPS, _COLOURS, strict=True)),
            {"value": _above_all(found), "bgColor": _BEYOND, "textColor": "#ffffff"},
        ],
    }
    # Under the graph's name: without it, an output called "results" would be mistaken for a graph.
    return json.dumps({str(report.environment.get("model", "")): data}, indent=1, allow_nan=False)


def _result(output: OutputComparison, measure: Measure) -> dict[str, Any] | None:
    if output.drift is None or not math.isfinite(output.drift):
        return {"value": output.verdict, "bgColor": _UNMEASURED, "textColor": "#ffffff"}
    value = _rounded(getattr(output, measure))
    return None if value is None else {"value": value}


def _rounded(value: float | None) -> float | None:
    """Return a finite value rounded to what Model Explorer has room for, or None."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.4g}")


def _above_all(runner: RunnerReport) -> float:
    """Return a limit that no value exceeds: beyond the last, Model Explorer shows no colour at all."""
    values = (_rounded(getattr(output, measure)) for output in runner.outputs for measure in MEASURES)
    return max(10 * _STEPS[-1], *(value or 0.0 for value in values), 0.0)
