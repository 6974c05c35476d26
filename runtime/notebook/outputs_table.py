"""Outputs of a model -> a table for a notebook."""

from typing import Any

from ..artifact.showing import shape_words
from ..reporting.html_text import safe
from .html_table import html_table

__all__ = ["outputs_html"]


def outputs_html(shown: Any) -> str:
    """Return the outputs of a probe or a manifest as HTML, a row each; in bold what the model itself returns."""
    returned = set(shown.results.values())
    rows = [
        [
            f"<b>{safe(each.name)}</b>" if each.name in returned else safe(each.name),
            safe(each.label),
            safe(shape_words(each.shape)),
            safe(each.dtype),
            safe(each.layout),
            safe(each.source or ""),
        ]
        for each in shown.outputs
    ]
    takes = safe(", ".join(each.described for each in shown.inputs))
    return html_table(
        f"<b>{safe(shown.title)}</b> takes {takes}; outputs: {len(shown.outputs)}",
        ["output", "operation", "shape", "dtype", "layout", "source"],
        rows,
    )
