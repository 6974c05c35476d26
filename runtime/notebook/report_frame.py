"""A verification report -> its page, in a frame within a notebook."""

import html

from ..reporting.html_page import html_page
from ..verdict.report import Report

__all__ = ["report_html"]


def report_html(report: Report) -> str:
    """Return the report's page as a frame: its style and script don't reach the notebook, nor the notebook's it."""
    page = html.escape(html_page(report), quote=True)
    return f'<iframe srcdoc="{page}" sandbox="allow-scripts" style="width:100%;height:640px;border:0"></iframe>'
