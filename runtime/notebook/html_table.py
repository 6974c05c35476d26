"""Rows of HTML -> a table that a notebook scrolls, in its own colours, light or dark."""

from collections.abc import Iterable, Sequence

__all__ = ["html_table"]

_CELL = "text-align:left;padding:2px 10px 2px 0;vertical-align:middle;white-space:nowrap"


def html_table(heading: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return the table, its heading above it.

    Args:
        heading: HTML.
        columns: names, HTML.
        rows: cells, HTML.
    """
    head = "".join(f'<th style="{_CELL};position:sticky;top:0">{each}</th>' for each in columns)
    body = "".join("<tr>" + "".join(f'<td style="{_CELL}">{cell}</td>' for cell in row) + "</tr>" for row in rows)
    return (
        f'<div style="margin:4px 0">{heading}</div>'
        '<div style="max-height:420px;overflow:auto"><table style="border-collapse:collapse;font-size:90%">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
