"""The outputs as a table that can be sorted and filtered, for the HTML report: the worst first."""

import math

from ..artifact.manifest import Output
from ..verdict.report import Report
from .html_text import multiple, output_badge, safe
from .ranking import ranked

__all__ = ["output_table"]

_FIXED = ("#", "output", "label", "shape", "source")
_MEASURES = ("drift", "introduced", "inherited")


def output_table(report: Report) -> str:
    """Return the `<table>`; each sortable header is a button, each row has the id `o` and the output's number.

    The culprit is first, what only inherits its error is below what fails (`ranking.py`).
    """
    groups = "".join(f'<th colspan="4" scope="colgroup">{safe(runner.name)}</th>' for runner in report.runners)
    heads = [*_FIXED, *(("verdict", *_MEASURES) * len(report.runners))]
    columns = "".join(
        f'<th scope="col" aria-sort="none"><button type="button">{safe(head)}</button></th>' for head in heads
    )
    numbers = {output.name: number for number, output in enumerate(report.outputs)}
    rows = [_row(report, rank, numbers[output.name], output) for rank, output in enumerate(ranked(report))]
    return "\n".join(
        [
            '<table id="outputs"><thead>',
            f'<tr><td colspan="{len(_FIXED)}"></td>{groups}</tr>',
            f"<tr>{columns}</tr></thead><tbody>",
            *rows,
            "</tbody></table>",
        ]
    )


def _row(report: Report, rank: int, index: int, output: Output) -> str:
    shape = " × ".join(map(str, output.shape)) or "a scalar"
    cells = [
        f'<td data-value="{index}">{index + 1}</td>',
        f'<th scope="row" title="{safe(output.operation)} {safe(output.module_path)}">{safe(output.name)}</th>',
        f"<td>{safe(output.label)}</td><td>{safe(shape)}</td><td>{safe(output.source or '–')}</td>",
    ]
    failed = False
    for runner in report.runners:
        found = next((each for each in runner.outputs if each.name == output.name), None)
        if found is None:
            cells.append(f'<td data-runner="{safe(runner.name)}">–</td>' + "<td>–</td>" * 3)
            continue
        failed = failed or found.failed
        cells.append(f'<td data-runner="{safe(runner.name)}">{output_badge(runner, found)}</td>')
        for value in (found.drift, found.introduced, found.inherited):
            known = value is not None and math.isfinite(value)
            # What can't be measured is worse than what can.
            number = value if known else math.inf if found.failed else -1
            cells.append(f'<td class="number" data-value="{number}">{multiple(value)}</td>')
    kind = ' class="fails"' if failed else ""
    return f'<tr id="o{index}" data-rank="{rank}"{kind} tabindex="-1">{"".join(cells)}</tr>'
