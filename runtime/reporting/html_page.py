"""A verification report as one HTML file that needs nothing else: no network, no font, no library; it opens from disk.

Its frame, style and script are `report.html`; chart, table and tiles have files of their own. The page is readable
without the script, which sorts, filters and highlights.
"""

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..verdict.drift import FILE_PASSING_DRIFT, PASSING_DRIFT, PASSING_ERROR
from ..verdict.drift_maps import DriftMaps, OutputMaps
from ..verdict.report import Report, RunnerReport, UnprobedReport
from .html_chart import COLOURS, error_chart
from .html_table import output_table
from .html_text import badge, multiple, safe

__all__ = ["html_page"]

_TEMPLATE = Path(__file__).with_name("report.html")
_CAUSES = {
    "export": "the ONNX file differs from the model",
    "runtime": "the runtime, or its settings",
    "unknown": "unknown",
}


def html_page(report: Report, maps: DriftMaps | None = None) -> str:
    """Return the page.

    Args:
        report: what `verify` returned.
        maps: the averaged maps collected meanwhile; None for a page without pictures.
    """
    tiles = maps.tiles if maps else []
    model = report.environment.get("model", "model")
    verdict = "pass" if report.passed else "fails"
    parts = {
        "title": safe(f"{model}: {verdict}"),
        "kicker": f"{safe(model)} · layerprobe verify · {safe(report.environment.get('time', ''))}",
        "headline": safe(report.headline),
        "nav": _nav(report, tiles),
        "cards": "\n".join([*map(_card, report.runners), *_without_result(report)]),
        "limits": safe(
            f"An operation passes that introduces up to {PASSING_ERROR:g} times what its arithmetic may lose, and a "
            f"result that drifts by up to {PASSING_DRIFT:g}; the ONNX file itself (onnx-float64) up to "
            f"{FILE_PASSING_DRIFT:g}, as only its constants are rounded."
        ),
        "legend": _legend(report),
        "chart": error_chart(report),
        "table": output_table(report),
        "fusions": _fusions(report.runners),
        "tiles": _tiles(report, tiles) if tiles else "",
        "environment": _facts(report.environment),
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


def _card(runner: RunnerReport) -> str:
    failed = sum(output.failed for output in runner.outputs)
    count = len(runner.outputs)
    parts = [f"{failed} of {count} outputs fail" if failed else f"all {count} outputs pass"]
    if runner.first_failing and not failed:
        parts = [f"all {count} outputs pass, but {runner.first_failing} fails in the unprobed model"]
    elif runner.first_failing:
        parts.append(f"the first that fails is {runner.first_failing}")
    lines = [f"<p>{safe('; '.join(parts))}.</p>"]
    culprit = runner.culprit
    if culprit and culprit.only_unprobed:
        if culprit.output != runner.first_failing:
            lines.append(f"<p>Computes wrong results where {safe(culprit.output)} isn't requested.</p>")
    elif culprit and culprit.introduced != 0:
        amount = f": {multiple(culprit.introduced)} ×" if culprit.introduced is not None else ""
        cause = f" Cause: {_CAUSES[culprit.cause]}." if runner.verdict.fails else ""
        others = f" (or by what is not an output: {', '.join(culprit.or_one_of)})" if culprit.or_one_of else ""
        lines.append(f"<p>Largest error introduced by {safe(culprit.output + others)}{amount}.{cause}</p>")
    if runner.misplaced:
        lines.append(f"<p>Ran elsewhere than requested: {safe(', '.join(runner.misplaced))}.</p>")
    if runner.unprobed:
        lines.append(_unprobed(runner.unprobed))
    facts = _facts({"providers": ", ".join(runner.providers), **runner.facts})
    return (
        f'<section class="card"><h3>{safe(runner.name)} {badge(runner.verdict)}</h3>{"".join(lines)}'
        f"<details><summary>Settings and device</summary>{facts}</details></section>"
    )


def _unprobed(unprobed: UnprobedReport) -> str:
    if unprobed.error:
        return f"<p>Without the probe's outputs it can't run: {safe(unprobed.error)}</p>"
    results = ", ".join(
        f"{safe(output.name)} {badge(output.verdict)} {multiple(output.drift)} ×" for output in unprobed.outputs
    )
    notes = ""
    if unprobed.prevented_unknown:
        notes = f" The fusions that probing prevents can't be named: {safe(unprobed.prevented_unknown)}."
    if unprobed.difference is not None and math.isfinite(unprobed.difference):
        notes += f" Probed and unprobed results differ by up to {multiple(unprobed.difference)} ×."
    return f"<p>Without the probe's outputs, free to fuse: {results}.{notes}</p>"


def _without_result(report: Report) -> Iterable[str]:
    rows = [(name, why.reason, "bad", "✕ not opened") for name, why in report.unopened.items()]
    rows += [(name, reason, "warning", "left out") for name, reason in report.left_out.items()]
    for name, reason, tone, words in rows:
        sign = f'<span class="badge {tone}">{words}</span>'
        yield f'<section class="card"><h3>{safe(name)} {sign}</h3><p>{safe(reason)}</p></section>'


def _legend(report: Report) -> str:
    boxes = [
        (f'g[data-runner="{number}"]', f"c{number % COLOURS}", "", runner.name)
        for number, runner in enumerate(report.runners)
    ]
    boxes += [(".introduced, .dot", "", "", "introduced"), (".inherited", "", "dashed", "inherited")]
    measured = [output for runner in report.runners for output in runner.outputs if output.drift is not None]
    if any(output.introduced is None for output in measured):
        boxes.append((".drift", "", "dotted", "whole drift, where its parts are unknown"))
    return "".join(
        f'<label class="{colour}"><input type="checkbox" checked data-series="{safe(series)}"> '
        f'<i class="{line}"></i> {safe(name)}</label>'
        for series, colour, line, name in boxes
    )


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
    worst = max(runners, key=lambda each: _severity(each[1]), default=None)
    boxes = "".join(
        f'<label><input type="radio" name="shown" value="{number}"{" checked" if (number, runner) == worst else ""}> '
        f"{safe(runner.name)}</label>"
        for number, runner in runners
    )
    values, difference = (f'<i class="bar" style="background:{gradient(name)}"></i>' for name in (VALUES, DIFFERENCE))
    return (
        '<h2 id="maps">Maps</h2><p class="soft">Each tile shows the mean over the channels for the first recorded '
        "image, in float64 and in the runner, and the mean over the channels of the absolute difference. Float64 and "
        f"runner share one scale, the range of float64 {values}; values outside take the colour of the nearer end. The "
        f"difference is drawn from 0 {difference} to float32's own error at that output (1 ×), or to the largest in "
        "any runner if that is more: dark is good. Vivid spots are not finite. “ONNX file” marks an output too large "
        "for the artifact to hold its whole float64 truth: the float64 value of the ONNX file takes its place, so a "
        "fault of the export doesn't show there. Outputs of 1 × 1 have no tile.</p>"
        f'<fieldset class="legend"><legend class="soft">Runner</legend>{boxes}'
        '<label><input type="radio" name="shown" value="all"> all</label></fieldset>'
        f'<div id="tiles">{drift_tiles(report, tiles)}</div>'
    )


def _severity(runner: RunnerReport) -> tuple[bool, float]:
    introduced = runner.culprit.introduced if runner.culprit else 0.0
    return runner.verdict.fails, float("inf") if introduced is None else introduced


def _facts(facts: Mapping[str, object]) -> str:
    return f"<dl>{''.join(f'<dt>{safe(name)}</dt><dd>{safe(value)}</dd>' for name, value in facts.items())}</dl>"
