"""A verification report as one HTML file that needs nothing else: no network, no font, no library; it opens from disk.

Its frame, style and script are `report.html`; chart, table and tiles have files of their own. The page is readable
without the script, which sorts, filters and highlights.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from ..verdict.drift import FILE_PASSING_DRIFT, PASSING_DRIFT, PASSING_ERROR
from ..verdict.drift_maps import DriftMaps, OutputMaps
from ..verdict.headline import severity
from ..verdict.report import Report, RunnerReport
from .html_cards import facts_list, runner_cards
from .html_chart import chart_legend, error_chart
from .html_table import output_table
from .html_text import safe
from .outcome_words import candidate_words

__all__ = ["html_page"]

_TEMPLATE = Path(__file__).with_name("report.html")


def html_page(report: Report, maps: DriftMaps | None = None) -> str:
    """Return the page.

    Args:
        report: what `verify` returned.
        maps: the averaged maps collected meanwhile; None for a page without pictures.
    """
    tiles = maps.tiles if maps else []
    model = report.environment.get("model", "model")
    verdict = ("pass" if report.proven else "nothing fails, not all is proven") if report.passed else "fails"
    parts = {
        "title": safe(f"{model}: {verdict}"),
        "kicker": f"{safe(model)} · layerprobe verify · {safe(report.environment.get('time', ''))}",
        "headline": safe(report.headline),
        "candidate": safe(candidate_words(report.candidate, len(report.outputs))) if report.candidate else "",
        "nav": _nav(report, tiles),
        "cards": runner_cards(report),
        "limits": safe(
            f"An operation passes that introduces up to {PASSING_ERROR:g} times what its arithmetic may lose, and a "
            f"result that drifts by up to {PASSING_DRIFT:g}; the ONNX file itself (onnx-float64) up to "
            f"{FILE_PASSING_DRIFT:g}, as only its constants are rounded."
        ),
        "legend": chart_legend(report),
        "chart": error_chart(report),
        "table": output_table(report),
        "fusions": _fusions(report.runners),
        "tiles": _tiles(report, tiles) if tiles else "",
        "environment": facts_list(report.environment),
    }
    # In one pass, so that inserted text is not searched again.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _TEMPLATE.read_text(encoding="utf-8"))


def _nav(report: Report, tiles: Iterable[OutputMaps]) -> str:
    parts = {"runners": "Runners", "depth": "Error by depth", "table": "Outputs"}
    if any(runner.unprobed and runner.unprobed.prevented for runner in report.runners):
        parts["fusions"] = "Fusions"
    if tiles:
        parts["maps"] = "Maps"
    return "".join(f'<a href="#{part}">{title}</a>' for part, title in {**parts, "environment": "Environment"}.items())


def _fusions(runners: Iterable[RunnerReport]) -> str:
    rows = [
        f"<tr><td>{safe(runner.name)}</td><td>{safe(' + '.join(fusion.operations))}</td>"
        f"<td>{safe(', '.join(fusion.nodes))}</td></tr>"
        for runner in runners
        if runner.unprobed and runner.unprobed.prevented
        for fusion in runner.unprobed.prevented
    ]
    if not rows:
        return ""
    return (
        '<h2 id="fusions">Fusions that probing prevented</h2><p class="soft">Each runs as one kernel in the unprobed '
        "model, and as separate operations in the probe.</p>"
        '<div class="scroll"><table><thead><tr><th>runner</th><th>operations</th><th>nodes</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _tiles(report: Report, tiles: list[OutputMaps]) -> str:
    # Imported here: a page without pictures needs no Pillow.
    from .html_tiles import DIFFERENCE, VALUES, drift_tiles, gradient

    drawn = {name for tile in tiles for name in tile.runners}
    runners = [(number, runner) for number, runner in enumerate(report.runners) if runner.name in drawn]
    worst = max(runners, key=lambda each: (each[1].verdict.fails, severity(each[1])), default=None)
    boxes = "".join(
        f'<label><input type="radio" name="shown" value="{number}"{" checked" if (number, runner) == worst else ""}> '
        f"{safe(runner.name)}</label>"
        for number, runner in runners
    )
    inputs = ", ".join(dict.fromkeys(tile.recorded_input for tile in tiles))
    values, difference = (f'<i class="bar" style="background:{gradient(name)}"></i>' for name in (VALUES, DIFFERENCE))
    return (
        '<h2 id="maps">Maps</h2><p class="soft">Each tile shows the mean over the channels for the recorded input that '
        f"the runner's numbers are of ({safe(inputs)}), in float64 and in the runner, and the mean over the channels "
        "of the absolute difference. Float64 and runner share one scale, the range of float64 "
        f"{values}; values outside take the colour of the nearer end. The difference is drawn from 0 {difference} to "
        "float32's own error at that output (1 ×), or to the largest in "
        "any runner if that is more: dark is good. Vivid spots are not finite. “ONNX file” marks an output too large "
        "for the artifact to hold its whole float64 truth: the float64 value of the ONNX file takes its place, so a "
        "fault of the export doesn't show there. Outputs of 1 × 1 have no tile.</p>"
        f'<fieldset class="legend"><legend class="soft">Runner</legend>{boxes}'
        '<label><input type="radio" name="shown" value="all"> all</label></fieldset>'
        f'<div id="tiles">{drift_tiles(report, tiles)}</div>'
    )
