"""A card for each runner of the HTML report: its verdict, its culprit, and what may explain a drift."""

import math
from collections.abc import Iterable, Mapping

from ..verdict.report import Report, RunnerReport, UnprobedReport
from .html_text import badge, multiple, safe
from .outcome_words import given_words, inputs_words, outcome, untried_words

__all__ = ["facts_list", "runner_cards"]

_CAUSES = {
    "export": "the ONNX file differs from the model",
    "runtime": "the runtime, or its settings",
    "unknown": "unknown",
}


def runner_cards(report: Report) -> str:
    """Return a card for each runner, also for those that were not run, and what no recorded input exercises."""
    untried = f"<p>{safe(untried_words(report.untried))}</p>" if report.untried else ""
    return "\n".join([*map(_card, report.runners), *_without_result(report), untried])


def facts_list(facts: Mapping[str, object]) -> str:
    """Return names and values as a list."""
    return f"<dl>{''.join(f'<dt>{safe(name)}</dt><dd>{safe(value)}</dd>' for name, value in facts.items())}</dl>"


def _card(runner: RunnerReport) -> str:
    what = f"can't run the model: {runner.error}" if runner.error else outcome(runner)
    lines = [f"<p>{safe(what[:1].upper() + what[1:])}.</p>", _blame(runner)]
    if len(runner.inputs) > 1:
        words = inputs_words(runner)
        lines.append(f"<p>{safe(words[:1].upper() + words[1:])}.</p>")
    if runner.given:
        lines += [f"<p>{safe(words)}.</p>" for words in given_words(runner.given)]
    if runner.misplaced:
        lines.append(f"<p>Ran elsewhere than requested: {safe(', '.join(runner.misplaced))}.</p>")
    if runner.unprobed:
        lines.append(_unprobed(runner.unprobed))
    facts = facts_list({"providers": ", ".join(runner.providers), **runner.facts})
    return (
        f'<section class="card"><h3>{safe(runner.name)} {badge(runner.verdict)}</h3>{"".join(lines)}'
        f"<details><summary>Settings and device</summary>{facts}</details></section>"
    )


def _blame(runner: RunnerReport) -> str:
    """Return the culprit, or where the largest error was introduced in a runner that has none."""
    culprit, error = runner.culprit, runner.largest_error
    if culprit is None and error:
        return f"<p>Largest error introduced by {safe(error.output)}: {multiple(error.introduced)} ×.</p>"
    if culprit is None:
        return ""
    if culprit.only_unprobed and culprit.output != runner.first_failing:
        name = safe(culprit.output)
        return f"<p>Culprit: <b>{name}</b>. Computes wrong results where {name} isn't requested.</p>"
    where = "in the file" if runner.given else "an output"
    others = f" (or what is not {where}: {', '.join(culprit.or_one_of)})" if culprit.or_one_of else ""
    how = "what each operation may lose adds up there" if culprit.accumulated else "introduced"
    amount = f"; {how}: {multiple(culprit.introduced)} ×" if culprit.introduced is not None else ""
    differences = "".join(f"; {each}" for each in culprit.differences)
    cause = f"Cause: {_CAUSES[culprit.cause]}{differences}."
    return f"<p>Culprit: <b>{safe(culprit.output)}</b>{safe(others + amount)}. {safe(cause)}</p>"


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
